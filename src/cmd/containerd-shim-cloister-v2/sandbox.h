/* sandbox.h - the methods of the sandbox service, and what the rest of the shim asks of its
 * sandbox: the shim's own.
 */
#ifndef CL_CMD_SHIM_SANDBOX_H
#define CL_CMD_SHIM_SANDBOX_H

#include "cmd/containerd-shim-cloister-v2/pod.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"
#include "limits/group.h"

enum cl_shim_sandbox_state { CL_SHIM_SANDBOX_MADE, CL_SHIM_SANDBOX_READY, CL_SHIM_SANDBOX_ENDED };

struct cl_shim_sandbox {
    struct cl_shim *shim;
    enum cl_shim_sandbox_state state;
    char id[CL_SHIM_ID_MOST + 1];
    char bundle[CL_SHIM_PATH];
    char group[CL_GROUP_PATH]; /* the pod's cgroup; "": it says none */
    struct cl_arena arena;     /* what it is made of, until it is */
    struct cl_pod pod;
    pid_t pid; /* of who holds it; 0: nobody */
    uint32_t exit_status;
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint64_t exited_ns;
    struct cl_rpc_call *waiters;  /* WaitSandbox, */
    struct cl_rpc_call *stoppers; /* StopSandbox, */
    struct cl_rpc_call *leavers;  /* ShutdownSandbox */
    int is_leaving;
};

/* The one of ID; NULL: there is none here. */
struct cl_shim_sandbox *cl_shim_sandbox_need(const struct cl_rpc_call *call, const char *id,
                                             struct cl_error *err);
/* Keeps CALL in LIST, one of a sandbox's, until it is answered. */
int cl_shim_sandbox_keep(struct cl_rpc_call **list, struct cl_rpc_call *call);

int cl_shim_sandbox_create(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_start(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_platform(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_stop(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_wait(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_status(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_ping(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_shutdown(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_sandbox_metrics(struct cl_rpc_call *call, struct cl_error *err);

/* Where its containers' files are; NULL: there is no sandbox. */
const char *cl_shim_sandbox_bundle(const struct cl_shim *shim);
/* The process that holds its namespaces; 0: there is none. */
pid_t cl_shim_sandbox_pid(const struct cl_shim *shim);
/* Whether it is being shut down: no container is made in it any more. */
int cl_shim_sandbox_leaves(const struct cl_shim *shim);
/* PID held it: 1. */
int cl_shim_sandbox_ended(struct cl_shim *shim, pid_t pid, int status);
/* Goes on with its shutdown, if there is one. */
void cl_shim_sandbox_go_on(struct cl_shim *shim);
/* The shim ends, and it with that. */
void cl_shim_sandbox_done(struct cl_shim *shim);

#endif
