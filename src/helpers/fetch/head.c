#include "helpers/fetch/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"

enum { ARENA_CAP = 1 << 20, SHORT_MAX = 255, URL_MAX = 8192 };

void cl_head_init(struct cl_head *ret)
{
    *ret = (struct cl_head){.arena = CL_ARENA_INIT(ARENA_CAP)};
}

void cl_head_done(struct cl_head *head)
{
    cl_arena_done(&head->arena);
}

/* A new answer's status line; the memory of an earlier one stays until the end. */
static void begin_answer(struct cl_head *head, const char *line, size_t size)
{
    const char *blank = memchr(line, ' ', size);
    unsigned int status = 0;

    for (const char *p = blank; p != NULL && ++p < line + size && *p >= '0' && *p <= '9';)
        status = status < 1000 ? status * 10 + (unsigned int)(*p - '0') : status;
    *head = (struct cl_head){
        .arena = head->arena, .bytes = head->bytes, .lines = head->lines, .status = status};
}

static int keep_once(struct cl_head *head, const char **slot, const char *value, size_t size,
                     size_t most)
{
    if (*slot != NULL || size > most)
        return 0;
    *slot = cl_arena_strndup(&head->arena, value, size);
    return *slot == NULL ? -ENOMEM : 0;
}

static int keep_challenge(struct cl_head *head, const char *value, size_t size)
{
    const char *text = cl_arena_strndup(&head->arena, value, size);
    int r = text == NULL ? -ENOMEM : cl_auth_header_parse(text, &head->arena, &head->challenges);

    if (r < 0 && r != -ENOMEM)
        head->unreadable_challenge = 1;
    return r == -ENOMEM ? r : 0;
}

static int is_called(const char *line, size_t size, const char *name)
{
    return size == strlen(name) && strncasecmp(line, name, size) == 0;
}

/* "application/json; charset=utf-8" has a type of 16 bytes. */
static size_t type_size(const char *value, size_t size)
{
    const char *end = memchr(value, ';', size);

    if (end != NULL)
        size = (size_t)(end - value);
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    return size;
}

static int keep(struct cl_head *head, const char *line, size_t name_size, const char *value,
                size_t size)
{
    const struct {
        const char *name;
        const char **slot;
        size_t most;
    } rows[] = {
        {"Content-Type", &head->content_type, SHORT_MAX},
        {"Content-Range", &head->content_range, SHORT_MAX},
        {"Content-Length", &head->content_length, SHORT_MAX},
        {"Location", &head->location, URL_MAX},
        {"Retry-After", &head->retry_after, SHORT_MAX},
    };

    if (is_called(line, name_size, "WWW-Authenticate"))
        return keep_challenge(head, value, size);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (is_called(line, name_size, rows[i].name))
            return keep_once(head, rows[i].slot, value, i == 0 ? type_size(value, size) : size,
                             rows[i].most);
    }
    return 0;
}

int cl_head_add(struct cl_head *head, const char *line, size_t size, struct cl_error *err)
{
    head->bytes += size;
    head->lines++;
    if (head->bytes > CL_HEAD_MAX || head->lines > CL_HEAD_MAX_LINES)
        return cl_refuse(err, EFBIG, "its headers don't end: more than %d bytes or %d lines",
                         CL_HEAD_MAX, CL_HEAD_MAX_LINES);
    if (!head->complete && size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        begin_answer(head, line, size);
        return 0;
    }
    if (head->complete)
        return 0;
    if (size <= 2 && head->status >= 200) {
        head->complete = 1;
        return 1;
    }
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || memchr(line, '\0', size) != NULL)
        return 0;
    const char *value = colon + 1;
    const char *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (keep(head, line, (size_t)(colon - line), value, (size_t)(end - value)) < 0)
        return cl_fail_memory(err);
    return 0;
}

int64_t cl_head_length(const struct cl_head *head)
{
    uint64_t length;

    if (head->content_length == NULL || cl_parse_u64(head->content_length, &length) < 0 ||
        length > INT64_MAX)
        return -1;
    return (int64_t)length;
}
