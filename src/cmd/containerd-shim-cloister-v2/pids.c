/* The processes of a task, as its cgroup has them. */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "runtime/container.h"

int cl_shim_open_group(const struct cl_shim_task *task, struct cl_group *ret, struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_FD int root = cl_runtime_open(task->shim->state, err);
    int r = root < 0 ? root : cl_container_open(root, task->id, 0, &container, err);

    return r < 0 ? r : cl_container_group(&container, ret, err);
}

/* --- processes -------------------------------------------------------------------------------- */

struct pids {
    struct cl_arena *arena;
    struct cl_msg_process *items;
    size_t count, room;
};

static int add_pid(void *context, pid_t pid)
{
    struct pids *pids = context;

    if (pids->count == pids->room) {
        const size_t room = pids->room == 0 ? 64 : 2 * pids->room;
        struct cl_msg_process *items = cl_arena_array(pids->arena, room, sizeof(*items));

        if (items == NULL)
            return -ENOMEM;
        if (pids->count > 0)
            memcpy(items, pids->items, pids->count * sizeof(*items));
        pids->items = items;
        pids->room = room;
    }
    pids->items[pids->count++] = (struct cl_msg_process){.pid = (uint32_t)pid};
    return 0;
}

/* Those that are execs' are told by that. */
static int name_exec(const struct cl_shim_process *process, struct pids *pids)
{
    const struct cl_msg_process_details details = {process->exec_id};
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(4096);
    struct cl_msg_any *any;
    size_t i = 0;

    while (i < pids->count && pids->items[i].pid != (uint32_t)process->pid)
        i++;
    if (i == pids->count)
        return 0;
    int r = cl_wire_write(&cl_msg_process_details_shape, &details, &bytes);
    if (r < 0)
        return r;
    any = cl_arena_alloc(pids->arena, sizeof(*any));
    char *copy = any == NULL ? NULL : cl_arena_alloc(pids->arena, bytes.size + 1);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, cl_buf_text(&bytes), bytes.size);
    *any = (struct cl_msg_any){"containerd.runc.v1.ProcessDetails", {copy, bytes.size}};
    pids->items[i].info = any;
    return 0;
}

/* The first is there where nothing else can be known: without a cgroup. */
static int find_pids(const struct cl_shim_task *task, struct pids *pids, struct cl_error *err)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    int r = cl_shim_open_group(task, &group, err);

    if (r == 0 && group.count > 0)
        r = cl_group_pids(&group, add_pid, pids, err);
    if (r == -ENOENT)
        r = 0;
    if (r == 0 && pids->count == 0 && task->first.state != CL_SHIM_STOPPED)
        r = add_pid(pids, task->first.pid);
    for (const struct cl_shim_process *one = task->execs; r == 0 && one != NULL; one = one->next)
        r = name_exec(one, pids);
    return r;
}

int cl_shim_serve_pids(struct cl_rpc_call *call, struct cl_error *err)
{
    const struct cl_msg_name *request = call->request;
    const struct cl_shim_process *process =
        cl_shim_need_process(call->context, request->id, "", err);
    struct pids pids = {.arena = &call->arena};

    if (process == NULL)
        return -ENOENT;
    int r = find_pids(process->task, &pids, err);
    if (r < 0)
        return err->msg[0] == '\0' ? cl_fail(err, r, "list the processes") : r;
    cl_rpc_answer(call, &(struct cl_msg_pids){{pids.items, pids.count}});
    return 0;
}
