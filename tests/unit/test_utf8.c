/* test_utf8.c - what can be shown to people, and errors that are made of foreign bytes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "check.h"

static void check_printable(const char *text, const char *wanted)
{
    char shown[64];

    (void)snprintf(shown, sizeof(shown), "%s", text);
    cl_utf8_make_printable(shown);
    CHECK_TEXT(shown, wanted);
}

TEST(utf8_is_rfc_3629)
{
    check_printable("", "");
    check_printable("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                    "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check_printable("\xc0\xaf", "??");           /* overlong */
    check_printable("\xe0\x80\xaf", "???");      /* overlong */
    check_printable("\xed\xa0\x80", "???");      /* surrogate */
    check_printable("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
    check_printable("x\xe2\x82", "x??");         /* cut */
    check_printable("\x80", "?");
}

TEST(a_text_is_utf_8_as_a_whole)
{
    static const char *const good[] = {"", "a", "\x1b\x7f", "\xc3\xa9", "a\xf0\x9f\x98\x80z"};
    static const char *const bad[] = {"\x80",     "a\xff",        "\xc3",
                                      "\xc0\xaf", "\xed\xa0\x80", "x\xe2\x82"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(good); i++)
        CHECK(cl_utf8_is_valid(good[i]));
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++)
        CHECK(!cl_utf8_is_valid(bad[i]));
}

TEST(what_drives_a_terminal_is_not_shown)
{
    check_printable("a\x1b[31mb\n\r\x07\x7f", "a?[31mb????");
    check_printable("\xc2\x9b"
                    "31m\xc2\x80\xc2\x9f\xc2\xa0",
                    "??31m????\xc2\xa0"); /* C1, and the first that is none */
    check_printable("\x9b"
                    "31m",
                    "?31m");
    struct cl_error err = {0};
    (void)cl_refuse(&err, EINVAL, "%s",
                    "\xc2\x9b"
                    "31m\n");
    CHECK_TEXT(err.msg, "??31m?");
}

TEST(what_turns_text_around_is_not_shown)
{
    check_printable("a\xe2\x80\xae"
                    "gpj.\xe2\x80\xac",
                    "a???gpj.???");                                  /* U+202E, U+202C */
    check_printable("\xe2\x81\xa6\xe2\x81\xa9\xd8\x9c", "????????"); /* U+2066, U+2069, U+061C */
    check_printable("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\x8e",
                    "?????????"); /* U+2028, U+2029, U+200E */
    check_printable(
        "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xaf\xe2\x81\xa5\xd8\x9b",
        "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xaf\xe2\x81\xa5\xd8\x9b"); /* their neighbours */
}

/* Of a page that another process has written. */
TEST(a_foreign_error_is_made_one)
{
    struct cl_error err = {.code = -5};

    memset(err.msg, '\x1b', sizeof(err.msg));
    CHECK(cl_error_check(&err) == -EIO && err.code == EIO);
    CHECK(strlen(err.msg) == sizeof(err.msg) - 1 && err.msg[0] == '?');
    err = (struct cl_error){.code = 0, .msg = "x"};
    CHECK(cl_error_check(&err) == -EIO);
    err.code = 4096;
    CHECK(cl_error_check(&err) == -EIO);
    err.code = EPERM;
    CHECK(cl_error_check(&err) == -EPERM && strcmp(err.msg, "x") == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(utf8_is_rfc_3629),
        ROW(a_text_is_utf_8_as_a_whole),
        ROW(what_drives_a_terminal_is_not_shown),
        ROW(what_turns_text_around_is_not_shown),
        ROW(a_foreign_error_is_made_one),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
