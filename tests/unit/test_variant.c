/* test_variant.c - values of systemd's properties in GVariant's text form. */
#include "helpers/systemd/variant.h"

#include <errno.h>
#include <inttypes.h>

#include "base/defs.h"
#include "check.h"

static struct cl_variant variant;

static int parse(const char *text)
{
    static char copy[4096];

    (void)snprintf(copy, sizeof(copy), "%s", text);
    return cl_variant_parse(copy, &variant);
}

/* As "at:1,2" and "s:text". */
static const char *show(void)
{
    static char text[4096];
    size_t used =
        (size_t)snprintf(text, sizeof(text), "%s%c:", variant.is_array ? "a" : "", variant.type);

    for (size_t i = 0; i < variant.count; i++) {
        const char *comma = i > 0 ? "," : "";

        if (variant.type == 's' || variant.type == 'o')
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", comma,
                                     variant.items[i].text);
        else
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%" PRId64, comma,
                                     (int64_t)variant.items[i].number);
    }
    return text;
}

TEST(what_annotations_have_is_read)
{
    static const struct {
        const char *text;
        const char *shown;
    } rows[] = {
        {"uint64 5", "t:5"},
        {"uint64 18446744073709551615", "t:-1"},
        {"5", "i:5"},
        {"-5", "i:-5"},
        {"+5", "i:5"},
        {"int32 -2147483648", "i:-2147483648"},
        {"int64 -9223372036854775808", "x:-9223372036854775808"},
        {"byte 0xff", "y:255"},
        {"int16 32767", "n:32767"},
        {"uint16 65535", "q:65535"},
        {"uint32 0x10", "u:16"},
        {"true", "b:1"},
        {" false ", "b:0"},
        {"boolean true", "b:1"},
        {"'text'", "s:text"},
        {"\"te'xt\"", "s:te'xt"},
        {"''", "s:"},
        {"'a\\'b\\\\c\\n\\u00e4\\U0001F600'", "s:a'b\\c\n\xc3\xa4\xf0\x9f\x98\x80"},
        {"string 'x'", "s:x"},
        {"objectpath '/a/b'", "o:/a/b"},
        {"@t 7", "t:7"},
        {"@s 'x'", "s:x"},
        {"['a.service', 'b.service']", "as:a.service,b.service"},
        {"[ 'a' ]", "as:a"},
        {"[1, 2,3]", "ai:1,2,3"},
        {"[uint64 1, 2]", "at:1,2"},
        {"[byte 0x01, 0x80]", "ay:1,128"},
        {"[true,false]", "ab:1,0"},
        {"@as []", "as:"},
        {"@at [1, 2]", "at:1,2"},
        {"@ay []", "ay:"},
        {"[@t 1, @t 2]", "at:1,2"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const int r = parse(rows[i].text);

        if (r < 0)
            printf("# %s\n", rows[i].text);
        CHECK(r == 0);
        CHECK_TEXT(show(), rows[i].shown);
    }
}

TEST(what_is_no_value_is_refused)
{
    static const char *const texts[] = {
        "",
        " ",
        "[]",
        "text",
        "'text",
        "\"text'",
        "5x",
        "5 5",
        "uint64",
        "uint64 -1",
        "byte 256",
        "byte -1",
        "int16 32768",
        "2147483648",
        "-2147483649",
        "int64 9223372036854775808",
        "uint64 18446744073709551616",
        "0x",
        "0xg",
        "--5",
        "1.5",
        "true 1",
        "uint64 true",
        "boolean 1",
        "'a' 'b'",
        "string 5",
        "uint64 'a'",
        "['a', 5]",
        "[1, 'a']",
        "['a'",
        "['a',]",
        "[,]",
        "[uint64 1, int32 2]",
        "@x",
        "@a []",
        "@as 'x'",
        "@z 5",
        "@as5",
        "uint64 [1]",
        "(1, 2)",
        "{'a': 1}",
        "<1>",
        "'\\u0000'",
        "'\\ud800'",
        "'\\u12'",
        "'\\",
        "'\xff'",
        "b'x'",
        "nothing",
        "[[1]]",
        "[70000, @n 2]",
        "[@n 1, @i 2]",
        "@aas []",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        const int r = parse(texts[i]);

        if (r == 0)
            printf("# %s\n", texts[i]);
        CHECK(r == -EINVAL);
    }
}

TEST(an_array_has_its_bounds)
{
    char text[2 * CL_VARIANT_ITEMS + 8] = "[0";

    for (size_t i = 1; i < CL_VARIANT_ITEMS; i++)
        memcpy(text + 2 * i, ",0]", 4);
    CHECK(parse(text) == 0 && variant.count == CL_VARIANT_ITEMS);
    memcpy(text + strlen(text) - 1, ",0]", 4);
    CHECK(parse(text) == -EINVAL);
}

TEST(seconds_become_microseconds)
{
    static const struct {
        const char *name;
        const char *text;
        int r;
        const char *new_name;
        const char *shown;
    } rows[] = {
        {"TimeoutStopSec", "uint64 5", 1, "TimeoutStopUSec", "t:5000000"},
        {"TimeoutStopSec", "5", 1, "TimeoutStopUSec", "t:5000000"},
        {"TimeoutStopUSec", "uint64 5", 0, "TimeoutStopUSec", "t:5"},
        {"TasksMax", "uint64 5", 0, "TasksMax", "t:5"},
        {"Sec", "5", 0, "Sec", "i:5"},
        {"XSec", "5", 1, "XUSec", "t:5000000"},
        {"TimeoutStopSec", "'5'", -EINVAL, "TimeoutStopSec", "s:5"},
        {"TimeoutStopSec", "-5", -EINVAL, "TimeoutStopSec", "i:-5"},
        {"TimeoutStopSec", "[5]", -EINVAL, "TimeoutStopSec", "ai:5"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "%s", rows[i].name);
        CHECK(parse(rows[i].text) == 0);
        CHECK(cl_variant_of_seconds(name, &variant) == rows[i].r);
        CHECK_TEXT(name, rows[i].new_name);
        CHECK_TEXT(show(), rows[i].shown);
    }
    char name[] = "TimeoutStopSec\0";
    CHECK(parse("uint64 18446744073709551615") == 0);
    CHECK(cl_variant_of_seconds(name, &variant) == -ERANGE);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_annotations_have_is_read),
        ROW(what_is_no_value_is_refused),
        ROW(an_array_has_its_bounds),
        ROW(seconds_become_microseconds),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
