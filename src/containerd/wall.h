/* wall.h - which wall containerd's users ask for: by a runtime's options, or a pod's annotations.
 */
#ifndef CL_CONTAINERD_WALL_H
#define CL_CONTAINERD_WALL_H

#include "rpc/message.h"

enum cl_pod_wall { CL_POD_CONTAINER, CL_POD_WASM };

/* BODY is the table of options of a runtime in containerd's configuration, as TOML: its line
 * `wall = "wasm"`, if there is one, is RET. Others are passed over. */
int cl_wall_of_options(const char *body, enum cl_pod_wall *ret, struct cl_error *err);

/* ANNOTATIONS, of struct cl_msg_pair, of a pod: run.cloister.wall, if there is one, is RET. Those
 * of the same prefix that containers have (bundle.h) are for these; others are refused, so that
 * nobody believes that they do something. */
int cl_wall_of_pod(const struct cl_wire_list *annotations, enum cl_pod_wall *ret,
                   struct cl_error *err);

#endif
