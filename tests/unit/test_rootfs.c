/* test_rootfs.c - which tree becomes the root and what of it can be written. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

static struct room room;

static int copies(enum cl_profile profile, enum cl_root_mode mode, const char *workdir)
{
    static const struct cl_plan_file files[] = {{.kind = CL_FILE_BIND, .target = "/data"}};
    struct cl_plan plan = {.profile = profile,
                           .root_mode = mode,
                           .workdir = workdir,
                           .files = {files, CL_ARRAY_SIZE(files)}};

    return cl_rootfs_workdir_is_copied(&plan);
}

TEST(a_workdir_in_the_image_is_copied)
{
    CHECK(copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/srv"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_READ_ONLY, "/srv"));
    CHECK(copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/database"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/tmp/x"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/proc"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/data"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_PROFILE, "/data/deep"));
    CHECK(!copies(CL_PROFILE_STRICT, CL_ROOT_WRITABLE, "/srv"));
    CHECK(!copies(CL_PROFILE_BUILD, CL_ROOT_PROFILE, "/srv"));
}

TEST(a_root_is_writable_when_the_plan_says_so)
{
    struct cl_plan plan = {.root_mode = CL_ROOT_WRITABLE};

    CHECK(cl_rootfs_is_writable(&plan));
    plan.root_mode = CL_ROOT_READ_ONLY;
    CHECK(!cl_rootfs_is_writable(&plan));
}

/* --- in a room ------------------------------------------------------------------------ */

/* An image with a file and these directories, NULL-ended; and scratch. */
static void make_image(const char *const *dirs)
{
    char path[64];

    room_set_up(&room);
    CHECK(mkdir("/mnt/image", 0755) == 0 && room_write("/mnt/image/file", "image") == 0);
    for (; *dirs != NULL; dirs++) {
        (void)snprintf(path, sizeof(path), "/mnt/image/%s", *dirs);
        CHECK(mkdir(path, 0755) == 0);
    }
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
}

static const char *const whole[] = {"proc", "dev", "tmp", "srv", NULL};
static const char *const bare[] = {"srv", NULL};

static int write_in_root(const char *path)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(room.container.root, path, O_WRONLY | O_CREAT, 0644);

    return fd < 0 ? fd : cl_write_all(fd, "new", 3);
}

static void make_root(void)
{
    CHECK(cl_sources_find(&room.container, &room.err) == 0);
    CHECK(cl_rootfs_make(&room.container, &room.err) == 0);
}

static void use_the_image_itself(void)
{
    make_image(whole);
    make_root();
    CHECK(!room.container.root_grows && room.container.image_tree == -1);
    CHECK(write_in_root("new") == -EROFS && write_in_root("file") == -EROFS);
    CHECK(cl_rootfs_workdir(&room.container, &room.err) == 0);
    CHECK(write_in_root("tmp/new") == 0);
    CHECK(access("/mnt/image/tmp/new", F_OK) < 0);
    CHECK(faccessat(room.container.root, "var", F_OK, 0) < 0); /* not made for /var/tmp's sake */
}

TEST(a_whole_image_is_used_as_it_is)
{
    room_run(use_the_image_itself);
}

static void show_the_image(void)
{
    make_image(bare);
    make_root();
    CHECK(room.container.root_grows);
    CHECK(cl_rootfs_workdir(&room.container, &room.err) == 0);
    CHECK(write_in_root("tmp/new") == 0 && write_in_root("file") == -EROFS);
    CHECK(write_in_root("before") == 0);
    CHECK(cl_target_open(&room.container, "/srv/point", 1, &room.err) >= 0);
    CHECK(room.container.skeleton_count == 1 && write_in_root("srv/before") == 0);
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("after") == -EROFS && write_in_root("srv/after") == -EROFS);
    CHECK(write_in_root("tmp/after") == 0);
    CHECK(access("/mnt/image/tmp", F_OK) < 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_READONLY)) != 0);
}

TEST(an_image_without_mount_points_is_shown_in_a_skeleton)
{
    room_run(show_the_image);
}

static void do_not_seal(void)
{
    make_image(bare);
    room.plan.without = CL_LAYER_BIT(CL_LAYER_READONLY);
    make_root();
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("after") == 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_READONLY)) == 0);
    CHECK((room.report.layers & CL_LAYER_BIT(CL_LAYER_NOSUID)) != 0);
}

TEST(a_layer_that_is_left_out_seals_nothing)
{
    room_run(do_not_seal);
}

static void copy_on_write(void)
{
    make_image(whole);
    room.plan.root_mode = CL_ROOT_WRITABLE;
    make_root();
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("new") == 0 && write_in_root("file") == 0);
    CHECK(access("/mnt/image/new", F_OK) < 0);
    char text[16];
    CHECK(room_read(AT_FDCWD, "/mnt/image/file", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "image");
}

TEST(a_writable_root_leaves_the_image_alone)
{
    room_run(copy_on_write);
}

static void copy_the_workdir(void)
{
    make_image(whole);
    CHECK(room_write("/mnt/image/srv/mine", "image") == 0);
    room.plan.workdir = "/srv";
    make_root();
    CHECK(cl_rootfs_workdir(&room.container, &room.err) == 0);
    CHECK(write_in_root("srv/mine") == 0 && write_in_root("srv/new") == 0);
    CHECK(write_in_root("new") == -EROFS);
    CHECK(access("/mnt/image/srv/new", F_OK) < 0);
    char text[16];
    CHECK(room_read(AT_FDCWD, "/mnt/image/srv/mine", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "image");
}

TEST(the_workdir_is_copy_on_write)
{
    room_run(copy_the_workdir);
}

static void bad_images(void)
{
    make_image(whole);
    room.plan.image_path = "/mnt/image/file";
    CHECK(cl_sources_find(&room.container, &room.err) == -ENOTDIR);
    CHECK_HAS(room.err.msg, "is not a directory");
    room.plan.image_path = "/mnt/none";
    CHECK(cl_sources_find(&room.container, &room.err) == -ENOENT);
    CHECK_HAS(room.err.msg, "/mnt/none");
}

TEST(an_image_is_a_directory)
{
    room_run(bad_images);
}

static void enter(void)
{
    struct stat st;

    make_image(whole);
    make_root();
    CHECK(cl_rootfs_enter(&room.container, &room.err) == 0);
    CHECK(access("/file", F_OK) == 0 && access("/mnt", F_OK) < 0);
    CHECK(access("/../mnt", F_OK) < 0 && stat("/..", &st) == 0);
    CHECK(room_write("/new", "x") == -EROFS);
    char path[16] = "";
    CHECK(getcwd(path, sizeof(path)) != NULL);
    CHECK_TEXT(path, "/");
}

TEST(the_new_root_is_all_there_is)
{
    room_run(enter);
}

/* As over the bare root, which here is the room's. */
static void enter_over(void)
{
    make_image(whole);
    make_root();
    room.container.bare = 0; /* a descriptor, whichever */
    CHECK(cl_rootfs_enter(&room.container, &room.err) == 0);
    CHECK(access("/file", F_OK) == 0 && access("/mnt", F_OK) < 0);
    CHECK(access("/../mnt", F_OK) < 0 && access("../mnt", F_OK) < 0);
    CHECK(mkdir("/tmp/below", 0755) < 0 && errno == EROFS);
    CHECK(cl_sys_mount("tmpfs", "/tmp", "tmpfs", 0, NULL) == 0 && mkdir("/tmp/below", 0755) == 0);
    /* The way out of a mere chroot ends at the new root, too. */
    CHECK(chdir("/") == 0 && cl_sys_chroot("/tmp/below") == 0);
    for (int i = 0; i < 8; i++)
        CHECK(chdir("..") == 0);
    CHECK(access("file", F_OK) == 0 && access("mnt", F_OK) < 0);
}

TEST(the_new_root_covers_the_bare_one)
{
    room_run(enter_over);
}

/* --- the image `host` ---------------------------------------------------------------------- */

static void make_host(void)
{
    static const char *const none[] = {NULL};
    char text[256];

    make_image(none);
    room.plan.image_kind = CL_IMAGE_HOST;
    room.plan.uid = 1234;
    room.plan.gid = 99;
    room.plan.hostname = "inside";
    make_root();
    CHECK(faccessat(room.container.root, "usr/bin/env", F_OK, 0) == 0);
    CHECK(write_in_root("usr/new") == -EROFS);
    CHECK(faccessat(room.container.root, "mnt", F_OK, 0) < 0);
    CHECK(room_read(room.container.root, "etc/passwd", text, sizeof(text)) == 0);
    CHECK_HAS(text, "root:x:0:0:");
    CHECK_HAS(text, "\nuser:x:1234:99:user:/tmp:/bin/sh\n");
    CHECK(room_read(room.container.root, "etc/group", text, sizeof(text)) == 0);
    CHECK_HAS(text, "\nuser:x:99:\n");
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK(room_read(room.container.root, "etc/hostname", text, sizeof(text)) == 0);
    CHECK_TEXT(text, "inside\n");
    CHECK(room_read(room.container.root, "etc/hosts", text, sizeof(text)) == 0);
    CHECK_HAS(text, "127.0.1.1 inside\n");
    CHECK(faccessat(room.container.root, "etc/shadow", F_OK, 0) < 0);
    CHECK(cl_rootfs_seal(&room.container, &room.err) == 0);
    CHECK(write_in_root("new") == -EROFS);
}

TEST(the_image_host_shows_programs_and_names_of_its_own)
{
    room_run(make_host);
}

static void make_roots_host(void)
{
    static const char *const none[] = {NULL};
    char text[256];

    make_image(none);
    room.plan.image_kind = CL_IMAGE_HOST;
    make_root();
    CHECK(room_read(room.container.root, "etc/passwd", text, sizeof(text)) == 0);
    CHECK(strstr(text, "user:") == NULL); /* root is the user */
    CHECK_HAS(text, "\nnobody:x:65534:");
}

TEST(a_root_user_has_one_name)
{
    room_run(make_roots_host);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_workdir_in_the_image_is_copied),
        ROW(a_root_is_writable_when_the_plan_says_so),
        ROW(a_whole_image_is_used_as_it_is),
        ROW(an_image_without_mount_points_is_shown_in_a_skeleton),
        ROW(a_layer_that_is_left_out_seals_nothing),
        ROW(a_writable_root_leaves_the_image_alone),
        ROW(the_workdir_is_copy_on_write),
        ROW(an_image_is_a_directory),
        ROW(the_new_root_is_all_there_is),
        ROW(the_new_root_covers_the_bare_one),
        ROW(the_image_host_shows_programs_and_names_of_its_own),
        ROW(a_root_user_has_one_name),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
