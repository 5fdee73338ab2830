#include "sandbox/phases.h"

#include <errno.h>
#include <sys/epoll.h>

#include "sandbox/requests.h"

/* What can't be copied any more because the sandbox ends is no error of its own: whoever ended it
 * is the reason, or the signal that came for a command which had not begun. */
static int is_ending(const struct cl_supervisor *supervisor)
{
    const uint32_t stage = __atomic_load_n(&supervisor->process->report->stage, __ATOMIC_ACQUIRE);

    return supervisor->end != CL_END_NONE ||
           (supervisor->errands->sent == CL_COPY_IN && stage == CL_REPORT_ENDED);
}

/* Nothing is left to be done: it ends, or is kept, for which no time is limited. */
static int finish(struct cl_supervisor *supervisor, struct cl_error *err)
{
    if (!supervisor->plan->keep)
        return supervisor->wall->leave(supervisor->process, err);
    supervisor->is_resting = 1;
    cl_loop_remove(&supervisor->loop, &supervisor->timer);
    cl_supervisor_settle(supervisor);
    return 0;
}

static int on_errands(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    struct cl_errands *errands = supervisor->errands;
    struct cl_error why = {0};
    int r = cl_errands_hear(errands, &why);

    if (r == -EAGAIN)
        return 0;
    if (r < 0 && is_ending(supervisor)) {
        cl_loop_remove(&supervisor->loop, source);
        return 0;
    }
    if (r < 0) {
        *err = why;
        return r;
    }
    return errands->sent == CL_COPY_IN ? supervisor->wall->begin(supervisor->process, err)
                                       : finish(supervisor, err);
}

static int send_errands(struct cl_supervisor *supervisor, enum cl_copy_way way,
                        struct cl_error *err)
{
    struct cl_source *source = &supervisor->errand_source;
    int r = cl_errands_send(supervisor->errands, way, err);

    if (r < 0 || source->added)
        return r;
    *source = (struct cl_source){.fd = supervisor->errands->channel,
                                 .events = EPOLLIN,
                                 .on_event = on_errands,
                                 .context = supervisor};
    return cl_loop_add(&supervisor->loop, source, err);
}

/* Who has nothing to bring in has it begin by something else, or never. */
static int stand(struct cl_supervisor *supervisor, struct cl_error *err)
{
    supervisor->has_stood = 1;
    return supervisor->errands->has_in ? send_errands(supervisor, CL_COPY_IN, err) : 0;
}

static int be_over(struct cl_supervisor *supervisor, struct cl_error *err)
{
    supervisor->is_over = 1;
    supervisor->is_paused = 0; /* all who stood still have been killed */
    supervisor->visitors.are_refused = 0;
    cl_loop_remove(&supervisor->loop, &supervisor->cpu_timer);
    cl_supervisor_release(supervisor);
    return supervisor->errands->has_out ? send_errands(supervisor, CL_COPY_OUT, err)
                                        : finish(supervisor, err);
}

int cl_phases_heed(struct cl_supervisor *supervisor, struct cl_error *err)
{
    const struct cl_wall_process *process = supervisor->process;
    int r = 0;

    if (process->is_waiting && !supervisor->has_stood)
        r = stand(supervisor, err);
    if (r == 0 && process->is_over && !supervisor->is_over)
        r = be_over(supervisor, err);
    return r;
}

int cl_phases_are_done(const struct cl_supervisor *supervisor)
{
    const struct cl_plan *plan = supervisor->plan;

    return (!plan->waits || supervisor->has_stood) && (!plan->stays || supervisor->is_over);
}
