/* fuzz_fetch_answers.c - any bytes as an answer: a head line by line, and what comes after it as
 * a token server's JSON and as a registry's complaint. What is made of them is bounded text, and
 * a token can stand in a header. */
#include <errno.h>
#include <string.h>

#include "helpers/fetch/head.h"
#include "helpers/fetch/json_answers.h"
#include "helpers/fetch/range.h"
#include "helpers/fetch/tries.h"
#include "helpers/fetch/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to the head's end; returns what follows. */
static size_t read_head(struct cl_head *head, const char *data, size_t size)
{
    size_t at = 0;
    int r = 0;

    while (r == 0 && at < size) {
        struct cl_error err = {0};
        const char *end = memchr(data + at, '\n', size - at);
        const size_t length = end == NULL ? size - at : (size_t)(end - data) - at + 1;

        r = cl_head_add(head, data + at, length, &err);
        CL_ASSERT(r == 0 || r == 1 || (r == -EFBIG && err.code == EFBIG));
        at += length;
    }
    CL_ASSERT(head->bytes <= CL_HEAD_MAX || r < 0);
    return at;
}

static void check_location(const char *location)
{
    CL_CLEANUP_URL struct cl_url base = {0};
    CL_CLEANUP_URL struct cl_url to = {0};
    struct cl_error err = {0};

    CL_ASSERT(cl_url_parse("https://registry.example/v2/", NULL, "it", &base, &err) == 0);
    if (cl_url_parse(location, &base, "it", &to, &err) < 0)
        return;
    CL_ASSERT(strncmp(to.text, to.tls ? "https://" : "http://", to.tls ? 8 : 7) == 0);
    CL_ASSERT(to.port != 0 && to.host[0] != '\0');
}

static void check_head(const struct cl_head *head)
{
    const struct cl_range asked = {100, 200};
    uint64_t wait_ns = 0;

    if (cl_range_judge(&asked, head->status, head->content_range) == CL_RANGE_FOLLOWS)
        CL_ASSERT(strncasecmp(head->content_range, "bytes 100-1", 11) == 0);
    if (head->retry_after != NULL && cl_retry_after(head->retry_after, 0, &wait_ns) == 0)
        CL_ASSERT(wait_ns <= 366ULL * 24 * 3600 * CL_NS_PER_S);
    CL_ASSERT(head->content_type == NULL || strlen(head->content_type) <= 255);
    if (head->location != NULL)
        check_location(head->location);
}

static void check_body(const char *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf said = CL_BUF_INIT(512);
    struct cl_token_answer answer = {0};
    const struct cl_bytes json = {data, size};
    struct cl_error err = {0};

    if (cl_token_answer_parse(&json, 1767225660, "auth.example", &answer, &err) == 0) {
        CL_ASSERT(strlen(answer.token) <= CL_TOKEN_MAX && answer.life_s >= 1);
        CL_ASSERT(strpbrk(answer.token, "\r\n ") == NULL);
    }
    cl_token_answer_done(&answer);
    cl_complaint_read(data, size, &said);
    CL_ASSERT(said.size <= 160);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct cl_head head;

    cl_head_init(&head);
    const size_t rest = read_head(&head, text, size);
    check_head(&head);
    cl_head_done(&head);
    check_body(text + rest, size - rest);
    return 0;
}
