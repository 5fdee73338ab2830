/* errands.h - a sandbox's own copies: files in before its command begins, and out after its end
 * (--copy-in, --copy-out).
 *
 * A child of the supervisor, with its caller's privilege, which the supervisor gives up, runs
 * them as a client of the sandbox like any `cp`, each in a child of its own that can do nothing
 * but that copy (copy/confine.h). It waits to be sent, tells how it went, and ends with the
 * supervisor.
 */
#ifndef CL_SANDBOX_ERRANDS_H
#define CL_SANDBOX_ERRANDS_H

#include <sys/types.h>

#include "sandbox/copy_apart.h"

struct cl_errand {
    const char *source;
    const char *target;
};

struct cl_errand_list {
    const struct cl_errand *items;
    size_t count;
};

/* What is to be copied; borrowed. */
struct cl_errand_plan {
    struct cl_errand_list in;
    struct cl_errand_list out;
    /* PATH of the copy of SOURCE was left out, for an errno or, 0, for its kind; the child's. */
    void (*left_out)(const char *source, const char *path, int why);
};

struct cl_errands {
    pid_t pid; /* 0: there is nothing to copy */
    int channel;
    const struct cl_entry *entry; /* the sandbox's */
    int has_in;
    int has_out;
    enum cl_copy_way sent; /* 0: not yet */
    int is_at_work;        /* it has been sent, and is not back */
};
#define CL_ERRANDS_INIT ((struct cl_errands){.channel = -1})

/* Makes the child for the sandbox of ENTRY, borrowed, where PLAN, which may be NULL, has anything.
 */
int cl_errands_make(const struct cl_errand_plan *plan, const struct cl_entry *entry,
                    struct cl_errands *ret, struct cl_error *err);
/* Sends it WAY; `channel` can be read when it is back. */
int cl_errands_send(struct cl_errands *errands, enum cl_copy_way way, struct cl_error *err);
/* Takes what it brings: 0 when all has been copied, or why not. */
int cl_errands_hear(struct cl_errands *errands, struct cl_error *err);
/* Ends it; whatever it was at, it leaves nothing in the state directory. */
void cl_errands_done(struct cl_errands *errands);

#endif
