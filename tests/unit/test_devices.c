/* test_devices.c - /dev: its nodes, its template on the host, ptys and shared memory. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/hostdir.h"
#include "room.h"

static struct room room;

static void make_root(void)
{
    room_set_up(&room);
    CHECK(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/root/dev", 0755) == 0);
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
    room.container.root = cl_sys_openat(AT_FDCWD, "/mnt/root", O_PATH, 0);
}

static void check_node(const char *path, unsigned int minor)
{
    struct stat st;

    CHECK(stat(path, &st) == 0);
    CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, minor));
}

static void check_dev(void)
{
    char text[32] = "";
    struct stat st;

    check_node("/mnt/root/dev/null", 3);
    check_node("/mnt/root/dev/zero", 5);
    check_node("/mnt/root/dev/full", 7);
    check_node("/mnt/root/dev/urandom", 9);
    CHECK(readlink("/mnt/root/dev/ptmx", text, sizeof(text) - 1) == 8);
    CHECK_TEXT(text, "pts/ptmx");
    CHECK(access("/mnt/root/dev/pts/ptmx", R_OK | W_OK) == 0);
    CHECK(stat("/mnt/root/dev/shm", &st) == 0 && (st.st_mode & 07777) == 01777);
    CHECK(room_write("/mnt/root/dev/new", "x") == -EROFS);
    CHECK(room_write("/mnt/root/dev/shm/new", "x") == 0);
    CHECK(access("/mnt/root/dev/mem", F_OK) < 0 && access("/mnt/root/dev/console", F_OK) < 0);
}

static void bind_the_hosts(void)
{
    make_root();
    CHECK(cl_devices_make(&room.container, &room.err) == 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_DEVICES)) != 0);
    check_dev();
    CHECK(room_write("/mnt/root/dev/null", "x") == 0);
    CHECK(room_write("/mnt/root/dev/full", "x") == -ENOSPC);
    CHECK(faccessat(room.container.scratch, "shm/new", F_OK, 0) == 0); /* is a part of scratch */
}

TEST(the_hosts_nodes_are_bound)
{
    room_run(bind_the_hosts);
}

static void give_shm_a_size(void)
{
    struct statfs fs;

    make_root();
    room.plan.limits.shm_bytes = 1 << 20;
    cl_plan_mark(&room.plan, CL_FIELD_SHM_SIZE);
    CHECK(cl_devices_make(&room.container, &room.err) == 0);
    check_dev();
    CHECK(statfs("/mnt/root/dev/shm", &fs) == 0);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize == 1 << 20 && fs.f_files == 1024);
}

TEST(shared_memory_may_have_a_size)
{
    room_run(give_shm_a_size);
}

static void refuse_links(void)
{
    make_root();
    CHECK(rmdir("/mnt/root/dev") == 0 && symlink("/mnt", "/mnt/root/dev") == 0);
    CHECK(cl_devices_make(&room.container, &room.err) == -ELOOP);
    CHECK_HAS(room.err.msg, "/dev in the image");
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_DEVICES)) == 0);
}

TEST(a_dev_that_is_a_link_is_refused)
{
    room_run(refuse_links);
}

/* --- the template ------------------------------------------------------------------------- */

/* Here nobody can make nodes: nothing is left of the attempt. */
static void fail_to_make_a_template(void)
{
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    CHECK(cl_devices_template() == -1);
    CHECK(access("/var/lib/cloister", F_OK) == 0);
    CHECK(rmdir("/var/lib/cloister") == 0);
}

TEST(a_template_that_can_not_be_made_leaves_nothing)
{
    room_run(fail_to_make_a_template);
}

static void open_host_dirs(void)
{
    struct stat st;

    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    int dir = cl_hostdir_open();
    CHECK(dir >= 0 && fstat(dir, &st) == 0 && (st.st_mode & 07777) == 0711);
    CHECK(chmod("/var/lib/cloister", 0731) == 0);
    CHECK(cl_hostdir_open() == -EPERM); /* others could put something into it */
    CHECK(chmod("/var/lib/cloister", 0711) == 0 && cl_hostdir_open() >= 0);
    CHECK(rmdir("/var/lib/cloister") == 0 && symlink("/mnt", "/var/lib/cloister") == 0);
    CHECK(cl_hostdir_open() < 0);
    CHECK(unlink("/var/lib/cloister") == 0 && room_write("/var/lib/cloister", "") == 0);
    CHECK(cl_hostdir_open() == -ENOTDIR);
}

TEST(the_hosts_directory_is_roots_alone)
{
    room_run(open_host_dirs);
}

/* Real root in a mount namespace: nodes can be made. */
static void make_a_template(void)
{
    struct stat st;
    struct stat again;

    CHECK(cl_sys_unshare(CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755") == 0);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", MS_NODEV, "mode=0755") == 0);
    CHECK(cl_devices_template() == -1); /* nodes mean nothing there */
    CHECK(umount("/var/lib") == 0);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    (void)umask(077);
    int tree = cl_devices_template();
    CHECK(tree >= 0);
    CHECK(fstatat(tree, "null", &st, 0) == 0 && st.st_rdev == makedev(1, 3));
    CHECK((st.st_mode & 07777) == 0666);
    int other = cl_devices_template();
    CHECK(fstatat(other, "null", &again, 0) == 0 && again.st_ino == st.st_ino);
    CHECK(unlinkat(other, "null", 0) < 0 && errno == EROFS);

    (void)umask(0);
    make_root();
    room.container.device_tree = tree;
    CHECK(cl_devices_make(&room.container, &room.err) == 0);
    CHECK(room.container.device_tree == -1);
    check_dev();
}

TEST(a_template_is_made_once)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, to make device nodes");
    check_apart(make_a_template);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_hosts_nodes_are_bound),
        ROW(shared_memory_may_have_a_size),
        ROW(a_dev_that_is_a_link_is_refused),
        ROW(a_template_that_can_not_be_made_leaves_nothing),
        ROW(the_hosts_directory_is_roots_alone),
        ROW(a_template_is_made_once),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
