/* test_compression.c - what the first bytes say. */
#include "oci/compression.h"
#include "check.h"

static const struct {
    unsigned char head[CL_COMPRESSION_HEAD_SIZE + 1];
    size_t size;
    const char *program; /* "": none */
    enum cl_compression compression;
} heads[] = {
    {{0x1f, 0x8b, 8, 0}, 4, "gzip", CL_COMPRESSION_GZIP},
    {{0x1f, 0x8b}, 2, "gzip", CL_COMPRESSION_GZIP},
    {{0x1f}, 1, "", CL_COMPRESSION_NONE},
    {{0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3}, 7, "zstd", CL_COMPRESSION_ZSTD},
    {{0x28, 0xb5, 0x2f, 0xfd}, 3, "", CL_COMPRESSION_NONE},
    {{0xfd, '7', 'z', 'X', 'Z', 0}, 6, "xz", CL_COMPRESSION_COUNT},
    {{0xfd, '7', 'z', 'X', 'Z', 0}, 5, "", CL_COMPRESSION_NONE},
    {{'B', 'Z', 'h', '9'}, 4, "bzip2", CL_COMPRESSION_COUNT},
    {{'e', 't', 'c', '/'}, 4, "", CL_COMPRESSION_NONE},
    {{0, 0x1f, 0x8b}, 3, "", CL_COMPRESSION_NONE},
    {{0}, 6, "", CL_COMPRESSION_NONE},
    {{0}, 0, "", CL_COMPRESSION_NONE},
};

TEST(the_first_bytes_say_it)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(heads); i++) {
        const struct cl_compression_guess *guess =
            cl_compression_guess(heads[i].head, heads[i].size);

        CHECK(guess->compression == heads[i].compression);
        CHECK_TEXT(guess->program == NULL ? "" : guess->program, heads[i].program);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_first_bytes_say_it),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
