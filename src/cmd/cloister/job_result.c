/* A job's result, one object of JSON: how it and each step ended, what it left, and the sandbox's
 * own record. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/describe.h"
#include "cmd/cloister/job_parts.h"
#include "sandbox/result_file.h"

static void add_time(struct cl_json *json, const char *key, uint64_t wall_ns)
{
    char text[CL_RFC3339_SIZE];

    cl_clock_rfc3339(wall_ns, text);
    cl_json_string(json, key, wall_ns == 0 ? NULL : text);
}

static void add_number_or_null(struct cl_json *json, const char *key, int value, int is_known)
{
    if (is_known)
        cl_json_i64(json, key, value);
    else
        cl_json_null(json, key);
}

static const char *text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static void add_step(struct cl_json *json, const struct cl_job_step *step,
                     const struct cl_job_step_end *end)
{
    cl_json_object(json, NULL);
    cl_json_string(json, "name", step->name);
    cl_json_string(json, "status", cl_job_status_name(end->status));
    cl_json_bool(json, "allow_failure", step->allow_failure != 0);
    add_number_or_null(json, "exit_code", end->exit_code, end->exit_code >= 0);
    add_number_or_null(json, "signal", end->signal, end->signal != 0);
    add_time(json, "started_at", end->started_wall_ns);
    add_time(json, "ended_at", end->ended_wall_ns);
    cl_json_u64(json, "time_ns", end->time_ns);
    cl_json_string(json, "error", text_or_null(end->error));
    cl_json_close(json, '}');
}

static void add_artifact(struct cl_json *json, const struct cl_job_path *path,
                         const struct cl_job_artifact_end *end)
{
    cl_json_object(json, NULL);
    cl_json_string(json, "path", path->from);
    cl_json_string(json, "to", path->to);
    cl_json_u64(json, "entries", end->entries);
    cl_json_u64(json, "bytes", end->bytes);
    cl_json_string(json, "error", text_or_null(end->error));
    cl_json_close(json, '}');
}

/* As inspect prints one that has ended. */
static void add_sandbox(struct cl_json *json, struct cl_job_run *run)
{
    const struct cl_visit visit = {.entry = &run->known.found.entry,
                                   .status = &run->known.found.status,
                                   .plan = &run->plan,
                                   .ended = &run->known.ended};

    if (run->has_ended)
        cl_describe_all(json, "sandbox", &visit);
    else
        cl_json_null(json, "sandbox");
}

static void add_lists(struct cl_json *json, const struct cl_job_run *run)
{
    cl_json_array(json, "steps");
    for (size_t i = 0; run->steps != NULL && i < run->job.steps.count; i++)
        add_step(json, &run->job.steps.items[i], &run->steps[i]);
    cl_json_close(json, ']');
    cl_json_array(json, "artifacts");
    for (size_t i = 0; run->artifact_ends != NULL && i < run->job.artifacts.count; i++)
        add_artifact(json, &run->job.artifacts.items[i], &run->artifact_ends[i]);
    cl_json_close(json, ']');
}

/* What isn't decided yet is as it was said. */
static const char *first_of(const char *decided, const char *said, const char *in_file)
{
    return decided != NULL ? decided : said != NULL ? said : in_file;
}

static void add_job(struct cl_json *json, struct cl_job_run *run)
{
    const struct cl_plan *flags = &run->request.flags;
    const struct cl_plan *plan = &run->plan;

    cl_json_object(json, NULL);
    cl_json_string(json, "job", run->path);
    cl_json_string(json, "name", first_of(plan->name, flags->name, run->job.name));
    cl_json_string(json, "id", text_or_null(run->known.found.entry.id));
    cl_json_string(json, "image", first_of(plan->image, flags->image, run->job.image));
    cl_json_string(json, "tenant", first_of(plan->tenant, flags->tenant, run->job.tenant));
    cl_json_string(json, "status", cl_job_status_name(run->status));
    cl_json_i64(json, "exit_status", run->exit_status);
    cl_json_string(json, "error", text_or_null(run->error));
    add_time(json, "started_at", run->started_wall_ns);
    add_time(json, "ended_at", cl_clock_wall_ns());
    cl_json_u64(json, "time_ns", cl_clock_boot_ns() - run->started_boot_ns);
    add_lists(json, run);
    add_sandbox(json, run);
    cl_json_close(json, '}');
}

/* Standard output is the record's with --format json; what steps write there goes where their
 * errors go. */
static int keep_output(struct cl_job_run *run, struct cl_error *err)
{
    run->record_fd = cl_sys_fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int r = run->record_fd < 0 ? run->record_fd : cl_sys_dup3(STDERR_FILENO, STDOUT_FILENO, 0);

    return r < 0 ? cl_fail(err, r, "keep standard output for the result") : 0;
}

int cl_job_open_results(struct cl_job_run *run, struct cl_error *err)
{
    if (run->request.result_path != NULL) {
        run->result_fd = cl_result_file_open(run->request.result_path, err);
        if (run->result_fd < 0)
            return run->result_fd;
    }
    return run->request.format_json ? keep_output(run, err) : 0;
}

int cl_job_write_results(struct cl_job_run *run, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_json json;
    int r = 0;

    if (run->result_fd < 0 && run->record_fd < 0)
        return 0;
    cl_json_begin(&json, &buf, 1);
    add_job(&json, run);
    if (cl_json_end(&json) < 0)
        return cl_fail_memory(err);
    if (run->result_fd >= 0)
        r = cl_result_file_write_text(run->result_fd, &buf, err);
    if (r == 0 && run->record_fd >= 0)
        r = cl_result_file_write_text(run->record_fd, &buf, err);
    return r;
}
