/* test_jail_tree.c - what the one helper that makes files can do in its jail: own the files of
 * one tree, under ids of their own, and nothing else.
 *
 * It is started as the core starts it (image/jailed.h): this program again, which enters the jail
 * and makes one attempt. Each is made as root, whose tree is an id-mapped mount, and as an
 * ordinary user of a single id; with the filter of calls and without it, for the layers below;
 * and outside, to show that it can succeed. */
#include "base/accounts.h"
#include "jail_tree_scene.h"

TEST(nothing_but_its_tree_can_be_reached)
{
    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        CL_CLEANUP_FD int etc = open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; can_be(who) && i < CL_ARRAY_SIZE(attempts); i++) {
            CL_CLEANUP_SCENE struct scene scene;

            scene_init(&scene, who);
            scene.leaked = etc;
            check_attempt(&scene, i);
        }
    }
}

TEST(the_filter_ends_whoever_makes_other_calls)
{
    static int (*const forbidden[])(void) = {make_socket,   bind_to_the_host, start_process,
                                             run_program,   mount_something,  make_namespace,
                                             signal_parent, change_root,      change_user};
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, can_be(ROOT) ? ROOT : USER);
    for (size_t i = 0; i < CL_ARRAY_SIZE(attempts); i++) {
        int is_forbidden = 0;

        for (size_t k = 0; k < CL_ARRAY_SIZE(forbidden); k++)
            is_forbidden |= attempts[i].attempt == forbidden[k];
        if (is_forbidden)
            CHECK(run(&scene, FILTERED, "attempt", i) == 1000 + SIGSYS);
    }
}

TEST(files_of_the_tree_are_its_own)
{
    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        for (enum how how = UNFILTERED; can_be(who) && how <= FILTERED; how++) {
            CL_CLEANUP_SCENE struct scene scene;

            scene_init(&scene, who);
            CHECK(run(&scene, how, "deed", MAKE) == 0);
            const struct stat own = stat_of(&scene, "own");
            CHECK(S_ISREG(own.st_mode) && own.st_size == 5 && own.st_nlink == 2);
            CHECK(own.st_uid == own_uid(&scene) && own.st_gid == (gid_t)own_uid(&scene));
            CHECK((own.st_mode & 07777) == 04755);
            CHECK(S_ISDIR(stat_of(&scene, "directory").st_mode));
            CHECK(S_ISLNK(stat_of(&scene, "link").st_mode));
        }
    }
}

/* Whether the user that the scene is of has several ids. */
static int has_subids(const struct scene *scene)
{
    const uid_t uid = own_uid(scene);
    char login[CL_LOGIN_SIZE];
    struct cl_id_range range;
    struct cl_error ignored;

    cl_accounts_login(uid, login);
    return uid != 0 && cl_accounts_find_subids("/etc/subuid", login, uid, &range, &ignored) > 0;
}

/* Root's are a range of their own outside, and on the disk the numbers of the image. */
TEST(ids_on_the_disk_are_those_of_the_image)
{
    static const struct {
        enum deed deed;
        uid_t uid;
        int as_root;
        int as_user;
    } rows[] = {{GIVE_0, 0, 0, 0},
                {GIVE_1, 1, 0, EINVAL},
                {GIVE_LAST, 65535, 0, EINVAL},
                {GIVE_BEYOND, 0, EINVAL, EINVAL}};

    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        for (size_t i = 0; can_be(who) && i < CL_ARRAY_SIZE(rows); i++) {
            CL_CLEANUP_SCENE struct scene scene;
            int expected = who == ROOT ? rows[i].as_root : rows[i].as_user;

            scene_init(&scene, who);
            if (has_subids(&scene))
                expected = rows[i].as_root;
            CHECK(run(&scene, FILTERED, "deed", rows[i].deed) == expected);
            if (has_subids(&scene))
                continue; /* whose they are then, /etc/subuid says */
            const struct stat given = stat_of(&scene, "given");
            const uid_t owner = who == ROOT && expected == 0 ? rows[i].uid : own_uid(&scene);
            CHECK(given.st_uid == owner && given.st_gid == (gid_t)owner);
        }
    }
}

TEST(what_it_makes_has_no_power)
{
    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        if (!can_be(who))
            continue;
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene, who);
        CHECK(run(&scene, UNFILTERED, "deed", FLAGS) == 0);
        CHECK(run(&scene, UNFILTERED, "deed", IDENTITY) == 0);
    }
}

TEST(the_channel_is_closed_and_so_is_all_else)
{
    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        if (!can_be(who))
            continue;
        CL_CLEANUP_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene, who);
        scene.leaked = null;
        CHECK(run(&scene, UNFILTERED, "deed", DESCRIPTORS) == 0);
    }
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(nothing_but_its_tree_can_be_reached), ROW(the_filter_ends_whoever_makes_other_calls),
        ROW(files_of_the_tree_are_its_own),       ROW(ids_on_the_disk_are_those_of_the_image),
        ROW(what_it_makes_has_no_power),          ROW(the_channel_is_closed_and_so_is_all_else),
    };

    if (argc >= 5 && strcmp(argv[1], "act") == 0)
        act(argv);
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
