/* containerd's sandbox controller: pods come and go. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/cloisterd/daemon.h"

/* The pod of that name in the call's namespace; NULL, with a message. */
static struct cl_pod *need_pod(const struct cl_rpc_call *call, const char *id, struct cl_error *err)
{
    struct cl_pod *pod = cl_daemon_find_pod(call->context, call->space, id);

    if (pod == NULL)
        (void)cl_refuse(err, ENOENT, "there is no sandbox %.128s", id);
    return pod;
}

int cl_controller_create(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_controller_create *request = call->request;
    struct cl_daemon *daemon = call->context;
    struct cl_pod_choice choice = {0};
    int r = cl_containerd_check_id(request->id, "sandbox_id", err);

    if (r < 0)
        return r;
    if (cl_daemon_space(daemon, call->space, err) == NULL)
        return -EINVAL;
    if (cl_daemon_find_pod(daemon, call->space, request->id) != NULL)
        return cl_refuse(err, EEXIST, "the sandbox %s is there already", request->id);
    r = cl_pod_choose(call, &choice, err);
    if (r < 0)
        return r;
    struct cl_pod *pod = cl_pod_new(daemon, call->space, request->id, err);
    if (pod == NULL)
        return -ENOMEM;
    (void)snprintf(pod->tenant, sizeof(pod->tenant), "%s", choice.tenant);
    pod->wall = choice.wall;
    if (pod->wall == CL_POD_WASM)
        r = cl_sidecar_keep_plan(pod, request, err);
    if (r == 0)
        r = cl_pod_record(pod, err);
    if (r == 0 && pod->wall == CL_POD_CONTAINER)
        r = cl_relay_create(pod, call, err);
    if (r < 0)
        cl_pod_forget(pod);
    if (r != 0)
        return r;
    cl_rpc_answer(call, &(struct cl_msg_sandbox_name){.id = pod->id});
    return 0;
}

int cl_controller_start(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    struct cl_pod *pod = need_pod(call, request->id, err);
    char address[CL_POD_ADDRESS];

    if (pod == NULL)
        return -ENOENT;
    if (pod->wall == CL_POD_CONTAINER)
        return cl_relay_start(pod, call, err);
    if (pod->is_started)
        return cl_refuse(err, EALREADY, "the sandbox %s has been started already", pod->id);
    pod->is_started = 1;
    int r = cl_pod_record(pod, err);
    if (r < 0) {
        pod->is_started = 0;
        return r;
    }
    const struct cl_msg_time at = cl_msg_time_of(pod->created_ns);
    cl_rpc_answer(call, &(struct cl_msg_controller_started){
                            .id = pod->id,
                            .pid = (uint32_t)getpid(),
                            .created_at = &at,
                            .address = cl_pod_address(pod, address),
                            .version = CL_POD_TASK_VERSION,
                        });
    return 0;
}

/* In Go's words, as containerd's are. */
#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#endif

int cl_controller_platform(struct cl_rpc_call *call, struct cl_error *err)
{
    static const struct cl_msg_platform platform = {"linux", ARCHITECTURE, ""};
    const struct cl_msg_sandbox_name *request = call->request;

    if (need_pod(call, request->id, err) == NULL)
        return -ENOENT;
    cl_rpc_answer(call, &(struct cl_msg_platform_told){&platform});
    return 0;
}

int cl_controller_stop(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_stop *request = call->request;
    struct cl_pod *pod = need_pod(call, request->id, err);
    struct cl_error ignored;

    if (pod == NULL)
        return -ENOENT;
    if (pod->wall == CL_POD_WASM)
        cl_pod_stop(pod);
    if (cl_pod_has_shim(pod))
        return cl_relay_stop(pod, call, err);
    (void)cl_pod_record(pod, &ignored); /* the next daemon would have it ready, and no container */
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

static void leave_waiters(struct cl_rpc_call *call)
{
    struct cl_pod *pod = call->keeper;
    struct cl_rpc_call **at = &pod->waiters;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
}

int cl_controller_wait(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    struct cl_pod *pod = need_pod(call, request->id, err);

    if (pod == NULL)
        return -ENOENT;
    if (pod->wall == CL_POD_CONTAINER)
        return cl_relay_wait(pod, call, err);
    call->keeper = pod;
    call->on_gone = leave_waiters;
    call->next = pod->waiters;
    pod->waiters = call;
    if (pod->exited_ns != 0)
        cl_pod_stop(pod); /* which tells those who wait */
    return CL_RPC_KEPT;
}

int cl_controller_status(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_ask *request = call->request;
    struct cl_pod *pod = need_pod(call, request->id, err);
    char address[CL_POD_ADDRESS];

    if (pod == NULL)
        return -ENOENT;
    if (pod->wall == CL_POD_CONTAINER)
        return cl_relay_status(pod, call, err);
    const int is_ready = pod->is_started && pod->exited_ns == 0;
    const struct cl_msg_time created = cl_msg_time_of(pod->created_ns);
    const struct cl_msg_time exited = cl_msg_time_of(pod->exited_ns);
    const struct cl_msg_pair info[] = {{"tenant", pod->tenant}, {"wall", "wasm"}};
    cl_rpc_answer(call, &(struct cl_msg_sandbox_status){
                            .id = pod->id,
                            .pid = (uint32_t)getpid(),
                            .state = is_ready ? CL_SANDBOX_READY : CL_SANDBOX_NOT_READY,
                            .info = {info, request->verbose ? CL_ARRAY_SIZE(info) : 0},
                            .created_at = &created,
                            .exited_at = pod->exited_ns == 0 ? NULL : &exited,
                            .address = cl_pod_address(pod, address),
                            .version = CL_POD_TASK_VERSION,
                        });
    return 0;
}

int cl_controller_shutdown(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    struct cl_pod *pod = need_pod(call, request->id, err);

    if (pod == NULL)
        return -ENOENT;
    if (cl_pod_has_shim(pod)) {
        cl_pod_end_tasks(pod);
        return cl_relay_shutdown(pod, call, err);
    }
    cl_pod_forget(pod);
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

/* What its containers use each of them tells (Stats); the pod itself is nothing that uses any. */
int cl_controller_metrics(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    struct cl_pod *pod = need_pod(call, request->id, err);

    if (pod == NULL)
        return -ENOENT;
    if (pod->wall == CL_POD_CONTAINER)
        return cl_relay_metrics(pod, call, err);
    const struct cl_msg_time now = cl_msg_time_of(cl_clock_wall_ns());
    const struct cl_msg_metric metric = {.at = &now, .id = pod->id};
    cl_rpc_answer(call, &(struct cl_msg_metrics){&metric});
    return 0;
}
