/* limits_scene.h - real cgroups, where this user may make them, and processes in them. */
#ifndef CL_TESTS_UNIT_LIMITS_SCENE_H
#define CL_TESTS_UNIT_LIMITS_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "limits/limits.h"
#include "check.h"

/* 32 MiB, no swap, 8 tasks. */
static inline struct cl_plan small_plan(void)
{
    struct cl_plan plan = {.limits = {.memory_bytes = 32 << 20, .tasks = 8, .millicpus = 200}};

    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    cl_plan_mark(&plan, CL_FIELD_SWAP);
    cl_plan_mark(&plan, CL_FIELD_TASKS);
    return plan;
}

static inline const char *fresh_id(void)
{
    static char id[CL_LIMITS_ID_SIZE];
    static int count;

    (void)snprintf(id, sizeof(id), "test%dx%d", (int)getpid(), count++);
    return id;
}

/* NULL where cgroups can be made, else why not. */
static inline const char *lacking(void)
{
    static struct cl_limits_probe probe;

    if (probe.where[0] == '\0')
        cl_limits_probe(&probe);
    return probe.usable == 0 ? probe.why : NULL;
}

/* Runs BODY in the limits, as the supervisor and its child do. */
static inline pid_t start(const struct cl_limits *limits, void (*body)(void))
{
    int into = cl_limits_cgroup_fd(limits);
    struct cl_clone_args args = {
        .exit_signal = SIGCHLD,
        .flags = into >= 0 ? CL_CLONE_INTO_CGROUP : 0,
        .cgroup = into >= 0 ? (uint64_t)into : 0,
    };
    pid_t pid = cl_sys_clone3(&args);

    if (pid == 0) {
        for (size_t i = 0; i < limits->count; i++) {
            const int tasks = limits->cgroups[i].tasks;
            if (tasks >= 0 && cl_sys_write(tasks, "0", 1) != 1)
                _exit(99);
        }
        body();
        _exit(0);
    }
    return pid;
}

static inline int end(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static inline size_t open_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#define NEED_CGROUPS()                                                                             \
    do {                                                                                           \
        if (lacking() != NULL)                                                                     \
            SKIP_TEST(lacking());                                                                  \
    } while (0)

static inline struct cl_limits create(const struct cl_plan *plan)
{
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_error err = {0};

    CHECK(cl_limits_create(&limits, plan, fresh_id(), &err) == 0);
    CHECK_TEXT(err.msg, "");
    return limits;
}

#endif
