/* test_compose.c - what an image's config becomes for `run`. */
#include <errno.h>

#include "image/compose.h"
#include "plan/format.h"
#include "check.h"

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char *const layer_names[] = {"3", "14"};
static const struct cl_strlist layers = {layer_names, 2};
static const char *const environment[] = {"PATH=/bin", "EMPTY=", "A=b=c"};
static const char *const words[] = {"sh", "-c", "", "x y"};

static int compose(const struct cl_config_record *config, struct cl_arena *arena,
                   struct cl_plan *ret, struct cl_error *err)
{
    const struct cl_store store = {.dir = -1, .path = "/var/lib/cloister/images"};

    const struct cl_launch_of image = {
        .store = &store, .digest = DIGEST, .layers = layers, .config = config};

    return cl_launch_compose(&image, arena, ret, err);
}

static uint64_t bits(const enum cl_field *fields, size_t count)
{
    uint64_t set = 0;

    for (size_t i = 0; i < count; i++)
        set |= 1ULL << fields[i];
    return set;
}

/* What launch.h names, and no more: `run` refuses any other. */
static const enum cl_field always[] = {CL_FIELD_IMAGE_KIND, CL_FIELD_IMAGE_PATH,
                                       CL_FIELD_IMAGE_LAYERS, CL_FIELD_IMAGE_DIGEST};

/* The plan as `run` reads it. */
static void reread(const struct cl_plan *plan, struct cl_arena *arena, struct cl_plan *ret)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_error err = {0};

    CHECK(cl_plan_write(plan, &buf, &err) == 0);
    const char *copy = cl_arena_strndup(arena, cl_buf_text(&buf), buf.size);
    CHECK(copy != NULL && cl_plan_read(copy, buf.size, arena, ret, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

TEST(an_empty_config_is_where_the_layers_are)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    const struct cl_config_record config = {0};
    struct cl_plan plan = {0};
    struct cl_plan back = {0};
    struct cl_error err = {0};

    CHECK(compose(&config, &arena, &plan, &err) == 0);
    reread(&plan, &arena, &back);
    CHECK(back.set == bits(always, CL_ARRAY_SIZE(always)));
    CHECK(back.image_kind == CL_IMAGE_STORE);
    CHECK_TEXT(back.image_path, "/var/lib/cloister/images/layers");
    CHECK_TEXT(back.image_digest, DIGEST);
    CHECK(back.image_layers.count == 2);
    for (size_t i = 0; i < 2 && i < back.image_layers.count; i++)
        CHECK_TEXT(back.image_layers.items[i], layer_names[i]);
}

TEST(what_the_config_says_is_in_the_plan)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    static const char *const labels[] = {"k=v"};
    const struct cl_config_record config = {
        .set = (1ULL << CL_CONFIG_FIELD_COUNT) - 1,
        .architecture = "amd64",
        .os = "linux",
        .variant = "",
        .created = "now",
        .env = {environment, 3},
        .entrypoint = {words, 2},
        .command = {words, 4},
        .workdir = "/srv/app",
        .user = "app:web",
        .stop_signal = 10,
        .labels = {labels, 1},
    };
    struct cl_plan plan = {0};
    struct cl_plan back = {0};
    struct cl_error err = {0};

    CHECK(compose(&config, &arena, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    reread(&plan, &arena, &back);
    static const enum cl_field more[] = {CL_FIELD_ENV,     CL_FIELD_ENTRYPOINT,
                                         CL_FIELD_COMMAND, CL_FIELD_WORKDIR,
                                         CL_FIELD_USER,    CL_FIELD_STOP_SIGNAL};
    CHECK(back.set == (bits(always, CL_ARRAY_SIZE(always)) | bits(more, CL_ARRAY_SIZE(more))));
    CHECK(back.env.count == 3 && back.entrypoint.count == 2 && back.command.count == 4);
    for (size_t i = 0; i < 3 && i < back.env.count; i++)
        CHECK_TEXT(back.env.items[i], environment[i]);
    for (size_t i = 0; i < 4 && i < back.command.count; i++)
        CHECK_TEXT(back.command.items[i], words[i]);
    CHECK_TEXT(back.entrypoint.count == 2 ? back.entrypoint.items[1] : "", "-c");
    CHECK_TEXT(back.workdir, "/srv/app");
    CHECK_TEXT(back.user, "app:web");
    CHECK(back.stop_signal == 10);
}

/* Docker's builder writes both. */
TEST(what_is_empty_is_as_good_as_missing)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    const struct cl_config_record config = {
        .set = (1ULL << CL_CONFIG_FIELD_COUNT) - 1, .workdir = "", .user = "", .stop_signal = 0};
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(compose(&config, &arena, &plan, &err) == 0);
    CHECK(plan.set == bits(always, CL_ARRAY_SIZE(always)));
}

/* A field that isn't set may hold anything (records.h). */
TEST(what_is_not_set_is_not_looked_at)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    const struct cl_config_record config = {.set = 0, .workdir = NULL, .user = NULL};
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(compose(&config, &arena, &plan, &err) == 0);
}

TEST(what_a_plan_can_not_have_is_refused_by_its_name)
{
    static char long_user[256];
    static char long_path[5000];
    const struct {
        struct cl_config_record config;
        const char *name;
    } rows[] = {
        {{.set = 1ULL << CL_CONFIG_USER, .user = long_user}, "user"},
        {{.set = 1ULL << CL_CONFIG_WORKDIR, .workdir = long_path}, "workdir"},
    };

    memset(long_user, 'u', sizeof(long_user) - 1);
    memset(long_path, '/', sizeof(long_path) - 1);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_plan plan = {0};
        struct cl_error err = {0};

        CHECK(compose(&rows[i].config, &arena, &plan, &err) < 0);
        CHECK(strncmp(err.msg, rows[i].name, strlen(rows[i].name)) == 0);
        CHECK(plan.set == 0);
    }
}

/* --- WebAssembly --------------------------------------------------------------------------- */

static int compose_of(enum cl_payload payload, const char *title, const char *architecture,
                      struct cl_arena *arena, struct cl_plan *ret)
{
    const struct cl_store store = {.dir = -1, .path = "/var/lib/cloister/images"};
    const struct cl_config_record config = {
        .architecture = architecture, .command = {words, 4}, .set = 1ULL << CL_CONFIG_COMMAND};
    const struct cl_launch_of image = {.store = &store,
                                       .digest = DIGEST,
                                       .layers = {layer_names, 1},
                                       .config = &config,
                                       .payload = payload,
                                       .title = title};
    struct cl_plan plan = {0};
    struct cl_error err = {0};
    int r = cl_launch_compose(&image, arena, &plan, &err);

    reread(&plan, arena, ret);
    return r;
}

TEST(a_modules_first_argument_is_its_files_name)
{
    static const struct {
        const char *title;
        const char *expected;
    } rows[] = {
        {NULL, "module.wasm"}, {"a.wasm", "a.wasm"},  {"../../etc/passwd", "passwd"},
        {"/", "module.wasm"},  {"a/", "module.wasm"}, {"a/.", "module.wasm"},
        {"..", "module.wasm"}, {"...", "..."},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_plan plan = {0};

        CHECK(compose_of(CL_PAYLOAD_MODULE, rows[i].title, "wasm", &arena, &plan) == 0);
        CHECK(plan.image_kind == CL_IMAGE_MODULE && plan.image_layers.count == 1);
        CHECK(plan.set == (bits(always, CL_ARRAY_SIZE(always)) | 1ULL << CL_FIELD_ENTRYPOINT));
        CHECK(plan.entrypoint.count == 1);
        CHECK_TEXT(plan.entrypoint.count == 1 ? plan.entrypoint.items[0] : "", rows[i].expected);
    }
}

TEST(files_may_be_a_modules)
{
    static const struct {
        enum cl_payload payload;
        const char *architecture;
        int expected;
    } rows[] = {
        {CL_PAYLOAD_FILES, NULL, 0},           {CL_PAYLOAD_FILES, "amd64", 0},
        {CL_PAYLOAD_FILES, "wasm", 1},         {CL_PAYLOAD_FILES_OF_MODULE, "amd64", 1},
        {CL_PAYLOAD_FILES_OF_MODULE, NULL, 1},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_plan plan = {0};

        CHECK(compose_of(rows[i].payload, "x", rows[i].architecture, &arena, &plan) == 0);
        CHECK(plan.image_kind == CL_IMAGE_STORE && plan.command.count == 4);
        CHECK(cl_plan_has(&plan, CL_FIELD_IMAGE_MODULE) == rows[i].expected);
        CHECK((int)plan.image_module == rows[i].expected && plan.entrypoint.count == 0);
    }
}

TEST(no_memory_is_told_as_such)
{
    const struct cl_config_record config = {.set = 1ULL << CL_CONFIG_ENV, .env = {environment, 3}};
    struct cl_plan plan = {0};
    struct cl_error err = {0};
    int r = -1;

    for (size_t cap = 0; r < 0 && cap < 4096; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);

        r = compose(&config, &arena, &plan, &err);
        CHECK(r == 0 || r == -ENOMEM);
        CHECK(r == 0 || plan.set == 0);
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_empty_config_is_where_the_layers_are),
        ROW(what_the_config_says_is_in_the_plan),
        ROW(what_is_empty_is_as_good_as_missing),
        ROW(what_is_not_set_is_not_looked_at),
        ROW(what_a_plan_can_not_have_is_refused_by_its_name),
        ROW(a_modules_first_argument_is_its_files_name),
        ROW(files_may_be_a_modules),
        ROW(no_memory_is_told_as_such),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
