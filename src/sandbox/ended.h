/* ended.h - how a kept sandbox ended, as a record of its own: what a result says, in a form that
 * can be read again.
 */
#ifndef CL_SANDBOX_ENDED_H
#define CL_SANDBOX_ENDED_H

#include "base/flat.h"
#include "sandbox/result.h"

enum cl_ended_field {
    CL_ENDED_STATUS,
    CL_ENDED_EXIT_STATUS,
    CL_ENDED_EXIT_CODE, /* set only when the main process exited */
    CL_ENDED_SIGNAL,    /* set only when one ended it */
    CL_ENDED_ERROR,
    CL_ENDED_LIMITS_HIT,
    CL_ENDED_CREATED,
    CL_ENDED_STARTED,
    CL_ENDED_ENDED,
    CL_ENDED_SETUP,
    CL_ENDED_RUN,
    CL_ENDED_TEARDOWN,
    CL_ENDED_CPU_USER, /* usage: unset where it is unknown */
    CL_ENDED_CPU_SYSTEM,
    CL_ENDED_MEMORY_PEAK,
    CL_ENDED_TASKS_PEAK,
    CL_ENDED_IO_READ,
    CL_ENDED_IO_WRITE,
    CL_ENDED_STDOUT,
    CL_ENDED_STDERR,
    CL_ENDED_LAYERS,
    CL_ENDED_FIELD_COUNT
};

/* Members and units as in struct cl_result. EXIT_STATUS is what a shell would have seen. */
struct cl_ended {
    uint64_t set;
    uint64_t status; /* enum cl_result_status */
    uint64_t exit_status;
    uint64_t exit_code;
    uint64_t signal;
    const char *error;
    uint64_t limits_hit;
    uint64_t created_wall_ns;
    uint64_t started_wall_ns;
    uint64_t ended_wall_ns;
    uint64_t setup_ns;
    uint64_t run_ns;
    uint64_t teardown_ns;
    uint64_t cpu_user_ns;
    uint64_t cpu_system_ns;
    uint64_t memory_peak_bytes;
    uint64_t tasks_peak;
    uint64_t io_read_bytes;
    uint64_t io_write_bytes;
    uint64_t stdout_bytes;
    uint64_t stderr_bytes;
    uint64_t layers;
};

extern const struct cl_flat_shape cl_ended_shape;

/* What RESULT says; EXIT_STATUS is what the run's caller would get. Borrows RESULT's error. */
struct cl_ended cl_ended_of(const struct cl_result *result, int exit_status);

/* Back again: what ENDED says of the sandbox ID with PLAN. Borrows all. */
struct cl_result cl_ended_result(const struct cl_ended *ended, const struct cl_plan *plan,
                                 const char *id);

#endif
