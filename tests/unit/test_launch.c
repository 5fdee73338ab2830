/* test_launch.c - from an image's name to its launch record, and the lock that keeps it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "image/images.h"
#include "image/launch.h"
#include "plan/format.h"
#include "check.h"

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define WHOLE_NAME "docker.io/library/debian:12"

static char place[] = "/tmp/cloister-test-launch-XXXXXX";
static struct cl_store store;
static struct cl_arena arena;
static struct cl_plan found;
static struct cl_error err;
static const char *const layer_names[] = {"7", "12"};
static const char *const words[] = {"sh", "-l"};

static struct cl_plan make_plan(void)
{
    struct cl_plan plan = {
        .image_kind = CL_IMAGE_STORE,
        .image_path = "/elsewhere/layers",
        .image_digest = DIGEST,
        .image_layers = {layer_names, CL_ARRAY_SIZE(layer_names)},
        .command = {words, CL_ARRAY_SIZE(words)},
        .stop_signal = 10,
        .uid = 77,
    };

    cl_plan_mark(&plan, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_PATH);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_DIGEST);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_LAYERS);
    cl_plan_mark(&plan, CL_FIELD_COMMAND);
    cl_plan_mark(&plan, CL_FIELD_STOP_SIGNAL);
    cl_plan_mark(&plan, CL_FIELD_UID);
    return plan;
}

static struct cl_digest digest_of(const char *text)
{
    struct cl_digest digest;

    CHECK(cl_digest_parse(text, &digest, &err) == 0);
    return digest;
}

static void write_image(const struct cl_plan *plan)
{
    const struct cl_image_record record = {.set = CL_RECORD_BIT(CL_STORED_IMAGE_DIGEST),
                                           .digest = DIGEST};

    CHECK(cl_image_write(&store, plan, &record, &err) == 0);
}

static void name_image(void)
{
    const struct cl_digest digest = digest_of(DIGEST);

    CHECK(cl_name_set(&store, WHOLE_NAME, &digest, &err) == 0);
}

static void set_up(void)
{
    const struct cl_plan plan = make_plan();

    if (store.dir < 0)
        CHECK(cl_store_open(1, &store, &err) == 0);
    write_image(&plan);
    name_image();
    cl_arena_done(&arena);
    arena = CL_ARENA_INIT(1 << 20);
    found = (struct cl_plan){0};
    err = (struct cl_error){0};
}

static int find(const char *name)
{
    struct cl_reference reference;

    CHECK(cl_reference_parse(name, NULL, &arena, &reference, &err) == 0);
    err = (struct cl_error){0};
    return cl_launch_find(store.dir, &reference, &arena, &found, &err);
}

TEST(an_image_is_found_by_all_forms_of_its_name)
{
    static const char *const names[] = {"debian:12", "library/debian:12", WHOLE_NAME};

    set_up();
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        CL_CLEANUP_FD int lock = find(names[i]);

        CHECK(lock >= 0 && (fcntl(lock, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(found.image_kind == CL_IMAGE_STORE && found.stop_signal == 10 && found.uid == 77);
        CHECK(found.set == make_plan().set);
        CHECK(found.image_layers.count == 2 && found.command.count == 2);
        CHECK_TEXT(found.image_layers.items[1], "12");
        CHECK_TEXT(found.image_digest, DIGEST);
    }
}

TEST(a_module_is_an_image_of_one_layer)
{
    struct cl_plan plan = make_plan();

    set_up();
    plan.image_kind = CL_IMAGE_MODULE;
    plan.image_layers.count = 1;
    write_image(&plan);
    name_image();
    CL_CLEANUP_FD int lock = find("debian:12");
    CHECK(lock >= 0 && found.image_kind == CL_IMAGE_MODULE && found.image_layers.count == 1);
    plan = make_plan();
    plan.image_module = 1;
    cl_plan_mark(&plan, CL_FIELD_IMAGE_MODULE);
    write_image(&plan);
    name_image();
    CL_CLEANUP_FD int other = find("debian:12");
    CHECK(other >= 0 && found.image_kind == CL_IMAGE_STORE && found.image_module == 1);
}

TEST(what_is_not_there_is_no_message)
{
    static const char *const names[] = {"debian", "debian:13", "ubuntu:12",
                                        "quay.io/library/debian:12"};

    set_up();
    const int before = check_count_fds();
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        CHECK(find(names[i]) == -ENOENT && err.code == 0 && found.set == 0);
    CHECK(check_count_fds() == before);
}

TEST(an_image_in_use_is_not_removed)
{
    const struct cl_digest digest = digest_of(DIGEST);

    set_up();
    int first = find("debian:12");
    int second = find("debian:12");
    CHECK(first >= 0 && second >= 0);
    CHECK(cl_image_remove(&store, &digest, &err) == -EBUSY);
    cl_fd_close(&first);
    CHECK(cl_image_remove(&store, &digest, &err) == -EBUSY);
    cl_fd_close(&second);
    CHECK(cl_image_remove(&store, &digest, &err) == 0);
    /* the name is still there, and leads to nothing */
    found = (struct cl_plan){0};
    CHECK(find("debian:12") == -ENOENT && found.set == 0);
}

TEST(an_image_that_is_being_removed_is_not_there)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const struct cl_digest digest = digest_of(DIGEST);
    char name[CL_STORE_NAME_SIZE];

    set_up();
    cl_store_name("launch", &digest, name);
    CL_CLEANUP_FD int remover = cl_sys_openat(store.dir, name, O_RDWR, 0);
    CHECK(cl_sys_fcntl_lock(remover, F_OFD_SETLK, &all) == 0);
    CHECK(find("debian:12") == -ENOENT);
}

/* A pull that was interrupted between the record and the name. */
TEST(a_name_leads_to_the_record_that_counts)
{
    static const char *const newer[] = {"9"};
    struct cl_plan plan = make_plan();
    const struct cl_digest digest = digest_of(DIGEST);

    set_up();
    plan.image_layers = (struct cl_strlist){newer, 1};
    write_image(&plan);
    CL_CLEANUP_FD int lock = find("debian:12");
    CHECK(lock >= 0 && found.image_layers.count == 1);
    CHECK(cl_image_remove(&store, &digest, &err) == -EBUSY);
}

TEST(use_is_noted)
{
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const struct cl_digest digest = digest_of(DIGEST);
    char name[CL_STORE_NAME_SIZE];
    uint64_t used = 0;

    set_up();
    cl_store_name("launch", &digest, name);
    CHECK(utimensat(store.dir, name, old, 0) == 0);
    CHECK(cl_image_used(&store, &digest, &used, &err) == 0 && used == 1000);
    CL_CLEANUP_FD int lock = find("debian:12");
    CHECK(lock >= 0);
    CHECK(cl_image_used(&store, &digest, &used, &err) == 0);
    CHECK(used >= (uint64_t)time(NULL) - 60 && used <= (uint64_t)time(NULL));
}

/* --- records that are none -------------------------------------------------------------- */

static void put_raw(const void *data, size_t size)
{
    struct cl_digest key;
    char name[CL_STORE_NAME_SIZE];

    cl_name_key(WHOLE_NAME, &key);
    cl_store_name("refs", &key, name);
    (void)unlinkat(store.dir, name, 0);
    CL_CLEANUP_FD int fd = cl_sys_openat(store.dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0);
}

static void check_bad(const struct cl_plan *plan, const char *needle)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);

    CHECK(cl_plan_write(plan, &buf, &err) == 0);
    put_raw(buf.data, buf.size);
    const int before = check_count_fds();
    CHECK(find("debian:12") == -EBADMSG && found.set == 0);
    CHECK(check_count_fds() == before);
    CHECK_HAS(err.msg, "the store's refs/");
    CHECK_HAS(err.msg, needle);
}

static void without(enum cl_field field)
{
    struct cl_plan plan = make_plan();

    cl_plan_unmark(&plan, field);
    check_bad(&plan, "it doesn't say what an image is");
}

TEST(a_record_says_what_an_image_is_and_no_more)
{
    static const char *const names[] = {"../1", "1/../../x", "", "a", "123456789012345678901"};
    struct cl_plan plan = make_plan();

    set_up();
    without(CL_FIELD_IMAGE_KIND);
    without(CL_FIELD_IMAGE_PATH);
    without(CL_FIELD_IMAGE_LAYERS);
    without(CL_FIELD_IMAGE_DIGEST);
    plan.image_kind = CL_IMAGE_ROOTFS;
    check_bad(&plan, "it doesn't say what an image is");
    plan.image_kind = CL_IMAGE_MODULE; /* which is one layer */
    check_bad(&plan, "it doesn't say what an image is");
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        plan = make_plan();
        plan.image_layers = (struct cl_strlist){&names[i], 1};
        check_bad(&plan, "it doesn't say what an image is");
    }
    plan = make_plan();
    plan.image_layers.count = 0;
    check_bad(&plan, "it doesn't say what an image is");
    plan = make_plan();
    plan.image_digest = "sha512:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    check_bad(&plan, "its digest is none");
    /* what only users may say */
    plan = make_plan();
    plan.without = 1;
    cl_plan_mark(&plan, CL_FIELD_WITHOUT);
    check_bad(&plan, "it doesn't say what an image is");
    plan = make_plan();
    cl_plan_mark(&plan, CL_FIELD_FILES);
    check_bad(&plan, "it doesn't say what an image is");
}

TEST(other_bytes_are_no_record)
{
    struct cl_digest key;
    char name[CL_STORE_NAME_SIZE];

    set_up();
    put_raw("", 0);
    CHECK(find("debian:12") == -EBADMSG);
    CHECK_HAS(err.msg, "not a plan of this version");
    put_raw("of another kind", 15);
    CHECK(find("debian:12") == -EBADMSG);
    cl_name_key(WHOLE_NAME, &key);
    cl_store_name("refs", &key, name);
    CHECK(unlinkat(store.dir, name, 0) == 0 && mkfifoat(store.dir, name, 0600) == 0);
    CHECK(find("debian:12") < 0); /* and nobody waits for a writer */
    CHECK(unlinkat(store.dir, name, 0) == 0 && symlinkat("../oci-layout", store.dir, name) == 0);
    CHECK(find("debian:12") == -ELOOP);
    CHECK(unlinkat(store.dir, name, 0) == 0 && mkdirat(store.dir, name, 0700) == 0);
    CHECK(find("debian:12") < 0);
    CHECK(unlinkat(store.dir, name, AT_REMOVEDIR) == 0);
}

TEST(no_memory_is_told)
{
    struct cl_reference reference;
    CL_CLEANUP_ARENA struct cl_arena small = CL_ARENA_INIT(64);

    set_up();
    CHECK(cl_reference_parse("debian:12", NULL, &arena, &reference, &err) == 0);
    CHECK(cl_launch_find(store.dir, &reference, &small, &found, &err) == -ENOMEM);
    CHECK_HAS(err.msg, "out of memory");
}

static void remove_store(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", place);
    // NOLINTNEXTLINE(cert-env33-c): a fixed word and a name of ours
    CHECK(system(command) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_image_is_found_by_all_forms_of_its_name),
        ROW(a_module_is_an_image_of_one_layer),
        ROW(what_is_not_there_is_no_message),
        ROW(an_image_in_use_is_not_removed),
        ROW(an_image_that_is_being_removed_is_not_there),
        ROW(a_name_leads_to_the_record_that_counts),
        ROW(use_is_noted),
        ROW(a_record_says_what_an_image_is_and_no_more),
        ROW(other_bytes_are_no_record),
        ROW(no_memory_is_told),
    };

    store = CL_STORE_INIT;
    arena = CL_ARENA_INIT(1 << 20);
    if (mkdtemp(place) == NULL || setenv("CLOISTER_STORE", place, 1) < 0)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    cl_arena_done(&arena);
    cl_store_done(&store);
    remove_store();
    return failed;
}
