#include "cmd/cloister/run_copies.h"

#include <errno.h>
#include <string.h>

#include "cmd/cloister/left_out.h"
#include "cmd/cloister/run_options.h"

/* SRC:DST, with one colon alone: which of several it is nobody could tell. */
static int parse(const char *value, struct cl_arena *arena, struct cl_errand *ret,
                 struct cl_error *err)
{
    const char *colon = strchr(value, ':');

    if (colon == NULL || colon == value || colon[1] == '\0' || strchr(colon + 1, ':') != NULL)
        return cl_refuse(err, EINVAL, "expected SRC:DST, got \"%.100s\"", value);
    ret->source = cl_arena_printf(arena, "%.*s", (int)(colon - value), value);
    ret->target = colon + 1;
    return ret->source != NULL ? 0 : cl_fail_memory(err);
}

/* One way's list, and the field that its copies need set. */
struct way {
    struct cl_errand **items;
    size_t *count;
    enum cl_field field;
    int is_in;
};

static int take(struct cl_run_request *request, const struct way *way, const char *value,
                struct cl_error *err)
{
    struct cl_errand errand;
    int r = parse(value, request->arena, &errand, err);

    if (r < 0)
        return r;
    const char *inside = way->is_in ? errand.target : errand.source;
    if (inside[0] != '/')
        return cl_refuse(err, EINVAL, "\"%.100s\", the path in the sandbox, must be absolute",
                         inside);
    if (*way->count == CL_RUN_COPIES_MOST)
        return cl_refuse(err, E2BIG, "no more than %d of them; copy a directory",
                         CL_RUN_COPIES_MOST);
    if (*way->items == NULL)
        *way->items = cl_arena_array(request->arena, CL_RUN_COPIES_MOST, sizeof(**way->items));
    if (*way->items == NULL)
        return cl_fail_memory(err);
    (*way->items)[(*way->count)++] = errand;
    return cl_plan_set_text(&request->flags, way->field, "true", request->arena, err);
}

int cl_run_add_copy_in(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                       struct cl_error *err)
{
    struct cl_run_request *request = context;
    const struct way in = {&request->copies.in, &request->copies.in_count, CL_FIELD_WAITS, 1};

    return take(request, &in, value, err);
}

int cl_run_add_copy_out(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    struct cl_run_request *request = context;
    const struct way out = {&request->copies.out, &request->copies.out_count, CL_FIELD_STAYS, 0};

    return take(request, &out, value, err);
}

static void left_out(const char *source, const char *path, int why)
{
    static struct cl_left_out left;

    left.top = source;
    cl_left_out_say(&left, path, why);
}

const struct cl_errand_plan *cl_run_copies_plan(struct cl_run_copies *copies)
{
    if (copies->in_count + copies->out_count == 0)
        return NULL;
    copies->plan = (struct cl_errand_plan){
        .in = {copies->in, copies->in_count},
        .out = {copies->out, copies->out_count},
        .left_out = left_out,
    };
    return &copies->plan;
}
