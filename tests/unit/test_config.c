/* test_config.c - configs of images: what their fields become, and what can't be run. */
#include <errno.h>

#include "helpers/image/config.h"
#include "check.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define A "sha256:" HEX "a"
#define B "sha256:" HEX "b"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\",\"" B "\"]}"
#define WITH(config) "{" ROOTFS ",\"os\":\"linux\",\"config\":{" config "}}"

static int parse_as(const char *type, const char *text, struct cl_arena *arena,
                    struct cl_config_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct cl_document document = {"c", text, strlen(text)};
    struct cl_config_record back = {.set = 0};

    *err = (struct cl_error){0};
    *ret = (struct cl_config_record){.set = 0};
    int r = cl_config_parse(&document, type, arena, ret, err);
    if (r < 0) {
        CHECK(ret->set == 0);
        return r;
    }
    CHECK(cl_flat_write(&cl_config_shape, ret, &buf, err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_config_shape, &bytes, arena, &back, err) == 0 && back.set == ret->set);
    return r;
}

static int parse(const char *text, struct cl_arena *arena, struct cl_config_record *ret,
                 struct cl_error *err)
{
    return parse_as(NULL, text, arena, ret, err);
}

static int has(const struct cl_config_record *record, enum cl_config_field field)
{
    return (record->set & CL_RECORD_BIT(field)) != 0;
}

/* As Docker writes it, with what nobody reads. */
static const char whole[] =
    "{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\",\"os.version\":\"\","
    "\"created\":\"2024-05-01T10:00:00.5Z\",\"author\":\"x\",\"docker_version\":\"20.10\","
    "\"container\":\"abc\",\"container_config\":{\"Cmd\":\"a string\"},"
    "\"config\":{\"Hostname\":\"\",\"User\":\"app:app\",\"ExposedPorts\":{\"80/tcp\":{}},"
    "\"AttachStdin\":false,\"Tty\":true,\"OpenStdin\":false,\"ArgsEscaped\":true,"
    "\"Env\":[\"PATH=/bin:/usr/bin\",\"EMPTY=\",\"A=b=c\"],\"Entrypoint\":[\"/entry\",\"\"],"
    "\"Cmd\":[\"run\"],\"Image\":\"\",\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/srv\","
    "\"StopSignal\":\"SIGQUIT\",\"OnBuild\":null,\"Healthcheck\":{\"Test\":[\"NONE\"]},"
    "\"Labels\":{\"maintainer\":\"a b\",\"empty\":\"\",\"null\":null,\"with=equals\":\"x\"}},"
    "\"history\":[{\"created_by\":\"x\",\"empty_layer\":true}]," ROOTFS "}";

TEST(the_whole_config_is_understood)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_config_record record;
    struct cl_error err;

    CHECK(parse(whole, &arena, &record, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(record.set == CL_RECORD_BIT(CL_CONFIG_FIELD_COUNT) - 1);
    CHECK_TEXT(record.architecture, "arm64");
    CHECK_TEXT(record.variant, "v8");
    CHECK_TEXT(record.os, "linux");
    CHECK_TEXT(record.created, "2024-05-01T10:00:00.5Z");
    CHECK(record.diff_ids.count == 2);
    CHECK_TEXT(record.diff_ids.items[1], B);
    CHECK(record.env.count == 3);
    CHECK_TEXT(record.env.items[1], "EMPTY=");
    CHECK_TEXT(record.env.items[2], "A=b=c");
    CHECK(record.entrypoint.count == 2 && record.command.count == 1);
    CHECK_TEXT(record.entrypoint.items[0], "/entry");
    CHECK_TEXT(record.entrypoint.items[1], "");
    CHECK_TEXT(record.command.items[0], "run");
    CHECK_TEXT(record.workdir, "/srv");
    CHECK_TEXT(record.user, "app:app");
    CHECK(record.stop_signal == 3);
    CHECK(record.labels.count == 3);
    CHECK_TEXT(record.labels.items[0], "maintainer=a b");
    CHECK_TEXT(record.labels.items[1], "empty=");
    CHECK_TEXT(record.labels.items[2], "null=");
}

TEST(what_is_missing_null_or_empty_is_not_set)
{
    static const char *const texts[] = {
        "{" ROOTFS "}",
        "{" ROOTFS ",\"config\":null,\"os\":null,\"created\":\"\"}",
        "{" ROOTFS ",\"os\":\"\",\"variant\":\"\",\"config\":{\"User\":\"\",\"WorkingDir\":\"\","
        "\"StopSignal\":\"\",\"Env\":null,\"Cmd\":null,\"Entrypoint\":null,\"Labels\":null}}",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_config_record record;
        struct cl_error err;

        CHECK(parse(texts[i], &arena, &record, &err) == 0);
        CHECK_TEXT(err.msg, "");
        CHECK(record.set == CL_RECORD_BIT(CL_CONFIG_DIFF_IDS));
    }
}

TEST(empty_lists_are_set)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_config_record record;
    struct cl_error err;

    CHECK(parse(WITH("\"Env\":[],\"Entrypoint\":[],\"Cmd\":[],\"Labels\":{}"), &arena, &record,
                &err) == 0);
    CHECK(has(&record, CL_CONFIG_ENV) && has(&record, CL_CONFIG_ENTRYPOINT));
    CHECK(has(&record, CL_CONFIG_COMMAND) && has(&record, CL_CONFIG_LABELS));
    /* an image without layers, as Go writes it */
    CHECK(parse("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null}}", &arena, &record, &err) ==
          0);
    CHECK(has(&record, CL_CONFIG_DIFF_IDS) && record.diff_ids.count == 0);
}

TEST(a_working_directory_is_kept_as_it_is_written)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_config_record record;
    struct cl_error err;

    CHECK(parse(WITH("\"WorkingDir\":\"../src\""), &arena, &record, &err) == 0);
    CHECK_TEXT(record.workdir, "../src");
}

TEST(signals_have_many_spellings)
{
    static const struct {
        const char *text;
        uint64_t number;
    } rows[] = {
        {WITH("\"StopSignal\":\"SIGTERM\""), 15},    {WITH("\"StopSignal\":\"TERM\""), 15},
        {WITH("\"StopSignal\":\"15\""), 15},         {WITH("\"StopSignal\":\"SIGRTMIN+3\""), 37},
        {WITH("\"StopSignal\":\"SIGRTMAX-1\""), 63}, {WITH("\"StopSignal\":\"SIGWINCH\""), 28},
        {WITH("\"StopSignal\":\"64\""), 64},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_config_record record;
        struct cl_error err;

        CHECK(parse(rows[i].text, &arena, &record, &err) == 0);
        CHECK(record.stop_signal == rows[i].number);
    }
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"[]", "c: expected object, got array"},
    {"", "c:1:0: "},
    {"{}", "c: rootfs is missing: no config of an image"},
    {"{\"schemaVersion\":2,\"config\":{},\"layers\":[]}", "c: rootfs is missing"},
    {"{\"rootfs\":[]}", "c: rootfs: expected object, got array"},
    {"{\"rootfs\":{\"diff_ids\":[]}}", "c: rootfs.type is missing"},
    {"{\"rootfs\":{\"type\":\"windows\",\"diff_ids\":[]}}",
     "c: rootfs.type: expected layers, got \"windows\""},
    {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" A "\",\"sha512:1\"]}}",
     "c: rootfs.diff_ids[1]: digests by sha512 are not supported"},
    {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}}",
     "c: rootfs.diff_ids[0]: the digest"},
    {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:../x\"]}}",
     "c: rootfs.diff_ids[0]: "},
    {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[1]}}",
     "c: rootfs.diff_ids[0]: expected string, got integer"},
    {"{\"os\":\"windows\"," ROOTFS "}",
     "c: os: the image is built for \"windows\", only linux runs here"},
    {"{\"os\":\"Linux\"," ROOTFS "}", "c: os: the image is built for \"Linux\""},
    {"{\"os\":\"wasip1\",\"architecture\":\"amd64\"," ROOTFS "}", "c: os: the image is built for"},
    {"{\"os\":\"wasip3\",\"architecture\":\"wasm\"," ROOTFS "}",
     "c: os: the module is built for \"wasip3\", only wasip1 and wasip2 run here"},
    {"{\"os\":\"linux\",\"architecture\":\"wasm\"," ROOTFS "}",
     "c: os: the module is built for \"linux\", only wasip1 and wasip2 run here"},
    {"{\"os\":5," ROOTFS "}", "c: os: expected string, got integer"},
    {"{\"OS\":\"windows\"," ROOTFS "}", "c: OS: unknown key; write it as os"},
    {"{\"os\":\"linux\",\"os\":\"linux\"," ROOTFS "}", "duplicate object key"},
    {WITH("\"Env\":[\"A=1\",\"NOTHING\"]"),
     "c: config.Env[1]: expected NAME=value, got \"NOTHING\""},
    {WITH("\"Env\":[\"=x\"]"), "c: config.Env[0]: expected NAME=value, got \"=x\""},
    {WITH("\"Env\":[\"\"]"), "c: config.Env[0]: expected NAME=value, got \"\""},
    {WITH("\"Env\":{\"A\":\"b\"}"), "c: config.Env: expected array of strings, got object"},
    {WITH("\"Env\":[\"A=\\u0000\"]"), "c:1:"},
    {WITH("\"Cmd\":\"sh -c x\""),
     "c: config.Cmd: expected array of strings, got string \"sh -c x\""},
    {WITH("\"Entrypoint\":\"/bin/sh\""), "c: config.Entrypoint: expected array of strings, got"},
    {WITH("\"Entrypoint\":[1]"), "c: config.Entrypoint[0]: expected string, got integer"},
    {WITH("\"Cmd\":[null]"), "c: config.Cmd[0]: expected string, got null"},
    {WITH("\"cmd\":[]"), "c: config.cmd: unknown key; write it as Cmd"},
    {WITH("\"User\":0"), "c: config.User: expected string, got integer"},
    {WITH("\"WorkingDir\":[]"), "c: config.WorkingDir: expected string, got array"},
    {WITH("\"StopSignal\":\"SIGFOO\""),
     "c: config.StopSignal: expected a signal's name or 1 to 64, got \"SIGFOO\""},
    {WITH("\"StopSignal\":\"0\""), "c: config.StopSignal: "},
    {WITH("\"StopSignal\":\"65\""), "c: config.StopSignal: "},
    {WITH("\"StopSignal\":15"), "c: config.StopSignal: expected string, got integer"},
    {WITH("\"Labels\":[]"), "c: config.Labels: expected object, got array"},
    {WITH("\"Labels\":{\"a\":1}"), "c: config.Labels.a: expected string, got integer"},
    {"{" ROOTFS ",\"config\":[]}", "c: config: expected object, got array"},
};

TEST(wrong_configs_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_config_record record;
        struct cl_error err;

        CHECK(parse(wrong[i].text, &arena, &record, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(strncmp(err.msg, "c:", 2) == 0);
    }
}

/* --- of modules ------------------------------------------------------------------------ */

TEST(a_modules_config_says_little)
{
    static const struct {
        const char *text;
        const char *os; /* NULL: not said */
        size_t digests;
    } rows[] = {
        {"{\"created\":\"2024-05-01T10:00:00Z\",\"author\":\"x\",\"architecture\":\"wasm\","
         "\"os\":\"wasip1\",\"layerDigests\":[\"" A "\"],\"component\":null}",
         "wasip1", 1},
        {"{\"architecture\":\"wasm\",\"os\":\"wasi\",\"layerDigests\":[\"" A "\",\"" B "\"]}",
         "wasi", 2},
        {"{\"architecture\":\"\",\"os\":\"\",\"layerDigests\":null}", NULL, 0},
        {"{\"layerDigests\":[],\"config\":{\"Cmd\":[\"x\"]}}", NULL, 0},
        {"{}", NULL, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_config_record record;
        struct cl_error err;

        CHECK(parse_as(CL_MODULE_CONFIG_TYPE, rows[i].text, &arena, &record, &err) == 0);
        CHECK_TEXT(err.msg, "");
        CHECK_TEXT(record.architecture, "wasm");
        CHECK(has(&record, CL_CONFIG_OS) == (rows[i].os != NULL));
        if (rows[i].os != NULL)
            CHECK_TEXT(record.os, rows[i].os);
        CHECK(has(&record, CL_CONFIG_DIFF_IDS) == (rows[i].digests > 0));
        CHECK(record.diff_ids.count == rows[i].digests && !has(&record, CL_CONFIG_COMMAND));
    }
}

TEST(wrong_configs_of_modules_are_told)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"[]", "c: expected object, got array"},
        {"{\"architecture\":\"amd64\"}", "c: architecture: expected wasm, got \"amd64\""},
        {"{\"os\":\"wasip22\"}", "c: os: the module is built for \"wasip22\", only"},
        {"{\"os\":\"\\n\"}",
         "c: os: the module is built for \"\\x0a\", only wasip1 and wasip2 run here"},
        {"{\"layerDigests\":[\"sha512:1\"]}", "c: layerDigests[0]: digests by sha512"},
        {"{\"layerDigests\":[\"" A "\",\"../x\"]}", "c: layerDigests[1]: "},
        {"{\"layerDigests\":\"" A "\"}", "c: layerDigests: expected array of strings, got string"},
        {"{\"layerdigests\":[]}", "c: layerdigests: unknown key; write it as layerDigests"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_config_record record;
        struct cl_error err;

        CHECK(parse_as(CL_MODULE_CONFIG_TYPE, rows[i].text, &arena, &record, &err) < 0);
        CHECK_HAS(err.msg, rows[i].message);
    }
}

TEST(an_image_of_files_may_be_for_modules)
{
    static const char *const names[] = {"wasip1", "wasip2", "wasi", ""};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_config_record record;
        struct cl_error err;
        char text[512];

        (void)snprintf(text, sizeof(text), "{\"os\":\"%s\",\"architecture\":\"wasm\"," ROOTFS "}",
                       names[i]);
        CHECK(parse_as("application/vnd.oci.image.config.v1+json", text, &arena, &record, &err) ==
              0);
        CHECK_TEXT(record.architecture, "wasm");
        CHECK(record.diff_ids.count == 2);
    }
}

/* COUNT times PART between HEAD and TAIL. */
static int parse_repeated(const char *head, const char *part, int count, const char *tail,
                          struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(4 << 20);
    struct cl_config_record record;

    CHECK(cl_buf_add_str(&text, head) == 0);
    for (int i = 0; i < count; i++)
        CHECK(cl_buf_add_str(&text, part) == 0);
    CHECK(cl_buf_add_str(&text, tail) == 0);
    return parse(cl_buf_text(&text), &arena, &record, err);
}

TEST(what_a_record_can_hold_bounds_a_config)
{
    struct cl_error err;

    CHECK(parse_repeated("{" ROOTFS ",\"config\":{\"User\":\"", "u", 255, "\"}}", &err) == 0);
    CHECK(parse_repeated("{" ROOTFS ",\"config\":{\"User\":\"", "u", 256, "\"}}", &err) < 0);
    CHECK_TEXT(err.msg, "c: config.User: more than 255 bytes");
    CHECK(parse_repeated("{" ROOTFS ",\"config\":{\"WorkingDir\":\"/", "w", 4094, "\"}}", &err) ==
          0);
    CHECK(parse_repeated("{" ROOTFS ",\"config\":{\"WorkingDir\":\"/", "w", 4095, "\"}}", &err) <
          0);
    CHECK_TEXT(err.msg, "c: config.WorkingDir: more than 4095 bytes");
    CHECK(parse_repeated("{" ROOTFS ",\"config\":{\"Env\":[", "\"A=1\",", 4095, "\"A=2\"]}}",
                         &err) == 0);
    CHECK(parse_repeated("{" ROOTFS ",\"config\":{\"Env\":[", "\"A=1\",", 4096, "\"A=2\"]}}",
                         &err) < 0);
    CHECK_TEXT(err.msg, "c: config.Env: more than 4096 entries");
    CHECK(parse_repeated("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[", "\"" A "\",", 126,
                         "\"" B "\"]}}", &err) == 0);
    CHECK(parse_repeated("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[", "\"" A "\",", 127,
                         "\"" B "\"]}}", &err) < 0);
    CHECK_TEXT(err.msg, "c: rootfs.diff_ids: more than 127 entries");
}

/* Each allocation fails once. */
TEST(a_lack_of_memory_is_told)
{
    const struct cl_document document = {"c", whole, strlen(whole)};
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_config_record record = {.set = 0};
        struct cl_error err = {0};

        r = cl_config_parse(&document, NULL, &arena, &record, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && record.set == 0));
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_whole_config_is_understood),
        ROW(what_is_missing_null_or_empty_is_not_set),
        ROW(empty_lists_are_set),
        ROW(a_working_directory_is_kept_as_it_is_written),
        ROW(signals_have_many_spellings),
        ROW(wrong_configs_are_told_where_and_why),
        ROW(a_modules_config_says_little),
        ROW(wrong_configs_of_modules_are_told),
        ROW(an_image_of_files_may_be_for_modules),
        ROW(what_a_record_can_hold_bounds_a_config),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
