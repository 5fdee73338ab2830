/* test_bare.c - the bare mount namespace: made once, kept below /run, gone into and left. */
#include <linux/magic.h>
#include <sched.h>
#include <sys/file.h>

#include "base/fault.h"
#include "room.h"

#define KEEPER "/run/cloister-bare"

static struct room room;

/* On one processor: of two namespaces that were made on it the kernel knows the older. */
static void stay_on_one_processor(void)
{
    cpu_set_t one;
    int here = cl_sys_getcpu();

    CHECK(here >= 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)here, &one);
    CHECK(cl_sys_sched_setaffinity(0, &one) == 0);
    /* And so that the room's own namespace is of this processor. */
    CHECK(cl_sys_unshare(CLONE_NEWNS) == 0);
}

static void set_up(void)
{
    room_set_up(&room);
    stay_on_one_processor();
    CHECK(cl_sys_mount("proc", "/proc", "proc", 0, NULL) == 0);
    CHECK(cl_sys_mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == 0);
    (void)cl_sys_umask(022);
}

static ino_t inode_of(const char *path)
{
    struct stat st = {0};

    CHECK(cl_sys_fstatat(AT_FDCWD, path, &st, 0) == 0);
    return st.st_ino;
}

static dev_t device_of(const char *path)
{
    struct stat st = {0};

    CHECK(cl_sys_fstatat(AT_FDCWD, path, &st, 0) == 0);
    return st.st_dev;
}

static ino_t inode_behind(int fd)
{
    struct stat st = {0};

    CHECK(cl_sys_fstat(fd, &st) == 0);
    return st.st_ino;
}

static int is_mounted(const char *path, long type)
{
    struct statfs fs = {0};
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0);

    return fd >= 0 && cl_sys_fstatfs(fd, &fs) == 0 && (long)fs.f_type == type;
}

/* --- keeping it -------------------------------------------------------------------- */

static void make_twice(void)
{
    set_up();
    const int before = check_count_fds();
    const ino_t own = inode_of("/proc/self/ns/mnt");
    CL_CLEANUP_FD int first = cl_bare_open();
    CL_CLEANUP_FD int second = cl_bare_open();
    CHECK(first >= 0 && second >= 0 && inode_behind(first) == inode_behind(second));
    CHECK(inode_behind(first) != own && inode_of("/proc/self/ns/mnt") == own);
    CHECK(is_mounted(KEEPER "/mnt-1", NSFS_MAGIC));
    CHECK(check_count_fds() == before + 2);
    CHECK(cl_sys_wait4(-1, NULL, __WALL, NULL) == -ECHILD);
}

TEST(it_is_made_once)
{
    room_run(make_twice);
}

static void lose_it(void)
{
    set_up();
    CL_CLEANUP_FD int first = cl_bare_open();
    CHECK(cl_sys_umount2(KEEPER "/mnt-1", MNT_DETACH) == 0);
    CL_CLEANUP_FD int second = cl_bare_open();
    CHECK(first >= 0 && second >= 0 && inode_behind(first) != inode_behind(second));
}

TEST(it_is_made_again_when_it_is_gone)
{
    room_run(lose_it);
}

static void mistrust(void)
{
    set_up();
    CHECK(mkdir(KEEPER, 0755) == 0);
    CHECK(cl_bare_open() == -EPERM);
    CHECK(chmod(KEEPER, 0700) == 0 && room_write(KEEPER "/mnt-1", "no namespace") == 0);
    CL_CLEANUP_FD int bare = cl_bare_open();
    CHECK(bare >= 0 && is_mounted(KEEPER "/mnt-1", NSFS_MAGIC));
}

TEST(what_stands_there_is_looked_at)
{
    room_run(mistrust);
}

static void follow_not(void)
{
    set_up();
    CHECK(mkdir("/run/elsewhere", 0700) == 0 && symlink("elsewhere", KEEPER) == 0);
    CHECK(cl_bare_open() == -ENOTDIR);
    CHECK(unlink(KEEPER) == 0 && mkdir(KEEPER, 0700) == 0);
    CHECK(symlink("../elsewhere/mnt-1", KEEPER "/mnt-1") == 0);
    CHECK(cl_bare_open() == -ELOOP);
    CHECK(check_count_entries("/run/elsewhere") == 0);
}

TEST(links_lead_nowhere)
{
    room_run(follow_not);
}

/* As where KEEPER lies on a mount that has peers. */
static void cover(void)
{
    char text[48];

    set_up();
    (void)snprintf(text, sizeof(text), "lacks:%d#2=%d", SYS_mount, EINVAL);
    cl_fault_set(text); /* the first is the helper's */
    CL_CLEANUP_FD int bare = cl_bare_open();
    cl_fault_set(NULL);
    CHECK(bare >= 0 && is_mounted(KEEPER "/mnt-1", NSFS_MAGIC));
    CHECK(is_mounted(KEEPER, TMPFS_MAGIC) && device_of(KEEPER) != device_of("/run"));
}

TEST(it_gets_a_mount_of_its_own_to_lie_on)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(cover);
}

/* As where this namespace has the higher number. */
static void refuse(void)
{
    char text[96];

    set_up();
    /* The second call and the next: what strikes keeps the row after it from counting. */
    (void)snprintf(text, sizeof(text), "lacks:%d#2=%d,%d#2=%d", SYS_mount, EINVAL, SYS_mount,
                   EINVAL);
    cl_fault_set(text);
    CHECK(cl_bare_open() == -EINVAL);
    cl_fault_set(NULL);
    CHECK(device_of(KEEPER) == device_of("/run")); /* no tmpfs is left on it */
    CHECK(unlink(KEEPER "/mnt-1") == 0);
    CHECK(cl_bare_open() == -EINVAL && access(KEEPER "/mnt-1", F_OK) < 0);
    CHECK(cl_sys_unshare(CLONE_NEWNS) == 0); /* another one may do better */
    CL_CLEANUP_FD int bare = cl_bare_open();
    CHECK(bare >= 0);
}

TEST(what_can_not_be_kept_is_not_tried_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(refuse);
}

/* It may be stopped for long, and nobody waits for it. */
static void find_it_locked(void)
{
    set_up();
    CHECK(mkdir(KEEPER, 0700) == 0);
    CL_CLEANUP_FD int other = cl_sys_openat(AT_FDCWD, KEEPER, O_RDONLY | O_DIRECTORY, 0);
    CHECK(other >= 0 && cl_sys_flock(other, LOCK_EX) == 0);
    CHECK(cl_bare_open() == -EAGAIN);
    cl_fd_close(&other);
    CL_CLEANUP_FD int bare = cl_bare_open();
    CHECK(bare >= 0);
}

TEST(a_start_that_makes_one_keeps_nobody_waiting)
{
    room_run(find_it_locked);
}

static void fail_each(void)
{
    static const struct {
        long call;
        int at;
    } rows[] = {
        {SYS_mkdirat, 1},                                         /* KEEPER */
        {SYS_flock, 1},         {SYS_clone, 1},   {SYS_mount, 1}, /* of the helper: propagation */
        {SYS_fsopen, 1},                                          /* the root */
        {SYS_mkdirat, 2},       {SYS_mkdirat, 3}, {SYS_move_mount, 1}, {SYS_fsopen, 2}, /* /proc */
        {SYS_move_mount, 2},    {SYS_fchdir, 1},  {SYS_pivot_root, 1}, {SYS_umount2, 1},
        {SYS_mount_setattr, 1}, {SYS_mount, 2}, /* to keep it */
    };
    char text[48];

    set_up();
    const int before = check_count_fds();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        (void)snprintf(text, sizeof(text), "lacks:%ld#%d=%d", rows[i].call, rows[i].at, EIO);
        cl_fault_set(text);
        CHECK(cl_bare_open() == -EIO);
        CHECK(cl_fault_struck());
        cl_fault_set(NULL);
        CHECK(check_count_fds() == before);
        CHECK(cl_sys_wait4(-1, NULL, __WALL, NULL) == -ECHILD);
        CHECK(!is_mounted(KEEPER "/mnt-1", NSFS_MAGIC));
    }
    CL_CLEANUP_FD int bare = cl_bare_open();
    CHECK(bare >= 0);
}

TEST(each_call_that_makes_it_is_failed)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(fail_each);
}

/* --- there and back ------------------------------------------------------------------- */

static void go_and_return(void)
{
    struct cl_bare_home home = CL_BARE_HOME_INIT;

    set_up();
    CL_CLEANUP_FD int bare = cl_bare_open();
    const int before = check_count_fds();
    const ino_t own = inode_of("/proc/self/ns/mnt");
    CHECK(chdir("/mnt") == 0);
    const ino_t here = inode_of(".");
    CHECK(cl_bare_enter(bare, &home) == 0);
    CHECK(check_count_entries("/") == 2 && check_count_entries("/sys") == 0);
    CHECK(access("/proc/version", R_OK) == 0 && access("/proc/self", F_OK) != 0);
    CHECK(mkdir("/new", 0755) < 0 && errno == EROFS);
    CHECK(cl_bare_leave(&home, &room.err) == 0);
    CHECK(inode_of("/proc/self/ns/mnt") == own && inode_of(".") == here);
    CHECK(check_count_fds() == before);
}

TEST(nothing_of_the_host_is_in_it)
{
    room_run(go_and_return);
}

/* Before Linux 6.11. */
static void go_without_the_ioctl(void)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "lacks:%d=%d", SYS_ioctl, ENOTTY);
    cl_fault_set(text);
    go_and_return();
    CHECK(cl_fault_struck());
    cl_fault_set(NULL);
}

TEST(an_old_kernels_namespace_is_found_in_proc)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(go_without_the_ioctl);
}

static void return_to_a_chroot(void)
{
    struct cl_bare_home home = CL_BARE_HOME_INIT;

    set_up();
    CL_CLEANUP_FD int bare = cl_bare_open();
    CHECK(mkdir("/mnt/jail", 0755) == 0 && mkdir("/mnt/jail/proc", 0755) == 0 &&
          mkdir("/mnt/jail/inner", 0755) == 0);
    CHECK(cl_sys_mount("proc", "/mnt/jail/proc", "proc", 0, NULL) == 0);
    CHECK(chdir("/mnt/jail") == 0 && cl_sys_chroot(".") == 0 && chdir("/inner") == 0);
    CHECK(cl_bare_enter(bare, &home) == 0);
    CHECK(cl_bare_leave(&home, &room.err) == 0);
    CHECK(access("/inner", F_OK) == 0 && access("/mnt", F_OK) != 0);
    CHECK(inode_of(".") == inode_of("/inner"));
}

TEST(who_was_in_a_chroot_returns_to_it)
{
    room_run(return_to_a_chroot);
}

/* What the helper leaves behind there would be the chroot's mount alone. */
static void make_in_a_chroot(void)
{
    set_up();
    CHECK(cl_sys_mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL) == 0);
    CHECK(chdir("/mnt") == 0 && cl_sys_chroot(".") == 0);
    CHECK(cl_bare_open() == -EXDEV);
    CHECK(!is_mounted(KEEPER "/mnt-1", NSFS_MAGIC));
}

TEST(none_is_made_in_a_chroot)
{
    room_run(make_in_a_chroot);
}

/* A mount namespace that somebody else has put there. */
static void enter_another(void)
{
    struct cl_bare_home home = CL_BARE_HOME_INIT;

    set_up();
    CHECK(mkdir(KEEPER, 0700) == 0 && chdir("/mnt") == 0);
    CL_CLEANUP_FD int first = cl_sys_openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY, 0);
    const ino_t here = inode_of(".");
    CHECK(first >= 0 && cl_sys_unshare(CLONE_NEWNS) == 0);
    const ino_t own = inode_of("/proc/self/ns/mnt");
    CHECK(cl_bare_enter(first, &home) == -EXDEV);
    CHECK(home.mntns < 0 && inode_of("/proc/self/ns/mnt") == own && inode_of(".") == here);
    CHECK(cl_bare_leave(&home, &room.err) == 0);
}

TEST(what_is_not_bare_is_left_again)
{
    room_run(enter_another);
}

static void stay(void)
{
    struct cl_bare_home home = CL_BARE_HOME_INIT;

    set_up();
    const ino_t own = inode_of("/proc/self/ns/mnt");
    CHECK(cl_bare_leave(&home, &room.err) == 0);
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
    const int before = check_count_fds();
    CHECK(cl_bare_enter(null, &home) == -EINVAL);
    CHECK(check_count_fds() == before && inode_of("/proc/self/ns/mnt") == own);
}

TEST(who_can_not_go_stays)
{
    room_run(stay);
}

/* Whoever is stranded finds none of the paths that its clean-up needs. */
static void return_at_the_second_try(void)
{
    struct cl_bare_home home = CL_BARE_HOME_INIT;
    char text[48];

    set_up();
    CL_CLEANUP_FD int bare = cl_bare_open();
    const ino_t own = inode_of("/proc/self/ns/mnt");
    CHECK(cl_bare_enter(bare, &home) == 0);
    (void)snprintf(text, sizeof(text), "lacks:%d#1=%d", SYS_setns, ENOMEM);
    cl_fault_set(text);
    CHECK(cl_bare_leave(&home, &room.err) == 0);
    cl_fault_set(NULL);
    CHECK(inode_of("/proc/self/ns/mnt") == own);
    CHECK(cl_bare_enter(bare, &home) == 0);
    (void)snprintf(text, sizeof(text), "lacks:%d=%d", SYS_setns, ENOMEM);
    cl_fault_set(text);
    CHECK(cl_bare_leave(&home, &room.err) == -ENOMEM);
    cl_fault_set(NULL);
    CHECK_TEXT(room.err.msg, "return from the bare mount namespace: Cannot allocate memory");
}

TEST(a_return_that_fails_is_tried_again)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(return_at_the_second_try);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(it_is_made_once),
        ROW(it_is_made_again_when_it_is_gone),
        ROW(what_stands_there_is_looked_at),
        ROW(links_lead_nowhere),
        ROW(it_gets_a_mount_of_its_own_to_lie_on),
        ROW(a_start_that_makes_one_keeps_nobody_waiting),
        ROW(what_can_not_be_kept_is_not_tried_again),
        ROW(each_call_that_makes_it_is_failed),
        ROW(nothing_of_the_host_is_in_it),
        ROW(an_old_kernels_namespace_is_found_in_proc),
        ROW(who_was_in_a_chroot_returns_to_it),
        ROW(none_is_made_in_a_chroot),
        ROW(what_is_not_bare_is_left_again),
        ROW(who_can_not_go_stays),
        ROW(a_return_that_fails_is_tried_again),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
