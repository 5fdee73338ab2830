/* test_flat.c - records in their flat form: what could not be read is not written. */
#include <errno.h>

#include "base/flat.h"
#include "check.h"

struct sample {
    uint64_t set;
    uint64_t number;
    const char *text;
    struct cl_strlist texts;
    struct cl_bytes bytes;
};

static const struct cl_flat_field fields[] = {
    {1, CL_FLAT_NUMBER, offsetof(struct sample, number), 2, 5, "number", NULL},
    {2, CL_FLAT_TEXT, offsetof(struct sample, text), 1, 3, "text", NULL},
    {3, CL_FLAT_TEXTS, offsetof(struct sample, texts), 1, 2, "texts", NULL},
    {4, CL_FLAT_BYTES, offsetof(struct sample, bytes), 8, 16, "bytes", NULL},
};

static const struct cl_flat_shape shape = {
    .name = "sample",
    .magic = "sample\r\n",
    .version = 1,
    .max_size = 1024,
    .set_offset = offsetof(struct sample, set),
    .count = CL_ARRAY_SIZE(fields),
    .fields = fields,
};

static const char *const words[] = {"a", "", "b"};

static int written(const struct sample *sample, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4096);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1024);
    struct sample back = {0};

    *err = (struct cl_error){0};
    int r = cl_flat_write(&shape, sample, &buf, err);
    if (r < 0)
        return r;
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&shape, &bytes, &arena, &back, err) == 0);
    CHECK(back.set == sample->set && back.number == sample->number);
    CHECK(back.texts.count == sample->texts.count);
    return r;
}

TEST(what_is_written_reads_back)
{
    const struct sample least = {15, 2, "x", {words, 1}, {"12345678", 8}};
    const struct sample most = {15, 5, "xyz", {words, 2}, {"1234567812345678", 16}};
    const struct sample none = {0};
    struct cl_error err;

    CHECK(written(&least, &err) == 0);
    CHECK(written(&most, &err) == 0);
    CHECK(written(&none, &err) == 0);
}

TEST(what_is_out_of_bounds_is_not_written)
{
    static const struct {
        struct sample sample;
        const char *message;
    } rows[] = {
        {{.set = 1, .number = 1}, "number of the sample is out of bounds"},
        {{.set = 1, .number = 6}, "number of the sample is out of bounds"},
        {{.set = 2, .text = ""}, "text of the sample is out of bounds"},
        {{.set = 2, .text = "long"}, "text of the sample is out of bounds"},
        {{.set = 4, .texts = {words, 0}}, "texts of the sample is out of bounds"},
        {{.set = 4, .texts = {words, 3}}, "texts of the sample is out of bounds"},
        {{.set = 8, .bytes = {"", 0}}, "bytes of the sample is out of bounds"},
        {{.set = 8, .bytes = {"", 24}}, "bytes of the sample is out of bounds"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_error err;

        CHECK(written(&rows[i].sample, &err) == -ERANGE);
        CHECK_TEXT(err.msg, rows[i].message);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_written_reads_back),
        ROW(what_is_out_of_bounds_is_not_written),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
