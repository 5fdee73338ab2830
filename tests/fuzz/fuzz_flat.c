/* fuzz_flat.c - the records that pass between the core, cloister-image and cloister-fetch: any
 * bytes read as one of them or are refused, and what reads writes as the same bytes. */
#include <errno.h>
#include <string.h>

#include "oci/fetch.h"
#include "oci/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Room for the largest of them. */
union record {
    struct cl_manifest_record manifest;
    struct cl_config_record config;
    struct cl_archive_record archive;
    struct cl_saved_record saved;
    struct cl_auth_record auth;
    struct cl_registries_record registries;
    struct cl_layer_record layer;
    struct cl_image_record image;
    struct cl_fetch_request request;
    struct cl_fetch_report report;
};

static const struct cl_flat_shape *const shapes[] = {
    &cl_manifest_shape,      &cl_config_shape,       &cl_archive_shape, &cl_saved_shape,
    &cl_auth_shape,          &cl_registries_shape,   &cl_layer_shape,   &cl_image_shape,
    &cl_fetch_request_shape, &cl_fetch_report_shape,
};

/* Whether DATA read. */
static int try_shape(const struct cl_flat_shape *shape, const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct cl_bytes bytes = {data, size};
    union record record = {0};
    struct cl_error err = {0};

    int r = cl_flat_read(shape, &bytes, &arena, &record, &err);
    if (r < 0) {
        CL_ASSERT(r == -EBADMSG && err.code == EBADMSG && err.msg[0] != '\0');
        return 0;
    }
    CL_ASSERT(cl_flat_write(shape, &record, &again, &err) == 0);
    CL_ASSERT(again.size == size && memcmp(again.data, data, size) == 0);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int read = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(shapes); i++)
        read += try_shape(shapes[i], data, size);
    CL_ASSERT(read <= 1); /* each has a magic of its own */
    return 0;
}
