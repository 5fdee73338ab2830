#include "sandbox/result.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/signals.h"
#include "plan/print.h"

static const char *const status_names[CL_STATUS_COUNT] = {
    "exited", "signaled", "timeout", "cpu_time", "oom", "output_limit", "killed", "error",
};

static const struct {
    enum cl_limit_hit hit;
    const char *name;
} hits[] = {
    {CL_HIT_TASKS, "tasks"},         {CL_HIT_DISK, "disk"},         {CL_HIT_MEMORY, "memory"},
    {CL_HIT_FILE_SIZE, "file_size"}, {CL_HIT_CPU_TIME, "cpu_time"}, {CL_HIT_TIME, "time"},
    {CL_HIT_OUTPUT, "output"},       {CL_HIT_CPUS, "cpus"},
};

static void print_time(struct cl_json *json, const char *key, uint64_t wall_ns)
{
    char text[CL_RFC3339_SIZE];

    cl_clock_rfc3339(wall_ns, text);
    cl_json_string(json, key, wall_ns == 0 ? NULL : text);
}

static void print_known(struct cl_json *json, const char *key, const struct cl_usage *usage,
                        enum cl_usage_field field, uint64_t value)
{
    if (cl_usage_has(usage, field))
        cl_json_u64(json, key, value);
    else
        cl_json_null(json, key);
}

static void print_usage(struct cl_json *json, const struct cl_result *result)
{
    const struct cl_usage *usage = &result->usage;

    cl_json_object(json, "usage");
    print_known(json, "cpu_user_ns", usage, CL_USAGE_CPU_USER, usage->cpu_user_ns);
    print_known(json, "cpu_system_ns", usage, CL_USAGE_CPU_SYSTEM, usage->cpu_system_ns);
    print_known(json, "memory_peak_bytes", usage, CL_USAGE_MEMORY_PEAK, usage->memory_peak_bytes);
    print_known(json, "tasks_peak", usage, CL_USAGE_TASKS_PEAK, usage->tasks_peak);
    print_known(json, "io_read_bytes", usage, CL_USAGE_IO_READ, usage->io_read_bytes);
    print_known(json, "io_write_bytes", usage, CL_USAGE_IO_WRITE, usage->io_write_bytes);
    cl_json_u64(json, "stdout_bytes", result->stdout_bytes);
    cl_json_u64(json, "stderr_bytes", result->stderr_bytes);
    cl_json_close(json, '}');
}

static void print_layers(struct cl_json *json, const char *key, uint64_t layers)
{
    cl_json_array(json, key);
    for (unsigned int i = 0; i < CL_LAYER_COUNT; i++) {
        if ((layers & CL_LAYER_BIT(i)) != 0)
            cl_json_string(json, NULL, cl_layer_name((enum cl_layer)i));
    }
    cl_json_close(json, ']');
}

static void print_outcome(struct cl_json *json, const struct cl_result *result)
{
    cl_json_string(json, "status", status_names[result->status]);
    if (result->exit_code >= 0)
        cl_json_i64(json, "exit_code", result->exit_code);
    else
        cl_json_null(json, "exit_code");
    if (result->signal != 0)
        cl_json_i64(json, "signal", result->signal);
    else
        cl_json_null(json, "signal");
    cl_json_string(json, "error", result->error);
    cl_json_array(json, "limits_hit");
    for (size_t i = 0; i < CL_ARRAY_SIZE(hits); i++) {
        if ((result->limits_hit & hits[i].hit) != 0)
            cl_json_string(json, NULL, hits[i].name);
    }
    cl_json_close(json, ']');
}

const char *cl_result_status_name(enum cl_result_status status)
{
    return status_names[status];
}

void cl_result_add(const struct cl_result *result, struct cl_json *json, const char *key)
{
    const struct cl_plan *plan = result->plan;

    cl_json_object(json, key);
    cl_json_string(json, "id", result->id);
    cl_json_string(json, "name", plan->name);
    cl_json_string(json, "tenant", plan->tenant);
    cl_json_string(json, "wall", result->wall);
    cl_json_string(json, "image", plan->image);
    cl_json_string(json, "digest", plan->image_digest); /* directories have none */
    print_outcome(json, result);
    print_time(json, "created_at", result->created_wall_ns);
    print_time(json, "started_at", result->started_wall_ns);
    print_time(json, "ended_at", result->ended_wall_ns);
    cl_json_object(json, "time_ns");
    cl_json_u64(json, "setup", result->setup_ns);
    cl_json_u64(json, "run", result->run_ns);
    cl_json_u64(json, "teardown", result->teardown_ns);
    cl_json_close(json, '}');
    print_usage(json, result);
    cl_plan_print_limits(plan, json);
    print_layers(json, "layers", result->layers);
    print_layers(json, "without", plan->without);
    cl_json_close(json, '}');
}

int cl_result_print(const struct cl_result *result, struct cl_buf *buf, struct cl_error *err)
{
    struct cl_json json;

    cl_json_begin(&json, buf, 1);
    cl_result_add(result, &json, NULL);
    return cl_json_end(&json) < 0 ? cl_fail_memory(err) : 0;
}

int cl_result_exit_status(const struct cl_result *result, int exec_errno)
{
    switch (result->status) {
    case CL_STATUS_EXITED:
        return result->exit_code;
    case CL_STATUS_SIGNALED:
        return 128 + result->signal;
    case CL_STATUS_TIMEOUT:
        return 124;
    case CL_STATUS_CPU_TIME:
    case CL_STATUS_OOM:
    case CL_STATUS_OUTPUT_LIMIT:
    case CL_STATUS_KILLED:
        return 137;
    case CL_STATUS_ERROR:
    case CL_STATUS_COUNT:
        break;
    }
    if (exec_errno == 0)
        return 125;
    return exec_errno == ENOENT || exec_errno == ENOTDIR ? 127 : 126;
}

static void explain_size(char ret[256], const char *what, uint64_t bytes)
{
    const char *unit = cl_size_unit(&bytes);

    (void)snprintf(ret, 256, "ended by its %s limit of %" PRIu64 "%s", what, bytes, unit);
}

static void explain_time(char ret[256], const char *what, uint64_t limit_ns)
{
    (void)snprintf(ret, 256, "ended after its %s limit of %" PRIu64 ".%03us", what,
                   (uint64_t)(limit_ns / CL_NS_PER_S),
                   (unsigned int)(limit_ns / CL_NS_PER_MS % 1000));
}

static void explain_signal(char ret[256], int signal)
{
    const char *name = cl_signal_name(signal);

    (void)snprintf(ret, 256, "the command was ended by signal %d%s%s%s", signal,
                   name == NULL ? "" : " (", name == NULL ? "" : name, name == NULL ? "" : ")");
}

/* What the main process had to say of its end, in place of what is known without that. */
static void explain_words(const struct cl_result *result, char ret[256])
{
    if (result->error != NULL)
        (void)snprintf(ret, 256, "%s", result->error);
}

void cl_result_explain(const struct cl_result *result, char ret[256])
{
    const struct cl_plan_limits *limits = &result->plan->limits;

    ret[0] = '\0';
    switch (result->status) {
    case CL_STATUS_TIMEOUT:
        explain_time(ret, "time", limits->time_ns);
        break;
    case CL_STATUS_CPU_TIME:
        explain_time(ret, "cpu-time", limits->cpu_time_ns);
        break;
    case CL_STATUS_OOM:
        explain_size(ret, "memory", limits->memory_bytes);
        break;
    case CL_STATUS_OUTPUT_LIMIT:
        explain_size(ret, "output", limits->output_bytes);
        break;
    case CL_STATUS_KILLED:
        (void)snprintf(ret, 256, "killed");
        break;
    case CL_STATUS_SIGNALED:
        /* As shells do: in `cloister run host yes | head` nothing went wrong. */
        if (result->signal != SIGPIPE)
            explain_signal(ret, result->signal);
        break;
    case CL_STATUS_EXITED:
    case CL_STATUS_ERROR:
    case CL_STATUS_COUNT:
        break;
    }
    if (result->status == CL_STATUS_EXITED || result->status == CL_STATUS_SIGNALED)
        explain_words(result, ret);
}
