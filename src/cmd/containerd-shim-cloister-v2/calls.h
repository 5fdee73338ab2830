/* calls.h - calls that are kept, and the methods: the shim's own. */
#ifndef CL_CMD_SHIM_CALLS_H
#define CL_CMD_SHIM_CALLS_H

#include "cmd/containerd-shim-cloister-v2/shim.h"
#include "limits/group.h"

extern const int cl_shim_no_streams[CL_SHIM_STREAMS]; /* -1 each */

/* Keeps CALL until what is being done to TASK has been, and calls its method again then. */
int cl_shim_wait_for_turn(struct cl_shim_task *task, struct cl_rpc_call *call);
/* The process that CALL is about, when nothing is being done to its task: 0. CL_RPC_KEPT: it waits
 * for its turn. -ENOENT. */
int cl_shim_take_turn(struct cl_rpc_call *call, const char *id, const char *exec_id,
                      struct cl_shim_process **ret, struct cl_error *err);
/* The on_gone of calls that wait for PROCESS: their keeper. */
void cl_shim_leave_waiters(struct cl_rpc_call *call);
void cl_shim_leave_deleter(struct cl_rpc_call *call);

/* One for CALL (NULL: nobody asks), about PROCESS; NULL: no memory. */
struct cl_shim_job *cl_shim_new_job(struct cl_shim_process *process, struct cl_rpc_call *call,
                                    void (*on_end)(struct cl_shim_job *, int, struct cl_error *));
/* JOB (may be NULL: -ENOMEM) is taken. CL_RPC_KEPT, or an error. Behind one its call is as it was.
 */
int cl_shim_start_job(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                      const int fds[CL_SHIM_STREAMS], struct cl_error *err);
/* The same, beside what else is being done to the task: which may be gone when it has ended, with
 * the job's process NULL then. No streams. */
int cl_shim_start_beside(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                         struct cl_error *err);
/* Answers the job's call, if that is still there. */
void cl_shim_answer_job(struct cl_shim_job *job, int r, const void *response, struct cl_error *err);
/* An on_end that has nothing else to say. */
void cl_shim_answer_empty(struct cl_shim_job *job, int r, struct cl_error *err);

/* The number that cloister-oci has written for a process: BUNDLE/NAME.pid. */
int cl_shim_read_pid(const char *bundle, const char *name, pid_t *ret, struct cl_error *err);
/* PROCESS: NULL, or the exec that it is about. */
void cl_shim_publish_changed(const struct cl_shim_task *task, const char *topic, const char *type,
                             const struct cl_shim_process *process);
/* It has been deleted, which is published: it is no more. */
void cl_shim_task_is_removed(struct cl_shim_task *task);
/* TASK is no more; whoever waits for it is told so. */
void cl_shim_forget(struct cl_shim_task *task);

/* The container's cgroup, as cloister-oci keeps it. */
int cl_shim_open_group(const struct cl_shim_task *task, struct cl_group *ret, struct cl_error *err);

enum { CL_SHIM_METRICS_MOST = 64 << 10 };
/* What GROUP has used, as containerd reads it; RET's value is in BUF, which has room for
 * CL_SHIM_METRICS_MOST bytes. */
int cl_shim_write_metrics(const struct cl_group *group, struct cl_buf *buf, struct cl_msg_any *ret,
                          struct cl_error *err);

int cl_shim_serve_create(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_start(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_exec(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_wait(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_state(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_resize(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_close_io(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_connect(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_pids(struct cl_rpc_call *call, struct cl_error *err);
int cl_shim_serve_stats(struct cl_rpc_call *call, struct cl_error *err);

#endif
