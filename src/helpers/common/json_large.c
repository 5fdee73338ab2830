#include "helpers/common/json_large.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"

#define MARK "\"\\u0000"

enum {
    MARK_SIZE = sizeof(MARK) - 1,
    LEAST_DIGITS = 19, /* of 2^63 */
    MOST_DIGITS = 20,
};

/* A walk over the text's strings and numbers, which copies it where OUT is there. */
struct walk {
    const char *next;
    const char *end;
    struct cl_buf *out;
    size_t larges;
    int has_nul;
};

static int copy(struct walk *walk, const char *start)
{
    return walk->out == NULL ? 0 : cl_buf_add(walk->out, start, (size_t)(walk->next - start));
}

/* Ends behind the string's last quote, or at the end. */
static int pass_string(struct walk *walk)
{
    const char *start = walk->next++;

    while (walk->next < walk->end && *walk->next != '"') {
        if (*walk->next == '\\' && walk->end - walk->next >= MARK_SIZE - 1 &&
            memcmp(walk->next, &MARK[1], MARK_SIZE - 1) == 0)
            walk->has_nul = 1;
        walk->next += *walk->next == '\\' && walk->next + 1 < walk->end ? 2 : 1;
    }
    if (walk->next < walk->end)
        walk->next++;
    return copy(walk, start);
}

static int is_large(const char *digits, size_t size)
{
    char text[MOST_DIGITS + 1];
    uint64_t value;

    if (size < LEAST_DIGITS || size > MOST_DIGITS || digits[0] == '0')
        return 0;
    memcpy(text, digits, size);
    text[size] = '\0';
    return strspn(text, "0123456789") == size && cl_parse_u64(text, &value) == 0 &&
           value > INT64_MAX;
}

static int pass_number(struct walk *walk)
{
    static const char of_numbers[] = "+-.0123456789Ee";
    const char *start = walk->next;

    while (walk->next < walk->end && *walk->next != '\0' && strchr(of_numbers, *walk->next))
        walk->next++;
    if (!is_large(start, (size_t)(walk->next - start)))
        return copy(walk, start);
    walk->larges++;
    if (walk->out == NULL)
        return 0;
    int r = cl_buf_add(walk->out, MARK, MARK_SIZE);
    if (r == 0)
        r = copy(walk, start);
    return r < 0 ? r : cl_buf_add(walk->out, "\"", 1);
}

static int pass_rest(struct walk *walk)
{
    const char *start = walk->next;

    while (walk->next < walk->end && *walk->next != '"' && *walk->next != '-' &&
           (*walk->next < '0' || *walk->next > '9'))
        walk->next++;
    return copy(walk, start);
}

static int pass_all(struct walk *walk)
{
    int r = 0;

    while (r == 0 && walk->next < walk->end) {
        if (*walk->next == '"')
            r = pass_string(walk);
        else if (*walk->next == '-' || (*walk->next >= '0' && *walk->next <= '9'))
            r = pass_number(walk);
        else
            r = pass_rest(walk);
    }
    return r;
}

int cl_json_large_mark(const struct cl_document *document, struct cl_buf *ret)
{
    struct walk look = {.next = document->text, .end = document->text + document->size};
    struct walk mark = look;

    mark.out = ret;
    (void)pass_all(&look); /* only adding to a buffer can fail */
    if (look.larges == 0 || look.has_nul)
        return 0;
    ret->cap = document->size + look.larges * (MARK_SIZE + 1);
    int r = pass_all(&mark);
    return r < 0 ? r : 1;
}

void cl_json_large_unmark(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        if (strncmp(from, MARK, MARK_SIZE) != 0) {
            *to++ = *from++;
            continue;
        }
        for (from += MARK_SIZE; *from != '"'; from++)
            *to++ = *from;
        from++;
    }
    *to = '\0';
}
