/* test_job_ends.c - how the ends of steps make that of a job, and the lines about them. */
#include <errno.h>

#include "check.h"

// NOLINTNEXTLINE(bugprone-suspicious-include): for their static functions
#include "cmd/cloister/job_say.c"
// NOLINTNEXTLINE(bugprone-suspicious-include)
#include "cmd/cloister/job_steps.c"

static struct cl_job_step steps[2];
static struct cl_job_step_end ends[2];

static struct cl_job_run run_of(void)
{
    steps[0] = (struct cl_job_step){.name = "first", .run = "x", .workdir = ""};
    steps[1] = (struct cl_job_step){.name = "second", .run = "x", .workdir = ""};
    memset(ends, 0, sizeof(ends));
    return (struct cl_job_run){.job = {.steps = {steps, 2}}, .steps = ends};
}

static const struct {
    struct cl_exec_end end;
    int r;
    int interrupt; /* that came to the job before */
    enum cl_job_status status;
    int exit_status;
    int exit_code;
    int signal;
} rows[] = {
    {{CL_EXEC_ENDED, 0, 0}, 0, 0, CL_JOB_PASSED, 0, 0, 0},
    {{CL_EXEC_ENDED, 0, 0}, 3, 0, CL_JOB_FAILED, 3, 3, 0},
    {{CL_EXEC_ENDED, 9, 0}, 137, 0, CL_JOB_FAILED, 137, -1, 9},
    {{CL_EXEC_ENDED, 0, 0}, 127, 0, CL_JOB_FAILED, 127, 127, 0},
    {{CL_EXEC_ENDED, 0, 0}, -EIO, 0, CL_JOB_ERROR, 125, -1, 0},
    {{CL_EXEC_TIMEOUT, 0, 0}, 124, 0, CL_JOB_TIMEOUT, 124, -1, 0},
    {{CL_EXEC_OUTPUT, 0, 0}, 137, 0, CL_JOB_OUTPUT_LIMIT, 137, -1, 0},
    {{CL_EXEC_INTERRUPTED, 0, 15}, 143, 0, CL_JOB_INTERRUPTED, 143, -1, 0},
    {{CL_EXEC_ENDED, 0, 2}, 4, 0, CL_JOB_INTERRUPTED, 130, 4, 0},
    {{CL_EXEC_ENDED, 0, 2}, 0, 0, CL_JOB_PASSED, 0, 0, 0}, /* it has survived; the job hasn't */
    {{CL_EXEC_ENDED, 0, 0}, 4, 15, CL_JOB_INTERRUPTED, 143, 4, 0},
};

TEST(each_end_of_a_command_is_one_of_a_step)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_job_run run = run_of();
        struct cl_job_step_end end = {.exit_code = -1};
        struct cl_error err = {0};

        if (rows[i].r < 0)
            (void)cl_fail(&err, rows[i].r, "what failed");
        run.interrupt = rows[i].interrupt;
        judge(&run, &rows[i].end, rows[i].r, &err, &end);
        CHECK(end.status == rows[i].status && end.exit_status == rows[i].exit_status);
        CHECK(end.exit_code == rows[i].exit_code && end.signal == rows[i].signal);
        CHECK((run.interrupt != 0) == (rows[i].end.interrupt != 0 || rows[i].interrupt != 0));
    }
}

TEST(what_can_go_on_goes_on)
{
    for (int status = 0; status < CL_JOB_STATUS_COUNT; status++) {
        struct cl_job_run run = run_of();

        ends[0].status = (enum cl_job_status)status;
        CHECK(goes_on(&run, 0) == (status == CL_JOB_PASSED));
        steps[0].allow_failure = 1;
        CHECK(goes_on(&run, 0) == (status == CL_JOB_PASSED || status == CL_JOB_FAILED));
        CHECK(is_allowed(&run, 0) == (status == CL_JOB_FAILED));
        steps[0].allow_failure = 0;
        run.keep_going = 1;
        CHECK(goes_on(&run, 0) == (status == CL_JOB_PASSED || status == CL_JOB_FAILED));
        CHECK(!is_allowed(&run, 0));
    }
}

TEST(the_first_failure_is_the_jobs)
{
    struct cl_job_run run = run_of();

    ends[0] = (struct cl_job_step_end){.status = CL_JOB_FAILED, .exit_status = 3};
    ends[1] = (struct cl_job_step_end){
        .status = CL_JOB_TIMEOUT, .exit_status = 124, .error = "ended after its timeout"};
    blame(&run, 0);
    blame(&run, 1);
    CHECK(run.status == CL_JOB_FAILED && run.exit_status == 3);
    CHECK_TEXT(run.error, "step \"first\" failed with status 3");

    run = run_of();
    ends[1] = (struct cl_job_step_end){
        .status = CL_JOB_TIMEOUT, .exit_status = 124, .error = "ended after its timeout"};
    blame(&run, 1);
    CHECK(run.status == CL_JOB_TIMEOUT && run.exit_status == 124);
    CHECK_TEXT(run.error, "step \"second\": ended after its timeout");
}

TEST(times_are_for_people)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } times[] = {{0, "0.0 s"},
                 {99999999, "0.0 s"},
                 {100000000, "0.1 s"},
                 {12345678901, "12.3 s"},
                 {119999999999, "119.9 s"},
                 {120000000000, "2 min 0 s"},
                 {3725000000000, "62 min 5 s"}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(times); i++) {
        char text[32];

        put_time(text, times[i].ns);
        CHECK_TEXT(text, times[i].text);
    }
}

TEST(outcomes_are_words)
{
    static const struct {
        struct cl_job_step_end end;
        const char *text;
    } outcomes[] = {
        {{.status = CL_JOB_PASSED}, "ok"},
        {{.status = CL_JOB_FAILED, .exit_status = 7}, "failed with status 7"},
        {{.status = CL_JOB_FAILED, .signal = 11}, "failed by signal 11 (SIGSEGV)"},
        {{.status = CL_JOB_FAILED, .signal = 99}, "failed by signal 99"},
        {{.status = CL_JOB_TIMEOUT}, "timeout"},
        {{.status = CL_JOB_OUTPUT_LIMIT}, "output_limit"},
        {{.status = CL_JOB_INTERRUPTED, .signal = 15}, "interrupted"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(outcomes); i++) {
        char text[TEXT_SIZE];

        put_outcome(text, &outcomes[i].end);
        CHECK_TEXT(text, outcomes[i].text);
    }
}

TEST(each_status_has_a_name_and_an_exit_status)
{
    for (int status = 0; status < CL_JOB_STATUS_COUNT; status++) {
        CHECK(cl_job_status_name((enum cl_job_status)status)[0] != '\0');
        CHECK((cl_job_exit_status((enum cl_job_status)status) == 0) == (status == CL_JOB_PASSED));
    }
    CHECK(cl_job_exit_status(CL_JOB_TIMEOUT) == 124 && cl_job_exit_status(CL_JOB_OOM) == 137);
    CHECK(cl_job_exit_status(CL_JOB_ERROR) == CL_EXIT_FAILED);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_end_of_a_command_is_one_of_a_step),
        ROW(what_can_go_on_goes_on),
        ROW(the_first_failure_is_the_jobs),
        ROW(times_are_for_people),
        ROW(outcomes_are_words),
        ROW(each_status_has_a_name_and_an_exit_status),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
