#include "helpers/common/json_decode.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/guess.h"
#include "helpers/common/json_load.h"
#include "helpers/common/json_values.h"

static int decode_object(const struct cl_decoder *decoder, const struct cl_json_place *place,
                         const struct cl_decode_shape *shape, json_t *value, void *ret);

static int decode_pointer(const struct cl_decoder *decoder, const struct cl_json_place *place,
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

static int decode_list(const struct cl_decoder *decoder, const struct cl_json_place *place,
                       const struct cl_decode_field *field, json_t *value,
                       struct cl_decode_list *ret)
{
    const struct cl_decode_shape *shape = field->shape;

    if (!json_is_array(value))
        return cl_json_refuse_type(decoder, place, "array", value);
    size_t count = json_array_size(value);
    if (count > field->max)
        return cl_json_refuse_count(decoder, place, field->max, "entries");
    char *items = cl_arena_array(decoder->arena, count, shape->size);
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    for (size_t i = 0; i < count; i++) {
        struct cl_json_place here = {place, NULL, i};
        int r =
            decode_object(decoder, &here, shape, json_array_get(value, i), items + i * shape->size);

        if (r < 0)
            return r;
    }
    *ret = (struct cl_decode_list){items, count};
    return 0;
}

static int decode_map(const struct cl_decoder *decoder, const struct cl_json_place *place,
                      const struct cl_decode_field *field, json_t *value,
                      struct cl_decode_list *ret)
{
    const struct cl_decode_shape *shape = field->shape;
    const char *name;
    json_t *member;
    size_t count = 0;

    if (!json_is_object(value))
        return cl_json_refuse_type(decoder, place, "object", value);
    if (json_object_size(value) > field->max)
        return cl_json_refuse_count(decoder, place, field->max, "entries");
    char *items = cl_arena_array(decoder->arena, json_object_size(value), shape->size);
    if (items == NULL)
        return cl_fail_memory(decoder->err);
    json_object_foreach(value, name, member)
    {
        struct cl_json_place here = {place, name, 0};
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

static int decode_member(const struct cl_decoder *decoder, const struct cl_json_place *place,
                         const struct cl_decode_field *field, json_t *value, void *member)
{
    switch ((int)field->type) {
    case CL_DECODE_OBJECT:
        return decode_pointer(decoder, place, field->shape, value, member);
    case CL_DECODE_LIST:
        return decode_list(decoder, place, field, value, member);
    case CL_DECODE_MAP:
        return decode_map(decoder, place, field, value, member);
    default:
        return cl_json_value(decoder, place, field, value, member);
    }
}

static int decode_field(const struct cl_decoder *decoder, const struct cl_json_place *place,
                        const struct cl_decode_field *field, json_t *value, void *object)
{
    void *member = (char *)object + field->offset;

    if (json_is_null(value))
        return 0;
    int r = decode_member(decoder, place, field, value, member);
    if (r < 0 || field->check == NULL || field->check(member, decoder->err) == 0)
        return r;
    return cl_json_at(decoder, place);
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
static int pass_over(const struct cl_decoder *decoder, const struct cl_json_place *place,
                     const struct cl_decode_shape *shape)
{
    struct cl_guess guess = {0};

    for (size_t i = 0; i < shape->count; i++) {
        if (strcasecmp(place->key, shape->fields[i].name) == 0) {
            (void)cl_refuse(decoder->err, EINVAL, "unknown key; write it as %s",
                            shape->fields[i].name);
            return cl_json_at(decoder, place);
        }
        cl_guess_try(&guess, place->key, shape->fields[i].name);
    }
    if ((shape->flags & CL_DECODE_OPEN) != 0) {
        cl_json_warn(decoder, place, "unknown property; passed over");
        return 0;
    }
    if (guess.best != NULL)
        (void)cl_refuse(decoder->err, EINVAL, "unknown key (did you mean %s?)", guess.best);
    else
        (void)cl_refuse(decoder->err, EINVAL, "unknown key");
    return cl_json_at(decoder, place);
}

static int check_needed(const struct cl_decoder *decoder, const struct cl_json_place *place,
                        const struct cl_decode_shape *shape, const json_t *value)
{
    for (size_t i = 0; i < shape->count; i++) {
        const json_t *member =
            shape->fields[i].needed ? json_object_get(value, shape->fields[i].name) : NULL;

        if (shape->fields[i].needed && (member == NULL || json_is_null(member))) {
            struct cl_json_place here = {place, shape->fields[i].name, 0};

            (void)cl_refuse(decoder->err, EINVAL, "is missing");
            return cl_json_at(decoder, &here);
        }
    }
    return 0;
}

static int decode_object(const struct cl_decoder *decoder, const struct cl_json_place *place,
                         const struct cl_decode_shape *shape, json_t *value, void *ret)
{
    const char *name;
    json_t *member;

    if (!json_is_object(value))
        return cl_json_refuse_type(decoder, place, "object", value);
    json_object_foreach(value, name, member)
    {
        const struct cl_decode_field *field = find_field(shape, name);
        struct cl_json_place here = {place, name, 0};
        int r = field == NULL ? pass_over(decoder, &here, shape)
                              : decode_field(decoder, &here, field, member, ret);

        if (r < 0)
            return r;
    }
    return check_needed(decoder, place, shape, value);
}

static int load(const struct cl_decoder *decoder, const struct cl_document *document, json_t **ret)
{
    return cl_json_load(document, CL_JSON_LARGE | (decoder->secret ? CL_JSON_SECRET : 0U), ret,
                        decoder->err);
}

int cl_decode_warned(const struct cl_decode_shape *shape, const struct cl_document *document,
                     const struct cl_decode_how *how, void *ret, struct cl_error *err)
{
    const struct cl_decoder decoder = {how->arena, how->warnings,
                                       (shape->flags & CL_DECODE_SECRET) != 0, err};
    const struct cl_json_place within = {NULL, how->within, 0};
    CL_CLEANUP_JSON json_t *json = NULL;
    int r = load(&decoder, document, &json);

    if (r < 0)
        return r;
    r = decode_object(&decoder, how->within == NULL ? NULL : &within, shape, json, ret);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}

int cl_decode(const struct cl_decode_shape *shape, const struct cl_document *document,
              struct cl_arena *arena, void *ret, struct cl_error *err)
{
    const struct cl_decode_how how = {.arena = arena};

    return cl_decode_warned(shape, document, &how, ret, err);
}

int cl_decode_array(const struct cl_decode_shape *shape, const struct cl_document *document,
                    struct cl_arena *arena, struct cl_decode_list *ret, struct cl_error *err)
{
    const struct cl_decoder decoder = {arena, NULL, (shape->flags & CL_DECODE_SECRET) != 0, err};
    const struct cl_decode_field all = {.max = UINT64_MAX, .shape = shape};
    CL_CLEANUP_JSON json_t *json = NULL;
    int r = load(&decoder, document, &json);

    if (r < 0)
        return r;
    r = decode_list(&decoder, NULL, &all, json, ret);
    return r < 0 ? cl_prefix(err, "%s", cl_report_name(document->name)) : 0;
}
