/* test_saved.c - manifest.json of `docker save`: which image, and names that can be members. */
#include <errno.h>

#include "helpers/image/saved.h"
#include "check.h"

#define ONE                                                                                        \
    "{\"Config\":\"a.json\",\"RepoTags\":[\"a:1\",\"a:2\"],\"Layers\":[\"1/l.tar\",\"2/l.tar\"]}"
#define TWO "{\"Config\":\"blobs/sha256/b\",\"RepoTags\":[\"b:1\"],\"Layers\":[],\"Parent\":\"x\"}"
#define BARE "{\"Config\":\"c\",\"RepoTags\":null,\"Layers\":null}"

static int choose(const char *text, const char *tag, struct cl_arena *arena,
                  struct cl_saved_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct cl_document document = {"s", text, strlen(text)};
    struct cl_saved_record back = {.set = 0};

    *err = (struct cl_error){0};
    *ret = (struct cl_saved_record){.set = 0};
    int r = cl_saved_choose(&document, tag, arena, ret, err);
    if (r < 0) {
        CHECK(ret->set == 0);
        return r;
    }
    CHECK(cl_flat_write(&cl_saved_shape, ret, &buf, err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_saved_shape, &bytes, arena, &back, err) == 0 && back.set == ret->set);
    return r;
}

TEST(an_image_is_chosen_by_its_tag)
{
    static const struct {
        const char *text;
        const char *tag;
        const char *config;
    } rows[] = {
        {"[" ONE "]", NULL, "a.json"},
        {"[" ONE "," TWO "," BARE "]", "a:2", "a.json"},
        {"[" ONE "," TWO "]", "b:1", "blobs/sha256/b"},
        /* the tag alone, where it says enough */
        {"[" ONE "," TWO "]", "2", "a.json"},
        {"[" ONE ",{\"Config\":\"whole\",\"RepoTags\":[\"2\"]}]", "2", "whole"},
        {"[" BARE "]", NULL, "c"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_saved_record record;
        struct cl_error err;

        CHECK(choose(rows[i].text, rows[i].tag, &arena, &record, &err) == 0);
        CHECK_TEXT(err.msg, "");
        CHECK_TEXT(record.config, rows[i].config);
        CHECK(record.set == CL_RECORD_BIT(CL_SAVED_FIELD_COUNT) - 1);
    }
}

TEST(layers_and_tags_keep_their_order)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_saved_record record;
    struct cl_error err;

    CHECK(choose("[" ONE "]", "a:1", &arena, &record, &err) == 0);
    CHECK(record.layers.count == 2 && record.tags.count == 2);
    CHECK_TEXT(record.layers.items[0], "1/l.tar");
    CHECK_TEXT(record.layers.items[1], "2/l.tar");
    CHECK_TEXT(record.tags.items[1], "a:2");
}

#define CONFIG(name) "[{\"Config\":\"" name "\"}]"

static const struct {
    const char *text;
    const char *tag;
    const char *message;
} wrong[] = {
    {"{}", NULL, "s: expected array, got object"},
    {"[]", NULL, "s: the archive has no image"},
    {"[]", "a:1", "s: the archive has no image"},
    {"[1]", NULL, "s: [0]: expected object, got integer"},
    {"[" ONE "," TWO "]", NULL, "s: 2 images; name one of them: there are a:1, a:2, b:1"},
    {"[" BARE "," BARE "]", NULL, "s: 2 images; name one of them: there are no tags"},
    {"[" ONE "," TWO "]", "c:1", "s: no image has the tag \"c:1\"; there are a:1, a:2, b:1"},
    {"[" TWO "]", "c:1", "s: no image has the tag \"c:1\"; there is b:1"},
    {"[" BARE "]", "\xd0\xb0", "s: no image has the tag \"\\xd0\\xb0\"; there are no tags"},
    {"[" ONE "," ONE "]", "a:1", "s: several images have the tag \"a:1\"; there are a:1, a:2"},
    {"[" ONE "," TWO "]", "1", "s: several images have the tag \"1\"; there are a:1, a:2, b:1"},
    {"[{\"Config\":\"a\",\"RepoTags\":[\"r:5000/x\"]}]", "5000/x", "no image has the tag"},
    {"[{\"RepoTags\":[\"a:1\"]}]", NULL, "s: [0]: Config is missing"},
    {"[" TWO ",{\"RepoTags\":[\"a:1\"]}]", "a:1", "s: [1]: Config is missing"},
    {"[{\"Config\":5}]", NULL, "s: [0].Config: expected string, got integer"},
    {"[{\"Config\":\"a\",\"Layers\":{}}]", NULL, "s: [0].Layers: expected array of strings, got"},
    {"[{\"Config\":\"a\",\"config\":\"b\"}]", NULL, "s: [0].config: unknown key; write it as"},
    {"[{\"Config\":\"a\",\"Config\":\"b\"}]", NULL, "duplicate object key"},
    {CONFIG(""), NULL, "s: [0]: Config: expected a plain relative path, got \"\""},
    {CONFIG("/etc/passwd"), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG(".."), NULL, "s: [0]: Config: expected a plain relative path, got \"..\""},
    {CONFIG("../a"), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG("a/../b"), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG("a/.."), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG("./a"), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG("a//b"), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG("a/"), NULL, "s: [0]: Config: expected a plain relative path"},
    {CONFIG("a\\u0000b"), NULL, "s:1:"},
    {"[{\"Config\":\"a\",\"Layers\":[\"b\",\"/c\"]}]", NULL,
     "s: [0]: Layers[1]: expected a plain relative path, got \"/c\""},
};

TEST(wrong_manifests_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_saved_record record;
        struct cl_error err;

        CHECK(choose(wrong[i].text, wrong[i].tag, &arena, &record, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(strncmp(err.msg, "s:", 2) == 0);
    }
}

TEST(layers_and_names_are_bounded)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    struct cl_saved_record record;
    struct cl_error err;

    CHECK(cl_buf_add_str(&text, "[{\"Config\":\"a\",\"Layers\":[\"0\"") == 0);
    for (int i = 0; i < CL_MAX_LAYERS; i++)
        CHECK(cl_buf_add_str(&text, ",\"l\"") == 0);
    CHECK(cl_buf_add_str(&text, "]}]") == 0);
    CHECK(choose(cl_buf_text(&text), NULL, &arena, &record, &err) < 0);
    CHECK_TEXT(err.msg, "s: [0].Layers: more than 127 entries");

    text.size = 0;
    CHECK(cl_buf_add_str(&text, "[{\"Config\":\"a\",\"Layers\":[\"") == 0);
    for (int i = 0; i < 4096; i++)
        CHECK(cl_buf_add_str(&text, "l") == 0);
    CHECK(cl_buf_add_str(&text, "\"]}]") == 0);
    CHECK(choose(cl_buf_text(&text), NULL, &arena, &record, &err) < 0);
    CHECK_TEXT(err.msg, "s: [0]: Layers[0]: more than 4095 bytes");
}

/* Each allocation fails once. */
TEST(a_lack_of_memory_is_told)
{
    static const char text[] = "[" ONE "," TWO "]";
    const struct cl_document document = {"s", text, strlen(text)};
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_saved_record record = {.set = 0};
        struct cl_error err = {0};

        r = cl_saved_choose(&document, "a:1", &arena, &record, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && record.set == 0));
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(an_image_is_chosen_by_its_tag),
        ROW(layers_and_tags_keep_their_order),
        ROW(wrong_manifests_are_told_where_and_why),
        ROW(layers_and_names_are_bounded),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
