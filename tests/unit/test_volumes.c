/* test_volumes.c - what the caller shares, and file systems of the sandbox's own. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

static struct room room;

static void make_root(const struct cl_plan_file *file)
{
    room_set_up(&room);
    CHECK(mkdir("/mnt/root", 0755) == 0 || errno == EEXIST);
    CHECK(mkdir("/mnt/scratch", 0755) == 0 || errno == EEXIST);
    CHECK(mkdir("/mnt/shared", 0755) == 0 || errno == EEXIST);
    CHECK(room_write("/mnt/shared/file", "theirs") == 0);
    room.container.root = cl_sys_openat(AT_FDCWD, "/mnt/root", O_PATH, 0);
    room.container.scratch = cl_sys_openat(AT_FDCWD, "/mnt/scratch", O_PATH, 0);
    room.container.root_grows = 1;
    room.plan.image_kind = CL_IMAGE_HOST; /* no tree of its own is to be opened */
    room.plan.files = (struct cl_files){file, 1};
    room.container.volume_trees[0] = -1;
}

static int attach(const struct cl_plan_file *file)
{
    make_root(file);
    int r = cl_sources_open(&room.container, &room.err);

    return r < 0 ? r : cl_volumes_attach(&room.container, &room.err);
}

static int attach_bind(enum cl_file_mode mode, const char *source, const char *target)
{
    static struct cl_plan_file file;

    file = (struct cl_plan_file){
        .kind = CL_FILE_BIND, .mode = mode, .source = source, .target = target};
    return attach(&file);
}

static void bind_them(void)
{
    char text[16];

    CHECK(attach_bind(CL_FILE_RO, "/mnt/shared", "/ro") == 0);
    CHECK(room.container.volume_trees[0] == -1);
    CHECK(room_read(AT_FDCWD, "/mnt/root/ro/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "theirs");
    CHECK(room_write("/mnt/root/ro/file", "ours") == -EROFS);

    CHECK(attach_bind(CL_FILE_COPY, "/mnt/shared", "/deep/copy") == 0);
    CHECK(room_write("/mnt/root/deep/copy/file", "ours") == 0);
    CHECK(room_write("/mnt/root/deep/copy/new", "ours") == 0);
    CHECK(room_read(AT_FDCWD, "/mnt/shared/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "theirs");

    CHECK(attach_bind(CL_FILE_RW, "/mnt/shared/file", "/file") == 0);
    CHECK(room_write("/mnt/root/file", "ours") == 0);
    CHECK(room_read(AT_FDCWD, "/mnt/shared/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "ours");
    CHECK(access("/mnt/shared/new", F_OK) < 0);
}

TEST(volumes_are_read_copied_or_written)
{
    room_run(bind_them);
}

static void mark(void)
{
    struct statfs fs;

    CHECK(attach_bind(CL_FILE_RW, "/mnt/shared", "/rw") == 0);
    CHECK(statfs("/mnt/root/rw", &fs) == 0);
    CHECK((fs.f_flags & 0x6) == 0x6); /* ST_NOSUID and ST_NODEV */
    CHECK(statfs("/mnt/shared", &fs) == 0 && (fs.f_flags & 0x6) == 0);
}

TEST(set_uid_files_and_nodes_mean_nothing_there)
{
    room_run(mark);
}

static void refuse(void)
{
    CHECK(attach_bind(CL_FILE_RO, "/mnt/none", "/a") == -ENOENT);
    CHECK_HAS(room.err.msg, "/mnt/none");
    CHECK(mkfifo("/mnt/fifo", 0600) == 0);
    CHECK(attach_bind(CL_FILE_RO, "/mnt/fifo", "/a") == -EINVAL);
    CHECK_HAS(room.err.msg, "neither a directory nor a regular file");
    CHECK(attach_bind(CL_FILE_RO, "/dev/null", "/a") == -EINVAL);
    CHECK(attach_bind(CL_FILE_COPY, "/mnt/shared/file", "/a") == -EINVAL);
    CHECK_HAS(room.err.msg, "only directories can be copy");
    CHECK(access("/mnt/root/a", F_OK) < 0);
    CHECK(mkdir("/mnt/root/dir", 0755) == 0);
    CHECK(attach_bind(CL_FILE_RO, "/mnt/shared/file", "/dir") == -EISDIR);
}

TEST(other_sources_are_refused)
{
    room_run(refuse);
}

static void make_own(void)
{
    struct cl_plan_file file = {
        .kind = CL_FILE_TMPFS, .mode = CL_FILE_RW, .source = "", .target = "/own"};
    struct statfs fs;
    struct stat st;

    CHECK(attach(&file) == 0);
    CHECK(stat("/mnt/root/own", &st) == 0 && (st.st_mode & 07777) == 01777);
    CHECK(room_write("/mnt/root/own/new", "x") == 0);
    CHECK(access("/mnt/scratch/t0/new", F_OK) == 0); /* a directory of scratch */
    file.target = "/sized";
    file.size_bytes = 1 << 20;
    file.permissions = 0750;
    CHECK(attach(&file) == 0);
    CHECK(stat("/mnt/root/sized", &st) == 0 && (st.st_mode & 07777) == 0750);
    CHECK(statfs("/mnt/root/sized", &fs) == 0);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize == 1 << 20 && fs.f_files == 1024);
}

TEST(a_tmpfs_is_of_scratch_or_has_a_size)
{
    room_run(make_own);
}

/* In root mode, who owns the source decides; that it is refused needs no privilege. */
static void refuse_roots(void)
{
    room_set_up(&room);
    struct cl_plan_file file = {
        .kind = CL_FILE_BIND, .mode = CL_FILE_RW, .source = "/mnt/shared", .target = "/rw"};
    make_root(&file);
    room.container.rootless = 0;
    CHECK(cl_sources_open(&room.container, &room.err) == -EPERM);
    CHECK_HAS(room.err.msg, "belongs to root");
    CHECK_HAS(room.err.msg, "/mnt/shared:/rw:copy");
}

TEST(roots_files_are_not_shared_for_writing)
{
    room_run(refuse_roots);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(volumes_are_read_copied_or_written),
        ROW(set_uid_files_and_nodes_mean_nothing_there),
        ROW(other_sources_are_refused),
        ROW(a_tmpfs_is_of_scratch_or_has_a_size),
        ROW(roots_files_are_not_shared_for_writing),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
