/* test_names.c - /etc/hosts and /etc/hostname of an image. */
#include "base/fault.h"
#include "room.h"

static struct room room;

#define HOSTS "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 room\n"

/* The image with an /etc, as a root that grows or not; it is the sandbox's root already. */
static void set_up(int grows)
{
    room_set_up(&room);
    CHECK(cl_scratch_make(&room.container, &room.err) == 0);
    CHECK(mkdir("/mnt/image", 0755) == 0 && mkdir("/mnt/image/etc", 0755) == 0);
    CHECK(cl_sys_mount("/mnt/image", "/mnt/image", NULL, MS_BIND, NULL) == 0);
    if (!grows)
        CHECK(cl_sys_mount(NULL, "/mnt/image", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
    room.container.root = cl_sys_openat(AT_FDCWD, "/mnt/image", O_PATH | O_DIRECTORY, 0);
    room.container.root_grows = grows;
    CHECK(room.container.root >= 0);
}

static const char *text_of(const char *path)
{
    static char text[256];

    CHECK(room_read(room.container.root, path, text, sizeof(text)) == 0);
    return text;
}

static int write_to(const char *path)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(room.container.root, path, O_WRONLY, 0);

    return fd < 0 ? fd : cl_write_all(fd, "x", 1);
}

static void make_them(void)
{
    set_up(1);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK_TEXT(text_of("etc/hosts"), HOSTS);
    CHECK_TEXT(text_of("etc/hostname"), "room\n");
}

TEST(they_are_made_where_the_root_grows)
{
    room_run(make_them);
}

static void leave_them_out(void)
{
    set_up(0);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK_TEXT(room.err.msg, "");
    CHECK(access("/mnt/image/etc/hosts", F_OK) < 0);
}

TEST(an_image_without_them_that_does_not_grow_has_none)
{
    room_run(leave_them_out);
}

static void find_a_closed_directory(void)
{
    set_up(0);
    room.container.root_grows = 1; /* elsewhere: a skeleton, whose /etc is the image's */
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK_TEXT(room.err.msg, "");
    CHECK(access("/mnt/image/etc/hosts", F_OK) < 0);
}

TEST(a_directory_that_is_closed_is_left_alone)
{
    room_run(find_a_closed_directory);
}

static void cover_them(void)
{
    set_up(1);
    CHECK(room_write("/mnt/image/etc/hosts", "10.0.0.1 of-the-image\n") == 0);
    CHECK(room_write("/mnt/image/etc/hostname", "") == 0);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK_TEXT(text_of("etc/hosts"), HOSTS);
    CHECK_TEXT(text_of("etc/hostname"), "room\n");
    CHECK(write_to("etc/hosts") == -EROFS); /* strict; and the image's own stays as it is: */
    CHECK(cl_sys_umount2("/mnt/image/etc/hosts", MNT_DETACH) == 0);
    CHECK_TEXT(text_of("etc/hosts"), "10.0.0.1 of-the-image\n");
}

TEST(the_images_own_are_covered)
{
    room_run(cover_them);
}

static void cover_to_be_written(void)
{
    set_up(1);
    room.plan.root_mode = CL_ROOT_WRITABLE;
    CHECK(room_write("/mnt/image/etc/hosts", "") == 0);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK(write_to("etc/hosts") == 0);
}

TEST(where_the_root_is_writable_they_are)
{
    room_run(cover_to_be_written);
}

static void pass_over(void)
{
    set_up(1);
    CHECK(room_write("/mnt/image/target", "untouched") == 0);
    CHECK(symlink("../target", "/mnt/image/etc/hosts") == 0);
    CHECK(mkfifo("/mnt/image/etc/hostname", 0644) == 0);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK_TEXT(text_of("target"), "untouched");
    CHECK(unlink("/mnt/image/etc/hosts") == 0 && unlink("/mnt/image/etc/hostname") == 0);
    CHECK(rmdir("/mnt/image/etc") == 0 && mkdir("/mnt/image/else", 0755) == 0 &&
          symlink("else", "/mnt/image/etc") == 0);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK(access("/mnt/image/else/hosts", F_OK) < 0);
    CHECK(unlink("/mnt/image/etc") == 0 && room_write("/mnt/image/etc", "a file") == 0);
    CHECK(cl_names_make(&room.container, &room.err) == 0);
    CHECK_TEXT(text_of("etc"), "a file");
}

TEST(links_and_oddities_are_left_alone)
{
    room_run(pass_over);
}

static void fail_each(void)
{
    static const struct {
        long call;
        const char *message;
    } rows[] = {
        {SYS_openat2, "open /etc/hosts of the image: Input/output error"},
        {SYS_openat, "make hosts: Input/output error"},
        {SYS_write, "write hosts: Input/output error"},
        {SYS_open_tree, "clone the mount at hosts: Input/output error"},
        {SYS_move_mount, "attach a mount at hosts: Input/output error"},
    };
    char text[48];

    set_up(1);
    CHECK(room_write("/mnt/image/etc/hosts", "") == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        (void)snprintf(text, sizeof(text), "lacks:%ld=%d", rows[i].call, EIO);
        cl_fault_set(text);
        CHECK(cl_names_make(&room.container, &room.err) == -EIO);
        cl_fault_set(NULL);
        CHECK_TEXT(room.err.msg, rows[i].message);
        (void)cl_sys_unlinkat(room.container.scratch, "hosts", 0);
    }
}

TEST(each_call_is_failed_and_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(fail_each);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(they_are_made_where_the_root_grows),
        ROW(an_image_without_them_that_does_not_grow_has_none),
        ROW(a_directory_that_is_closed_is_left_alone),
        ROW(the_images_own_are_covered),
        ROW(where_the_root_is_writable_they_are),
        ROW(links_and_oddities_are_left_alone),
        ROW(each_call_is_failed_and_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
