/* test_grpc_head.c - what the headers of a call say, its message's pieces, and how a status is
 * written. */
#include <errno.h>

#include "helpers/grpc/body.h"
#include "helpers/grpc/head.h"
#include "rpc/ttrpc.h"
#include "check.h"

TEST(timeouts_have_a_number_and_a_unit)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"1H", 3600000000000},
        {"1M", 60000000000},
        {"1S", 1000000000},
        {"1m", 1000000},
        {"1u", 1000},
        {"1n", 1},
        {"99999999n", 99999999},
        {"99999999S", 99999999000000000},
        {"00000007u", 7000},
        {"99999999H", INT64_MAX},
        {"2562047H", 9223369200000000000},
        {"2562048H", INT64_MAX},
        {"0n", 1},
        {"0H", 1}, /* over already, which isn't none */
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        uint64_t ns = 0;

        CHECK(cl_grpc_parse_timeout(cases[i].text, &ns) == 0);
        if (ns != cases[i].ns)
            printf("# %s\n", cases[i].text);
        CHECK(ns == cases[i].ns);
    }
}

TEST(other_timeouts_are_refused)
{
    static const char *const texts[] = {"",    "S",    "1",   "123456789S", "-1S",
                                        "+1S", "1.5S", " 1S", "1S ",        "1 S",
                                        "1s",  "1h",   "1Sn", "0x1S",       "1\xc2\xb5"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        uint64_t ns = 77;

        CHECK(cl_grpc_parse_timeout(texts[i], &ns) == -EINVAL && ns == 77);
    }
}

struct case_of_head {
    const char *name, *value; /* in place of the usual one, or more; "" twice: it is left out */
    uint32_t code;
    unsigned int http;
};

static const char *const usual[][2] = {
    {":method", "POST"}, {":path", "/s/m"}, {"content-type", "application/grpc"}};

static const struct cl_grpc_status *look(struct cl_grpc_head *head, const char *name,
                                         const char *value)
{
    int is_usual = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(usual); i++) {
        const int same = strcmp(usual[i][0], name) == 0;

        is_usual |= same;
        if (!same || value != NULL)
            CHECK(cl_grpc_head_add(head, usual[i][0], same ? value : usual[i][1]) == 0);
    }
    if (!is_usual)
        CHECK(cl_grpc_head_add(head, name, value) == 0);
    return cl_grpc_head_check(head);
}

TEST(what_is_no_call_is_told_why)
{
    static const struct case_of_head cases[] = {
        {":method", "GET", CL_RPC_INTERNAL, 405},
        {":method", "post", CL_RPC_INTERNAL, 405},
        {"content-type", NULL, CL_RPC_INTERNAL, 415},
        {"content-type", "", CL_RPC_INTERNAL, 415},
        {"content-type", "application/grpcx", CL_RPC_INTERNAL, 415},
        {"content-type", "application/json", CL_RPC_INTERNAL, 415},
        {":path", NULL, CL_RPC_UNIMPLEMENTED, 200},
        {":path", "", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "/", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "*", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "s/m", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "/m", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "/s/", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "//m", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "/s m/m", CL_RPC_UNIMPLEMENTED, 200},
        {":path", "/s/\xc3\xa9", CL_RPC_UNIMPLEMENTED, 200},
        {"grpc-timeout", "soon", CL_RPC_INTERNAL, 200},
        {"containerd-namespace", "a\xff", CL_RPC_INVALID_ARGUMENT, 200},
        {"containerd-namespace", "a\tb", CL_RPC_INVALID_ARGUMENT, 200},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        struct cl_grpc_head head = {0};
        const struct cl_grpc_status *status = look(&head, cases[i].name, cases[i].value);

        CHECK(status != NULL && status->code == cases[i].code && status->http == cases[i].http);
        if (status == NULL || status->code != cases[i].code)
            printf("# %s: %s\n", cases[i].name, cases[i].value);
        cl_grpc_head_done(&head);
    }
}

TEST(types_may_have_more)
{
    static const char *const types[] = {"application/grpc", "application/grpc+proto",
                                        "application/grpc;charset=utf-8"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(types); i++) {
        struct cl_grpc_head head = {0};

        CHECK(look(&head, "content-type", types[i]) == NULL);
        CHECK_TEXT(head.service, "s");
        CHECK_TEXT(head.method, "m");
        cl_grpc_head_done(&head);
    }
}

TEST(what_counts_is_said_once)
{
    static const char *const names[][2] = {{"content-type", "application/grpc"},
                                           {":path", "/other/one"},
                                           {"grpc-timeout", "1S"},
                                           {"containerd-namespace", "default"}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        struct cl_grpc_head head = {0};

        (void)look(&head, names[i][0], names[i][1]);
        CHECK(cl_grpc_head_add(&head, names[i][0], names[i][1]) == 0);
        const struct cl_grpc_status *status = cl_grpc_head_check(&head);
        CHECK(status != NULL && status->code == CL_RPC_INVALID_ARGUMENT);
        cl_grpc_head_done(&head);
    }
}

TEST(headers_have_16_kib)
{
    for (int over = 0; over < 2; over++) {
        struct cl_grpc_head head = {0};
        static char value[CL_GRPC_HEAD_MOST];

        CHECK(look(&head, "x", "") == NULL);
        const size_t size = CL_GRPC_HEAD_MOST - head.size - 33 + (size_t)over;
        memset(value, 'v', size);
        value[size] = '\0';
        CHECK(cl_grpc_head_add(&head, "y", value) == 0);
        const struct cl_grpc_status *status = cl_grpc_head_check(&head);
        CHECK(over ? status != NULL && status->code == CL_RPC_RESOURCE_EXHAUSTED : status == NULL);
        cl_grpc_head_done(&head);
    }
}

/* --- messages ------------------------------------------------------------------------------ */

/* In pieces of each size. */
static uint32_t code_of(const char *bytes, size_t size)
{
    uint32_t code = UINT32_MAX;

    for (size_t piece = 1; piece <= size + 1; piece++) {
        struct cl_grpc_body body;
        const struct cl_grpc_status *status = NULL;

        cl_grpc_body_init(&body);
        for (size_t at = 0; status == NULL && at < size; at += piece)
            status = cl_grpc_body_add(&body, bytes + at, (size_t)cl_min_u64(piece, size - at));
        if (status == NULL)
            status = cl_grpc_body_check(&body);
        const uint32_t now = status == NULL ? CL_RPC_OK : status->code;
        CHECK(code == UINT32_MAX || code == now);
        code = now;
        cl_grpc_body_done(&body);
    }
    return code;
}
#define CODE_OF(text) code_of((text), sizeof(text) - 1)

TEST(a_body_is_one_message)
{
    CHECK(CODE_OF("\0\0\0\0\3abc") == CL_RPC_OK);
    CHECK(CODE_OF("\0\0\0\0\0") == CL_RPC_OK);
    CHECK(CODE_OF("") == CL_RPC_UNIMPLEMENTED);
    CHECK(CODE_OF("\0") == CL_RPC_INTERNAL);
    CHECK(CODE_OF("\0\0\0\0") == CL_RPC_INTERNAL);
    CHECK(CODE_OF("\0\0\0\0\3ab") == CL_RPC_INTERNAL);
    CHECK(CODE_OF("\0\0\0\0\3abcd") == CL_RPC_UNIMPLEMENTED);
    CHECK(CODE_OF("\0\0\0\0\0\0\0\0\0\0") == CL_RPC_UNIMPLEMENTED);
    CHECK(CODE_OF("\1\0\0\0\3abc") == CL_RPC_UNIMPLEMENTED);
    CHECK(CODE_OF("\xff\xff\xff\xff\xff") == CL_RPC_UNIMPLEMENTED);
    CHECK(CODE_OF("\0\xff\xff\xff\xff") == CL_RPC_RESOURCE_EXHAUSTED);
    CHECK(CODE_OF("\0\0\x40\0\1") == CL_RPC_RESOURCE_EXHAUSTED);
    CHECK(CODE_OF("\0\0\x40\0\0") == CL_RPC_INTERNAL); /* which would be as large as may be */
}

TEST(what_is_announced_takes_no_memory)
{
    struct cl_grpc_body body;

    cl_grpc_body_init(&body);
    CHECK(cl_grpc_body_add(&body, "\0\0\x40\0\0x", 6) == NULL);
    CHECK(body.bytes.size == 1 && body.bytes.allocated < 4096);
    cl_grpc_body_done(&body);
}

/* --- statuses ------------------------------------------------------------------------------ */

TEST(messages_are_percent_encoded)
{
    static const struct {
        const char *text, *encoded;
    } cases[] = {
        {"", ""},
        {" ~plain!", " ~plain!"},
        {"100%", "100%25"},
        {"a\nb\tc\x7f", "a%0Ab%09c%7F"},
        {"\xe2\x82\xac\xf0\x9f\x90\xb3", "%E2%82%AC%F0%9F%90%B3"},
        {"\xff\x80", "%FF%80"},
    };
    char encoded[CL_GRPC_ENCODED_SIZE];

    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        CHECK(cl_grpc_encode_message(cases[i].text, encoded) == strlen(cases[i].encoded));
        CHECK_TEXT(encoded, cases[i].encoded);
    }
}

TEST(messages_are_cut_at_a_character)
{
    char text[CL_GRPC_MESSAGE_MOST + 16];
    char encoded[CL_GRPC_ENCODED_SIZE];

    memset(text, '\n', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    CHECK(cl_grpc_encode_message(text, encoded) == CL_GRPC_ENCODED_SIZE - 1);
    for (size_t before = 0; before < 4; before++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + CL_GRPC_MESSAGE_MOST - before, "\xe2\x82\xac", 4);
        CHECK(cl_grpc_encode_message(text, encoded) ==
              CL_GRPC_MESSAGE_MOST - before + (before == 3 ? 9 : 0));
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(timeouts_have_a_number_and_a_unit),
        ROW(other_timeouts_are_refused),
        ROW(what_is_no_call_is_told_why),
        ROW(types_may_have_more),
        ROW(what_counts_is_said_once),
        ROW(headers_have_16_kib),
        ROW(a_body_is_one_message),
        ROW(what_is_announced_takes_no_memory),
        ROW(messages_are_percent_encoded),
        ROW(messages_are_cut_at_a_character),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
