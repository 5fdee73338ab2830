/* test_safe_text.c - what a program's output becomes on a terminal, in one piece and in pieces. */
#include <string.h>

#include "cmd/cloister/safe_text.h"
#include "check.h"

/* DATA in pieces of STEP bytes. */
static void show(const char *data, size_t size, size_t step, char *ret, size_t room)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct cl_safe_text text = {.size = 0};

    for (size_t at = 0; at < size; at += step) {
        size_t piece = size - at < step ? size - at : step;
        CHECK(cl_safe_text_add(&text, &buf, data + at, piece) == 0);
        CHECK(text.size < sizeof(text.rest));
    }
    CHECK(cl_safe_text_end(&text, &buf) == 0 && text.size == 0);
    CHECK(buf.size < room);
    (void)snprintf(ret, room, "%s", cl_buf_text(&buf));
}

static void check_shown(const char *data, size_t size, const char *expected)
{
    char shown[256];

    for (size_t step = 1; step <= size; step++) {
        show(data, size, step, shown, sizeof(shown));
        CHECK_TEXT(shown, expected);
    }
}

#define SHOWN(data, expected) check_shown(data, sizeof(data) - 1, expected)

TEST(text_is_shown_as_it_is)
{
    SHOWN("plain\n\ttext", "plain\n\ttext");
    SHOWN("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80!",
          "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80!");
}

TEST(control_characters_are_named)
{
    SHOWN("a\033[2Jb\x07", "a^[[2Jb^G");
    SHOWN("\0\x7f\x08", "^@^?^H");
    SHOWN("one\r\ntwo\rthree\r", "one\ntwo^Mthree^M");
}

TEST(what_steers_a_terminal_is_taken_apart)
{
    SHOWN("\xc2\x9b"
          "31m",
          "\\xc2\\x9b31m"); /* CSI in one character */
    SHOWN("\x9b"
          "31m",
          "\\x9b31m"); /* and in one byte */
    SHOWN("a\xe2\x80\xae"
          "b",
          "a\\xe2\\x80\\xae"
          "b"); /* right-to-left override */
}

TEST(bytes_that_are_no_text_are_named)
{
    SHOWN("\xff\xfe", "\\xff\\xfe");
    SHOWN("\xe2\x82", "\\xe2\\x82"); /* cut at the end */
    SHOWN("\xe2\x82"
          "A",
          "\\xe2\\x82"
          "A"); /* cut in the middle */
    SHOWN("\xf0\x9f\x98", "\\xf0\\x9f\\x98");
    SHOWN("\xc0\x80\xed\xa0\x80", "\\xc0\\x80\\xed\\xa0\\x80");
    SHOWN("\xc3\xc3\xbc", "\\xc3\xc3\xbc");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(text_is_shown_as_it_is),
        ROW(control_characters_are_named),
        ROW(what_steers_a_terminal_is_taken_apart),
        ROW(bytes_that_are_no_text_are_named),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
