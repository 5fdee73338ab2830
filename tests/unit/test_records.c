/* test_records.c - the records of images and the talk with cloister-fetch, in their flat form:
 * all of them read as they were written, and within their bounds only. */
#include <errno.h>
#include <stdlib.h>

#include "oci/fetch.h"
#include "oci/records.h"
#include "check.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ALL(count) ((1ULL << (count)) - 1)

static const struct cl_manifest_layer layers[] = {
    {DIGEST_A, 123, CL_COMPRESSION_GZIP},
    {DIGEST_B, 1ULL << 50, CL_COMPRESSION_ZSTD},
    {DIGEST_B, 0, CL_COMPRESSION_NONE},
};
static const struct cl_manifest_record manifest = {
    .set = ALL(CL_MANIFEST_FIELD_COUNT),
    .kind = CL_MANIFEST_IMAGE,
    .media_type = "application/vnd.oci.image.manifest.v1+json",
    .target = DIGEST_A,
    .target_size_bytes = 1234,
    .target_type = "application/vnd.oci.image.config.v1+json",
    .layers = {layers, CL_ARRAY_SIZE(layers)},
    .name = "1.0",
    .payload = CL_PAYLOAD_MODULE,
    .title = "a.wasm",
};

static const char *const digests[] = {DIGEST_A, DIGEST_B};
static const char *const words[] = {"sh", "-c", ""};
static const struct cl_config_record config = {
    .set = ALL(CL_CONFIG_FIELD_COUNT),
    .architecture = "amd64",
    .os = "linux",
    .variant = "v8",
    .created = "2026-01-02T03:04:05Z",
    .diff_ids = {digests, CL_ARRAY_SIZE(digests)},
    .env = {words, CL_ARRAY_SIZE(words)},
    .entrypoint = {words, 1},
    .command = {words, 2},
    .workdir = "/srv",
    .user = "app:app",
    .stop_signal = 64,
    .labels = {words, 0},
};

static const struct cl_archive_member members[] = {{"manifest.json", 512, 10}, {"", 0, 0}};
static const struct cl_archive_record archive = {.set = ALL(CL_ARCHIVE_FIELD_COUNT),
                                                 .members = {members, CL_ARRAY_SIZE(members)}};
static const struct cl_saved_record saved = {
    .set = ALL(CL_SAVED_FIELD_COUNT), .config = "c.json", .layers = {words, 2}, .tags = {words, 1}};
static const struct cl_auth_record auth = {.set = ALL(CL_AUTH_FIELD_COUNT),
                                           .kind = CL_AUTH_HELPER,
                                           .user = "u",
                                           .secret = "s",
                                           .helper = "pass"};
static const struct cl_registry registry_items[] = {{"docker.io", "https://a\nhttps://b\n", 0, ""},
                                                    {"localhost:5000", "", 1, "/etc/ca.pem"}};
static const struct cl_registries_record registries = {
    .set = ALL(CL_REGISTRIES_FIELD_COUNT),
    .default_domain = "quay.io",
    .entries = {registry_items, CL_ARRAY_SIZE(registry_items)},
    .budget_bytes = 1ULL << 50};
static const struct cl_layer_record layer = {.set = ALL(CL_STORED_LAYER_FIELD_COUNT),
                                             .chain = DIGEST_A,
                                             .diff_id = DIGEST_B,
                                             .blob = DIGEST_A,
                                             .size_bytes = 1,
                                             .disk_bytes = 2,
                                             .entries = 3};
static const struct cl_image_record image = {.set = ALL(CL_STORED_IMAGE_FIELD_COUNT),
                                             .digest = DIGEST_A,
                                             .config = DIGEST_B,
                                             .media_type = "t",
                                             .created = "",
                                             .platform = "linux/amd64",
                                             .pulled_s = 1700000000,
                                             .layers = {words, 3}};
static const struct cl_fetch_endpoint endpoints[] = {{"https://a", "u", "s", "", "pem"},
                                                     {"http://[::1]:5000", "", "", "token", ""}};
static const struct cl_fetch_request request = {.set = ALL(CL_FETCH_REQUEST_FIELD_COUNT),
                                                .id = UINT32_MAX,
                                                .kind = CL_FETCH_LOGIN,
                                                .endpoints = {endpoints, 2},
                                                .repository = "library/debian",
                                                .reference = "bookworm",
                                                .offset_bytes = 1ULL << 50,
                                                .size_bytes = 5};
static const struct cl_fetch_report report = {.set = ALL(CL_FETCH_REPORT_FIELD_COUNT),
                                              .id = 1,
                                              .kind = CL_FETCH_FAILED,
                                              .bytes = 1ULL << 50,
                                              .media_type = "t",
                                              .url = "https://a",
                                              .code = 4095,
                                              .error = "no"};

static const struct {
    const struct cl_flat_shape *shape;
    const void *record;
    size_t size;
} rows[] = {
    {&cl_manifest_shape, &manifest, sizeof(manifest)},
    {&cl_config_shape, &config, sizeof(config)},
    {&cl_archive_shape, &archive, sizeof(archive)},
    {&cl_saved_shape, &saved, sizeof(saved)},
    {&cl_auth_shape, &auth, sizeof(auth)},
    {&cl_registries_shape, &registries, sizeof(registries)},
    {&cl_layer_shape, &layer, sizeof(layer)},
    {&cl_image_shape, &image, sizeof(image)},
    {&cl_fetch_request_shape, &request, sizeof(request)},
    {&cl_fetch_report_shape, &report, sizeof(report)},
};

/* Room for any of them. */
union record {
    char bytes[256];
    uint64_t align;
};

static int read_as(const struct cl_flat_shape *shape, const struct cl_buf *buf,
                   struct cl_arena *arena, union record *ret)
{
    const struct cl_bytes bytes = {buf->data, buf->size};
    struct cl_error err = {0};

    *ret = (union record){{0}};
    return cl_flat_read(shape, &bytes, arena, ret, &err);
}

TEST(every_record_reads_as_it_was_written_and_as_no_other)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        CL_CLEANUP_BUF struct cl_buf first = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
        CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
        union record record;
        struct cl_error err = {0};

        CHECK(rows[i].size <= sizeof(record));
        CHECK(cl_flat_write(rows[i].shape, rows[i].record, &first, &err) == 0);
        for (size_t k = 0; k < CL_ARRAY_SIZE(rows); k++)
            CHECK((read_as(rows[k].shape, &first, &arena, &record) == 0) == (k == i));
        CHECK(read_as(rows[i].shape, &first, &arena, &record) == 0);
        CHECK(cl_flat_write(rows[i].shape, &record, &again, &err) == 0);
        CHECK(again.size == first.size && memcmp(again.data, first.data, first.size) == 0);
    }
}

TEST(every_flipped_bit_of_a_record_reads_or_is_refused)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
        struct cl_error err = {0};

        CHECK(cl_flat_write(rows[i].shape, rows[i].record, &buf, &err) == 0);
        for (size_t bit = 0; bit < buf.size * 8; bit++) {
            CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
            CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
            union record record;

            buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
            if (read_as(rows[i].shape, &buf, &arena, &record) == 0) {
                CHECK(cl_flat_write(rows[i].shape, &record, &again, &err) == 0);
                CHECK(again.size == buf.size && memcmp(again.data, buf.data, buf.size) == 0);
            }
            buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
        }
    }
}

TEST(members_are_what_they_were)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    struct cl_manifest_record back = {0};
    struct cl_error err = {0};

    CHECK(cl_flat_write(&cl_manifest_shape, &manifest, &buf, &err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_manifest_shape, &bytes, &arena, &back, &err) == 0);
    CHECK(back.kind == CL_MANIFEST_IMAGE && back.target_size_bytes == 1234);
    CHECK_TEXT(back.target, DIGEST_A);
    CHECK(back.payload == CL_PAYLOAD_MODULE);
    CHECK_TEXT(back.title, "a.wasm");
    CHECK(back.layers.count == CL_ARRAY_SIZE(layers));
    for (size_t i = 0; i < back.layers.count; i++) {
        CHECK_TEXT(back.layers.items[i].digest, layers[i].digest);
        CHECK(back.layers.items[i].size_bytes == layers[i].size_bytes);
        CHECK(back.layers.items[i].compression == layers[i].compression);
    }
}

/* --- what is out of bounds ---------------------------------------------------------------- */

static void check_refused(const struct cl_flat_shape *shape, const void *record, const char *why)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(32 << 20);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    union record back;
    struct cl_error err = {0};

    int r = cl_flat_write(shape, record, &buf, &err);
    if (r == -ERANGE)
        return; /* a field's; those of items are the reader's alone */
    CHECK(r == 0);
    r = read_as(shape, &buf, &arena, &back);
    CHECK(r == -EBADMSG);
    if (r != -EBADMSG)
        printf("# it reads: %s\n", why);
}

TEST(what_no_manifest_can_say_is_refused)
{
    struct cl_manifest_layer some[CL_MAX_LAYERS + 1];
    struct cl_manifest_record record = manifest;

    for (size_t i = 0; i < CL_ARRAY_SIZE(some); i++)
        some[i] = layers[0];
    record.kind = CL_MANIFEST_KIND_COUNT;
    check_refused(&cl_manifest_shape, &record, "a kind that isn't known");
    record = manifest;
    record.payload = CL_PAYLOAD_COUNT;
    check_refused(&cl_manifest_shape, &record, "a payload that isn't known");
    record = manifest;
    record.target = DIGEST_A "a";
    check_refused(&cl_manifest_shape, &record, "a digest that is too long");
    record.target = "sha256:";
    check_refused(&cl_manifest_shape, &record, "a digest that is too short");
    record = manifest;
    record.layers = (struct cl_manifest_layers){some, CL_MAX_LAYERS + 1};
    check_refused(&cl_manifest_shape, &record, "128 layers");
    record.layers.count = 1;
    some[0].compression = CL_COMPRESSION_COUNT;
    check_refused(&cl_manifest_shape, &record, "a compression that isn't known");
    some[0] = layers[0];
    some[0].size_bytes = (1ULL << 50) + 1;
    check_refused(&cl_manifest_shape, &record, "a layer larger than a pebibyte");
}

TEST(what_no_archive_or_configuration_can_say_is_refused)
{
    struct cl_archive_member member = {"m", (1ULL << 50) + 1, 1};
    const struct cl_archive_record of_one = {.set = 1, .members = {&member, 1}};
    struct cl_registry entry = {"a", "", 2, ""};
    const struct cl_registries_record one_registry = {.set = 1ULL << CL_REGISTRIES_ENTRIES,
                                                      .entries = {&entry, 1}};
    struct cl_fetch_request asked = request;

    check_refused(&cl_archive_shape, &of_one, "an offset beyond a pebibyte");
    member = (struct cl_archive_member){"m", 1, (1ULL << 50) + 1};
    check_refused(&cl_archive_shape, &of_one, "a size beyond a pebibyte");
    check_refused(&cl_registries_shape, &one_registry, "plain_http: 2");
    asked.endpoints.count = 0;
    check_refused(&cl_fetch_request_shape, &asked, "no endpoint");
    asked = request;
    asked.kind = CL_FETCH_KIND_COUNT;
    check_refused(&cl_fetch_request_shape, &asked, "a kind of request that isn't known");
}

/* fetch.h: one record a message; a socket takes no larger ones. */
TEST(the_largest_request_is_bounded)
{
    CL_CLEANUP_FREE char *large = calloc(1, CL_FETCH_MAX_MESSAGE + 1);
    struct cl_fetch_endpoint endpoint = endpoints[0];
    struct cl_fetch_request asked = request;
    struct cl_error err = {0};

    memset(large, 'x', CL_FETCH_MAX_MESSAGE);
    endpoint.authority = large;
    asked.endpoints = (struct cl_fetch_endpoints){&endpoint, 1};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(2L * CL_FETCH_MAX_MESSAGE);
    CHECK(cl_flat_write(&cl_fetch_request_shape, &asked, &buf, &err) == -E2BIG);
    large[CL_FETCH_MAX_MESSAGE - 4096] = '\0';
    CL_CLEANUP_BUF struct cl_buf fits = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE);
    CHECK(cl_flat_write(&cl_fetch_request_shape, &asked, &fits, &err) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(every_record_reads_as_it_was_written_and_as_no_other),
        ROW(every_flipped_bit_of_a_record_reads_or_is_refused),
        ROW(members_are_what_they_were),
        ROW(what_no_manifest_can_say_is_refused),
        ROW(what_no_archive_or_configuration_can_say_is_refused),
        ROW(the_largest_request_is_bounded),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
