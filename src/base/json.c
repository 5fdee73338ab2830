#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_DEPTH = 60 };

static void put(struct cl_json *json, const char *text, size_t size)
{
    if (json->error == 0)
        json->error = cl_buf_add(json->buf, text, size);
}

static void put_str(struct cl_json *json, const char *text)
{
    put(json, text, strlen(text));
}

/* "\\u009b" for a sequence of one to three bytes. */
static void put_code(struct cl_json *json, const unsigned char *text, size_t size)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f};
    static const char hex[] = "0123456789abcdef";
    unsigned int code = text[0] & masks[size];

    for (size_t i = 1; i < size; i++)
        code = code << 6 | (text[i] & 0x3f);
    const char escaped[6] = {
        '\\', 'u', hex[code >> 12], hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15]};
    put(json, escaped, sizeof(escaped));
}

/* What is no UTF-8 is not JSON; what steers a terminal would do so when people look at it. */
static void put_escaped(struct cl_json *json, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    put(json, "\"", 1);
    while (*p != '\0') {
        size_t size = cl_utf8_sequence(p);

        if (size == 0) {
            put_str(json, "\\ufffd");
            p++;
        } else if (*p == '"' || *p == '\\') {
            char pair[2] = {'\\', (char)*p++};
            put(json, pair, sizeof(pair));
        } else {
            if (cl_utf8_steers(p, size))
                put_code(json, p, size);
            else
                put(json, (const char *)p, size);
            p += size;
        }
    }
    put(json, "\"", 1);
}

static void indent(struct cl_json *json)
{
    if (!json->pretty)
        return;
    put(json, "\n", 1);
    for (int i = 0; i < json->depth; i++)
        put(json, "  ", 2);
}

/* What stands before every value: comma, line break, key. */
static void lead(struct cl_json *json, const char *key)
{
    uint64_t bit = 1ULL << json->depth;

    if (json->filled & bit)
        put(json, ",", 1);
    json->filled |= bit;
    if (json->depth > 0)
        indent(json);
    if (key != NULL) {
        put_escaped(json, key);
        put(json, json->pretty ? ": " : ":", json->pretty ? 2 : 1);
    }
}

static void open_bracket(struct cl_json *json, const char *key, const char *bracket)
{
    lead(json, key);
    put(json, bracket, 1);
    CL_ASSERT(json->depth < MAX_DEPTH);
    json->depth++;
    json->filled &= ~(1ULL << json->depth);
}

void cl_json_begin(struct cl_json *json, struct cl_buf *buf, int pretty)
{
    *json = (struct cl_json){.buf = buf, .pretty = pretty};
}

int cl_json_end(struct cl_json *json)
{
    CL_ASSERT(json->depth == 0);
    put(json, "\n", 1);
    return json->error;
}

void cl_json_object(struct cl_json *json, const char *key)
{
    open_bracket(json, key, "{");
}

void cl_json_array(struct cl_json *json, const char *key)
{
    open_bracket(json, key, "[");
}

void cl_json_close(struct cl_json *json, char bracket)
{
    int filled = (json->filled & (1ULL << json->depth)) != 0;

    CL_ASSERT(json->depth > 0);
    json->depth--;
    if (filled)
        indent(json);
    put(json, &bracket, 1);
}

void cl_json_string(struct cl_json *json, const char *key, const char *text)
{
    if (text == NULL) {
        cl_json_null(json, key);
        return;
    }
    lead(json, key);
    put_escaped(json, text);
}

void cl_json_strings(struct cl_json *json, const char *key, const char *const *items, size_t count)
{
    cl_json_array(json, key);
    for (size_t i = 0; i < count; i++)
        cl_json_string(json, NULL, items[i]);
    cl_json_close(json, ']');
}

void cl_json_u64(struct cl_json *json, const char *key, uint64_t value)
{
    lead(json, key);
    if (json->error == 0)
        json->error = cl_buf_printf(json->buf, "%" PRIu64, value);
}

void cl_json_i64(struct cl_json *json, const char *key, int64_t value)
{
    lead(json, key);
    if (json->error == 0)
        json->error = cl_buf_printf(json->buf, "%" PRId64, value);
}

void cl_json_decimal(struct cl_json *json, const char *key, uint64_t whole,
                     unsigned int thousandths)
{
    lead(json, key);
    if (json->error == 0)
        json->error = cl_buf_printf(json->buf, "%" PRIu64 ".%03u", whole, thousandths);
}

void cl_json_bool(struct cl_json *json, const char *key, int value)
{
    lead(json, key);
    put_str(json, value ? "true" : "false");
}

void cl_json_null(struct cl_json *json, const char *key)
{
    lead(json, key);
    put_str(json, "null");
}
