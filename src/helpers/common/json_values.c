#include "helpers/common/json_values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/guess.h"
#include "helpers/common/json_load.h"

enum { PATH_SIZE = 160 };

/* --- where we are ------------------------------------------------------------------------ */

static void spell(const struct cl_json_place *place, char path[PATH_SIZE])
{
    if (place->outer != NULL)
        spell(place->outer, path);
    size_t used = strlen(path);
    if (place->key == NULL)
        (void)snprintf(path + used, PATH_SIZE - used, "[%zu]", place->index);
    else
        (void)snprintf(path + used, PATH_SIZE - used, "%s%s", used == 0 ? "" : ".", place->key);
}

int cl_json_at(const struct cl_decoder *decoder, const struct cl_json_place *place)
{
    char path[PATH_SIZE] = "";

    if (place == NULL)
        return -decoder->err->code;
    spell(place, path);
    return cl_prefix(decoder->err, "%s", path);
}

void cl_json_warn(const struct cl_decoder *decoder, const struct cl_json_place *place,
                  const char *why)
{
    char path[PATH_SIZE] = "";

    if (decoder->warnings == NULL)
        return;
    spell(place, path);
    cl_warnings_add(decoder->warnings, "%s: %s", path, why);
}

/* --- what isn't wanted --------------------------------------------------------------------- */

static int is_text(const json_t *value)
{
    return json_is_string(value) && !cl_json_large(value, NULL);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return is_text(value) ? "string" : "integer";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

int cl_json_refuse_type(const struct cl_decoder *decoder, const struct cl_json_place *place,
                        const char *wanted, const json_t *value)
{
    if (is_text(value) && !decoder->secret)
        (void)cl_refuse(decoder->err, EINVAL, "expected %s, got string \"%.80s\"", wanted,
                        json_string_value(value));
    else
        (void)cl_refuse(decoder->err, EINVAL, "expected %s, got %s", wanted, type_name(value));
    return cl_json_at(decoder, place);
}

int cl_json_refuse_count(const struct cl_decoder *decoder, const struct cl_json_place *place,
                         uint64_t max, const char *what)
{
    (void)cl_refuse(decoder->err, E2BIG, "more than %" PRIu64 " %s", max, what);
    return cl_json_at(decoder, place);
}

/* --- texts ------------------------------------------------------------------------------- */

int cl_json_text(const struct cl_decoder *decoder, const struct cl_json_place *place, json_t *value,
                 uint64_t max, const char **ret)
{
    if (!is_text(value))
        return cl_json_refuse_type(decoder, place, "string", value);
    if (json_string_length(value) > max)
        return cl_json_refuse_count(decoder, place, max, "bytes");
    const char *copy =
        cl_arena_strndup(decoder->arena, json_string_value(value), json_string_length(value));
    if (copy == NULL)
        return cl_fail_memory(decoder->err);
    *ret = copy;
    return 0;
}

static int take_texts(const struct cl_decoder *decoder, const struct cl_json_place *place,
                      json_t *value, uint64_t max, struct cl_strlist *ret)
{
    if (!json_is_array(value))
        return cl_json_refuse_type(decoder, place, "array of strings", value);
    size_t count = json_array_size(value);
    if (count > max)
        return cl_json_refuse_count(decoder, place, max, "entries");
    const char **items = cl_arena_array(decoder->arena, count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    for (size_t i = 0; i < count; i++) {
        struct cl_json_place here = {place, NULL, i};
        int r = cl_json_text(decoder, &here, json_array_get(value, i), UINT64_MAX, &items[i]);

        if (r < 0)
            return r;
    }
    *ret = (struct cl_strlist){items, count};
    return 0;
}

static int take_pairs(const struct cl_decoder *decoder, const struct cl_json_place *place,
                      json_t *value, uint64_t max, struct cl_decode_list *ret)
{
    const char *key;
    json_t *member;
    size_t count = 0;

    if (!json_is_object(value))
        return cl_json_refuse_type(decoder, place, "object", value);
    if (json_object_size(value) > max)
        return cl_json_refuse_count(decoder, place, max, "entries");
    struct cl_decode_pair *pairs =
        cl_arena_array(decoder->arena, json_object_size(value), sizeof(*pairs));
    if (pairs == NULL)
        return cl_fail_memory(decoder->err);
    json_object_foreach(value, key, member)
    {
        struct cl_json_place here = {place, key, 0};
        struct cl_decode_pair *pair = &pairs[count++];
        int r = 0;

        pair->value = "";
        pair->key = cl_arena_strdup(decoder->arena, key);
        if (pair->key == NULL)
            return cl_fail_memory(decoder->err);
        if (!json_is_null(member))
            r = cl_json_text(decoder, &here, member, UINT64_MAX, &pair->value);
        if (r < 0)
            return r;
    }
    *ret = (struct cl_decode_list){pairs, count};
    return 0;
}

static int take_raw(const struct cl_decoder *decoder, const struct cl_json_place *place,
                    json_t *value, const char **ret)
{
    if (!json_is_object(value))
        return cl_json_refuse_type(decoder, place, "object", value);
    *ret = cl_json_compact(value, decoder->arena);
    return *ret == NULL ? cl_fail_memory(decoder->err) : 0;
}

int cl_decode_find_word(const struct cl_decode_words *words, const char *text, uint64_t *ret,
                        struct cl_error *err)
{
    struct cl_guess guess = {0};

    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->items[i].name, text) == 0) {
            *ret = words->items[i].value;
            return 0;
        }
        cl_guess_try(&guess, text, words->items[i].name);
    }
    if (guess.best != NULL)
        return cl_refuse(err, EINVAL, "unknown %s \"%.60s\" (did you mean %s?)", words->what, text,
                         guess.best);
    return cl_refuse(err, EINVAL, "unknown %s \"%.60s\"", words->what, text);
}

static int take_word(const struct cl_decoder *decoder, const struct cl_json_place *place,
                     const struct cl_decode_words *words, json_t *value,
                     struct cl_decode_number *ret)
{
    if (!is_text(value))
        return cl_json_refuse_type(decoder, place, "string", value);
    int r = cl_decode_find_word(words, json_string_value(value), &ret->value, decoder->err);
    if (r < 0)
        return cl_json_at(decoder, place);
    ret->present = 1;
    return 0;
}

/* --- numbers ----------------------------------------------------------------------------- */

static int take_number(const struct cl_decoder *decoder, const struct cl_json_place *place,
                       const struct cl_decode_field *field, json_t *value, uint64_t *ret)
{
    uint64_t number = 0;

    if (!json_is_integer(value) && !cl_json_large(value, &number))
        return cl_json_refuse_type(decoder, place, "integer", value);
    if (json_is_integer(value) && json_integer_value(value) < 0) {
        (void)cl_refuse(decoder->err, ERANGE, "expected %" PRId64 " to %" PRIu64 ", got %lld",
                        field->min, field->max, (long long)json_integer_value(value));
        return cl_json_at(decoder, place);
    }
    if (json_is_integer(value))
        number = (uint64_t)json_integer_value(value);
    if (number < (uint64_t)field->min || number > field->max) {
        (void)cl_refuse(decoder->err, ERANGE, "expected %" PRId64 " to %" PRIu64 ", got %" PRIu64,
                        field->min, field->max, number);
        return cl_json_at(decoder, place);
    }
    *ret = number;
    return 0;
}

static int take_signed(const struct cl_decoder *decoder, const struct cl_json_place *place,
                       const struct cl_decode_field *field, json_t *value,
                       struct cl_decode_signed *ret)
{
    uint64_t large;

    if (cl_json_large(value, &large)) {
        (void)cl_refuse(decoder->err, ERANGE, "expected %" PRId64 " to %" PRIu64 ", got %" PRIu64,
                        field->min, field->max, large);
        return cl_json_at(decoder, place);
    }
    if (!json_is_integer(value))
        return cl_json_refuse_type(decoder, place, "integer", value);
    json_int_t number = json_integer_value(value);
    if (number < field->min || (number > 0 && (uint64_t)number > field->max)) {
        (void)cl_refuse(decoder->err, ERANGE, "expected %" PRId64 " to %" PRIu64 ", got %lld",
                        field->min, field->max, (long long)number);
        return cl_json_at(decoder, place);
    }
    *ret = (struct cl_decode_signed){1, number};
    return 0;
}

static int take_numbers(const struct cl_decoder *decoder, const struct cl_json_place *place,
                        const struct cl_decode_field *field, json_t *value,
                        struct cl_decode_numbers *ret)
{
    if (!json_is_array(value))
        return cl_json_refuse_type(decoder, place, "array of integers", value);
    size_t count = json_array_size(value);
    uint32_t *items = cl_arena_array(decoder->arena, count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    for (size_t i = 0; i < count; i++) {
        struct cl_json_place here = {place, NULL, i};
        uint64_t number = 0;
        int r = take_number(decoder, &here, field, json_array_get(value, i), &number);

        if (r < 0)
            return r;
        items[i] = (uint32_t)number;
    }
    *ret = (struct cl_decode_numbers){items, count};
    return 0;
}

static int take_bool(const struct cl_decoder *decoder, const struct cl_json_place *place,
                     json_t *value, struct cl_decode_number *ret)
{
    if (!json_is_boolean(value))
        return cl_json_refuse_type(decoder, place, "boolean", value);
    *ret = (struct cl_decode_number){1, json_is_true(value)};
    return 0;
}

int cl_json_value(const struct cl_decoder *decoder, const struct cl_json_place *place,
                  const struct cl_decode_field *field, json_t *value, void *member)
{
    struct cl_decode_number *number = member;
    int r;

    switch ((int)field->type) {
    case CL_DECODE_TEXT:
        return cl_json_text(decoder, place, value, field->max, member);
    case CL_DECODE_NUMBER:
        r = take_number(decoder, place, field, value, &number->value);
        number->present = r == 0;
        return r;
    case CL_DECODE_SIGNED:
        return take_signed(decoder, place, field, value, member);
    case CL_DECODE_BOOL:
        return take_bool(decoder, place, value, member);
    case CL_DECODE_WORD:
        return take_word(decoder, place, field->words, value, member);
    case CL_DECODE_TEXTS:
        return take_texts(decoder, place, value, field->max, member);
    case CL_DECODE_NUMBERS:
        return take_numbers(decoder, place, field, value, member);
    case CL_DECODE_PAIRS:
        return take_pairs(decoder, place, value, field->max, member);
    case CL_DECODE_RAW:
        return take_raw(decoder, place, value, member);
    case CL_DECODE_PRESENT:
        *(int *)member = 1;
        return 0;
    case CL_DECODE_FOREIGN:
        cl_json_warn(decoder, place, "is for another platform than Linux; passed over");
        return 0;
    default:
        CL_ASSERT(field->type == CL_DECODE_IGNORED);
        return 0;
    }
}
