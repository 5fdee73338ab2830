/* test_stored_layers_left.c - more of test_stored_layers.c, by the same scene. */
#include "layer_scene.h"

/* Killed after the rename and before the link: the layer is nobody's, and its chain free. */
TEST(a_layer_without_a_link_does_not_stand_in_the_way)
{
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE];
    char again[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    layer_make(&scene, 'a', name);
    CHECK(unlink(scene_path(&scene, "chains/%s", digest_of('a').hex)) == 0);
    CHECK(!layer_is_there(&scene, 'a'));
    layer_make(&scene, 'a', again);
    CHECK(strcmp(name, again) != 0 && layer_is_there(&scene, 'a'));
}

TEST(what_else_lies_in_the_work_directory_does_not_stop_a_sweep)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(mkdir(scene_path(&scene, "work/7"), 0700) == 0); /* killed before the tree was made */
    CHECK(mkdir(scene_path(&scene, "work/8"), 0700) == 0);
    CHECK(mkdir(scene_path(&scene, "work/8/tree"), 0700) == 0);
    scene_write(&scene, "work/new-0123456789abcdef", "x", 1); /* of cl_store_put */
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(!scene_has(&scene, "work/7") && !scene_has(&scene, "work/8"));
}

/* A directory that half of a commit has filled can be committed over: each fault leaves the store
 * so that the same can be done again. */
TEST(whatever_fails_of_a_commit_it_can_be_done_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    int nth = 0;

    scene_init(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck; nth++) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        char name[CL_LAYER_NAME_SIZE];

        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        layer_fill(&work, 'a');
        fault_begin(&faults);
        int r = layer_commit(&scene, 'a', &work);
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK(!faults.struck || r < 0 || layer_is_there(&scene, 'a'));
        cl_layer_work_done(&work);
        CHECK(check_count_fds() == scene.before + 1);
        if (r < 0 && !layer_is_there(&scene, 'a'))
            layer_make(&scene, 'a', name);
        CHECK(layer_is_there(&scene, 'a'));
        CHECK(layer_find(&scene, 'a', name) == 0);
        CHECK(cl_layer_discard(&scene.store, name, &scene.err) == 0);
    }
    CHECK(nth > 3);
#endif
}

/* What the store has of 'a', which a process was at that was killed: a layer is there whole, and is
 * found, or there is none; and whoever goes on makes it. */
static void check_after_a_kill(struct scene *scene)
{
    const char *link = digest_of('a').hex;
    char name[CL_LAYER_NAME_SIZE];
    char path[PATH_MAX];
    const int is_there = layer_is_there(scene, 'a');

    (void)snprintf(path, sizeof(path), "chains/%s/record", link);
    CHECK(scene_has(scene, path) == is_there);
    (void)snprintf(path, sizeof(path), "chains/%s/tree/file", link);
    CHECK(scene_has(scene, path) == is_there);
    CHECK(check_count_entries(scene_path(scene, "layers")) == is_there);
    if (!is_there)
        layer_make(scene, 'a', name);
    CHECK(layer_find(scene, 'a', name) == 0);
    CHECK(cl_layers_sweep(&scene->store, &scene->err) >= 0);
    CHECK(check_count_entries(scene_path(scene, "layers")) == 1);
    CHECK(cl_layer_discard(&scene->store, name, &scene->err) == 0);
    CHECK(scene_shell("rm -rf %s/trash/*", scene->root) == 0); /* so that numbers come again */
}

/* At each call from a layer's beginning to its commit; and among them, between its link, which
 * leads nowhere yet, and its way into its place. */
TEST(whoever_is_killed_leaves_a_whole_layer_or_none)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    int links_alone = 0;
    int status = SIGKILL;
    int nth = 1;

    scene_init(&scene);
    for (; status == SIGKILL; nth++) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        char fault[32];
        char path[PATH_MAX];

        (void)snprintf(fault, sizeof(fault), "dies:%d", nth);
        (void)snprintf(path, sizeof(path), "chains/%s", digest_of('a').hex);
        pid_t pid = fork();
        if (pid == 0) {
            cl_fault_set(fault);
            int r = layer_begin(&scene, 'a', 0, &work);
            if (r == 0)
                layer_fill(&work, 'a');
            _exit(r < 0 || layer_commit(&scene, 'a', &work) < 0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && (status == 0 || status == SIGKILL));
        links_alone += scene_has(&scene, path) && !layer_is_there(&scene, 'a');
        check_after_a_kill(&scene);
        CHECK(unlink(scene_path(&scene, "%s", path)) == 0);
    }
    CHECK(status == 0 && nth > 20 && links_alone > 0);
#endif
}

TEST(whatever_fails_of_a_begin_leaves_nothing_held)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        CL_CLEANUP(cl_layer_work_done) struct cl_layer_work work = CL_LAYER_WORK_INIT;

        fault_begin(&faults);
        int r = layer_begin(&scene, 'a', 0, &work);
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK(r == 0 || (work.lock == -1 && work.tree == -1));
        cl_layer_work_done(&work);
        CHECK(check_count_fds() == scene.before + 1);
    }
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
#endif
}

/* A failure is never taken for a layer that isn't there: a collection would remove it. */
TEST(whatever_fails_of_a_search_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    CHECK(layer_commit(&scene, 'a', &work) == 0); /* with its mark */
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        fault_begin(&faults);
        int r = layer_find(&scene, 'a', name);
        fault_end(&faults);
        CHECK(r == (faults.struck ? -EIO : 0) && (r == 0 || scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 1);
    }
    CHECK(layer_find(&scene, 'a', name) == 0);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        struct cl_layer_record record = {0};

        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_layer_read(&scene.store, name, &scene.arena, &record, &scene.err);
        fault_end(&faults);
        CHECK(faults.struck == (r == -EIO) && (r == 0 || scene.err.msg[0] != '\0'));
    }
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_layer_mark_synced(&scene.store, name, &scene.err);
        fault_end(&faults);
        CHECK(faults.struck == (r == -EIO) && (r == 0 || scene.err.msg[0] != '\0'));
    }
#endif
}

TEST(whatever_fails_of_a_sweep_or_a_discard_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    char name[CL_LAYER_NAME_SIZE];

    scene_init(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;

        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        cl_layer_work_done(&work);
        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_layers_sweep(&scene.store, &scene.err);
        fault_end(&faults);
        CHECK(r >= 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 1);
    }
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        layer_make(&scene, 'b', name);
        fault_begin(&faults);
        int r = cl_layer_discard(&scene.store, name, &scene.err);
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK(!layer_is_there(&scene, 'b') || r < 0);
        if (layer_is_there(&scene, 'b'))
            CHECK(cl_layer_discard(&scene.store, name, &scene.err) == 0);
        CHECK(check_count_fds() == scene.before + 1);
    }
#endif
}

TEST(one_chain_is_made_by_one_at_a_time)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP(cl_layer_work_done) struct cl_layer_work work = CL_LAYER_WORK_INIT;
    struct other other;

    scene_init(&scene);
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    if (other_start(&other)) {
        struct cl_layer_work own = CL_LAYER_WORK_INIT;

        CHECK(layer_begin(&scene, 'a', 0, &own) == -EAGAIN);
        CHECK(own.lock == -1 && own.tree == -1);
        CHECK(layer_begin(&scene, 'b', 0, &own) == 0); /* another chain is free */
        layer_fill(&own, 'b');
        CHECK(layer_commit(&scene, 'b', &own) == 0);
        other_exit();
    }
    other_join(&other);
    CHECK(layer_is_there(&scene, 'b'));
}

TEST(who_waits_is_told_that_the_other_committed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    struct other other;

    scene_init(&scene);
    CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
    if (other_start(&other)) {
        struct cl_layer_work own = CL_LAYER_WORK_INIT;

        cl_layer_work_done(&work); /* the parent's stays */
        CHECK(layer_begin(&scene, 'a', 1, &own) == -EEXIST);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(own.lock == -1 && own.tree == -1);
        CHECK(layer_is_there(&scene, 'a'));
        other_exit();
    }
    CHECK(other_waits_in(&other, SYS_fcntl));
    layer_fill(&work, 'a');
    CHECK(layer_commit(&scene, 'a', &work) == 0);
    other_join(&other);
    CHECK(check_count_entries(scene_path(&scene, "layers")) == 1);
}

TEST(who_waits_has_it_when_the_other_is_killed)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_layer_work work = CL_LAYER_WORK_INIT;
    struct other other;

    scene_init(&scene);
    if (other_start(&other)) {
        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        layer_fill(&work, 'x');
        other_say(&other, 'x');
        pause_ms(60000);
        other_exit();
    }
    CHECK(other_hear(&other) == 'x');
    CHECK(layer_begin(&scene, 'a', 0, &work) == -EAGAIN);
    other_kill(&other);
    CHECK(layer_begin(&scene, 'a', 1, &work) == 0);
    layer_fill(&work, 'a');
    CHECK(layer_commit(&scene, 'a', &work) == 0);
    CHECK(layer_is_there(&scene, 'a'));
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    CHECK(check_count_entries(scene_path(&scene, "work")) == 0);
}

/* A collection has looked at the leases, which name chains, and now looks for layers that none
 * needs: one that is committed meanwhile would be among them. */
TEST(a_layer_is_committed_before_a_collection_or_after_it)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    CL_CLEANUP_FD int collect = -1;
    if (other_start(&other)) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;

        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        layer_fill(&work, 'a');
        other_say(&other, 'x');
        pause_ms(100);
        CHECK(layer_commit(&scene, 'a', &work) == 0);
        other_exit();
    }
    CHECK(other_hear(&other) == 'x');
    collect = cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    CHECK(collect >= 0);
    CHECK(other_waits_in(&other, SYS_fcntl));
    CHECK(check_count_entries(scene_path(&scene, "layers")) == 0);
    CHECK(!layer_is_there(&scene, 'a'));
    CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
    cl_fd_close(&collect);
    other_join(&other);
    CHECK(layer_is_there(&scene, 'a'));
}

/* A sweep must not take the directory of somebody who is just beginning. */
TEST(a_sweep_and_those_who_begin_do_not_meet)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    if (other_start(&other)) {
        for (int i = 0; i < 300; i++) {
            CL_CLEANUP_FD int collect = cl_store_lock(&scene.store, CL_STORE_COLLECT, NULL,
                                                      CL_LOCK_EXCLUSIVE | CL_LOCK_WAIT);

            CHECK(collect >= 0);
            CHECK(cl_layers_sweep(&scene.store, &scene.err) >= 0);
            CHECK_TEXT(scene.err.msg, "");
        }
        other_exit();
    }
    for (int i = 0; i < 300; i++) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        char name[CL_LAYER_NAME_SIZE];

        CHECK(layer_begin(&scene, 'a', 0, &work) == 0);
        CHECK_TEXT(scene.err.msg, "");
        layer_fill(&work, 'a');
        CHECK(layer_commit(&scene, 'a', &work) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(layer_find(&scene, 'a', name) == 0);
        CHECK(cl_layer_discard(&scene.store, name, &scene.err) == 0);
    }
    other_join(&other);
}

/* Both choose the numbers of their directories while the other's become layers. */
TEST(two_that_make_layers_never_get_one_number)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    const int is_other = other_start(&other);
    for (int i = 0; i < 300; i++) {
        struct cl_layer_work work = CL_LAYER_WORK_INIT;
        const char chain = is_other ? 'a' : 'b';
        char name[CL_LAYER_NAME_SIZE];

        CHECK(layer_begin(&scene, chain, 0, &work) == 0);
        CHECK(layer_commit(&scene, chain, &work) == 0);
        CHECK_TEXT(scene.err.msg, "");
        CHECK(layer_find(&scene, chain, name) == 0);
        CHECK(unlink(scene_path(&scene, "chains/%s", digest_of(chain).hex)) == 0);
        cl_layer_work_done(&work);
    }
    if (is_other)
        other_exit();
    other_join(&other);
    CHECK(check_count_entries(scene_path(&scene, "layers")) == 600);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_layer_without_a_link_does_not_stand_in_the_way),
        ROW(what_else_lies_in_the_work_directory_does_not_stop_a_sweep),
        ROW(whatever_fails_of_a_commit_it_can_be_done_again),
        ROW(whoever_is_killed_leaves_a_whole_layer_or_none),
        ROW(whatever_fails_of_a_begin_leaves_nothing_held),
        ROW(whatever_fails_of_a_search_is_told),
        ROW(whatever_fails_of_a_sweep_or_a_discard_is_told),
        ROW(one_chain_is_made_by_one_at_a_time),
        ROW(who_waits_is_told_that_the_other_committed),
        ROW(who_waits_has_it_when_the_other_is_killed),
        ROW(a_layer_is_committed_before_a_collection_or_after_it),
        ROW(a_sweep_and_those_who_begin_do_not_meet),
        ROW(two_that_make_layers_never_get_one_number),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
