/* test_procfs.c - the sandbox's /proc and what of it is covered. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "room.h"

static struct room room;

/* Scratch is laid out by hand: whoever stands on a root that is mounted over counts as
 * chrooted, and makes no user namespaces. */
static void make_root(void)
{
    room_set_up(&room);
    CHECK(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/root/proc", 0755) == 0);
    CHECK(mkdir("/mnt/empty", 0555) == 0 && room_write("/mnt/nothing", "") == 0);
    room.container.scratch = cl_sys_openat(AT_FDCWD, "/mnt", O_PATH, 0);
    room.container.root = cl_sys_openat(AT_FDCWD, "/mnt/root", O_PATH, 0);
}

enum cover { READ_ONLY, EMPTY_FILE, EMPTY_DIR };

/* Word for word, so that a row of policy/procfs.def that goes or gets weaker is noticed. */
static const struct {
    const char *path;
    enum cover cover;
} covered[] = {
    {"sys", READ_ONLY},
    {"bus", READ_ONLY},
    {"fs", READ_ONLY},
    {"irq", READ_ONLY},
    {"sysrq-trigger", EMPTY_FILE},
    {"kcore", EMPTY_FILE},
    {"keys", EMPTY_FILE},
    {"key-users", EMPTY_FILE},
    {"timer_list", EMPTY_FILE},
    {"latency_stats", EMPTY_FILE},
    {"sched_debug", EMPTY_FILE},
    {"interrupts", EMPTY_FILE},
    {"kallsyms", EMPTY_FILE},
    {"acpi", EMPTY_DIR},
    {"asound", EMPTY_DIR},
    {"scsi", EMPTY_DIR},
    {"driver", EMPTY_DIR},
};

static void check_cover(const char *path, enum cover cover)
{
    const unsigned long flags = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC;
    const int failures = check_failures;
    struct statvfs fs;
    char text[8];

    CHECK(statvfs(path, &fs) == 0 && (fs.f_flag & flags) == flags);
    if (cover == EMPTY_FILE) {
        CHECK(room_read(AT_FDCWD, path, text, sizeof(text)) == 0 && text[0] == '\0');
        CHECK(room_write(path, "x") == -EROFS);
    }
    CHECK(cover != EMPTY_DIR || check_count_entries(path) == 0);
    if (check_failures > failures)
        printf("# %s\n", path);
}

static int count_covered(void)
{
    char path[64];
    struct stat st;
    int count = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(covered); i++) {
        (void)snprintf(path, sizeof(path), "/mnt/root/proc/%s", covered[i].path);
        if (stat(path, &st) < 0)
            continue; /* not in this kernel */
        count++;
        check_cover(path, covered[i].cover);
    }
    return count;
}

static int make_user_namespace(void)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(cl_sys_unshare(CLONE_NEWUSER) < 0);
    CHECK(waitpid(child, &status, 0) == child);
    return status == 0;
}

static void mask(void)
{
    char text[32] = "";

    make_root();
    CHECK(cl_procfs_make(&room.container, &room.err) == 0);
    CHECK(readlink("/mnt/root/proc/self", text, sizeof(text) - 1) == 1);
    CHECK_TEXT(text, "1"); /* of our own pid namespace */
    CHECK(make_user_namespace());
    CHECK(cl_procfs_mask(&room.container, &room.err) == 0);
    CHECK(count_covered() > 5);
    CHECK(!make_user_namespace());
    CHECK(room_read(AT_FDCWD, "/mnt/root/proc/sys/user/max_user_namespaces", text, 32) == 0);
    CHECK_TEXT(text, "0\n");
    CHECK(room_write("/mnt/root/proc/sys/user/max_user_namespaces", "9") == -EROFS);
    CHECK(room_write("/mnt/root/proc/self/comm", "test") == 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_PROCMASK)) != 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_USERNS_LIMIT)) != 0);
}

TEST(what_speaks_of_the_host_is_covered)
{
    room_run(mask);
}

/* A directory in place of /proc has all that any kernel has. */
static void make_stand_in(void)
{
    char path[64];

    CHECK(room_write("/mnt/root/proc/uptime", "x") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(covered); i++) {
        int length = snprintf(path, sizeof(path), "/mnt/root/proc/%s", covered[i].path);

        if (covered[i].cover != EMPTY_FILE) {
            CHECK(mkdir(path, 0755) == 0);
            (void)snprintf(path + length, sizeof(path) - (size_t)length, "/entry");
        }
        CHECK(room_write(path, "x") == 0);
    }
    room.container.proc = cl_sys_openat(AT_FDCWD, "/mnt/root/proc", O_PATH, 0);
    room.container.rootless = 0; /* its files for limits are the kernel's alone */
    room.plan.without = CL_LAYER_BIT(CL_LAYER_USERNS_LIMIT);
}

static void mask_everything(void)
{
    make_root();
    make_stand_in();
    CHECK(cl_procfs_mask(&room.container, &room.err) == 0);
    CHECK(count_covered() == (int)CL_ARRAY_SIZE(covered));
    CHECK(room_write("/mnt/root/proc/uptime", "x") == 0); /* no row has it */
}

TEST(each_part_is_covered_on_a_kernel_that_has_it)
{
    room_run(mask_everything);
}

static void limit(void)
{
    char text[32] = "";

    make_root();
    CHECK(cl_procfs_make(&room.container, &room.err) == 0);
    CHECK(cl_procfs_mask(&room.container, &room.err) == 0);
    CHECK(room_read(AT_FDCWD, "/mnt/root/proc/sys/user/max_inotify_instances", text, 32) == 0);
    CHECK_TEXT(text, "32\n");
    CHECK(room_read(AT_FDCWD, "/mnt/root/proc/sys/user/max_inotify_watches", text, 32) == 0);
    CHECK_TEXT(text, "8192\n");
}

/* Root's sandboxes have pools of their own: the kernel's limits hold for each. */
static void limit_none(void)
{
    char before[32] = "";
    char text[32] = "";

    make_root();
    room.container.rootless = 0;
    CHECK(cl_procfs_make(&room.container, &room.err) == 0);
    CHECK(room_read(AT_FDCWD, "/mnt/root/proc/sys/user/max_inotify_watches", before, 32) == 0);
    CHECK(cl_procfs_mask(&room.container, &room.err) == 0);
    CHECK(room_read(AT_FDCWD, "/mnt/root/proc/sys/user/max_inotify_watches", text, 32) == 0);
    CHECK_TEXT(text, before);
}

TEST(the_callers_pools_are_left_to_the_caller)
{
    room_run(limit);
    room_run(limit_none);
}

static void leave_out(void)
{
    make_root();
    room.plan.without = CL_LAYER_BIT(CL_LAYER_PROCMASK) | CL_LAYER_BIT(CL_LAYER_USERNS_LIMIT);
    CHECK(cl_procfs_make(&room.container, &room.err) == 0);
    CHECK(cl_procfs_mask(&room.container, &room.err) == 0);
    CHECK(make_user_namespace());
    CHECK(room_write("/mnt/root/proc/sys/user/max_user_namespaces", "9") == 0);
    CHECK((room.report.layers &
           (CL_LAYER_BIT(CL_LAYER_PROCMASK) | CL_LAYER_BIT(CL_LAYER_USERNS_LIMIT))) == 0);
}

TEST(layers_that_are_left_out_cover_nothing)
{
    room_run(leave_out);
}

static void refuse_links(void)
{
    make_root();
    CHECK(rmdir("/mnt/root/proc") == 0 && symlink("/mnt", "/mnt/root/proc") == 0);
    CHECK(cl_procfs_make(&room.container, &room.err) == -ELOOP);
    CHECK_HAS(room.err.msg, "/proc in the image");
}

TEST(a_proc_that_is_a_link_is_refused)
{
    room_run(refuse_links);
}

/* The errno of a /proc made in further namespaces, below this one's. */
static int make_deeper(void)
{
    int status = -1;
    pid_t outer = fork();

    if (outer == 0) {
        if (cl_sys_unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
            _exit(255);
        pid_t inner = fork();
        if (inner == 0) {
            room.container.root = cl_sys_openat(AT_FDCWD, "/mnt/root", O_PATH, 0); /* the copy */
            int r = cl_procfs_make(&room.container, &room.err);

            _exit(r < 0 && strstr(room.err.msg, "inside another container") == NULL ? 255 : -r);
        }
        _exit(waitpid(inner, &status, 0) == inner ? WEXITSTATUS(status) : 255);
    }
    CHECK(waitpid(outer, &status, 0) == outer);
    return -WEXITSTATUS(status);
}

/* All there are: a host may have more than one, in a tree that somebody is building. */
static void cover_every_proc(void)
{
    char target[512];
    FILE *mounts = setmntent("/proc/self/mounts", "r");

    CHECK(mounts != NULL);
    for (struct mntent *row = getmntent(mounts); row != NULL; row = getmntent(mounts)) {
        if (strcmp(row->mnt_type, "proc") != 0)
            continue;
        (void)snprintf(target, sizeof(target), "%s/uptime", row->mnt_dir);
        CHECK(mount("/mnt/cover", target, NULL, MS_BIND, NULL) == 0);
    }
    (void)endmntent(mounts);
}

static void cover_parts(void)
{
    make_root();
    CHECK(make_deeper() == 0);
    CHECK(room_write("/mnt/cover", "") == 0);
    cover_every_proc();
    CHECK(make_deeper() == -EPERM);
}

TEST(a_host_whose_proc_is_covered_is_told)
{
    room_run(cover_parts);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_speaks_of_the_host_is_covered),
        ROW(each_part_is_covered_on_a_kernel_that_has_it),
        ROW(the_callers_pools_are_left_to_the_caller),
        ROW(layers_that_are_left_out_cover_nothing),
        ROW(a_proc_that_is_a_link_is_refused),
        ROW(a_host_whose_proc_is_covered_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
