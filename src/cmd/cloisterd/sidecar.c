/* Ordinary containers in pods of modules: behind the container wall, by a shim that such a pod has
 * only when there is one of them. Whatever containerd asks about it is handed on.
 *
 * containerd knows the pod's process as ours: where a container's bundle names that, its shim puts
 * the one that holds the pod's namespaces (struct cl_msg_pod_options).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/cloisterd/pod_shim.h"

#define SANDBOX "containerd.runtime.sandbox.v1.Sandbox"

enum { OPTIONS_MOST = 64 << 10, PLAN_MOST = 1 << 20 };

/* --- what the pod was made of ---------------------------------------------------------------- */

int cl_sidecar_keep_plan(struct cl_pod *pod, const struct cl_msg_controller_create *request,
                         struct cl_error *err)
{
    static const struct cl_msg_pair of_modules = {CL_MSG_POD_OF_MODULES, "1"};
    char bundle[CL_BUNDLE_PATH];

    cl_pod_bundle(pod, bundle);
    const struct cl_msg_sandbox_create plan = {.id = pod->id,
                                               .bundle = bundle,
                                               .options = request->options,
                                               .netns = request->netns,
                                               .annotations = {&of_modules, 1}};
    pod->plan = CL_BUF_INIT(PLAN_MOST);
    int r = cl_wire_write(&cl_msg_sandbox_create_shape, &plan, &pod->plan);
    return r < 0 ? cl_fail(err, r, "keep what the sandbox %s is made of", pod->id) : 0;
}

/* --- containers that wait -------------------------------------------------------------------- */

static struct cl_task *take_pending(struct cl_pod *pod)
{
    struct cl_task *task = pod->pending;

    if (task != NULL)
        pod->pending = task->next_pending;
    return task;
}

void cl_sidecar_leave(struct cl_task *task)
{
    struct cl_pod *pod = cl_daemon_find_pod(task->daemon, task->space->name, task->pod);

    if (pod == NULL)
        return;
    struct cl_task **at = &pod->pending;
    while (*at != NULL && *at != task)
        at = &(*at)->next_pending;
    if (*at != NULL)
        *at = task->next_pending;
    if (pod->client != NULL)
        cl_rpc_client_forget(pod->client, task);
}

static void on_created(void *context, const void *response, const struct cl_error *why)
{
    struct cl_task *task = context;
    struct cl_rpc_call *call = task->creator;

    if (response == NULL) {
        cl_task_refuse(task, why);
        return;
    }
    task->creator = NULL;
    task->state = CL_TASK_ELSEWHERE;
    if (call != NULL)
        cl_rpc_answer(call, response);
}

static int ask_create(struct cl_pod *pod, struct cl_task *task, struct cl_error *err)
{
    const struct cl_rpc_call *call = task->creator;
    struct cl_msg_create request = *(const struct cl_msg_create *)call->request;
    const struct cl_msg_pod_options wrapped = {(uint32_t)getpid(), request.options};
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(OPTIONS_MOST);
    int r = cl_wire_write(&cl_msg_pod_options_shape, &wrapped, &bytes);

    if (r < 0)
        return cl_fail(err, r, "hand on the container's options");
    const struct cl_msg_any any = {CL_MSG_POD_OPTIONS_TYPE, {cl_buf_text(&bytes), bytes.size}};
    request.options = &any;
    const struct cl_rpc_question question = {.service = call->method->service,
                                             .method = call->method->name,
                                             .space = pod->space,
                                             .request_shape = call->method->request,
                                             .request = &request,
                                             .response_shape = call->method->response,
                                             .on_answer = on_created,
                                             .context = task};
    r = cl_pod_reach_shim(pod, err);
    return r < 0 ? r : cl_rpc_client_ask(pod->client, &question, err);
}

static void create_pending(struct cl_pod *pod)
{
    struct cl_task *task;

    while ((task = take_pending(pod)) != NULL) {
        struct cl_error why = {0};

        if (task->creator == NULL)
            cl_task_free(task); /* nobody knows of it */
        else if (ask_create(pod, task, &why) < 0)
            cl_task_refuse(task, &why);
    }
}

/* --- the shim -------------------------------------------------------------------------------- */

static void fail_pending(struct cl_pod *pod, const struct cl_error *why)
{
    struct cl_task *task;

    pod->shim_state = CL_POD_SHIM_NONE;
    while ((task = take_pending(pod)) != NULL)
        cl_task_refuse(task, why);
}

static void on_started(void *context, const void *response, const struct cl_error *why)
{
    struct cl_pod *pod = context;

    if (response == NULL) {
        fail_pending(pod, why);
        return;
    }
    pod->shim_state = CL_POD_SHIM_READY;
    create_pending(pod);
}

/* QUESTION has what is asked for; whose it is comes here. */
static void ask_pod(struct cl_pod *pod, struct cl_rpc_question question)
{
    struct cl_error why = {0};
    int r = cl_pod_reach_shim(pod, &why);

    question.service = SANDBOX;
    question.space = pod->space;
    question.context = pod;
    if (r == 0)
        r = cl_rpc_client_ask(pod->client, &question, &why);
    if (r < 0)
        fail_pending(pod, &why);
}

static void on_made(void *context, const void *response, const struct cl_error *why)
{
    struct cl_pod *pod = context;
    const struct cl_msg_sandbox_name name = {.id = pod->id};

    if (response == NULL)
        fail_pending(pod, why);
    else
        ask_pod(pod, (struct cl_rpc_question){.method = "StartSandbox",
                                              .request_shape = &cl_msg_sandbox_name_shape,
                                              .request = &name,
                                              .response_shape = &cl_msg_sandbox_started_shape,
                                              .on_answer = on_started});
}

static void ask_sandbox(struct cl_pod *pod)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4UL * PLAN_MOST);
    const struct cl_bytes bytes = {cl_buf_text(&pod->plan), pod->plan.size};
    struct cl_msg_sandbox_create plan = {0};
    struct cl_error why = {0};

    if (cl_wire_read(&cl_msg_sandbox_create_shape, &bytes, &arena, &plan, &why) < 0)
        fail_pending(pod, &why);
    else
        ask_pod(pod, (struct cl_rpc_question){.method = "CreateSandbox",
                                              .request_shape = &cl_msg_sandbox_create_shape,
                                              .request = &plan,
                                              .response_shape = &cl_msg_empty_shape,
                                              .on_answer = on_made});
}

static void on_shim_started(void *context, int status)
{
    struct cl_pod *pod = context;
    struct cl_error why = {0};

    if (cl_pod_take_shim(pod, status, &why) < 0)
        fail_pending(pod, &why);
    else
        ask_sandbox(pod);
}

/* One that another daemon has started is there already. */
static int need_shim(struct cl_pod *pod, struct cl_error *err)
{
    if (pod->shim_state != CL_POD_SHIM_NONE)
        return 0;
    if (pod->shim[0] != '\0') {
        pod->shim_state = CL_POD_SHIM_READY;
        return 0;
    }
    int r = cl_pod_run_shim(pod, "start", on_shim_started, pod, err);
    if (r == 0)
        pod->shim_state = CL_POD_SHIM_STARTING;
    return r;
}

int cl_sidecar_create(struct cl_task *task, struct cl_error *err)
{
    struct cl_pod *pod = cl_daemon_find_pod(task->daemon, task->space->name, task->pod);
    int r = pod == NULL ? cl_refuse(err, ENOENT, "there is no sandbox %.128s", task->pod)
                        : need_shim(pod, err);

    if (r < 0)
        return r;
    task->next_pending = pod->pending;
    pod->pending = task;
    if (pod->shim_state == CL_POD_SHIM_READY)
        create_pending(pod);
    return 0;
}

/* --- what is asked about it ------------------------------------------------------------------ */

struct passed {
    struct cl_daemon *daemon;
    struct cl_rpc_call *call; /* NULL: its caller has gone */
    char *deletes;            /* the container that is no more when it went well; NULL: none */
    char *space;
};

static void leave_passed(struct cl_rpc_call *call)
{
    struct passed *passed = call->keeper;

    passed->call = NULL;
}

static void free_passed(struct passed *passed)
{
    free(passed->deletes);
    free(passed->space);
    free(passed);
}

static void on_passed(void *context, const void *response, const struct cl_error *why)
{
    struct passed *passed = context;
    struct cl_rpc_call *call = passed->call;
    struct cl_task *task =
        response == NULL || passed->deletes == NULL
            ? NULL
            : cl_daemon_find_task(passed->daemon, passed->space, passed->deletes);

    if (call != NULL && response != NULL)
        cl_rpc_answer(call, response);
    else if (call != NULL)
        cl_rpc_refuse(call, why);
    if (task != NULL && task->state == CL_TASK_ELSEWHERE)
        cl_task_free(task);
    free_passed(passed);
}

static struct passed *new_passed(struct cl_task *task, struct cl_rpc_call *call)
{
    const struct cl_msg_name *request = call->request; /* as each begins */
    const int deletes = strcmp(call->method->name, "Delete") == 0 && request->exec_id[0] == '\0';
    struct passed *passed = cl_calloc(1, sizeof(*passed));

    if (passed == NULL)
        return NULL;
    passed->daemon = task->daemon;
    passed->call = call;
    passed->space = cl_daemon_copy(task->space->name);
    passed->deletes = deletes ? cl_daemon_copy(task->id) : NULL;
    if (passed->space == NULL || (deletes && passed->deletes == NULL)) {
        free_passed(passed);
        return NULL;
    }
    return passed;
}

int cl_sidecar_pass_on(struct cl_task *task, struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_pod *pod = cl_daemon_find_pod(task->daemon, task->space->name, task->pod);
    struct passed *passed;

    if (pod == NULL)
        return cl_refuse(err, ENOENT, "there is no sandbox %.128s", task->pod);
    int r = cl_pod_reach_shim(pod, err);
    if (r < 0)
        return r;
    passed = new_passed(task, call);
    if (passed == NULL)
        return cl_fail_memory(err);
    const struct cl_rpc_question question = {.service = call->method->service,
                                             .method = call->method->name,
                                             .space = pod->space,
                                             .request_shape = call->method->request,
                                             .request = call->request,
                                             .response_shape = call->method->response,
                                             .on_answer = on_passed,
                                             .context = passed};
    r = cl_rpc_client_ask(pod->client, &question, err);
    if (r < 0) {
        free_passed(passed);
        return r;
    }
    call->keeper = passed;
    call->on_gone = leave_passed;
    return CL_RPC_KEPT;
}
