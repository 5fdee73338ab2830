/* supervisor_scene.h - a supervisor over a wall of the test's own: its "init" is a plain
 * child, and what is asked of the wall is noted. Standard output and error are the test's
 * only while the supervisor runs. Nothing sleeps: each test waits for an event, and the
 * alarm ends one that never comes.
 */
#ifndef CL_TESTS_UNIT_SUPERVISOR_SCENE_H
#define CL_TESTS_UNIT_SUPERVISOR_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/supervisor.h"
#include "check.h"

enum { ALARM_S = 60, SIGNALS_MOST = 8, MS = 1000000, LONG_MS = 50000, REST_MS = 1000 };

struct scene {
    struct cl_supervisor supervisor;
    struct cl_wall wall;
    struct cl_wall_process process;
    struct cl_plan plan;
    struct cl_limits limits;
    struct cl_entry entry;
    struct cl_error err;
    int theirs[3];          /* init's ends of the pipes */
    int out[2];             /* files that stand for our standard output and error */
    int in;                 /* and for our standard input */
    int parent;             /* a pidfd, or -1 */
    int sent[SIGNALS_MOST]; /* what went to the main process */
    int sent_count;
    pid_t client; /* asks by the control socket */
    uint64_t took_ns;
};

static struct scene scene; /* the wall's functions have no context of their own */

static char state_dir[] = "/tmp/cloister-test-supervisor-XXXXXX";
static int signals = -1;

/* --- the wall -------------------------------------------------------------------- */

static inline void end_init(void)
{
    if (scene.process.pid > 0)
        (void)kill(scene.process.pid, SIGTERM);
}

static inline int note_signal(CL_UNUSED struct cl_wall_process *process, int signal,
                              CL_UNUSED struct cl_error *err)
{
    CHECK(scene.sent_count < SIGNALS_MOST);
    scene.sent[scene.sent_count++ % SIGNALS_MOST] = signal;
    return 0;
}

static inline int note_and_end(struct cl_wall_process *process, int signal, struct cl_error *err)
{
    end_init();
    return note_signal(process, signal, err);
}

static inline int receive_nothing(CL_UNUSED struct cl_wall_process *process,
                                  CL_UNUSED struct cl_error *err)
{
    return 0;
}

static inline int shrink_not(CL_UNUSED const struct cl_plan *plan, CL_UNUSED struct cl_error *err)
{
    return 0;
}

/* --- init ------------------------------------------------------------------------ */

static inline void wait_for_ever(void)
{
    for (;;)
        (void)pause();
}

/* Starts RUN as the sandbox's first process, which is ended by SIGTERM unless it blocks it. */
static inline void start_init(void (*run)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)alarm(ALARM_S);
        for (int fd = 0; fd < 3; fd++)
            cl_fd_close(&scene.supervisor.stdio[fd]);
        run();
        _exit(0);
    }
    scene.process.pid = pid;
    scene.process.pidfd = cl_sys_pidfd_open(pid);
    CHECK(pid > 0 && scene.process.pidfd >= 0);
    cl_fd_close(&scene.theirs[0]);
    for (int i = 0; i < 2; i++)
        scene.supervisor.outputs[i] = CL_TAKE_FD(scene.theirs[i + 1]);
}

static inline int make_file(void)
{
    return cl_sys_openat(AT_FDCWD, state_dir, O_TMPFILE | O_RDWR, 0600);
}

static inline void set_up(void)
{
    scene = (struct scene){
        .wall = {.name = "test",
                 .signal = note_signal,
                 .receive = receive_nothing,
                 .shrink = shrink_not},
        .process = {.pidfd = -1, .channel = -1, .userns = -1, .scratch = -1, .terminal = -1},
        .limits = CL_LIMITS_INIT,
        .parent = -1};
    scene.entry = CL_ENTRY_INIT;
    scene.entry.dir = cl_sys_openat(AT_FDCWD, state_dir, O_PATH, 0);
    memcpy(scene.entry.id, "test", sizeof("test"));
    for (int fd = 0; fd < 3; fd++) {
        int ends[2];

        CHECK(cl_sys_pipe2(ends, 0) == 0);
        scene.supervisor.stdio[fd] = ends[fd == 0];
        scene.theirs[fd] = ends[fd != 0];
        CHECK(fcntl(ends[fd == 0], F_SETFL, O_NONBLOCK) == 0);
    }
    scene.in = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
    scene.out[0] = make_file();
    scene.out[1] = make_file();
    CHECK(scene.in >= 0 && scene.out[0] >= 0 && scene.out[1] >= 0);
    for (int i = 0; i < 2; i++)
        scene.supervisor.outputs[i] = -1;
    scene.supervisor.plan = &scene.plan;
    scene.supervisor.wall = &scene.wall;
    scene.supervisor.process = &scene.process;
    for (int fd = 0; fd < 3; fd++)
        scene.supervisor.streams[fd] = fd;
    scene.supervisor.limits = &scene.limits;
    scene.supervisor.entry = &scene.entry;
}

static inline void set_time(uint64_t time_ms, uint64_t grace_ms)
{
    scene.plan.limits.time_ns = time_ms * MS;
    scene.plan.limits.grace_ns = grace_ms * MS;
    cl_plan_mark(&scene.plan, CL_FIELD_TIME);
}

/* Runs the supervisor with the scene's streams for standard ones. */
static inline int run(void)
{
    int saved[3];

    (void)fflush(stdout);
    for (int fd = 0; fd < 3; fd++)
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    CHECK(dup2(scene.in, 0) == 0 && dup2(scene.out[0], 1) == 1 && dup2(scene.out[1], 2) == 2);
    uint64_t before = cl_clock_boot_ns();
    int r = cl_supervisor_run(&scene.supervisor, signals, scene.parent, &scene.err);
    scene.took_ns = cl_clock_boot_ns() - before;
    (void)fflush(stdout); /* CHECK may have spoken meanwhile: into the file */
    for (int fd = 0; fd < 3; fd++) {
        CHECK(dup2(saved[fd], fd) == fd);
        cl_fd_close(&saved[fd]);
    }
    return r;
}

/* Lets go of everything; the init that is left is killed. Returns its wait status. */
static inline int done(void)
{
    int status = scene.supervisor.init_status;

    cl_supervisor_done(&scene.supervisor);
    if (scene.process.pid > 0) {
        (void)kill(scene.process.pid, SIGKILL);
        (void)waitpid(scene.process.pid, &status, 0);
    }
    cl_fd_close(&scene.process.pidfd);
    cl_fd_close(&scene.process.channel);
    cl_fd_close(&scene.process.terminal);
    cl_fd_close(&scene.parent);
    cl_fd_close(&scene.in);
    for (int i = 0; i < 2; i++)
        cl_fd_close(&scene.out[i]);
    for (int i = 0; i < 3; i++)
        cl_fd_close(&scene.theirs[i]);
    CHECK(unlinkat(scene.entry.dir, "control", 0) == 0 || errno == ENOENT);
    cl_fd_close(&scene.entry.dir);
    return status;
}

static inline void check_text_of(int fd, const char *expected)
{
    char text[256] = "";

    CHECK(pread(fd, text, sizeof(text) - 1, 0) >= 0);
    CHECK_TEXT(text, expected);
}

static inline int was_killed(int status, int signal)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

static inline int run_tests(const struct check_test *tests, size_t count)
{
    const uint64_t mask = cl_supervisor_signals();

    (void)alarm(ALARM_S);
    if (mkdtemp(state_dir) == NULL || cl_sys_rt_sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return 1;
    signals = cl_sys_signalfd(&mask);
    int status = check_run(tests, count);
    cl_fd_close(&signals);
    char path[sizeof(state_dir) + sizeof("/bells/-1")]; /* of no seat: they have no table */
    (void)snprintf(path, sizeof(path), "%s/bells/-1", state_dir);
    (void)unlink(path);
    path[strlen(path) - strlen("/-1")] = '\0';
    (void)rmdir(path);
    if (rmdir(state_dir) < 0)
        printf("# left: %s\n", state_dir);
    return status;
}

#endif
