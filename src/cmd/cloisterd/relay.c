/* Pods behind the container wall: each has a shim of its own, which outlives us; what containerd
 * asks the controller about such a pod is asked of its shim, by the sandbox service.
 *
 * A shim that is dead has taken its pod with it: it is said to have ended, and what is left of it
 * is removed by the shim's own `delete`.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/pod_shim.h"

#define SANDBOX "containerd.runtime.sandbox.v1.Sandbox"

/* One call of containerd's on its way. */
struct cl_relay {
    struct cl_relay *next;
    struct cl_pod *pod;
    struct cl_rpc_call *call; /* NULL: its caller has gone */
    /* RESPONSE: NULL with WHY. Frees nothing. */
    void (*finish)(struct cl_relay *relay, const void *response, const struct cl_error *why);
};

static void leave_relay(struct cl_rpc_call *call)
{
    struct cl_relay *relay = call->keeper;

    relay->call = NULL;
}

static struct cl_relay *new_relay(struct cl_pod *pod, struct cl_rpc_call *call,
                                  void (*finish)(struct cl_relay *, const void *,
                                                 const struct cl_error *))
{
    struct cl_relay *relay = cl_calloc(1, sizeof(*relay));

    if (relay == NULL)
        return NULL;
    *relay = (struct cl_relay){pod->relays, pod, call, finish};
    pod->relays = relay;
    call->keeper = relay;
    call->on_gone = leave_relay;
    return relay;
}

static void unlink_relay(struct cl_relay *relay)
{
    struct cl_relay **at = &relay->pod->relays;

    while (*at != relay)
        at = &(*at)->next;
    *at = relay->next;
}

static void free_relay(struct cl_relay *relay)
{
    unlink_relay(relay);
    free(relay);
}

static void answer(struct cl_relay *relay, const void *response)
{
    struct cl_rpc_call *call = relay->call;

    relay->call = NULL;
    if (call != NULL)
        cl_rpc_answer(call, response);
}

static void refuse(struct cl_relay *relay, const struct cl_error *why)
{
    struct cl_rpc_call *call = relay->call;

    relay->call = NULL;
    if (call != NULL)
        cl_rpc_refuse(call, why);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void on_answer(void *context, const void *response, const struct cl_error *why)
{
    struct cl_relay *relay = context;

    unlink_relay(relay); /* what follows may be the pod's end */
    relay->finish(relay, response, why);
    free(relay);
}

struct shapes {
    const struct cl_wire_shape *request;
    const struct cl_wire_shape *response;
};

/* RELAY is freed where it can't be asked. */
static int ask(struct cl_relay *relay, const char *method, struct shapes shapes,
               const void *request, struct cl_error *err)
{
    struct cl_pod *pod = relay->pod;
    const struct cl_rpc_question question = {.service = SANDBOX,
                                             .method = method,
                                             .space = pod->space,
                                             .request_shape = shapes.request,
                                             .request = request,
                                             .response_shape = shapes.response,
                                             .on_answer = on_answer,
                                             .context = relay};
    int r = cl_pod_reach_shim(pod, err);

    if (r == 0)
        r = cl_rpc_client_ask(pod->client, &question, err);
    if (r < 0)
        free_relay(relay);
    return r;
}

/* What CALL asks is asked of its pod's shim, in its own words. */
static int pass_on(struct cl_pod *pod, struct cl_rpc_call *call, struct shapes shapes,
                   void (*finish)(struct cl_relay *, const void *, const struct cl_error *),
                   struct cl_error *err)
{
    static const char suffix[] = "Sandbox";
    char method[64];
    struct cl_relay *relay = new_relay(pod, call, finish);
    const char *name = call->method->name;
    const int is_noun = strcmp(name, "Status") == 0 || strcmp(name, "Metrics") == 0;

    if (relay == NULL)
        return cl_fail_memory(err);
    (void)snprintf(method, sizeof(method), is_noun ? "%s%s" : "%2$s%1$s", suffix, name);
    int r = ask(relay, method, shapes, call->request, err);
    return r < 0 ? r : CL_RPC_KEPT;
}

/* --- its end --------------------------------------------------------------------------------- */

/* Whether the reason is that there is no shim any more. */
static int is_dead(const struct cl_error *why)
{
    return why->code == EAGAIN || why->code == ECONNREFUSED || why->code == ENOENT ||
           why->code == EPIPE;
}

static void has_ended(struct cl_pod *pod)
{
    struct cl_error ignored;

    if (pod->exited_ns != 0)
        return;
    pod->exited_ns = cl_clock_wall_ns();
    (void)cl_pod_record(pod, &ignored); /* who asks the next daemon hears that it is dead */
}

static void on_removed(void *context, CL_UNUSED int status)
{
    cl_pod_forget(context); /* what the shim's own delete can't remove nobody else can */
}

/* Its shim is gone, or to be ended: what it may have left is removed. */
static void remove_pod(struct cl_pod *pod)
{
    struct cl_error why = {0};

    if (pod->is_going)
        return;
    pod->is_going = 1;
    if (cl_pod_run_shim(pod, "delete", on_removed, pod, &why) == 0)
        return;
    cl_daemon_say(pod->id, &why);
    cl_pod_forget(pod);
}

void cl_relays_forget(struct cl_pod *pod)
{
    struct cl_error why = {0};

    (void)cl_refuse(&why, ENOENT, "the sandbox %s is no more", pod->id);
    while (pod->relays != NULL) {
        refuse(pod->relays, &why);
        free_relay(pod->relays);
    }
    cl_rpc_client_free(pod->client);
    pod->client = NULL;
    cl_daemon_forget_context(pod->daemon, pod);
    cl_pod_remove_bundle(pod);
}

static void finish_shutdown(struct cl_relay *relay, const void *response,
                            const struct cl_error *why)
{
    if (response == NULL && !is_dead(why)) {
        refuse(relay, why);
        return;
    }
    answer(relay, &(struct cl_msg_empty){0});
    remove_pod(relay->pod);
}

int cl_relay_shutdown(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_name_shape, &cl_msg_empty_shape};
    int r = pass_on(pod, call, shapes, finish_shutdown, err);

    if (r == CL_RPC_KEPT || !is_dead(err))
        return r;
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    remove_pod(pod);
    return 0;
}

static void finish_stop(struct cl_relay *relay, const void *response, const struct cl_error *why)
{
    if (response == NULL && !is_dead(why)) {
        refuse(relay, why);
        return;
    }
    has_ended(relay->pod);
    answer(relay, &(struct cl_msg_empty){0});
}

int cl_relay_stop(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_stop_shape, &cl_msg_empty_shape};
    int r = pass_on(pod, call, shapes, finish_stop, err);

    if (r == CL_RPC_KEPT || !is_dead(err))
        return r;
    has_ended(pod);
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

static void tell_dead(struct cl_pod *pod, struct cl_rpc_call *call)
{
    has_ended(pod);
    const struct cl_msg_time at = cl_msg_time_of(pod->exited_ns);
    cl_rpc_answer(call, &(struct cl_msg_waited){128 + SIGKILL, &at});
}

static void finish_wait(struct cl_relay *relay, const void *response, const struct cl_error *why)
{
    struct cl_rpc_call *call = relay->call;

    if (response != NULL)
        answer(relay, response);
    else if (!is_dead(why))
        refuse(relay, why);
    else if (call != NULL) {
        relay->call = NULL;
        tell_dead(relay->pod, call);
    }
}

int cl_relay_wait(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_name_shape, &cl_msg_waited_shape};
    int r = pass_on(pod, call, shapes, finish_wait, err);

    if (r == CL_RPC_KEPT || !is_dead(err))
        return r;
    tell_dead(pod, call);
    return 0;
}

/* --- how it begins --------------------------------------------------------------------------- */

/* Nobody wants it, or it didn't come to be. */
static void finish_undo(struct cl_relay *relay, CL_UNUSED const void *response,
                        CL_UNUSED const struct cl_error *why)
{
    remove_pod(relay->pod);
}

static void undo(struct cl_pod *pod)
{
    const struct shapes shapes = {&cl_msg_sandbox_name_shape, &cl_msg_empty_shape};
    const struct cl_msg_sandbox_name name = {.id = pod->id};
    struct cl_relay *relay = cl_calloc(1, sizeof(*relay));
    struct cl_error ignored;

    if (relay != NULL) {
        *relay = (struct cl_relay){pod->relays, pod, NULL, finish_undo};
        pod->relays = relay;
        if (ask(relay, "ShutdownSandbox", shapes, &name, &ignored) == 0)
            return;
    }
    remove_pod(pod);
}

static void finish_create(struct cl_relay *relay, const void *response, const struct cl_error *why)
{
    struct cl_pod *pod = relay->pod;

    if (response != NULL && relay->call != NULL) {
        answer(relay, &(struct cl_msg_sandbox_name){.id = pod->id});
        return;
    }
    if (response == NULL)
        refuse(relay, why);
    undo(pod);
}

static int ask_create(struct cl_relay *relay, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_create_shape, &cl_msg_empty_shape};
    const struct cl_msg_controller_create *request = relay->call->request;
    char bundle[CL_BUNDLE_PATH];

    cl_pod_bundle(relay->pod, bundle);
    const struct cl_msg_sandbox_create question = {.id = request->id,
                                                   .bundle = bundle,
                                                   .rootfs = request->rootfs,
                                                   .options = request->options,
                                                   .netns = request->netns,
                                                   .annotations = request->annotations};
    return ask(relay, "CreateSandbox", shapes, &question, err);
}

static void on_shim_started(void *context, int status)
{
    struct cl_pod *pod = context;
    struct cl_relay *relay = pod->relays; /* the first there can be: nobody knows of it yet */
    struct cl_rpc_call *call = relay->call;
    struct cl_error why = {0};
    int r = cl_pod_take_shim(pod, status, &why);

    if (r == 0 && call != NULL) {
        if (ask_create(relay, &why) == 0)
            return;
    } else {
        free_relay(relay);
    }
    if (call != NULL)
        cl_rpc_refuse(call, &why);
    undo(pod);
}

int cl_relay_create(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    struct cl_relay *relay = new_relay(pod, call, finish_create);

    if (relay == NULL)
        return cl_fail_memory(err);
    int r = cl_pod_run_shim(pod, "start", on_shim_started, pod, err);
    if (r < 0)
        free_relay(relay);
    return r < 0 ? r : CL_RPC_KEPT;
}

static void finish_start(struct cl_relay *relay, const void *response, const struct cl_error *why)
{
    const struct cl_msg_sandbox_started *started = response;
    struct cl_pod *pod = relay->pod;
    char address[CL_POD_ADDRESS];
    struct cl_error ignored;

    if (started == NULL) {
        refuse(relay, why);
        return;
    }
    pod->is_started = 1;
    (void)cl_pod_record(pod, &ignored); /* the shim knows it, too */
    answer(relay, &(struct cl_msg_controller_started){.id = pod->id,
                                                      .pid = started->pid,
                                                      .created_at = started->created_at,
                                                      .address = cl_pod_address(pod, address),
                                                      .version = CL_POD_TASK_VERSION});
}

int cl_relay_start(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_name_shape, &cl_msg_sandbox_started_shape};

    return pass_on(pod, call, shapes, finish_start, err);
}

/* --- what is asked --------------------------------------------------------------------------- */

static void tell_status(const struct cl_pod *pod, struct cl_rpc_call *call,
                        struct cl_msg_sandbox_status *status)
{
    char address[CL_POD_ADDRESS];

    status->address = cl_pod_address(pod, address);
    status->version = CL_POD_TASK_VERSION;
    cl_rpc_answer(call, status);
}

static void tell_dead_status(struct cl_pod *pod, struct cl_rpc_call *call)
{
    has_ended(pod);
    const struct cl_msg_time created = cl_msg_time_of(pod->created_ns);
    const struct cl_msg_time exited = cl_msg_time_of(pod->exited_ns);
    struct cl_msg_sandbox_status status = {
        .id = pod->id, .state = CL_SANDBOX_NOT_READY, .created_at = &created, .exited_at = &exited};
    tell_status(pod, call, &status);
}

static void finish_status(struct cl_relay *relay, const void *response, const struct cl_error *why)
{
    const struct cl_msg_sandbox_status *told = response;
    struct cl_rpc_call *call = relay->call;

    if (told == NULL && !is_dead(why)) {
        refuse(relay, why);
        return;
    }
    relay->call = NULL;
    if (call == NULL)
        return;
    if (told == NULL) {
        tell_dead_status(relay->pod, call);
        return;
    }
    struct cl_msg_sandbox_status status = *told;
    tell_status(relay->pod, call, &status);
}

int cl_relay_status(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_ask_shape, &cl_msg_sandbox_status_shape};
    int r = pass_on(pod, call, shapes, finish_status, err);

    if (r == CL_RPC_KEPT || !is_dead(err))
        return r;
    tell_dead_status(pod, call);
    return 0;
}

static void finish_metrics(struct cl_relay *relay, const void *response, const struct cl_error *why)
{
    if (response == NULL)
        refuse(relay, why);
    else
        answer(relay, response);
}

int cl_relay_metrics(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err)
{
    const struct shapes shapes = {&cl_msg_sandbox_name_shape, &cl_msg_metrics_shape};

    return pass_on(pod, call, shapes, finish_metrics, err);
}
