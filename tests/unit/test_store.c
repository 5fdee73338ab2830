/* test_store.c - the image store: where it is, whose it is, its locks and its files. */
#include <grp.h>

#include "base/boot.h"
#include "store_scene.h"

enum { SOMEBODY = 12345 }; /* a user that no host has */

/* --- opening ------------------------------------------------------------------------------ */

TEST(there_is_none_until_one_is_made)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init_bare(&scene);
    CHECK(cl_store_open(0, &scene.store, &scene.err) == -ENOENT);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(scene.store.dir == -1);
    CHECK(check_count_entries(scene.dir) == 0);
    CHECK(cl_store_open(1, &scene.store, &scene.err) == 0);
    CHECK(scene.store.dir >= 0 && fcntl(scene.store.dir, F_GETFD) == FD_CLOEXEC);
    CHECK_TEXT(scene.store.path, scene.root);
    cl_store_done(&scene.store);
    CHECK(scene.store.dir == -1);
    CHECK(cl_store_open(0, &scene.store, &scene.err) == 0);
}

static const char *const directories[] = {
    "",     "blobs", "blobs/sha256", "downloads", "layers", "chains", "launch",
    "refs", "work",  "images",       "names",     "leases", "trash",
};

TEST(it_has_the_directories_of_the_documentation_for_its_owner_alone)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct stat status;

    scene_init(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++) {
        CHECK(stat(scene_path(&scene, "%s", directories[i]), &status) == 0);
        CHECK(S_ISDIR(status.st_mode) && (status.st_mode & 07777) == 0700);
    }
    CHECK_TEXT(scene_read(&scene, "oci-layout"), "{\"imageLayoutVersion\": \"1.0.0\"}\n");
    CHECK(scene_shell("exit $(find %s -perm /077 ! -type l | wc -l)", scene.root) == 0);
}

/* What the umask of the caller is doesn't matter. */
TEST(an_odd_umask_makes_the_same_store)
{
    static const mode_t masks[] = {0, 0777};

    for (size_t i = 0; i < CL_ARRAY_SIZE(masks); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct stat status;

        scene_init_bare(&scene);
        const mode_t old = umask(masks[i]);
        int r = cl_store_open(1, &scene.store, &scene.err);
        (void)umask(old);
        if (r < 0)
            continue; /* as an ordinary user, with a directory that is not even the owner's */
        CHECK(stat(scene.root, &status) == 0);
        CHECK((status.st_mode & 077) == 0);
    }
}

TEST(what_is_missing_of_it_is_made_again)
{
    for (size_t i = 1; i < CL_ARRAY_SIZE(directories); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        scene_write(&scene, "blobs/sha256/x", "x", 1);
        cl_store_done(&scene.store);
        CHECK(scene_shell("rm -rf %s/%s", scene.root, directories[i]) == 0);
        CHECK(cl_store_open(1, &scene.store, &scene.err) == 0);
        CHECK(scene_has(&scene, directories[i]));
        CHECK(scene_has(&scene, "blobs/sha256/x") == (i > 2));
    }
}

/* Two at once make one store. */
TEST(two_may_make_it_at_once)
{
    for (int round = 0; round < 20; round++) {
        CL_CLEANUP_SCENE struct scene scene;
        struct other other;

        scene_init_bare(&scene);
        if (other_start(&other)) {
            CHECK(cl_store_open(1, &scene.store, &scene.err) == 0);
            CHECK_TEXT(scene.err.msg, "");
            other_exit();
        }
        CHECK(cl_store_open(1, &scene.store, &scene.err) == 0);
        CHECK_TEXT(scene.err.msg, "");
        other_join(&other);
        CHECK_TEXT(scene_read(&scene, "oci-layout"), "{\"imageLayoutVersion\": \"1.0.0\"}\n");
    }
}

TEST(one_that_others_may_read_or_write_is_refused)
{
    static const mode_t modes[] = {0710, 0750, 0701, 0705, 0720, 0702, 0777, 01777};

    for (size_t i = 0; i < CL_ARRAY_SIZE(modes); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene);
        cl_store_done(&scene.store);
        CHECK(chmod(scene.root, modes[i]) == 0);
        for (int make = 0; make <= 1; make++) {
            scene.err = (struct cl_error){0};
            CHECK(cl_store_open(make, &scene.store, &scene.err) < 0);
            CHECK(scene.store.dir == -1 && scene.err.code != ENOENT);
            CHECK_HAS(scene.err.msg, scene.root);
        }
        CHECK(chmod(scene.root, 0700) == 0);
    }
}

TEST(one_of_somebody_else_is_refused)
{
    if (geteuid() != 0)
        SKIP_TEST("gives a directory to another");
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    cl_store_done(&scene.store);
    CHECK(chown(scene.root, SOMEBODY, SOMEBODY) == 0);
    for (int make = 0; make <= 1; make++) {
        scene.err = (struct cl_error){0};
        CHECK(cl_store_open(make, &scene.store, &scene.err) < 0);
        CHECK(scene.store.dir == -1);
        CHECK_HAS(scene.err.msg, scene.root);
    }
}

TEST(what_is_no_directory_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init_bare(&scene);
    CHECK(scene_shell("echo >%s", scene.root) == 0);
    for (int make = 0; make <= 1; make++) {
        scene.err = (struct cl_error){0};
        CHECK(cl_store_open(make, &scene.store, &scene.err) == -ENOTDIR);
        CHECK_HAS(scene.err.msg, scene.root);
    }
}

TEST(a_path_that_is_too_long_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;
    char path[4096 + 16];

    scene_init_bare(&scene);
    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    path[sizeof(path) - 2] = 'x';
    CHECK(setenv("CLOISTER_STORE", path, 1) == 0);
    CHECK(cl_store_open(0, &scene.store, &scene.err) == -ENAMETOOLONG);
    CHECK(scene.err.msg[0] != '\0');
}

/* Another one than was meant would be worse than none. */
TEST(a_relative_path_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init_bare(&scene);
    CHECK(setenv("CLOISTER_STORE", "store", 1) == 0);
    for (int make = 0; make <= 1; make++) {
        CHECK(cl_store_open(make, &scene.store, &scene.err) == -EINVAL);
        CHECK_TEXT(scene.err.msg, "CLOISTER_STORE must be an absolute path, not \"store\"");
    }
}

TEST(why_it_can_not_be_made_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;

    scene_init_bare(&scene);
    fault_call(SYS_mkdirat, 3, EROFS); /* after / and /tmp */
    CHECK(cl_store_open(1, &scene.store, &scene.err) == -EROFS);
    cl_fault_set(NULL);
    CHECK_HAS(scene.err.msg, ": Read-only file system; CLOISTER_STORE names another place");
#endif
}

/* --- where it is ---------------------------------------------------------------------------- */

static struct scene *place; /* for check_apart */

static void open_as_somebody(void)
{
    CHECK(setgroups(0, NULL) == 0 && setresgid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK(unsetenv("CLOISTER_STORE") == 0 && unsetenv("XDG_DATA_HOME") == 0);
    CHECK(setenv("HOME", place->dir, 1) == 0);
    CHECK(cl_store_open(1, &place->store, &place->err) == 0);
    CHECK_TEXT(place->err.msg, "");
    CHECK_HAS(place->store.path, "/.local/share/cloister/images");
    cl_store_done(&place->store);
    CHECK(setenv("XDG_DATA_HOME", place->root, 1) == 0);
    CHECK(cl_store_open(1, &place->store, &place->err) == 0);
    CHECK_HAS(place->store.path, "/store/cloister/images");
    cl_store_done(&place->store);
    /* The XDG specification: relative paths are invalid and have to be ignored. */
    CHECK(setenv("XDG_DATA_HOME", "store", 1) == 0);
    CHECK(cl_store_open(0, &place->store, &place->err) == 0);
    CHECK_HAS(place->store.path, "/.local/share/cloister/images");
}

TEST(an_ordinary_users_is_below_the_home_directory)
{
    if (geteuid() != 0)
        SKIP_TEST("has to be somebody else");
    CL_CLEANUP_SCENE struct scene scene;

    scene_init_bare(&scene);
    CHECK(chown(scene.dir, SOMEBODY, SOMEBODY) == 0);
    place = &scene;
    check_apart(open_as_somebody);
    CHECK(scene_shell("[ -d %s/.local/share/cloister/images/layers ]", scene.dir) == 0);
    CHECK(scene_shell("[ -d %s/cloister/images/layers ]", scene.root) == 0);
}

static void open_without_a_home(void)
{
    CHECK(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    CHECK(unsetenv("CLOISTER_STORE") == 0 && unsetenv("XDG_DATA_HOME") == 0);
    CHECK(unsetenv("HOME") == 0);
    CHECK(cl_store_open(1, &place->store, &place->err) < 0);
    CHECK_HAS(place->err.msg, "set HOME or XDG_DATA_HOME");
}

TEST(who_has_no_home_is_told_what_to_set)
{
    if (geteuid() != 0)
        SKIP_TEST("has to be somebody else");
    CL_CLEANUP_SCENE struct scene scene;

    scene_init_bare(&scene);
    place = &scene;
    check_apart(open_without_a_home);
    place = NULL;
}

/* --- locks ------------------------------------------------------------------------------------ */

static int lock(const struct scene *scene, enum cl_store_lock what, const struct cl_digest *digest,
                int how)
{
    return cl_store_lock(&scene->store, what, digest, how);
}

TEST(many_share_a_lock_and_one_has_it_alone)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CL_CLEANUP_FD int one = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED);
    CL_CLEANUP_FD int two = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED);
    CHECK(one >= 0 && two >= 0 && fcntl(one, F_GETFD) == FD_CLOEXEC);
    CHECK(lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE) == -EAGAIN);
    cl_fd_close(&one);
    CHECK(lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE) == -EAGAIN);
    cl_fd_close(&two);
    CL_CLEANUP_FD int alone = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    CHECK(alone >= 0);
    CHECK(lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED) == -EAGAIN);
    CHECK(lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE) == -EAGAIN);
}

TEST(each_chain_and_each_blob_has_a_lock_of_its_own)
{
    static const char digits[] = "0123456789abcdef";
    CL_CLEANUP_SCENE struct scene scene;
    int held[2 * 16 + 1];
    size_t count = 0;

    scene_init(&scene);
    held[count++] = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    for (size_t i = 0; i < 16; i++) {
        const struct cl_digest digest = digest_of(digits[i]);

        held[count++] = lock(&scene, CL_STORE_CHAIN, &digest, CL_LOCK_EXCLUSIVE);
        held[count++] = lock(&scene, CL_STORE_BLOB, &digest, CL_LOCK_EXCLUSIVE);
        CHECK(lock(&scene, CL_STORE_CHAIN, &digest, CL_LOCK_EXCLUSIVE) == -EAGAIN);
        CHECK(lock(&scene, CL_STORE_BLOB, &digest, CL_LOCK_SHARED) == -EAGAIN);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(held[i] >= 0);
        cl_fd_close(&held[i]);
    }
    struct stat status;
    CHECK(stat(scene_path(&scene, "locks"), &status) == 0 && status.st_size == 0);
}

TEST(a_lock_goes_with_who_held_it)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_digest chain = digest_of('c');
    struct other other;

    scene_init(&scene);
    if (other_start(&other)) {
        CL_CLEANUP_FD int fd = lock(&scene, CL_STORE_CHAIN, &chain, CL_LOCK_EXCLUSIVE);

        CHECK(fd >= 0);
        other_say(&other, 'x');
        pause_ms(60000);
        other_exit();
    }
    CHECK(other_hear(&other) == 'x');
    CHECK(lock(&scene, CL_STORE_CHAIN, &chain, CL_LOCK_EXCLUSIVE) == -EAGAIN);
    other_kill(&other);
    CL_CLEANUP_FD int fd = lock(&scene, CL_STORE_CHAIN, &chain, CL_LOCK_EXCLUSIVE);
    CHECK(fd >= 0);
}

/* Process-associated locks would be lost with any descriptor of the file that is closed. */
TEST(a_lock_stays_when_another_of_the_same_process_goes)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_digest chain = digest_of('c');
    struct other other;

    scene_init(&scene);
    CL_CLEANUP_FD int fd = lock(&scene, CL_STORE_CHAIN, &chain, CL_LOCK_EXCLUSIVE);
    CL_CLEANUP_FD int second = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED);
    cl_fd_close(&second);
    if (other_start(&other)) {
        CHECK(lock(&scene, CL_STORE_CHAIN, &chain, CL_LOCK_EXCLUSIVE) == -EAGAIN);
        other_exit();
    }
    other_join(&other);
}

TEST(who_waits_gets_it_when_it_is_free)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    CL_CLEANUP_FD int fd = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    if (other_start(&other)) {
        cl_fd_close(&fd); /* the parent's stays: they share the open file */
        CL_CLEANUP_FD int got = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED | CL_LOCK_WAIT);

        CHECK(got >= 0);
        other_say(&other, 'x');
        other_exit();
    }
    CHECK(other_waits_in(&other, SYS_fcntl));
    cl_fd_close(&fd);
    CHECK(other_hear(&other) == 'x');
    other_join(&other);
}

static void ignore_signal(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_the_wait)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct other other;

    scene_init(&scene);
    CL_CLEANUP_FD int fd = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE);
    if (other_start(&other)) {
        const struct sigaction action = {.sa_handler = ignore_signal};

        CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
        CHECK(lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE | CL_LOCK_WAIT) == -EINTR);
        other_exit();
    }
    CHECK(other_waits_in(&other, SYS_fcntl));
    CHECK(kill(other.pid, SIGUSR1) == 0);
    other_join(&other);
}

/* --- files ------------------------------------------------------------------------------------ */

TEST(names_are_directory_and_digits)
{
    char name[CL_STORE_NAME_SIZE];
    const struct cl_digest digest = digest_of('a');

    cl_store_name("blobs/sha256", &digest, name);
    CHECK(strlen(name) == 13 + 64);
    CHECK(strncmp(name, "blobs/sha256/aaaa", 17) == 0);
    CHECK_TEXT(name + 13, digest.hex);
}

TEST(a_file_is_put_in_the_place_of_another)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct stat status;

    scene_init(&scene);
    CHECK(cl_store_put(&scene.store, "names/x", "first", 5, &scene.err) == 0);
    CHECK_TEXT(scene_read(&scene, "names/x"), "first");
    const int count = scene_count(&scene, "");
    CL_CLEANUP_FD int old = open(scene_path(&scene, "names/x"), O_RDONLY | O_CLOEXEC);
    CHECK(cl_store_put(&scene.store, "names/x", "2", 1, &scene.err) == 0);
    CHECK_TEXT(scene_read(&scene, "names/x"), "2");
    char text[8] = "";
    CHECK(read(old, text, sizeof(text)) == 5); /* who reads the old one sees all of it */
    CHECK(cl_store_put(&scene.store, "names/x", "", 0, &scene.err) == 0);
    CHECK_TEXT(scene_read(&scene, "names/x"), "");
    CHECK(scene_count(&scene, "") == count);
    CHECK(stat(scene_path(&scene, "names/x"), &status) == 0);
    CHECK((status.st_mode & 07177) == 0);
}

TEST(a_file_is_put_whole_or_not_at_all)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(cl_store_put(&scene.store, "names/x", "first", 5, &scene.err) == 0);
    const int count = scene_count(&scene, "");
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_store_put(&scene.store, "names/x", "2", 1, &scene.err);
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK_TEXT(scene_read(&scene, "names/x"), r == 0 ? "2" : "first");
        CHECK(scene_count(&scene, "") == count);
        CHECK(cl_store_put(&scene.store, "names/x", "first", 5, &scene.err) == 0);
    }
}

TEST(a_full_disk_is_told_with_the_cure)
{
    static const int codes[] = {ENOSPC, EDQUOT};
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    for (size_t i = 0; i < CL_ARRAY_SIZE(codes); i++) {
        struct cl_error err = {0};

        CHECK(cl_store_hint(&scene.store, cl_fail(&err, codes[i], "write x"), &err) == -codes[i]);
        CHECK_HAS(err.msg, "write x: ");
        CHECK_HAS(err.msg, scene.root);
        CHECK_HAS(err.msg, "; ");
    }
    struct cl_error err = {0};
    CHECK(cl_store_hint(&scene.store, cl_fail(&err, EBADF, "write x"), &err) == -EBADF);
    CHECK_TEXT(err.msg, "write x: Bad file descriptor");
}

TEST(what_is_not_there_is_as_good_as_removed)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene);
    CHECK(cl_store_put(&scene.store, "names/x", "first", 5, &scene.err) == 0);
    CHECK(cl_store_remove(&scene.store, "names/x", &scene.err) == 0);
    CHECK(!scene_has(&scene, "names/x"));
    CHECK(cl_store_remove(&scene.store, "names/x", &scene.err) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(cl_store_remove(&scene.store, "layers", &scene.err) < 0);
    CHECK(scene.err.msg[0] != '\0' && scene_has(&scene, "layers"));
}

TEST(the_boots_id_is_the_kernels)
{
    char id[CL_BOOT_ID_SIZE] = "";
    char text[64] = "";
    struct cl_error err = {0};
    CL_CLEANUP_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0 && read(fd, text, sizeof(text)) >= 36);
    CHECK(cl_boot_id(id, &err) == 0);
    CHECK(strlen(id) == 36 && strncmp(id, text, 36) == 0);
}

TEST(what_fails_is_told_and_leaves_nothing_open)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    char id[CL_BOOT_ID_SIZE] = "";

    scene_init_bare(&scene);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_store_open(1, &scene.store, &scene.err);
        fault_end(&faults);
        CHECK(r == 0 || (r == -EIO && scene.err.msg[0] != '\0'));
        CHECK((r == 0) == (scene.store.dir >= 0));
        cl_store_done(&scene.store);
        CHECK(check_count_fds() == scene.before);
        if (faults.struck)
            CHECK(scene_shell("rm -rf %s", scene.root) == 0);
    }
    CHECK(cl_store_open(0, &scene.store, &scene.err) == 0);
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        fault_begin(&faults);
        int fd = lock(&scene, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED | CL_LOCK_WAIT);
        fault_end(&faults);
        CHECK(fd >= 0 || fd == -EIO);
        CHECK(faults.struck == (fd < 0));
        cl_fd_close(&fd);
        CHECK(check_count_fds() == scene.before + 1);
    }
    for (struct faults faults = FAULTS_INIT; faults.struck;) {
        scene.err = (struct cl_error){0};
        fault_begin(&faults);
        int r = cl_store_sync(&scene.store, &scene.err);
        r = r < 0 ? r : cl_boot_id(id, &scene.err);
        r = r < 0 ? r : cl_store_remove(&scene.store, "names/x", &scene.err);
        fault_end(&faults);
        CHECK(faults.struck == (r == -EIO) && (r == 0 || scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == scene.before + 1);
    }
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(there_is_none_until_one_is_made),
        ROW(it_has_the_directories_of_the_documentation_for_its_owner_alone),
        ROW(an_odd_umask_makes_the_same_store),
        ROW(what_is_missing_of_it_is_made_again),
        ROW(two_may_make_it_at_once),
        ROW(one_that_others_may_read_or_write_is_refused),
        ROW(one_of_somebody_else_is_refused),
        ROW(what_is_no_directory_is_refused),
        ROW(a_path_that_is_too_long_is_refused),
        ROW(a_relative_path_is_refused),
        ROW(why_it_can_not_be_made_is_told),
        ROW(an_ordinary_users_is_below_the_home_directory),
        ROW(who_has_no_home_is_told_what_to_set),
        ROW(many_share_a_lock_and_one_has_it_alone),
        ROW(each_chain_and_each_blob_has_a_lock_of_its_own),
        ROW(a_lock_goes_with_who_held_it),
        ROW(a_lock_stays_when_another_of_the_same_process_goes),
        ROW(who_waits_gets_it_when_it_is_free),
        ROW(a_signal_ends_the_wait),
        ROW(names_are_directory_and_digits),
        ROW(a_file_is_put_in_the_place_of_another),
        ROW(a_file_is_put_whole_or_not_at_all),
        ROW(a_full_disk_is_told_with_the_cure),
        ROW(what_is_not_there_is_as_good_as_removed),
        ROW(the_boots_id_is_the_kernels),
        ROW(what_fails_is_told_and_leaves_nothing_open),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
