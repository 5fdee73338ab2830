#include "helpers/fetch/json_answers.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "helpers/common/json_load.h"

enum { DEFAULT_LIFE_S = 60, LONGEST_LIFE_S = 24 * 3600, SHOWN = 160 };

void cl_token_answer_done(struct cl_token_answer *answer)
{
    if (answer->token != NULL)
        explicit_bzero(answer->token, strlen(answer->token));
    free(answer->token);
    answer->token = NULL;
}

/* RFC 6750's b64token is less; what can't end a header's line is taken. */
static int is_usable(const char *token)
{
    size_t size = 0;

    for (; token[size] != '\0'; size++) {
        if (token[size] <= ' ' || token[size] >= 0x7f)
            return 0;
    }
    return size > 0 && size <= CL_TOKEN_MAX;
}

static const char *find_token(const json_t *object)
{
    static const char *const names[] = {"token", "access_token"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        const json_t *value = json_object_get(object, names[i]);

        if (json_is_string(value) &&
            json_string_length(value) == strlen(json_string_value(value)) &&
            json_string_length(value) > 0)
            return json_string_value(value);
    }
    return NULL;
}

/* RFC 3339 in UTC, as token servers write it; seconds since 1970, or -1. */
static int64_t time_of(const char *text)
{
    struct tm tm = {0};
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (rest == NULL)
        return -1;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    return strcmp(rest, "Z") == 0 || strcmp(rest, "+00:00") == 0 ? timegm(&tm) : -1;
}

/* How old the token is already. Its clock may be wrong: what would come from the future, or
 * be dead on arrival, is taken for issued now. */
static uint64_t age_of(const json_t *object, uint64_t wall_s, uint64_t life_s)
{
    const int64_t issued = time_of(json_string_value(json_object_get(object, "issued_at")));

    if (issued < 0 || (uint64_t)issued > wall_s || wall_s - (uint64_t)issued >= life_s)
        return 0;
    return wall_s - (uint64_t)issued;
}

static uint64_t life_of(const json_t *object, uint64_t wall_s)
{
    const json_t *value = json_object_get(object, "expires_in");
    uint64_t life = DEFAULT_LIFE_S;

    if (json_is_integer(value) && json_integer_value(value) > 0)
        life = cl_min_u64((uint64_t)json_integer_value(value), LONGEST_LIFE_S);
    return life - age_of(object, wall_s, life);
}

int cl_token_answer_parse(const struct cl_bytes *json, uint64_t wall_s, const char *where,
                          struct cl_token_answer *ret, struct cl_error *err)
{
    CL_CLEANUP_JSON json_t *object = NULL;
    const struct cl_document document = {where, json->data, json->size};
    struct cl_error why = {0};
    int r = cl_json_load(&document, CL_JSON_SECRET, &object, &why);

    if (r == -ENOMEM)
        return cl_fail_memory(err);
    if (r < 0)
        return cl_refuse(err, EBADMSG, "what should hold a token is no JSON: %s", why.msg);
    const char *token = find_token(object);
    if (token == NULL)
        return cl_refuse(err, EBADMSG, "%s: its answer holds no token", where);
    if (!is_usable(token))
        return cl_refuse(err, EBADMSG,
                         "%s: its token is longer than %d bytes or has bytes that can't stand "
                         "in a header",
                         where, CL_TOKEN_MAX);
    char *copy = strdup(token);
    if (copy == NULL)
        return cl_fail_memory(err);
    *ret = (struct cl_token_answer){copy, life_of(object, wall_s)};
    return 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

void cl_complaint_read(const char *text, size_t size, struct cl_buf *ret)
{
    CL_CLEANUP_JSON json_t *object = NULL;
    const struct cl_document document = {"complaint", text, size};
    struct cl_error ignored = {0};

    if (cl_json_load(&document, CL_JSON_SECRET, &object, &ignored) < 0)
        return;
    const json_t *first = json_array_get(json_object_get(object, "errors"), 0);
    const char *code = text_of(first, "code");
    const char *message = text_of(first, "message");
    if (message[0] == '\0')
        message = text_of(object, "details"); /* of token servers: Docker Hub's */
    if (code[0] != '\0' && message[0] != '\0')
        (void)cl_buf_printf(ret, "%.40s: %.*s", code, SHOWN - 42, message); /* a hint, or none */
    else
        (void)cl_buf_printf(ret, "%.*s", SHOWN, code[0] != '\0' ? code : message);
}
