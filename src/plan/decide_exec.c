/* One more command in a sandbox that runs: what may be said of it, over what the sandbox's own
 * plan decided. The checks are those of decide.c, as far as they are of a command. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "plan/decide_parts.h"

/* What the parts can say. */
static const enum cl_field fields[] = {CL_FIELD_USER, CL_FIELD_WORKDIR,     CL_FIELD_ENV,
                                       CL_FIELD_TTY,  CL_FIELD_INTERACTIVE, CL_FIELD_COMMAND};

static int check_part(const struct cl_plan *part)
{
    uint64_t allowed = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(fields); i++)
        allowed |= 1ULL << fields[i];
    return (part->set & ~allowed) == 0;
}

/* Init is a strict sandbox's user, and there is no way to another. */
static int decide_user(struct cl_decision *d, const struct cl_plan *base, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    if (!cl_decide_given(d, CL_FIELD_USER))
        return 0;
    cl_plan_unmark(plan, CL_FIELD_UID);
    cl_plan_unmark(plan, CL_FIELD_GID);
    cl_plan_unmark(plan, CL_FIELD_HOME);
    int r = cl_decide_user(d, err);
    if (r < 0)
        return r;
    if (plan->profile == CL_PROFILE_STRICT && (plan->uid != base->uid || plan->gid != base->gid))
        return cl_refuse(err, EPERM,
                         "a strict sandbox has one user, this one %" PRIu64 ":%" PRIu64
                         "; --profile build, when it is started, has several",
                         base->uid, base->gid);
    return 0;
}

/* What depends on who runs, and on what: laid over the sandbox's, under what was given. */
static int own_env(const struct cl_decision *d, const struct cl_plan *base, struct cl_plan *ret,
                   struct cl_error *err)
{
    const struct cl_plan *plan = d->plan;
    const char *home = plan->uid == 0 ? "/root" : "/tmp";
    int r = 0;

    if (plan->uid != base->uid)
        r = cl_decide_env_add(ret, d->how->arena, "HOME",
                              cl_plan_has(plan, CL_FIELD_HOME) ? plan->home : home, err);
    if (r == 0 && plan->tty && cl_env_find(&base->env, "TERM") == NULL)
        r = cl_decide_env_add(ret, d->how->arena, "TERM", "xterm", err);
    return r;
}

static int decide_env(struct cl_decision *d, const struct cl_plan *base, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    struct cl_plan own = {0};
    int r = own_env(d, base, &own, err);

    for (size_t i = 0; r == 0 && i < d->how->count; i++) {
        const struct cl_plan *part = d->how->parts[i];

        for (size_t k = 0; r == 0 && k < part->env.count; k++)
            r = cl_decide_env_form(part->env.items[k], err);
    }
    if (r == 0)
        r = cl_plan_overlay(plan, &own, d->how->arena, err);
    for (size_t i = 0; r == 0 && i < d->how->count; i++) {
        struct cl_plan env = {.env = d->how->parts[i]->env};

        if (env.env.count == 0)
            continue;
        cl_plan_mark(&env, CL_FIELD_ENV);
        r = cl_plan_overlay(plan, &env, d->how->arena, err);
    }
    return r;
}

static int check_command(const struct cl_plan *plan, struct cl_error *err)
{
    if (plan->command.count == 0)
        return cl_refuse(err, EINVAL, "exec: no command");
    if (plan->command.items[0][0] == '\0')
        return cl_refuse(err, EINVAL, "command: an empty name");
    return 0;
}

static int decide(struct cl_decision *d, const struct cl_plan *base, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    int r = check_command(plan, err);

    if (r < 0)
        return r;
    r = decide_user(d, base, err);
    if (r < 0)
        return cl_prefix(err, "user");
    plan->capabilities = plan->uid == 0 ? base->capabilities : 0;
    if (cl_decide_given(d, CL_FIELD_WORKDIR)) {
        r = cl_path_normalise(plan->workdir, 1, d->how->arena, &plan->workdir, err);
        if (r < 0)
            return cl_prefix(err, "workdir");
    }
    r = decide_env(d, base, err);
    return r < 0 ? cl_prefix(err, "env") : 0;
}

int cl_plan_decide_exec(struct cl_decide *how, const struct cl_plan *base, struct cl_plan *ret,
                        struct cl_error *err)
{
    struct cl_plan plan = *base;
    struct cl_decision d = {.how = how, .plan = &plan};

    how->note = NULL;
    if (base->wall == CL_WALL_WASM)
        return cl_refuse(err, ENOTSUP,
                         "behind the wasm wall runs one module, and no other program");
    plan.tty = 0;
    plan.interactive = 0;
    plan.command = (struct cl_strlist){0};
    for (size_t i = 0; i < how->count; i++) {
        struct cl_plan part = *how->parts[i];

        CL_ASSERT(check_part(&part));        /* no option says anything else */
        cl_plan_unmark(&part, CL_FIELD_ENV); /* comes over what is decided of it */
        d.given |= part.set;
        int r = cl_plan_overlay(&plan, &part, how->arena, err);
        if (r < 0)
            return r;
    }
    int r = decide(&d, base, err);
    if (r < 0)
        return r;
    *ret = plan;
    return 0;
}
