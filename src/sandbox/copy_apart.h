/* copy_apart.h - a copy by a process of its own. It takes a stream from a hostile sandbox, or gives
 * one, shuts itself in where that goes (cl_copy_job's is_last) and so can do nothing else; and it
 * can be ended, however long the sandbox's code makes it wait. It ends with who started it. */
#ifndef CL_SANDBOX_COPY_APART_H
#define CL_SANDBOX_COPY_APART_H

#include <sys/types.h>

#include "sandbox/copy.h"

enum cl_copy_way { CL_COPY_IN = 1, CL_COPY_OUT };

struct cl_copy_apart {
    pid_t pid;
    int from;                /* readable once it has ended */
    int dir;                 /* the state directory, borrowed */
    char client[CL_ID_SIZE]; /* by what name it rings: the job's, or one of its own */
};
#define CL_COPY_APART_INIT ((struct cl_copy_apart){.from = -1, .dir = -1})

struct cl_copy_end {
    struct cl_copy_done done;
    uint32_t left_out; /* what was left out: so many calls of the job's left_out, in that process */
};

int cl_copy_apart_start(const struct cl_copy_job *job, enum cl_copy_way way,
                        struct cl_copy_apart *ret, struct cl_error *err);
/* Waits for its end, and says how that was. */
int cl_copy_apart_hear(const struct cl_copy_apart *apart, struct cl_copy_end *ret,
                       struct cl_error *err);
/* Ends it, wherever it is; it leaves nothing in the state directory. */
void cl_copy_apart_done(struct cl_copy_apart *apart);
#define CL_CLEANUP_COPY_APART CL_CLEANUP(cl_copy_apart_done)

#endif
