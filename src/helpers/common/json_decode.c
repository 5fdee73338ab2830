#include "helpers/common/json_decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/guess.h"

enum { PATH_SIZE = 160 };

/* Where we are: a chain on the stack, spelled out only for a message. */
struct place {
    const struct place *outer;
    const char *key; /* NULL: an index */
    size_t index;
};

struct decoder {
    struct cl_arena *arena;
    struct cl_error *err;
};

static void spell(const struct place *place, char path[PATH_SIZE])
{
    if (place->outer != NULL)
        spell(place->outer, path);
    size_t used = strlen(path);
    if (place->key == NULL)
        (void)snprintf(path + used, PATH_SIZE - used, "[%zu]", place->index);
    else
        (void)snprintf(path + used, PATH_SIZE - used, "%s%s", used == 0 ? "" : ".", place->key);
}

/* Puts the path before the message in ERR. */
static int at_place(const struct decoder *decoder, const struct place *place)
{
    char path[PATH_SIZE] = "";

    if (place == NULL)
        return -decoder->err->code;
    spell(place, path);
    return cl_prefix(decoder->err, "%s", path);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
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

static int refuse_type(const struct decoder *decoder, const struct place *place, const char *wanted,
                       const json_t *value)
{
    if (json_is_string(value))
        (void)cl_refuse(decoder->err, EINVAL, "expected %s, got string \"%.80s\"", wanted,
                        json_string_value(value));
    else
        (void)cl_refuse(decoder->err, EINVAL, "expected %s, got %s", wanted, type_name(value));
    return at_place(decoder, place);
}

static int decode_number(const struct decoder *decoder, const struct place *place, json_t *value,
                         uint64_t max, struct cl_decode_number *ret)
{
    if (!json_is_integer(value))
        return refuse_type(decoder, place, "integer", value);
    json_int_t number = json_integer_value(value);
    if (number < 0 || (uint64_t)number > max) {
        (void)cl_refuse(decoder->err, ERANGE, "expected 0 to %" PRIu64 ", got %lld", max,
                        (long long)number);
        return at_place(decoder, place);
    }
    *ret = (struct cl_decode_number){1, (uint64_t)number};
    return 0;
}

static int decode_texts(const struct decoder *decoder, const struct place *place, json_t *value,
                        struct cl_strlist *ret)
{
    if (!json_is_array(value))
        return refuse_type(decoder, place, "array of strings", value);
    size_t count = json_array_size(value);
    const char **items = cl_arena_array(decoder->arena, count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(value, i);
        struct place here = {place, NULL, i};

        if (!json_is_string(item))
            return refuse_type(decoder, &here, "string", item);
        items[i] = json_string_value(item);
    }
    *ret = (struct cl_strlist){items, count};
    return 0;
}

static int decode_object(const struct decoder *decoder, const struct place *place,
                         const struct cl_decode_shape *shape, json_t *value, void *ret);

static int decode_pointer(const struct decoder *decoder, const struct place *place,
                          const struct cl_decode_shape *shape, json_t *value, void **ret)
{
    void *object = cl_arena_alloc(decoder->arena, shape->size);

    if (object == NULL)
        return cl_fail_memory(decoder->err);
    int r = decode_object(decoder, place, shape, value, object);
    if (r == 0)
        *ret = object;
    return r;
}

static int decode_list(const struct decoder *decoder, const struct place *place,
                       const struct cl_decode_shape *shape, json_t *value,
                       struct cl_decode_list *ret)
{
    if (!json_is_array(value))
        return refuse_type(decoder, place, "array", value);
    size_t count = json_array_size(value);
    char *items = cl_arena_array(decoder->arena, count, shape->size);
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    for (size_t i = 0; i < count; i++) {
        struct place here = {place, NULL, i};
        int r =
            decode_object(decoder, &here, shape, json_array_get(value, i), items + i * shape->size);

        if (r < 0)
            return r;
    }
    *ret = (struct cl_decode_list){items, count};
    return 0;
}

static int decode_field(const struct decoder *decoder, const struct place *place,
                        const struct cl_decode_field *field, json_t *value, void *object)
{
    void *member = (char *)object + field->offset;

    if (json_is_null(value))
        return 0;
    switch (field->type) {
    case CL_DECODE_TEXT:
        if (!json_is_string(value))
            return refuse_type(decoder, place, "string", value);
        *(const char **)member = json_string_value(value);
        return 0;
    case CL_DECODE_NUMBER:
        return decode_number(decoder, place, value, field->max, member);
    case CL_DECODE_TEXTS:
        return decode_texts(decoder, place, value, member);
    case CL_DECODE_OBJECT:
        return decode_pointer(decoder, place, field->shape, value, member);
    case CL_DECODE_LIST:
        return decode_list(decoder, place, field->shape, value, member);
    case CL_DECODE_IGNORED:
        return 0;
    }
    CL_ASSERT(0);
    return -EINVAL;
}

static const struct cl_decode_field *find_field(const struct cl_decode_shape *shape,
                                                const char *name)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (strcmp(shape->fields[i].name, name) == 0)
            return &shape->fields[i];
    }
    return NULL;
}

static int refuse_name(const struct decoder *decoder, const struct place *place,
                       const struct cl_decode_shape *shape)
{
    struct cl_guess guess = {0};

    for (size_t i = 0; i < shape->count; i++)
        cl_guess_try(&guess, place->key, shape->fields[i].name);
    if (guess.best != NULL)
        (void)cl_refuse(decoder->err, EINVAL, "unknown key (did you mean %s?)", guess.best);
    else
        (void)cl_refuse(decoder->err, EINVAL, "unknown key");
    return at_place(decoder, place);
}

static int decode_object(const struct decoder *decoder, const struct place *place,
                         const struct cl_decode_shape *shape, json_t *value, void *ret)
{
    const char *name;
    json_t *member;

    if (!json_is_object(value))
        return refuse_type(decoder, place, "object", value);
    json_object_foreach(value, name, member)
    {
        const struct cl_decode_field *field = find_field(shape, name);
        struct place here = {place, name, 0};
        int r = field == NULL ? refuse_name(decoder, &here, shape)
                              : decode_field(decoder, &here, field, member, ret);

        if (r < 0)
            return r;
    }
    return 0;
}

int cl_decode(const struct cl_decode_shape *shape, json_t *value, struct cl_arena *arena, void *ret,
              struct cl_error *err)
{
    struct decoder decoder = {arena, err};

    return decode_object(&decoder, NULL, shape, value, ret);
}
