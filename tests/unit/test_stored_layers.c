/* test_stored_layers.c - layers in the store: found, begun, committed, thrown away; what a killed
 * process or a loss of power leaves of them, and two processes that want the same. */
#include "layer_scene.h"

TEST(a_layer_is_there_when_it_was_committed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    char name[CL_LAYER_NAME_SIZE] = "x";
    struct stat status;

    scene_init(&scene);
    CHECK(layer_find(&scene, 'a', name) == -ENOENT);
    CHECK_TEXT(scene.err.msg, "");
    CHECK_TEXT(name, "x");
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    CHECK(work.lock >= 0 && work.tree >= 0);
    CHECK(fcntl(work.lock, F_GETFD) == FD_CLOEXEC && fcntl(work.tree, F_GETFD) == FD_CLOEXEC);
    CHECK_TEXT(work.chain.hex, digest_of('a').hex);
    CHECK(strlen(work.name) > 0 && strspn(work.name, "0123456789") == strlen(work.name));
    CHECK(!layer_is_there(&scene, 'a'));
    layer_fill(&work, 'a');
    CHECK(layer_commit(&scene, 'a', &work) == 0);
    CHECK(work.lock == -1 && work.tree == -1);
    CHECK(layer_is_there(&scene, 'a'));
    CHECK(layer_find(&scene, 'a', name) == 0);
    CHECK(lstat(scene_path(&scene, "layers/%s/tree", name), &status) == 0);
    CHECK(S_ISDIR(status.st_mode));
    CHECK(lstat(scene_path(&scene, "layers/%s/record", name), &status) == 0);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
}

/* overlay(5) and docs/images.md: the link's text is what people follow. */
TEST(the_chains_link_leads_to_the_layer)
{
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE] = "";
    char target[64] = "";
    char expected[64];

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    CHECK(readlink(scene_path(&scene, "chains/%s", digest_of('a').hex), target,
                   sizeof(target) - 1) > 0);
    (void)snprintf(expected, sizeof(expected), "../layers/%s", name);
    CHECK_TEXT(target, expected);
}

/* The root of a container is it: anybody in there must be able to pass through it, whatever the
 * umask of the caller is. */
TEST(the_tree_can_be_passed_through_by_the_images_users)
{
    static const mode_t masks[] = {0, 022, 077};
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(masks); i++) {
        CL_CLEANUP(cl_layer_work_done) struct cl_layer_work work = CL_LAYER_WORK_INIT;
        struct stat status;

        const mode_t old = umask(masks[i]);
        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        (void)umask(old);
        CHECK(fstat(work.tree, &status) == 0);
        CHECK((status.st_mode & 07777) == 0755);
        CHECK(status.st_uid == geteuid() && status.st_gid == getegid());
    }
}

TEST(the_record_says_what_was_committed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_record record = {0};
    char name[CL_LAYER_NAME_SIZE] = "";

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    CHECK(cl_layer_read(&scene.store, name, &scene.arena, &record, &scene.err) == 0);
    CHECK(record.set == (1ULL << CL_STORED_LAYER_FIELD_COUNT) - 1);
    CHECK_TEXT(record.chain, digest_text('a'));
    CHECK_TEXT(record.diff_id, digest_text('d'));
    CHECK_TEXT(record.blob, digest_text('b'));
    CHECK(record.size_bytes == 100 && record.disk_bytes == 4096 && record.entries == 2);
    CHECK(cl_layer_bytes(&scene.store, name) >= 4096);
}

TEST(a_record_that_can_not_be_read_is_an_error_and_takes_nothing)
{
    static const char *const damages[] = {"truncate -s -1 $r", ":>$r",
                                          "echo junk >>$r",    "rm $r",
                                          "rm $r; mkdir $r",   "rm $r; ln -s /dev/zero $r",
                                          "truncate -s 1G $r"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(damages); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_layer_record record = {0};
        char name[CL_LAYER_NAME_SIZE] = "";

        scene_init(&scene);
        layer_make(&scene, 'a', name);
        CHECK(scene_shell("r=%s/layers/%s/record; %s", scene.root, name, damages[i]) == 0);
        CHECK(cl_layer_read(&scene.store, name, &scene.arena, &record, &scene.err) < 0);
        CHECK(scene.err.msg[0] != '\0' && record.set == 0);
        CHECK(cl_layer_bytes(&scene.store, name) == 0);
    }
}

TEST(each_layer_has_a_number_of_its_own)
{
    CL_CLEANUP_SCENE struct scene scene;
    char names[16][CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    for (size_t i = 0; i < 16; i++) {
        layer_make(&scene, "0123456789abcdef"[i], names[i]);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(names[i], names[k]) != 0);
        CHECK(strlen(names[i]) <= 2); /* for short options of overlay's mount */
    }
    for (size_t i = 0; i < 16; i++)
        CHECK(layer_is_there(&scene, "0123456789abcdef"[i]));
}

TEST(what_is_there_is_not_begun_again)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    for (int wait = 0; wait <= 1; wait++) {
        CHECK(layer_begin(&scene, 'a', wait, &work) == -EEXIST);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(work.lock == -1 && work.tree == -1);
    }
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
    CHECK(layer_begin(&scene, 'b', 0, &work) == 0);
    cl_layer_work_done(&work);
}

TEST(what_was_given_up_can_be_begun_again)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;

    scene_init(&scene);
    for (int i = 0; i < 3; i++) {
        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        layer_fill(&work, 'x'); /* no tree has what another left */
        cl_layer_work_done(&work);
        CHECK(work.lock == -1 && work.tree == -1);
        cl_layer_work_done(&work); /* twice is as once */
    }
    CHECK(!layer_is_there(&scene, 'a'));
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    layer_fill(&work, 'a');
    CHECK(layer_commit(&scene, 'a', &work) == 0);
    CHECK(layer_is_there(&scene, 'a'));
}

TEST(what_is_discarded_is_in_the_trash_and_not_there_any_more)
{
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE];
    char again[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    layer_make(&scene, 'b', again);
    CHECK(cl_layer_discard(&scene.store, name, &scene.err) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(!layer_is_there(&scene, 'a') && layer_is_there(&scene, 'b'));
    CHECK(check_count_entries(scene_path(&scene, "trash")) == 1);
    CHECK(check_count_entries(scene_path(&scene, "layers")) == 1);
    layer_make(&scene, 'a', again);
    CHECK(layer_is_there(&scene, 'a') && layer_is_there(&scene, 'b'));
    CHECK(cl_layer_discard(&scene.store, again, &scene.err) == 0);
    CHECK(check_count_entries(scene_path(&scene, "trash")) == 2);
}

TEST(what_is_not_there_can_not_be_discarded)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    scene.err = (struct cl_error){0};
    int r = cl_layer_discard(&scene.store, "77", &scene.err);
    CHECK(r == 0 || scene.err.msg[0] != '\0');
    CHECK(check_count_entries(scene_path(&scene, "trash")) == 0);
}

TEST(a_sweep_takes_what_nobody_is_at)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_layer_work_done) struct cl_layer_work held = CL_LAYER_WORK_INIT;
    struct cl_layer_work left = CL_LAYER_WORK_INIT;
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, 'c', name);
    CHECK(layer_begin(&scene, 'a', 0, &held) == 0);
    CHECK(layer_begin(&scene, 'b', 0, &left) == 0);
    layer_fill(&left, 'b');
    cl_layer_work_done(&left);
    CL_CLEANUP_FD int collect =
        cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    CHECK(collect >= 0);
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    CHECK_TEXT(scene.err.msg, "");
    cl_fd_close(&collect);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 1);
    CHECK(check_count_entries(scene_path(&scene, "trash")) == 1);
    CHECK(layer_is_there(&scene, 'c'));
    layer_fill(&held, 'a');
    CHECK(layer_commit(&scene, 'a', &held) == 0);
    CHECK(layer_is_there(&scene, 'a'));
}

/* A process that has no descriptor left is no reason to take the work of another. */
TEST(a_sweep_that_can_not_look_takes_nothing)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    static const int codes[] = {EMFILE, EIO, ENOMEM};
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_layer_work_done) struct cl_layer_work held = CL_LAYER_WORK_INIT;

    scene_init(&scene);
    CHECK(layer_begin(&scene, 'a', 0, &held) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(codes); i++) {
        for (int nth = 2; nth <= 3; nth++) { /* the first opens work/ */
            fault_call(SYS_openat, nth, codes[i]);
            (void)cl_layers_sweep(&scene.store, &scene.err);
            CHECK(cl_fault_struck());
            cl_fault_set(NULL);
        }
        fault_call(SYS_read, 0, codes[i]);
        (void)cl_layers_sweep(&scene.store, &scene.err);
        CHECK(cl_fault_struck());
        cl_fault_set(NULL);
    }
    layer_fill(&held, 'a');
    CHECK(layer_commit(&scene, 'a', &held) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(layer_is_there(&scene, 'a'));
#endif
}

TEST(a_layer_that_was_not_synced_before_a_loss_of_power_is_none)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, 's', name);
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    layer_fill(&work, 'x');
    CHECK(layer_commit(&scene, 'a', &work) == 0);
    CHECK(layer_find(&scene, 'a', name) == 0); /* in this boot it is one */
    layers_of_another_boot(&scene);
    CHECK(!layer_is_there(&scene, 'a'));
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    layer_fill(&work, 'a');
    CHECK(layer_commit(&scene, 'a', &work) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(layer_is_there(&scene, 'a'));
}

TEST(a_layer_that_was_synced_survives_a_loss_of_power)
{
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE];
    char id[CL_BOOT_ID_SIZE];

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    CHECK(cl_boot_id(id, &scene.err) == 0);
    CHECK(scene_shell("! grep -rq %s %s/layers", id, scene.root) == 0); /* no mark is left */
    CHECK(cl_layer_mark_synced(&scene.store, name, &scene.err) == 0);   /* twice is as once */
    CHECK(layer_is_there(&scene, 'a'));
}

/* A mark that power was lost over is empty, or half of one. */
TEST(a_mark_that_is_cut_is_another_boots)
{
    static const char *const cuts[] = {":>", "head -c 10 $m >$m.x; mv $m.x",
                                       "head -c 36 /dev/zero >"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(cuts); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        char id[CL_BOOT_ID_SIZE];

        scene_init(&scene);
        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        CHECK(layer_commit(&scene, 'a', &work) == 0);
        CHECK(cl_boot_id(id, &scene.err) == 0);
        CHECK(scene_shell("m=$(grep -rl %s %s/layers) && %s $m", id, scene.root, cuts[i]) == 0);
        CHECK(!layer_is_there(&scene, 'a'));
    }
}

TEST(a_chain_that_leads_nowhere_is_none)
{
    static const char *const targets[] = {
        "../layers/77", "nowhere", "/etc", "../layers", "../work", "../layers/../layers/1", ""};

    for (size_t i = 0; i < CL_ARRAY_SIZE(targets); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct cl_layer_work work = CL_LAYER_WORK_INIT;

        scene_init(&scene);
        CHECK(symlink(targets[i], scene_path(&scene, "chains/%s", digest_of('a').hex)) == 0 ||
              targets[i][0] == '\0');
        CHECK(!layer_is_there(&scene, 'a'));
        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        CHECK_TEXT(scene.err.msg, "");
        layer_fill(&work, 'a');
        CHECK(layer_commit(&scene, 'a', &work) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(layer_is_there(&scene, 'a'));
    }
}

/* Whoever is killed between a layer's way to the trash and the end of its link: the number may
 * be another layer's the next time. */
TEST(a_stale_link_never_names_another_chains_layer)
{
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE];
    char target[64];

    scene_init(&scene);
    layer_make(&scene, 'b', name);
    (void)snprintf(target, sizeof(target), "../layers/%s", name);
    CHECK(symlink(target, scene_path(&scene, "chains/%s", digest_of('a').hex)) == 0);
    CHECK(layer_find(&scene, 'a', name) == -ENOENT);
    CHECK(layer_is_there(&scene, 'b'));
}

/* The same by way of the functions alone, the trash having been emptied. */
TEST(a_number_that_is_used_again_is_no_other_chains)
{
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE];
    char again[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    CHECK(cl_layer_discard(&scene.store, name, &scene.err) == 0);
    CHECK(scene_shell("rm -rf %s/trash/*", scene.root) == 0);
    layer_make(&scene, 'b', again);
    CHECK(!layer_is_there(&scene, 'a') && layer_is_there(&scene, 'b'));
    layer_make(&scene, 'a', name);
    CHECK(layer_is_there(&scene, 'a') && layer_is_there(&scene, 'b'));
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_layer_is_there_when_it_was_committed),
        ROW(the_chains_link_leads_to_the_layer),
        ROW(the_tree_can_be_passed_through_by_the_images_users),
        ROW(the_record_says_what_was_committed),
        ROW(a_record_that_can_not_be_read_is_an_error_and_takes_nothing),
        ROW(each_layer_has_a_number_of_its_own),
        ROW(what_is_there_is_not_begun_again),
        ROW(what_was_given_up_can_be_begun_again),
        ROW(what_is_discarded_is_in_the_trash_and_not_there_any_more),
        ROW(what_is_not_there_can_not_be_discarded),
        ROW(a_sweep_takes_what_nobody_is_at),
        ROW(a_sweep_that_can_not_look_takes_nothing),
        ROW(a_layer_that_was_not_synced_before_a_loss_of_power_is_none),
        ROW(a_layer_that_was_synced_survives_a_loss_of_power),
        ROW(a_mark_that_is_cut_is_another_boots),
        ROW(a_chain_that_leads_nowhere_is_none),
        ROW(a_stale_link_never_names_another_chains_layer),
        ROW(a_number_that_is_used_again_is_no_other_chains),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
