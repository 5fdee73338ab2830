/* test_table.c - what `cloister ps` and others print for people. */
#include <errno.h>

#include "cmd/cloister/table.h"
#include "check.h"

enum { ARENA_MAX = 1 << 20 };

static void print(const char *const cells[], size_t columns, size_t rows, struct cl_buf *buf)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_table table = {.arena = &arena, .columns = columns};

    for (size_t i = 0; i < rows; i++)
        CHECK(cl_table_add(&table, cells + i * columns) == 0);
    CHECK(cl_table_write(&table, buf) == 0);
}

TEST(columns_are_as_wide_as_their_widest_cell)
{
    static const char *const cells[] = {"ID", "NAME", "AGE", "1", "long name",
                                        "2s", "22",   "",    "3m"};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

    print(cells, 3, 3, &buf);
    CHECK_TEXT(cl_buf_text(&buf), "ID   NAME        AGE\n"
                                  "1    long name   2s\n"
                                  "22               3m\n");
}

TEST(width_is_in_characters)
{
    static const char *const cells[] = {"\xc3\xa4\xc3\xb6", "x", "abc", "y"};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

    print(cells, 2, 2, &buf);
    CHECK_TEXT(cl_buf_text(&buf), "\xc3\xa4\xc3\xb6    x\nabc   y\n");
}

TEST(cells_drive_no_terminal)
{
    static const char *const cells[] = {"a\x1b[2Jb", "\x7f\n\t", "\xc2\x9b[0m", "\xff\xc3", "ok"};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

    print(cells, 1, 5, &buf);
    CHECK_TEXT(cl_buf_text(&buf), "a?[2Jb\n???\n??[0m\n??\nok\n");
}

TEST(many_rows_keep_their_order)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf expected = CL_BUF_INIT(1 << 16);
    struct cl_table table = {.arena = &arena, .columns = 2};

    for (unsigned int i = 1000; i < 1100; i++) {
        char text[16];
        const char *const cells[] = {text, text};

        (void)snprintf(text, sizeof(text), "%u", i);
        CHECK(cl_table_add(&table, cells) == 0);
        CHECK(cl_buf_printf(&expected, "%u   %u\n", i, i) == 0);
    }
    CHECK(table.count == 200 && cl_table_write(&table, &buf) == 0);
    CHECK_TEXT(cl_buf_text(&buf), cl_buf_text(&expected));
}

TEST(a_full_memory_is_told)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4);
    struct cl_table table = {.arena = &arena, .columns = 1};
    static const char *const cells[] = {"12345678901234567890123456789012345678901234567890123456"};
    static const char *const small[] = {"12345"};

    CHECK(cl_table_add(&table, cells) == -ENOMEM && table.count == 0);
    arena.cap = ARENA_MAX;
    CHECK(cl_table_add(&table, small) == 0);
    CHECK(cl_table_write(&table, &buf) == -EFBIG);
}

TEST(a_table_of_nothing_prints_nothing)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

    print(NULL, 2, 0, &buf);
    CHECK_TEXT(cl_buf_text(&buf), "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(columns_are_as_wide_as_their_widest_cell),
        ROW(width_is_in_characters),
        ROW(cells_drive_no_terminal),
        ROW(many_rows_keep_their_order),
        ROW(a_full_memory_is_told),
        ROW(a_table_of_nothing_prints_nothing),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
