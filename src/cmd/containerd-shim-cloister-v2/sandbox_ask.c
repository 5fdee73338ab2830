/* What containerd asks of a sandbox, and waits for. */
#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "cmd/containerd-shim-cloister-v2/sandbox.h"
#include "rpc/sandbox_messages.h"

enum { INFO_MOST = 4096 };

int cl_shim_sandbox_platform(struct cl_rpc_call *call, struct cl_error *err)
{
#ifdef __aarch64__
    static const struct cl_msg_platform platform = {"linux", "arm64", ""};
#else
    static const struct cl_msg_platform platform = {"linux", "amd64", ""};
#endif
    const struct cl_msg_sandbox_name *request = call->request;

    if (cl_shim_sandbox_need(call, request->id, err) == NULL)
        return -ENOENT;
    cl_rpc_answer(call, &(struct cl_msg_platform_told){&platform});
    return 0;
}

int cl_shim_sandbox_wait(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);

    if (sandbox == NULL)
        return -ENOENT;
    if (sandbox->state != CL_SHIM_SANDBOX_ENDED)
        return cl_shim_sandbox_keep(&sandbox->waiters, call);
    const struct cl_msg_time at = cl_msg_time_of(sandbox->exited_ns);
    cl_rpc_answer(call, &(struct cl_msg_waited){sandbox->exit_status, &at});
    return 0;
}

/* In the words of containerd's CRI, which reads it. */
static int describe(const struct cl_shim_sandbox *sandbox, struct cl_buf *ret)
{
    static const char *const states[] = {"created", "running", "stopped"};
    struct cl_json json;

    cl_json_begin(&json, ret, 0);
    cl_json_object(&json, NULL);
    cl_json_u64(&json, "pid", (uint64_t)sandbox->pid);
    cl_json_string(&json, "processStatus", states[sandbox->state]);
    cl_json_string(&json, "runtimeType", "io.containerd.cloister.v2");
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}

int cl_shim_sandbox_status(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_ask *request = call->request;
    const struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(INFO_MOST);

    if (sandbox == NULL)
        return -ENOENT;
    int r = request->verbose ? describe(sandbox, &text) : 0;
    if (r < 0)
        return cl_fail(err, r, "describe the sandbox");
    const struct cl_msg_pair info = {"info", cl_buf_text(&text)};
    const struct cl_msg_time created = cl_msg_time_of(sandbox->created_ns);
    const struct cl_msg_time exited = cl_msg_time_of(sandbox->exited_ns);
    cl_rpc_answer(call, &(struct cl_msg_sandbox_status){
                            .id = sandbox->id,
                            .pid = (uint32_t)sandbox->pid,
                            .state = sandbox->state == CL_SHIM_SANDBOX_READY ? CL_SANDBOX_READY
                                                                             : CL_SANDBOX_NOT_READY,
                            .info = {&info, request->verbose != 0},
                            .created_at = &created,
                            .exited_at = sandbox->state == CL_SHIM_SANDBOX_ENDED ? &exited : NULL,
                            .address = "",
                        });
    return 0;
}

int cl_shim_sandbox_ping(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    const struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);

    if (sandbox == NULL)
        return -ENOENT;
    if (sandbox->state == CL_SHIM_SANDBOX_ENDED)
        return cl_refuse(err, EBUSY, "the sandbox has ended");
    cl_rpc_answer(call, &(struct cl_msg_empty){0});
    return 0;
}

int cl_shim_sandbox_metrics(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_sandbox_name *request = call->request;
    const struct cl_shim_sandbox *sandbox = cl_shim_sandbox_need(call, request->id, err);
    static struct cl_spec spec; /* large */
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SHIM_METRICS_MOST);
    static struct cl_group_place place; /* large */
    struct cl_msg_any any;

    if (sandbox == NULL)
        return -ENOENT;
    if (sandbox->group[0] != '/')
        return cl_refuse(err, ENOSYS, "the pod's cgroup is not known by a path (cgroup_parent)");
    spec.cgroups_path = sandbox->group;
    cl_spec_mark(&spec, CL_SPEC_CGROUPS_PATH);
    int r = cl_group_place(&spec, sandbox->id, CL_GROUP_FS, &place, err);
    if (r == 0)
        r = cl_group_open(&place, &group, err);
    if (r == 0)
        r = cl_shim_write_metrics(&group, &buf, &any, err);
    if (r < 0)
        return r;
    const struct cl_msg_time at = cl_msg_time_of(cl_clock_wall_ns());
    cl_rpc_answer(call, &(struct cl_msg_metrics){&(struct cl_msg_metric){&at, sandbox->id, &any}});
    return 0;
}
