/* test_plan.c - the plan's flat form: what is written reads the same, and bytes that were
 * not written so are refused. */
#include <errno.h>

#include "plan/format.h"
#include "plan/print.h"
#include "check.h"

enum { ARENA_CAP = 1 << 20 };

static const uint64_t program[] = {0x7fff000000000006, 6};

static void add_lists(struct cl_plan *plan, struct cl_arena *arena, struct cl_error *err)
{
    const struct cl_plan_file bind = {
        .kind = CL_FILE_BIND, .mode = CL_FILE_COPY, .source = "./src", .target = "/src"};
    const struct cl_plan_file tmpfs = {
        .kind = CL_FILE_TMPFS, .source = "", .target = "/t", .size_bytes = 5, .permissions = 0700};
    const struct cl_plan_rlimit limit = {.resource = 7, .soft = 10, .hard = 20};

    CHECK(cl_plan_add_str(plan, CL_FIELD_ENV, "A=1", arena, err) == 0);
    CHECK(cl_plan_add_str(plan, CL_FIELD_ENV, "B=", arena, err) == 0);
    CHECK(cl_plan_add_str(plan, CL_FIELD_ENV, "C=3", arena, err) == 0);
    CHECK(cl_plan_add_file(plan, &bind, arena, err) == 0);
    CHECK(cl_plan_add_file(plan, &tmpfs, arena, err) == 0);
    CHECK(cl_plan_add_rlimit(plan, &limit, arena, err) == 0);
}

/* A plan with a field of every type. */
static struct cl_plan make_plan(struct cl_arena *arena)
{
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(cl_plan_set_text(&plan, CL_FIELD_WALL, "container", arena, &err) == 0);
    CHECK(cl_plan_set_text(&plan, CL_FIELD_MEMORY, "512MiB", arena, &err) == 0);
    CHECK(cl_plan_set_text(&plan, CL_FIELD_CPUS, "1.5", arena, &err) == 0);
    CHECK(cl_plan_set_text(&plan, CL_FIELD_TIME, "10m", arena, &err) == 0);
    CHECK(cl_plan_set_text(&plan, CL_FIELD_TASKS, "256", arena, &err) == 0);
    CHECK(cl_plan_set_text(&plan, CL_FIELD_USER, "1000:1000", arena, &err) == 0);
    CHECK(cl_plan_set_text(&plan, CL_FIELD_TTY, "true", arena, &err) == 0);
    add_lists(&plan, arena, &err);
    plan.without = CL_LAYER_BIT(CL_LAYER_LANDLOCK);
    cl_plan_mark(&plan, CL_FIELD_WITHOUT);
    plan.seccomp = (struct cl_bytes){program, sizeof(program)};
    cl_plan_mark(&plan, CL_FIELD_SECCOMP);
    return plan;
}

static void write_plan(const struct cl_plan *plan, struct cl_buf *buf)
{
    struct cl_error err = {0};

    CHECK(cl_plan_write(plan, buf, &err) == 0);
}

/* Wherever it ends, padding included: it is too large, and not the host out of memory. */
TEST(a_plan_that_is_too_large_is_told_as_such)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf whole = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = make_plan(&arena);

    write_plan(&plan, &whole);
    for (size_t cap = 0; cap < whole.size; cap++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(cap);
        struct cl_error err = {0};

        CHECK(cl_plan_write(&plan, &buf, &err) == -E2BIG);
        CHECK_HAS(err.msg, "the plan is too large at ");
    }
}

TEST(plan_reads_as_it_was_written)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf first = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = make_plan(&arena);
    struct cl_plan back = {0};
    struct cl_error err = {0};

    write_plan(&plan, &first);
    CHECK(cl_plan_read(first.data, first.size, &arena, &back, &err) == 0);
    CHECK(back.set == plan.set);
    CHECK(back.limits.memory_bytes == 512ULL << 20 && back.limits.millicpus == 1500);
    CHECK_TEXT(back.user, "1000:1000");
    CHECK(back.env.count == 3 && back.files.count == 2 && back.rlimits.count == 1);
    CHECK_TEXT(back.env.items[1], "B=");
    CHECK_TEXT(back.files.items[0].source, "./src");
    CHECK(back.files.items[1].permissions == 0700);
    CHECK(back.seccomp.size == sizeof(program));
    write_plan(&back, &again);
    CHECK(again.size == first.size && memcmp(again.data, first.data, first.size) == 0);
}

/* A copy of exactly SIZE bytes, so that the sanitizer sees a read past the end. */
static int read_copy(const char *data, size_t size, struct cl_buf *ret_again)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_FREE char *copy = malloc(size == 0 ? 1 : size);
    struct cl_plan plan;
    struct cl_error err = {0};

    memcpy(copy, data, size);
    int r = cl_plan_read(copy, size, &arena, &plan, &err);
    CHECK(r == 0 || r == -EBADMSG);
    CHECK(r == 0 || err.msg[0] != '\0');
    if (r == 0)
        write_plan(&plan, ret_again);
    return r;
}

TEST(no_cut_plan_reads)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = make_plan(&arena);

    write_plan(&plan, &buf);
    for (size_t size = 0; size < buf.size; size++)
        CHECK(read_copy(buf.data, size, NULL) == -EBADMSG);
    CHECK(cl_buf_add(&buf, "\0\0\0\0\0\0\0", 8) == 0);
    CHECK(read_copy(buf.data, buf.size, NULL) == -EBADMSG);
}

/* A flipped bit makes another plan, which must write as it read, or none. */
TEST(every_flipped_bit_reads_or_is_refused)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = make_plan(&arena);
    size_t refused = 0;

    write_plan(&plan, &buf);
    for (size_t bit = 0; bit < buf.size * 8; bit++) {
        CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_PLAN_MAX_SIZE);

        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
        int r = read_copy(buf.data, buf.size, &again);
        refused += r < 0;
        CHECK(r < 0 || (again.size == buf.size && memcmp(again.data, buf.data, buf.size) == 0));
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
    }
    CHECK(refused > buf.size);
}

TEST(lists_grow_also_after_reading_and_merging)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = make_plan(&arena);
    struct cl_plan over = {0};
    struct cl_plan back;
    struct cl_error err = {0};

    write_plan(&plan, &buf);
    CHECK(cl_plan_read(buf.data, buf.size, &arena, &back, &err) == 0);
    CHECK(cl_plan_add_str(&over, CL_FIELD_ENV, "A=9", &arena, &err) == 0);
    CHECK(cl_plan_add_str(&over, CL_FIELD_ENV, "D=4", &arena, &err) == 0);
    CHECK(cl_plan_overlay(&back, &over, &arena, &err) == 0);
    char *neighbour = cl_arena_strdup(&arena, "neighbour");
    for (int i = 0; i < 100; i++)
        CHECK(cl_plan_add_str(&back, CL_FIELD_ENV, "X=", &arena, &err) == 0);
    CHECK_TEXT(neighbour, "neighbour");
    CHECK(back.env.count == 104);
    CHECK_TEXT(back.env.items[0], "A=9");
    CHECK_TEXT(back.env.items[3], "D=4");
    CHECK_TEXT(back.env.items[103], "X=");
}

TEST(adding_to_a_list_that_was_read_stays_in_its_array)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan = {0};
    struct cl_plan back;
    struct cl_error err = {0};

    for (int i = 0; i < 3; i++)
        CHECK(cl_plan_add_str(&plan, CL_FIELD_COMMAND, "word", &arena, &err) == 0);
    write_plan(&plan, &buf);
    CHECK(cl_plan_read(buf.data, buf.size, &arena, &back, &err) == 0);
    char *neighbour = cl_arena_strdup(&arena, "neighbour");
    CHECK(cl_plan_add_str(&back, CL_FIELD_COMMAND, "fourth", &arena, &err) == 0);
    CHECK_TEXT(neighbour, "neighbour");
    CHECK_TEXT(back.command.items[3], "fourth");
}

TEST(overlay_merges_by_key_and_target)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan base = make_plan(&arena);
    struct cl_plan over = {0};
    struct cl_error err = {0};
    const struct cl_plan_file file = {
        .kind = CL_FILE_BIND, .mode = CL_FILE_RW, .source = "/other", .target = "/src"};

    CHECK(cl_plan_add_file(&over, &file, &arena, &err) == 0);
    CHECK(cl_plan_set_text(&over, CL_FIELD_MEMORY, "1g", &arena, &err) == 0);
    over.without = CL_LAYER_BIT(CL_LAYER_APPARMOR);
    cl_plan_mark(&over, CL_FIELD_WITHOUT);
    CHECK(cl_plan_overlay(&base, &over, &arena, &err) == 0);
    CHECK(base.files.count == 2 && base.files.items[0].mode == CL_FILE_RW);
    CHECK(base.limits.memory_bytes == 1 << 30);
    CHECK(cl_plan_without(&base, CL_LAYER_LANDLOCK) && cl_plan_without(&base, CL_LAYER_APPARMOR));
    CHECK(base.limits.tasks == 256);
}

TEST(values_are_checked_against_their_row)
{
    static const struct {
        enum cl_field field;
        const char *text;
        const char *message;
    } rows[] = {
        {CL_FIELD_MEMORY, "1k", "too small"},
        {CL_FIELD_MEMORY, "99999t", "too large"},
        {CL_FIELD_MEMORY, "much", "expected a size like 512MiB, got \"much\""},
        {CL_FIELD_CPUS, "0.001", "the least is 0.010"},
        {CL_FIELD_TASKS, "0", "too small; the least is 1"},
        {CL_FIELD_WALL, "door", "expected one of container, wasm"},
        {CL_FIELD_TTY, "yes", "expected true or false"},
        {CL_FIELD_USER, "", "must not be empty"},
    };
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_error err = {0};

        CHECK(cl_plan_set_text(&plan, rows[i].field, rows[i].text, &arena, &err) < 0);
        CHECK_HAS(err.msg, rows[i].message);
    }
    CHECK(plan.set == 0);
}

TEST(plan_prints_as_json)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 16);
    struct cl_plan plan = make_plan(&arena);
    struct cl_json json;

    cl_json_begin(&json, &buf, 0);
    cl_json_object(&json, NULL);
    cl_plan_print(&plan, &json);
    cl_plan_print_limits(&plan, &json);
    cl_json_close(&json, '}');
    CHECK(cl_json_end(&json) == 0);
    CHECK_HAS(cl_buf_text(&buf), "\"wall\":\"container\"");
    CHECK_HAS(cl_buf_text(&buf), "\"memory_bytes\":536870912");
    CHECK_HAS(cl_buf_text(&buf), "\"cpus\":1.500");
    CHECK_HAS(cl_buf_text(&buf), "\"swap_bytes\":null");
    CHECK_HAS(cl_buf_text(&buf), "\"without\":[\"landlock\"]");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_plan_that_is_too_large_is_told_as_such),
        ROW(plan_reads_as_it_was_written),
        ROW(no_cut_plan_reads),
        ROW(every_flipped_bit_reads_or_is_refused),
        ROW(lists_grow_also_after_reading_and_merging),
        ROW(adding_to_a_list_that_was_read_stays_in_its_array),
        ROW(overlay_merges_by_key_and_target),
        ROW(values_are_checked_against_their_row),
        ROW(plan_prints_as_json),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
