/* What the kernel ends in a task for its memory: containerd's TaskOOM. */
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "rpc/event_messages.h"

static const uint64_t LOOK_AGAIN_NS = 50 * CL_NS_PER_MS;

/* Whatever in it the kernel has ended: containerd is told once for each time that it grows. */
void cl_shim_task_look(struct cl_shim_task *task)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    const struct cl_msg_task_changed event = {.container_id = task->id};
    struct cl_error ignored;

    if (cl_shim_open_group(task, &group, &ignored) < 0)
        return;
    const uint64_t kills = cl_group_oom_kills(&group);
    if (kills > task->oom_kills)
        (void)cl_publish(&task->shim->publisher, "/tasks/oom", "containerd.events.TaskOOM",
                         &cl_msg_task_changed_shape, &event); /* nothing else tells it */
    task->oom_kills = kills;
}

static void look_now_and_soon(struct cl_shim_task *task)
{
    cl_shim_task_look(task);
    task->looks_ns = cl_clock_mono_ns() + LOOK_AGAIN_NS;
    cl_shim_ring(task->shim, LOOK_AGAIN_NS);
}

void cl_shim_task_unwatch(struct cl_shim_task *task)
{
    cl_loop_remove(&task->shim->loop, &task->oom);
    cl_fd_close(&task->oom.fd);
}

/* v1 may tell it before it counts it: soon it is looked at again. */
static int on_oom(struct cl_source *source, CL_UNUSED uint32_t events,
                  CL_UNUSED struct cl_error *err)
{
    char ignored[512];

    if (cl_sys_read(source->fd, ignored, sizeof(ignored)) > 0)
        look_now_and_soon(source->context);
    else
        cl_shim_task_unwatch(source->context);
    return 0;
}

void cl_shim_task_watch(struct cl_shim_task *task)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct cl_error ignored; /* the ends of processes look as well */

    if (cl_shim_open_group(task, &group, &ignored) < 0)
        return;
    task->oom = (struct cl_source){.fd = cl_group_watch_oom(&group, &ignored),
                                   .events = EPOLLIN,
                                   .on_event = on_oom,
                                   .context = task};
    if (task->oom.fd >= 0 && cl_loop_add(&task->shim->loop, &task->oom, &ignored) < 0)
        cl_fd_close(&task->oom.fd);
}
