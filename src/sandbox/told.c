#include "sandbox/told.h"

#include "base/sys.h"

int cl_told_may_be(const struct cl_plan *plan)
{
    const struct cl_wall *wall = cl_wall_get((enum cl_wall_kind)plan->wall);

    return wall != NULL && wall->tell != NULL && wall->joins != NULL && wall->joins(plan);
}

void cl_told_ask(const struct cl_entry *entry, struct cl_control_asked *ret)
{
    struct cl_error ignored = {0};

    *ret = CL_CONTROL_ASKED_INIT;
    (void)cl_control_ask(entry, CL_CONTROL_TELL, ret, &ignored);
}

/* What is of another size is a refusal. */
int cl_told_take(struct cl_control_asked *asked, uint64_t until_ns, struct cl_wall_told *ret)
{
    struct cl_wall_told told = {0};
    int is_told = 0;

    if (cl_control_asked_wait(asked, until_ns))
        is_told = cl_sys_read(asked->answer, &told, sizeof(told)) == (ssize_t)sizeof(told);
    cl_control_asked_done(asked);
    if (is_told)
        *ret = told;
    return is_told;
}
