#include "helpers/common/json_decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/guess.h"
#include "helpers/common/json_load.h"

enum { PATH_SIZE = 160 };

/* Where we are: a chain on the stack, spelled out only for a message. */
struct place {
    const struct place *outer;
    const char *key; /* NULL: an index */
    size_t index;
};

struct decoder {
    struct cl_arena *arena;
    int secret;
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
    if (json_is_string(value) && !decoder->secret)
        (void)cl_refuse(decoder->err, EINVAL, "expected %s, got string \"%.80s\"", wanted,
                        json_string_value(value));
    else
        (void)cl_refuse(decoder->err, EINVAL, "expected %s, got %s", wanted, type_name(value));
    return at_place(decoder, place);
}

static int refuse_count(const struct decoder *decoder, const struct place *place, uint64_t max,
                        const char *what)
{
    (void)cl_refuse(decoder->err, E2BIG, "more than %" PRIu64 " %s", max, what);
    return at_place(decoder, place);
}

static int copy_text(const struct decoder *decoder, const json_t *value, const char **ret)
{
    const char *copy =
        cl_arena_strndup(decoder->arena, json_string_value(value), json_string_length(value));

    if (copy == NULL)
        return cl_fail_memory(decoder->err);
    *ret = copy;
    return 0;
}

static int decode_text(const struct decoder *decoder, const struct place *place, json_t *value,
                       uint64_t max, const char **ret)
{
    if (!json_is_string(value))
        return refuse_type(decoder, place, "string", value);
    if (json_string_length(value) > max)
        return refuse_count(decoder, place, max, "bytes");
    return copy_text(decoder, value, ret);
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
                        uint64_t max, struct cl_strlist *ret)
{
    if (!json_is_array(value))
        return refuse_type(decoder, place, "array of strings", value);
    size_t count = json_array_size(value);
    if (count > max)
        return refuse_count(decoder, place, max, "entries");
    const char **items = cl_arena_array(decoder->arena, count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    for (size_t i = 0; i < count; i++) {
        struct place here = {place, NULL, i};
        int r = decode_text(decoder, &here, json_array_get(value, i), UINT64_MAX, &items[i]);

        if (r < 0)
            return r;
    }
    *ret = (struct cl_strlist){items, count};
    return 0;
}

static int decode_pairs(const struct decoder *decoder, const struct place *place, json_t *value,
                        uint64_t max, struct cl_decode_list *ret)
{
    const char *key;
    json_t *member;
    size_t count = 0;

    if (!json_is_object(value))
        return refuse_type(decoder, place, "object", value);
    if (json_object_size(value) > max)
        return refuse_count(decoder, place, max, "entries");
    struct cl_decode_pair *pairs =
        cl_arena_array(decoder->arena, json_object_size(value), sizeof(*pairs));
    if (pairs == NULL)
        return cl_fail_memory(decoder->err);
    json_object_foreach(value, key, member)
    {
        struct place here = {place, key, 0};
        struct cl_decode_pair *pair = &pairs[count++];
        int r = 0;

        pair->value = "";
        pair->key = cl_arena_strdup(decoder->arena, key);
        if (pair->key == NULL)
            return cl_fail_memory(decoder->err);
        if (!json_is_null(member))
            r = decode_text(decoder, &here, member, UINT64_MAX, &pair->value);
        if (r < 0)
            return r;
    }
    *ret = (struct cl_decode_list){pairs, count};
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
                       const struct cl_decode_field *field, json_t *value,
                       struct cl_decode_list *ret)
{
    const struct cl_decode_shape *shape = field->shape;

    if (!json_is_array(value))
        return refuse_type(decoder, place, "array", value);
    size_t count = json_array_size(value);
    if (count > field->max)
        return refuse_count(decoder, place, field->max, "entries");
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

static int decode_map(const struct decoder *decoder, const struct place *place,
                      const struct cl_decode_field *field, json_t *value,
                      struct cl_decode_list *ret)
{
    const struct cl_decode_shape *shape = field->shape;
    const char *name;
    json_t *member;
    size_t count = 0;

    if (!json_is_object(value))
        return refuse_type(decoder, place, "object", value);
    if (json_object_size(value) > field->max)
        return refuse_count(decoder, place, field->max, "entries");
    char *items = cl_arena_array(decoder->arena, json_object_size(value), shape->size);
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    json_object_foreach(value, name, member)
    {
        struct place here = {place, name, 0};
        char *item = items + count++ * shape->size;
        const char *key = cl_arena_strdup(decoder->arena, name);
        int r = key == NULL ? cl_fail_memory(decoder->err) : 0;

        if (r == 0 && !json_is_null(member))
            r = decode_object(decoder, &here, shape, member, item);
        if (r < 0)
            return r;
        memcpy(item, &key, sizeof(key));
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
        return decode_text(decoder, place, value, field->max, member);
    case CL_DECODE_NUMBER:
        return decode_number(decoder, place, value, field->max, member);
    case CL_DECODE_TEXTS:
        return decode_texts(decoder, place, value, field->max, member);
    case CL_DECODE_OBJECT:
        return decode_pointer(decoder, place, field->shape, value, member);
    case CL_DECODE_LIST:
        return decode_list(decoder, place, field, value, member);
    case CL_DECODE_MAP:
        return decode_map(decoder, place, field, value, member);
    case CL_DECODE_PAIRS:
        return decode_pairs(decoder, place, value, field->max, member);
    case CL_DECODE_PRESENT:
        *(int *)member = 1;
        return 0;
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

/* A name that no field has. */
static int pass_over(const struct decoder *decoder, const struct place *place,
                     const struct cl_decode_shape *shape)
{
    struct cl_guess guess = {0};

    for (size_t i = 0; i < shape->count; i++) {
        if (strcasecmp(place->key, shape->fields[i].name) == 0) {
            (void)cl_refuse(decoder->err, EINVAL, "unknown key; write it as %s",
                            shape->fields[i].name);
            return at_place(decoder, place);
        }
        cl_guess_try(&guess, place->key, shape->fields[i].name);
    }
    if ((shape->flags & CL_DECODE_OPEN) != 0)
        return 0;
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
        int r = field == NULL ? pass_over(decoder, &here, shape)
                              : decode_field(decoder, &here, field, member, ret);

        if (r < 0)
            return r;
    }
    return 0;
}

int cl_decode(const struct cl_decode_shape *shape, const struct cl_document *document,
              struct cl_arena *arena, void *ret, struct cl_error *err)
{
    const struct decoder decoder = {arena, (shape->flags & CL_DECODE_SECRET) != 0, err};
    CL_CLEANUP_JSON json_t *json = NULL;
    int r = cl_json_load(document, decoder.secret, &json, err);

    if (r < 0)
        return r;
    r = decode_object(&decoder, NULL, shape, json, ret);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

int cl_decode_array(const struct cl_decode_shape *shape, const struct cl_document *document,
                    struct cl_arena *arena, struct cl_decode_list *ret, struct cl_error *err)
{
    const struct decoder decoder = {arena, (shape->flags & CL_DECODE_SECRET) != 0, err};
    const struct cl_decode_field all = {.max = UINT64_MAX, .shape = shape};
    CL_CLEANUP_JSON json_t *json = NULL;
    int r = cl_json_load(document, decoder.secret, &json, err);

    if (r < 0)
        return r;
    r = decode_list(&decoder, NULL, &all, json, ret);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}
