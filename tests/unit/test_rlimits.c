/* test_rlimits.c - resource limits: their texts, and those that a plan comes to. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/rlimits.h"
#include "check.h"

TEST(ulimit_texts)
{
    static const char *const bad[] = {
        "",
        "=",
        "nofile",
        "nofile=",
        "=1",
        "NOFILE=1",
        "nofil=1",
        "nofile =1",
        "nofile=x",
        "nofile=1:",
        "nofile=:1",
        "nofile=1:2:3",
        "nofile=2:1",
        "nofile=-2",
        "nofile=1k",
        "nofile=unlimited:1",
        "core=4096",
        "core=unlimited",
        "fsize=1q",
        "nofile=1 ",
        "nofile=99999999999999999999999999999999999999",
    };
    struct cl_plan_rlimit limit;
    struct cl_error err;

    CHECK(cl_rlimit_parse("nofile=10:20", &limit, &err) == 0);
    CHECK(limit.resource == RLIMIT_NOFILE && limit.soft == 10 && limit.hard == 20);
    CHECK(cl_rlimit_parse("fsize=1m", &limit, &err) == 0);
    CHECK(limit.soft == 1 << 20 && limit.hard == 1 << 20);
    CHECK(cl_rlimit_parse("stack=8MiB:unlimited", &limit, &err) == 0);
    CHECK(limit.hard == CL_RLIM_INFINITY);
    CHECK(cl_rlimit_parse("memlock=-1", &limit, &err) == 0 && limit.soft == CL_RLIM_INFINITY);
    CHECK(cl_rlimit_parse("core=0", &limit, &err) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(cl_rlimit_parse(bad[i], &limit, &err) == -EINVAL);
        CHECK(err.code == EINVAL && err.msg[0] != '\0');
    }
    for (uint32_t i = 0; i < 16; i++)
        CHECK(cl_rlimit_name(i) != NULL);
    CHECK(cl_rlimit_name(16) == NULL);
}

struct applied {
    int result;
    char message[CL_ERROR_MSG_SIZE];
    struct cl_rlimit64 limits[16];
};

/* 32 MiB, no swap, 8 tasks. */
static struct cl_plan limited_plan(void)
{
    struct cl_plan plan = {.limits = {.memory_bytes = 32 << 20, .tasks = 8}};

    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    cl_plan_mark(&plan, CL_FIELD_SWAP);
    cl_plan_mark(&plan, CL_FIELD_TASKS);
    return plan;
}

/* Applies PLAN in a child of an ordinary user with a hard nofile limit of 500. */
static struct applied apply(const struct cl_plan *plan, int without_cgroup)
{
    struct applied applied = {.result = 9999};
    struct cl_rlimit64 files = {.cur = 500, .max = 500}, high = {.cur = 30, .max = 30};
    int pipe_fds[2];

    if (cl_sys_pipe2(pipe_fds, 0) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        struct cl_error err = {0};

        /* Who may not raise them has 0 here, and nothing to lose. */
        (void)cl_sys_prlimit(0, RLIMIT_RTPRIO, &high, NULL);
        (void)cl_sys_prlimit(0, RLIMIT_NICE, &high, NULL);
        if (geteuid() == 0 && (cl_sys_setresgid(65534) < 0 || cl_sys_setresuid(65534) < 0))
            _exit(1);
        (void)cl_sys_prlimit(0, RLIMIT_NOFILE, &files, NULL);
        applied.result = cl_rlimits_apply(plan, without_cgroup, &err);
        memcpy(applied.message, err.msg, sizeof(err.msg));
        for (int i = 0; i < 16; i++)
            (void)cl_sys_prlimit(0, i, NULL, &applied.limits[i]);
        (void)cl_write_all(pipe_fds[1], &applied, sizeof(applied));
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    (void)cl_sys_read(pipe_fds[0], &applied, sizeof(applied));
    (void)close(pipe_fds[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return applied;
}

TEST(rlimits_of_a_plan)
{
    struct cl_plan plan = limited_plan();
    struct applied applied;

    plan.limits.open_files = 100;
    plan.limits.file_size_bytes = 12345678;
    plan.limits.cpu_time_ns = 1500000000;
    cl_plan_mark(&plan, CL_FIELD_OPEN_FILES);
    cl_plan_mark(&plan, CL_FIELD_FILE_SIZE);
    cl_plan_mark(&plan, CL_FIELD_CPU_TIME);
    applied = apply(&plan, 0);
    CHECK(applied.result == 0);
    CHECK_TEXT(applied.message, "");
    CHECK(applied.limits[RLIMIT_NOFILE].cur == 100 && applied.limits[RLIMIT_NOFILE].max == 100);
    CHECK(applied.limits[RLIMIT_FSIZE].max == 12345678);
    CHECK(applied.limits[RLIMIT_CORE].max <= 1);
    CHECK(applied.limits[RLIMIT_RTPRIO].max == 0 && applied.limits[RLIMIT_NICE].max == 0);
    CHECK(applied.limits[RLIMIT_CPU].max == CL_RLIM_INFINITY);
    CHECK(applied.limits[RLIMIT_SIGPENDING].max == 4096);
    CHECK(applied.limits[RLIMIT_NICE].max == 0 && applied.limits[RLIMIT_RTPRIO].max == 0);
    applied = apply(&plan, 1);
    CHECK(applied.result == 0);
    CHECK(applied.limits[RLIMIT_CPU].cur == 2 && applied.limits[RLIMIT_CPU].max == 2);
    CHECK(applied.limits[RLIMIT_DATA].max == 32 << 20);
    CHECK(applied.limits[RLIMIT_NPROC].max == 9);
}

TEST(rlimits_asked_for_by_name)
{
    struct cl_plan plan = limited_plan();
    struct cl_plan_rlimit items[] = {{RLIMIT_NOFILE, 50, 60},
                                     {RLIMIT_NPROC, 5, 100},
                                     {RLIMIT_CORE, 0, 0},
                                     {RLIMIT_SIGPENDING, 7, 8}};
    struct applied applied;

    plan.limits.open_files = 400;
    cl_plan_mark(&plan, CL_FIELD_OPEN_FILES);
    plan.rlimits.items = items;
    plan.rlimits.count = CL_ARRAY_SIZE(items);
    applied = apply(&plan, 1);
    CHECK(applied.result == 0);
    CHECK(applied.limits[RLIMIT_NOFILE].cur == 50 && applied.limits[RLIMIT_NOFILE].max == 60);
    CHECK(applied.limits[RLIMIT_NPROC].cur == 5 && applied.limits[RLIMIT_NPROC].max == 9);
    CHECK(applied.limits[RLIMIT_SIGPENDING].cur == 7 && applied.limits[RLIMIT_SIGPENDING].max == 8);
    items[0].resource = 16;
    CHECK(apply(&plan, 0).result == -EINVAL);
}

TEST(rlimits_never_rise_above_the_hard_limit)
{
    struct cl_plan plan = limited_plan();
    struct applied applied;

    plan.limits.open_files = 501;
    plan.limits.tasks = 4194303; /* stands in for a cgroup: a lower hard limit is kept */
    cl_plan_mark(&plan, CL_FIELD_OPEN_FILES);
    applied = apply(&plan, 1);
    CHECK(applied.result == -EPERM);
    CHECK_HAS(applied.message, "limits.open_files");
    CHECK_HAS(applied.message, "500");
    plan.limits.open_files = 500;
    CHECK(apply(&plan, 1).result == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(ulimit_texts),
        ROW(rlimits_of_a_plan),
        ROW(rlimits_asked_for_by_name),
        ROW(rlimits_never_rise_above_the_hard_limit),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
