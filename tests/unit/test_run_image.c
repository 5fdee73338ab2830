/* test_run_image.c - an image of the store as a part of a run's plan. The record itself is
 * test_launch's. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/cloister/run_image.h"
#include "image/images.h"
#include "check.h"

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char place[] = "/tmp/cloister-test-run-image-XXXXXX";
static struct cl_arena arena;
static struct cl_plan part;
static struct cl_error err;
static int image_lock;

static void make_store(void)
{
    static const char *const layers[] = {"7"};
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    struct cl_plan plan = {.image_kind = CL_IMAGE_STORE,
                           .image_path = "/where/it/was/layers",
                           .image_digest = DIGEST,
                           .image_layers = {layers, 1}};
    const struct cl_image_record record = {.set = CL_RECORD_BIT(CL_STORED_IMAGE_DIGEST),
                                           .digest = DIGEST};
    struct cl_digest digest;

    cl_plan_mark(&plan, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_PATH);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_DIGEST);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_LAYERS);
    CHECK(cl_store_open(1, &store, &err) == 0);
    CHECK(cl_digest_parse(DIGEST, &digest, &err) == 0);
    CHECK(cl_image_write(&store, &plan, &record, &err) == 0);
    CHECK(cl_name_set(&store, "docker.io/library/debian:12", &digest, &err) == 0);
}

static int find(const char *image)
{
    cl_arena_done(&arena);
    arena = CL_ARENA_INIT(1 << 20);
    part = (struct cl_plan){0};
    err = (struct cl_error){0};
    image_lock = -1;
    const struct cl_run_image wanted = {.text = image, .pull = CL_PULL_NEVER};

    return cl_run_image_part(&wanted, &arena, &part, &image_lock, &err);
}

/* There is neither a part nor an error, and nothing is open. */
static void check_nothing(const char *image)
{
    const int before = check_count_fds();

    CHECK(find(image) == 0);
    CHECK(part.set == 0 && image_lock == -1 && check_count_fds() == before);
}

static void check_error(const char *image, int errnum, const char *message)
{
    const int before = check_count_fds();

    CHECK(find(image) == -errnum);
    CHECK_TEXT(err.msg, message);
    CHECK(part.set == 0 && image_lock == -1 && check_count_fds() == before);
}

TEST(without_a_store_no_image_is_there)
{
    char nowhere[64];

    (void)snprintf(nowhere, sizeof(nowhere), "%s/none", place);
    CHECK(setenv("CLOISTER_STORE", nowhere, 1) == 0);
    check_nothing("debian:12");
    CHECK(access(nowhere, F_OK) < 0); /* nor is one made */
    CHECK(setenv("CLOISTER_STORE", place, 1) == 0);
}

TEST(what_the_store_has_is_a_part)
{
    char expected[64];

    make_store();
    CHECK(find("debian:12") == 0);
    CHECK(image_lock >= 0 && part.image_kind == CL_IMAGE_STORE);
    /* a store that was moved has its layers with it */
    (void)snprintf(expected, sizeof(expected), "%s/layers", place);
    CHECK_TEXT(part.image_path, expected);
    CHECK_TEXT(part.image_digest, DIGEST);
    cl_fd_close(&image_lock);
    check_nothing("debian:13");
}

TEST(other_images_are_not_looked_for)
{
    static const char *const others[] = {"host", "rootfs:/x", "./x", "x.tar", "x.wasm"};

    CHECK(setenv("CLOISTER_STORE", "not/absolute", 1) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(others); i++)
        check_nothing(others[i]);
    CHECK(setenv("CLOISTER_STORE", place, 1) == 0);
}

TEST(errors_say_what_is_wrong)
{
    CHECK(find("De bian") == -EINVAL);
    CHECK_HAS(err.msg, "\"De bian\"");
    CHECK(setenv("CLOISTER_STORE", "not/absolute", 1) == 0);
    check_error("debian:12", EINVAL,
                "CLOISTER_STORE must be an absolute path, not \"not/absolute\"");
    CHECK(setenv("CLOISTER_STORE", place, 1) == 0 && chmod(place, 0755) == 0);
    CHECK(find("debian:12") == -EPERM);
    CHECK_HAS(err.msg, place);
    CHECK_HAS(err.msg, "is open to others");
    CHECK(chmod(place, 0700) == 0);
}

TEST(a_damaged_record_has_a_cure)
{
    char path[128];
    struct cl_digest key;

    cl_name_key("docker.io/library/debian:12", &key);
    (void)snprintf(path, sizeof(path), "%s/refs/%s", place, key.hex);
    CHECK(truncate(path, 5) == 0);
    CHECK(find("debian:12") == -EBADMSG);
    CHECK_HAS(err.msg, "the store's refs/");
    CHECK_HAS(err.msg, "; cloister pull debian:12");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(without_a_store_no_image_is_there), ROW(what_the_store_has_is_a_part),
        ROW(other_images_are_not_looked_for),   ROW(errors_say_what_is_wrong),
        ROW(a_damaged_record_has_a_cure),
    };
    char command[128];

    arena = CL_ARENA_INIT(1 << 20);
    if (mkdtemp(place) == NULL)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    cl_arena_done(&arena);
    (void)snprintf(command, sizeof(command), "rm -rf %s", place);
    // NOLINTNEXTLINE(cert-env33-c): a fixed word and a name of ours
    return system(command) == 0 ? failed : 99;
}
