/* The sandbox service: a pod that containerd's CRI has us make (`sandboxer = "shim"`), from its
 * creation to the shim's end.
 *
 * A shim has one sandbox, or none. What it is made of is decided when it is created, and made when
 * it is started: the process that holds its namespaces (pod.h). From then on it is ready until that
 * process ends, by StopSandbox or by itself. ShutdownSandbox removes what is left, its containers
 * too, and ends the shim. UpdateSandbox isn't among the methods: nothing of a pod changes here, and
 * containerd takes that for an answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "cmd/containerd-shim-cloister-v2/pod.h"
#include "cmd/containerd-shim-cloister-v2/sandbox.h"
#include "containerd/wall.h"
#include "rpc/sandbox_messages.h"

enum { CONFIG_MOST = 8 << 20 };
static const uint64_t AGAIN_NS = 100 * CL_NS_PER_MS;
/* For who asked for the end to hang up: containerd's client may lose an answer that comes together
 * with the connection's end. */
static const uint64_t FAREWELL_NS = CL_NS_PER_S;
static const uint64_t LOOK_NS = 10 * CL_NS_PER_MS;

/* --- what there is -------------------------------------------------------------------------------
 */

struct cl_shim_sandbox *cl_shim_sandbox_need(const struct cl_rpc_call *call, const char *id,
                                             struct cl_error *err)
{
    const struct cl_shim *shim = call->context;
    struct cl_shim_sandbox *sandbox = shim->sandbox;

    if (sandbox != NULL && strcmp(sandbox->id, id) == 0)
        return sandbox;
    (void)cl_refuse(err, ENOENT, "sandbox %.128s: there is none here", id);
    return NULL;
}

static void forget_plan(struct cl_shim_sandbox *sandbox)
{
    cl_pod_done(&sandbox->pod);
    cl_arena_done(&sandbox->arena);
}

static void free_sandbox(struct cl_shim_sandbox *sandbox)
{
    forget_plan(sandbox);
    cl_pod_remove_files(sandbox->bundle);
    sandbox->shim->sandbox = NULL;
    free(sandbox);
}

const char *cl_shim_sandbox_bundle(const struct cl_shim *shim)
{
    return shim->sandbox == NULL ? NULL : shim->sandbox->bundle;
}

pid_t cl_shim_sandbox_pid(const struct cl_shim *shim)
{
    return shim->sandbox == NULL ? 0 : shim->sandbox->pid;
}

int cl_shim_sandbox_leaves(const struct cl_shim *shim)
{
    return shim->leaves_ns != 0 || (shim->sandbox != NULL && shim->sandbox->is_leaving);
}

void cl_shim_sandbox_done(struct cl_shim *shim)
{
    if (shim->sandbox != NULL)
        free_sandbox(shim->sandbox);
}

/* --- calls that wait -----------------------------------------------------------------------------
 */

static void leave_list(struct cl_rpc_call *call)
{
    struct cl_rpc_call **at = call->keeper;

    while (*at != NULL && *at != call)
        at = &(*at)->next;
    if (*at != NULL)
        *at = call->next;
}

int cl_shim_sandbox_keep(struct cl_rpc_call **list, struct cl_rpc_call *call)
{
    call->keeper = list;
    call->on_gone = leave_list;
    call->next = *list;
    *list = call;
    return CL_RPC_KEPT;
}

static void answer_all(struct cl_rpc_call **list, const void *response)
{
    struct cl_rpc_call *call;

    while ((call = *list) != NULL) {
        *list = call->next;
        cl_rpc_answer(call, response);
    }
}

/* --- its end -------------------------------------------------------------------------------------
 */

static void has_ended(struct cl_shim_sandbox *sandbox, uint32_t exit_status)
{
    forget_plan(sandbox); /* of one that was never started */
    sandbox->state = CL_SHIM_SANDBOX_ENDED;
    sandbox->pid = 0;
    sandbox->exit_status = exit_status;
    sandbox->exited_ns = cl_clock_wall_ns();
    const struct cl_msg_time at = cl_msg_time_of(sandbox->exited_ns);
    answer_all(&sandbox->waiters, &(struct cl_msg_waited){sandbox->exit_status, &at});
    answer_all(&sandbox->stoppers, &(struct cl_msg_empty){0});
}

int cl_shim_sandbox_ended(struct cl_shim *shim, pid_t pid, int status)
{
    struct cl_shim_sandbox *sandbox = shim->sandbox;

    if (sandbox == NULL || sandbox->pid != pid)
        return 0;
    has_ended(sandbox, WIFSIGNALED(status) ? 128 + (uint32_t)WTERMSIG(status)
                                           : (uint32_t)WEXITSTATUS(status));
    cl_shim_sandbox_go_on(shim);
    return 1;
}

/* Of one that was never started there is nothing to wait for. */
static void end_holder(struct cl_shim_sandbox *sandbox)
{
    if (sandbox->pid != 0)
        (void)cl_sys_kill(sandbox->pid, SIGKILL); /* our child: it is that one */
    else if (sandbox->state != CL_SHIM_SANDBOX_ENDED)
        has_ended(sandbox, 0);
}

/* Who deletes the task afterwards learns how that went. */
static void on_killed(CL_UNUSED struct cl_shim_job *job, CL_UNUSED int r,
                      CL_UNUSED struct cl_error *err)
{
}

static void end_tasks(struct cl_shim *shim)
{
    for (struct cl_shim_task *task = shim->tasks; task != NULL; task = task->next) {
        const char *words[CL_SHIM_JOB_WORDS] = {"kill", "--all", task->id, "9"};
        struct cl_error ignored = {0};

        if (task->first.state != CL_SHIM_NEW && task->first.state != CL_SHIM_STOPPED)
            (void)cl_shim_start_beside(cl_shim_new_job(&task->first, NULL, on_killed), words,
                                       &ignored); /* they may end by another way */
    }
}

int cl_shim_sandbox_stop(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_stop *request = call->request;
    struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);

    if (sandbox == NULL)
        return -ENOENT;
    end_tasks(sandbox->shim);
    if (sandbox->pid == 0) {
        end_holder(sandbox);
        cl_rpc_answer(call, &(struct cl_msg_empty){0});
        return 0;
    }
    end_holder(sandbox);
    return cl_shim_sandbox_keep(&sandbox->stoppers, call);
}

/* --- the shim's end ------------------------------------------------------------------------------
 */

/* What could not be removed containerd has removed once more, when the shim has gone. */
static void on_removed(struct cl_shim_job *job, int r, CL_UNUSED struct cl_error *err)
{
    struct cl_shim *shim = job->shim;

    if (job->task != NULL && r == 0)
        cl_shim_task_is_removed(job->task);
    else if (job->task != NULL)
        cl_shim_forget(job->task);
    cl_shim_sandbox_go_on(shim);
}

/* Those to whom something is being done come when that has been. */
static void remove_tasks(struct cl_shim *shim)
{
    struct cl_shim_task *next;

    for (struct cl_shim_task *task = shim->tasks; task != NULL; task = next) {
        const char *words[CL_SHIM_JOB_WORDS] = {"delete", "--force", task->id};
        struct cl_error ignored = {0};

        next = task->next;
        if (task->job != NULL)
            continue;
        if (cl_shim_start_job(cl_shim_new_job(&task->first, NULL, on_removed), words,
                              cl_shim_no_streams, &ignored) < 0)
            cl_shim_forget(task);
    }
}

/* All is gone, and told to those who asked. */
static void say_farewell(struct cl_shim *shim)
{
    if (shim->server.connection_count > 0 && cl_clock_mono_ns() < shim->leaves_ns) {
        cl_shim_ring(shim, LOOK_NS);
        return;
    }
    shim->is_leaving = 1;
    if (cl_publisher_is_idle(&shim->publisher))
        cl_loop_stop(&shim->loop);
}

void cl_shim_sandbox_go_on(struct cl_shim *shim)
{
    struct cl_shim_sandbox *sandbox = shim->sandbox;

    if (shim->leaves_ns != 0)
        say_farewell(shim);
    if (sandbox == NULL || !sandbox->is_leaving)
        return;
    remove_tasks(shim);
    if (shim->tasks != NULL || sandbox->pid != 0) {
        cl_shim_ring(shim, AGAIN_NS);
        return;
    }
    shim->leaves_ns = cl_clock_mono_ns() + FAREWELL_NS;
    cl_pod_remove_files(sandbox->bundle); /* before it is told that they are gone */
    answer_all(&sandbox->leavers, &(struct cl_msg_empty){0});
    free_sandbox(sandbox);
    cl_shim_ring(shim, 1);
}

/* One whose sandbox could not be made has nothing else to do. */
static int leave_empty(struct cl_rpc_call *call)
{
    struct cl_shim *shim = call->context;

    shim->leaves_ns = cl_clock_mono_ns() + FAREWELL_NS;
    cl_shim_ring(shim, LOOK_NS);
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

int cl_shim_sandbox_shutdown(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    const struct cl_shim *shim = call->context;

    if (shim->sandbox == NULL && shim->tasks == NULL && shim->leaves_ns == 0 &&
        strcmp(request->id, shim->options->id) == 0)
        return leave_empty(call);
    struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);
    if (sandbox == NULL)
        return -ENOENT;
    sandbox->is_leaving = 1;
    end_holder(sandbox);
    cl_shim_ring(sandbox->shim, 1); /* it goes on when this call is kept */
    return cl_shim_sandbox_keep(&sandbox->leavers, call);
}

/* --- create and start ----------------------------------------------------------------------------
 */

static int check_create(const struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_create *request = call->request;
    const struct cl_shim *shim = call->context;
    int r = cl_containerd_check_id(request->id, "sandbox_id", err);

    if (r < 0)
        return r;
    if (shim->sandbox != NULL || cl_shim_sandbox_leaves(shim))
        return cl_refuse(err, EEXIST, "sandbox %.128s: a shim has one, and this one had it",
                         request->id);
    if (request->bundle[0] != '/' || strlen(request->bundle) >= CL_SHIM_PATH)
        return cl_refuse(err, EINVAL, "bundle_path: \"%.100s\" is none", request->bundle);
    if (request->rootfs.count > 0)
        return cl_refuse(err, ENOTSUP, "rootfs: a sandbox has none here");
    return 0;
}

static void fill(struct cl_shim_sandbox *sandbox, struct cl_shim *shim,
                 const struct cl_msg_sandbox_create *request)
{
    *sandbox = (struct cl_shim_sandbox){
        .shim = shim,
        .arena = CL_ARENA_INIT(CONFIG_MOST),
        .pod = CL_POD_INIT,
        .created_ns = cl_clock_wall_ns(),
    };
    sandbox->pod.words = shim->options->words;
    (void)snprintf(sandbox->id, sizeof(sandbox->id), "%s", request->id);
    (void)snprintf(sandbox->bundle, sizeof(sandbox->bundle), "%s", request->bundle);
}

/* Of a pod of modules cloisterd says so: it has our containers made beside them. */
static int check_wall(const struct cl_msg_sandbox_create *request, const struct cl_msg_pod *config,
                      struct cl_error *err)
{
    const struct cl_msg_pair *pairs = request->annotations.items;
    enum cl_pod_wall wall = CL_POD_CONTAINER;
    int r = cl_wall_of_pod(&config->annotations, &wall, err);

    for (size_t i = 0; i < request->annotations.count; i++) {
        if (strcmp(pairs[i].key, CL_MSG_POD_OF_MODULES) == 0)
            wall = CL_POD_CONTAINER;
    }
    if (r == 0 && wall != CL_POD_CONTAINER)
        r = cl_refuse(err, ENOTSUP,
                      "annotation run.cloister.wall: a shim has the wall container alone; pods of "
                      "modules are cloisterd's: sandboxer = \"cloister\"");
    return r;
}

static int decide(struct cl_shim_sandbox *sandbox, const struct cl_msg_sandbox_create *request,
                  struct cl_error *err)
{
    struct cl_msg_pod config = {0};
    int r = cl_pod_read(request->options, &sandbox->arena, &config, err);

    if (r == 0)
        r = check_wall(request, &config, err);
    if (r == 0)
        r = cl_pod_decide(&config, request->netns, &sandbox->arena, &sandbox->pod, err);
    if (r < 0)
        return r;
    if (config.linux_part != NULL)
        (void)snprintf(sandbox->group, sizeof(sandbox->group), "%s",
                       config.linux_part->cgroup_parent);
    return cl_pod_make_files(sandbox->bundle, &config, &sandbox->pod, err);
}

int cl_shim_sandbox_create(struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_shim *shim = call->context;
    int r = check_create(call, err);

    if (r < 0)
        return r;
    struct cl_shim_sandbox *sandbox = cl_calloc(1, sizeof(*sandbox));
    if (sandbox == NULL)
        return cl_fail_memory(err);
    fill(sandbox, shim, call->request);
    r = decide(sandbox, call->request, err);
    if (r < 0) {
        forget_plan(sandbox);
        free(sandbox);
        return r;
    }
    shim->sandbox = sandbox;
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

int cl_shim_sandbox_start(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);

    if (sandbox == NULL)
        return -ENOENT;
    if (sandbox->state != CL_SHIM_SANDBOX_MADE || sandbox->is_leaving)
        return cl_refuse(err, EALREADY, "the sandbox has been started already, or has ended");
    int r = cl_pod_start(&sandbox->pod, &sandbox->pid, err);
    if (r < 0)
        return r;
    forget_plan(sandbox);
    sandbox->state = CL_SHIM_SANDBOX_READY;
    sandbox->created_ns = cl_clock_wall_ns();
    const struct cl_msg_time at = cl_msg_time_of(sandbox->created_ns);
    cl_rpc_answer(call, &(struct cl_msg_sandbox_started){(uint32_t)sandbox->pid, &at});
    return 0;
}
