/* wall_scene.h - the container wall itself, with a plan of the test's own: rootless, the
 * image `host`, no limits. What has to fail is said as for CLOISTER_FAULT (base/fault.h).
 * Nothing sleeps: init's end is an event.
 */
#ifndef CL_TESTS_UNIT_WALL_SCENE_H
#define CL_TESTS_UNIT_WALL_SCENE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/supervisor.h"
#include "walls/wall.h"
#include "check.h"

enum { WALL_ALARM_S = 30 };

/* Two processors, with one task or two. */
#define WALL_IDLE ((struct cl_processors){.count = 2, .running = 1})
#define WALL_BUSY ((struct cl_processors){.count = 2, .running = 2})

static struct {
    struct cl_plan plan;
    const char *words[4];
    struct cl_wall_start start;
    struct cl_wall_process process;
    struct cl_report report; /* as init left it */
    struct cl_error err;
} wall;

/* The descriptors that are open, and the pages that are shared with a sandbox. */
static inline int count_holdings(void)
{
    DIR *dir = opendir("/proc/self/fd");
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    int count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
        count += strstr(line, "/dev/zero") != NULL;
    if (dir != NULL)
        (void)closedir(dir);
    if (maps != NULL)
        (void)fclose(maps);
    return count;
}

static inline int has_child(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* For `sh -c SCRIPT`. */
static inline void wall_set_up(const char *script)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin"};

    memset(&wall, 0, sizeof(wall));
    wall.words[0] = "sh";
    wall.words[1] = "-c";
    wall.words[2] = script;
    wall.plan = (struct cl_plan){
        .wall = CL_WALL_CONTAINER,
        .profile = CL_PROFILE_STRICT,
        .image_kind = CL_IMAGE_HOST,
        .workdir = "/tmp",
        .hostname = "inside",
        .uid = 1000,
        .gid = 1000,
        .command = {wall.words, 3},
        .env = {env, CL_ARRAY_SIZE(env)},
        .limits = {.disk_bytes = 8 << 20},
        .without = CL_LAYER_BIT(CL_LAYER_LIMITS),
    };
    wall.start = (struct cl_wall_start){
        .plan = &wall.plan, .id = "0123456789abcdef", .cgroup = -1, .stdio = {-1, -1, -1}};
}

static inline int wall_start(const char *fault)
{
    cl_fault_set(fault);
    int r = cl_wall_container.start(&wall.start, &wall.process, &wall.err);
    cl_fault_set(NULL);
    return r;
}

static inline void wall_await_end(void)
{
    struct pollfd end = {.fd = wall.process.pidfd, .events = POLLIN};

    while (poll(&end, 1, -1) < 0)
        ;
    wall.report = *wall.process.report;
}

/* From start to end; wall.report says what became of it. FAULT is not for the maker. */
static inline void wall_run(const char *fault)
{
    if (wall_start(fault) < 0) { /* init's own words when that failed first */
        wall.report.stage = CL_REPORT_FAILED;
        wall.report.error = wall.err;
        return;
    }
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    wall_await_end();
    cl_wall_container.done(&wall.process);
}

/* The command's exit status, -1 when it did not come to that. */
static inline int wall_exit_status(void)
{
    if (wall.report.stage != CL_REPORT_ENDED)
        printf("# stage %u: %s\n", wall.report.stage, wall.report.error.msg);
    return wall.report.stage == CL_REPORT_ENDED && WIFEXITED(wall.report.main_status)
               ? WEXITSTATUS(wall.report.main_status)
               : -1;
}

static inline int has_layer(enum cl_layer layer)
{
    return (wall.report.layers & CL_LAYER_BIT(layer)) != 0;
}

/* The NTH call (0: all) of NR fails in those that SIDE names. */
struct wall_fault {
    long nr;
    int nth;
    int errnum;
    const char *message;
};

static inline const char *fault_text(const char *side, const struct wall_fault *fault)
{
    static char text[64];

    if (fault->nth == 0)
        (void)snprintf(text, sizeof(text), "%s:lacks:%ld=%d", side, fault->nr, fault->errnum);
    else
        (void)snprintf(text, sizeof(text), "%s:lacks:%ld#%d=%d", side, fault->nr, fault->nth,
                       fault->errnum);
    return text;
}

/* One line that says why, with the code that fits. */
static inline void check_error(const struct cl_error *err, int errnum, const char *message)
{
    CHECK(err->code == errnum);
    CHECK(strchr(err->msg, '\n') == NULL && strlen(err->msg) < sizeof(err->msg) - 1);
    CHECK_TEXT(err->msg, message);
}

/* Init or the command fails as the row says: the message is the row's, and nobody and
 * nothing is left of it. */
static inline void check_children_fail(const struct wall_fault *fault)
{
    const int before = count_holdings();

    wall_run(fault_text("children", fault));
    CHECK(wall.report.stage == CL_REPORT_FAILED);
    check_error(&wall.report.error, fault->errnum, fault->message);
    CHECK(count_holdings() == before && !has_child());
}

/* Without user namespaces there is no wall to be tested. */
static inline int run_wall_tests(const struct check_test *tests, size_t count)
{
    const uint64_t signals = cl_supervisor_signals(); /* init reads SIGCHLD, which we block */
    int status = 0;

    (void)alarm(WALL_ALARM_S);
    if (cl_sys_rt_sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return 1;
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(cl_sys_unshare(0x10000000 /* CLONE_NEWUSER */) < 0);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("1..0 # SKIP this host lets us make no user namespace\n");
        return 0;
    }
    return check_run(tests, count);
}

#endif
