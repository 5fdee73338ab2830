/* test_ttrpc.c - ttrpc's frames, byte by byte. */
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "rpc/ttrpc.h"
#include "check.h"

TEST(a_header_is_big_endian)
{
    const struct cl_ttrpc_header header = {
        .size = 0x00123456, .stream = 0x89abcdef, .type = CL_TTRPC_RESPONSE, .flags = 0x7f};
    static const uint8_t expected[] = {0x00, 0x12, 0x34, 0x56, 0x89, 0xab, 0xcd, 0xef, 2, 0x7f};
    uint8_t bytes[CL_TTRPC_HEADER];
    struct cl_ttrpc_header got;

    cl_ttrpc_put_header(&header, bytes);
    CHECK(sizeof(expected) == sizeof(bytes) && memcmp(bytes, expected, sizeof(bytes)) == 0);
    cl_ttrpc_take_header(expected, &got);
    CHECK(got.size == header.size && got.stream == header.stream);
    CHECK(got.type == header.type && got.flags == header.flags);
    memset(bytes, 0xff, sizeof(bytes));
    cl_ttrpc_take_header(bytes, &got);
    CHECK(got.size == UINT32_MAX && got.stream == UINT32_MAX && got.type == 255);
    CHECK(got.flags == 255);
}

TEST(types_and_limits_are_the_protocols)
{
    CHECK(CL_TTRPC_REQUEST == 1 && CL_TTRPC_RESPONSE == 2 && CL_TTRPC_DATA == 3);
    CHECK(CL_TTRPC_MOST == 4194304 && CL_TTRPC_HEADER == 10);
}

static int has(const struct cl_buf *buf, const char *bytes, size_t size)
{
    return buf->size == size && memcmp(cl_buf_text(buf), bytes, size) == 0;
}
#define HAS(buf, text) has(buf, text, sizeof(text) - 1)

TEST(a_request_is_a_frame)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    static const struct cl_msg_pair pair = {"k", "v"};
    const struct cl_ttrpc_request request = {.service = "s",
                                             .method = "m",
                                             .payload = {"pp", 2},
                                             .timeout_ns = 300,
                                             .metadata = {&pair, 1}};

    CHECK(cl_ttrpc_add(&buf, 7, CL_TTRPC_REQUEST, &cl_ttrpc_request_shape, &request) == 0);
    CHECK(HAS(&buf, "\0\0\0\x15\0\0\0\x07\x01\0"
                    "\x0a\x01s\x12\x01m\x1a\x02pp\x20\xac\x02\x2a\x06\x0a\x01k\x12\x01v"));
}

TEST(answers_are_frames_one_behind_the_other)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    static const struct cl_msg_status status = {5, "no"};

    CHECK(cl_ttrpc_add(&buf, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape,
                       &(struct cl_ttrpc_response){.payload = {"pp", 2}}) == 0);
    CHECK(cl_ttrpc_add(&buf, 0xfffffffd, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape,
                       &(struct cl_ttrpc_response){.status = &status}) == 0);
    CHECK(cl_ttrpc_add(&buf, 3, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape,
                       &(struct cl_ttrpc_response){0}) == 0);
    CHECK(HAS(&buf, "\0\0\0\x04\0\0\0\x01\x02\0\x12\x02pp"
                    "\0\0\0\x08\xff\xff\xff\xfd\x02\0\x0a\x06\x08\x05\x12\x02no"
                    "\0\0\0\0\0\0\0\x03\x02\0"));
}

/* What BUF had is there, and as a text. */
static int is_as_before(const struct cl_buf *buf)
{
    return HAS(buf, "before") && strcmp(cl_buf_text(buf), "before") == 0;
}

TEST(a_frame_has_4_mib_at_most)
{
    static char payload[CL_TTRPC_MOST];
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(2UL * CL_TTRPC_MOST);
    struct cl_ttrpc_response response = {.payload = {payload, CL_TTRPC_MOST - 5}};

    CHECK(cl_buf_add_str(&buf, "before") == 0);
    response.payload.size++; /* behind a key and four bytes of a size */
    CHECK(cl_ttrpc_add(&buf, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response) == -EFBIG);
    CHECK(is_as_before(&buf));
    response.payload.size--;
    CHECK(cl_ttrpc_add(&buf, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response) == 0);
    CHECK(buf.size == 6 + CL_TTRPC_HEADER + CL_TTRPC_MOST);
    CHECK(memcmp(buf.data, "before\0\x40\0\0\0\0\0\x01\x02\0\x12\xfb\xff\xff\x01", 21) == 0);
}

TEST(a_buffer_without_room_is_as_before)
{
    const struct cl_ttrpc_response response = {.payload = {"0123456789", 10}};

    for (size_t cap = 6; cap <= 6 + 10 + 12; cap++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(cap);

        CHECK(cl_buf_add_str(&buf, "before") == 0);
        const int r = cl_ttrpc_add(&buf, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response);
        CHECK(cap < 6 + 10 + 12 ? r == -EFBIG && is_as_before(&buf) : r == 0 && buf.size == cap);
    }
    CL_CLEANUP_BUF struct cl_buf none = CL_BUF_INIT(0);
    CHECK(cl_ttrpc_add(&none, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response) == -EFBIG);
    CHECK(none.size == 0);
    CL_CLEANUP_BUF struct cl_buf empty = CL_BUF_INIT(12);
    CHECK(cl_ttrpc_add(&empty, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response) < 0);
    CHECK_TEXT(cl_buf_text(&empty), "");
}

TEST(each_allocation_may_fail)
{
    static char payload[1000];
    const struct cl_ttrpc_response response = {.payload = {payload, sizeof(payload)}};
    char fault[32];
    int struck = 1;
    int last = 0;

    for (int i = 1; struck && i < 50; i++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

        CHECK(cl_buf_add_str(&buf, "before") == 0);
        CHECK(cl_buf_grow(&buf, 50) == 0); /* up to the end of what is allocated */
        (void)snprintf(fault, sizeof(fault), "alloc:%d", i);
        cl_fault_set(fault);
        const int r = cl_ttrpc_add(&buf, 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(struck ? r == -ENOMEM && buf.size == 56 : r == 0 && buf.size > 1056);
        CHECK_TEXT(cl_buf_text(&buf), "before");
        last = i;
    }
    CHECK(!struck && last > 2);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_header_is_big_endian),    ROW(types_and_limits_are_the_protocols),
        ROW(a_request_is_a_frame),      ROW(answers_are_frames_one_behind_the_other),
        ROW(a_frame_has_4_mib_at_most), ROW(a_buffer_without_room_is_as_before),
        ROW(each_allocation_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
