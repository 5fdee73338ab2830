/* test_result.c - the record of an end: its JSON, its exit status, its one line. */
#include <errno.h>

#include "sandbox/result.h"
#include "check.h"

static const struct cl_plan plan = {
    .image = "host",
    .limits = {.time_ns = 1500000000,
               .cpu_time_ns = 60000000000,
               .memory_bytes = 1 << 20,
               .output_bytes = 99},
};

static struct cl_result make(enum cl_result_status status)
{
    return (struct cl_result){
        .plan = &plan,
        .id = "0123456789abcdef",
        .wall = "container",
        .status = status,
        .exit_code = -1,
    };
}

static int exit_status(enum cl_result_status status, int exec_errno)
{
    struct cl_result result = make(status);

    result.exit_code = 7;
    result.signal = 9;
    return cl_result_exit_status(&result, exec_errno);
}

TEST(shells_see_the_usual_numbers)
{
    CHECK(exit_status(CL_STATUS_EXITED, 0) == 7);
    CHECK(exit_status(CL_STATUS_SIGNALED, 0) == 137);
    CHECK(exit_status(CL_STATUS_TIMEOUT, 0) == 124);
    CHECK(exit_status(CL_STATUS_CPU_TIME, 0) == 137 && exit_status(CL_STATUS_OOM, 0) == 137);
    CHECK(exit_status(CL_STATUS_OUTPUT_LIMIT, 0) == 137);
    CHECK(exit_status(CL_STATUS_KILLED, 0) == 137);
    CHECK(exit_status(CL_STATUS_ERROR, 0) == 125);
    CHECK(exit_status(CL_STATUS_ERROR, ENOENT) == 127);
    CHECK(exit_status(CL_STATUS_ERROR, ENOTDIR) == 127);
    CHECK(exit_status(CL_STATUS_ERROR, EACCES) == 126);
    CHECK(exit_status(CL_STATUS_ERROR, ENOEXEC) == 126);
}

static void check_line(enum cl_result_status status, const char *expected)
{
    struct cl_result result = make(status);
    char line[256] = "left over";

    result.signal = 11;
    cl_result_explain(&result, line);
    CHECK_TEXT(line, expected);
}

TEST(people_see_why_in_a_line)
{
    check_line(CL_STATUS_EXITED, "");
    check_line(CL_STATUS_ERROR, "");
    check_line(CL_STATUS_TIMEOUT, "ended after its time limit of 1.500s");
    check_line(CL_STATUS_CPU_TIME, "ended after its cpu-time limit of 60.000s");
    check_line(CL_STATUS_OOM, "ended by its memory limit of 1048576 bytes");
    check_line(CL_STATUS_OUTPUT_LIMIT, "ended by its output limit of 99 bytes");
    check_line(CL_STATUS_KILLED, "killed");
    check_line(CL_STATUS_SIGNALED, "the command was ended by signal 11");
}

TEST(statuses_have_names)
{
    CHECK_TEXT(cl_result_status_name(CL_STATUS_EXITED), "exited");
    CHECK_TEXT(cl_result_status_name(CL_STATUS_OUTPUT_LIMIT), "output_limit");
    CHECK_TEXT(cl_result_status_name(CL_STATUS_ERROR), "error");
}

/* The JSON without blanks and line ends. */
static void squeeze(const struct cl_result *result, char *ret, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 16);
    struct cl_error err = {0};
    size_t used = 0;

    CHECK(cl_result_print(result, &buf, &err) == 0);
    for (const char *p = cl_buf_text(&buf); *p != '\0' && used + 1 < size; p++) {
        if (*p != ' ' && *p != '\n')
            ret[used++] = *p;
    }
    ret[used] = '\0';
}

TEST(what_is_unknown_is_null)
{
    struct cl_result result = make(CL_STATUS_ERROR);
    char text[4096];

    result.error = "no \"such\" thing";
    squeeze(&result, text, sizeof(text));
    CHECK_HAS(text, "\"id\":\"0123456789abcdef\"");
    CHECK_HAS(text, "\"name\":null");
    CHECK_HAS(text, "\"status\":\"error\",\"exit_code\":null,\"signal\":null,"
                    "\"error\":\"no\\\"such\\\"thing\",\"limits_hit\":[]");
    CHECK_HAS(text, "\"started_at\":null");
    CHECK_HAS(text, "\"cpu_user_ns\":null");
    CHECK_HAS(text, "\"memory_peak_bytes\":null");
    CHECK_HAS(text, "\"layers\":[]");
}

TEST(what_is_known_is_told)
{
    struct cl_result result = make(CL_STATUS_SIGNALED);
    char text[4096];

    result.signal = 25;
    result.limits_hit = CL_HIT_TASKS | CL_HIT_FILE_SIZE | CL_HIT_OUTPUT;
    result.created_wall_ns = 1000000000;
    result.run_ns = 42;
    result.usage =
        (struct cl_usage){.known = 1U << CL_USAGE_CPU_USER, .cpu_user_ns = 123, .tasks_peak = 5};
    result.stdout_bytes = 17;
    result.layers = CL_LAYER_BIT(CL_LAYER_USERNS) | CL_LAYER_BIT(CL_LAYER_SECCOMP);
    squeeze(&result, text, sizeof(text));
    CHECK_HAS(text, "\"exit_code\":null,\"signal\":25,\"error\":null");
    CHECK_HAS(text, "\"limits_hit\":[\"tasks\",\"file_size\",\"output\"]");
    CHECK_HAS(text, "\"created_at\":\"1970-01-01T00:00:01");
    CHECK_HAS(text, "\"run\":42");
    CHECK_HAS(text, "\"cpu_user_ns\":123,");
    CHECK_HAS(text, "\"tasks_peak\":null"); /* a value alone isn't known */
    CHECK_HAS(text, "\"stdout_bytes\":17,");
    CHECK_HAS(text, "\"layers\":[\"userns\",\"seccomp\"]");
}

TEST(a_full_buffer_is_told)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(64);
    struct cl_result result = make(CL_STATUS_KILLED);
    struct cl_error err = {0};

    CHECK(cl_result_print(&result, &buf, &err) < 0 && err.code != 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(shells_see_the_usual_numbers), ROW(people_see_why_in_a_line),
        ROW(statuses_have_names),          ROW(what_is_unknown_is_null),
        ROW(what_is_known_is_told),        ROW(a_full_buffer_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
