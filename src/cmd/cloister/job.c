/* job: the steps of a file, one after the other in one sandbox. */
#include "cmd/cloister/job_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/seal.h"

enum { ARENA_MAX = 64 << 20 };

#define FIELD(name, letter, value, help, field)                                                    \
    {                                                                                              \
        name, letter, value, help, cl_run_set_field, CL_FIELD_##field, NULL                        \
    }
#define STRING(name, value, help, member, choices)                                                 \
    {                                                                                              \
        name, 0, value, help, cl_run_set_string, (int)offsetof(struct cl_job_run, member), choices \
    }

static const struct cl_option options[] = {
    STRING("artifacts", "DIR", "where the artifacts are put (./artifacts)", artifacts, "@dir"),
    STRING("result", "FILE", "write how it and each step ended, as JSON", request.result_path,
           "@file"),
    {"format", 0, "FORMAT", "json: standard output is the result alone; or table", cl_set_format,
     (int)offsetof(struct cl_job_run, request.format_json), "table json"},
    FIELD("tenant", 0, "NAME", "whose code it is, in place of the file's", TENANT),
    FIELD("name", 0, "NAME", "the sandbox's name, in place of the file's", NAME),
    {"label", 'l', "KEY=VALUE", "a note that is kept with the sandbox", cl_run_add_label, 0, NULL},
    STRING("policy", "FILE", "a policy file that overrides the job's policy", request.policy_path,
           "@file"),
    {"cgroup-manager", 0, "MANAGER", "who gives it its cgroup: cgroupfs (the default), or systemd",
     cl_run_set_field, CL_FIELD_CGROUP_MANAGER, "cgroupfs systemd"},
    FIELD("timeout", 0, "TIME", "time until the end of the whole job", TIME),
    {"env", 'e', "NAME[=VALUE]", "set a variable; without a value take the caller's",
     cl_run_add_env, 0, NULL},
    {"env-file", 0, "FILE", "set variables from lines NAME[=VALUE]", cl_run_add_env_file, 0,
     "@file"},
    {"pull", 0, "WHEN", "missing (the default): when the image isn't here; always; never",
     cl_run_set_pull, 0, "missing always never"},
    {"keep-going", 'k', NULL, "run the steps behind one that failed, too", cl_set_flag,
     (int)offsetof(struct cl_job_run, keep_going), NULL},
    {"quiet", 'q', NULL, "say nothing of the steps or of a pull", cl_set_flag,
     (int)offsetof(struct cl_job_run, request.quiet), NULL},
    {"without", 0, "LAYER", "accept that a layer is missing on this host", cl_run_add_without, 0,
     "landlock apparmor selinux limits disk-limit core-limit guest-users"},
    CL_OPTION_HELP,
};

static const char *const status_names[CL_JOB_STATUS_COUNT] = {
    "passed",       "failed", "timeout",     "cpu_time", "oom",
    "output_limit", "killed", "interrupted", "error",    "skipped",
};

const char *cl_job_status_name(enum cl_job_status status)
{
    return status_names[status];
}

void cl_job_fail(struct cl_job_run *run, enum cl_job_status status, int exit_status,
                 const char *fmt, ...)
{
    va_list args;

    if (run->status != CL_JOB_PASSED)
        return;
    run->status = status;
    run->exit_status = exit_status;
    va_start(args, fmt);
    (void)vsnprintf(run->error, sizeof(run->error), fmt, args); /* cut where it is too long */
    va_end(args);
}

static void done(struct cl_job_run *run)
{
    cl_known_done(&run->known);
    cl_state_done(&run->state);
    cl_run_held_done(&run->held);
    cl_fd_close(&run->signals);
    cl_fd_close(&run->record_fd);
    cl_fd_close(&run->result_fd);
}
#define CL_CLEANUP_JOB_RUN CL_CLEANUP(done)

/* The operands, `run FILE`. */
static int take_operands(struct cl_job_run *run, int count, char *const words[],
                         struct cl_error *err)
{
    if (count < 1 || strcmp(words[0], "run") != 0)
        return cl_refuse(err, EINVAL, "job: expected run, as in: cloister job run FILE");
    if (count < 2)
        return cl_refuse(err, EINVAL, "job run: no file named");
    if (count > 2)
        return cl_refuse(err, EINVAL, "job run: one file at a time, got \"%.100s\" too", words[2]);
    run->path = words[1];
    return 0;
}

/* Steps have no input: a build that asks must not wait for somebody. */
static int close_input(struct cl_error *err)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
    int r = null < 0 ? null : cl_sys_dup3(null, 0, 0);

    return r < 0 ? cl_fail(err, r, "put /dev/null in place of standard input") : 0;
}

/* What RUN has to say of its steps and artifacts before there are any. */
static int make_room(struct cl_job_run *run, struct cl_error *err)
{
    struct cl_arena *arena = run->request.arena;
    const size_t artifacts = run->job.artifacts.count;

    run->steps = cl_arena_array(arena, run->job.steps.count, sizeof(*run->steps));
    run->artifact_ends =
        cl_arena_array(arena, artifacts == 0 ? 1 : artifacts, sizeof(*run->artifact_ends));
    if (run->steps == NULL || run->artifact_ends == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < run->job.steps.count; i++)
        run->steps[i] = (struct cl_job_step_end){.status = CL_JOB_SKIPPED, .exit_code = -1};
    return 0;
}

/* All that comes before the sandbox stands. 0, the status to exit with, or -errno. */
static int prepare(struct cl_job_run *run, char *const argv[], struct cl_error *err)
{
    struct cl_job job = {.set = 0};
    int r = cl_job_load(run->path, run->request.arena, &job, err);

    if (r < 0)
        return r;
    run->job = job;
    r = make_room(run, err);
    if (r == 0)
        r = cl_job_check_artifacts(run, err);
    if (r == 0)
        r = cl_job_decide(run, err);
    if (r == 0)
        r = close_input(err);
    return r < 0 ? r : cl_job_start(run, argv, err);
}

static void note_error(struct cl_job_run *run, int exit_status, const struct cl_error *err)
{
    cl_job_fail(run, CL_JOB_ERROR, exit_status, "%s", err->msg);
}

/* The job from its start to its end; how it went is in RUN. */
static void work(struct cl_job_run *run, char *const argv[])
{
    struct cl_error err = {0};
    int r = prepare(run, argv, &err);

    if (r != 0) {
        note_error(run, r < 0 ? CL_EXIT_FAILED : r, &err);
        return;
    }
    cl_job_say_begin(run);
    r = cl_job_copy_in(run, &err);
    if (run->interrupt != 0)
        cl_job_fail(run, CL_JOB_INTERRUPTED, 128 + run->interrupt,
                    "the job was ended by signal %d while files were copied in", run->interrupt);
    else if (r < 0)
        note_error(run, CL_EXIT_FAILED, &err);
    else
        cl_job_run_steps(run);
    cl_job_collect(run);
    cl_job_say_artifacts(run);
    if (cl_job_stop(run, &err) < 0)
        note_error(run, CL_EXIT_FAILED, &err);
}

static int run_job(const struct cl_command *self, int argc, char *const argv[],
                   struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_JOB_RUN struct cl_job_run run = {
        .request = CL_RUN_REQUEST_INIT(&arena),
        .held = CL_RUN_HELD_INIT,
        .signals = -1,
        .record_fd = -1,
        .result_fd = -1,
        .state = CL_STATE_INIT,
        .known = CL_KNOWN_INIT,
        .started_wall_ns = cl_clock_wall_ns(),
        .started_boot_ns = cl_clock_boot_ns(),
    };
    int first = cl_command_parse(self, argc, argv, &run, err);

    if (first < 0)
        return first;
    int r = take_operands(&run, argc - first, argv + first, err);
    if (r == 0)
        r = cl_seal_self(argv - 1,
                         err); /* main's: the program's name stands before the command's */
    if (r == 0)
        r = cl_job_open_results(&run, err);
    if (r < 0)
        return r;
    work(&run, argv - 1);
    r = cl_job_write_results(&run, err);
    if (r < 0)
        return r;
    if (run.error[0] != '\0')
        (void)fprintf(stderr, "cloister: %s\n",
                      run.error); /* a closed stderr is the caller's wish */
    return run.exit_status;
}

const struct cl_command cl_command_job = {
    .name = "job",
    .usage = "run [OPTIONS] FILE",
    .help = "Run the steps of a file in one sandbox",
    .run = run_job,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "run",
};
