/* beside.h - a helper process beside us: in our memory and with our descriptors, on a stack
 * of its own, while we sleep (clone(2): CLONE_VM, CLONE_FILES, CLONE_VFORK). For what a
 * process can't do and then be what it was: join a namespace, change its identity. What it
 * finds out it leaves in its context, its descriptors are ours. It costs 0.03 ms: no page
 * is copied.
 */
#ifndef CL_BASE_BESIDE_H
#define CL_BASE_BESIDE_H

#include "base/error.h"

enum { CL_BESIDE_STACK = 131072 };

/* What the helper runs: 0, or 1 when it has failed and said why in CONTEXT. It may use
 * CL_BESIDE_STACK bytes of stack, and must make no helper of its own. */
typedef int cl_beside_fn(void *context);

/* Runs FN(CONTEXT) in a helper called WHAT ("the network maker"), born into new namespaces
 * (CLONE_NEW* flags; 0: none), and reaps it. Returns what FN did, or -errno and a message
 * when it could not be started, or didn't come to its end. */
int cl_beside_run(const char *what, int namespaces, cl_beside_fn *fn, void *context,
                  struct cl_error *err);

#endif
