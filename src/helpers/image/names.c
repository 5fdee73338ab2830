#include "helpers/image/names.h"

#include <stdio.h>
#include <string.h>

#include "oci/quote.h"

int cl_name_is(const char *name, const char *tag)
{
    return name != NULL && strcmp(name, tag) == 0;
}

int cl_name_has_tag(const char *name, const char *tag)
{
    const char *colon = name == NULL ? NULL : strrchr(name, ':');

    return colon != NULL && strchr(tag, '/') == NULL && strcmp(colon + 1, tag) == 0;
}

static const char more[] = " and more";

static void add_more(struct cl_names *names)
{
    if (!names->has_more)
        memcpy(names->text + strlen(names->text), more, sizeof(more));
    names->has_more = 1;
}

void cl_names_add(struct cl_names *names, const char *name)
{
    char quoted[CL_QUOTE_SIZE];
    size_t used = strlen(names->text);

    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->shown[i], name) == 0)
            return;
    }
    (void)cl_quote(name, quoted);
    if (names->has_more || names->count == CL_NAMES_SHOWN ||
        used + strlen(quoted) + 2 + sizeof(more) > sizeof(names->text)) {
        add_more(names);
        return;
    }
    (void)snprintf(names->text + used, sizeof(names->text) - used, "%s%s", used == 0 ? "" : ", ",
                   quoted);
    names->shown[names->count++] = name;
}
