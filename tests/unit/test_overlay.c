/* test_overlay.c - the root file system of an image of the store: one layer, or an overlay of
 * several. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "room.h"

enum { MOST = 127 };

static struct room room;
static char name_texts[MOST][21];
static const char *names[MOST];

static void put_dir(int layer, const char *path)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "/mnt/layers/%s/tree%s", names[layer], path);
    CHECK(mkdir(whole, 0755) == 0);
}

static void put_file(int layer, const char *path, const char *text)
{
    char whole[128];

    (void)snprintf(whole, sizeof(whole), "/mnt/layers/%s/tree%s", names[layer], path);
    CHECK(room_write(whole, text) == 0);
}

/* COUNT layers, in the topmost of which is "/file", in the lowest "/srv/low"; and scratch. */
static void make_store(int count, unsigned long long first)
{
    char path[64];

    room_set_up(&room);
    CHECK(mkdir("/mnt/layers", 0700) == 0);
    for (int i = 0; i < count; i++) {
        (void)snprintf(name_texts[i], sizeof(name_texts[i]), "%llu", first + (unsigned long long)i);
        names[i] = name_texts[i];
        (void)snprintf(path, sizeof(path), "/mnt/layers/%.20s", names[i]);
        CHECK(mkdir(path, 0755) == 0);
        put_dir(i, "");
    }
    put_dir(0, "/srv");
    put_file(0, "/srv/low", "low");
    put_file(count - 1, "/file", "image");
    room.plan.image_kind = CL_IMAGE_STORE;
    room.plan.image = "debian:12";
    room.plan.image_path = "/mnt/layers";
    room.plan.image_layers = (struct cl_strlist){names, (size_t)count};
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
}

static void put_mount_points(int layer)
{
    put_dir(layer, "/proc");
    put_dir(layer, "/dev");
    put_dir(layer, "/tmp");
    put_dir(layer, "/etc");
    put_file(layer, "/etc/hosts", "image");
}

static int make_root(void)
{
    int r = cl_sources_find(&room.container, &room.err);

    return r < 0 ? r : cl_rootfs_make(&room.container, &room.err);
}

static int write_in_root(const char *path)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(room.container.root, path, O_WRONLY | O_CREAT, 0644);

    return fd < 0 ? fd : cl_write_all(fd, "new", 3);
}

static int has(const char *path)
{
    return faccessat(room.container.root, path, F_OK, 0) == 0;
}

/* How many overlays this mount namespace has. */
static int count_overlays(void)
{
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char line[8192];
    int count = 0;

    while (mounts != NULL && fgets(line, sizeof(line), mounts) != NULL)
        count += strstr(line, " overlay ") != NULL && strncmp(line, "overlay /sys/", 13) == 0;
    if (mounts != NULL)
        (void)fclose(mounts);
    return count;
}

static void check_attributes(void)
{
    struct statfs fs;

    CHECK(fstatfs(room.container.root, &fs) == 0);
    CHECK((fs.f_flags & 0x6) == 0x6); /* ST_NOSUID and ST_NODEV */
}

/* Three layers with all mount points, but without /etc/hosts. */
static void show_names(void)
{
    struct stat st;

    make_store(3, 7);
    put_dir(1, "/proc");
    put_dir(1, "/dev");
    put_dir(1, "/tmp");
    put_dir(0, "/etc");
    put_file(0, "/etc/low", "low");
    CHECK(make_root() == 0);
    CHECK(!room.container.root_grows && has("etc/low") && has("file") && has("srv/low"));
    CHECK(fstatat(room.container.root, "etc/hosts", &st, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
    CHECK(write_in_root("new") == -EROFS && room.container.scratch_dirs == 0);
    CHECK(count_overlays() == 1);
}

TEST(an_image_without_hosts_gets_a_layer_that_has_it)
{
    room_run(show_names);
}

static void show_layers(void)
{
    make_store(3, 7);
    put_mount_points(1);
    CHECK(make_root() == 0);
    CHECK(!room.container.root_grows && room.container.image_tree == -1);
    CHECK(has("file") && has("srv/low") && has("proc"));
    CHECK(write_in_root("new") == -EROFS && write_in_root("file") == -EROFS);
    CHECK(room.container.scratch_dirs == 0); /* nothing to write to was made */
    CHECK(count_overlays() == 1);
    check_attributes();
    CHECK(cl_rootfs_workdir(&room.container, &room.err) == 0);
    CHECK(write_in_root("tmp/new") == 0);
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("new") == -EROFS && write_in_root("tmp/after") == 0);
}

TEST(whole_layers_are_shown_read_only)
{
    room_run(show_layers);
}

static void make_points(void)
{
    static const struct cl_plan_file files[] = {
        {.kind = CL_FILE_TMPFS, .mode = CL_FILE_RW, .source = "", .target = "/a/b"}};

    make_store(3, 7);
    put_mount_points(0);
    room.plan.files = (struct cl_files){files, 1};
    CHECK(make_root() == 0);
    CHECK(room.container.root_grows && count_overlays() == 1);
    check_attributes();
    CHECK(cl_volumes_attach(&room.container, &room.err) == 0);
    CHECK(cl_target_open(&room.container, "/srv/deep/er", 1, &room.err) >= 0);
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("a/b/new") == 0 && write_in_root("new") == -EROFS);
    CHECK(write_in_root("srv/deep/er/new") == -EROFS);
    CHECK(access("/mnt/layers/7/tree/a", F_OK) < 0 && access("/mnt/layers/9/tree/a", F_OK) < 0);
}

TEST(missing_mount_points_are_made_in_one_overlay)
{
    room_run(make_points);
}

/* What a higher layer took away isn't there. */
static void miss_hidden(void)
{
    make_store(3, 7);
    put_mount_points(0);
    CHECK(mknod("/mnt/layers/9/tree/dev", S_IFCHR, 0) == 0);
    CHECK(make_root() == 0);
    CHECK(room.container.root_grows && !has("dev"));
    CHECK(cl_target_open_own(&room.container, "/dev", &room.err) >= 0);
    CHECK(has("dev"));
}

TEST(a_mount_point_that_is_hidden_is_missing)
{
    room_run(miss_hidden);
}

static void write_anywhere(void)
{
    struct stat st;
    char text[16];

    make_store(4, 1);
    put_mount_points(0);
    CHECK(chmod("/mnt/layers/4/tree", 0751) == 0);
    room.plan.root_mode = CL_ROOT_WRITABLE;
    CHECK(make_root() == 0);
    CHECK(count_overlays() == 1);
    check_attributes();
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("new") == 0 && write_in_root("file") == 0 && write_in_root("srv/x") == 0);
    CHECK(room_read(AT_FDCWD, "/mnt/layers/4/tree/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "image");
    CHECK(fstat(room.container.root, &st) == 0 && (st.st_mode & 07777) == 0751);
}

TEST(a_writable_root_leaves_the_layers_alone)
{
    room_run(write_anywhere);
}

static void copy_the_workdir(void)
{
    char text[16];

    make_store(3, 1);
    put_mount_points(0);
    put_dir(1, "/srv");
    put_file(1, "/srv/middle", "middle");
    room.plan.workdir = "/srv";
    CHECK(make_root() == 0);
    CHECK(cl_rootfs_workdir(&room.container, &room.err) == 0);
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(has("srv/low") && has("srv/middle"));
    CHECK(write_in_root("srv/low") == 0 && write_in_root("srv/new") == 0);
    CHECK(unlinkat(room.container.root, "srv/middle", 0) == 0);
    CHECK(write_in_root("new") == -EROFS);
    CHECK(room_read(AT_FDCWD, "/mnt/layers/1/tree/srv/low", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "low");
    CHECK(access("/mnt/layers/2/tree/srv/middle", F_OK) == 0);
}

TEST(the_workdir_of_layers_is_copy_on_write)
{
    room_run(copy_the_workdir);
}

static void use_one(void)
{
    make_store(1, 5);
    put_mount_points(0);
    CHECK(make_root() == 0);
    CHECK(!room.container.root_grows && has("file") && has("srv/low"));
    CHECK(write_in_root("new") == -EROFS && count_overlays() == 0);
    check_attributes();
    /* the other layers of the store are not there */
    CHECK(!has("../5") && faccessat(room.container.scratch, "layers", F_OK, 0) < 0);
}

TEST(one_layer_is_a_tree_of_its_own)
{
    room_run(use_one);
}

/* With the longest names that layers may have. */
static void stack_many(void)
{
    make_store(MOST, 18446744073709551000ULL);
    put_mount_points(63);
    CHECK(make_root() == 0);
    CHECK(has("file") && has("srv/low") && has("proc"));
}

static void stack_many_and_write(void)
{
    make_store(MOST, 18446744073709551000ULL);
    room.plan.root_mode = CL_ROOT_WRITABLE;
    CHECK(make_root() == 0);
    CHECK(has("file") && write_in_root("srv/low") == 0);
}

TEST(the_most_layers_fit)
{
    room_run(stack_many);
    room_run(stack_many_and_write);
}

static void lack_a_layer(void)
{
    make_store(3, 7);
    put_mount_points(0);
    CHECK(rmdir("/mnt/layers/8/tree") == 0);
    CHECK(make_root() == -ENOENT);
    CHECK_TEXT(room.err.msg, "the 3 layers of debian:12: make the file system overlay: No such "
                             "file or directory; the store lacks a layer of it: cloister pull "
                             "debian:12");
    CHECK(room.container.root == -ENOENT || room.container.root == -1);
}

static void lack_the_layer(void)
{
    make_store(1, 7);
    names[0] = "8";
    CHECK(make_root() == -ENOENT);
    CHECK_TEXT(room.err.msg, "open the layer of debian:12: No such file or directory; the store "
                             "lacks it: cloister pull debian:12");
    room.plan.image_path = "/mnt/none";
    CHECK(make_root() == -ENOENT);
    CHECK_HAS(room.err.msg, "/mnt/none");
    /* a link in a layer's place leads nowhere */
    room.plan.image_path = "/mnt/layers";
    CHECK(mkdir("/mnt/layers/8", 0755) == 0 && symlink("/mnt", "/mnt/layers/8/tree") == 0);
    CHECK(make_root() == -ELOOP);
}

TEST(a_layer_that_is_missing_is_told)
{
    room_run(lack_a_layer);
    room_run(lack_the_layer);
}

static void have_no_overlay(void)
{
    char fault[32];

    make_store(2, 7);
    put_mount_points(0);
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_mount, ENODEV);
    cl_fault_set(fault);
    int r = make_root();
    cl_fault_set(NULL);
    CHECK(r == -ENODEV);
    CHECK_HAS(room.err.msg, "the 2 layers of debian:12: ");
    CHECK_HAS(room.err.msg, "; this kernel has no overlay: modprobe overlay (CONFIG_OVERLAY_FS)");
}

TEST(a_kernel_without_overlay_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(have_no_overlay);
}

static void leave_out(void)
{
    struct statfs fs;

    make_store(2, 7);
    put_mount_points(0);
    room.plan.without = CL_LAYER_BIT(CL_LAYER_NOSUID) | CL_LAYER_BIT(CL_LAYER_READONLY);
    CHECK(make_root() == 0);
    CHECK(fstatfs(room.container.root, &fs) == 0);
    CHECK((fs.f_flags & 0x6) == 0);
}

TEST(layers_of_the_wall_that_are_left_out_take_their_attributes_along)
{
    room_run(leave_out);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_image_without_hosts_gets_a_layer_that_has_it),
        ROW(whole_layers_are_shown_read_only),
        ROW(missing_mount_points_are_made_in_one_overlay),
        ROW(a_mount_point_that_is_hidden_is_missing),
        ROW(a_writable_root_leaves_the_layers_alone),
        ROW(the_workdir_of_layers_is_copy_on_write),
        ROW(one_layer_is_a_tree_of_its_own),
        ROW(the_most_layers_fit),
        ROW(a_layer_that_is_missing_is_told),
        ROW(a_kernel_without_overlay_is_told),
        ROW(layers_of_the_wall_that_are_left_out_take_their_attributes_along),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
