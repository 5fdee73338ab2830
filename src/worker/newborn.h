/* newborn.h - what a process forked for one guest does with itself: from the fork to its end.
 *
 * Of its parent it keeps the code that is mapped; all that is open it closes but its guest's. Then
 * it enters a Landlock domain of the guest's own directories, puts on the filter of a worker that
 * has one guest, and runs that. What it says of the end is foreign bytes to its parent: an engine
 * that the guest has broken says anything.
 */
#ifndef CL_WORKER_NEWBORN_H
#define CL_WORKER_NEWBORN_H

#include <sys/types.h>

#include "engine/engine.h"
#include "worker/orders.h"

struct cl_newborn {
    struct cl_program *program; /* of an engine for one, as this is */
    struct cl_wasi_setup wasi;
    struct cl_guest_limits limits;
    int has_domain;                  /* Landlock's; its caller may accept that there is none */
    int groups[CL_ORDER_MAX_GROUPS]; /* files of cgroups that it enters */
    size_t group_count;
    uint32_t user; /* that it becomes, but for files; 0: it stays who it is */
    int words;     /* where struct cl_newborn_words goes, in one write */
    pid_t parent;
};

struct cl_newborn_words {
    int32_t code;       /* an errno: it could not be run, and MESSAGE says why; 0: it ended */
    uint32_t kind;      /* as struct cl_guest_end's */
    uint32_t exit_code; /* the same */
    uint32_t reserved;
    uint64_t memory_bytes;
    uint64_t written[2]; /* bytes to standard output and error */
    char message[300];   /* NUL-ended; of a trap: which, and in which function */
};

/* Descriptors 0 to 2 are closed, too. */
CL_NORETURN void cl_newborn_run(const struct cl_newborn *newborn);

#endif
