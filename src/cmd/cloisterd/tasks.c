/* The containers: which there are, how each begins and ends, and what containerd is told of it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloisterd/group.h"
#include "rpc/event_messages.h"

enum { LOOKS_MOST = 2000, PREPARER_ENDS_MS = 1000 };

/* --- which there are ------------------------------------------------------------------------- */

static size_t bucket_of(const char *id)
{
    size_t sum = 5381;

    while (*id != '\0')
        sum = sum * 33 + (unsigned char)*id++;
    return sum % CL_DAEMON_BUCKETS;
}

/* The next one of that name, from TASK on. */
static struct cl_task *find_from(struct cl_task *task, const char *space, const char *id)
{
    while (task != NULL && (strcmp(task->id, id) != 0 ||
                            (space[0] != '\0' && strcmp(task->space->name, space) != 0)))
        task = task->next;
    return task;
}

struct cl_task *cl_daemon_find_task(const struct cl_daemon *daemon, const char *space,
                                    const char *id)
{
    struct cl_task *task = find_from(daemon->tasks[bucket_of(id)], space, id);

    if (task == NULL || space[0] != '\0')
        return task;
    return find_from(task->next, space, id) == NULL ? task : NULL; /* or which of them? */
}

int cl_task_new(struct cl_daemon *daemon, const char *space, const char *id, struct cl_task **ret,
                struct cl_error *err)
{
    struct cl_space *of = cl_daemon_space(daemon, space, err);
    struct cl_task *task = of == NULL ? NULL : cl_calloc(1, sizeof(*task));

    if (of == NULL)
        return -EINVAL;
    if (task == NULL)
        return cl_fail_memory(err);
    *task = (struct cl_task){.daemon = daemon,
                             .space = of,
                             .id = cl_daemon_copy(id),
                             .what = CL_PREPARED_INIT,
                             .input = -1,
                             .streams = {-1, -1, -1},
                             .preparer = {.fd = -1}};
    if (task->id == NULL) {
        free(task);
        return cl_fail_memory(err);
    }
    struct cl_task **bucket = &daemon->tasks[bucket_of(id)];
    task->next = *bucket;
    *bucket = task;
    daemon->task_count++;
    *ret = task;
    return 0;
}

static void refuse_all(struct cl_rpc_call **list, const struct cl_error *why)
{
    struct cl_rpc_call *call;

    while ((call = *list) != NULL) {
        *list = call->next;
        cl_rpc_refuse(call, why);
    }
}

void cl_task_set_worker(struct cl_task *task, struct cl_worker *worker)
{
    if (task->worker != NULL)
        task->worker->users--;
    task->worker = worker;
    if (worker != NULL)
        worker->users++;
}

void cl_task_close_streams(struct cl_task *task)
{
    cl_fd_close(&task->input);
    for (size_t i = 0; i < CL_TASK_STREAMS; i++)
        cl_fd_close(&task->streams[i]);
}

/* Who prepares a task may have made its cgroup, and has been killed: when its end of the channel is
 * closed it makes nothing more. */
static void remove_group(const struct cl_task *task)
{
    const struct cl_module_group group = cl_module_group_of(task);
    struct pollfd preparer = {.fd = task->preparer.fd}; /* events 0: its end alone */

    if (!task->has_process && task->state != CL_TASK_PREPARING)
        return;
    if (preparer.fd >= 0)
        (void)cl_sys_poll(&preparer, 1, PREPARER_ENDS_MS);
    cl_module_group_remove(&group);
}

void cl_task_free(struct cl_task *task)
{
    struct cl_daemon *daemon = task->daemon;
    struct cl_task **at = &daemon->tasks[bucket_of(task->id)];
    struct cl_error why = {0};

    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    daemon->task_count--;
    if (task->state == CL_TASK_STARTS || task->state == CL_TASK_RUNS)
        cl_worker_end_now(task);
    cl_worker_leave(task);
    if (task->state == CL_TASK_PREPARING && task->pod != NULL)
        cl_sidecar_leave(task);
    cl_task_set_worker(task, NULL);
    cl_loop_remove(&daemon->loop, &task->preparer);
    cl_daemon_end_context(daemon, task); /* who prepares it */
    remove_group(task);
    cl_fd_close(&task->preparer.fd);
    (void)cl_refuse(&why, ENOENT, "container %.128s is no more", task->id);
    refuse_all(&task->creator, &why);
    refuse_all(&task->starter, &why);
    refuse_all(&task->waiters, &why);
    refuse_all(&task->askers, &why);
    cl_prepared_done(&task->what);
    cl_task_close_streams(task);
    for (size_t i = 0; i < CL_TASK_STREAMS; i++)
        free(task->paths[i]);
    free(task->pod);
    free(task->bundle);
    free(task->id);
    free(task);
}

void cl_task_refuse(struct cl_task *task, const struct cl_error *why)
{
    struct cl_rpc_call *call = task->creator;

    task->creator = NULL;
    if (call != NULL)
        cl_rpc_refuse(call, why);
    cl_task_free(task);
}

/* --- what containerd is told ----------------------------------------------------------------- */

/* That it comes is not waited for: a state that is asked for tells the same. */
static void publish(const struct cl_task *task, const char *topic, const char *type,
                    const struct cl_wire_shape *shape, const void *event)
{
    (void)cl_publish(&task->space->publisher, topic, type, shape, event);
}

void cl_task_publish_created(const struct cl_task *task)
{
    const struct cl_msg_task_io io = {task->paths[0], task->paths[1], task->paths[2], 0};
    const struct cl_msg_task_create event = {
        .container_id = task->id, .bundle = task->bundle, .io = &io, .pid = task->pid};

    publish(task, "/tasks/create", "containerd.events.TaskCreate", &cl_msg_task_create_shape,
            &event);
}

void cl_task_publish_deleted(const struct cl_task *task)
{
    const struct cl_msg_time at = cl_msg_time_of(task->exited_ns);
    const struct cl_msg_task_delete event = {.container_id = task->id,
                                             .pid = task->pid,
                                             .exit_status = task->exit_status,
                                             .exited_at = &at};

    publish(task, "/tasks/delete", "containerd.events.TaskDelete", &cl_msg_task_delete_shape,
            &event);
}

void cl_task_publish_changed(const struct cl_task *task, const char *topic, const char *type)
{
    publish(task, topic, type, &cl_msg_task_changed_shape,
            &(struct cl_msg_task_changed){.container_id = task->id});
}

/* --- how it begins --------------------------------------------------------------------------- */

/* In a pod there may be ordinary containers, too: what they run is found by their own wall. */
static int is_no_module(const struct cl_task *task, const struct cl_error *why)
{
    return task->pod[0] != '\0' &&
           (why->code == ENOEXEC || why->code == ENOENT || why->code == ENOTDIR);
}

/* Which of its tenant's two is known only now. */
static int take_processes_worker(struct cl_task *task, struct cl_error *err)
{
    struct cl_worker *worker = cl_daemon_worker(task->daemon, task->worker->tenant, 1, err);

    if (worker == NULL)
        return -ENOMEM;
    cl_task_set_worker(task, worker);
    return 0;
}

void cl_task_prepared(struct cl_task *task, int r, struct cl_prepared *what, struct cl_error *err)
{
    struct cl_rpc_call *call = task->creator;

    if (r < 0 && call != NULL && is_no_module(task, err)) {
        r = cl_sidecar_create(task, err);
        if (r == 0)
            return;
    }
    if (r == 0 && task->has_process)
        r = take_processes_worker(task, err);
    if (r < 0) {
        cl_prepared_done(what);
        cl_task_refuse(task, err);
        return;
    }
    task->creator = NULL;
    task->what = *what;
    *what = CL_PREPARED_INIT;
    task->state = CL_TASK_READY;
    task->pid = task->worker->pid != 0 ? (uint32_t)task->worker->pid : (uint32_t)getpid();
    cl_task_publish_created(task);
    if (call != NULL)
        cl_rpc_answer(call, &(struct cl_msg_pid){task->pid});
}

/* Of one with a process of its own that is seen in its cgroup, which it enters by itself: the
 * worker is asked again until it is, or so often that something else is wrong. */
static int is_there_yet(struct cl_task *task)
{
    const struct cl_module_group group = cl_module_group_of(task);

    if (!task->has_process || task->state != CL_TASK_STARTS)
        return 1;
    task->own_pid = cl_module_group_pid(&group);
    if (task->own_pid != 0 || ++task->looks >= LOOKS_MOST)
        return 1;
    cl_worker_tell(task, CL_WANT_TELL);
    return 0;
}

static void has_begun(struct cl_task *task)
{
    struct cl_rpc_call *call = task->starter;

    if (task->state != CL_TASK_STARTS)
        return;
    task->state = CL_TASK_RUNS;
    cl_prepared_done(&task->what); /* the worker has it */
    task->pid = (uint32_t)task->worker->pid;
    if (task->own_pid != 0)
        task->pid = (uint32_t)task->own_pid;
    const struct cl_msg_task_start event = {task->id, task->pid};
    publish(task, "/tasks/start", "containerd.events.TaskStart", &cl_msg_task_start_shape, &event);
    if (call == NULL)
        return;
    task->starter = NULL;
    cl_rpc_answer(call, &(struct cl_msg_pid){task->pid});
}

/* As of one that was never started; it may be tried again. */
static void has_not_begun(struct cl_task *task, const struct cl_error *why)
{
    struct cl_rpc_call *call = task->starter;

    cl_worker_leave(task);
    cl_task_close_streams(task);
    task->state = CL_TASK_READY;
    task->starter = NULL;
    if (call != NULL)
        cl_rpc_refuse(call, why);
    if (task->signal != 0) /* who told it so waits for that */
        cl_task_end(task, 128 + (uint32_t)task->signal);
}

/* --- how it ends ----------------------------------------------------------------------------- */

void cl_task_end(struct cl_task *task, uint32_t status)
{
    struct cl_rpc_call *call;

    cl_worker_leave(task);
    cl_task_close_streams(task);
    cl_prepared_done(&task->what);
    task->state = CL_TASK_ENDED;
    task->exit_status = status;
    task->exited_ns = cl_clock_wall_ns();
    const struct cl_msg_time at = cl_msg_time_of(task->exited_ns);
    const struct cl_msg_task_exit event = {.container_id = task->id,
                                           .id = task->id,
                                           .pid = task->pid,
                                           .exit_status = status,
                                           .exited_at = &at};
    publish(task, "/tasks/exit", "containerd.events.TaskExit", &cl_msg_task_exit_shape, &event);
    while ((call = task->waiters) != NULL) {
        task->waiters = call->next;
        cl_rpc_answer(call, &(struct cl_msg_waited){status, &at});
    }
    cl_task_answer_askers(task);
}

/* A line among what it wrote itself, if there is room. */
static void say(const struct cl_task *task, const char *text)
{
    char line[sizeof(((struct cl_answer *)NULL)->message) + 16];
    const int size = snprintf(line, sizeof(line), "cloister: %s\n", text);

    if (task->streams[CL_TASK_STREAMS - 1] >= 0 && text[0] != '\0')
        (void)cl_sys_write(task->streams[CL_TASK_STREAMS - 1], line,
                           cl_min_u64((uint64_t)size, sizeof(line) - 1));
}

static void take_usage(struct cl_task *task, const struct cl_answer *answer)
{
    task->cpu_ns = answer->cpu_ns;
    task->memory_bytes = answer->memory_bytes;
}

/* Whether the kernel ended it for memory. */
static void look_for_oom(const struct cl_task *task)
{
    const struct cl_module_group group = cl_module_group_of(task);

    if (cl_module_group_oom_kills(&group) > 0)
        cl_task_publish_changed(task, "/tasks/oom", "containerd.events.TaskOOM");
}

static void end_as(struct cl_task *task, const struct cl_answer *answer)
{
    uint32_t status = 128 + SIGKILL;

    if (answer->status == CL_ANSWER_EXITED)
        status = answer->code < CL_WORKER_MOST_STATUS ? answer->code : CL_WORKER_MOST_STATUS;
    else if (answer->status == CL_ANSWER_TRAPPED)
        status = 128 + SIGABRT;
    else if (answer->status == CL_ANSWER_SIGNALED && answer->code > 0 && answer->code < 65)
        status = 128 + answer->code;
    else if (answer->status == CL_ANSWER_KILLED && task->signal != 0)
        status = 128 + (uint32_t)task->signal;
    if (answer->status == CL_ANSWER_TRAPPED)
        say(task, answer->message);
    if (answer->status == CL_ANSWER_SIGNALED && task->has_process)
        look_for_oom(task);
    take_usage(task, answer);
    cl_task_end(task, status);
}

void cl_task_answered(struct cl_task *task, const struct cl_answer *answer)
{
    struct cl_error why = {0};

    switch (answer->kind) {
    case CL_ANSWER_TOLD:
        take_usage(task, answer);
        if (!is_there_yet(task))
            return;
        has_begun(task);
        cl_task_answer_askers(task);
        return;
    case CL_ANSWER_ENDED:
        has_begun(task);
        end_as(task, answer);
        return;
    case CL_ANSWER_REFUSED:
        if (task->state != CL_TASK_STARTS)
            return;
        (void)cl_refuse(&why, EIO, "the worker of the tenant %s: %s", task->worker->tenant,
                        answer->message);
        has_not_begun(task, &why);
        return;
    default:
        return; /* of no kind that is known */
    }
}

void cl_task_deserted(struct cl_task *task, const struct cl_error *err)
{
    if (task->state == CL_TASK_STARTS) {
        has_not_begun(task, err);
        return;
    }
    say(task, err->msg);
    cl_task_end(task, 128 + SIGKILL);
}

/* A module can't do anything about one, so what ends a process ends it. */
static int is_deadly(int signal)
{
    return signal > 0 && signal != SIGCHLD && signal != SIGURG && signal != SIGWINCH &&
           signal != SIGCONT && signal != SIGSTOP && signal != SIGTSTP && signal != SIGTTIN &&
           signal != SIGTTOU;
}

void cl_task_kill(struct cl_task *task, int signal)
{
    struct cl_error why = {0};

    if (!is_deadly(signal) || task->state == CL_TASK_ENDED || task->state == CL_TASK_PREPARING ||
        task->state == CL_TASK_ELSEWHERE)
        return;
    if (task->signal == 0) {
        task->signal = signal;
        task->told_ns = cl_clock_mono_ns();
    }
    if (task->state == CL_TASK_READY) {
        cl_task_end(task, 128 + (uint32_t)signal);
    } else if ((task->wants & CL_WANT_RUN) != 0) { /* its worker hasn't heard of it */
        (void)cl_refuse(&why, ECANCELED, "container %.128s was ended before it began", task->id);
        has_not_begun(task, &why);
    } else {
        cl_patience_go_on(task->worker);
        cl_worker_tell(task, CL_WANT_END);
    }
}
