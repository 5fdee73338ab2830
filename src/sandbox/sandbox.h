/* sandbox.h - a sandbox from plan to result: the calling process is its supervisor, in the
 * foreground or on its own (a detached plan).
 *
 * Theory of operation. Creation is a list of named steps with an undo for each
 * (sandbox.c); an error at one step undoes those before it and says which failed on
 * what. Nothing that could outlive us exists before the record in the state directory
 * does: processes and mounts end with us by the kernel's promise, and what remains
 * (cgroups, a seat, a plan's file) is found by the record's lock and swept by the next command.
 *
 * A process that has run one sandbox is done: signals stay blocked.
 */
#ifndef CL_SANDBOX_SANDBOX_H
#define CL_SANDBOX_SANDBOX_H

#include "base/error.h"
#include "plan/plan.h"
#include "sandbox/errands.h"

struct cl_run_options {
    const char *result_path; /* where the record is written; NULL: nowhere */
    char *const *argv;       /* the program's own, which the sandbox must not see */
    int argc;
    /* Three descriptors that stand for this process's standard ones, and for a detached plan's log;
     * -1: that one does. NULL: all do. Borrowed. */
    const int *streams;
    int image;    /* the descriptor of a plan's image that is a file (MODULE); borrowed; else 0 */
    pid_t parent; /* who must be alive, where that is watched; 0: whoever it is now */
    const struct cl_errand_plan *errands; /* files to copy, in a plan that waits or stays for that;
                                             NULL: none */
    /* Of a detached plan: called once, when its command runs as sandbox ID. */
    void (*on_started)(void *context, const char *id);
    /* Of one that is kept: called once, when it has ended with STATUS, as cl_sandbox_run would
     * return it with WHY, and its files are there until somebody removes it. */
    void (*on_rest)(void *context, int status, const struct cl_error *why);
    void *context;
};

/* Runs PLAN, which cl_plan_decide has made, to its end. Returns the status to exit with
 * (0..255); when that isn't the command's own, ERR->msg holds the line that says why
 * (empty: nothing to say). -errno: it could not be started, or what it did to its end is
 * not what was asked for (limits or output that were lost). The record is written in every
 * case but that its file can't be opened. */
int cl_sandbox_run(const struct cl_plan *plan, const struct cl_run_options *options,
                   struct cl_error *err);

#endif
