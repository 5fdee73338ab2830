/* test_skeleton.c - directories of scratch that show another one's entries. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

static struct room room;

static int open_dir(const char *path)
{
    return cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
}

/* An original with one entry of each kind, and scratch. */
static void make_original(void)
{
    room_set_up(&room);
    CHECK(mkdir("/mnt/scratch", 0755) == 0 && mkdir("/mnt/original", 0755) == 0);
    CHECK(mkdir("/mnt/original/dir", 0750) == 0 && room_write("/mnt/original/dir/x", "1") == 0);
    CHECK(room_write("/mnt/original/file", "content") == 0);
    CHECK(symlink("/nowhere/at/all", "/mnt/original/link") == 0);
    CHECK(mkfifo("/mnt/original/fifo", 0644) == 0);
    room.container.scratch = open_dir("/mnt/scratch");
}

static mode_t mode_at(int dir, const char *path)
{
    struct stat st = {0};

    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static int write_at(int dir, const char *path)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, path, O_WRONLY | O_CREAT | O_NONBLOCK, 0644);

    return fd < 0 ? fd : 0;
}

static void show_all(void)
{
    char text[32] = "";

    make_original();
    int dir = cl_skeleton_make(&room.container, open_dir("/mnt/original"), &room.err);
    CHECK(dir >= 0);
    CHECK(mode_at(dir, "dir") == (S_IFDIR | 0750) && mode_at(dir, "dir/x") == (S_IFREG | 0644));
    CHECK(S_ISREG(mode_at(dir, "file")) && S_ISFIFO(mode_at(dir, "fifo")));
    CHECK(S_ISLNK(mode_at(dir, "link")));
    CHECK(readlinkat(dir, "link", text, sizeof(text) - 1) == 15);
    CHECK_TEXT(text, "/nowhere/at/all");
    CHECK(room_read(dir, "file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "content");
}

TEST(every_entry_is_shown)
{
    room_run(show_all);
}

static void protect(void)
{
    make_original();
    int dir = cl_skeleton_make(&room.container, open_dir("/mnt/original"), &room.err);
    CHECK(dir >= 0);
    CHECK(write_at(dir, "file") == -EROFS && write_at(dir, "dir/y") == -EROFS);
    CHECK(write_at(dir, "new") == 0 && mkdirat(dir, "mount-point", 0755) == 0);
    CHECK(mode_at(AT_FDCWD, "/mnt/original/new") == 0);
    CHECK(mode_at(AT_FDCWD, "/mnt/original/mount-point") == 0);
}

TEST(entries_are_read_only_and_the_directory_is_not)
{
    room_run(protect);
}

static void attach_and_make(void)
{
    make_original();
    room.container.root = open_dir("/mnt/original");
    CHECK(cl_skeleton_attach(&room.container, open_dir("/mnt/original/dir"), &room.err) == 0);
    CHECK(room.container.skeleton_count == 1 && room.container.skeletons[0] >= 0);
    CHECK(mode_at(AT_FDCWD, "/mnt/original/dir/x") == (S_IFREG | 0644));
    CHECK(mkdir("/mnt/original/dir/deeper", 0755) == 0);
    CHECK(umount2("/mnt/original/dir", MNT_DETACH) == 0);
    CHECK(mode_at(AT_FDCWD, "/mnt/original/dir/deeper") == 0);
}

TEST(a_skeleton_takes_its_originals_place)
{
    room_run(attach_and_make);
}

static void make_too_many_entries(void)
{
    char name[32];

    make_original();
    CHECK(mkdir("/mnt/many", 0755) == 0);
    for (int i = 0; i < 4097; i++) {
        (void)snprintf(name, sizeof(name), "/mnt/many/%d", i);
        CHECK(symlink("x", name) == 0);
    }
    CHECK(cl_skeleton_make(&room.container, open_dir("/mnt/many"), &room.err) == -E2BIG);
    CHECK_HAS(room.err.msg, "more than 4096 entries");
    CHECK(unlink(name) == 0);
    CHECK(cl_skeleton_make(&room.container, open_dir("/mnt/many"), &room.err) >= 0);
}

TEST(a_huge_directory_is_refused)
{
    room_run(make_too_many_entries);
}

static void make_too_many(void)
{
    make_original();
    for (int i = 0; i < CL_MAX_SKELETONS; i++) {
        CHECK(cl_skeleton_attach(&room.container, open_dir("/mnt/original/dir"), &room.err) == 0);
    }
    CHECK(cl_skeleton_attach(&room.container, open_dir("/mnt/original/dir"), &room.err) == -E2BIG);
    CHECK_HAS(room.err.msg, "more than 32");
    CHECK(room.container.skeleton_count == CL_MAX_SKELETONS);
}

TEST(skeletons_are_counted)
{
    room_run(make_too_many);
}

static void show_no_directory(void)
{
    make_original();
    int file = cl_sys_openat(AT_FDCWD, "/mnt/original/file", O_PATH, 0);
    CHECK(cl_skeleton_make(&room.container, file, &room.err) == -ENOTDIR);
    CHECK(room.container.scratch_dirs == 0);
}

TEST(only_directories_have_skeletons)
{
    room_run(show_no_directory);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(every_entry_is_shown),
        ROW(entries_are_read_only_and_the_directory_is_not),
        ROW(a_skeleton_takes_its_originals_place),
        ROW(a_huge_directory_is_refused),
        ROW(skeletons_are_counted),
        ROW(only_directories_have_skeletons),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
