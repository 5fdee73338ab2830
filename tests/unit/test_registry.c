/* test_registry.c - a registry as an origin: what cloister-fetch is asked for it, and what becomes
 * of its answers, whoever took it over. */
#include "base/fault.h"
#include "image/registry.h"
#include "fetch_scene.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FIRST "https://first.test"
#define SECOND "https://second.test"

/* --- this program as cloister-fetch --------------------------------------------------------- */

/* In place of a body: what was asked for. */
static void write_request(const struct asked *asked)
{
    char text[512];
    int size = snprintf(text, sizeof(text), "%d %s %s %llu %llu %s", (int)asked->request.kind,
                        asked->request.repository, asked->request.reference,
                        (unsigned long long)asked->request.offset_bytes,
                        (unsigned long long)asked->request.size_bytes,
                        asked->request.endpoints.items[0].url);

    if (asked->body >= 0 && pwrite(asked->body, text, (size_t)size, 0) != size)
        _exit(43);
    fetch_body_bytes = (uint64_t)size;
}

/* Answers all by the second endpoint. */
static void answer(const struct asked *asked)
{
    write_request(asked);
    fetch_progress(asked->request.id + 7, 1); /* of another request */
    fetch_progress(asked->request.id, 1);
    fetch_done(asked->request.id, "application/test", SECOND);
}

static void answer_large(const struct asked *asked)
{
    if (ftruncate(asked->body, (8L << 20) + 1) == 0 || pwrite(asked->body, "x", 1, 1L << 20) >= 0)
        _exit(44); /* it has no room for more */
    fetch_body_bytes = (1UL << 20) + 1;
    fetch_done(asked->request.id, "t", FIRST);
}

static void fail_badly(const struct asked *asked)
{
    fetch_report(
        &(struct cl_fetch_report){.set = REPORT_BITS(CL_FETCH_REPORT_ERROR, CL_FETCH_REPORT_ID),
                                  .id = asked->request.id,
                                  .kind = CL_FETCH_FAILED,
                                  .error = "bad\033[31m\nsecond line"});
}

static void fail_silently(const struct asked *asked)
{
    fetch_report(
        &(struct cl_fetch_report){.set = REPORT_BITS(CL_FETCH_REPORT_KIND, CL_FETCH_REPORT_ID),
                                  .id = asked->request.id,
                                  .kind = CL_FETCH_FAILED});
}

/* A layer in two parts, with ticks. */
static void send_layer(const struct asked *asked)
{
    uint64_t ticks = asked->request.offset_bytes;

    if (pwrite(asked->body, "world", 5, (off_t)ticks) != 5)
        _exit(45);
    ticks += 5;
    if (write(asked->ticks, &ticks, sizeof(ticks)) != sizeof(ticks))
        _exit(46);
    fetch_progress(asked->request.id, ticks);
    fetch_done(asked->request.id, "t", FIRST);
}

CL_NORETURN static void act(const char *what)
{
    struct asked asked;

    (void)alarm(60);
    while (fetch_take(&asked)) {
        if (strcmp(what, "answer") == 0)
            answer(&asked);
        else if (strcmp(what, "large") == 0)
            answer_large(&asked);
        else if (strcmp(what, "unknown") == 0)
            fetch_failed(asked.request.id, ENOENT, "the registry has no such image");
        else if (strcmp(what, "denied") == 0)
            fetch_failed(asked.request.id, EACCES, "wrong password");
        else if (strcmp(what, "badly") == 0)
            fail_badly(&asked);
        else if (strcmp(what, "silently") == 0)
            fail_silently(&asked);
        else if (strcmp(what, "layer") == 0)
            send_layer(&asked);
        else
            _exit(9);
        fetch_drop(&asked);
    }
    _exit(0);
}

/* --- the core's side -------------------------------------------------------------------------- */

static const struct cl_fetch_endpoint two[] = {{FIRST, "", "", "", ""}, {SECOND, "u", "s", "", ""}};

struct scene {
    struct cl_registry_origin registry;
    struct cl_buf bytes;
    char type[CL_MEDIA_TYPE_SIZE];
    struct cl_error err;
    int before;
};

static struct cl_reference reference_of(const char *tag)
{
    struct cl_reference reference = {
        .domain = "registry.test", .repository = "library/debian", .tag = tag};

    if (tag == NULL) {
        reference.has_digest = 1;
        memset(reference.digest.hex, 'a', sizeof(reference.digest.hex) - 1);
    }
    return reference;
}

static void scene_init_for(struct scene *scene, const char *what,
                           const struct cl_reference *reference)
{
    const struct cl_fetch_endpoints endpoints = {two, CL_ARRAY_SIZE(two)};

    *scene = (struct scene){.bytes = CL_BUF_INIT(1 << 20)};
    scene->before = check_count_fds();
    fetch_fake(what);
    CHECK(cl_registry_open(reference, &endpoints, 0, &scene->registry, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
}

static void scene_init(struct scene *scene, const char *what)
{
    static struct cl_reference reference;

    reference = reference_of("bookworm");
    scene_init_for(scene, what, &reference);
}

static void scene_done(struct scene *scene)
{
    cl_registry_done(&scene->registry);
    cl_buf_done(&scene->bytes);
    CHECK(check_count_fds() == scene->before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int manifest(struct scene *scene, const char *reference)
{
    scene->err = (struct cl_error){0};
    scene->bytes.size = 0;
    return scene->registry.origin.manifest(&scene->registry.origin, reference, &scene->bytes,
                                           scene->type, &scene->err);
}

TEST(a_manifest_is_asked_for_by_tag_or_digest)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "answer");
    CHECK(scene.registry.origin.downloads && scene.registry.origin.news >= 0);
    CHECK(manifest(&scene, NULL) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK_TEXT(cl_buf_text(&scene.bytes), "0 library/debian bookworm 0 1048576 " FIRST);
    CHECK_TEXT(scene.type, "application/test");
    CHECK(manifest(&scene, DIGEST_A) == 0); /* and the one that answered is asked first */
    CHECK_TEXT(cl_buf_text(&scene.bytes), "0 library/debian " DIGEST_A " 0 1048576 " SECOND);
    CHECK(strcmp(scene.registry.endpoints[0].secret, "s") == 0);
    CHECK_TEXT(scene.registry.endpoints[1].url, FIRST);
}

/* digest.h: it decides, and a tag beside it is only kept. */
TEST(a_digest_decides)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_reference reference = reference_of(NULL);

    scene_init_for(&scene, "answer", &reference);
    CHECK(manifest(&scene, NULL) == 0);
    CHECK_TEXT(cl_buf_text(&scene.bytes), "0 library/debian " DIGEST_A " 0 1048576 " FIRST);
}

TEST(a_config_is_a_blob_of_its_size)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_manifest_record record = {.target = DIGEST_A, .target_size_bytes = 77};

    scene_init(&scene, "answer");
    CHECK(scene.registry.origin.config(&scene.registry.origin, &record, &scene.bytes, &scene.err) ==
          0);
    CHECK_TEXT(cl_buf_text(&scene.bytes), "1 library/debian " DIGEST_A " 0 77 " FIRST);
    record.target_size_bytes = (1 << 20) + 1;
    CHECK(scene.registry.origin.config(&scene.registry.origin, &record, &scene.bytes, &scene.err) ==
          -EFBIG);
    CHECK_HAS(scene.err.msg, "config is larger than 1048576 bytes");
}

TEST(a_body_larger_than_was_asked_for_is_refused)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "large");
    CHECK(manifest(&scene, NULL) == -EFBIG);
    CHECK_HAS(scene.err.msg, "larger than 1048576 bytes");
}

TEST(a_layer_goes_on_where_it_was)
{
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_manifest_layer layer = {.digest = DIGEST_A, .size_bytes = 10};
    struct cl_blob_wanted wanted = {.layer = &layer, .have_bytes = 5};
    struct cl_blob_source source = {.fd = -1, .ticks = -1};
    struct cl_download_report report = {0};
    uint64_t ticks = 0;
    char text[16] = "";

    scene_init(&scene, "layer");
    CL_CLEANUP_FD int file = cl_sys_memfd_create("download", 1);
    CHECK(write(file, "hello", 5) == 5);
    wanted.download = file;
    CHECK(scene.registry.origin.open(&scene.registry.origin, &wanted, &source, &scene.err) == 0);
    CHECK(source.fd == file && source.ticks >= 0 && source.id != 0 && source.offset_bytes == 0);
    CHECK(read(source.ticks, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks == 10);
    CHECK(pread(file, text, sizeof(text), 0) == 10 && memcmp(text, "helloworld", 10) == 0);
    struct cl_origin *origin = &scene.registry.origin;
    CHECK(origin->listen(origin, &report, &scene.err) == 1);
    CHECK(report.id == source.id && !report.ended);
    CHECK(origin->listen(origin, &report, &scene.err) == 1);
    CHECK(report.id == source.id && report.ended && report.error.code == 0);
    CHECK(read(source.ticks, &ticks, sizeof(ticks)) == 0); /* nobody else has its other end */
    cl_fd_close(&source.ticks);
    cl_fd_close(&file);
}

TEST(a_layer_that_fails_says_why)
{
    static const struct {
        const char *what;
        int code;
        const char *message;
    } rows[] = {
        {"unknown", ENOENT, "the registry has no such image"},
        {"badly", EIO, "bad?[31m"},
        {"silently", EIO, "the download failed"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;
        const struct cl_manifest_layer layer = {.digest = DIGEST_A, .size_bytes = 10};
        struct cl_blob_wanted wanted = {.layer = &layer};
        struct cl_blob_source source = {.fd = -1, .ticks = -1};
        struct cl_download_report report = {0};

        scene_init(&scene, rows[i].what);
        CL_CLEANUP_FD int file = cl_sys_memfd_create("download", 1);
        wanted.download = file;
        CHECK(scene.registry.origin.open(&scene.registry.origin, &wanted, &source, &scene.err) ==
              0);
        CHECK(scene.registry.origin.listen(&scene.registry.origin, &report, &scene.err) == 1);
        CHECK(report.ended && report.error.code == rows[i].code);
        CHECK_HAS(report.error.msg, rows[i].message);
        CHECK(strchr(report.error.msg, '\n') == NULL && strchr(report.error.msg, '\033') == NULL);
        cl_fd_close(&source.ticks);
        cl_fd_close(&file);
    }
}

TEST(what_is_refused_is_told)
{
    static const struct {
        const char *what;
        int code;
        const char *message;
    } rows[] = {
        {"unknown", ENOENT, "the registry has no such image"},
        {"denied", EACCES, "wrong password"},
        {"badly", EIO, "bad?[31m"},
        {"silently", EIO, "failed"},
        {"nothing-known", EIO, "cloister-fetch ended early, with status 9"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene, rows[i].what);
        CHECK(manifest(&scene, NULL) == -rows[i].code);
        CHECK_HAS(scene.err.msg, rows[i].message);
        CHECK(strchr(scene.err.msg, '\n') == NULL && strchr(scene.err.msg, '\033') == NULL);
    }
}

TEST(credentials_open_it_or_not)
{
    static const char *const answers[] = {"answer", "denied"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(answers); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene, answers[i]);
        CHECK(cl_registry_login(&scene.registry, &scene.err) == (i == 0 ? 0 : -EACCES));
        CHECK_TEXT(scene.err.msg, i == 0 ? "" : "wrong password");
    }
}

TEST(a_registry_has_one_to_32_places)
{
    static const size_t counts[] = {0, CL_MAX_ENDPOINTS + 1};
    struct cl_fetch_endpoint many[CL_MAX_ENDPOINTS + 1];
    const struct cl_reference reference = reference_of("t");

    for (size_t i = 0; i < CL_ARRAY_SIZE(many); i++)
        many[i] = two[0];
    for (size_t i = 0; i < CL_ARRAY_SIZE(counts); i++) {
        const struct cl_fetch_endpoints endpoints = {many, counts[i]};
        struct cl_registry_origin registry;
        struct cl_error err = {0};

        CHECK(cl_registry_open(&reference, &endpoints, 0, &registry, &err) == -EINVAL);
        CHECK_HAS(err.msg, "32");
    }
}

TEST(whatever_fails_is_told_and_leaves_nothing)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_FD int download = cl_sys_memfd_create("download", 1 /* MFD_CLOEXEC */);
    CL_CLEANUP_SCENE struct scene scene;
    const struct cl_manifest_layer layer = {.digest = DIGEST_A, .size_bytes = 10};

    CHECK(download >= 0);
    scene_init(&scene, "answer");
    for (int nth = 1, struck = 1; struck; nth++) {
        struct cl_blob_wanted wanted = {.layer = &layer, .download = download};
        struct cl_blob_source source = {.fd = -1, .ticks = -1};
        char text[32];

        (void)snprintf(text, sizeof(text), "self:syscall:%d", nth);
        scene.err = (struct cl_error){0};
        const int fds = check_count_fds();
        cl_fault_set(text);
        int r = scene.registry.origin.open(&scene.registry.origin, &wanted, &source, &scene.err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(struck == (r == -EIO) && (r == 0 || scene.err.msg[0] != '\0'));
        cl_fd_close(&source.ticks);
        CHECK(check_count_fds() == fds);
    }
    for (int nth = 1, struck = 1; struck; nth++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "self:syscall:%d", nth);
        const int fds = check_count_fds();
        scene.bytes.size = 0;
        scene.err = (struct cl_error){0};
        cl_fault_set(text);
        int r = scene.registry.origin.manifest(&scene.registry.origin, NULL, &scene.bytes,
                                               scene.type, &scene.err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(struck == (r == -EIO) && (r == 0 || scene.err.msg[0] != '\0'));
        CHECK(check_count_fds() == fds);
    }
#endif
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_manifest_is_asked_for_by_tag_or_digest),
        ROW(a_digest_decides),
        ROW(a_config_is_a_blob_of_its_size),
        ROW(a_body_larger_than_was_asked_for_is_refused),
        ROW(a_layer_goes_on_where_it_was),
        ROW(a_layer_that_fails_says_why),
        ROW(what_is_refused_is_told),
        ROW(credentials_open_it_or_not),
        ROW(a_registry_has_one_to_32_places),
        ROW(whatever_fails_is_told_and_leaves_nothing),
    };

    if (argc >= 3 && strcmp(argv[1], "act") == 0)
        act(argv[2]);
    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
