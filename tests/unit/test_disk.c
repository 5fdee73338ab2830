/* test_disk.c - scratch on disk: a file without a name, by a loop device that clears itself. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

#define MIB (1ULL << 20)

static void replace_mke2fs(const char *script)
{
    CHECK(room_write("/mnt/mke2fs", script) == 0 && chmod("/mnt/mke2fs", 0755) == 0);
    CHECK(mount("/mnt/mke2fs", "/usr/sbin/mke2fs", NULL, MS_BIND, NULL) == 0);
}

static void fail_early(void)
{
    struct cl_plan plan = {.limits = {.disk_bytes = 16 * MIB}, .scratch = CL_SCRATCH_DISK};
    const struct cl_container container = {.plan = &plan};
    struct cl_error err = {0};

    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    CHECK(mkdir("/var/lib/cloister", 0777) == 0 && chmod("/var/lib/cloister", 0777) == 0);
    CHECK(cl_disk_scratch_make(&container, &err) == -EPERM); /* open to everybody */
    CHECK_TEXT(err.msg, "make a file in /var/lib/cloister: Operation not "
                        "permitted; a --disk of at most half of --memory needs no disk");
    CHECK(rmdir("/var/lib/cloister") == 0);
    replace_mke2fs("#!/bin/sh\nexit 3\n");
    CHECK(cl_disk_scratch_make(&container, &err) == -EIO);
    CHECK_TEXT(err.msg, "mke2fs ended with exit status 3, as it does where "
                        "/var/lib/cloister is full; make room there (df); a --disk of at most half "
                        "of --memory needs no disk");
    replace_mke2fs("#!/bin/sh\nkill -9 $$\n");
    CHECK(cl_disk_scratch_make(&container, &err) == -EIO);
    CHECK_HAS(err.msg, "mke2fs was ended by signal 9");
    replace_mke2fs("#!/nowhere\n");
    CHECK(cl_disk_scratch_make(&container, &err) == -ENOENT);
    CHECK_HAS(err.msg, "install e2fsprogs; a --disk of at most half of --memory needs no disk");
    plan.scratch = CL_SCRATCH_MEMORY; /* an overlay wants it on disk: no size is small enough */
    CHECK(cl_disk_scratch_make(&container, &err) == -ENOENT);
    CHECK(strstr(err.msg, "at most half") == NULL);
    CHECK(rmdir("/var/lib/cloister") == 0); /* the file never had a name */
}

TEST(failures_leave_nothing)
{
    if (access("/usr/sbin/mke2fs", X_OK) < 0)
        SKIP_TEST("needs e2fsprogs");
    room_run(fail_early);
}

/* What mke2fs is asked for, in a room that has no loop devices for it. */
static void ask_mke2fs(void)
{
    struct cl_plan plan = {.limits = {.disk_bytes = 16 * MIB}};
    const struct cl_container container = {.plan = &plan};
    struct cl_error err = {0};
    char text[64] = "";

    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    replace_mke2fs("#!/bin/sh\nfor last; do :; done\nstat -L -c '%s %a %h' $last > /mnt/seen\n");
    CHECK(room_write("/mnt/empty", "") == 0);
    CHECK(mount("/mnt/empty", "/dev/loop-control", NULL, MS_BIND, NULL) == 0);
    CHECK(cl_disk_scratch_make(&container, &err) < 0);
    CHECK_HAS(err.msg, "find a free loop device");
    CHECK(room_read(AT_FDCWD, "/mnt/seen", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "16777216 600 0\n"); /* size, mode, names */
    CHECK(rmdir("/var/lib/cloister") == 0);
}

TEST(the_file_is_ours_alone_and_has_no_name)
{
    if (access("/usr/sbin/mke2fs", X_OK) < 0 || access("/dev/loop-control", F_OK) < 0)
        SKIP_TEST("needs e2fsprogs and loop devices");
    room_run(ask_mke2fs);
}

static void make_ext4(void)
{
    struct cl_plan plan = {.limits = {.disk_bytes = 16 * MIB}};
    const struct cl_container container = {.plan = &plan};
    struct cl_error err = {0};
    struct statfs fs = {0};

    CHECK(cl_sys_unshare(CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    CL_CLEANUP_FD int tree = cl_disk_scratch_make(&container, &err);
    CHECK_TEXT(err.msg, "");
    CHECK(tree >= 0 && fstatfs(tree, &fs) == 0 && fs.f_type == EXT4_SUPER_MAGIC);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize <= 16 * MIB);
    CHECK((uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize > 12 * MIB);
    CHECK(mkdirat(tree, "mine", 0700) == 0);
}

TEST(a_file_system_on_disk_has_the_size)
{
    int status = -1;

    if (geteuid() != 0 || access("/usr/sbin/mke2fs", X_OK) < 0 ||
        access("/dev/loop-control", W_OK) < 0)
        SKIP_TEST("needs root, e2fsprogs and loop devices");
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        make_ext4();
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(failures_leave_nothing),
        ROW(the_file_is_ours_alone_and_has_no_name),
        ROW(a_file_system_on_disk_has_the_size),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
