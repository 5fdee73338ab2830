/* test_outcome.c - what has become of a sandbox, by rows. */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/sys.h"
#include "sandbox/outcome.h"
#include "check.h"

enum { EXIT_3 = 3 << 8, NONE = 0 };

/* One run: what was seen, and what it comes to. */
struct row {
    const char *name;
    struct {
        enum cl_report_stage stage;
        int main_status;
        enum cl_end end;
        int oom_kills;
        int without_limits;
        int has_cpu_time; /* of 1 s */
        int has_file_size;
        uint64_t main_cpu_ms;
    } seen;
    enum cl_result_status status;
    int exit_code;
    int signal;
    unsigned int hit;
};

static const struct row rows[] = {
    {"exited", {.stage = CL_REPORT_ENDED, .main_status = EXIT_3}, CL_STATUS_EXITED, 3, 0, NONE},
    {"signaled",
     {.stage = CL_REPORT_ENDED, .main_status = SIGSEGV},
     CL_STATUS_SIGNALED,
     -1,
     SIGSEGV,
     NONE},
    {"core dumped",
     {.stage = CL_REPORT_ENDED, .main_status = SIGSEGV | 0x80},
     CL_STATUS_SIGNALED,
     -1,
     SIGSEGV,
     NONE},
    {"file too large",
     {.stage = CL_REPORT_ENDED, .main_status = SIGXFSZ, .has_file_size = 1},
     CL_STATUS_SIGNALED,
     -1,
     SIGXFSZ,
     CL_HIT_FILE_SIZE},
    {"SIGXFSZ of its own",
     {.stage = CL_REPORT_ENDED, .main_status = SIGXFSZ},
     CL_STATUS_SIGNALED,
     -1,
     SIGXFSZ,
     NONE},
    /* what we ended it for comes before what the kernel says */
    {"time",
     {.stage = CL_REPORT_STARTED, .end = CL_END_TIME},
     CL_STATUS_TIMEOUT,
     -1,
     0,
     CL_HIT_TIME},
    {"time, it obeyed",
     {.stage = CL_REPORT_ENDED, .main_status = EXIT_3, .end = CL_END_TIME},
     CL_STATUS_TIMEOUT,
     3,
     0,
     CL_HIT_TIME},
    {"time and memory",
     {.stage = CL_REPORT_STARTED, .end = CL_END_TIME, .oom_kills = 1},
     CL_STATUS_TIMEOUT,
     -1,
     0,
     CL_HIT_TIME | CL_HIT_MEMORY},
    {"cpu time",
     {.stage = CL_REPORT_STARTED, .end = CL_END_CPU_TIME},
     CL_STATUS_CPU_TIME,
     -1,
     0,
     CL_HIT_CPU_TIME},
    {"output",
     {.stage = CL_REPORT_STARTED, .end = CL_END_OUTPUT},
     CL_STATUS_OUTPUT_LIMIT,
     -1,
     0,
     CL_HIT_OUTPUT},
    {"killed", {.stage = CL_REPORT_STARTED, .end = CL_END_KILLED}, CL_STATUS_KILLED, -1, 0, NONE},
    /* memory */
    {"oom, main",
     {.stage = CL_REPORT_ENDED, .main_status = SIGKILL, .oom_kills = 1},
     CL_STATUS_OOM,
     -1,
     SIGKILL,
     CL_HIT_MEMORY},
    {"oom, init",
     {.stage = CL_REPORT_STARTED, .oom_kills = 1},
     CL_STATUS_OOM,
     -1,
     0,
     CL_HIT_MEMORY},
    {"oom, before main",
     {.stage = CL_REPORT_BORN, .oom_kills = 1},
     CL_STATUS_OOM,
     -1,
     0,
     CL_HIT_MEMORY},
    {"oom, a child",
     {.stage = CL_REPORT_ENDED, .main_status = EXIT_3, .oom_kills = 2},
     CL_STATUS_EXITED,
     3,
     0,
     CL_HIT_MEMORY},
    {"oom, a child; main fell",
     {.stage = CL_REPORT_ENDED, .main_status = SIGSEGV, .oom_kills = 1},
     CL_STATUS_SIGNALED,
     -1,
     SIGSEGV,
     CL_HIT_MEMORY},
    {"killed by itself",
     {.stage = CL_REPORT_ENDED, .main_status = SIGKILL},
     CL_STATUS_SIGNALED,
     -1,
     SIGKILL,
     NONE},
    /* the kernel's limit of CPU time, which is one of each process */
    {"SIGXCPU",
     {.stage = CL_REPORT_ENDED, .main_status = SIGXCPU, .has_cpu_time = 1, .main_cpu_ms = 1000},
     CL_STATUS_CPU_TIME,
     -1,
     SIGXCPU,
     CL_HIT_CPU_TIME},
    {"SIGXCPU long before",
     {.stage = CL_REPORT_ENDED, .main_status = SIGXCPU, .has_cpu_time = 1, .main_cpu_ms = 800},
     CL_STATUS_SIGNALED,
     -1,
     SIGXCPU,
     NONE},
    {"SIGXCPU of its own",
     {.stage = CL_REPORT_ENDED, .main_status = SIGXCPU, .main_cpu_ms = 5000},
     CL_STATUS_SIGNALED,
     -1,
     SIGXCPU,
     NONE},
    {"killed for CPU time",
     {.stage = CL_REPORT_ENDED,
      .main_status = SIGKILL,
      .has_cpu_time = 1,
      .without_limits = 1,
      .main_cpu_ms = 960},
     CL_STATUS_CPU_TIME,
     -1,
     SIGKILL,
     CL_HIT_CPU_TIME},
    {"killed by itself, long before",
     {.stage = CL_REPORT_ENDED,
      .main_status = SIGKILL,
      .has_cpu_time = 1,
      .without_limits = 1,
      .main_cpu_ms = 1},
     CL_STATUS_SIGNALED,
     -1,
     SIGKILL,
     NONE},
    {"killed, with cgroups",
     {.stage = CL_REPORT_ENDED, .main_status = SIGKILL, .has_cpu_time = 1, .main_cpu_ms = 1000},
     CL_STATUS_SIGNALED,
     -1,
     SIGKILL,
     NONE},
    /* no end of its own */
    {"init was killed", {.stage = CL_REPORT_STARTED}, CL_STATUS_ERROR, -1, 0, NONE},
    {"a step failed", {.stage = CL_REPORT_FAILED}, CL_STATUS_ERROR, -1, 0, NONE},
    {"no exec", {.stage = CL_REPORT_NO_EXEC}, CL_STATUS_ERROR, -1, 0, NONE},
};

static struct cl_plan plan;

static struct cl_seen seen_in(const struct row *row)
{
    struct cl_seen seen = {
        .plan = &plan,
        .report = {.stage = row->seen.stage,
                   .main_status = row->seen.main_status,
                   .exec_errno = ENOEXEC,
                   .layers = 0x55,
                   .started_boot_ns = 1300,
                   .ended_boot_ns = 1700,
                   .main_cpu_ns = row->seen.main_cpu_ms * CL_NS_PER_MS,
                   .error = {.code = EACCES, .msg = "told by init"}},
        .end = row->seen.end,
        .init_status = 9,
        .created_boot_ns = 1000,
        .now_boot_ns = 2000,
    };

    plan = (struct cl_plan){0};
    if (row->seen.has_cpu_time)
        cl_plan_mark(&plan, CL_FIELD_CPU_TIME);
    plan.limits.cpu_time_ns = CL_NS_PER_S;
    if (row->seen.has_file_size)
        cl_plan_mark(&plan, CL_FIELD_FILE_SIZE);
    if (row->seen.without_limits)
        plan.without = CL_LAYER_BIT(CL_LAYER_LIMITS);
    seen.usage.known = CL_USAGE_BIT(CL_USAGE_OOM_KILLS);
    seen.usage.oom_kills = (uint64_t)row->seen.oom_kills;
    return seen;
}

static struct cl_result judge(const struct cl_seen *seen, struct cl_error *err, int *ret)
{
    struct cl_result result = {.exit_code = -1, .created_wall_ns = 50000};

    *err = (struct cl_error){0};
    *ret = cl_outcome_judge(seen, &result, err);
    return result;
}

TEST(each_end_has_its_status)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        struct cl_seen seen = seen_in(row);
        struct cl_error err;
        int r;
        struct cl_result result = judge(&seen, &err, &r);

        if (result.status != row->status || result.exit_code != row->exit_code ||
            result.signal != row->signal || result.limits_hit != row->hit)
            printf("# %s: status %d, exit code %d, signal %d, hit %#x\n", row->name,
                   (int)result.status, result.exit_code, result.signal, result.limits_hit);
        CHECK(result.status == row->status && result.exit_code == row->exit_code);
        CHECK(result.signal == row->signal && result.limits_hit == row->hit);
        CHECK(result.layers == 0x55);
        CHECK((err.code != 0) == (row->status == CL_STATUS_ERROR));
        CHECK(r == (row->seen.stage == CL_REPORT_NO_EXEC ? ENOEXEC : 0));
    }
}

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    CHECK(0); /* no row of that name */
    return &rows[0];
}

TEST(an_error_has_its_reason)
{
    static const struct {
        const char *row;
        const char *message;
    } wanted[] = {
        {"init was killed", "the sandbox's init was ended from outside (wait status 9)"},
        {"a step failed", "told by init"},
        {"no exec", "told by init"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(wanted); i++) {
        struct cl_seen seen = seen_in(find(wanted[i].row));
        struct cl_error err;
        int r;

        (void)judge(&seen, &err, &r);
        CHECK_TEXT(err.msg, wanted[i].message);
    }
}

/* The report is foreign bytes. */
TEST(a_report_without_an_end_of_text_is_cut)
{
    struct cl_seen seen = seen_in(find("a step failed"));
    struct cl_error err;
    int r;

    memset(seen.report.error.msg, 'x', sizeof(seen.report.error.msg));
    (void)judge(&seen, &err, &r);
    CHECK(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
    seen = seen_in(find("exited"));
    seen.report.stage = 77;
    CHECK(judge(&seen, &err, &r).status == CL_STATUS_ERROR);
    CHECK_HAS(err.msg, "ended from outside");
}

TEST(times_are_of_one_clock)
{
    struct cl_error err;
    int r;
    struct cl_seen seen = seen_in(find("exited"));
    struct cl_result result = judge(&seen, &err, &r);

    CHECK(result.setup_ns == 300 && result.run_ns == 400);
    CHECK(result.started_wall_ns == 50300 && result.ended_wall_ns == 50700);
    seen = seen_in(find("time")); /* it never said when it ended */
    result = judge(&seen, &err, &r);
    CHECK(result.setup_ns == 300 && result.run_ns == 700 && result.ended_wall_ns == 51000);
    seen = seen_in(find("a step failed"));
    result = judge(&seen, &err, &r);
    CHECK(result.setup_ns == 1000 && result.run_ns == 0 && result.started_wall_ns == 0);
}

TEST(limits_that_were_met_are_told_whatever_ended_it)
{
    struct cl_error err;
    int r;
    struct cl_seen seen = seen_in(find("exited"));

    seen.scratch_is_full = 1;
    seen.usage.known |= CL_USAGE_BIT(CL_USAGE_TASKS_HIT);
    seen.usage.tasks_hit = 5;
    CHECK(judge(&seen, &err, &r).limits_hit == (CL_HIT_DISK | CL_HIT_TASKS));
    seen.usage.known |= CL_USAGE_BIT(CL_USAGE_CPUS_HIT);
    seen.usage.cpus_hit = 1;
    CHECK(judge(&seen, &err, &r).limits_hit == (CL_HIT_DISK | CL_HIT_TASKS | CL_HIT_CPUS));
    seen.usage.known = 0; /* what the host can't count is no hit */
    seen.usage.oom_kills = 1;
    CHECK(judge(&seen, &err, &r).limits_hit == CL_HIT_DISK);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_end_has_its_status),
        ROW(an_error_has_its_reason),
        ROW(a_report_without_an_end_of_text_is_cut),
        ROW(times_are_of_one_clock),
        ROW(limits_that_were_met_are_told_whatever_ended_it),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
