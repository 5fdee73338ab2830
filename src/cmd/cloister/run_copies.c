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

static int check_inside(const char *path, struct cl_error *err)
{
    return path[0] == '/'
               ? 0
               : cl_refuse(err, EINVAL, "\"%.100s\", the path in the sandbox, must be absolute",
                           path);
}

static int add(struct cl_arena *arena, struct cl_errand **items, size_t *count,
               const struct cl_errand *errand, struct cl_error *err)
{
    if (*count == CL_RUN_COPIES_MOST)
        return cl_refuse(err, E2BIG, "no more than %d of them; copy a directory",
                         CL_RUN_COPIES_MOST);
    if (*items == NULL)
        *items = cl_arena_array(arena, CL_RUN_COPIES_MOST, sizeof(**items));
    if (*items == NULL)
        return cl_fail_memory(err);
    (*items)[(*count)++] = *errand;
    return 0;
}

int cl_run_add_copy_in(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                       struct cl_error *err)
{
    struct cl_run_request *request = context;
    struct cl_run_copies *copies = &request->copies;
    struct cl_errand errand;
    int r = parse(value, request->arena, &errand, err);

    if (r == 0)
        r = check_inside(errand.target, err);
    if (r == 0)
        r = add(request->arena, &copies->in, &copies->in_count, &errand, err);
    if (r < 0)
        return r;
    request->flags.waits = 1;
    cl_plan_mark(&request->flags, CL_FIELD_WAITS);
    return 0;
}

int cl_run_add_copy_out(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    struct cl_run_request *request = context;
    struct cl_run_copies *copies = &request->copies;
    struct cl_errand errand;
    int r = parse(value, request->arena, &errand, err);

    if (r == 0)
        r = check_inside(errand.source, err);
    if (r == 0)
        r = add(request->arena, &copies->out, &copies->out_count, &errand, err);
    if (r < 0)
        return r;
    request->flags.stays = 1;
    cl_plan_mark(&request->flags, CL_FIELD_STAYS);
    return 0;
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
