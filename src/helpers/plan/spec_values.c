#include <errno.h>

#include "helpers/plan/spec_parts.h"

int cl_spec_check_absolute(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    return (*text)[0] == '/'
               ? 0
               : cl_refuse(err, EINVAL, "expected an absolute path, got \"%.100s\"", *text);
}

int cl_spec_check_filled(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    return (*text)[0] != '\0' ? 0 : cl_refuse(err, EINVAL, "is empty");
}

int cl_spec_refuse_relative(const char *path, size_t i, const char *text, struct cl_error *err)
{
    return cl_refuse(err, EINVAL, "%s[%zu]: expected an absolute path, got \"%.100s\"", path, i,
                     text);
}

void cl_spec_set_number(struct cl_spec *spec, enum cl_spec_field field, uint64_t *member,
                        const struct cl_decode_number *number)
{
    if (!number->present)
        return;
    *member = number->value;
    cl_spec_mark(spec, field);
}

void cl_spec_set_text(struct cl_spec *spec, enum cl_spec_field field, const char **member,
                      const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    *member = text;
    cl_spec_mark(spec, field);
}

void cl_spec_set_texts(struct cl_spec *spec, enum cl_spec_field field, struct cl_strlist *member,
                       const struct cl_strlist *texts)
{
    if (texts->count == 0)
        return;
    *member = *texts;
    cl_spec_mark(spec, field);
}

int cl_spec_set_pairs(struct cl_spec_walk *walk, enum cl_spec_field field,
                      struct cl_strlist *member, const struct cl_decode_list *pairs,
                      struct cl_error *err)
{
    const struct cl_decode_pair *items = pairs->items;

    if (pairs->count == 0)
        return 0;
    const char **texts = cl_arena_array(walk->arena, 2 * pairs->count, sizeof(*texts));
    if (texts == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < pairs->count; i++) {
        texts[2 * i] = items[i].key;
        texts[2 * i + 1] = items[i].value;
    }
    *member = (struct cl_strlist){texts, 2 * pairs->count};
    cl_spec_mark(&walk->spec, field);
    return 0;
}
