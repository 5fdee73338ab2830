/* test_manifest_json.c - manifests that are made here, byte for byte: they name the image. */
#include "image/manifest_json.h"
#include "check.h"

#define TYPE "\"mediaType\":\"application/vnd.oci.image."
#define BEGIN                                                                                      \
    "{\"schemaVersion\":2," TYPE "manifest.v1+json\",\"config\":{" TYPE                            \
    "config.v1+json\",\"digest\":\"sha256:c\",\"size\":7},\"layers\":["

static void check_bytes(const struct cl_manifest_layer *layers, size_t count, const char *expected)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    const struct cl_manifest_record record = {
        .target = "sha256:c", .target_size_bytes = 7, .layers = {layers, count}};

    CHECK(cl_manifest_json_write(&record, &buf) == 0);
    CHECK_TEXT(cl_buf_text(&buf), expected);
}

TEST(a_manifest_is_these_bytes)
{
    static const struct cl_manifest_layer layers[] = {
        {.digest = "sha256:1", .size_bytes = 1, .compression = CL_COMPRESSION_NONE},
        {.digest = "sha256:2", .size_bytes = 1ULL << 40, .compression = CL_COMPRESSION_GZIP},
        {.digest = "sha256:3", .size_bytes = 3, .compression = CL_COMPRESSION_ZSTD},
        {.digest = "", .size_bytes = 4, .compression = CL_COMPRESSION_GZIP},
    };

    check_bytes(NULL, 0, BEGIN "]}\n");
    check_bytes(layers, CL_ARRAY_SIZE(layers),
                BEGIN "{" TYPE "layer.v1.tar\",\"digest\":\"sha256:1\",\"size\":1},"
                      "{" TYPE
                      "layer.v1.tar+gzip\",\"digest\":\"sha256:2\",\"size\":1099511627776},"
                      "{" TYPE "layer.v1.tar+zstd\",\"digest\":\"sha256:3\",\"size\":3},"
                      "{" TYPE "layer.v1.tar+gzip\",\"size\":4}]}\n");
}

TEST(one_that_has_no_room_is_told)
{
    static const struct cl_manifest_record record = {.target = "sha256:c"};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(64);

    CHECK(cl_manifest_json_write(&record, &buf) < 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_manifest_is_these_bytes),
        ROW(one_that_has_no_room_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
