/* test_worker_scratch.c - the directories of a worker's guests: who gets which, and that what a
 * guest leaves goes, whatever it is, or is given up. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "worker/scratch.h"

enum { MOST = 4, AT_ONCE = 64 };

struct scene {
    char path[64];
    int root; /* of the worker */
    struct cl_scratch scratch;
    struct cl_error err;
};

static void remove_tree(const char *path)
{
    int status = -1;

    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A root, and what is outside of it beside it. */
static struct scene make_bare(void)
{
    struct scene scene = {.path = "/var/tmp/cloister-test-scratch-XXXXXX", .root = -1};

    scene.scratch = CL_SCRATCH_INIT;
    CL_ASSERT(mkdtemp(scene.path) != NULL);
    CL_CLEANUP_FD int outer = open(scene.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(mkdirat(outer, "root", 0700) == 0 && mkdirat(outer, "outside", 0700) == 0);
    CHECK(mkdirat(outer, "outside/kept", 0700) == 0);
    CL_CLEANUP_FD int file = openat(outer, "outside/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    scene.root = openat(outer, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(scene.root >= 0);
    return scene;
}

static struct scene make(void)
{
    struct scene scene = make_bare();

    CHECK(cl_scratch_init(&scene.scratch, scene.root, MOST, &scene.err) == 0);
    return scene;
}

static void done(struct scene *scene)
{
    cl_scratch_done(&scene->scratch);
    cl_fd_close(&scene->root);
    remove_tree(scene->path);
}
#define CLEANUP_SCENE CL_CLEANUP(done)

static int count_in(const struct scene *scene, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", scene->path, name);
    return check_count_entries(path);
}

static int is_outside_whole(const struct scene *scene)
{
    return count_in(scene, "outside") == 2 && count_in(scene, "outside/kept") == 0;
}

static int is_all_gone(const struct scene *scene)
{
    return count_in(scene, "root/.trash") == 0;
}

static uint32_t take(struct scene *scene, int *ret_fd)
{
    uint32_t number = UINT32_MAX;

    *ret_fd = cl_scratch_take(&scene->scratch, &number);
    CHECK(*ret_fd >= 0 && number != UINT32_MAX);
    return number;
}

/* Of a guest that was here. */
static void give(struct scene *scene, uint32_t number, int *fd)
{
    cl_fd_close(fd);
    cl_scratch_give(&scene->scratch, number, 1);
}

/* How often it takes; more than MOST_TIMES is for ever. */
static int work(struct scene *scene, int most_times)
{
    int times = 0;

    while (scene->scratch.has_trash && times <= most_times) {
        cl_scratch_work(&scene->scratch);
        times++;
    }
    CHECK(times <= most_times);
    return times;
}

static void put_file(int at, const char *name)
{
    CL_CLEANUP_FD int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, "data", 4) == 4);
}

/* COUNT files of their own name. */
static void put_files(int at, int count)
{
    char name[16];

    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        put_file(at, name);
    }
}

/* --- giving and taking --------------------------------------------------------------------- */

TEST(each_guest_has_an_empty_directory_of_its_own)
{
    CLEANUP_SCENE struct scene scene = make();
    int fds[2] = {-1, -1};
    struct stat st[2] = {0};

    const uint32_t first = take(&scene, &fds[0]);
    const uint32_t second = take(&scene, &fds[1]);
    CHECK(first != second && count_in(&scene, "root/.guests") == 2);
    for (int i = 0; i < 2; i++) {
        CHECK(fstat(fds[i], &st[i]) == 0 && (st[i].st_mode & 0777) == 0700);
        CHECK(faccessat(fds[i], "tmp", F_OK, 0) == 0);
        CHECK(fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
    }
    CHECK(st[0].st_ino != st[1].st_ino);
    CHECK(count_in(&scene, "root/.guests/0") == 1 && count_in(&scene, "root/.guests/0/tmp") == 0);
    for (int i = 0; i < 2; i++)
        cl_fd_close(&fds[i]);
}

TEST(one_that_nobody_was_in_is_the_next_guests)
{
    CLEANUP_SCENE struct scene scene = make();
    int fd = -1;

    const uint32_t number = take(&scene, &fd);
    cl_fd_close(&fd);
    cl_scratch_give(&scene.scratch, number, 0);
    CHECK(!scene.scratch.has_trash);
    CHECK(take(&scene, &fd) == number && count_in(&scene, "root/.guests") == 1);
    cl_fd_close(&fd);
}

TEST(one_that_somebody_was_in_is_nobodys)
{
    CLEANUP_SCENE struct scene scene = make();
    int fd = -1;
    int other = -1;

    const uint32_t number = take(&scene, &fd);
    put_file(fd, "secret");
    give(&scene, number, &fd);
    CHECK(scene.scratch.has_trash && count_in(&scene, "root/.guests") == 0);
    CHECK(take(&scene, &other) != number && faccessat(other, "secret", F_OK, 0) < 0);
    (void)work(&scene, 8);
    CHECK(is_all_gone(&scene));
    cl_fd_close(&other);
}

TEST(no_more_wait_for_guests_than_there_may_be)
{
    CLEANUP_SCENE struct scene scene = make();
    uint32_t numbers[MOST + 1];

    for (size_t i = 0; i <= MOST; i++) {
        int fd = -1;

        numbers[i] = take(&scene, &fd);
        cl_fd_close(&fd);
    }
    for (size_t i = 0; i <= MOST; i++)
        cl_scratch_give(&scene.scratch, numbers[i], 0);
    CHECK(scene.scratch.clean_count == MOST && scene.scratch.has_trash);
    (void)work(&scene, 8);
    CHECK(is_all_gone(&scene) && count_in(&scene, "root/.guests") == MOST);
}

/* --- what guests leave --------------------------------------------------------------------- */

TEST(a_wide_tree_goes_in_pieces)
{
    CLEANUP_SCENE struct scene scene = make();
    char name[16];
    int fd = -1;

    const uint32_t number = take(&scene, &fd);
    put_files(fd, 500);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "d%d", i);
        CHECK(mkdirat(fd, name, 0700) == 0);
        CL_CLEANUP_FD int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put_file(below, "below");
    }
    give(&scene, number, &fd);
    cl_scratch_work(&scene.scratch);
    CHECK(scene.scratch.has_trash);
    CHECK(count_in(&scene, "root/.trash/0") + count_in(&scene, "root/.trash") > 800 - AT_ONCE);
    CHECK(work(&scene, 200) > 1300 / AT_ONCE - 2);
    CHECK(is_all_gone(&scene));
}

TEST(a_deep_tree_goes)
{
    enum { DEPTH = 3000 }; /* its path has more than PATH_MAX bytes */
    CLEANUP_SCENE struct scene scene = make();
    int fd = -1;

    const uint32_t number = take(&scene, &fd);
    for (int i = 0; i < DEPTH; i++) {
        CHECK(mkdirat(fd, "deep", 0700) == 0);
        put_file(fd, "file");
        const int below = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cl_fd_close(&fd);
        fd = below;
    }
    give(&scene, number, &fd);
    (void)work(&scene, DEPTH + 8); /* a level at a time, at least */
    CHECK(is_all_gone(&scene));
}

TEST(links_are_not_followed)
{
    CLEANUP_SCENE struct scene scene = make();
    char outside[96];
    int fd = -1;

    (void)snprintf(outside, sizeof(outside), "%s/outside", scene.path);
    const uint32_t number = take(&scene, &fd);
    CHECK(symlinkat(outside, fd, "absolute") == 0);
    CHECK(symlinkat("../../../outside", fd, "relative") == 0);
    CHECK(symlinkat("..", fd, "up") == 0 && symlinkat("round", fd, "round") == 0);
    CHECK(unlinkat(fd, "tmp", AT_REMOVEDIR) == 0 && symlinkat(outside, fd, "tmp") == 0);
    CHECK(linkat(scene.root, "../outside/file", fd, "hard", 0) == 0);
    CHECK(mknodat(fd, "fifo", S_IFIFO | 0600, 0) == 0);
    give(&scene, number, &fd);
    (void)work(&scene, 8);
    CHECK(is_all_gone(&scene) && is_outside_whole(&scene));
}

TEST(one_guest_after_the_other)
{
    CLEANUP_SCENE struct scene scene = make();

    for (int i = 0; i < 200; i++) {
        int fd = -1;
        const uint32_t number = take(&scene, &fd);

        put_files(fd, i % 5);
        CHECK(faccessat(fd, "f0", F_OK, 0) == (i % 5 == 0 ? -1 : 0));
        if (i % 5 == 0)
            CHECK(unlinkat(fd, "f0", 0) < 0 && errno == ENOENT); /* no other's */
        cl_fd_close(&fd);
        cl_scratch_give(&scene.scratch, number, i % 5 != 0);
        if (i % 3 == 0)
            cl_scratch_work(&scene.scratch);
    }
    (void)work(&scene, 100);
    CHECK(is_all_gone(&scene));
}

/* --- what can't be done -------------------------------------------------------------------- */

/* A directory with COUNT files and one that is a directory, for taking down. */
static void leave(struct scene *scene, int count)
{
    int fd = -1;
    const uint32_t number = take(scene, &fd);

    put_files(fd, count);
    give(scene, number, &fd);
}

static void set_lacking(long nr)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "lacks:%ld=%d", nr, EPERM);
    cl_fault_set(text);
}

/* What stays for NR, which fails, is not tried for ever; and again when there is more. */
static void lack(long nr, int count)
{
    CLEANUP_SCENE struct scene scene = make();

    leave(&scene, count);
    set_lacking(nr);
    (void)work(&scene, 3);
    CHECK(cl_fault_struck() && !is_all_gone(&scene));
    cl_fault_set(NULL);
    leave(&scene, 1);
    (void)work(&scene, 20);
    CHECK(is_all_gone(&scene));
}

TEST(what_can_not_be_removed_is_not_tried_for_ever)
{
    lack(SYS_unlinkat, 0);
    lack(SYS_unlinkat, 1);
    lack(SYS_unlinkat, AT_ONCE - 1); /* as many as one looks at, with tmp */
    lack(SYS_unlinkat, 5 * AT_ONCE);
}

TEST(what_can_not_be_moved_opened_or_listed_is_not_tried_for_ever)
{
    lack(SYS_renameat2, 0);
    lack(SYS_openat, 5);
    lack(SYS_getdents64, 5);
    lack(SYS_lseek, 5);
}

TEST(many_that_can_not_be_removed_are_not_tried_for_ever)
{
    CLEANUP_SCENE struct scene scene = make();

    for (int i = 0; i < 3 * AT_ONCE; i++)
        leave(&scene, 1);
    set_lacking(SYS_unlinkat);
    (void)work(&scene, 3);
    cl_fault_set(NULL);
    CHECK(!is_all_gone(&scene));
}

TEST(what_can_not_be_set_aside_is_nobodys)
{
    CLEANUP_SCENE struct scene scene = make();
    int fd = -1;
    const uint32_t number = take(&scene, &fd);

    set_lacking(SYS_renameat2);
    give(&scene, number, &fd);
    CHECK(cl_fault_struck() && !scene.scratch.has_trash);
    cl_fault_set(NULL);
    CHECK(take(&scene, &fd) != number);
    cl_fd_close(&fd);
}

/* --- faults -------------------------------------------------------------------------------- */

/* Sets the Nth fault of KIND. */
static void strike(const char *kind, int n)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%s:%d", kind, n);
    cl_fault_set(text);
}

/* Whether the Nth fault of KIND struck. */
static int fail_init(const char *kind, int n)
{
    CLEANUP_SCENE struct scene scene = make_bare();
    const int before = check_count_fds();

    strike(kind, n);
    const int r = cl_scratch_init(&scene.scratch, scene.root, MOST, &scene.err);
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK((r < 0) == struck && (r == 0 || r == -scene.err.code));
    if (r < 0)
        CHECK(check_count_fds() == before && scene.scratch.clean == NULL);
    return struck;
}

TEST(a_beginning_that_fails_leaves_nothing_open)
{
    int n = 1;

    CHECK(fail_init("alloc", 1) && !fail_init("alloc", 2));
    while (fail_init("syscall", n))
        n++;
    CHECK(n == 5);
}

TEST(a_directory_that_can_not_be_made_is_not_there)
{
    CLEANUP_SCENE struct scene scene = make();
    uint32_t number = 0;
    int struck = 1;
    int n = 0;

    while (struck && n < 20) {
        const int before = check_count_fds();

        strike("syscall", ++n);
        CL_CLEANUP_FD int fd = cl_scratch_take(&scene.scratch, &number);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK((fd < 0) == struck);
        CHECK(check_count_fds() == before + !struck);
        CHECK(count_in(&scene, "root/.guests") == !struck);
    }
    CHECK(n == 4);
}

TEST(one_that_can_not_be_opened_waits_on)
{
    CLEANUP_SCENE struct scene scene = make();
    uint32_t number = UINT32_MAX;
    int fd = -1;

    cl_scratch_give(&scene.scratch, take(&scene, &fd), 0);
    cl_fd_close(&fd);
    cl_fault_set("syscall:1:24"); /* as many descriptors as there may be */
    CHECK(cl_scratch_take(&scene.scratch, &number) == -EMFILE && number == UINT32_MAX);
    cl_fault_set(NULL);
    CHECK(take(&scene, &fd) == 0);
    cl_fd_close(&fd);
}

/* A tree whose taking down fails once somewhere: what stays goes with the next. */
static int fail_work(int n)
{
    CLEANUP_SCENE struct scene scene = make();
    const int before = check_count_fds();

    leave(&scene, 3);
    leave(&scene, 0);
    strike("syscall", n);
    (void)work(&scene, 10);
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(check_count_fds() == before);
    leave(&scene, 1);
    (void)work(&scene, 10);
    CHECK(is_all_gone(&scene) && is_outside_whole(&scene));
    return struck;
}

TEST(each_call_of_taking_down_may_fail)
{
    int n = 1;

    while (n < 200 && fail_work(n))
        n++;
    CHECK(n > 10 && n < 200);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_guest_has_an_empty_directory_of_its_own),
        ROW(one_that_nobody_was_in_is_the_next_guests),
        ROW(one_that_somebody_was_in_is_nobodys),
        ROW(no_more_wait_for_guests_than_there_may_be),
        ROW(a_wide_tree_goes_in_pieces),
        ROW(a_deep_tree_goes),
        ROW(links_are_not_followed),
        ROW(one_guest_after_the_other),
        ROW(what_can_not_be_removed_is_not_tried_for_ever),
        ROW(what_can_not_be_moved_opened_or_listed_is_not_tried_for_ever),
        ROW(many_that_can_not_be_removed_are_not_tried_for_ever),
        ROW(what_can_not_be_set_aside_is_nobodys),
        ROW(a_beginning_that_fails_leaves_nothing_open),
        ROW(a_directory_that_can_not_be_made_is_not_there),
        ROW(one_that_can_not_be_opened_waits_on),
        ROW(each_call_of_taking_down_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
