/* test_wire.c - protocol buffers, by bytes that were made by hand from the specification of their
 * encoding. */
#include "wire_scene.h"

static int is_refused(const struct cl_bytes *bytes)
{
    struct all ignored;

    return read_all(bytes, &ignored) == -EBADMSG;
}

static int writes_as(const struct cl_wire_shape *shape, const void *record,
                     const struct cl_bytes *expected)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);

    return cl_wire_write(shape, record, &buf) == 0 && buf.size == expected->size &&
           memcmp(cl_buf_text(&buf), expected->data, buf.size) == 0;
}

/* --- numbers ------------------------------------------------------------------------------- */

/* Field 2, and the least (or greatest) number of SIZE bytes. */
static size_t make_number(char *ret, size_t size, int greatest)
{
    ret[0] = 0x10;
    memset(ret + 1, greatest ? 0xff : 0x80, size);
    ret[size] = greatest && size < 10 ? 0x7f : 0x01;
    return 1 + size;
}

TEST(numbers_of_each_size_are_read_and_written)
{
    char bytes[11];
    struct all got;

    begin(4096);
    for (size_t size = 2; size <= 10; size++) {
        uint64_t value = 1ULL << (7 * (size - 1));
        struct cl_bytes number = {bytes, make_number(bytes, size, 0)};

        CHECK(read_all(&number, &got) == 0 && got.u64 == value);
        CHECK(writes_as(&all_shape, &(struct all){.u64 = value}, &number));
        value = size == 10 ? UINT64_MAX : (1ULL << (7 * size)) - 1;
        number.size = make_number(bytes, size, 1);
        CHECK(read_all(&number, &got) == 0 && got.u64 == value);
        CHECK(writes_as(&all_shape, &(struct all){.u64 = value}, &number));
    }
    CHECK(read_all(BYTES("\x10\x01"), &got) == 0 && got.u64 == 1);
    CHECK(read_all(BYTES("\x10\x7f"), &got) == 0 && got.u64 == 127);
    CHECK(writes_as(&all_shape, &(struct all){.u64 = 127}, BYTES("\x10\x7f")));
    CHECK(read_all(BYTES("\x10\x96\x01"), &got) == 0 && got.u64 == 150); /* the specification's */
}

TEST(a_number_may_be_longer_than_it_has_to_be)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x10\x80\x00"), &got) == 0 && got.u64 == 0);
    CHECK(read_all(BYTES("\x10\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"), &got) == 0);
    CHECK(got.u64 == 1);
    CHECK(read_all(BYTES("\x08\x85\x80\x80\x80\x80\x80\x00"), &got) == 0 && got.u32 == 5);
    CHECK(read_all(BYTES("\x88\x00\x05"), &got) == 0 && got.u32 == 5); /* its key */
    CHECK(read_all(BYTES("\x1a\x82\x00hi"), &got) == 0);               /* its size */
    CHECK_TEXT(got.text, "hi");
}

TEST(a_number_has_64_bits_at_most)
{
    begin(4096);
    CHECK(is_refused(BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")));
    CHECK(is_refused(BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")));
    CHECK(is_refused(BYTES("\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00")));
    CHECK(is_refused(BYTES("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")));     /* a size */
    CHECK(is_refused(BYTES("\xfa\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))); /* unknown */
    CHECK(is_refused(BYTES("\x1a\x80\x80\x80\x80\x10")));                         /* 2^32 */
}

TEST(a_number_of_32_bits_has_no_more)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x08\xff\xff\xff\xff\x0f"), &got) == 0 && got.u32 == UINT32_MAX);
    CHECK(writes_as(&all_shape, &got, BYTES("\x08\xff\xff\xff\xff\x0f")));
    CHECK(is_refused(BYTES("\x08\x80\x80\x80\x80\x10")));
    CHECK(is_refused(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))); /* -1 */
}

/* --- fields -------------------------------------------------------------------------------- */

TEST(field_numbers_have_29_bits)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x80\x01\x07\xf8\xff\xff\xff\x0f\x09"), &got) == 0);
    CHECK(got.far == 7 && got.farthest == 9);
    CHECK(writes_as(&all_shape, &(struct all){.far = 7, .farthest = 9},
                    BYTES("\x80\x01\x07\xf8\xff\xff\xff\x0f\x09")));
    CHECK(is_refused(BYTES("\x80\x80\x80\x80\x10\x07")));
    CHECK(is_refused(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x07")));
}

TEST(the_field_0_is_none)
{
    begin(4096);
    CHECK(is_refused(BYTES("\x00\x01")));
    CHECK(is_refused(BYTES("\x01xxxxxxxx")));
    CHECK(is_refused(BYTES("\x02\x01x")));
    CHECK(is_refused(BYTES("\x05xxxx")));
    CHECK(is_refused(BYTES("\x80\x00\x01")));
}

TEST(fields_that_are_unknown_are_skipped)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x08\x01"
                         "\x48\x96\x01"           /* 9: a number */
                         "\x49\xff\0\1\2\3\4\5\6" /* 8 bytes */
                         "\x4a\x03\xff\0\x08"     /* as many as it says */
                         "\x4d\xff\0\1\2"         /* 4 */
                         "\xf8\x07\x05"           /* 127 */
                         "\x10\x02"),
                   &got) == 0);
    CHECK(got.u32 == 1 && got.u64 == 2);
    CHECK(writes_as(&all_shape, &got, BYTES("\x08\x01\x10\x02")));
    CHECK(read_all(BYTES("\x32\x04\x20\x01\x08\x05"), &got) == 0 && got.leaf->number == 5);
    for (int i = 0; i < 8; i++)
        CHECK(is_refused(&(struct cl_bytes){"\x49xxxxxxx", 1 + (size_t)i}));
    for (int i = 0; i < 4; i++)
        CHECK(is_refused(&(struct cl_bytes){"\x4d"
                                            "123",
                                            1 + (size_t)i}));
}

TEST(groups_are_refused)
{
    begin(4096);
    CHECK(is_refused(BYTES("\x4b\x4c")));         /* 9, unknown: a group and its end */
    CHECK(is_refused(BYTES("\x4c")));             /* an end alone */
    CHECK(is_refused(BYTES("\x33\x08\x01\x34"))); /* 6, which is a message */
    CHECK(is_refused(BYTES("\x4e\x01")));         /* what no type has */
    CHECK(is_refused(BYTES("\x4f\x01")));
    CHECK(is_refused(BYTES("\x32\x02\x4b\x4c"))); /* in a message */
}

TEST(a_field_of_another_type_is_refused)
{
    static const char numbers[] = {1, 2};
    static const char sized[] = {3, 4, 5, 6, 7, 8};
    char bytes[] = "\0\0\0\0\0\0\0\0";

    begin(4096);
    for (size_t i = 0; i < sizeof(numbers); i++) {
        bytes[0] = (char)(numbers[i] << 3 | 2);
        CHECK(is_refused(&(struct cl_bytes){bytes, 2}));
        bytes[0] = (char)(numbers[i] << 3 | 5);
        CHECK(is_refused(&(struct cl_bytes){bytes, 5}));
        bytes[0] = (char)(numbers[i] << 3 | 1);
        CHECK(is_refused(&(struct cl_bytes){bytes, 9}));
    }
    for (size_t i = 0; i < sizeof(sized); i++) {
        bytes[0] = (char)(sized[i] << 3);
        CHECK(is_refused(&(struct cl_bytes){bytes, 2}));
        bytes[0] = (char)(sized[i] << 3 | 5);
        CHECK(is_refused(&(struct cl_bytes){bytes, 5}));
    }
}

TEST(of_a_field_that_comes_again_the_last_counts)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x08\x01\x1a\x01p\x22\x01r\x08\x02\x1a\x01q\x22\x01s"), &got) == 0);
    CHECK(got.u32 == 2 && got.bytes.size == 1);
    CHECK_TEXT(got.text, "q");
    CHECK(read_all(BYTES("\x1a\x01p\x1a\x00"), &got) == 0);
    CHECK_TEXT(got.text, "");
}

TEST(all_of_it_is_read_and_written)
{
    const struct cl_bytes bytes = {whole, sizeof(whole) - 1};
    struct cl_error err = {0};
    struct all got = {0};

    begin(4096);
    CHECK(cl_wire_read(&all_shape, &bytes, &arena, &got, &err) == 0);
    CHECK(got.u32 == 5 && got.u64 == 65536 && got.far == 17);
    CHECK_TEXT(got.text, "h\xc3\xa9lo");
    CHECK(got.bytes.size == 3 && got.bytes.data == whole + 15); /* there, and no copy */
    CHECK(got.texts.count == 3);
    CHECK_TEXT(got.texts.items[0], "p");
    CHECK_TEXT(got.texts.items[1], "");
    CHECK_TEXT(got.texts.items[2], "qr");
    CHECK(got.leaf != NULL && got.leaf->number == 7 && got.leaf->texts.count == 1);
    CHECK_TEXT(got.leaf->text, "in");
    const struct leaf *leaves = got.leaves.items;
    CHECK(got.leaves.count == 3 && leaves[0].number == 1 && leaves[1].number == 0);
    CHECK_TEXT(leaves[0].text, "");
    CHECK_TEXT(leaves[1].text, "");
    CHECK_TEXT(leaves[2].text, "r");
    CHECK(got.map.count == 1);
    CHECK(writes_as(&all_shape, &got, &bytes));
}

/* It ends between two fields, or it isn't valid. */
TEST(a_part_of_it_is_refused)
{
    int valid = 0;

    begin(1 << 20);
    for (size_t size = 0; size < sizeof(whole); size++) {
        struct all got;
        const int r = read_all(&(struct cl_bytes){whole, size}, &got);

        CHECK(r == 0 || r == -EBADMSG);
        valid += r == 0;
    }
    CHECK(valid == WHOLE_FIELDS + 1);
}

TEST(what_is_missing_is_empty)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES(""), &got) == 0);
    CHECK(got.u32 == 0 && got.u64 == 0 && got.bytes.size == 0 && got.leaf == NULL);
    CHECK(got.texts.count == 0 && got.leaves.count == 0);
    CHECK_TEXT(got.text, "");
    struct cl_error err = {0};
    got = (struct all){0};
    CHECK(cl_wire_read(&all_shape, &(struct cl_bytes){NULL, 0}, &arena, &got, &err) == 0);
    CHECK_TEXT(got.text, "");
    CHECK(read_all(BYTES("\x32\x00"), &got) == 0 && got.leaf != NULL && got.leaf->number == 0);
    CHECK_TEXT(got.leaf == NULL ? NULL : got.leaf->text, "");
}

TEST(what_is_empty_is_not_written)
{
    static const char *const texts[] = {""};
    const struct leaf leaf = {0};

    CHECK(writes_as(&all_shape, &(struct all){0}, BYTES("")));
    CHECK(writes_as(&all_shape, &(struct all){.text = "", .bytes = {"", 0}}, BYTES("")));
    /* but there is a difference between a message without fields and none */
    CHECK(writes_as(&all_shape, &(struct all){.leaf = &leaf}, BYTES("\x32\x00")));
    CHECK(writes_as(&all_shape, &(struct all){.texts = {texts, 1}, .leaves = {&leaf, 1}},
                    BYTES("\x2a\x00\x3a\x00")));
}

/* --- texts --------------------------------------------------------------------------------- */

TEST(a_text_is_utf8_without_nul)
{
    struct all got;

    begin(1 << 16);
    CHECK(read_all(BYTES("\x1a\x0a$\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88"), &got) == 0);
    CHECK_TEXT(got.text, "$\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88");
    CHECK(is_refused(BYTES("\x1a\x01\0")));
    CHECK(is_refused(BYTES("\x1a\x03p\0q")));
    CHECK(is_refused(BYTES("\x1a\x02p\0")));
    CHECK(is_refused(BYTES("\x1a\x01\xff")));
    CHECK(is_refused(BYTES("\x1a\x01\x80")));
    CHECK(is_refused(BYTES("\x1a\x02\xc0\x80")));         /* NUL, by two bytes */
    CHECK(is_refused(BYTES("\x1a\x02\xe2\x82")));         /* a part of one */
    CHECK(is_refused(BYTES("\x1a\x03\xed\xa0\x80")));     /* half of a pair */
    CHECK(is_refused(BYTES("\x1a\x04\xf4\x90\x80\x80"))); /* beyond the last */
    CHECK(is_refused(BYTES("\x2a\x01x\x2a\x01\xff")));    /* in a list */
    CHECK(is_refused(BYTES("\x32\x03\x12\x01\xff")));     /* in a message */
    CHECK(is_refused(BYTES("\x3a\x03\x1a\x01\0")));
    CHECK(is_refused(BYTES("\x42\x03\x0a\x01\xff")));
    CHECK(is_refused(BYTES("\x1a\x01\xff\x1a\x01p"))); /* the last would have counted */
    /* continued behind its end: */
    CHECK(is_refused(BYTES("\x1a\x01\xc2\xa2\x01\x01")));
}

/* --- pieces -------------------------------------------------------------------------------- */

TEST(a_message_in_pieces_is_their_sum)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x32\x05\x08\x01\x1a\x01p"
                         "\x08\x07"
                         "\x32\x00"
                         "\x32\x06\x12\x01x\x1a\x01q"
                         "\x32\x05\x08\x02\x1a\x01r"),
                   &got) == 0);
    CHECK(got.u32 == 7 && got.leaf->number == 2);
    CHECK_TEXT(got.leaf->text, "x"); /* the last piece doesn't tell */
    CHECK(got.leaf->texts.count == 3);
    CHECK_TEXT(got.leaf->texts.items[0], "p");
    CHECK_TEXT(got.leaf->texts.items[1], "q");
    CHECK_TEXT(got.leaf->texts.items[2], "r");
}

TEST(lists_in_pieces_keep_their_order)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x2a\x01p\x3a\x02\x08\x01\x2a\x01q\x08\x01\x3a\x02\x08\x02"
                         "\x2a\x01r"),
                   &got) == 0);
    CHECK(got.texts.count == 3 && got.leaves.count == 2);
    CHECK_TEXT(got.texts.items[0], "p");
    CHECK_TEXT(got.texts.items[1], "q");
    CHECK_TEXT(got.texts.items[2], "r");
    const struct leaf *leaves = got.leaves.items;
    CHECK(leaves[0].number == 1 && leaves[1].number == 2);
    CHECK(writes_as(&all_shape, &got,
                    BYTES("\x08\x01\x2a\x01p\x2a\x01q\x2a\x01r\x3a\x02\x08\x01\x3a\x02"
                          "\x08\x02")));
    struct node node = {0}; /* a list of messages, in a message in pieces */
    CHECK(read_shape(&node_shape, BYTES("\x12\x04\x1a\x02\x08\x01\x12\x06\x1a\x00\x1a\x02\x08\x03"),
                     &node) == 0);
    const struct node *children = node.child->children.items;
    CHECK(node.child->children.count == 3);
    CHECK(children[0].number == 1 && children[1].number == 0 && children[2].number == 3);
}

TEST(a_map_has_entries)
{
    struct all got;

    begin(4096);
    CHECK(read_all(BYTES("\x42\x06\x12\x01v\x0a\x01k" /* in any order */
                         "\x42\x03\x0a\x01k"          /* the same again, of no value */
                         "\x42\x05\x12\x01x\x18\x01"  /* of no key, and with something more */
                         "\x42\x00"),
                   &got) == 0);
    const struct cl_msg_pair *pairs = got.map.items;
    CHECK(got.map.count == 4);
    CHECK_TEXT(pairs[0].key, "k");
    CHECK_TEXT(pairs[0].value, "v");
    CHECK_TEXT(pairs[1].key, "k");
    CHECK_TEXT(pairs[1].value, "");
    CHECK_TEXT(pairs[2].key, "");
    CHECK_TEXT(pairs[2].value, "x");
    CHECK_TEXT(pairs[3].key, "");
    CHECK_TEXT(pairs[3].value, "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(numbers_of_each_size_are_read_and_written),
        ROW(a_number_may_be_longer_than_it_has_to_be),
        ROW(a_number_has_64_bits_at_most),
        ROW(a_number_of_32_bits_has_no_more),
        ROW(field_numbers_have_29_bits),
        ROW(the_field_0_is_none),
        ROW(fields_that_are_unknown_are_skipped),
        ROW(groups_are_refused),
        ROW(a_field_of_another_type_is_refused),
        ROW(of_a_field_that_comes_again_the_last_counts),
        ROW(all_of_it_is_read_and_written),
        ROW(a_part_of_it_is_refused),
        ROW(what_is_missing_is_empty),
        ROW(what_is_empty_is_not_written),
        ROW(a_text_is_utf8_without_nul),
        ROW(a_message_in_pieces_is_their_sum),
        ROW(lists_in_pieces_keep_their_order),
        ROW(a_map_has_entries),
    };
    const int r = check_run(tests, CL_ARRAY_SIZE(tests));

    cl_arena_done(&arena);
    return r;
}
