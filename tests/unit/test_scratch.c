/* test_scratch.c - the one file system that holds all that a sandbox writes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)

static struct room room;

TEST(scratch_is_what_others_leave)
{
    struct cl_plan plan = {.limits = {.disk_bytes = 100 * MIB, .shm_bytes = 30 * MIB}};
    const struct cl_plan_file files[] = {
        {.kind = CL_FILE_TMPFS, .target = "/a", .size_bytes = 40 * MIB},
        {.kind = CL_FILE_TMPFS, .target = "/b"}, /* a directory of scratch */
        {.kind = CL_FILE_BIND, .target = "/c"},
    };

    CHECK(cl_scratch_bytes(&plan) == 100 * MIB); /* the value alone sets nothing */
    cl_plan_mark(&plan, CL_FIELD_SHM_SIZE);
    CHECK(cl_scratch_bytes(&plan) == 70 * MIB);
    plan.files = (struct cl_files){files, 3};
    CHECK(cl_scratch_bytes(&plan) == 30 * MIB);
    plan.limits.disk_bytes = 70 * MIB;
    CHECK(cl_scratch_bytes(&plan) == 0);
    plan.limits.disk_bytes = MIB;
    CHECK(cl_scratch_bytes(&plan) == 0);
}

TEST(a_tmpfs_has_a_size_and_inodes)
{
    char size[32];
    char inodes[32];

    cl_tmpfs_size(256 * MIB, size, inodes);
    CHECK_TEXT(size, "268435456");
    CHECK_TEXT(inodes, "65536");
    cl_tmpfs_size(64 * KIB, size, inodes);
    CHECK_TEXT(inodes, "1024"); /* the least that programs can live with */
    cl_tmpfs_size(1ULL << 50, size, inodes);
    CHECK_TEXT(size, "1125899906842624");
}

static mode_t mode_of(const char *name)
{
    struct stat st = {0};

    return fstatat(room.container.scratch, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void make_scratch(void)
{
    struct cl_message message = {0};
    struct statfs fs;
    int fd = -1;

    room_set_up(&room);
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
    CHECK(fstatfs(room.container.scratch, &fs) == 0);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize == 8 * MIB && fs.f_files == 2048);
    CHECK(mode_of("tmp") == (S_IFDIR | 01777) && mode_of("vartmp") == (S_IFDIR | 01777));
    CHECK(mode_of("shm") == (S_IFDIR | 01777) && mode_of("empty") == (S_IFDIR | 0555));
    CHECK(mode_of("nothing") == (S_IFREG | 0444));
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_DISK_LIMIT)) != 0);

    CHECK(cl_message_receive(room.container.channel[0], &message, &fd, 1, MSG_DONTWAIT) == 1);
    CHECK(message.kind == CL_MESSAGE_SCRATCH);
    CHECK(faccessat(fd, "vartmp", F_OK, 0) == 0); /* the supervisor looks how full it is */
}

TEST(scratch_is_limited_and_laid_out)
{
    room_run(make_scratch);
}

static void make_endless_scratch(void)
{
    struct statfs fs;

    room_set_up(&room);
    room.plan.without = CL_LAYER_BIT(CL_LAYER_DISK_LIMIT);
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
    CHECK(fstatfs(room.container.scratch, &fs) == 0);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize != 8 * MIB);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_DISK_LIMIT)) == 0);
}

TEST(without_the_disk_limit_it_is_not)
{
    room_run(make_endless_scratch);
}

/* The makers' file system on disk, for which another tmpfs stands. */
static void take_scratch(void)
{
    static const char *const options[] = {"size", "65536", NULL, NULL};
    struct statfs fs;

    room_set_up(&room);
    room.container.scratch_tree = cl_fs_make("tmpfs", options, 0, &room.err);
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
    CHECK(room.container.scratch_tree == -1);
    CHECK(fstatfs(room.container.scratch, &fs) == 0);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize == 65536);
}

TEST(scratch_that_is_there_is_taken)
{
    room_run(take_scratch);
}

static void make_dirs(void)
{
    struct stat st;

    room_set_up(&room);
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
    int tree = cl_scratch_dir(&room.container, "t7", 0751, &room.err);
    CHECK(tree >= 0 && fstat(tree, &st) == 0 && (st.st_mode & 07777) == 0751);
    CHECK(mkdirat(tree, "below", 0755) == 0 && mode_of("t7/below") == (S_IFDIR | 0755));
    CHECK(cl_scratch_dir(&room.container, "t7", 0700, &room.err) == -EEXIST);
    CHECK_HAS(room.err.msg, "t7");
}

TEST(directories_of_scratch_are_mounts)
{
    room_run(make_dirs);
}

static void lose_the_supervisor(void)
{
    room_set_up(&room);
    (void)signal(SIGPIPE, SIG_IGN);
    cl_fd_close(&room.container.channel[0]);
    CHECK(cl_scratch_make(&room.container, &room.err) == -EPIPE);
    CHECK_HAS(room.err.msg, "send the scratch");
}

TEST(a_supervisor_that_is_gone_is_known)
{
    room_run(lose_the_supervisor);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(scratch_is_what_others_leave),       ROW(a_tmpfs_has_a_size_and_inodes),
        ROW(scratch_is_limited_and_laid_out),    ROW(without_the_disk_limit_it_is_not),
        ROW(scratch_that_is_there_is_taken),     ROW(directories_of_scratch_are_mounts),
        ROW(a_supervisor_that_is_gone_is_known),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
