/* test_closed.c - the hint at a directory that only root may read. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cloister/closed.h"
#include "room.h"

static char hint[CL_ERROR_MSG_SIZE];

static const char *explain(const struct cl_plan *plan)
{
    (void)snprintf(hint, sizeof(hint), "what was there before");
    cl_closed_explain(plan, hint, sizeof(hint));
    return hint;
}

static void look_at_images(void)
{
    static const mode_t closed[] = {0700, 0710, 0711, 0744, 0750};
    struct cl_plan plan = {
        .image_kind = CL_IMAGE_ROOTFS, .image_path = "/mnt/image", .profile = CL_PROFILE_STRICT};

    CHECK_TEXT(explain(&plan), ""); /* missing: somebody else says so */
    CHECK(mkdir("/mnt/image", 0755) == 0);
    CHECK_TEXT(explain(&plan), "");
    for (size_t i = 0; i < CL_ARRAY_SIZE(closed); i++) {
        CHECK(chmod("/mnt/image", closed[i]) == 0);
        CHECK_HAS(explain(&plan), "/mnt/image lets only root in");
        CHECK_HAS(hint, "--profile build");
    }
    plan.profile = CL_PROFILE_BUILD; /* id-mapped: root inside is its owner */
    CHECK_TEXT(explain(&plan), "");
    plan = (struct cl_plan){.image_kind = CL_IMAGE_HOST, .image_path = "/mnt/image"};
    CHECK_TEXT(explain(&plan), "");
}

/* Who may enter an image of the store its topmost layer says, not the store. */
static void look_at_layers(void)
{
    static const char *const layers[] = {"1", "2"};
    struct cl_plan plan = {.image_kind = CL_IMAGE_STORE,
                           .image = "debian:12",
                           .image_path = "/mnt/layers",
                           .image_layers = {layers, 2},
                           .profile = CL_PROFILE_STRICT};

    CHECK_TEXT(explain(&plan), "");
    CHECK(mkdir("/mnt/layers", 0700) == 0 && mkdir("/mnt/layers/1", 0700) == 0);
    CHECK(mkdir("/mnt/layers/2", 0700) == 0 && mkdir("/mnt/layers/1/tree", 0700) == 0);
    CHECK(mkdir("/mnt/layers/2/tree", 0755) == 0);
    CHECK_TEXT(explain(&plan), "");
    CHECK(chmod("/mnt/layers/2/tree", 0700) == 0);
    CHECK_TEXT(explain(&plan), "debian:12 lets only root in, and the sandbox isn't root: take "
                               "--profile build");
    plan.profile = CL_PROFILE_BUILD;
    CHECK_TEXT(explain(&plan), "");
}

static void look_at_volumes(void)
{
    struct cl_plan_file files[] = {
        {.kind = CL_FILE_TMPFS, .target = "/scratch"},
        {.kind = CL_FILE_BIND, .mode = CL_FILE_RO, .source = "/mnt/file", .target = "/file"},
        {.kind = CL_FILE_BIND, .mode = CL_FILE_RO, .source = "/mnt/volume", .target = "/data"},
    };
    const struct cl_plan plan = {.files = {files, CL_ARRAY_SIZE(files)}};

    CHECK(room_write("/mnt/file", "") == 0 && chmod("/mnt/file", 0600) == 0);
    CHECK(mkdir("/mnt/volume", 0755) == 0);
    CHECK_TEXT(explain(&plan), ""); /* a single file is closed on purpose */
    CHECK(chmod("/mnt/volume", 0700) == 0);
    CHECK_HAS(explain(&plan), "/mnt/volume lets only root in");
    CHECK_HAS(hint, "/mnt/volume:/data:copy");
    files[2].mode = CL_FILE_RW;
    CHECK_TEXT(explain(&plan), "");
    files[2].mode = CL_FILE_COPY;
    CHECK_TEXT(explain(&plan), "");
}

TEST(a_closed_image_is_told)
{
    room_run(look_at_images);
}

TEST(a_closed_image_of_the_store_is_told)
{
    room_run(look_at_layers);
}

TEST(a_closed_volume_is_told)
{
    room_run(look_at_volumes);
}

/* Others see it as the sandbox does: there is nothing to explain. */
TEST(nothing_is_told_to_others)
{
    char dir[] = "/tmp/cloister-test-closed-XXXXXX";
    const struct cl_plan plan = {
        .image_kind = CL_IMAGE_ROOTFS, .image_path = dir, .profile = CL_PROFILE_STRICT};
    int status = -1;

    CHECK(mkdtemp(dir) != NULL); /* 0700 */
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit((geteuid() == 0 && cl_sys_setresuid(65534) < 0) || explain(&plan)[0] != '\0');
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(geteuid() != 0 || explain(&plan)[0] != '\0');
    CHECK(rmdir(dir) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_closed_image_is_told),
        ROW(a_closed_image_of_the_store_is_told),
        ROW(a_closed_volume_is_told),
        ROW(nothing_is_told_to_others),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
