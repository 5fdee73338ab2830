/* test_fetch_answers.c - what is read out of answers: heads, ranges, waits, tokens, complaints;
 * and when a transfer or an endpoint is given up. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "helpers/fetch/head.h"
#include "helpers/fetch/json_answers.h"
#include "helpers/fetch/pace.h"
#include "helpers/fetch/range.h"
#include "helpers/fetch/tries.h"

#define S CL_NS_PER_S

static struct cl_error err;

/* --- heads ----------------------------------------------------------------- */

static int add(struct cl_head *head, const char *line)
{
    return cl_head_add(head, line, strlen(line), &err);
}

TEST(keeps_the_headers_that_matter)
{
    struct cl_head head;

    cl_head_init(&head);
    CHECK(add(&head, "HTTP/1.1 200 OK\r\n") == 0);
    CHECK(add(&head, "content-TYPE: application/json ; charset=utf-8\r\n") == 0);
    CHECK(add(&head, "Content-Range:bytes 1-2/3\r\n") == 0);
    CHECK(add(&head, "Content-Length: \t12 \r\n") == 0);
    CHECK(add(&head, "Location: /x\r\n") == 0);
    CHECK(add(&head, "Location: /y\r\n") == 0);
    CHECK(add(&head, "Retry-After: 7\r\n") == 0);
    CHECK(add(&head, "No colon\r\n") == 0);
    CHECK(add(&head, "\r\n") == 1);
    CHECK(head.status == 200 && cl_head_length(&head) == 12);
    CHECK_TEXT(head.content_type, "application/json");
    CHECK_TEXT(head.content_range, "bytes 1-2/3");
    CHECK_TEXT(head.location, "/x");
    CHECK_TEXT(head.retry_after, "7");
    CHECK(add(&head, "Location: /trailer\r\n") == 0);
    CHECK(add(&head, "HTTP/1.1 500 trailer\r\n") == 0 && head.status == 200);
    CHECK(add(&head, "\r\n") == 0);
    cl_head_done(&head);
}

TEST(begins_anew_after_an_interim_answer)
{
    struct cl_head head;

    cl_head_init(&head);
    CHECK(add(&head, "HTTP/1.1 103 Early Hints\r\n") == 0);
    CHECK(add(&head, "Location: /early\r\n") == 0);
    CHECK(add(&head, "\r\n") == 0);
    CHECK(add(&head, "HTTP/1.1 401 Unauthorized\r\n") == 0);
    CHECK(head.status == 401 && head.location == NULL);
    CHECK(add(&head, "WWW-Authenticate: Basic realm=a\r\n") == 0);
    CHECK(add(&head, "www-authenticate: Bearer realm=b\r\n") == 0);
    CHECK(add(&head, "WWW-Authenticate: Bearer realm=\"\r\n") == 0);
    CHECK(add(&head, "\r\n") == 1);
    CHECK(head.challenges.count == 2 && head.unreadable_challenge);
    cl_head_done(&head);
}

TEST(ends_a_flood_of_headers)
{
    struct cl_head head;
    static char line[CL_HEAD_MAX];
    int lines = 0;

    cl_head_init(&head);
    while (lines < 10000 && add(&head, "X: y\r\n") == 0)
        lines++;
    CHECK(lines == CL_HEAD_MAX_LINES && err.code == EFBIG);
    cl_head_done(&head);
    cl_head_init(&head);
    memset(line, 'x', sizeof(line) - 1);
    CHECK(add(&head, line) == 0 && add(&head, "ab") == -EFBIG);
    cl_head_done(&head);
    cl_head_init(&head);
    for (lines = 0; lines < 10000 && add(&head, "HTTP/1.1 100 Continue\r\n") == 0; lines++)
        (void)add(&head, "\r\n");
    CHECK(lines <= CL_HEAD_MAX_LINES);
    cl_head_done(&head);
}

TEST(takes_no_length_that_is_none)
{
    static const char *const bad[] = {"-1", "", "1 2", "99999999999999999999", "0x10", "+1"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        const struct cl_head head = {.content_length = bad[i]};

        CHECK(cl_head_length(&head) == -1);
    }
    const struct cl_head none = {.content_length = NULL};
    CHECK(cl_head_length(&none) == -1);
}

/* --- ranges ---------------------------------------------------------------- */

TEST(goes_on_only_with_the_range_that_was_asked_for)
{
    static const struct {
        uint64_t from;
        uint64_t size;
        unsigned int status;
        const char *content_range;
        enum cl_range_verdict verdict;
    } rows[] = {
        {100, 200, 206, "bytes 100-199/200", CL_RANGE_FOLLOWS},
        {100, 200, 206, "BYTES 100-199/200", CL_RANGE_FOLLOWS},
        {100, 200, 206, "bytes 100-149/200", CL_RANGE_FOLLOWS}, /* the start of it */
        {0, 200, 206, "bytes 0-199/200", CL_RANGE_FOLLOWS},
        {100, 200, 200, NULL, CL_RANGE_WHOLE},
        {100, 200, 200, "bytes 100-199/200", CL_RANGE_WHOLE},
        {100, 200, 206, NULL, CL_RANGE_WRONG},
        {100, 200, 206, "bytes 99-199/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 101-199/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 0-199/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-199/201", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-199/*", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-200/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-99/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes */200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-199/200 ", CL_RANGE_WRONG},
        {100, 200, 206, "bytes  100-199/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-199", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 100-/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes=100-199/200", CL_RANGE_WRONG},
        {100, 200, 206, "items 100-199/200", CL_RANGE_WRONG},
        {100, 200, 206, "bytes 18446744073709551716-199/200", CL_RANGE_WRONG}, /* 2^64 + 100 */
        {100, 200, 206, "", CL_RANGE_WRONG},
        {200, 200, 416, "bytes */200", CL_RANGE_NOTHING},
        {200, 200, 416, NULL, CL_RANGE_NOTHING},
        {200, 200, 416, "bytes */300", CL_RANGE_WRONG},
        {200, 200, 416, "bytes 0-1/200", CL_RANGE_WRONG},
        {100, 200, 416, "bytes */200", CL_RANGE_WRONG},
        {100, 200, 204, NULL, CL_RANGE_WRONG},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct cl_range asked = {rows[i].from, rows[i].size};
        const enum cl_range_verdict verdict =
            cl_range_judge(&asked, rows[i].status, rows[i].content_range);

        CHECK(verdict == rows[i].verdict);
        if (verdict != rows[i].verdict)
            printf("# row %zu: %s\n", i, rows[i].content_range);
    }
}

/* --- waits ----------------------------------------------------------------- */

TEST(reads_retry_after_as_seconds_or_as_a_date)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } rows[] = {
        {"0", 0},
        {"120", 120},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 37},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 37},
        {"Sun Nov  6 08:49:37 1994", 37},
        {"Sun, 06 Nov 1994 08:48:00 GMT", 0}, /* over */
        {"99999999999999999999", 366ULL * 24 * 3600},
        {"Sun, 06 Nov 2044 08:49:37 GMT", 366ULL * 24 * 3600},
    };
    const uint64_t now_ns = 784111740 * S; /* 08:49:00 of that day */
    uint64_t wait_ns = 1;

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(cl_retry_after(rows[i].text, now_ns, &wait_ns) == 0);
        CHECK(wait_ns == rows[i].seconds * S);
    }
    wait_ns = 1;
    CHECK(cl_retry_after("", now_ns, &wait_ns) == -EINVAL);
    CHECK(cl_retry_after("soon", now_ns, &wait_ns) == -EINVAL);
    CHECK(cl_retry_after("-5", now_ns, &wait_ns) == -EINVAL);
    CHECK(wait_ns == 1);
}

TEST(waits_longer_each_time_and_gives_up)
{
    struct cl_tries tries = {0};
    uint64_t least = 0;
    uint64_t most = 0;

    CHECK(cl_tries_again(&tries, 9, 0, &least) == 1 && least == S / 10);
    tries = (struct cl_tries){0};
    CHECK(cl_tries_again(&tries, 9, UINT32_MAX, &most) == 1 && most == S / 5);
    CHECK(cl_tries_again(&tries, 9, 0, &least) == 1 && least == S / 5);
    for (int i = 0; i < 4; i++)
        CHECK(cl_tries_again(&tries, 9, UINT32_MAX, &most) == 1);
    CHECK(cl_tries_again(&tries, 9, UINT32_MAX, &most) == 1 && most == 5 * S);
    CHECK(cl_tries_again(&tries, 9, UINT32_MAX, &most) == 1 && most == 5 * S);
    CHECK(cl_tries_again(&tries, 9, 0, &least) == 0);
}

TEST(forgives_after_progress_but_not_for_ever)
{
    struct cl_tries tries = {0};
    uint64_t wait = 0;
    int count = 0;

    while (count < 10000 && cl_tries_again(&tries, 2, 0, &wait) == 1) {
        cl_tries_progressed(&tries);
        count++;
    }
    CHECK(count == CL_TRIES_ALL - 1);
}

/* --- pace ------------------------------------------------------------------ */

static const struct cl_pace_limits pace_limits = {.silence_ns = 30 * S, .window_ns = 60 * S};

TEST(gives_up_on_silence)
{
    struct cl_pace pace;

    cl_pace_begin(&pace, 100 * S);
    CHECK(cl_pace_judge(&pace, &pace_limits, 130 * S - 1) == CL_PACE_FINE);
    CHECK(cl_pace_judge(&pace, &pace_limits, 130 * S) == CL_PACE_SILENT);
    cl_pace_count(&pace, 129 * S, 1);
    cl_pace_count(&pace, 140 * S, 0);
    CHECK(cl_pace_judge(&pace, &pace_limits, 159 * S - 1) == CL_PACE_FINE);
    CHECK(cl_pace_judge(&pace, &pace_limits, 159 * S) == CL_PACE_SILENT);
}

/* BYTES every second, for so many seconds. */
static enum cl_pace_verdict trickle(struct cl_pace *pace, uint64_t bytes, uint64_t seconds)
{
    cl_pace_begin(pace, 100 * S);
    for (uint64_t i = 1; i <= seconds; i++) {
        cl_pace_count(pace, (100 + i) * S, bytes);
        enum cl_pace_verdict verdict = cl_pace_judge(pace, &pace_limits, (100 + i) * S);

        if (verdict != CL_PACE_FINE)
            return verdict;
    }
    return CL_PACE_FINE;
}

TEST(gives_up_on_a_trickle)
{
    struct cl_pace pace;

    CHECK(trickle(&pace, CL_PACE_LEAST, 600) == CL_PACE_FINE);
    CHECK(trickle(&pace, CL_PACE_LEAST - 1U, 59) == CL_PACE_FINE);
    CHECK(trickle(&pace, CL_PACE_LEAST - 1U, 60) == CL_PACE_SLOW);
    /* much at first is no excuse for later */
    CHECK(trickle(&pace, 1ULL << 20, 120) == CL_PACE_FINE);
    for (uint64_t i = 221; i < 280; i++)
        cl_pace_count(&pace, i * S, 1);
    CHECK(cl_pace_judge(&pace, &pace_limits, 280 * S) == CL_PACE_SLOW);
}

TEST(lets_small_bodies_be_slow_for_a_while)
{
    struct cl_pace pace;

    cl_pace_begin(&pace, 100 * S);
    pace.small = 1;
    for (uint64_t i = 101; i < 400; i++) {
        cl_pace_count(&pace, i * S, 1);
        CHECK(cl_pace_judge(&pace, &pace_limits, i * S) == CL_PACE_FINE);
    }
    CHECK(cl_pace_judge(&pace, &pace_limits, 400 * S) == CL_PACE_SLOW);
}

/* --- JSON ------------------------------------------------------------------ */

static int parse_token(const char *text, uint64_t wall_s, struct cl_token_answer *ret)
{
    const struct cl_bytes json = {text, strlen(text)};

    return cl_token_answer_parse(&json, wall_s, "auth.example", ret, &err);
}

static uint64_t life_of(const char *text)
{
    struct cl_token_answer answer = {0};
    /* 2026-01-01T00:01:00Z */
    const int r = parse_token(text, 1767225660, &answer);

    CHECK(r == 0);
    cl_token_answer_done(&answer);
    return r < 0 ? 0 : answer.life_s;
}

TEST(reads_tokens_by_both_names)
{
    static const char *const rows[][2] = {
        {"{\"token\":\"abc.def-_~+/=\"}", "abc.def-_~+/="},
        {"{\"access_token\":\"b\",\"more\":[{}]}", "b"},
        {"{\"token\":\"a\",\"access_token\":\"b\"}", "a"},
        {"{\"token\":\"\",\"access_token\":\"b\"}", "b"},
        {"{\"token\":null,\"access_token\":\"b\"}", "b"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_token_answer answer = {0};

        CHECK(parse_token(rows[i][0], 0, &answer) == 0);
        CHECK_TEXT(answer.token, rows[i][1]);
        cl_token_answer_done(&answer);
        CHECK(answer.token == NULL);
    }
}

TEST(reads_how_long_a_token_lives)
{
    CHECK(life_of("{\"token\":\"a\"}") == 60);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300}") == 300);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":1000000000000}") == 24ULL * 3600);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":-1}") == 60);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":0}") == 60);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":\"300\"}") == 60);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2026-01-01T00:00:50Z\"}") ==
          290);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300,"
                  "\"issued_at\":\"2026-01-01T00:00:50.123456789+00:00\"}") == 290);
    /* another clock, or another way to write it */
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2027-01-01T00:00:00Z\"}") ==
          300);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2025-01-01T00:00:00Z\"}") ==
          300);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2026-01-01 00:00:50\"}") ==
          300);
    CHECK(life_of("{\"token\":\"a\",\"expires_in\":300,\"issued_at\":7}") == 300);
}

TEST(refuses_tokens_that_no_header_can_carry)
{
    static const char *const bad[] = {
        "",
        "[]",
        "\"token\"",
        "{\"token\":\"secret",
        "{\"token\":1}",
        "{\"token\":\"\"}",
        "{\"token\":\"secret\\r\\nX-Other: 1\"}",
        "{\"token\":\"secret other\"}",
        "{\"token\":\"secret\\u0000other\"}",
        "{\"token\":\"secret\\u00e9\"}",
        "{\"token\":\"secret\",\"token\":\"secret2\"}",
        "{\"token\":\"secret\"} {}",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        struct cl_token_answer answer = {0};

        CHECK(parse_token(bad[i], 0, &answer) == -EBADMSG);
        CHECK(answer.token == NULL);
        CHECK_HAS(err.msg, "auth.example");
        CHECK(strstr(err.msg, "secret") == NULL);
    }
}

TEST(refuses_a_token_without_measure)
{
    static char text[CL_TOKEN_MAX + 32] = "{\"token\":\"";
    struct cl_token_answer answer = {0};
    const size_t start = strlen(text);

    memset(text + start, 'a', CL_TOKEN_MAX);
    memcpy(text + start + CL_TOKEN_MAX, "\"}", 3);
    CHECK(parse_token(text, 0, &answer) == 0);
    cl_token_answer_done(&answer);
    memcpy(text + start + CL_TOKEN_MAX, "a\"}", 4);
    CHECK(parse_token(text, 0, &answer) == -EBADMSG);
}

static void check_complaint(const char *text, const char *expected)
{
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);

    cl_complaint_read(text, strlen(text), &said);
    CHECK_TEXT(cl_buf_text(&said), expected);
    CHECK(said.size <= 160);
}

TEST(reads_complaints)
{
    char text[1024];

    check_complaint(
        "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
        "MANIFEST_UNKNOWN: manifest unknown");
    check_complaint("{\"errors\":[{\"code\":\"DENIED\"},{\"code\":\"X\"}]}", "DENIED");
    check_complaint("{\"errors\":[{\"message\":\"no\"}]}", "no");
    check_complaint("{\"details\":\"incorrect username or password\"}",
                    "incorrect username or password");
    check_complaint("<html>", "");
    check_complaint("", "");
    check_complaint("{\"errors\":{}}", "");
    check_complaint("{\"errors\":[7]}", "");
    check_complaint("{\"errors\":[{\"code\":7,\"message\":[]}]}", "");
    (void)snprintf(text, sizeof(text),
                   "{\"errors\":[{\"code\":\"%0200d\",\"message\":\"%0300d\"}]}", 0, 0);
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);
    cl_complaint_read(text, strlen(text), &said);
    CHECK(said.size == 160);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(keeps_the_headers_that_matter),
        ROW(begins_anew_after_an_interim_answer),
        ROW(ends_a_flood_of_headers),
        ROW(takes_no_length_that_is_none),
        ROW(goes_on_only_with_the_range_that_was_asked_for),
        ROW(reads_retry_after_as_seconds_or_as_a_date),
        ROW(waits_longer_each_time_and_gives_up),
        ROW(forgives_after_progress_but_not_for_ever),
        ROW(gives_up_on_silence),
        ROW(gives_up_on_a_trickle),
        ROW(lets_small_bodies_be_slow_for_a_while),
        ROW(reads_tokens_by_both_names),
        ROW(reads_how_long_a_token_lives),
        ROW(refuses_tokens_that_no_header_can_carry),
        ROW(refuses_a_token_without_measure),
        ROW(reads_complaints),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
