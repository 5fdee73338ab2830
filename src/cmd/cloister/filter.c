#include "cmd/cloister/filter.h"

#include <errno.h>
#include <string.h>

#include "cmd/cloister/describe.h"

static int match_id(const struct cl_visit *visit, const char *value)
{
    return strncmp(visit->entry->id, value, strlen(value)) == 0;
}

/* A part of it will do. */
static int match_name(const struct cl_visit *visit, const char *value)
{
    return visit->plan != NULL && cl_plan_has(visit->plan, CL_FIELD_NAME) &&
           strstr(visit->plan->name, value) != NULL;
}

/* "KEY" or "KEY=VALUE" */
static int match_label(const struct cl_visit *visit, const char *value)
{
    const size_t size = strlen(value);
    const int is_key = strchr(value, '=') == NULL;

    for (size_t i = 0; visit->plan != NULL && i < visit->plan->labels.count; i++) {
        const char *label = visit->plan->labels.items[i];

        if (is_key ? strncmp(label, value, size) == 0 && label[size] == '='
                   : strcmp(label, value) == 0)
            return 1;
    }
    return 0;
}

static int match_status(const struct cl_visit *visit, const char *value)
{
    return strcmp(cl_describe_status(visit), value) == 0;
}

static int match_tenant(const struct cl_visit *visit, const char *value)
{
    return visit->plan != NULL && cl_plan_has(visit->plan, CL_FIELD_TENANT) &&
           strcmp(visit->plan->tenant, value) == 0;
}

static int match_image(const struct cl_visit *visit, const char *value)
{
    return visit->plan != NULL && cl_plan_has(visit->plan, CL_FIELD_IMAGE) &&
           strcmp(visit->plan->image, value) == 0;
}

static const struct {
    const char *key;
    int (*match)(const struct cl_visit *visit, const char *value);
} kinds[] = {
    {"id", match_id},         {"name", match_name},     {"label", match_label},
    {"status", match_status}, {"tenant", match_tenant}, {"image", match_image},
};

/* The value of WORD when it is of the kind KEY, or NULL. */
static const char *value_of(const char *word, const char *key)
{
    const size_t size = strlen(key);

    return strncmp(word, key, size) == 0 && word[size] == '=' ? word + size + 1 : NULL;
}

int cl_filters_add(struct cl_filters *filters, const char *word, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        const char *value = value_of(word, kinds[i].key);

        if (value == NULL)
            continue;
        if (value[0] == '\0')
            return cl_refuse(err, EINVAL, "nothing follows \"%.100s\"", word);
        if (filters->count == CL_FILTERS_MOST)
            return cl_refuse(err, E2BIG, "more than %d", CL_FILTERS_MOST);
        filters->words[filters->count++] = word;
        return 0;
    }
    return cl_refuse(err, EINVAL,
                     "expected id=, name=, label=, status=, tenant= or image=, got \"%.100s\"",
                     word);
}

int cl_filters_match(const struct cl_filters *filters, const struct cl_visit *visit)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        int asked = 0;
        int holds = 0;

        for (size_t j = 0; j < filters->count; j++) {
            const char *value = value_of(filters->words[j], kinds[i].key);

            asked |= value != NULL;
            holds |= value != NULL && kinds[i].match(visit, value);
        }
        if (asked && !holds)
            return 0;
    }
    return 1;
}
