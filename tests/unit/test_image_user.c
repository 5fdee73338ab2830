/* test_image_user.c - users by name: the generated ones of `host`, and the files of an
 * image, which are foreign. What is in them is test_policy's. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/image_user.h"
#include "check.h"

static char image[] = "/tmp/cloister-test-image-XXXXXX";
static struct cl_plan found;
static struct cl_error err;

static int find(enum cl_image_kind kind, const char *path, const char *user)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    static const char *const layers[] = {"1", "2"};
    const struct cl_plan plan = {
        .image_kind = kind, .image_path = path, .image_layers = {layers, 2}, .user = user};
    int fds = 0;

    for (int fd = 0; fd < 256; fd++)
        fds += fcntl(fd, F_GETFD) >= 0;
    found = (struct cl_plan){0};
    err = (struct cl_error){0};
    int r = cl_image_user_find(&arena, &plan, &found, &err);
    for (int fd = 0; fd < 256; fd++)
        fds -= fcntl(fd, F_GETFD) >= 0;
    CHECK(fds == 0);
    CHECK(r == 0 || (err.code == -r && found.set == 0));
    return r;
}

TEST(the_host_image_knows_its_own)
{
    static const char *const known[] = {"nobody", "nobody:nogroup", "nobody:65534",
                                        "65534:nogroup"};
    static const char *const unknown[] = {"daemon", "nobody:daemon", "nobod", "nobody:", ""};

    for (size_t i = 0; i < CL_ARRAY_SIZE(known); i++) {
        CHECK(find(CL_IMAGE_HOST, NULL, known[i]) == 0);
        CHECK(found.uid == 65534 && found.gid == 65534);
        CHECK(cl_plan_has(&found, CL_FIELD_UID) && cl_plan_has(&found, CL_FIELD_GID));
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(unknown); i++)
        CHECK(find(CL_IMAGE_HOST, NULL, unknown[i]) == -ENOENT);
    CHECK(find(CL_IMAGE_HOST, NULL, "daemon") == -ENOENT);
    CHECK_HAS(err.msg, "the host image has no user \"daemon\": there are root, user and nobody");
    CHECK(find(CL_IMAGE_HOST, NULL, "nobody:daemon") == -ENOENT);
    CHECK_HAS(err.msg, "the host image has no group \"daemon\": there are root, user and nogroup");
}

TEST(an_image_that_is_none_is_told)
{
    CHECK(find(CL_IMAGE_ROOTFS, "/nowhere", "ann") == -ENOENT);
    CHECK_TEXT(err.msg, "open the image /nowhere: No such file or directory");
    CHECK(find(CL_IMAGE_ROOTFS, "/dev/null", "ann") == -ENOTDIR);
    CHECK_TEXT(err.msg, "open the image /dev/null: Not a directory");
}

/* The image's files are not opened before it is known that they are regular: a FIFO would
 * hold us up, and a link must not lead to the host's. */
TEST(the_images_files_are_foreign)
{
    static const char hint[] = "it is the image's; a user by numbers needs none";
    char outside[64];

    CHECK(mkfifo("etc/passwd", 0600) == 0);
    CHECK(find(CL_IMAGE_ROOTFS, image, "ann") < 0);
    CHECK_HAS(err.msg, "/etc/passwd");
    CHECK_HAS(err.msg, hint);
    CHECK(unlink("etc/passwd") == 0 && mkdir("etc/passwd", 0700) == 0);
    CHECK(find(CL_IMAGE_ROOTFS, image, "ann") < 0);
    CHECK_HAS(err.msg, hint);
    CHECK(rmdir("etc/passwd") == 0 && symlink("passwd", "etc/passwd") == 0);
    CHECK(find(CL_IMAGE_ROOTFS, image, "ann") == -ELOOP);
    CHECK_HAS(err.msg, "open /etc/passwd of the image: Too many levels of symbolic links");
    /* what a link leads to on the host is not even looked at */
    (void)snprintf(outside, sizeof(outside), "%s/fifo", image);
    CHECK(unlink("etc/passwd") == 0 && symlink(outside, "etc/passwd") == 0);
    CHECK(mkfifo("fifo", 0600) == 0);
    CHECK(find(CL_IMAGE_ROOTFS, image, "ann") < 0);
    CHECK(strstr(err.msg, hint) == NULL);
    CHECK(unlink("fifo") == 0);
    CHECK(unlink("etc/passwd") == 0);
    /* group is looked at as passwd is */
    CHECK(mkfifo("etc/group", 0600) == 0);
    CHECK(find(CL_IMAGE_ROOTFS, image, "ann") < 0);
    CHECK_HAS(err.msg, "/etc/group");
    CHECK_HAS(err.msg, hint);
    CHECK(unlink("etc/group") == 0);
}

/* passwd is looked for in all layers, whose links stay inside (test_merged.c has the rest). */
TEST(an_image_of_the_store_is_searched_by_its_layers)
{
    static const char hint[] = "it is the image's; a user by numbers needs none";
    static const char missing[] = "the program cloister-plan is missing";

    CHECK(mkdir("1", 0700) == 0 && mkdir("1/tree", 0700) == 0 && mkdir("1/tree/etc", 0700) == 0);
    CHECK(mkdir("2", 0700) == 0 && mkdir("2/tree", 0700) == 0);
    CHECK(mkfifo("1/tree/etc/passwd", 0600) == 0);
    CHECK(find(CL_IMAGE_STORE, image, "ann") < 0);
    CHECK_HAS(err.msg, "/etc/passwd");
    CHECK_HAS(err.msg, hint);
    /* what a higher layer hides isn't there: that is for the helper to say */
    CHECK(mkdir("2/tree/etc", 0700) == 0 && mknod("2/tree/etc/passwd", S_IFCHR, 0) == 0);
    CHECK(find(CL_IMAGE_STORE, image, "ann") == -ENOENT);
    CHECK_HAS(err.msg, missing);
    CHECK(unlink("2/tree/etc/passwd") == 0 && symlink("none", "2/tree/etc/passwd") == 0);
    CHECK(find(CL_IMAGE_STORE, image, "ann") == -ENOENT);
    CHECK_HAS(err.msg, missing);
    CHECK(unlink("2/tree/etc/passwd") == 0 && symlink("/etc/passwd", "2/tree/etc/passwd") == 0);
    CHECK(find(CL_IMAGE_STORE, image, "ann") == -ELOOP);
    CHECK(unlink("2/tree/etc/passwd") == 0 && symlink("group", "2/tree/etc/passwd") == 0);
    CHECK(mkfifo("1/tree/etc/group", 0600) == 0);
    CHECK(find(CL_IMAGE_STORE, image, "ann") < 0);
    CHECK_HAS(err.msg, hint);
    CHECK(unlink("2/tree/etc/passwd") == 0 && unlink("1/tree/etc/group") == 0);
    CHECK(unlink("1/tree/etc/passwd") == 0 && rmdir("1/tree/etc") == 0 && rmdir("1/tree") == 0);
    CHECK(rmdir("2/tree/etc") == 0 && rmdir("2/tree") == 0 && rmdir("1") == 0 && rmdir("2") == 0);
}

/* Reading is the helper's; it isn't beside the tests. */
TEST(what_is_missing_is_left_to_the_helper)
{
    CHECK(find(CL_IMAGE_ROOTFS, image, "ann") == -ENOENT);
    CHECK_HAS(err.msg, "the program cloister-plan is missing");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_host_image_knows_its_own),
        ROW(an_image_that_is_none_is_told),
        ROW(the_images_files_are_foreign),
        ROW(an_image_of_the_store_is_searched_by_its_layers),
        ROW(what_is_missing_is_left_to_the_helper),
    };

    (void)alarm(60);
    if (mkdtemp(image) == NULL || chdir(image) < 0 || mkdir("etc", 0700) < 0)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    (void)rmdir("etc");
    (void)rmdir(image);
    return failed;
}
