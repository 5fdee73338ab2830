/* The pods: which there are, and whose. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/cloisterd/daemon.h"

struct cl_pod *cl_daemon_find_pod(const struct cl_daemon *daemon, const char *space, const char *id)
{
    struct cl_pod *pod = daemon->pods;

    while (pod != NULL && (strcmp(pod->id, id) != 0 || strcmp(pod->space, space) != 0))
        pod = pod->next;
    return pod;
}

struct cl_pod *cl_pod_new(struct cl_daemon *daemon, const char *space, const char *id,
                          struct cl_error *err)
{
    struct cl_pod *pod = cl_calloc(1, sizeof(*pod));
    char *space_copy = cl_daemon_copy(space);
    char *id_copy = cl_daemon_copy(id);

    if (pod == NULL || space_copy == NULL || id_copy == NULL) {
        free(pod);
        free(space_copy);
        free(id_copy);
        (void)cl_fail_memory(err);
        return NULL;
    }
    *pod = (struct cl_pod){.daemon = daemon,
                           .next = daemon->pods,
                           .space = space_copy,
                           .id = id_copy,
                           .created_ns = cl_clock_wall_ns()};
    daemon->pods = pod;
    return pod;
}

static int is_of(const struct cl_task *task, const struct cl_pod *pod)
{
    return strcmp(task->pod, pod->id) == 0 && strcmp(task->space->name, pod->space) == 0;
}

/* Ends all of its containers; with IS_GONE they are no more. */
static void end_tasks(struct cl_pod *pod, int is_gone)
{
    for (size_t i = 0; i < CL_DAEMON_BUCKETS; i++) {
        struct cl_task *task = pod->daemon->tasks[i];

        while (task != NULL) {
            struct cl_task *next = task->next;

            if (is_of(task, pod) && is_gone)
                cl_task_free(task);
            else if (is_of(task, pod))
                cl_task_kill(task, SIGKILL);
            task = next;
        }
    }
}

void cl_pod_end_tasks(struct cl_pod *pod)
{
    end_tasks(pod, 1);
}

const char *cl_pod_address(const struct cl_pod *pod, char ret[CL_POD_ADDRESS])
{
    (void)snprintf(ret, CL_POD_ADDRESS, "ttrpc+unix://%s",
                   pod->wall == CL_POD_CONTAINER ? pod->shim : pod->daemon->options->tasks);
    return ret;
}

int cl_pod_has_shim(const struct cl_pod *pod)
{
    return pod->wall == CL_POD_CONTAINER || pod->shim_state != CL_POD_SHIM_NONE ||
           pod->shim[0] != '\0';
}

void cl_pod_stop(struct cl_pod *pod)
{
    struct cl_rpc_call *call;

    if (pod->exited_ns == 0) {
        end_tasks(pod, 0);
        pod->exited_ns = cl_clock_wall_ns();
    }
    const struct cl_msg_time at = cl_msg_time_of(pod->exited_ns);
    while ((call = pod->waiters) != NULL) {
        pod->waiters = call->next;
        cl_rpc_answer(call, &(struct cl_msg_waited){.exited_at = &at});
    }
}

void cl_pod_forget(struct cl_pod *pod)
{
    struct cl_pod **at = &pod->daemon->pods;

    cl_pod_stop(pod);
    end_tasks(pod, 1);
    cl_relays_forget(pod);
    cl_buf_done(&pod->plan);
    cl_pod_unrecord(pod);
    while (*at != pod)
        at = &(*at)->next;
    *at = pod->next;
    cl_daemon_sweep_workers(pod->daemon);
    free(pod->space);
    free(pod->id);
    free(pod);
}
