/* By the grammar, with one token of foresight: after a comma, NAME "=" goes on with the
 * parameters of the challenge before it, and NAME alone begins the next challenge. */
#include "helpers/fetch/auth_header.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

struct reader {
    const char *next;
    struct cl_arena *arena;
};

struct span {
    const char *text;
    size_t size;
};

/* tchar, RFC 9110, 5.6.2 */
static size_t token_size(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789"
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* token68 without the "=" at its end, 11.2 */
static size_t token68_size(const char *text)
{
    return strspn(text, "-._~+/0123456789"
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static void skip_blanks(struct reader *reader)
{
    reader->next += strspn(reader->next, " \t");
}

static int take_token(struct reader *reader, struct span *ret)
{
    *ret = (struct span){reader->next, token_size(reader->next)};
    reader->next += ret->size;
    return ret->size > 0 ? 0 : -EBADMSG;
}

static int is_name(const struct span *span, const char *name)
{
    return span->size == strlen(name) && strncasecmp(span->text, name, span->size) == 0;
}

/* What may stand in a quoted string beside the quote and the backslash, 5.6.4. */
static int is_quotable(char c)
{
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

/* The closing quote of a quoted string, or NULL. */
static const char *find_quote(const char *p)
{
    for (; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        if (!is_quotable(*p)) /* the end of the header, too */
            return NULL;
    }
    return p;
}

/* After the opening quote. */
static int take_quoted(struct reader *reader, const char **ret)
{
    const char *end = find_quote(reader->next);
    size_t size = 0;

    if (end == NULL)
        return -EBADMSG;
    char *copy = cl_arena_alloc(reader->arena, (size_t)(end - reader->next) + 1);
    if (copy == NULL)
        return -ENOMEM;
    for (const char *p = reader->next; p < end; p++) {
        if (*p == '\\')
            p++;
        copy[size++] = *p;
    }
    reader->next = end + 1;
    *ret = copy; /* the arena zeroes: the NUL is there */
    return 0;
}

static int take_value(struct reader *reader, const char **ret)
{
    struct span token;

    if (*reader->next == '"') {
        reader->next++;
        return take_quoted(reader, ret);
    }
    if (take_token(reader, &token) < 0)
        return -EBADMSG;
    *ret = cl_arena_strndup(reader->arena, token.text, token.size);
    return *ret == NULL ? -ENOMEM : 0;
}

/* --- parameters ------------------------------------------------------------ */

/* The names that were seen, to find one that stands twice. */
struct names {
    struct span items[CL_MAX_AUTH_PARAMS];
    size_t count;
};

static int note_name(struct names *names, const struct span *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->items[i].size == name->size &&
            strncasecmp(names->items[i].text, name->text, name->size) == 0)
            return -EBADMSG;
    }
    if (names->count == CL_MAX_AUTH_PARAMS)
        return -E2BIG;
    names->items[names->count++] = *name;
    return 0;
}

static void keep_param(struct cl_challenge *challenge, const struct span *name, const char *value)
{
    if (is_name(name, "realm"))
        challenge->realm = value;
    else if (is_name(name, "service"))
        challenge->service = value;
    else if (is_name(name, "error"))
        challenge->error = value;
}

/* Whether NAME "=" VALUE comes next; a token68 such as "abc==" has no value there. */
static int param_follows(const char *text)
{
    const size_t size = token_size(text);

    if (size == 0)
        return 0;
    text += size;
    text += strspn(text, " \t");
    if (*text != '=')
        return 0;
    text++;
    text += strspn(text, " \t");
    return *text == '"' || token_size(text) > 0;
}

static int take_param(struct reader *reader, struct cl_challenge *challenge, struct names *names)
{
    struct span name;
    const char *value = NULL;

    if (take_token(reader, &name) < 0)
        return -EBADMSG;
    skip_blanks(reader);
    reader->next++; /* the "=", which param_follows saw */
    skip_blanks(reader);
    int r = take_value(reader, &value);
    if (r == 0)
        r = note_name(names, &name);
    if (r == 0)
        keep_param(challenge, &name, value);
    return r;
}

/* Over commas with nothing between them: empty elements, 5.6.1. 1 when there was a comma. */
static int skip_commas(struct reader *reader)
{
    int found = 0;

    skip_blanks(reader);
    while (*reader->next == ',') {
        found = 1;
        reader->next++;
        skip_blanks(reader);
    }
    return found;
}

static int take_params(struct reader *reader, struct cl_challenge *challenge)
{
    struct names names = {.count = 0};

    while (param_follows(reader->next)) {
        int r = take_param(reader, challenge, &names);

        if (r < 0)
            return r;
        const int comma = skip_commas(reader);
        if (*reader->next != '\0' && !comma)
            return -EBADMSG;
    }
    return 0;
}

/* --- challenges ------------------------------------------------------------ */

static int end_of_challenge(struct reader *reader)
{
    return skip_commas(reader) || *reader->next == '\0' ? 0 : -EBADMSG;
}

static int take_challenge(struct reader *reader, struct cl_challenge *ret)
{
    struct cl_challenge challenge = {.scheme = CL_SCHEME_OTHER};
    struct span scheme;

    if (take_token(reader, &scheme) < 0)
        return -EBADMSG;
    challenge.name = cl_arena_strndup(reader->arena, scheme.text, scheme.size);
    if (challenge.name == NULL)
        return -ENOMEM;
    if (is_name(&scheme, "Bearer"))
        challenge.scheme = CL_SCHEME_BEARER;
    else if (is_name(&scheme, "Basic"))
        challenge.scheme = CL_SCHEME_BASIC;
    const int blank = *reader->next == ' ' || *reader->next == '\t';
    skip_blanks(reader);
    int r = 0;
    if (blank && param_follows(reader->next)) {
        r = take_params(reader, &challenge);
    } else {
        if (blank) {
            reader->next += token68_size(reader->next);
            reader->next += strspn(reader->next, "=");
        }
        r = end_of_challenge(reader);
    }
    if (r == 0)
        *ret = challenge;
    return r;
}

int cl_auth_header_parse(const char *text, struct cl_arena *arena, struct cl_challenges *list)
{
    struct reader reader = {text, arena};
    const size_t before = list->count;
    int r = 0;

    if (strnlen(text, CL_AUTH_HEADER_MAX + 1) > CL_AUTH_HEADER_MAX)
        return -E2BIG;
    (void)skip_commas(&reader);
    while (r == 0 && *reader.next != '\0') {
        if (list->count == CL_MAX_CHALLENGES)
            r = -E2BIG;
        else
            r = take_challenge(&reader, &list->items[list->count]);
        if (r == 0)
            list->count++;
    }
    if (r < 0)
        list->count = before;
    return r;
}

const struct cl_challenge *cl_challenges_choose(const struct cl_challenges *list)
{
    const struct cl_challenge *basic = NULL;

    for (size_t i = 0; i < list->count; i++) {
        const struct cl_challenge *item = &list->items[i];

        if (item->scheme == CL_SCHEME_BEARER && item->realm != NULL)
            return item;
        if (item->scheme == CL_SCHEME_BASIC && basic == NULL)
            basic = item;
    }
    return basic;
}
