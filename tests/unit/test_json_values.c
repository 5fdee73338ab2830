/* test_json_values.c - the decoder's values of every type, what it warns of and what it needs;
 * integers that jansson has no room for; warnings within bounds. */
#include <errno.h>

#include "helpers/common/json_decode.h"
#include "helpers/common/json_large.h"
#include "helpers/common/json_load.h"
#include "check.h"

struct part {
    const char *must;
};

struct whole {
    struct cl_decode_number number;
    struct cl_decode_signed either;
    struct cl_decode_number truth;
    struct cl_decode_number word;
    struct cl_decode_numbers numbers;
    const char *raw;
    const char *even;
    const struct part *part;
    struct cl_decode_list parts; /* struct part */
};

static int is_even(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    return strlen(*text) % 2 == 0 ? 0 : cl_refuse(err, EINVAL, "is odd");
}

static const struct cl_decode_word colours[] = {{"red", 1}, {"green", 2}, {"", 3}};
static const struct cl_decode_words words = CL_DECODE_WORDS("colour", colours);

#define THIS part
static const struct cl_decode_field part_fields[] = {
    CL_DECODE_FIELD("must", TEXT, must, .max = 9, .needed = 1)};
static const struct cl_decode_shape part_shape = CL_DECODE_SHAPE(part_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS whole
static const struct cl_decode_field fields[] = {
    CL_DECODE_FIELD("number", NUMBER, number, .min = 2, .max = UINT64_MAX),
    CL_DECODE_FIELD("signed", SIGNED, either, .min = -1, .max = 7),
    CL_DECODE_FIELD("bool", BOOL, truth, .max = 0),
    CL_DECODE_FIELD("word", WORD, word, .words = &words),
    CL_DECODE_FIELD("numbers", NUMBERS, numbers, .max = UINT32_MAX),
    CL_DECODE_FIELD("raw", RAW, raw, .max = 0),
    CL_DECODE_FIELD("even", TEXT, even, .max = 99, .check = is_even),
    CL_DECODE_ROW_OF("part", OBJECT, part, 0, &part_shape),
    CL_DECODE_ROW_OF("parts", LIST, parts, 3, &part_shape),
    CL_DECODE_ROW_FOREIGN("windows"),
};
static const struct cl_decode_shape shape = CL_DECODE_SHAPE(fields, CL_DECODE_OPEN);
#undef THIS

struct scene {
    struct cl_arena arena;
    struct cl_warnings warnings;
    struct whole whole;
    struct cl_error err;
};

static void scene_done(struct scene *scene)
{
    cl_arena_done(&scene->arena);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int decode(struct scene *scene, const char *text, const char *within)
{
    const struct cl_document document = {"d", text, strlen(text)};

    *scene = (struct scene){.arena = CL_ARENA_INIT(1 << 20)};
    scene->warnings = CL_WARNINGS_INIT(&scene->arena, 4);
    const struct cl_decode_how how = {&scene->arena, &scene->warnings, within};
    return cl_decode_warned(&shape, &document, &how, &scene->whole, &scene->err);
}

TEST(every_type_is_filled)
{
    CL_CLEANUP_SCENE struct scene scene;

    CHECK(decode(&scene,
                 "{\"number\": 18446744073709551615, \"signed\": -1, \"bool\": true,"
                 " \"word\": \"green\", \"numbers\": [0, 4294967295], \"even\": \"ab\","
                 " \"raw\": {\"z\": [1, {\"y\": null, \"x\": \"\\\"\\u0001\"}], \"a\": {}},"
                 " \"part\": {\"must\": \"m\"}, \"parts\": []}",
                 NULL) == 0);
    const struct whole *whole = &scene.whole;
    CHECK_TEXT(scene.err.msg, "");
    CHECK(whole->number.present && whole->number.value == UINT64_MAX);
    CHECK(whole->either.present && whole->either.value == -1);
    CHECK(whole->truth.present && whole->truth.value == 1);
    CHECK(whole->word.present && whole->word.value == 2);
    CHECK(whole->numbers.count == 2 && whole->numbers.items[1] == UINT32_MAX);
    CHECK_TEXT(whole->raw, "{\"a\":{},\"z\":[1,{\"x\":\"\\\"\\u0001\",\"y\":null}]}");
    CHECK_TEXT(whole->even, "ab");
    CHECK_TEXT(whole->part->must, "m");
    CHECK(scene.warnings.count == 0);
}

TEST(false_and_zero_are_there)
{
    CL_CLEANUP_SCENE struct scene scene;

    CHECK(decode(&scene, "{\"signed\": 0, \"bool\": false, \"word\": \"\"}", NULL) == 0);
    CHECK(scene.whole.either.present && scene.whole.either.value == 0);
    CHECK(scene.whole.truth.present && scene.whole.truth.value == 0);
    CHECK(scene.whole.word.value == 3 && !scene.whole.number.present);
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"{\"number\": 1}", "d: number: expected 2 to 18446744073709551615, got 1"},
    {"{\"number\": -9}", "d: number: expected 2 to 18446744073709551615, got -9"},
    {"{\"number\": 18446744073709551616}", "d:1:31: too big integer"},
    {"{\"number\": 9223372036854775808.0}", "d: number: expected integer, got fraction"},
    {"{\"signed\": 8}", "d: signed: expected -1 to 7, got 8"},
    {"{\"signed\": -2}", "d: signed: expected -1 to 7, got -2"},
    {"{\"signed\": 9223372036854775808}", "d: signed: expected -1 to 7, got 9223372036854775808"},
    {"{\"signed\": \"1\"}", "d: signed: expected integer, got string \"1\""},
    {"{\"bool\": 1}", "d: bool: expected boolean, got integer"},
    {"{\"bool\": \"true\"}", "d: bool: expected boolean, got string \"true\""},
    {"{\"bool\": 9223372036854775808}", "d: bool: expected boolean, got integer"},
    {"{\"word\": \"blue\"}", "d: word: unknown colour \"blue\""},
    {"{\"word\": \"gren\"}", "d: word: unknown colour \"gren\" (did you mean green?)"},
    {"{\"word\": 1}", "d: word: expected string, got integer"},
    {"{\"word\": 9223372036854775808}", "d: word: expected string, got integer"},
    {"{\"numbers\": 1}", "d: numbers: expected array of integers, got integer"},
    {"{\"numbers\": [1, 4294967296]}", "d: numbers[1]: expected 0 to 4294967295, got 4294967296"},
    {"{\"numbers\": [9223372036854775808]}", "d: numbers[0]: expected 0 to 4294967295, got 9223"},
    {"{\"raw\": []}", "d: raw: expected object, got array"},
    {"{\"raw\": \"{}\"}", "d: raw: expected object, got string \"{}\""},
    {"{\"even\": \"abc\"}", "d: even: is odd"},
    {"{\"even\": 9223372036854775808}", "d: even: expected string, got integer"},
    {"{\"part\": {}}", "d: part.must: is missing"},
    {"{\"part\": {\"must\": null}}", "d: part.must: is missing"},
    {"{\"parts\": [{\"must\": \"\"}, {\"mustn't\": \"\"}]}", "d: parts[1].must: is missing"},
    {"{\"Windows\": 1}", "d: Windows: unknown key; write it as windows"},
    {"{\"number\": 9223372036854775808, \"even\": \"a\\u0000\"}", "d:1:30: too big integer"},
    {"{9223372036854775808: 1}", "d:1:"},
    {"[9223372036854775808]", "d: expected object, got array"},
};

TEST(wrong_values_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        CHECK(decode(&scene, wrong[i].text, NULL) < 0);
        CHECK_HAS(scene.err.msg, wrong[i].message);
    }
}

TEST(paths_begin_with_where_the_document_stands)
{
    CL_CLEANUP_SCENE struct scene scene;

    CHECK(decode(&scene, "{\"part\": {}}", "linux.seccomp") < 0);
    CHECK_TEXT(scene.err.msg, "d: linux.seccomp.part.must: is missing");
    cl_arena_done(&scene.arena);
    CHECK(decode(&scene, "{\"more\": {}}", "linux.seccomp") == 0);
    CHECK(scene.warnings.count == 1);
    CHECK_TEXT(scene.warnings.lines[0], "linux.seccomp.more: unknown property; passed over");
}

TEST(what_is_passed_over_is_told)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_strlist lines;

    CHECK(decode(&scene, "{\"part\": {\"must\": \"\", \"ne\\u001bw\": 1}, \"windows\": 5}", NULL) ==
          0);
    CHECK(cl_warnings_take(&scene.warnings, &lines, &scene.err) == 0 && lines.count == 2);
    CHECK_TEXT(lines.items[0], "part.ne?w: unknown property; passed over");
    CHECK_TEXT(lines.items[1], "windows: is for another platform than Linux; passed over");
}

TEST(there_are_no_more_warnings_than_were_asked_for)
{
    CL_CLEANUP_SCENE struct scene scene;
    struct cl_strlist lines;

    CHECK(decode(&scene, "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1}", NULL) == 0);
    CHECK(cl_warnings_take(&scene.warnings, &lines, &scene.err) == 0 && lines.count == 4);
    CHECK_TEXT(lines.items[2], "c: unknown property; passed over");
    CHECK_TEXT(lines.items[3], "3 more warnings");
    cl_arena_done(&scene.arena);
    CHECK(decode(&scene, "{}", NULL) == 0);
    CHECK(cl_warnings_take(&scene.warnings, &lines, &scene.err) == 0 && lines.count == 0);
}

TEST(a_warning_without_memory_is_an_error)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8);
    struct cl_warnings warnings = CL_WARNINGS_INIT(&arena, 4);
    struct cl_strlist lines = {0};
    struct cl_error err = {0};

    cl_warnings_add(&warnings, "%s", "longer than that");
    CHECK(cl_warnings_take(&warnings, &lines, &err) == -ENOMEM);
}

/* --- integers that jansson has no room for --------------------------------------------------- */

static const struct {
    const char *text;
    const char *marked; /* NULL: as it is */
} large[] = {
    {"9223372036854775807", NULL},
    {"9223372036854775808", "\"\\u00009223372036854775808\""},
    {"[18446744073709551615,-1]", "[\"\\u000018446744073709551615\",-1]"},
    {"18446744073709551616", NULL},
    {"-9223372036854775808", NULL},
    {"9223372036854775808e0", NULL},
    {"9223372036854775808.5", NULL},
    {"09223372036854775808", NULL},
    {"{\"a\\\"9223372036854775808\":1}", NULL},
    {"\"9223372036854775808\\", NULL},
    {"[\"\\\\u0000\",9223372036854775808]", "[\"\\\\u0000\",\"\\u00009223372036854775808\"]"},
    {"[\"\\u0000\",9223372036854775808]", NULL},
    {"[\"\\\"\\u0000\",9223372036854775808]", NULL},
    {"", NULL},
};

TEST(large_integers_are_marked_and_nothing_else)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(large); i++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(0);
        const struct cl_document document = {"d", large[i].text, strlen(large[i].text)};

        CHECK(cl_json_large_mark(&document, &buf) == (large[i].marked != NULL));
        CHECK_TEXT(cl_buf_text(&buf), large[i].marked == NULL ? "" : large[i].marked);
        if (large[i].marked != NULL) {
            cl_json_large_unmark(buf.data);
            CHECK_TEXT(buf.data, large[i].text);
        }
    }
}

TEST(what_was_read_is_written_alike)
{
    static const char text[] = "{\"b\": [18446744073709551615, 1], \"a\": \"\\\"u0000\"}";
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_JSON json_t *json = NULL;
    const struct cl_document document = {"d", text, sizeof(text) - 1};
    struct cl_error err = {0};

    CHECK(cl_json_load(&document, CL_JSON_LARGE, &json, &err) == 0);
    CHECK_TEXT(cl_json_compact(json, &arena),
               "{\"a\":\"\\\"u0000\",\"b\":[18446744073709551615,1]}");
    cl_json_drop(&json);
    /* only who asks for them gets them */
    CHECK(cl_json_load(&document, 0, &json, &err) < 0);
    CHECK_HAS(err.msg, "too big integer");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(every_type_is_filled),
        ROW(false_and_zero_are_there),
        ROW(wrong_values_are_told_where_and_why),
        ROW(paths_begin_with_where_the_document_stands),
        ROW(what_is_passed_over_is_told),
        ROW(there_are_no_more_warnings_than_were_asked_for),
        ROW(a_warning_without_memory_is_an_error),
        ROW(large_integers_are_marked_and_nothing_else),
        ROW(what_was_read_is_written_alike),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
