/* test_flat.c - the flat form of records: its bytes, its bounds, and bytes that nobody wrote.
 * The plan's own fields are test_plan.c's. */
#include <errno.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/flat.h"
#include "check.h"

enum { ARENA_CAP = 1 << 20, MAX_SIZE = 512, HEAD = 24 };

/* --- a shape with a field of each type ------------------------------------------------ */

struct pair {
    uint32_t number;
    const char *text;
};

struct pairs {
    const struct pair *items;
    size_t count;
};

enum field { NUMBER, TEXT, TEXTS, BYTES, PAIRS, LAST, FIELD_COUNT };

struct record {
    uint64_t set;
    uint64_t number;
    const char *text;
    struct cl_strlist texts;
    struct cl_bytes bytes;
    struct pairs pairs;
    uint64_t last;
};

static int put_pair(struct cl_buf *buf, const void *item)
{
    const struct pair *pair = item;
    int r = cl_flat_put_u32(buf, pair->number);

    return r < 0 ? r : cl_flat_put_text(buf, pair->text);
}

static int take_pair(struct cl_flat_cursor *cursor, void *item)
{
    struct pair *pair = item;

    if (cl_flat_take_u32(cursor, &pair->number) < 0)
        return -EBADMSG;
    return cl_flat_take_text(cursor, &pair->text);
}

static const struct cl_flat_item pair_item = {
    .size = sizeof(struct pair), .least_size = 5, .put = put_pair, .take = take_pair};

static const struct cl_flat_field fields[FIELD_COUNT] = {
    [NUMBER] = {1, CL_FLAT_NUMBER, offsetof(struct record, number), 10, 20, "number", NULL},
    [TEXT] = {2, CL_FLAT_TEXT, offsetof(struct record, text), 1, 5, "text", NULL},
    [TEXTS] = {4, CL_FLAT_TEXTS, offsetof(struct record, texts), 1, 3, "texts", NULL},
    [BYTES] = {5, CL_FLAT_BYTES, offsetof(struct record, bytes), 8, 16, "bytes", NULL},
    [PAIRS] = {7, CL_FLAT_LIST, offsetof(struct record, pairs), 1, 3, "pairs", &pair_item},
    [LAST] = {9, CL_FLAT_NUMBER, offsetof(struct record, last), 0, UINT64_MAX, "last", NULL},
};

static const struct cl_flat_shape shape = {
    .name = "test's record",
    .magic = {'t', 'e', 's', 't', 'r', 'e', 'c', '\n'},
    .version = 3,
    .max_size = MAX_SIZE,
    .set_offset = offsetof(struct record, set),
    .count = FIELD_COUNT,
    .fields = fields,
};

static const char *const words[] = {"a", "", "ccc"};
static const uint64_t numbers[] = {1, UINT64_MAX};
static const struct pair some_pairs[] = {{1, "one"}, {UINT32_MAX, ""}, {3, "three"}};

static const struct record whole = {
    .set = (1ULL << FIELD_COUNT) - 1,
    .number = 15,
    .text = "hello",
    .texts = {words, CL_ARRAY_SIZE(words)},
    .bytes = {numbers, sizeof(numbers)},
    .pairs = {some_pairs, CL_ARRAY_SIZE(some_pairs)},
    .last = UINT64_MAX,
};

static void put(const struct record *record, struct cl_buf *buf)
{
    struct cl_error err = {0};

    CHECK(cl_flat_write(&shape, record, buf, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

/* Reads a copy of exactly SIZE bytes, so that the sanitizer sees a read past their end. What
 * reads is written again, to the same bytes. */
static int read_copy(const char *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(MAX_SIZE);
    CL_CLEANUP_FREE char *copy = malloc(size == 0 ? 1 : size);
    struct record record = {0};
    struct cl_error err = {0};

    memcpy(copy, data, size);
    const struct cl_bytes bytes = {copy, size};
    int r = cl_flat_read(&shape, &bytes, &arena, &record, &err);
    CHECK(r == 0 || r == -EBADMSG);
    if (r < 0) {
        CHECK(err.code == EBADMSG);
        CHECK_HAS(err.msg, "not a test's record of this version");
        return r;
    }
    put(&record, &again);
    CHECK(again.size == size && memcmp(again.data, data, size) == 0);
    return 0;
}

/* --- what is written -------------------------------------------------------------------- */

TEST(the_bytes_are_those_that_the_header_describes)
{
    static const char expected[] = "testrec\n\3\0\0\0\2\0\0\0\x38\0\0\0\0\0\0\0"
                                   "\1\0\0\0\x8\0\0\0\xf\0\0\0\0\0\0\0"
                                   "\2\0\0\0\3\0\0\0hi\0\0\0\0\0\0";
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
    const struct record record = {.set = 1ULL << NUMBER | 1ULL << TEXT, .number = 15, .text = "hi"};

    put(&record, &buf);
    CHECK(buf.size == sizeof(expected) - 1);
    CHECK(buf.size == sizeof(expected) - 1 && memcmp(buf.data, expected, buf.size) == 0);
}

TEST(every_type_reads_as_it_was_written)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
    struct record record = {0};
    struct cl_error err = {0};

    put(&whole, &buf);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&shape, &bytes, &arena, &record, &err) == 0);
    CHECK(record.set == whole.set && record.number == 15 && record.last == UINT64_MAX);
    CHECK_TEXT(record.text, "hello");
    CHECK(record.texts.count == 3 && record.pairs.count == 3);
    for (size_t i = 0; i < 3 && i < record.texts.count && i < record.pairs.count; i++) {
        CHECK_TEXT(record.texts.items[i], words[i]);
        CHECK(record.pairs.items[i].number == some_pairs[i].number);
        CHECK_TEXT(record.pairs.items[i].text, some_pairs[i].text);
    }
    CHECK(record.bytes.size == sizeof(numbers));
    CHECK(memcmp(record.bytes.data, numbers, sizeof(numbers)) == 0);
}

TEST(each_subset_of_the_fields_reads_as_it_was_written)
{
    for (uint64_t set = 0; set < 1ULL << FIELD_COUNT; set++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
        struct record record = whole;
        struct record back = {0};
        struct cl_error err = {0};

        record.set = set;
        put(&record, &buf);
        CHECK(buf.size % 8 == 0);
        const struct cl_bytes bytes = {buf.data, buf.size};
        CHECK(cl_flat_read(&shape, &bytes, &arena, &back, &err) == 0);
        CHECK(back.set == set);
        CHECK((set & 1ULL << TEXT) != 0 || back.text == NULL);
        CHECK((set & 1ULL << PAIRS) != 0 || back.pairs.count == 0);
        CHECK(read_copy(buf.data, buf.size) == 0);
    }
}

TEST(bytes_of_any_alignment_are_read)
{
    char shifted[MAX_SIZE + 8];
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);

    put(&whole, &buf);
    for (size_t by = 0; by < 8; by++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        struct record record = {0};
        struct cl_error err = {0};

        memcpy(shifted + by, buf.data, buf.size);
        const struct cl_bytes bytes = {shifted + by, buf.size};
        CHECK(cl_flat_read(&shape, &bytes, &arena, &record, &err) == 0);
        CHECK(record.number == 15 && record.pairs.count == 3);
    }
}

TEST(a_record_is_appended_to_what_is_there)
{
    CL_CLEANUP_BUF struct cl_buf alone = CL_BUF_INIT(MAX_SIZE);
    CL_CLEANUP_BUF struct cl_buf after = CL_BUF_INIT(2L * MAX_SIZE);

    put(&whole, &alone);
    CHECK(cl_buf_add_str(&after, "abc") == 0);
    put(&whole, &after);
    CHECK(after.size == alone.size + 3 && memcmp(after.data, "abc", 3) == 0);
    CHECK(memcmp(after.data + 3, alone.data, alone.size) == 0);
    CHECK(read_copy(after.data + 3, alone.size) == 0);
}

/* --- what is too large -------------------------------------------------------------------- */

TEST(wherever_the_room_ends_the_record_is_too_large)
{
    CL_CLEANUP_BUF struct cl_buf all = CL_BUF_INIT(MAX_SIZE);

    put(&whole, &all);
    for (size_t cap = 0; cap < all.size; cap++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(cap);
        struct cl_error err = {0};

        CHECK(cl_flat_write(&shape, &whole, &buf, &err) == -E2BIG);
        CHECK_HAS(err.msg, "the test's record is too large at ");
    }
}

TEST(a_record_larger_than_its_shape_allows_is_refused)
{
    CL_CLEANUP_BUF struct cl_buf all = CL_BUF_INIT(MAX_SIZE);
    struct cl_flat_shape small = shape;
    struct record record = {0};
    struct cl_error err = {0};

    put(&whole, &all);
    for (uint32_t by = 0; by <= 8; by += 8) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
        const struct cl_bytes bytes = {all.data, all.size};

        small.max_size = (uint32_t)all.size - by;
        CHECK(cl_flat_write(&small, &whole, &buf, &err) == (by == 0 ? 0 : -E2BIG));
        CHECK(cl_flat_read(&small, &bytes, &arena, &record, &err) == (by == 0 ? 0 : -EBADMSG));
    }
}

TEST(no_memory_is_told_as_such)
{
#ifdef CL_FAULTS
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
    struct cl_error err = {0};

    cl_fault_set("self:alloc:1");
    CHECK(cl_flat_write(&shape, &whole, &buf, &err) == -ENOMEM);
    cl_fault_set(NULL);
    CHECK(err.code == ENOMEM);
#endif
    CL_CLEANUP_BUF struct cl_buf all = CL_BUF_INIT(MAX_SIZE);
    CL_CLEANUP_ARENA struct cl_arena none = CL_ARENA_INIT(16);
    struct record record = {0};
    struct cl_error none_left = {0};

    put(&whole, &all);
    const struct cl_bytes bytes = {all.data, all.size};
    CHECK(cl_flat_read(&shape, &bytes, &none, &record, &none_left) == -ENOMEM);
    CHECK(none_left.code == ENOMEM);
}

/* --- what nobody could read --------------------------------------------------------------- */

static const uint64_t three_words[3];

TEST(what_is_out_of_bounds_is_not_written)
{
    static const struct {
        struct record record;
        const char *message;
    } rows[] = {
        {{.set = 1ULL << NUMBER, .number = 9}, "number of the test's record is out of bounds"},
        {{.set = 1ULL << NUMBER, .number = 21}, "number of the test's record is out of bounds"},
        {{.set = 1ULL << TEXT, .text = ""}, "text of the test's record is out of bounds"},
        {{.set = 1ULL << TEXT, .text = "longer"}, "text of the test's record is out of bounds"},
        {{.set = 1ULL << TEXTS, .texts = {words, 0}}, "texts of the test's record is out of "},
        {{.set = 1ULL << TEXTS, .texts = {words, 4}}, "texts of the test's record is out of "},
        {{.set = 1ULL << BYTES, .bytes = {three_words, 0}}, "bytes of the test's record is out "},
        {{.set = 1ULL << BYTES, .bytes = {three_words, 24}}, "bytes of the test's record is out "},
        {{.set = 1ULL << PAIRS, .pairs = {some_pairs, 0}}, "pairs of the test's record is out of "},
        {{.set = 1ULL << PAIRS, .pairs = {some_pairs, 4}}, "pairs of the test's record is out of "},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
        struct cl_error err = {0};

        CHECK(cl_flat_write(&shape, &rows[i].record, &buf, &err) == -ERANGE);
        CHECK_HAS(err.msg, rows[i].message);
    }
}

TEST(what_is_just_in_bounds_reads_as_it_was_written)
{
    static const struct record ends[] = {
        {.set = (1ULL << FIELD_COUNT) - 1,
         .number = 10,
         .text = "x",
         .texts = {words, 1},
         .bytes = {three_words, 8},
         .pairs = {some_pairs, 1}},
        {.set = (1ULL << FIELD_COUNT) - 1,
         .number = 20,
         .text = "12345",
         .texts = {words, 3},
         .bytes = {three_words, 16},
         .pairs = {some_pairs, 3},
         .last = UINT64_MAX},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(ends); i++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);

        put(&ends[i], &buf);
        CHECK(read_copy(buf.data, buf.size) == 0);
    }
}

/* --- what is refused ---------------------------------------------------------------------- */

TEST(no_cut_or_longer_record_reads)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(2L * MAX_SIZE);

    put(&whole, &buf);
    for (size_t size = 0; size < buf.size; size++)
        CHECK(read_copy(buf.data, size) == -EBADMSG);
    for (size_t more = 0; more < 2; more++) {
        CHECK(cl_buf_grow(&buf, more == 0 ? 1 : 7) == 0);
        CHECK(read_copy(buf.data, buf.size) == -EBADMSG);
    }
}

/* Also when the header says that the bytes after the last field are the record's. */
TEST(what_follows_the_last_field_is_refused_whatever_the_header_says)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);

    put(&whole, &buf);
    CHECK(cl_buf_grow(&buf, 8) == 0);
    const uint64_t total = buf.size;
    memcpy(buf.data + 16, &total, sizeof(total));
    CHECK(read_copy(buf.data, buf.size) == -EBADMSG);
}

TEST(every_flipped_bit_reads_or_is_refused)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
    size_t refused = 0;

    put(&whole, &buf);
    for (size_t bit = 0; bit < buf.size * 8; bit++) {
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
        refused += read_copy(buf.data, buf.size) < 0;
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
    }
    CHECK(refused > (size_t)HEAD * 8); /* all of the header and more */
}

/* A record by hand: the header of COUNT fields, and FIELDS after it. */
static int read_fields(uint32_t count, const char *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
    const uint64_t total = HEAD + size;

    CHECK(cl_buf_add(&buf, shape.magic, sizeof(shape.magic)) == 0);
    CHECK(cl_flat_put_u32(&buf, shape.version) == 0);
    CHECK(cl_flat_put_u32(&buf, count) == 0);
    CHECK(cl_flat_put_u64(&buf, total) == 0);
    CHECK(cl_buf_add(&buf, data, size) == 0);
    return read_copy(buf.data, buf.size);
}

#define NUMBER_15 "\1\0\0\0\x8\0\0\0\xf\0\0\0\0\0\0\0"
#define TEXT_HI "\2\0\0\0\3\0\0\0hi\0\0\0\0\0\0"
#define ROW_OF(why, count, text)                                                                   \
    {                                                                                              \
        why, count, text, sizeof(text) - 1                                                         \
    }

static const struct {
    const char *why;
    uint32_t count;
    const char *data;
    size_t size;
} foreign[] = {
    ROW_OF("a field twice", 2, NUMBER_15 NUMBER_15),
    ROW_OF("ids that fall", 2, TEXT_HI NUMBER_15),
    ROW_OF("id 0", 1, "\0\0\0\0\x8\0\0\0\xf\0\0\0\0\0\0\0"),
    ROW_OF("an id of no field", 1, "\3\0\0\0\x8\0\0\0\xf\0\0\0\0\0\0\0"),
    ROW_OF("the zero after an id isn't", 1, "\1\0\1\0\x8\0\0\0\xf\0\0\0\0\0\0\0"),
    ROW_OF("more fields than the count", 1, NUMBER_15 TEXT_HI),
    ROW_OF("fewer fields than the count", 2, NUMBER_15),
    ROW_OF("more fields than there are", FIELD_COUNT + 1, NUMBER_15),
    ROW_OF("a number that is too small", 1, "\1\0\0\0\x8\0\0\0\x9\0\0\0\0\0\0\0"),
    ROW_OF("a number that is too large", 1, "\1\0\0\0\x8\0\0\0\x15\0\0\0\0\0\0\0"),
    ROW_OF("a number of four bytes", 1, "\1\0\0\0\4\0\0\0\xf\0\0\0\0\0\0\0"),
    ROW_OF("a number of sixteen bytes", 1, "\1\0\0\0\x10\0\0\0\xf\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ROW_OF("an empty number", 1, "\1\0\0\0\0\0\0\0"),
    ROW_OF("a payload beyond the end", 1, "\1\0\0\0\x10\0\0\0\xf\0\0\0\0\0\0\0"),
    ROW_OF("a payload of 4 GiB", 1, "\2\0\0\0\xff\xff\xff\xffhi\0\0\0\0\0\0"),
    ROW_OF("a text that is too short", 1, "\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"),
    ROW_OF("a text that is too long", 1, "\2\0\0\0\7\0\0\0abcdef\0\0"),
    ROW_OF("a text without an end", 1, "\2\0\0\0\2\0\0\0hi\0\0\0\0\0\0"),
    ROW_OF("a text with two ends", 1, "\2\0\0\0\4\0\0\0hi\0\0\0\0\0\0"),
    ROW_OF("padding that isn't zero", 1, "\2\0\0\0\3\0\0\0hi\0\0\0\0\0\1"),
    ROW_OF("padding that is missing", 1, "\2\0\0\0\3\0\0\0hi\0"),
    ROW_OF("no texts", 1, "\4\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0"),
    ROW_OF("too many texts", 1, "\4\0\0\0\x8\0\0\0\4\0\0\0\0\0\0\0"),
    ROW_OF("more texts than bytes", 1, "\4\0\0\0\6\0\0\0\3\0\0\0\0\0\0\0"),
    ROW_OF("2^32 - 1 texts", 1, "\4\0\0\0\x8\0\0\0\xff\xff\xff\xff\0\0\0\0"),
    ROW_OF("bytes after the texts", 1, "\4\0\0\0\6\0\0\0\1\0\0\0\0\0\0\0"),
    ROW_OF("a list without a count", 1, "\4\0\0\0\3\0\0\0\1\0\0\0\0\0\0\0"),
    ROW_OF("bytes of no whole word", 1, "\5\0\0\0\xc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ROW_OF("no bytes", 1, "\5\0\0\0\0\0\0\0"),
    ROW_OF("too many bytes", 1,
           "\5\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ROW_OF("more items than bytes", 1, "\7\0\0\0\xe\0\0\0\3\0\0\0\1\0\0\0\0\1\0\0\0\0\0\0"),
    ROW_OF("an item that is cut", 1, "\7\0\0\0\xb\0\0\0\1\0\0\0\1\0\0\0abc\0\0\0\0\0"),
    ROW_OF("bytes after the items", 1, "\7\0\0\0\xa\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"),
};

TEST(bytes_that_nobody_wrote_are_refused)
{
    CHECK(read_fields(0, "", 0) == 0);
    CHECK(read_fields(2, NUMBER_15 TEXT_HI, sizeof(NUMBER_15 TEXT_HI) - 1) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(foreign); i++) {
        int r = read_fields(foreign[i].count, foreign[i].data, foreign[i].size);

        CHECK(r == -EBADMSG);
        if (r != -EBADMSG)
            printf("# it reads: %s\n", foreign[i].why);
    }
}

TEST(another_magic_or_version_is_another_record)
{
    for (size_t at = 0; at < 12; at++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);

        put(&whole, &buf);
        buf.data[at]++;
        CHECK(read_copy(buf.data, buf.size) == -EBADMSG);
    }
}

/* What is refused leaves nothing set: who forgets to look at the result finds no field. */
TEST(what_is_refused_sets_no_field)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MAX_SIZE);
    struct record record = {0};
    struct cl_error err = {0};

    put(&whole, &buf);
    const struct cl_bytes bytes = {buf.data, buf.size - 8};
    const uint64_t total = bytes.size;
    memcpy(buf.data + 16, &total, sizeof(total));
    CHECK(cl_flat_read(&shape, &bytes, &arena, &record, &err) == -EBADMSG);
    CHECK(record.set == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_bytes_are_those_that_the_header_describes),
        ROW(every_type_reads_as_it_was_written),
        ROW(each_subset_of_the_fields_reads_as_it_was_written),
        ROW(bytes_of_any_alignment_are_read),
        ROW(a_record_is_appended_to_what_is_there),
        ROW(wherever_the_room_ends_the_record_is_too_large),
        ROW(a_record_larger_than_its_shape_allows_is_refused),
        ROW(no_memory_is_told_as_such),
        ROW(what_is_out_of_bounds_is_not_written),
        ROW(what_is_just_in_bounds_reads_as_it_was_written),
        ROW(no_cut_or_longer_record_reads),
        ROW(what_follows_the_last_field_is_refused_whatever_the_header_says),
        ROW(every_flipped_bit_reads_or_is_refused),
        ROW(bytes_that_nobody_wrote_are_refused),
        ROW(another_magic_or_version_is_another_record),
        ROW(what_is_refused_sets_no_field),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
