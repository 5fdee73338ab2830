/* test_host_image.c - the image `host`: what is generated in it, and what is the host's. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "room.h"

static struct room room;

static void set_up(void)
{
    room_set_up(&room);
    room.plan.image_kind = CL_IMAGE_HOST;
    room.plan.image_path = NULL;
    CHECK(mkdir("/mnt/root", 0755) == 0);
    room.container.root = cl_sys_openat(AT_FDCWD, "/mnt/root", O_PATH | O_DIRECTORY, 0);
}

static const char *generated(const char *path)
{
    static char text[4096];

    CHECK(room_read(room.container.root, path, text, sizeof(text)) == 0);
    return text;
}

static void fill_for_a_user(void)
{
    struct stat inside = {0}, outside = {0};

    set_up();
    room.plan.uid = 1000;
    room.plan.gid = 1001;
    CHECK(cl_host_image_fill(&room.container, &room.err) == 0);
    CHECK_TEXT(room.err.msg, "");
    CHECK_TEXT(generated("etc/passwd"),
               "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001:user:/tmp:/bin/sh\n"
               "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    CHECK_TEXT(generated("etc/group"), "root:x:0:\nuser:x:1001:\nnogroup:x:65534:\n");
    CHECK(stat("/usr", &outside) == 0 && fstatat(room.container.root, "usr", &inside, 0) == 0);
    CHECK(inside.st_dev == outside.st_dev && inside.st_ino == outside.st_ino);
    CHECK(mkdirat(room.container.root, "usr/cloister-test", 0755) < 0 && errno == EROFS);
    CHECK(faccessat(room.container.root, "etc/shadow", F_OK, 0) < 0 && errno == ENOENT);
}

static void fill_for_root(void)
{
    set_up();
    CHECK(cl_host_image_fill(&room.container, &room.err) == 0);
    CHECK_TEXT(generated("etc/passwd"),
               "root:x:0:0:root:/root:/bin/sh\n"
               "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    CHECK_TEXT(generated("etc/group"), "root:x:0:\nnogroup:x:65534:\n");
}

static void fail_to_fill(void)
{
    set_up();
    CHECK(mkdirat(room.container.root, "var", 0755) == 0);
    CHECK(cl_host_image_fill(&room.container, &room.err) == -EEXIST);
    CHECK_HAS(room.err.msg, "make /var of the image");
}

TEST(the_sandboxs_user_is_known)
{
    room_run(fill_for_a_user);
}

TEST(root_is_not_known_twice)
{
    room_run(fill_for_root);
}

TEST(what_is_there_already_is_told)
{
    room_run(fail_to_fill);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_sandboxs_user_is_known),
        ROW(root_is_not_known_twice),
        ROW(what_is_there_already_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
