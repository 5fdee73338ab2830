/* test_result.c - the record of an end, its words and the shell's number for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/result_file.h"
#include "check.h"

static struct cl_plan plan = {
    .limits = {.memory_bytes = 64 << 20,
               .time_ns = 1500000000,
               .cpu_time_ns = 60000000000,
               .output_bytes = 4096},
};

static struct cl_result result_of(enum cl_result_status status)
{
    return (struct cl_result){.plan = &plan,
                              .id = "0123456789abcdef",
                              .wall = "container",
                              .status = status,
                              .exit_code = -1};
}

static char *print(const struct cl_result *result)
{
    static char text[16384];
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_error err = {0};

    CHECK(cl_result_print(result, &buf, &err) == 0);
    (void)snprintf(text, sizeof(text), "%s", cl_buf_text(&buf));
    return text;
}

/* Of the pretty-printed JSON, or of any. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from != ' ' && *from != '\n')
            *to++ = *from;
    }
    *to = '\0';
}

static int says(const struct cl_result *result, const char *needle)
{
    char *text = print(result);

    squeeze(text);
    if (strstr(text, needle) != NULL)
        return 1;
    printf("# no %s in %s\n", needle, text);
    return 0;
}

TEST(exit_statuses)
{
    static const struct {
        struct cl_result result;
        int exec_errno;
        int expected;
    } rows[] = {
        {{.status = CL_STATUS_EXITED, .exit_code = 0}, 0, 0},
        {{.status = CL_STATUS_EXITED, .exit_code = 255}, 0, 255},
        {{.status = CL_STATUS_EXITED, .exit_code = 125}, 0, 125},
        {{.status = CL_STATUS_SIGNALED, .exit_code = -1, .signal = 9}, 0, 137},
        {{.status = CL_STATUS_SIGNALED, .exit_code = -1, .signal = 64}, 0, 192},
        {{.status = CL_STATUS_TIMEOUT}, 0, 124},
        {{.status = CL_STATUS_CPU_TIME}, 0, 137},
        {{.status = CL_STATUS_OOM}, 0, 137},
        {{.status = CL_STATUS_OUTPUT_LIMIT}, 0, 137},
        {{.status = CL_STATUS_KILLED}, 0, 137},
        {{.status = CL_STATUS_ERROR}, 0, 125},
        {{.status = CL_STATUS_ERROR}, ENOENT, 127},
        {{.status = CL_STATUS_ERROR}, ENOTDIR, 127},
        {{.status = CL_STATUS_ERROR}, EACCES, 126},
        {{.status = CL_STATUS_ERROR}, ENOEXEC, 126},
        {{.status = CL_STATUS_ERROR}, EISDIR, 126},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        CHECK(cl_result_exit_status(&rows[i].result, rows[i].exec_errno) == rows[i].expected);
}

TEST(an_end_of_the_commands_own_needs_no_words)
{
    struct cl_result result = result_of(CL_STATUS_EXITED);
    char why[256];

    cl_result_explain(&result, why);
    CHECK_TEXT(why, "");
    result.status = CL_STATUS_ERROR; /* the error is told by itself */
    cl_result_explain(&result, why);
    CHECK_TEXT(why, "");
}

TEST(other_ends_are_explained)
{
    static const struct {
        enum cl_result_status status;
        const char *expected;
    } rows[] = {
        {CL_STATUS_TIMEOUT, "ended after its time limit of 1.500s"},
        {CL_STATUS_CPU_TIME, "ended after its cpu-time limit of 60.000s"},
        {CL_STATUS_OOM, "ended by its memory limit of 64MiB"},
        {CL_STATUS_OUTPUT_LIMIT, "ended by its output limit of 4KiB"},
        {CL_STATUS_KILLED, "killed"},
        {CL_STATUS_SIGNALED, "the command was ended by signal 11 (SIGSEGV)"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_result result = result_of(rows[i].status);
        char why[256];

        result.signal = 11;
        cl_result_explain(&result, why);
        CHECK_TEXT(why, rows[i].expected);
    }
}

TEST(every_status_has_its_word)
{
    static const char *const words[CL_STATUS_COUNT] = {
        "exited", "signaled", "timeout", "cpu_time", "oom", "output_limit", "killed", "error",
    };

    for (enum cl_result_status i = 0; i < CL_STATUS_COUNT; i++) {
        struct cl_result result = result_of(i);
        char expected[64];

        (void)snprintf(expected, sizeof(expected), "\"status\":\"%s\"", words[i]);
        CHECK(says(&result, expected));
    }
}

/* Never 0 for what isn't known. */
TEST(what_is_not_known_is_null)
{
    static const char *const nulls[] = {
        "name",          "tenant",     "digest",        "exit_code",      "signal",
        "error",         "created_at", "started_at",    "ended_at",       "cpu_user_ns",
        "cpu_system_ns", "tasks_peak", "io_read_bytes", "io_write_bytes", "memory_peak_bytes",
    };
    struct cl_result result = result_of(CL_STATUS_ERROR);

    for (size_t i = 0; i < CL_ARRAY_SIZE(nulls); i++) {
        char expected[64];

        (void)snprintf(expected, sizeof(expected), "\"%s\":null", nulls[i]);
        CHECK(says(&result, expected));
    }
    CHECK(says(&result, "\"limits_hit\":[]"));
    CHECK(says(&result, "\"layers\":[]"));
    CHECK(says(&result, "\"stdout_bytes\":0"));
}

TEST(an_image_of_the_store_has_its_digest)
{
    struct cl_plan stored = {.image_digest = "sha256:00"};
    struct cl_result result = result_of(CL_STATUS_EXITED);

    result.plan = &stored;
    CHECK(says(&result, "\"digest\":\"sha256:00\""));
}

TEST(what_is_known_is_told_even_when_it_is_nothing)
{
    struct cl_result result = result_of(CL_STATUS_EXITED);

    result.exit_code = 0;
    result.usage.known = CL_USAGE_ALL;
    result.usage.cpu_user_ns = UINT64_MAX;
    CHECK(says(&result, "\"exit_code\":0,\"signal\":null"));
    CHECK(says(&result, "\"cpu_user_ns\":18446744073709551615"));
    CHECK(says(&result, "\"tasks_peak\":0"));
    CHECK(says(&result, "\"io_read_bytes\":0"));
    CHECK(strstr(print(&result), "memory_peak_bytes\": null") == NULL);
}

TEST(each_value_stands_under_its_name)
{
    struct cl_result result = result_of(CL_STATUS_SIGNALED);

    result.signal = 15;
    result.error = "a \"quoted\" word\n";
    result.limits_hit = CL_HIT_TASKS | CL_HIT_DISK | CL_HIT_OUTPUT;
    result.created_wall_ns = 1;
    result.started_wall_ns = 1000000000;
    result.ended_wall_ns = 86400000000000;
    result.setup_ns = 11;
    result.run_ns = 12;
    result.teardown_ns = 13;
    result.usage = (struct cl_usage){.known = CL_USAGE_ALL,
                                     .cpu_user_ns = 21,
                                     .cpu_system_ns = 22,
                                     .memory_peak_bytes = 23,
                                     .tasks_peak = 24,
                                     .io_read_bytes = 25,
                                     .io_write_bytes = 26};
    result.stdout_bytes = 31;
    result.stderr_bytes = 32;
    CHECK(says(&result, "\"signal\":15"));
    CHECK(says(&result, "\"error\":\"a\\\"quoted\\\"word\\u000a\""));
    CHECK(says(&result, "\"limits_hit\":[\"tasks\",\"disk\",\"output\"]"));
    CHECK(says(&result, "\"created_at\":\"1970-01-01T00:00:00.000000001Z\""));
    CHECK(says(&result, "\"started_at\":\"1970-01-01T00:00:01"));
    CHECK(says(&result, "\"ended_at\":\"1970-01-02T00:00:00"));
    CHECK(says(&result, "\"time_ns\":{\"setup\":11,\"run\":12,\"teardown\":13}"));
    CHECK(says(&result, "\"usage\":{\"cpu_user_ns\":21,\"cpu_system_ns\":22,"
                        "\"memory_peak_bytes\":23,\"tasks_peak\":24,\"io_read_bytes\":25,"
                        "\"io_write_bytes\":26,\"stdout_bytes\":31,\"stderr_bytes\":32}"));
}

TEST(every_limit_that_was_hit_has_its_word)
{
    struct cl_result result = result_of(CL_STATUS_EXITED);

    result.limits_hit = 2 * CL_HIT_OUTPUT - 1; /* all of them */
    CHECK(says(&result, "\"limits_hit\":[\"tasks\",\"disk\",\"memory\",\"file_size\",\"cpu_time\","
                        "\"time\",\"output\"]"));
}

TEST(layers_are_named)
{
    struct cl_result result = result_of(CL_STATUS_EXITED);

    result.layers = CL_LAYER_BIT(CL_LAYER_SECCOMP) | CL_LAYER_BIT(CL_LAYER_LANDLOCK);
    CHECK(says(&result, "\"layers\":[\"landlock\",\"seccomp\"]"));
    CHECK(says(&result, "\"without\":[]"));
}

TEST(a_buffer_that_is_too_small_is_an_error)
{
    struct cl_result result = result_of(CL_STATUS_EXITED);

    for (size_t cap = 0; cap < 600; cap += 100) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(cap);
        struct cl_error err = {0};

        CHECK(cl_result_print(&result, &buf, &err) < 0 && err.code != 0);
    }
}

/* A pipe that is full, and that nobody can wait for: interrupted it goes on, and else it tells
 * instead of asking for ever. */
TEST(a_record_that_can_not_wait_for_its_reader_says_so)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    struct cl_result result = result_of(CL_STATUS_EXITED);
    struct cl_error err = {0};
    char fault[64] = "";
    int ends[2];

    CHECK(cl_sys_pipe2(ends, O_NONBLOCK) == 0);
    while (write(ends[1], fault, 1) == 1)
        ;
    (void)snprintf(fault, sizeof(fault), "lacks:%d#1=%d,%d#1=%d", CL_SYS_POLL, EINTR, CL_SYS_POLL,
                   ENOMEM); /* the first that answers keeps the call from the second */
    cl_fault_set(fault);
    CHECK(cl_result_file_write(ends[1], &result, &err) == -ENOMEM);
    cl_fault_set(NULL);
    (void)snprintf(fault, sizeof(fault), "write the result: %s", strerror(ENOMEM));
    CHECK_TEXT(err.msg, fault);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(exit_statuses),
        ROW(an_end_of_the_commands_own_needs_no_words),
        ROW(other_ends_are_explained),
        ROW(every_status_has_its_word),
        ROW(what_is_not_known_is_null),
        ROW(an_image_of_the_store_has_its_digest),
        ROW(what_is_known_is_told_even_when_it_is_nothing),
        ROW(each_value_stands_under_its_name),
        ROW(every_limit_that_was_hit_has_its_word),
        ROW(layers_are_named),
        ROW(a_buffer_that_is_too_small_is_an_error),
        ROW(a_record_that_can_not_wait_for_its_reader_says_so),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
