#include "oci/compression.h"

#include <string.h>

static const struct row {
    unsigned char magic[CL_COMPRESSION_HEAD_SIZE];
    size_t size;
    struct cl_compression_guess guess;
} rows[] = {
    {{0x1f, 0x8b}, 2, {"gzip", CL_COMPRESSION_GZIP}},             /* RFC 1952, 2.3.1 */
    {{0x28, 0xb5, 0x2f, 0xfd}, 4, {"zstd", CL_COMPRESSION_ZSTD}}, /* RFC 8878, 3.1.1 */
    {{0xfd, '7', 'z', 'X', 'Z', 0}, 6, {"xz", CL_COMPRESSION_COUNT}},
    {{'B', 'Z', 'h'}, 3, {"bzip2", CL_COMPRESSION_COUNT}},
};

const struct cl_compression_guess *cl_compression_guess(const void *head, size_t size)
{
    static const struct cl_compression_guess none = {NULL, CL_COMPRESSION_NONE};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (size >= rows[i].size && memcmp(head, rows[i].magic, rows[i].size) == 0)
            return &rows[i].guess;
    }
    return &none;
}
