/* command_scene.h - a command of `cloister`, called as main does, with what it prints in a
 * file; and a state directory of its own (in the room, as the root that is there).
 */
#ifndef CL_TESTS_UNIT_COMMAND_SCENE_H
#define CL_TESTS_UNIT_COMMAND_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "cmd/cloister/command.h"
#include "sandbox/state.h"
#include "room.h"

enum { ARGUMENTS_MOST = 8, ARGUMENT_SIZE = 160, SAID_MOST = 64 << 10 };

static struct {
    char out[SAID_MOST];
    char err_out[1024]; /* main's own line */
    struct cl_error err;
} said;

static inline void read_said(int file, char *ret, size_t size)
{
    ssize_t got = pread(file, ret, size - 1, 0);

    CHECK(got >= 0 && (size_t)got < size - 1);
    ret[got < 0 ? 0 : got] = '\0';
    (void)close(file);
}

/* What FN answers with standard output and error in files. */
static inline int command_capture(int (*fn)(int argc, char *argv[]), int argc, char *argv[])
{
    const int files[2] = {memfd_create("out", MFD_CLOEXEC), memfd_create("err", MFD_CLOEXEC)};
    int saved[2];

    (void)fflush(stdout);
    for (int i = 0; i < 2; i++) {
        saved[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        CHECK(dup2(files[i], i + 1) == i + 1);
    }
    int r = fn(argc, argv);
    (void)fflush(stdout);
    for (int i = 0; i < 2; i++) {
        CHECK(dup2(saved[i], i + 1) == i + 1);
        (void)close(saved[i]);
    }
    read_said(files[0], said.out, sizeof(said.out));
    read_said(files[1], said.err_out, sizeof(said.err_out));
    return r;
}

static const struct cl_command *command_called; /* the callback's, which has no context */

static inline int command_call(int argc, char *argv[])
{
    return command_called->run(command_called, argc, argv, &said.err);
}

static inline int command_run(const struct cl_command *command, const char *const *arguments)
{
    char copies[ARGUMENTS_MOST][ARGUMENT_SIZE];
    char *argv[ARGUMENTS_MOST + 1] = {NULL};
    int argc = 0;

    for (; arguments[argc] != NULL && argc < ARGUMENTS_MOST; argc++) {
        (void)snprintf(copies[argc], sizeof(copies[argc]), "%s", arguments[argc]);
        argv[argc] = copies[argc];
    }
    said.err = (struct cl_error){0};
    command_called = command;
    return command_capture(command_call, argc, argv);
}
/* The words end with NULL. */
#define RUN(command, ...) command_run(command, (const char *const[]){(command)->name, __VA_ARGS__})

/* --- state --------------------------------------------------------------------- */

/* In the room only: /run and /var/lib are its own, and the host's cgroups are out of reach. */
static inline void command_own_state(void)
{
    CHECK(geteuid() == 0);
    CHECK(mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == 0);
    CHECK(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
    CHECK(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_RDONLY, NULL) == 0 || errno == ENOENT);
}

/* A sandbox of ID, without limits, made AGE_S ago. Its supervisor is this process. */
static inline void command_make_sandbox(struct cl_state *state, const char *id,
                                        struct cl_plan *plan, uint64_t age_s, struct cl_entry *ret)
{
    struct cl_error err = {0};
    struct cl_status status = {.created_ns = cl_clock_wall_ns() - age_s * CL_NS_PER_S,
                               .phase = CL_PHASE_RUNNING,
                               .supervisor = getpid()};

    (void)snprintf(status.id, sizeof(status.id), "%s", id);
    cl_plan_mark(plan, CL_FIELD_WITHOUT);
    plan->without |= CL_LAYER_BIT(CL_LAYER_LIMITS);
    CHECK(cl_state_create(state, &status, plan, ret, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

/* The same whose supervisor was killed. */
static inline void command_leave_sandbox(const char *id)
{
    int status = 0;

    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct cl_state state = CL_STATE_INIT;
        struct cl_entry entry = CL_ENTRY_INIT;
        struct cl_plan plan = {0};

        CHECK(cl_state_open(&state, &said.err) == 0);
        command_make_sandbox(&state, id, &plan, 1, &entry);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

#endif
