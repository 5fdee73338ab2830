#include "helpers/fetch/range.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"

enum { NUMBER_SIZE = 20 }; /* 19 digits: 2^63 and less */

/* The digits that *TEXT begins with, which END has to follow. */
static int take_number(const char **text, char end, uint64_t *ret)
{
    char digits[NUMBER_SIZE];
    const size_t size = strspn(*text, "0123456789");

    if (size == 0 || size >= sizeof(digits) || (*text)[size] != end)
        return -1;
    memcpy(digits, *text, size);
    digits[size] = '\0';
    *text += size + (end == '\0' ? 0 : 1);
    return cl_parse_u64(digits, ret);
}

/* "bytes 100-199/200" */
static int is_ours(const struct cl_range *asked, const char *text)
{
    uint64_t first;
    uint64_t last;
    uint64_t size;

    if (strncasecmp(text, "bytes ", 6) != 0)
        return 0;
    text += 6;
    if (take_number(&text, '-', &first) < 0 || take_number(&text, '/', &last) < 0 ||
        take_number(&text, '\0', &size) < 0)
        return 0;
    return first == asked->from && last >= first && last < size && size == asked->size;
}

/* "bytes ASTERISK/200": the size of what has no such range. Not every server says it. */
static int says_our_size(const struct cl_range *asked, const char *text)
{
    uint64_t size;

    if (text == NULL)
        return 1;
    if (strncasecmp(text, "bytes */", 8) != 0)
        return 0;
    text += 8;
    return take_number(&text, '\0', &size) == 0 && size == asked->size;
}

enum cl_range_verdict cl_range_judge(const struct cl_range *asked, unsigned int status,
                                     const char *content_range)
{
    if (status == 200)
        return CL_RANGE_WHOLE;
    if (status == 206 && content_range != NULL && is_ours(asked, content_range))
        return CL_RANGE_FOLLOWS;
    if (status == 416 && asked->from == asked->size && says_our_size(asked, content_range))
        return CL_RANGE_NOTHING;
    return CL_RANGE_WRONG;
}
