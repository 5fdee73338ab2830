/* The task service, versions 2 and 3, for containers that are guests of a worker. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/group.h"
#include "containerd/stdio.h"

enum { METRICS_MOST = 4096, NS_PER_US = 1000, POD_NAME_FILE_MOST = CL_CONTAINERD_ID_MOST };

/* The task that CALL is about; NULL, with a message. Each request begins with its names. */
static struct cl_task *need_task(const struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    struct cl_task *task = cl_daemon_find_task(call->context, call->space, request->id);

    if (task == NULL)
        (void)cl_refuse(err, ENOENT, "container %.128s: there is none", request->id);
    return task;
}

/* The same, of its first process: a module has no second one. */
static struct cl_task *need_first(const struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    struct cl_task *task = need_task(call, err);

    if (task == NULL || request->exec_id[0] == '\0')
        return task;
    (void)cl_refuse(err, ENOENT, "process %.128s: there is none", request->exec_id);
    return NULL;
}

static int answer_empty(struct cl_rpc_call *call)
{
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

static void leave_list(struct cl_rpc_call **list, struct cl_rpc_call *call)
{
    while (*list != call)
        list = &(*list)->next;
    *list = call->next;
}

static int keep(struct cl_rpc_call *call, struct cl_task *task, struct cl_rpc_call **list,
                void (*on_gone)(struct cl_rpc_call *))
{
    call->keeper = task;
    call->on_gone = on_gone;
    call->next = *list;
    *list = call;
    return CL_RPC_KEPT;
}

/* --- create ---------------------------------------------------------------------------------- */

/* Its work goes on: who asks for the state sees what came of it. */
static void leave_creator(struct cl_rpc_call *call)
{
    struct cl_task *task = call->keeper;

    task->creator = NULL;
}

/* containerd says by a file in the bundle of which sandbox a container is. */
static int read_pod(struct cl_task *task, struct cl_error *err)
{
    char path[CL_BUNDLE_PATH];
    char name[POD_NAME_FILE_MOST + 1] = "";

    if (snprintf(path, sizeof(path), "%s/sandbox", task->bundle) >= (int)sizeof(path))
        return cl_refuse(err, ENAMETOOLONG, "the bundle's name is too long");
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd >= 0 && cl_sys_read(fd, name, sizeof(name) - 1) < 0)
        name[0] = '\0';
    task->pod = cl_daemon_copy(name);
    return task->pod == NULL ? cl_fail_memory(err) : 0;
}

static int find_worker(struct cl_task *task, struct cl_error *err)
{
    const struct cl_pod *pod = cl_daemon_find_pod(task->daemon, task->space->name, task->pod);
    char tenant[CL_TENANT_SIZE];

    if (task->pod[0] != '\0' && pod == NULL)
        return cl_refuse(err, ENOENT, "there is no sandbox %.128s", task->pod);
    if (pod != NULL && (!pod->is_started || pod->exited_ns != 0))
        return cl_refuse(err, EBUSY, "the sandbox %.128s doesn't run", task->pod);
    cl_daemon_name_tenant(task->space->name, "", tenant);
    struct cl_worker *worker =
        cl_daemon_worker(task->daemon, pod == NULL ? tenant : pod->tenant, 0, err);
    if (worker == NULL)
        return -ENOMEM;
    cl_task_set_worker(task, worker);
    return 0;
}

static int fill(struct cl_task *task, const struct cl_msg_create *request, struct cl_error *err)
{
    const char *const paths[CL_TASK_STREAMS] = {request->in, request->out, request->error};

    task->bundle = cl_daemon_copy(request->bundle);
    for (size_t i = 0; i < CL_TASK_STREAMS; i++)
        task->paths[i] = cl_daemon_copy(paths[i]);
    if (task->bundle == NULL || task->paths[0] == NULL || task->paths[1] == NULL ||
        task->paths[2] == NULL)
        return cl_fail_memory(err);
    int r = read_pod(task, err);
    return r < 0 ? r : find_worker(task, err);
}

/* containerd's namespace: where it names none (1.6) it is that of its bundles, .../NAMESPACE/ID. */
static const char *space_of(struct cl_rpc_call *call)
{
    const struct cl_msg_create *request = call->request;
    const char *last = strrchr(request->bundle, '/');
    const char *before = last;

    if (call->space[0] != '\0' || last == NULL || strcmp(last + 1, request->id) != 0)
        return call->space;
    while (before > request->bundle && before[-1] != '/')
        before--;
    const char *space = cl_arena_strndup(&call->arena, before, (size_t)(last - before));
    return space == NULL ? "" : space;
}

static int check_create(const struct cl_rpc_call *call, const char *space, struct cl_error *err)
{
    const struct cl_msg_create *request = call->request;
    int r = cl_containerd_check_create(request, err);

    if (r < 0)
        return r;
    if (cl_daemon_find_task(call->context, space, request->id) != NULL)
        return cl_refuse(err, EEXIST, "container %s is there already", request->id);
    return 0;
}

int cl_task_serve_create(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_create *request = call->request;
    struct cl_prepared known = CL_PREPARED_INIT;
    struct cl_task *task;
    const char *space = space_of(call);
    int r = check_create(call, space, err);

    if (r == 0)
        r = cl_task_new(call->context, space, request->id, &task, err);
    if (r < 0)
        return r;
    r = fill(task, request, err);
    task->wants_terminal = request->terminal != 0;
    if (r == 0 && request->rootfs.count == 0 && !task->wants_terminal &&
        cl_recent_find(task, &known)) {
        task->creator = call;
        cl_task_prepared(task, 0, &known, err);
        return 0;
    }
    if (r == 0)
        r = cl_prepare_start(task, &request->rootfs, err);
    if (r < 0) {
        cl_task_free(task);
        return r;
    }
    return keep(call, task, &task->creator, leave_creator);
}

/* --- start ----------------------------------------------------------------------------------- */

static void leave_starter(struct cl_rpc_call *call)
{
    struct cl_task *task = call->keeper;

    task->starter = NULL;
}

static int open_streams(struct cl_task *task, struct cl_error *err)
{
    for (size_t i = 0; i < CL_TASK_STREAMS; i++) {
        if (task->paths[i][0] == '\0')
            continue;
        task->streams[i] = cl_containerd_open_stream(i == 0, task->paths[i], err);
        if (task->streams[i] < 0)
            return task->streams[i];
    }
    if (task->streams[0] < 0)
        return 0;
    /* Who reads from a FIFO that nobody has opened for writing is at its end. */
    task->input = cl_sys_openat(AT_FDCWD, task->paths[0], O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
    return task->input < 0 ? cl_fail(err, task->input, "open %.200s", task->paths[0]) : 0;
}

int cl_task_serve_start(struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_task *task = need_first(call, err);

    if (task == NULL)
        return -ENOENT;
    if (task->state != CL_TASK_READY)
        return cl_refuse(err, EALREADY,
                         task->state == CL_TASK_PREPARING ? "it is being created"
                                                          : "it has been started already");
    int r = open_streams(task, err);
    if (r < 0) {
        cl_task_close_streams(task);
        return r;
    }
    task->state = CL_TASK_STARTS;
    r = keep(call, task, &task->starter, leave_starter);
    cl_worker_tell(task, CL_WANT_RUN | CL_WANT_TELL); /* by what it tells it is known to run */
    return r;
}

/* --- its end --------------------------------------------------------------------------------- */

int cl_task_serve_kill(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_kill *request = call->request;
    struct cl_task *task = need_first(call, err);

    if (task == NULL)
        return -ENOENT;
    if (request->signal > 64)
        return cl_refuse(err, EINVAL, "signal: there is none of the number %u", request->signal);
    if (task->state == CL_TASK_ENDED)
        return cl_refuse(err, ESRCH, "process already finished");
    if (task->state == CL_TASK_PREPARING)
        return cl_refuse(err, EBUSY, "it is being created");
    cl_task_kill(task, (int)request->signal);
    return answer_empty(call);
}

/* Nobody has heard of it yet: its creator is refused, and there are no events. */
static int delete_unprepared(struct cl_task *task, struct cl_rpc_call *call)
{
    const struct cl_msg_time at = cl_msg_time_of(cl_clock_wall_ns());

    cl_rpc_answer(call, &(struct cl_msg_deleted){0, 128 + SIGKILL, &at});
    cl_task_free(task);
    return 0;
}

int cl_task_serve_delete(struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_task *task = need_first(call, err);

    if (task == NULL)
        return -ENOENT;
    if (task->state == CL_TASK_PREPARING)
        return delete_unprepared(task, call);
    if (task->state == CL_TASK_READY)
        cl_task_kill(task, SIGKILL);
    if (task->state != CL_TASK_ENDED)
        return cl_refuse(err, EALREADY, "the process still runs");
    const struct cl_msg_time at = cl_msg_time_of(task->exited_ns);
    const struct cl_msg_deleted last = {task->pid, task->exit_status, &at};
    cl_task_publish_deleted(task);
    cl_task_free(task); /* whose cgroup is gone when it is answered */
    cl_rpc_answer(call, &last);
    return 0;
}

static void leave_waiters(struct cl_rpc_call *call)
{
    leave_list(&((struct cl_task *)call->keeper)->waiters, call);
}

int cl_task_serve_wait(struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_task *task = need_first(call, err);

    if (task == NULL)
        return -ENOENT;
    if (task->state != CL_TASK_ENDED)
        return keep(call, task, &task->waiters, leave_waiters);
    const struct cl_msg_time at = cl_msg_time_of(task->exited_ns);
    cl_rpc_answer(call, &(struct cl_msg_waited){task->exit_status, &at});
    return 0;
}

/* --- what is asked --------------------------------------------------------------------------- */

static enum cl_task_status status_of(const struct cl_task *task)
{
    static const enum cl_task_status statuses[] = {
        [CL_TASK_PREPARING] = CL_TASK_CREATED, [CL_TASK_READY] = CL_TASK_CREATED,
        [CL_TASK_STARTS] = CL_TASK_CREATED,    [CL_TASK_RUNS] = CL_TASK_RUNNING,
        [CL_TASK_ENDED] = CL_TASK_STOPPED,     [CL_TASK_ELSEWHERE] = CL_TASK_UNKNOWN,
    };

    return task->state == CL_TASK_RUNS && task->is_paused ? CL_TASK_PAUSED : statuses[task->state];
}

int cl_task_serve_state(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_task *task = need_first(call, err);

    if (task == NULL)
        return -ENOENT;
    const struct cl_msg_time at = cl_msg_time_of(task->exited_ns);
    cl_rpc_answer(call, &(struct cl_msg_state){
                            .id = task->id,
                            .bundle = task->bundle,
                            .pid = task->pid,
                            .status = status_of(task),
                            .in = task->paths[0],
                            .out = task->paths[1],
                            .error = task->paths[2],
                            .exit_status = task->exit_status,
                            .exited_at = task->state == CL_TASK_ENDED ? &at : NULL,
                        });
    return 0;
}

int cl_task_serve_pids(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_task *task = need_task(call, err);

    if (task == NULL)
        return -ENOENT;
    const struct cl_msg_process process = {.pid = task->pid};
    cl_rpc_answer(call, &(struct cl_msg_pids){{&process, task->state == CL_TASK_RUNS ? 1 : 0}});
    return 0;
}

int cl_task_serve_connect(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_task *task = need_task(call, err);

    if (task == NULL)
        return -ENOENT;
    cl_rpc_answer(call, &(struct cl_msg_connected){.shim_pid = (uint32_t)getpid(),
                                                   .task_pid = task->pid,
                                                   .version = CL_VERSION});
    return 0;
}

/* --- stats ----------------------------------------------------------------------------------- */

/* Of containerd's metrics those that a module has.
 * Source: github.com/containerd/cgroups, cgroup2/stats/metrics.proto. */
struct cpu {
    uint64_t usage_us, user_us;
};
static const struct cl_wire_field cpu_rows[] = {CL_WIRE_ROW(1, U64, cpu, usage_us),
                                                CL_WIRE_ROW(2, U64, cpu, user_us)};
static const struct cl_wire_shape cpu_shape = CL_WIRE_SHAPE("CPUStat", cpu, cpu_rows);
struct memory {
    uint64_t anon, usage;
};
static const struct cl_wire_field memory_rows[] = {CL_WIRE_ROW(1, U64, memory, anon),
                                                   CL_WIRE_ROW(32, U64, memory, usage)};
static const struct cl_wire_shape memory_shape = CL_WIRE_SHAPE("MemoryStat", memory, memory_rows);
struct tasks {
    uint64_t current;
};
static const struct cl_wire_field tasks_rows[] = {CL_WIRE_ROW(1, U64, tasks, current)};
static const struct cl_wire_shape tasks_shape = CL_WIRE_SHAPE("PidsStat", tasks, tasks_rows);
struct metrics {
    const struct tasks *tasks;
    const struct cpu *cpu;
    const struct memory *memory;
};
static const struct cl_wire_field metrics_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, metrics, tasks, &tasks_shape),
    CL_WIRE_INNER(2, MESSAGE, metrics, cpu, &cpu_shape),
    CL_WIRE_INNER(4, MESSAGE, metrics, memory, &memory_shape),
};
static const struct cl_wire_shape metrics_shape = CL_WIRE_SHAPE("Metrics", metrics, metrics_rows);

static int tell(const struct cl_task *task, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_module_group group = cl_module_group_of(task);
    uint64_t cpu_ns = task->cpu_ns;
    uint64_t bytes_used = task->memory_bytes;

    if (task->has_process)
        cl_module_group_usage(&group, &cpu_ns, &bytes_used);
    const struct cpu cpu = {cpu_ns / NS_PER_US, cpu_ns / NS_PER_US};
    const struct memory memory = {bytes_used, bytes_used};
    const struct tasks tasks = {task->state == CL_TASK_RUNS ? 1 : 0};
    const struct metrics metrics = {&tasks, &cpu, &memory};
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(METRICS_MOST);
    int r = cl_wire_write(&metrics_shape, &metrics, &bytes);

    if (r < 0)
        return cl_fail(err, r, "write what %s uses", task->id);
    const struct cl_msg_any any = {"io.containerd.cgroups.v2.Metrics",
                                   {cl_buf_text(&bytes), bytes.size}};
    cl_rpc_answer(call, &(struct cl_msg_stats){&any});
    return 0;
}

void cl_task_answer_askers(struct cl_task *task)
{
    struct cl_rpc_call *call;

    while ((call = task->askers) != NULL) {
        struct cl_error err = {0};

        task->askers = call->next;
        if (tell(task, call, &err) < 0)
            cl_rpc_refuse(call, &err);
    }
}

static void leave_askers(struct cl_rpc_call *call)
{
    leave_list(&((struct cl_task *)call->keeper)->askers, call);
}

int cl_task_serve_stats(struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_task *task = need_task(call, err);

    if (task == NULL)
        return -ENOENT;
    if (task->state != CL_TASK_RUNS)
        return tell(task, call, err);
    const int is_asked = task->askers != NULL;
    int r = keep(call, task, &task->askers, leave_askers);
    if (!is_asked)
        cl_worker_tell(task, CL_WANT_TELL);
    return r;
}

/* --- the rest -------------------------------------------------------------------------------- */

static int pause_or_resume(struct cl_rpc_call *call, int is_pause, struct cl_error *err)
{
    struct cl_task *task = need_task(call, err);

    if (task == NULL)
        return -ENOENT;
    if (task->state != CL_TASK_RUNS || task->is_paused == is_pause)
        return cl_refuse(err, EALREADY,
                         is_pause ? "the container doesn't run" : "the container isn't paused");
    task->is_paused = is_pause;
    cl_task_publish_changed(task, is_pause ? "/tasks/paused" : "/tasks/resumed",
                            is_pause ? "containerd.events.TaskPaused"
                                     : "containerd.events.TaskResumed");
    (void)answer_empty(call);
    task->wants &= ~(unsigned int)(is_pause ? CL_WANT_CONTINUE : CL_WANT_PAUSE);
    cl_worker_tell(task, is_pause ? CL_WANT_PAUSE : CL_WANT_CONTINUE);
    return 0;
}

int cl_task_serve_pause(struct cl_rpc_call *call, struct cl_error *err)
{
    return pause_or_resume(call, 1, err);
}

int cl_task_serve_resume(struct cl_rpc_call *call, struct cl_error *err)
{
    return pause_or_resume(call, 0, err);
}

int cl_task_serve_close_io(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_close_io *request = call->request;
    struct cl_task *task = need_first(call, err);

    if (task == NULL)
        return -ENOENT;
    if (request->in)
        cl_fd_close(&task->input);
    return answer_empty(call);
}

/* containerd says so to a shim whose last container has gone: the daemon has other pods. */
int cl_task_serve_shutdown(struct cl_rpc_call *call, CL_UNUSED struct cl_error *err)
{
    return answer_empty(call);
}

int cl_task_serve_checkpoint(CL_UNUSED struct cl_rpc_call *call, struct cl_error *err)
{
    return cl_refuse(err, ENOSYS, "no container can be saved");
}

int cl_task_serve_exec(struct cl_rpc_call *call, struct cl_error *err)
{
    return need_task(call, err) == NULL
               ? -ENOENT
               : cl_refuse(err, ENOSYS, "a WebAssembly module has no second process");
}

int cl_task_serve_resize(struct cl_rpc_call *call, struct cl_error *err)
{
    return need_task(call, err) == NULL
               ? -ENOENT
               : cl_refuse(err, ENOSYS, "a WebAssembly module has no terminal");
}

int cl_task_serve_update(struct cl_rpc_call *call, struct cl_error *err)
{
    return need_task(call, err) == NULL
               ? -ENOENT
               : cl_refuse(err, ENOSYS,
                           "the limits of a WebAssembly module are those of its start");
}
