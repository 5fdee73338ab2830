/* test_mounts.c - trees, mount points and overlays, in a room of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

TEST(paths_below_a_directory)
{
    CHECK(cl_path_is_below("/a/b", "/a") && cl_path_is_below("/a", "/a"));
    CHECK(cl_path_is_below("/a", "/") && cl_path_is_below("/", "/"));
    CHECK(!cl_path_is_below("/ab", "/a") && !cl_path_is_below("/", "/a"));
    CHECK(!cl_path_is_below("/a", "/a/b"));
}

TEST(layers_that_are_left_out_take_their_attributes_along)
{
    struct cl_plan plan = {0};
    const uint64_t all =
        CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV | CL_MOUNT_ATTR_NOEXEC;

    CHECK(cl_mount_attrs(&plan, all) == all);
    plan.without = CL_LAYER_BIT(CL_LAYER_READONLY);
    CHECK(cl_mount_attrs(&plan, all) == (all & ~(uint64_t)CL_MOUNT_ATTR_RDONLY));
    plan.without = CL_LAYER_BIT(CL_LAYER_NOSUID);
    CHECK(cl_mount_attrs(&plan, all) == (CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOEXEC));
}

static int open_dir(const char *path)
{
    return cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
}

static void clone_and_attach(void)
{
    struct cl_error err = {0};

    CHECK(mkdir("/mnt/from", 0755) == 0 && mkdir("/mnt/to", 0755) == 0);
    CHECK(mount(NULL, "/mnt", NULL, MS_SHARED, NULL) == 0); /* as a host's file systems are */
    CHECK(room_write("/mnt/from/file", "x") == 0);
    int tree =
        cl_tree_clone(AT_FDCWD, "/mnt/from",
                      CL_MOUNT_ATTR_RDONLY | CL_MOUNT_ATTR_NOSUID | CL_MOUNT_ATTR_NODEV, &err);
    CHECK(tree >= 0);
    CHECK(cl_tree_attach(tree, open_dir("/mnt/to"), "/mnt/to", &err) == 0);
    CHECK(access("/mnt/to/file", R_OK) == 0);
    CHECK(room_write("/mnt/to/new", "x") == -EROFS); /* there, and only there */
    CHECK(room_write("/mnt/from/new", "x") == 0);
    /* what is mounted in the original later doesn't come over */
    CHECK(mkdir("/mnt/from/late", 0755) == 0);
    CHECK(mount("tmpfs", "/mnt/from/late", "tmpfs", 0, NULL) == 0);
    CHECK(room_write("/mnt/from/late/file", "x") == 0);
    CHECK(access("/mnt/to/late/file", F_OK) < 0 && errno == ENOENT);

    CHECK(cl_tree_clone(AT_FDCWD, "/mnt/nowhere", 0, &err) == -ENOENT);
    CHECK_HAS(err.msg, "/mnt/nowhere");
    int file = cl_sys_openat(AT_FDCWD, "/mnt/from/file", O_PATH, 0);
    CHECK(cl_tree_attach(tree, file, "there", &err) < 0); /* attached already, and no directory */
    CHECK_HAS(err.msg, "attach a mount at there");
}

TEST(a_tree_is_cloned_with_attributes)
{
    room_run(clone_and_attach);
}

static void make_file_systems(void)
{
    static const char *const good[] = {"size", "65536", "mode", "0711", NULL, NULL};
    static const char *const bad[] = {"size", "much", NULL, NULL};
    static const char *const none[] = {NULL, NULL};
    struct cl_error err = {0};
    struct stat st;

    int fs = cl_fs_make("tmpfs", good, CL_MOUNT_ATTR_NOSUID, &err);
    CHECK(fs >= 0 && fstat(fs, &st) == 0 && (st.st_mode & 07777) == 0711);
    CHECK(cl_fs_make("tmpfs", bad, 0, &err) == -EINVAL);
    CHECK_HAS(err.msg, "set option size of tmpfs");
    CHECK(cl_fs_make("no-such-fs", none, 0, &err) == -ENODEV);
    CHECK_HAS(err.msg, "no-such-fs");
}

TEST(a_file_system_is_made_with_options)
{
    room_run(make_file_systems);
}

/* --- mount points ----------------------------------------------------------------- */

static struct room room;

/* A root with a little in it, at /mnt/root; scratch at /mnt/scratch. */
static void make_root(void)
{
    room_set_up(&room);
    CHECK(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/root/dir", 0755) == 0);
    CHECK(mkdir("/mnt/scratch", 0755) == 0 && mkdir("/mnt/outside", 0755) == 0);
    CHECK(room_write("/mnt/root/file", "x") == 0);
    CHECK(symlink("/dir", "/mnt/root/link") == 0);
    CHECK(symlink("/mnt/outside", "/mnt/root/escape") == 0);
    CHECK(symlink("../../../mnt/outside", "/mnt/root/dotdot") == 0);
    room.container.root = open_dir("/mnt/root");
    room.container.scratch = open_dir("/mnt/scratch");
    room.container.root_grows = 1;
}

static int open_target(const char *path, int is_dir)
{
    return cl_target_open(&room.container, path, is_dir, &room.err);
}

static int kind_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) < 0 ? -errno : (int)(st.st_mode & S_IFMT);
}

static void find_targets(void)
{
    make_root();
    CHECK(open_target("/dir", 1) >= 0 && open_target("/file", 0) >= 0 && open_target("/", 1) >= 0);
    CHECK(open_target("/new/deep/dir", 1) >= 0);
    CHECK(kind_of("/mnt/root/new/deep/dir") == S_IFDIR);
    CHECK(open_target("/new/deep/file", 0) >= 0);
    CHECK(kind_of("/mnt/root/new/deep/file") == S_IFREG);
    CHECK(open_target("/link/below", 1) >= 0);
    CHECK(kind_of("/mnt/root/dir/below") == S_IFDIR);

    CHECK(open_target("/file", 1) == -ENOTDIR);
    CHECK_HAS(room.err.msg, "/file in the image is not a directory");
    CHECK(open_target("/dir", 0) == -EISDIR);
    CHECK_HAS(room.err.msg, "/dir in the image is a directory");
    CHECK(open_target("/file/below", 1) == -ENOTDIR);
    CHECK(symlink("loop", "/mnt/root/loop") == 0);
    CHECK(open_target("/loop", 1) == -ELOOP);
    CHECK_HAS(room.err.msg,
              "/loop in the image is, or lies behind, a symbolic link that leads in a circle");
}

TEST(mount_points_are_found_or_made)
{
    room_run(find_targets);
}

/* The links lead out of the root; followed in it they lead nowhere. */
static void stay_below(void)
{
    make_root();
    CHECK(open_target("/escape/made", 1) == -ELOOP);
    CHECK_HAS(room.err.msg, "/escape/made in the image is, or lies behind, a symbolic link that "
                            "leads nowhere in the image");
    CHECK(open_target("/dotdot/made", 1) == -ELOOP);
    CHECK(kind_of("/mnt/outside/made") == -ENOENT && kind_of("/mnt/root/mnt") == -ENOENT);
    CHECK(open_target("/../../mnt/outside/made", 1) >= 0);
    CHECK(kind_of("/mnt/outside/made") == -ENOENT);
    CHECK(kind_of("/mnt/root/mnt/outside/made") == S_IFDIR);
    CHECK(open_target("/escape/made", 1) >= 0); /* which now is there */
    CHECK(kind_of("/mnt/outside/made") == -ENOENT);
    char name[300];
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    CHECK(open_target(name, 1) == -ENAMETOOLONG);
}

TEST(mount_points_stay_below_the_root)
{
    room_run(stay_below);
}

static void open_own(void)
{
    make_root();
    CHECK(cl_target_open_own(&room.container, "/dir", &room.err) >= 0);
    CHECK(cl_target_open_own(&room.container, "/link", &room.err) == -ELOOP);
    CHECK_HAS(room.err.msg, "symbolic link");
    CHECK(cl_target_open_own(&room.container, "/link/below", &room.err) == -ELOOP);
    CHECK(cl_target_open_own(&room.container, "/file", &room.err) == -ENOTDIR);
    CHECK(cl_target_open_own(&room.container, "/proc", &room.err) >= 0); /* made */
    CHECK(kind_of("/mnt/root/proc") == S_IFDIR);
    room.container.root_grows = 0;
    CHECK(cl_target_open_own(&room.container, "/sys", &room.err) == -ENOENT);
    CHECK(kind_of("/mnt/root/sys") == -ENOENT);
}

TEST(our_own_mount_points_are_no_links)
{
    room_run(open_own);
}

/* Below a read-only directory, a skeleton takes its place. */
static void open_up(void)
{
    make_root();
    int tree = cl_tree_clone(AT_FDCWD, "/mnt/root", CL_MOUNT_ATTR_RDONLY, &room.err);
    CHECK(tree >= 0 && mkdir("/mnt/shown", 0755) == 0);
    CHECK(cl_tree_attach(tree, open_dir("/mnt/shown"), "shown", &room.err) == 0);
    room.container.root = open_dir("/mnt/shown");
    CHECK(open_target("/dir/made/deep", 1) >= 0);
    CHECK(room.container.skeleton_count == 1);
    CHECK(kind_of("/mnt/shown/dir/made/deep") == S_IFDIR);
    CHECK(kind_of("/mnt/root/dir/made") == -ENOENT); /* the image is as it was */
}

TEST(a_read_only_directory_gets_mount_points_all_the_same)
{
    room_run(open_up);
}

static void bind_dirs(void)
{
    make_root();
    CHECK(mkdir("/mnt/scratch/data", 0755) == 0 && room_write("/mnt/scratch/data/x", "1") == 0);
    CHECK(cl_bind_scratch(&room.container, "data", "/data", CL_MOUNT_ATTR_RDONLY, &room.err) == 0);
    CHECK(access("/mnt/root/data/x", R_OK) == 0 && room_write("/mnt/root/data/y", "1") == -EROFS);
    CHECK(cl_bind_scratch(&room.container, "none", "/none", 0, &room.err) == -ENOENT);
    CHECK(kind_of("/mnt/root/none") == -ENOENT);
    CHECK(cl_bind_scratch(&room.container, "data", "/file", 0, &room.err) == -ENOTDIR);
}

TEST(directories_are_bound)
{
    room_run(bind_dirs);
}

/* --- overlays ------------------------------------------------------------------------ */

static void make_overlay(void)
{
    struct stat st;

    make_root();
    CHECK(chmod("/mnt/root", 01750) == 0);
    int lower = cl_tree_clone(AT_FDCWD, "/mnt/root", CL_MOUNT_ATTR_RDONLY, &room.err);
    int overlay = cl_overlay_make(&room.container, lower, "/mnt/root", 0, &room.err);
    CHECK(overlay >= 0);
    CHECK(fstat(overlay, &st) == 0 && (st.st_mode & 07777) == 01750);
    CHECK(mkdir("/mnt/top", 0755) == 0);
    CHECK(cl_tree_attach(overlay, open_dir("/mnt/top"), "top", &room.err) == 0);
    CHECK(room_write("/mnt/top/file", "changed") == 0 && room_write("/mnt/top/new", "1") == 0);
    CHECK(unlink("/mnt/top/link") == 0);
    char text[16];
    CHECK(room_read(AT_FDCWD, "/mnt/root/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "x");
    CHECK(kind_of("/mnt/root/new") == -ENOENT && kind_of("/mnt/root/link") == S_IFLNK);
    /* each has directories of its own, and the top is the user's where it should be */
    CHECK(chmod("/mnt/root", 0555) == 0);
    lower = cl_tree_clone(AT_FDCWD, "/mnt/root", CL_MOUNT_ATTR_RDONLY, &room.err);
    overlay = cl_overlay_make(&room.container, lower, "/mnt/root", 1, &room.err);
    CHECK(overlay >= 0 && room.container.scratch_dirs == 2);
    CHECK(fstat(overlay, &st) == 0 && (st.st_mode & 07777) == 0755 && st.st_uid == 0);
    CHECK(faccessat(overlay, "new", F_OK, 0) < 0);
}

TEST(an_overlay_keeps_what_is_below)
{
    room_run(make_overlay);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(paths_below_a_directory),
        ROW(layers_that_are_left_out_take_their_attributes_along),
        ROW(a_tree_is_cloned_with_attributes),
        ROW(a_file_system_is_made_with_options),
        ROW(mount_points_are_found_or_made),
        ROW(mount_points_stay_below_the_root),
        ROW(our_own_mount_points_are_no_links),
        ROW(a_read_only_directory_gets_mount_points_all_the_same),
        ROW(directories_are_bound),
        ROW(an_overlay_keeps_what_is_below),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
