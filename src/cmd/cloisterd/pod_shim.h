/* pod_shim.h - the shim of a pod: its places, and the way to it. */
#ifndef CL_CMD_DAEMON_POD_SHIM_H
#define CL_CMD_DAEMON_POD_SHIM_H

#include "cmd/cloisterd/daemon.h"

/* The directory in which it begins. */
void cl_pod_bundle(const struct cl_pod *pod, char ret[CL_BUNDLE_PATH]);
void cl_pod_remove_bundle(const struct cl_pod *pod);
/* ACTION is start or delete. ON_END as of cl_daemon_start_child. */
int cl_pod_run_shim(struct cl_pod *pod, const char *action, void (*on_end)(void *, int),
                    void *context, struct cl_error *err);
/* Its "start" ended with STATUS (wait(2)): where it listens is the pod's, and written down. */
int cl_pod_take_shim(struct cl_pod *pod, int status, struct cl_error *err);
/* A connection to it: pod->client. */
int cl_pod_reach_shim(struct cl_pod *pod, struct cl_error *err);

#endif
