/* test_json_decode.c - JSON by a table of fields: what fills it, and what is refused where. */
#include <errno.h>

#include "helpers/common/json_decode.h"
#include "helpers/common/json_load.h"
#include "check.h"

struct inner {
    const char *key; /* when it stands in a map */
    const char *text;
};

struct outer {
    const char *text;
    struct cl_decode_number number;
    struct cl_strlist texts;
    const struct inner *object;
    struct cl_decode_list list; /* struct inner */
    struct cl_decode_list map;  /* struct inner */
    struct cl_decode_list pairs;
    int present;
};

#define THIS inner
static const struct cl_decode_field inner_fields[] = {CL_DECODE_ROW("text", TEXT, text, 5)};
static const struct cl_decode_shape inner_shape = CL_DECODE_SHAPE(inner_fields, 0);
#undef THIS

#define THIS outer
static const struct cl_decode_field outer_fields[] = {
    CL_DECODE_ROW("text", TEXT, text, 5),
    CL_DECODE_ROW("number", NUMBER, number, 100),
    CL_DECODE_ROW("texts", TEXTS, texts, 2),
    CL_DECODE_ROW_OF("object", OBJECT, object, UINT64_MAX, &inner_shape),
    CL_DECODE_ROW_OF("list", LIST, list, 2, &inner_shape),
    CL_DECODE_ROW_OF("map", MAP, map, 2, &inner_shape),
    CL_DECODE_ROW("pairs", PAIRS, pairs, 2),
    CL_DECODE_ROW("present", PRESENT, present, 0),
    CL_DECODE_ROW_IGNORED("ignored"),
};
static const struct cl_decode_shape closed = CL_DECODE_SHAPE(outer_fields, 0);
static const struct cl_decode_shape open_shape = CL_DECODE_SHAPE(outer_fields, CL_DECODE_OPEN);
static const struct cl_decode_shape secret = CL_DECODE_SHAPE(outer_fields, CL_DECODE_SECRET);
#undef THIS

static int decode(const struct cl_decode_shape *shape, const char *text, struct cl_arena *arena,
                  struct outer *ret, struct cl_error *err)
{
    const struct cl_document document = {"d", text, strlen(text)};

    *err = (struct cl_error){0};
    *ret = (struct outer){0};
    return cl_decode(shape, &document, arena, ret, err);
}

TEST(every_type_is_filled)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct outer outer;
    struct cl_error err;

    CHECK(decode(&closed,
                 "{\"text\": \"abc\", \"number\": 100, \"texts\": [\"a\", \"\"],"
                 " \"object\": {\"text\": \"o\"}, \"list\": [{}, {\"text\": \"l\"}],"
                 " \"map\": {\"k\": {\"text\": \"m\"}, \"n\": null},"
                 " \"pairs\": {\"x\": \"y\", \"z\": null}, \"present\": [1], \"ignored\": 5}",
                 &arena, &outer, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK_TEXT(outer.text, "abc");
    CHECK(outer.number.present && outer.number.value == 100);
    CHECK(outer.texts.count == 2);
    CHECK_TEXT(outer.texts.items[1], "");
    CHECK_TEXT(outer.object->text, "o");

    const struct inner *list = outer.list.items;
    CHECK(outer.list.count == 2 && list[0].text == NULL);
    CHECK_TEXT(list[1].text, "l");
    const struct inner *map = outer.map.items;
    CHECK(outer.map.count == 2 && map[1].text == NULL);
    CHECK_TEXT(map[0].key, "k");
    CHECK_TEXT(map[0].text, "m");
    CHECK_TEXT(map[1].key, "n");
    const struct cl_decode_pair *pairs = outer.pairs.items;
    CHECK(outer.pairs.count == 2);
    CHECK_TEXT(pairs[0].key, "x");
    CHECK_TEXT(pairs[0].value, "y");
    CHECK_TEXT(pairs[1].value, "");
    CHECK(outer.present);
}

TEST(absent_null_and_empty_are_told_apart)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct outer outer;
    struct cl_error err;

    CHECK(decode(&closed, "{\"list\": [], \"texts\": [], \"map\": {}, \"pairs\": {}}", &arena,
                 &outer, &err) == 0);
    CHECK(outer.list.items != NULL && outer.texts.items != NULL && outer.map.items != NULL);
    CHECK(outer.pairs.items != NULL && !outer.present);
    CHECK(decode(&closed, "{\"list\": null, \"texts\": null, \"number\": null, \"present\": null}",
                 &arena, &outer, &err) == 0);
    CHECK(outer.list.items == NULL && outer.texts.items == NULL);
    CHECK(!outer.number.present && !outer.present);
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    {"[]", "d: expected object, got array"},
    {"7", "d:1:1: "},
    {"{\"text\": \"123456\"}", "d: text: more than 5 bytes"},
    {"{\"text\": 5}", "d: text: expected string, got integer"},
    {"{\"text\": true}", "d: text: expected string, got boolean"},
    {"{\"number\": 101}", "d: number: expected 0 to 100, got 101"},
    {"{\"number\": -1}", "d: number: expected 0 to 100, got -1"},
    {"{\"number\": 1.0}", "d: number: expected integer, got fraction"},
    {"{\"number\": \"1\"}", "d: number: expected integer, got string \"1\""},
    {"{\"number\": 99999999999999999999}", "d:1:31: too big integer"},
    {"{\"texts\": \"a\"}", "d: texts: expected array of strings, got string \"a\""},
    {"{\"texts\": [\"\", \"\", \"\"]}", "d: texts: more than 2 entries"},
    {"{\"texts\": [\"\", null]}", "d: texts[1]: expected string, got null"},
    {"{\"object\": []}", "d: object: expected object, got array"},
    {"{\"object\": {\"text\": 1}}", "d: object.text: expected string, got integer"},
    {"{\"list\": {}}", "d: list: expected array, got object"},
    {"{\"list\": [{}, {}, {}]}", "d: list: more than 2 entries"},
    {"{\"list\": [{}, {\"text\": []}]}", "d: list[1].text: expected string, got array"},
    {"{\"map\": []}", "d: map: expected object, got array"},
    {"{\"map\": {\"a\": {}, \"b\": {}, \"c\": {}}}", "d: map: more than 2 entries"},
    {"{\"map\": {\"a\": 1}}", "d: map.a: expected object, got integer"},
    {"{\"map\": {\"a\": {\"text\": \"123456\"}}}", "d: map.a.text: more than 5 bytes"},
    {"{\"pairs\": []}", "d: pairs: expected object, got array"},
    {"{\"pairs\": {\"a\": \"\", \"b\": \"\", \"c\": \"\"}}", "d: pairs: more than 2 entries"},
    {"{\"pairs\": {\"a\": 1}}", "d: pairs.a: expected string, got integer"},
    {"{\"txt\": \"\"}", "d: txt: unknown key (did you mean text?)"},
    {"{\"zzzzzz\": \"\"}", "d: zzzzzz: unknown key"},
    {"{\"text\": \"a\", \"text\": \"b\"}", "duplicate object key"},
    {"{\"text\": \"a\\u0000b\"}", "d:1:"},
    {"{\"a\\u0000b\": 1}", "d:1:"},
    {"{\"text\": \"\xff\"}", "d:1:"},
    {"{} {}", "d:1:4: end of file expected"},
    {"", "d:1:0: "},
    {"{\"text\": \"\\", "d:1:"},
};

TEST(wrong_documents_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct outer outer;
        struct cl_error err;

        CHECK(decode(&closed, wrong[i].text, &arena, &outer, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
    }
}

TEST(an_open_shape_passes_over_what_it_does_not_know)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct outer outer;
    struct cl_error err;

    CHECK(decode(&open_shape, "{\"txt\": 1, \"text\": \"a\", \"more\": {}}", &arena, &outer,
                 &err) == 0);
    CHECK_TEXT(outer.text, "a");
    /* but for what other readers take for one of ours */
    CHECK(decode(&open_shape, "{\"text\": \"a\", \"Text\": \"b\"}", &arena, &outer, &err) < 0);
    CHECK_TEXT(err.msg, "d: Text: unknown key; write it as text");
    /* openness is each shape's own */
    CHECK(decode(&open_shape, "{\"object\": {\"more\": 1}}", &arena, &outer, &err) < 0);
    CHECK_TEXT(err.msg, "d: object.more: unknown key");
}

TEST(a_secret_stands_in_no_message)
{
    static const char *const texts[] = {
        "{\"number\": \"hunter\"}", "{\"object\": \"hunter\"}", "{\"text\": \"hunter\" hunter",
        "{\"text\": hunter",        "{\"texts\": \"hunter\"}",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct outer outer;
        struct cl_error err;

        CHECK(decode(&closed, texts[i], &arena, &outer, &err) < 0);
        CHECK_HAS(err.msg, "hunter");
        CHECK(decode(&secret, texts[i], &arena, &outer, &err) < 0);
        CHECK(strstr(err.msg, "hunter") == NULL && strlen(err.msg) > 10);
    }
}

TEST(arrays_are_documents_too)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    const struct cl_document good = {"d", "[{\"text\": \"a\"}, {}]", 19};
    const struct cl_document bad = {"d", "[{}, {\"text\": 5}]", 17};
    const struct cl_document object = {"d", "{}", 2};
    struct cl_decode_list list = {0};
    struct cl_error err = {0};

    CHECK(cl_decode_array(&inner_shape, &good, &arena, &list, &err) == 0);
    CHECK(list.count == 2);
    CHECK_TEXT(((const struct inner *)list.items)->text, "a");
    CHECK(cl_decode_array(&inner_shape, &bad, &arena, &list, &err) < 0);
    CHECK_TEXT(err.msg, "d: [1].text: expected string, got integer");
    CHECK(cl_decode_array(&inner_shape, &object, &arena, &list, &err) < 0);
    CHECK_TEXT(err.msg, "d: expected array, got object");
}

static int load_repeated(const char *open, size_t count, const char *close, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(8 << 20);
    CL_CLEANUP_JSON json_t *json = NULL;

    for (size_t i = 0; i < count; i++)
        CHECK(cl_buf_add_str(&buf, open) == 0);
    for (size_t i = 0; i < count; i++)
        CHECK(cl_buf_add_str(&buf, close) == 0);
    const struct cl_document document = {"d", cl_buf_text(&buf), buf.size};
    *err = (struct cl_error){0};
    return cl_json_load(&document, 0, &json, err);
}

TEST(depth_and_number_of_values_are_bounded)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(8 << 20);
    CL_CLEANUP_JSON json_t *json = NULL;
    struct cl_error err;

    CHECK(load_repeated("[", CL_JSON_MAX_DEPTH, "]", &err) == 0);
    CHECK(load_repeated("[", CL_JSON_MAX_DEPTH + 1, "]", &err) == -E2BIG);
    CHECK_TEXT(err.msg, "d: nests deeper than 64 levels");
    CHECK(load_repeated("{\"a\":", 1000000, "}", &err) == -E2BIG);

    CHECK(cl_buf_add_str(&buf, "[0") == 0);
    for (int i = 2; i < CL_JSON_MAX_VALUES; i++)
        CHECK(cl_buf_add_str(&buf, ",0") == 0);
    CHECK(cl_buf_add_str(&buf, "]") == 0);
    const struct cl_document most = {"d", cl_buf_text(&buf), buf.size};
    CHECK(cl_json_load(&most, 0, &json, &err) == 0);
    cl_json_drop(&json);
    buf.data[buf.size - 1] = ',';
    CHECK(cl_buf_add_str(&buf, "0]") == 0);
    const struct cl_document more = {"d", cl_buf_text(&buf), buf.size};
    CHECK(cl_json_load(&more, 0, &json, &err) == -E2BIG);
    CHECK_TEXT(err.msg, "d: holds more than 262144 values");
}

TEST(punctuation_in_strings_counts_for_nothing)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(8 << 20);
    CL_CLEANUP_JSON json_t *json = NULL;
    struct cl_error err = {0};

    CHECK(cl_buf_add_str(&buf, "[\"\\\"") == 0);
    for (int i = 0; i < CL_JSON_MAX_VALUES; i++)
        CHECK(cl_buf_add_str(&buf, "[,{") == 0);
    CHECK(cl_buf_add_str(&buf, "\\\\\"]") == 0);
    const struct cl_document document = {"d", cl_buf_text(&buf), buf.size};
    CHECK(cl_json_load(&document, 0, &json, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(every_type_is_filled),
        ROW(absent_null_and_empty_are_told_apart),
        ROW(wrong_documents_are_told_where_and_why),
        ROW(an_open_shape_passes_over_what_it_does_not_know),
        ROW(a_secret_stands_in_no_message),
        ROW(arrays_are_documents_too),
        ROW(depth_and_number_of_values_are_bounded),
        ROW(punctuation_in_strings_counts_for_nothing),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
