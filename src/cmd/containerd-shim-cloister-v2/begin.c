/* How a process comes to be: create, exec, start. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "cmd/containerd-shim-cloister-v2/sandbox.h"
#include "containerd/wall.h"
#include "rpc/event_messages.h"
#include "rpc/sandbox_messages.h"

enum { EXEC_NAME = CL_SHIM_ID_MOST + 8 };

/* --- create ---------------------------------------------------------------------------------- */

/* Without the mounts, which nobody reads: its caller, who knows them, may have gone. */
static void publish_create(const struct cl_shim_task *task)
{
    const struct cl_shim_streams *streams = &task->first.streams;
    const struct cl_msg_task_io io = {streams->paths[CL_SHIM_IN], streams->paths[CL_SHIM_OUT],
                                      streams->paths[CL_SHIM_ERR], (uint32_t)streams->terminal};
    const struct cl_msg_task_create event = {
        .container_id = task->id,
        .bundle = task->bundle,
        .io = &io,
        .pid = (uint32_t)task->first.pid,
    };

    (void)cl_publish(&task->shim->publisher, "/tasks/create", "containerd.events.TaskCreate",
                     &cl_msg_task_create_shape, &event); /* or the state tells it */
}

static int has_been_created(struct cl_shim_task *task, struct cl_error *err)
{
    pid_t pid = 0;
    int r = cl_shim_read_pid(task->bundle, "init", &pid, err);

    if (r == 0)
        r = cl_shim_streams_begin(&task->first.streams, err);
    if (r == 0)
        cl_shim_process_is(&task->first, pid);
    return r;
}

/* Why it failed is the answer, also when its removal does. */
static void on_undone(struct cl_shim_job *job, CL_UNUSED int r, CL_UNUSED struct cl_error *err)
{
    struct cl_shim_task *task = job->task;
    struct cl_error why = {0};

    (void)cl_refuse(&why, EIO, "container %.128s was made, but its streams could not be carried",
                    task->id);
    cl_shim_answer_job(job, -EIO, NULL, &why);
    cl_shim_forget(task);
}

/* It is there, and not ours: cloister-oci takes it away again. CALL is handed on. */
static int undo_create(struct cl_shim_job *job, struct cl_error *err)
{
    const char *words[CL_SHIM_JOB_WORDS] = {"delete", "--force", job->task->id};
    struct cl_rpc_call *call = job->call;
    struct cl_shim_job *another = cl_shim_new_job(job->process, call, on_undone);

    if (call == NULL || cl_shim_start_job(another, words, cl_shim_no_streams, err) < 0)
        return -1;
    job->call = NULL;
    return 0;
}

static void on_created(struct cl_shim_job *job, int r, struct cl_error *err)
{
    struct cl_shim_task *task = job->task;

    if (r == 0) {
        r = has_been_created(task, err);
        if (r < 0 && undo_create(job, err) == 0)
            return;
    }
    if (r < 0) {
        cl_shim_answer_job(job, r, NULL, err);
        cl_shim_forget(task);
        return;
    }
    task->first.state = CL_SHIM_CREATED;
    cl_shim_task_watch(task);
    publish_create(task);
    cl_shim_answer_job(job, 0, &(struct cl_msg_pid){(uint32_t)task->first.pid}, err);
    cl_shim_go_on(task);
}

/* runc's options, as containerd passes them on; what changes nothing here is passed over. */
struct runc_options {
    uint32_t no_new_keyring;
    uint32_t systemd_cgroup;
};
static const struct cl_wire_field runc_rows[] = {
    CL_WIRE_ROW(2, U32, runc_options, no_new_keyring),
    CL_WIRE_ROW(9, U32, runc_options, systemd_cgroup),
};
static const struct cl_wire_shape runc_shape = CL_WIRE_SHAPE("Options", runc_options, runc_rows);

/* The CRI's for runtimes that aren't runc: the options of its configuration, as TOML. */
struct cri_options {
    const char *type_url;
    const char *path;
    const char *body;
};
static const struct cl_wire_field cri_rows[] = {
    CL_WIRE_ROW(1, TEXT, cri_options, type_url),
    CL_WIRE_ROW(2, TEXT, cri_options, path),
    CL_WIRE_ROW(3, TEXT, cri_options, body),
};
static const struct cl_wire_shape cri_shape = CL_WIRE_SHAPE("Options", cri_options, cri_rows);

/* Whether a line of BODY is "KEY = true". */
static int is_true(const char *body, const char *key)
{
    for (const char *line = body; line != NULL; line = strchr(line, '\n')) {
        line += strspn(line, "\n \t");
        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        const char *value = line + strlen(key);

        value += strspn(value, " \t");
        if (*value == '=' && strncmp(value + 1 + strspn(value + 1, " \t"), "true", 4) == 0)
            return 1;
    }
    return 0;
}

static int take_cri_options(struct cl_shim_task *task, struct cl_rpc_call *call,
                            const struct cl_msg_any *any, struct cl_error *err)
{
    struct cri_options options = {0};
    enum cl_pod_wall wall = CL_POD_CONTAINER;
    int r = cl_wire_read(&cri_shape, &any->value, &call->arena, &options, err);

    if (r == 0)
        r = cl_wall_of_options(options.body, &wall, err);
    if (r < 0)
        return r;
    if (wall != CL_POD_CONTAINER && task->stand_in == 0)
        return cl_refuse(err, ENOTSUP,
                         "the options of the runtime: a shim has the wall container alone; pods of "
                         "modules are cloisterd's: sandboxer = \"cloister\"");
    task->no_new_keyring = is_true(options.body, "NoNewKeyring");
    task->systemd = is_true(options.body, "SystemdCgroup");
    return 0;
}

static int take_options(struct cl_shim_task *task, struct cl_rpc_call *call,
                        const struct cl_msg_any *any, struct cl_error *err)
{
    struct runc_options options = {0};

    if (any == NULL || strcmp(any->type_url, "") == 0)
        return 0;
    if (strcmp(any->type_url, "runtimeoptions.v1.Options") == 0)
        return take_cri_options(task, call, any, err);
    if (strcmp(any->type_url, "containerd.runc.v1.Options") != 0)
        return cl_refuse(err, EINVAL, "options of the type %.100s aren't known", any->type_url);
    int r = cl_wire_read(&runc_shape, &any->value, &call->arena, &options, err);
    task->no_new_keyring = (int)options.no_new_keyring;
    task->systemd = (int)options.systemd_cgroup;
    return r;
}

/* cloisterd's, around those of containerd. */
static int take_pod_options(struct cl_shim_task *task, struct cl_rpc_call *call,
                            struct cl_error *err)
{
    const struct cl_msg_create *request = call->request;
    struct cl_msg_pod_options options = {0};

    if (request->options == NULL ||
        strcmp(request->options->type_url, CL_MSG_POD_OPTIONS_TYPE) != 0)
        return take_options(task, call, request->options, err);
    int r = cl_wire_read(&cl_msg_pod_options_shape, &request->options->value, &call->arena,
                         &options, err);
    task->stand_in = options.stand_in;
    return r < 0 ? r : take_options(task, call, options.options, err);
}

static int fill_task(struct cl_shim_task *task, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_create *request = call->request;
    const char *const paths[CL_SHIM_STREAMS] = {request->in, request->out, request->error};

    int r = cl_shim_task_set_bundle(task, request->bundle, err);

    if (r == 0)
        r = take_pod_options(task, call, err);
    if (r == 0)
        r = cl_shim_process_set_streams(&task->first, paths, (int)request->terminal, err);
    if (r == 0)
        r = cl_bundle_mount(task->bundle, &request->rootfs, err);
    if (r < 0)
        return r;
    task->is_mounted = 1;
    return cl_shim_streams_open(&task->first, err);
}

static int run_create(struct cl_shim_task *task, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_shim_streams *streams = &task->first.streams;
    const char *pid_file = cl_arena_printf(&call->arena, "%s/init.pid", task->bundle);
    const char *pod = cl_shim_sandbox_bundle(task->shim);
    const char *files = pod == NULL ? "" : cl_arena_printf(&call->arena, "%s/pod", pod);
    const char *pids = cl_arena_printf(&call->arena, "%u:%d", task->stand_in,
                                       (int)cl_shim_sandbox_pid(task->shim));
    const char *words[CL_SHIM_JOB_WORDS] = {NULL};
    size_t count = 0;

    if (pid_file == NULL || files == NULL || pids == NULL)
        return cl_fail_memory(err);
    if (task->systemd)
        words[count++] = "--systemd-cgroup";
    words[count++] = "create";
    words[count++] = "--bundle";
    words[count++] = task->bundle;
    words[count++] = "--pid-file";
    words[count++] = pid_file;
    if (task->no_new_keyring)
        words[count++] = "--no-new-keyring";
    if (pod != NULL) {
        words[count++] = "--pod-files";
        words[count++] = files;
    }
    if (task->stand_in != 0) {
        words[count++] = "--pod-process";
        words[count++] = pids;
    }
    if (streams->terminal) {
        words[count++] = "--console-socket";
        words[count++] = streams->console_path;
    }
    words[count] = task->id;
    return cl_shim_start_job(cl_shim_new_job(&task->first, call, on_created), words,
                             streams->theirs, err);
}

int cl_shim_serve_create(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_create *request = call->request;
    struct cl_shim *shim = call->context;
    struct cl_shim_task *task = NULL;
    int r = cl_containerd_check_create(request, err);

    if (r < 0)
        return r;
    if (cl_shim_sandbox_leaves(shim))
        return cl_refuse(err, EBUSY, "the sandbox is being shut down");
    if (cl_shim_find_task(shim, request->id) != NULL)
        return cl_refuse(err, EEXIST, "container %s is there already", request->id);
    r = cl_shim_task_new(shim, request->id, &task, err);
    if (r < 0)
        return r;
    r = fill_task(task, call, err);
    if (r == 0)
        r = run_create(task, call, err);
    if (r < 0)
        cl_shim_forget(task);
    return r;
}

/* --- start ----------------------------------------------------------------------------------- */

static void has_begun(struct cl_shim_process *process)
{
    const struct cl_shim_task *task = process->task;

    process->state = CL_SHIM_RUNNING;
    if (process != &task->first) {
        cl_shim_publish_changed(task, "/tasks/exec-started", "containerd.events.TaskExecStarted",
                                process);
        return;
    }
    const struct cl_msg_task_start event = {task->id, (uint32_t)process->pid};
    (void)cl_publish(&task->shim->publisher, "/tasks/start", "containerd.events.TaskStart",
                     &cl_msg_task_start_shape, &event); /* or the state tells it */
}

static int exec_has_begun(struct cl_shim_process *process, struct cl_error *err)
{
    pid_t pid = 0;
    char name[EXEC_NAME];

    (void)snprintf(name, sizeof(name), "exec-%s", process->exec_id);
    int r = cl_shim_read_pid(process->task->bundle, name, &pid, err);
    if (r < 0)
        return r;
    r = cl_shim_streams_begin(&process->streams, err);
    if (r < 0)
        (void)cl_sys_kill(pid, SIGKILL); /* nobody would hear of it; it is our child */
    else
        cl_shim_process_is(process, pid);
    return r;
}

/* The bundle is as a rule on a tmpfs of the host's. */
static void remove_files(const struct cl_shim_process *process)
{
    static const char *const kinds[] = {"json", "pid"};
    char path[CL_SHIM_PATH];

    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        (void)snprintf(path, sizeof(path), "%s/exec-%s.%s", process->task->bundle, process->exec_id,
                       kinds[i]);
        (void)cl_sys_unlinkat(AT_FDCWD, path, 0); /* gone is fine */
    }
}

static void on_started(struct cl_shim_job *job, int r, struct cl_error *err)
{
    struct cl_shim_process *process = job->process;
    struct cl_shim_task *task = job->task;
    const int is_first = process == &task->first;

    if (r == 0 && !is_first)
        r = exec_has_begun(process, err);
    if (!is_first)
        remove_files(process);
    if (r < 0 && !is_first)
        cl_shim_streams_done(&process->streams);
    if (r < 0)
        process->state = is_first ? CL_SHIM_CREATED : CL_SHIM_NEW;
    else
        has_begun(process);
    cl_shim_answer_job(job, r, &(struct cl_msg_pid){(uint32_t)process->pid}, err);
    cl_shim_process_settle(process);
    cl_shim_go_on(task);
}

static int run_exec(struct cl_shim_process *process, struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_shim_task *task = process->task;
    const char *pid_file =
        cl_arena_printf(&call->arena, "%s/exec-%s.pid", task->bundle, process->exec_id);
    const char *spec =
        cl_arena_printf(&call->arena, "%s/exec-%s.json", task->bundle, process->exec_id);
    const char *words[CL_SHIM_JOB_WORDS] = {"exec", "--detach",   "--process",
                                            spec,   "--pid-file", pid_file};
    size_t count = 6;

    if (pid_file == NULL || spec == NULL)
        return cl_fail_memory(err);
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, spec, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? fd : cl_write_all(fd, process->spec, process->spec_size);
    if (r < 0)
        return cl_fail(err, r, "write %.200s", spec);
    r = cl_shim_streams_open(process, err);
    if (r == 0) {
        if (process->streams.terminal) {
            words[count++] = "--console-socket";
            words[count++] = process->streams.console_path;
        }
        words[count] = task->id;
        r = cl_shim_start_job(cl_shim_new_job(process, call, on_started), words,
                              process->streams.theirs, err);
    }
    if (r < 0)
        cl_shim_streams_done(&process->streams);
    return r;
}

int cl_shim_serve_start(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    struct cl_shim_process *process;
    int r = cl_shim_take_turn(call, request->id, request->exec_id, &process, err);

    if (r != 0)
        return r;
    struct cl_shim_task *task = process->task;
    const int is_first = process == &task->first;
    if (process->state != (is_first ? CL_SHIM_CREATED : CL_SHIM_NEW))
        return cl_refuse(err, EALREADY, "it has been started already");
    const char *words[CL_SHIM_JOB_WORDS] = {"start", task->id};
    r = is_first ? cl_shim_start_job(cl_shim_new_job(process, call, on_started), words,
                                     cl_shim_no_streams, err)
                 : run_exec(process, call, err);
    if (r >= 0)
        process->state = CL_SHIM_STARTING;
    return r;
}

/* --- exec ------------------------------------------------------------------------------------ */

static int fill_exec(struct cl_shim_process *process, const struct cl_msg_exec *request,
                     struct cl_error *err)
{
    const char *const paths[CL_SHIM_STREAMS] = {request->in, request->out, request->error};

    process->spec = cl_calloc(1, request->spec->value.size + 1);
    if (process->spec == NULL)
        return cl_fail_memory(err);
    process->spec_size = request->spec->value.size;
    memcpy(process->spec, request->spec->value.data, process->spec_size);
    return cl_shim_process_set_streams(process, paths, (int)request->terminal, err);
}

int cl_shim_serve_exec(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_exec *request = call->request;
    struct cl_shim_process *process = cl_shim_need_process(call->context, request->id, "", err);

    if (process == NULL)
        return -ENOENT;
    struct cl_shim_task *task = process->task;
    if (process->state == CL_SHIM_NEW)
        return cl_shim_wait_for_turn(task, call); /* that it is there is told first */
    int r = cl_containerd_check_id(request->exec_id, "exec_id", err);
    if (r < 0)
        return r;
    if (process->state == CL_SHIM_STOPPED)
        return cl_refuse(err, EALREADY, "the container has ended");
    if (request->spec == NULL)
        return cl_refuse(err, EINVAL, "exec: no such process can be made");
    if (cl_shim_find_process(task, request->exec_id) != NULL)
        return cl_refuse(err, EEXIST, "process %s is there already", request->exec_id);
    r = cl_shim_process_new(task, request->exec_id, &process, err);
    if (r < 0)
        return r;
    r = fill_exec(process, request, err);
    if (r < 0) {
        cl_shim_process_free(process);
        return r;
    }
    cl_shim_publish_changed(task, "/tasks/exec-added", "containerd.events.TaskExecAdded", process);
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}
