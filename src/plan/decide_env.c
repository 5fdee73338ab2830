/* The variables: those that every program sees, under those that were given. */
#include <errno.h>
#include <string.h>

#include "plan/decide_parts.h"

const char *cl_env_find(const struct cl_strlist *env, const char *name)
{
    const size_t size = strlen(name);

    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->items[i], name, size) == 0 && env->items[i][size] == '=')
            return env->items[i] + size + 1;
    }
    return NULL;
}

int cl_decide_env_form(const char *entry, struct cl_error *err)
{
    size_t size = strcspn(entry, "=");

    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)entry[i] <= 0x20 || entry[i] == 0x7f)
            return cl_refuse(err, EINVAL, "blank or control character in the name \"%.*s\"",
                             (int)cl_min_u64(size, 100), entry);
    }
    if (size == 0 || entry[size] != '=')
        return cl_refuse(err, EINVAL, "no name in it, expected NAME=VALUE");
    return 0;
}

int cl_decide_env_add(struct cl_plan *env, struct cl_arena *arena, const char *name,
                      const char *value, struct cl_error *err)
{
    char *entry = cl_arena_printf(arena, "%s=%s", name, value);

    if (entry == NULL)
        return cl_fail_memory(err);
    return cl_plan_add_str(env, CL_FIELD_ENV, entry, arena, err);
}

/* What every program sees, laid under the variables that were given. */
static int default_env(const struct cl_decision *d, struct cl_plan *ret, struct cl_error *err)
{
    const struct cl_plan *plan = d->plan;
    const char *home = plan->uid == 0 ? "/root" : "/tmp";
    const struct {
        const char *name;
        const char *value; /* NULL: not in this plan */
    } rows[] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"HOME", cl_plan_has(plan, CL_FIELD_HOME) ? plan->home : home},
        {"HOSTNAME", plan->hostname},
        {"LANG", "C.UTF-8"},
        {"TERM", plan->tty ? "xterm" : NULL},
        /* a module has no other working directory than what its library takes for one */
        {"PWD",
         plan->wall == CL_WALL_WASM && strcmp(plan->workdir, "/") != 0 ? plan->workdir : NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        int r = rows[i].value == NULL
                    ? 0
                    : cl_decide_env_add(ret, d->how->arena, rows[i].name, rows[i].value, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int cl_decide_env(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan below = {0};
    struct cl_plan above = {.env = d->plan->env};
    int r = 0;

    for (size_t i = 0; r == 0 && i < above.env.count; i++)
        r = cl_decide_env_form(above.env.items[i], err);
    if (r < 0)
        return r;
    cl_plan_mark(&above, CL_FIELD_ENV);
    r = default_env(d, &below, err);
    if (r == 0)
        r = cl_plan_overlay(&below, &above, d->how->arena, err);
    if (r < 0)
        return r;
    cl_plan_unmark(d->plan, CL_FIELD_HOME); /* it is said */
    d->plan->env = below.env;
    cl_plan_mark(d->plan, CL_FIELD_ENV);
    return 0;
}
