/* run_options.h - the flags of `cloister run`, as far as they go without the host:
 * rows over setters that fill partial plans.
 *
 * Owner: the caller holds the request; all strings live in its arena or in argv.
 */
#ifndef CL_CMD_CLOISTER_RUN_OPTIONS_H
#define CL_CMD_CLOISTER_RUN_OPTIONS_H

#include "base/options.h"
#include "cmd/cloister/run_copies.h"
#include "plan/plan.h"

struct cl_command;

struct cl_run_request {
    struct cl_arena *arena;
    struct cl_plan flags;
    struct cl_plan env_files; /* lies below the flags */
    const char *policy_path;
    const char *seccomp_path;
    const char *result_path;
    const char *stdin_path; /* files in place of the caller's descriptors; NULL: none */
    const char *stdout_path;
    const char *stderr_path;
    struct cl_run_copies copies;
    uint64_t memory_swap_bytes; /* memory and swap together; UINT64_MAX: not given */
    int format_json;
    int quiet;
    int pull; /* enum cl_pull_when */
};

#define CL_RUN_REQUEST_INIT(the_arena)                                                             \
    ((struct cl_run_request){.arena = (the_arena), .memory_swap_bytes = UINT64_MAX})

extern const struct cl_option cl_run_options[];
extern const size_t cl_run_option_count;

/* Docker's words that are none here, and those that are not built yet (run_refused.c). */
extern const struct cl_refused_option cl_run_refused[];

/* Takes the operands, IMAGE [--] [COMMAND [ARG...]], and settles what depends on
 * several flags. Called once, after the options were parsed. */
int cl_run_request_finish(struct cl_run_request *request, int argc, char *const argv[],
                          struct cl_error *err);

/* The command itself (run.c). */
int cl_run_command(const struct cl_command *self, int argc, char *const argv[],
                   struct cl_error *err);

/* The setters of the rows (run_options.c); the context is a struct cl_run_request. */
typedef int cl_run_setter(void *context, const struct cl_option *option, const char *value,
                          struct cl_error *err);
cl_run_setter cl_run_set_field;   /* tag: the plan's field */
cl_run_setter cl_run_set_true;    /* tag: a BOOL field */
cl_run_setter cl_run_set_string;  /* tag: offset of a const char * in the request */
cl_run_setter cl_run_set_root;    /* tag: enum cl_root_mode */
cl_run_setter cl_run_set_nothing; /* what is always so */
cl_run_setter cl_run_set_keep;
cl_run_setter cl_run_add_env;
cl_run_setter cl_run_add_env_file;
cl_run_setter cl_run_add_label;
cl_run_setter cl_run_add_network_reach;
cl_run_setter cl_run_add_volume;
cl_run_setter cl_run_add_mount;
cl_run_setter cl_run_add_tmpfs;
cl_run_setter cl_run_add_ulimit;
cl_run_setter cl_run_add_without;
cl_run_setter cl_run_add_copy_in;
cl_run_setter cl_run_add_copy_out;
cl_run_setter cl_run_set_memory_swap;
cl_run_setter cl_run_set_entrypoint;
cl_run_setter cl_run_set_stop_signal;
cl_run_setter cl_run_set_network;
cl_run_setter cl_run_set_pull;

#endif
