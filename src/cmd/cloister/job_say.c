/* What a job says of its steps, on standard error: a line before each, and one behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/signals.h"
#include "cmd/cloister/job_parts.h"

enum { TEXT_SIZE = 320 };

static int is_silent(const struct cl_job_run *run)
{
    return run->request.quiet;
}

/* All of it is of our own making, or was looked at when the file was read. A closed standard error
 * is the caller's wish. */
static void say(const char *colour, const char *text)
{
    if (cl_wants_colour(STDERR_FILENO))
        (void)fprintf(stderr, "\033[%sm%s\033[0m\n", colour, text);
    else
        (void)fprintf(stderr, "%s\n", text);
}

void cl_job_say_begin(const struct cl_job_run *run)
{
    char text[TEXT_SIZE];

    if (is_silent(run))
        return;
    (void)snprintf(text, sizeof(text), "==> sandbox %s", run->known.found.entry.id);
    say("2", text);
}

void cl_job_say_step(const struct cl_job_run *run, size_t index)
{
    char text[TEXT_SIZE];

    if (is_silent(run))
        return;
    (void)snprintf(text, sizeof(text), "==> [%zu/%zu] %s", index + 1, run->job.steps.count,
                   run->job.steps.items[index].name);
    say("1", text);
}

static void put_time(char ret[32], uint64_t ns)
{
    const uint64_t tenths = ns / (CL_NS_PER_S / 10);

    if (tenths < 1200)
        (void)snprintf(ret, 32, "%" PRIu64 ".%" PRIu64 " s", tenths / 10, tenths % 10);
    else
        (void)snprintf(ret, 32, "%" PRIu64 " min %" PRIu64 " s", tenths / 600, tenths / 10 % 60);
}

static void put_outcome(char ret[TEXT_SIZE], const struct cl_job_step_end *end)
{
    const char *name = end->signal == 0 ? NULL : cl_signal_name(end->signal);

    if (end->status == CL_JOB_PASSED)
        (void)snprintf(ret, TEXT_SIZE, "ok");
    else if (end->status != CL_JOB_FAILED)
        (void)snprintf(ret, TEXT_SIZE, "%s", cl_job_status_name(end->status));
    else if (end->signal != 0)
        (void)snprintf(ret, TEXT_SIZE, "failed by signal %d%s%s%s", end->signal,
                       name == NULL ? "" : " (", name == NULL ? "" : name, name == NULL ? "" : ")");
    else
        (void)snprintf(ret, TEXT_SIZE, "failed with status %d", end->exit_status);
}

void cl_job_say_step_end(const struct cl_job_run *run, size_t index)
{
    const struct cl_job_step_end *end = &run->steps[index];
    const int is_allowed =
        end->status == CL_JOB_FAILED && run->job.steps.items[index].allow_failure;
    char outcome[TEXT_SIZE];
    char time[32];
    char text[2 * TEXT_SIZE];

    if (is_silent(run))
        return;
    put_outcome(outcome, end);
    put_time(time, end->time_ns);
    (void)snprintf(text, sizeof(text), "    %s in %s%s", outcome, time,
                   is_allowed ? ", which is allowed" : "");
    say(end->status == CL_JOB_PASSED ? "32" : is_allowed ? "33" : "31", text);
}

void cl_job_say_artifacts(const struct cl_job_run *run)
{
    for (size_t i = 0; !is_silent(run) && i < run->job.artifacts.count; i++) {
        const struct cl_job_artifact_end *end = &run->artifact_ends[i];
        const char *path = run->job.artifacts.items[i].from;
        char size[CL_SIZE_TEXT];
        char text[2 * TEXT_SIZE];

        if (end->error[0] != '\0')
            (void)snprintf(text, sizeof(text), "    artifact %.200s: %s", path, end->error);
        else
            (void)snprintf(text, sizeof(text), "    artifact %.200s: %" PRIu64 " entr%s, %s", path,
                           end->entries, end->entries == 1 ? "y" : "ies",
                           cl_size_about(end->bytes, size));
        say(end->error[0] != '\0' ? "31" : "32", text);
    }
}
