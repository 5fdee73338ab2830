#include "helpers/common/json_load.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "helpers/common/json_large.h"

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

static int report(const struct cl_document *document, unsigned int flags, json_error_t *problem,
                  struct cl_error *err)
{
    char *quoted = strstr(problem->text, " near ");

    /* jansson has no words for it */
    if (problem->text[0] == '\0' || json_error_code(problem) == json_error_out_of_memory)
        return cl_fail_memory(err);
    if ((flags & CL_JSON_SECRET) != 0 && quoted != NULL)
        *quoted = '\0';
    (void)cl_refuse(err, EINVAL, "%s", problem->text);
    return cl_prefix(err, "%s:%d:%d", cl_report_name(document->name), problem->line,
                     problem->column);
}

int cl_json_load(const struct cl_document *document, unsigned int flags, json_t **ret,
                 struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf marked = CL_BUF_INIT(0);
    json_error_t problem = {.line = 0};
    int r = check_extent(document, err);

    if (r < 0)
        return r;
    if ((flags & CL_JSON_LARGE) != 0)
        r = cl_json_large_mark(document, &marked);
    if (r < 0)
        return cl_fail_memory(err);
    json_t *json =
        r == 0 ? json_loadb(document->text, document->size, JSON_REJECT_DUPLICATES, &problem)
               : json_loadb(marked.data, marked.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
                            &problem);
    if (json == NULL)
        return report(document, flags, &problem, err);
    *ret = json;
    return 0;
}

int cl_json_large(const json_t *value, uint64_t *ret)
{
    const char *text = json_string_value(value);
    uint64_t number;

    if (text == NULL || json_string_length(value) == 0 || text[0] != '\0')
        return 0;
    int is_number = cl_parse_u64(text + 1, &number) == 0;
    if (is_number && ret != NULL)
        *ret = number;
    return is_number;
}

const char *cl_json_compact(const json_t *value, struct cl_arena *arena)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    const char *copy = NULL;

    if (text != NULL) {
        cl_json_large_unmark(text);
        copy = cl_arena_strdup(arena, text);
    }
    free(text);
    return copy;
}

void cl_json_drop(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}
