#include "helpers/common/json_load.h"

#include <errno.h>
#include <string.h>

/* What the text could make, by its punctuation alone: each value follows a bracket, a comma
 * or a colon, and those of a colon are counted with their key. */
struct extent {
    size_t depth;
    size_t deepest;
    size_t values;
};

static struct extent measure(const char *text, size_t size)
{
    struct extent extent = {.values = 1};
    int in_string = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        if (in_string)
            continue;
        extent.values += c == '[' || c == '{' || c == ',';
        extent.depth += c == '[' || c == '{';
        extent.depth -= (c == ']' || c == '}') && extent.depth > 0;
        if (extent.depth > extent.deepest)
            extent.deepest = extent.depth;
    }
    return extent;
}

static int check_extent(const struct cl_document *document, struct cl_error *err)
{
    const struct extent extent = measure(document->text, document->size);

    if (extent.deepest > CL_JSON_MAX_DEPTH)
        (void)cl_refuse(err, E2BIG, "nests deeper than %d levels", CL_JSON_MAX_DEPTH);
    else if (extent.values > CL_JSON_MAX_VALUES)
        (void)cl_refuse(err, E2BIG, "holds more than %d values", CL_JSON_MAX_VALUES);
    else
        return 0;
    return cl_prefix(err, "%s", cl_report_name(document->name));
}

static int report(const struct cl_document *document, int secret, json_error_t *problem,
                  struct cl_error *err)
{
    char *quoted = strstr(problem->text, " near ");

    /* jansson has no words for it */
    if (problem->text[0] == '\0' || json_error_code(problem) == json_error_out_of_memory)
        return cl_fail_memory(err);
    if (secret && quoted != NULL)
        *quoted = '\0';
    (void)cl_refuse(err, EINVAL, "%s", problem->text);
    return cl_prefix(err, "%s:%d:%d", cl_report_name(document->name), problem->line,
                     problem->column);
}

int cl_json_load(const struct cl_document *document, int secret, json_t **ret, struct cl_error *err)
{
    json_error_t problem = {.line = 0};
    int r = check_extent(document, err);

    if (r < 0)
        return r;
    json_t *json = json_loadb(document->text, document->size, JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL)
        return report(document, secret, &problem, err);
    *ret = json;
    return 0;
}

void cl_json_drop(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}
