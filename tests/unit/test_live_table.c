/* test_live_table.c - what draws a table over itself. */
#include "cmd/cloister/live_table.h"

#include "check.h"

static const char *frame(struct cl_live_table *table, size_t columns, size_t rows, const char *text)
{
    static struct cl_buf buf = {.cap = 4096};
    const struct cl_live_screen screen = {columns, rows};

    buf.size = 0;
    CHECK(cl_live_table_frame(table, &screen, text, &buf) == 0);
    return cl_buf_text(&buf);
}

TEST(it_is_drawn_in_its_place)
{
    struct cl_live_table table = {0};

    CHECK_TEXT(frame(&table, 80, 24, "one\ntwo\n"), "one\033[K\ntwo\033[K\n\033[J");
    CHECK_TEXT(frame(&table, 80, 24, "three\n"), "\r\033[2Athree\033[K\n\033[J");
    CHECK_TEXT(frame(&table, 80, 24, "a\nb\n"), "\r\033[1Aa\033[K\nb\033[K\n\033[J");
}

TEST(it_is_no_wider_and_no_longer_than_the_screen)
{
    struct cl_live_table table = {0};

    CHECK_TEXT(frame(&table, 5, 24, "abcdef\nabcd\n"), "abcd\033[K\nabcd\033[K\n\033[J");
    CHECK_TEXT(frame(&table, 4, 24, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\n"),
               "\r\033[2A\xc3\xa4\xc3\xb6\xc3\xbc\033[K\n\033[J");
    table = (struct cl_live_table){0};
    CHECK_TEXT(frame(&table, 80, 4, "1\n2\n3\n"), "1\033[K\n2\033[K\n3\033[K\n\033[J");
    CHECK_TEXT(frame(&table, 80, 4, "1\n2\n3\n4\n"),
               "\r\033[3A1\033[K\n2\033[K\nand 2 more\033[K\n\033[J");
    CHECK(table.drawn == 3);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(it_is_drawn_in_its_place),
        ROW(it_is_no_wider_and_no_longer_than_the_screen),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
