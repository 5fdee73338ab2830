/* result.h - the record of how a sandbox ended and what it used. */
#ifndef CL_SANDBOX_RESULT_H
#define CL_SANDBOX_RESULT_H

#include "base/buf.h"
#include "base/json.h"
#include "limits/limits.h"
#include "plan/plan.h"

enum cl_result_status {
    CL_STATUS_EXITED,
    CL_STATUS_SIGNALED,
    CL_STATUS_TIMEOUT,
    CL_STATUS_CPU_TIME,
    CL_STATUS_OOM,
    CL_STATUS_OUTPUT_LIMIT,
    CL_STATUS_KILLED,
    CL_STATUS_ERROR,
    CL_STATUS_COUNT
};

enum cl_limit_hit {
    CL_HIT_TASKS = 1 << 0,
    CL_HIT_DISK = 1 << 1,
    CL_HIT_MEMORY = 1 << 2,
    CL_HIT_FILE_SIZE = 1 << 3,
    CL_HIT_CPU_TIME = 1 << 4,
    CL_HIT_TIME = 1 << 5,
    CL_HIT_OUTPUT = 1 << 6,
    CL_HIT_CPUS = 1 << 7,
};

struct cl_result {
    const struct cl_plan *plan;
    const char *id;
    const char *wall;
    enum cl_result_status status;
    int exit_code;     /* of the main process; -1: it didn't exit */
    int signal;        /* that ended it; 0: none */
    const char *error; /* NULL: none */
    unsigned int limits_hit;
    uint64_t created_wall_ns;
    uint64_t started_wall_ns; /* 0: never */
    uint64_t ended_wall_ns;
    uint64_t setup_ns;
    uint64_t run_ns;
    uint64_t teardown_ns;
    struct cl_usage usage;
    uint64_t stdout_bytes;
    uint64_t stderr_bytes;
    uint64_t layers;
};

/* "exited" */
const char *cl_result_status_name(enum cl_result_status status);

/* The record as an object of JSON, under KEY. */
void cl_result_add(const struct cl_result *result, struct cl_json *json, const char *key);
/* The record as one JSON object. */
int cl_result_print(const struct cl_result *result, struct cl_buf *buf, struct cl_error *err);

/* What a shell sees: the command's own, 128+n, 124, 125, 126, 127, 137. EXEC_ERRNO is
 * why the command could not be executed, or 0. */
int cl_result_exit_status(const struct cl_result *result, int exec_errno);

/* One line that says why a sandbox ended other than by its program's own exit; empty
 * where nothing needs saying. */
void cl_result_explain(const struct cl_result *result, char ret[256]);

#endif
