/* probe.h - what doctor looks at: each probe tries one thing and says what came of it.
 *
 * A probe leaves nothing behind: what changes a process is tried in a forked child.
 */
#ifndef CL_CMD_CLOISTER_PROBE_H
#define CL_CMD_CLOISTER_PROBE_H

#include "base/error.h"
#include "base/helper.h"

enum cl_probe_state {
    CL_PROBE_WORKS,
    CL_PROBE_MISSING, /* needed, and not there */
    CL_PROBE_ABSENT,  /* not there; nothing here needs it */
    CL_PROBE_LATER,   /* not built yet */
    CL_PROBE_STATE_COUNT
};

struct cl_finding {
    enum cl_probe_state state;
    char why[512];  /* a detail, or what is in the way */
    char cure[512]; /* "": none known */
};

void cl_found(struct cl_finding *finding, enum cl_probe_state state, const char *fmt, ...)
    CL_PRINTF(3, 4);
void cl_cure(struct cl_finding *finding, const char *fmt, ...) CL_PRINTF(2, 3);

/* probe_process.c: by trying in a child */
void cl_probe_userns(struct cl_finding *finding);
void cl_probe_namespaces(struct cl_finding *finding);
void cl_probe_overlay(struct cl_finding *finding);
void cl_probe_procfs(struct cl_finding *finding);
void cl_probe_seccomp(struct cl_finding *finding);
void cl_probe_idmap(struct cl_finding *finding);
void cl_probe_calls(struct cl_finding *finding);

/* probe_host.c: by asking */
void cl_probe_kernel(struct cl_finding *finding);
void cl_probe_landlock(struct cl_finding *finding);
void cl_probe_limits(struct cl_finding *finding);
void cl_probe_state_dir(struct cl_finding *finding);
void cl_probe_ids(struct cl_finding *finding);
void cl_probe_core(struct cl_finding *finding);
void cl_probe_apparmor(struct cl_finding *finding);
void cl_probe_selinux(struct cl_finding *finding);
void cl_probe_helper(struct cl_finding *finding);
void cl_probe_loop(struct cl_finding *finding);
void cl_probe_kvm(struct cl_finding *finding);
void cl_probe_network(struct cl_finding *finding);
void cl_probe_later(struct cl_finding *finding);

/* probe_image.c */
void cl_probe_store(struct cl_finding *finding);
void cl_probe_image_helpers(struct cl_finding *finding);
/* Whether all COUNT programs are there; *RET is the last. */
int cl_probe_find(const char *const *names, size_t count, struct cl_helper *ret,
                  struct cl_error *err);
void cl_probe_subids(struct cl_finding *finding);

/* probe_wasm.c */
void cl_probe_wasm(struct cl_finding *finding);
void cl_probe_wasmedge(struct cl_finding *finding);

/* The first line of a small file, or "" where it can't be read. */
void cl_probe_read(const char *path, char *ret, size_t size);

#endif
