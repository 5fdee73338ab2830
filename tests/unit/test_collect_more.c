/* test_collect_more.c - more of test_collect.c, by the same scene. */
#include "collect_scene.h"

TEST(a_trash_that_was_half_emptied_is_emptied)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char names[4][CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    for (size_t i = 0; i < 4; i++) {
        layer_make(&scene, (char)('1' + i), names[i]);
        CHECK(scene_shell("cd %s/layers/%s/tree && mkdir -p a/b/c && touch a/x a/b/y a/b/c/z && "
                          "ln -s / root",
                          scene.root, names[i]) == 0);
        CHECK(cl_layer_discard(&scene.store, names[i], &scene.err) == 0);
    }
    CHECK(scene_shell("cd %s/trash && rm -rf %s/tree && rm %s/record && rm -rf %s/tree/a/b && "
                      "rm -rf %s/* && mkdir 99 && mkdir 98 && mkdir 98/tree",
                      scene.root, names[0], names[1], names[2], names[3]) == 0);
    collect_well(&scene, &how);
}

/* A layer's files are strangers': links out of it, what nobody may enter, names of any bytes. */
TEST(whatever_a_layer_holds_is_removed_and_nothing_else)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, '1', name);
    CHECK(scene_shell("mkdir %s/outside && touch %s/outside/file", scene.dir, scene.dir) == 0);
    CHECK(scene_shell("cd %s/layers/%s/tree && ln -s %s/outside out && ln -s ../../../.. up && "
                      "mkdir locked && touch locked/x && chmod 0 locked && mkfifo fifo && "
                      "touch \"$(printf 'a\\nb\\377')\" -- -rf && "
                      "d=deep && for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
                      "d=$d/$d; [ ${#d} -lt 3000 ] || break; done; mkdir -p $d 2>/dev/null; :",
                      scene.root, name, scene.dir) == 0);
    collect_well(&scene, &how);
    CHECK(scene_shell("[ -e %s/outside/file ]", scene.dir) == 0);
}

/* As an image's own "./" may say: chmod of the tree itself. */
TEST(a_tree_that_its_owner_may_not_enter_is_removed)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, '1', name);
    CHECK(chmod(scene_path(&scene, "layers/%s/tree", name), 0) == 0);
    collect_well(&scene, &how);
}

/* One that can't be removed is no reason to keep the others. */
TEST(the_trash_is_emptied_but_for_what_resists)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    char names[3][CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    for (size_t i = 0; i < 3; i++)
        layer_make(&scene, (char)('1' + i), names[i]);
    program_fake("cloister-image", "remove",
                 "case $(pwd) in */trash/2) exit 1;; *) exec $real \"$@\";; esac");
    CHECK(collect(&scene, &how) < 0);
    CHECK(scene.err.msg[0] != '\0');
    CHECK(check_count_entries(scene_path(&scene, "trash")) == 1);
    CHECK(scene_has(&scene, "trash/2"));
    program_real("cloister-image");
    collect_well(&scene, &how);
}

TEST(a_program_that_fails_to_remove_is_told)
{
    static const char *const programs[] = {"exit 1", "kill -9 $$", "exit 0"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(programs); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        const struct cl_collect_how how = plain_how();
        char name[CL_LAYER_NAME_SIZE];

        scene_init(&scene);
        layer_make(&scene, '1', name);
        program_fake("cloister-image", "remove", programs[i]);
        CHECK(collect(&scene, &how) < 0);
        CHECK(scene.err.msg[0] != '\0');
        CHECK(check_count_entries(scene_path(&scene, "trash")) == 1);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        program_real("cloister-image");
        collect_well(&scene, &how);
    }
}

/* A loss of power, which was not preceded by a sync, may have left any bytes. The record is for
 * people; the launch record is what `run` goes by. */
TEST(a_damaged_record_keeps_no_other_image_and_loses_none)
{
    static const char *const damages[] = {":>", "echo x >", "truncate -s -1", "rm"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_collect_how how = plain_how();
        char name[CL_LAYER_NAME_SIZE];

        make_three(&scene);
        layer_make(&scene, '6', name);
        CHECK(scene_shell("f=%s/images/%s; %s $f", scene.root, digest_of('a').hex, damages[i]) ==
              0);
        CL_CLEANUP_FD int held = image_hold(&scene, OTHER);
        CHECK(held >= 0);
        collect_well(&scene, &how);
        CHECK(layer_is_there(&scene, '1') && layer_is_there(&scene, '3') &&
              layer_is_there(&scene, '4') && layer_is_there(&scene, '5') &&
              !layer_is_there(&scene, '6'));
        /* whoever finds it by its name can run it, or doesn't find it */
        CL_CLEANUP_FD int damaged = image_hold(&scene, NAME);
        CHECK(damaged < 0 || layer_is_there(&scene, '2'));
        how.all = 1;
        cl_fd_close(&damaged);
        collect_well(&scene, &how); /* and it can be removed */
        CHECK(!image_is_there(&scene, 'a') && layer_is_there(&scene, '3'));
        check_layers(&scene, "13");
    }
}

/* As one of another version might be. */
TEST(a_record_that_lacks_fields_is_read)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_collect_how how = plain_how();
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    const struct cl_image_record record = {.set = 0};
    char path[SCENE_PATH_SIZE];

    make_three(&scene);
    CHECK(cl_flat_write(&cl_image_shape, &record, &buf, &scene.err) == 0);
    (void)snprintf(path, sizeof(path), "images/%s", digest_of('a').hex);
    scene_write(&scene, path, buf.data, buf.size);
    (void)collect(&scene, &how);
    CHECK(layer_is_there(&scene, '3') && layer_is_there(&scene, '4'));
}

TEST(whatever_fails_no_layer_is_lost_that_is_needed)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    struct cl_lease lease = CL_LEASE_INIT;
    const struct cl_digest leased = digest_of('6');
    char name[CL_LAYER_NAME_SIZE];

    make_three(&scene);
    layer_make(&scene, '6', name);
    CHECK(cl_lease_take(&scene.store, &leased, 1, &lease, &scene.err) == 0);
    how.unnamed = 1;
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;

        image_make(&scene, 'e', '4', '5');
        if (layer_find(&scene, '7', name) < 0)
            layer_make(&scene, '7', name);
        CHECK(layer_begin(&scene, '8', 0, &work) == 0);
        cl_layer_work_done(&work);
        fault_begin(&faults);
        int r = collect(&scene, &how);
        fault_end(&faults);
        CHECK(r == 0 || (r < 0 && scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 3);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        check_runnable(&scene, NAME, 1);
        check_runnable(&scene, OTHER, 1);
        CHECK(layer_is_there(&scene, '6') && layer_is_there(&scene, '1') &&
              layer_is_there(&scene, '2') && layer_is_there(&scene, '3'));
    }
    collect_well(&scene, &how);
    check_layers(&scene, "1236");
    cl_lease_done(&lease);
#endif
}

TEST(a_collection_waits_for_those_who_must_not_be_disturbed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    make_three(&scene);
    CL_CLEANUP_FD int shared = cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED);
    CHECK(shared >= 0);
    if (other_start(&other)) {
        struct cl_collect_how how = plain_how();

        cl_fd_close(&shared); /* the parent's stays */
        how.all = 1;
        CHECK(collect(&scene, &how) == 0);
        other_exit();
    }
    CHECK(other_waits_in(&other, SYS_fcntl));
    CHECK(count_images(&scene) == 3);
    cl_fd_close(&shared);
    other_join(&other);
    check_layers(&scene, "");
}

TEST(two_collections_at_once_remove_all_once)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();

    scene_init(&scene);
    how.all = 1;
    for (int round = 0; round < 10; round++) {
        struct other other;

        image_make(&scene, 'a', '1', '2');
        image_make(&scene, 'c', '1', '3');
        CHECK(name_set(&scene, NAME, 'a') == 0);
        if (other_start(&other)) {
            CHECK(collect(&scene, &how) == 0);
            CHECK_TEXT(scene.err.msg, "");
            other_exit();
        }
        CHECK(collect(&scene, &how) == 0);
        CHECK_TEXT(scene.err.msg, "");
        other_join(&other);
        CHECK(check_count_entries(scene_path(&scene, "trash")) == 0); /* one has, or the other */
        check_layers(&scene, "");
    }
}

TEST(pulls_and_collections_do_not_meet)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    if (other_start(&other)) {
        struct cl_collect_how how = plain_how();

        for (int i = 0; i < 60; i++) {
            how.all = i % 2;
            CHECK(collect(&scene, &how) == 0);
            CHECK_TEXT(scene.err.msg, "");
        }
        other_exit();
    }
    for (int i = 0; i < 60; i++)
        pull_and_use(&scene, 'a');
    other_join(&other);
}

TEST(roots_trash_is_removed_by_nobody_of_the_host)
{
    if (geteuid() != 0)
        SKIP_TEST("gives files to others");
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_collect_how how = plain_how();
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    how.uid_base = 0x50000000;
    layer_make(&scene, '1', name);
    CHECK(scene_shell("cd %s/layers/%s/tree && mkdir a && touch a/b a/c && chown 1000:1000 a/b && "
                      "chown 65535:65535 a && chmod 0 a && mknod null c 1 3",
                      scene.root, name) == 0);
    collect_well(&scene, &how);
    check_layers(&scene, "");
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_trash_that_was_half_emptied_is_emptied),
        ROW(whatever_a_layer_holds_is_removed_and_nothing_else),
        ROW(a_tree_that_its_owner_may_not_enter_is_removed),
        ROW(the_trash_is_emptied_but_for_what_resists),
        ROW(a_program_that_fails_to_remove_is_told),
        ROW(a_damaged_record_keeps_no_other_image_and_loses_none),
        ROW(a_record_that_lacks_fields_is_read),
        ROW(whatever_fails_no_layer_is_lost_that_is_needed),
        ROW(a_collection_waits_for_those_who_must_not_be_disturbed),
        ROW(two_collections_at_once_remove_all_once),
        ROW(pulls_and_collections_do_not_meet),
        ROW(roots_trash_is_removed_by_nobody_of_the_host),
    };

    programs_enter(argc, argv);
    program_real("cloister-image");
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
