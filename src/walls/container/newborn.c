/* A newborn: one more command that init starts in the running sandbox (exec), by the steps of
 * main (main.c), with its own words and streams in the place of the plan's.
 *
 * What it may be is checked here again, whoever decided it before: no more than the sandbox's
 * plan allows its command. Words are read in init, from memory that nobody can change while
 * that lasts, and freed when the newborn has become the command. The sandboxed code, which
 * by now has the uid of init, sees none of it: both are one memory until the exec, and not
 * dumpable. In build the change of user makes that memory what fs.suid_dumpable says, for
 * an instant; the client refuses a host where that is 1.
 */
#include <inttypes.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

/* The sandbox's plan with the words of this command. */
static struct cl_plan plan_for(const struct cl_plan *base, const struct cl_plan *words)
{
    struct cl_plan plan = *base;

    plan.command = words->command;
    plan.env = words->env;
    plan.workdir = words->workdir;
    plan.uid = words->uid;
    plan.gid = words->gid;
    return plan;
}

/* TERMINAL is the newborn's, or -1. */
static pid_t give_birth(struct cl_container *container, const struct cl_words *words,
                        const struct cl_birth *birth, struct cl_report *report,
                        struct cl_error *err)
{
    struct cl_plan plan = plan_for(container->plan, &words->plan);
    struct cl_wall_start start = *container->start;
    struct cl_container newborn = *container;

    start.plan = &plan;
    for (int fd = 0; fd < 3; fd++)
        start.stdio[fd] = birth->stdio[fd];
    newborn.start = &start;
    newborn.plan = &plan;
    newborn.report = report;
    newborn.argv = words->vector;
    newborn.envp = words->vector + plan.command.count + 1;
    newborn.terminal = birth->terminal;
    newborn.kept = cl_capabilities_kept(container->plan);
    pid_t pid = cl_newborn_start(&newborn, err);
    if (pid == -EAGAIN)
        return cl_hint(err, "the sandbox has as many tasks as it may (--pids-limit)");
    return pid;
}

pid_t cl_newborn_make(struct cl_container *container, const struct cl_birth *birth,
                      struct cl_report *report, struct cl_error *err)
{
    CL_CLEANUP(cl_words_done) struct cl_words words = CL_WORDS_INIT;
    int r = cl_words_take(birth->words, container->plan, &words, err);

    return r < 0 ? r : give_birth(container, &words, birth, report, err);
}
