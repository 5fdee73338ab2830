#include "oci/fetch.h"

#include <errno.h>

enum { URL_MAX_BYTES = 4095, MAX_ENDPOINTS = 32, TYPE_MAX = 255, ERROR_MAX = 511 };

static int put_endpoint(struct cl_buf *buf, const void *item)
{
    const struct cl_fetch_endpoint *endpoint = item;
    int r = cl_flat_put_text(buf, endpoint->url);

    if (r == 0)
        r = cl_flat_put_text(buf, endpoint->user);
    if (r == 0)
        r = cl_flat_put_text(buf, endpoint->secret);
    if (r == 0)
        r = cl_flat_put_text(buf, endpoint->identity);
    return r < 0 ? r : cl_flat_put_text(buf, endpoint->authority);
}

static int take_endpoint(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_fetch_endpoint *endpoint = item;

    if (cl_flat_take_text(cursor, &endpoint->url) < 0 ||
        cl_flat_take_text(cursor, &endpoint->user) < 0 ||
        cl_flat_take_text(cursor, &endpoint->secret) < 0 ||
        cl_flat_take_text(cursor, &endpoint->identity) < 0 ||
        cl_flat_take_text(cursor, &endpoint->authority) < 0)
        return -EBADMSG;
    return 0;
}

static const struct cl_flat_item endpoint_item = {.size = sizeof(struct cl_fetch_endpoint),
                                                  .least_size = 5,
                                                  .put = put_endpoint,
                                                  .take = take_endpoint};

#define NUMBER(record, index, id, member, max)                                                     \
    [index] = {id, CL_FLAT_NUMBER, offsetof(struct record, member), 0, max, #member, NULL}
#define TEXT(record, index, id, member, min, max)                                                  \
    [index] = {id, CL_FLAT_TEXT, offsetof(struct record, member), min, max, #member, NULL}

static const struct cl_flat_field request_fields[CL_FETCH_REQUEST_FIELD_COUNT] = {
    NUMBER(cl_fetch_request, CL_FETCH_REQUEST_ID, 1, id, UINT32_MAX),
    NUMBER(cl_fetch_request, CL_FETCH_REQUEST_KIND, 2, kind, CL_FETCH_KIND_COUNT - 1),
    [CL_FETCH_REQUEST_ENDPOINTS] = {3, CL_FLAT_LIST, offsetof(struct cl_fetch_request, endpoints),
                                    1, MAX_ENDPOINTS, "endpoints", &endpoint_item},
    TEXT(cl_fetch_request, CL_FETCH_REQUEST_REPOSITORY, 4, repository, 0, TYPE_MAX),
    TEXT(cl_fetch_request, CL_FETCH_REQUEST_REFERENCE, 5, reference, 0, TYPE_MAX),
    NUMBER(cl_fetch_request, CL_FETCH_REQUEST_OFFSET, 6, offset_bytes, 1ULL << 50),
    NUMBER(cl_fetch_request, CL_FETCH_REQUEST_SIZE, 7, size_bytes, 1ULL << 50),
};

static const struct cl_flat_field report_fields[CL_FETCH_REPORT_FIELD_COUNT] = {
    NUMBER(cl_fetch_report, CL_FETCH_REPORT_ID, 1, id, UINT32_MAX),
    NUMBER(cl_fetch_report, CL_FETCH_REPORT_KIND, 2, kind, CL_FETCH_REPORT_KIND_COUNT - 1),
    NUMBER(cl_fetch_report, CL_FETCH_REPORT_BYTES, 3, bytes, 1ULL << 50),
    TEXT(cl_fetch_report, CL_FETCH_REPORT_TYPE, 4, media_type, 0, TYPE_MAX),
    TEXT(cl_fetch_report, CL_FETCH_REPORT_URL, 6, url, 0, URL_MAX_BYTES),
    NUMBER(cl_fetch_report, CL_FETCH_REPORT_CODE, 7, code, 4095),
    TEXT(cl_fetch_report, CL_FETCH_REPORT_ERROR, 8, error, 0, ERROR_MAX),
};

const struct cl_flat_shape cl_fetch_request_shape = {
    .name = "request to cloister-fetch",
    .magic = {'c', 'l', 'f', 'e', 't', 'q', '\r', '\n'},
    .version = 1,
    .max_size = CL_FETCH_MAX_MESSAGE,
    .set_offset = offsetof(struct cl_fetch_request, set),
    .count = CL_FETCH_REQUEST_FIELD_COUNT,
    .fields = request_fields,
};

const struct cl_flat_shape cl_fetch_report_shape = {
    .name = "report of cloister-fetch",
    .magic = {'c', 'l', 'f', 'e', 't', 'r', '\r', '\n'},
    .version = 1,
    .max_size = CL_FETCH_MAX_MESSAGE,
    .set_offset = offsetof(struct cl_fetch_report, set),
    .count = CL_FETCH_REPORT_FIELD_COUNT,
    .fields = report_fields,
};
