/* test_sandbox.c - a sandbox from plan to result by an ordinary user: how it ended is said
 * in every way, and a step that fails leaves no record. Each runs in a process of its own,
 * as signals stay blocked; the state directory is the test's. */
#include <grp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "sandbox/sandbox.h"
#include "wall_scene.h"

enum { NOBODY = 65534 };

static char base[] = "/tmp/cloister-test-sandbox-XXXXXX";
static char result_path[64];

/* What the sandbox's process found, on a page that it shares with us. */
static struct outcome {
    int r;
    int leaked;
    struct cl_error err;
} * outcome;

static char said[4096];   /* standard output and error */
static char record[8192]; /* the result */

/* As root the wall needs uid ranges and /run: here it is an ordinary user's. */
static void become_ordinary(void)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
        _exit(1);
}

static void read_text(int dir, const char *path, char *ret, size_t size)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, path, O_RDONLY, 0);
    ssize_t got = fd < 0 ? 0 : read(fd, ret, size - 1);

    ret[got < 0 ? 0 : got] = '\0';
}

/* With standard output and error in the file `said`, and no input. */
static void run_here(const char *result, const char *fault)
{
    const struct cl_run_options options = {.result_path = result};

    become_ordinary();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int file = open("said", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (dup2(null, 0) < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0)
        _exit(1);
    const int before = count_holdings();
    cl_fault_set(fault);
    outcome->r = cl_sandbox_run(&wall.plan, &options, &outcome->err);
    cl_fault_set(NULL);
    outcome->leaked = count_holdings() - before;
    _exit(0);
}

static int run_sandbox(const char *result, const char *fault)
{
    int status = -1;

    memset(outcome, 0, sizeof(*outcome));
    (void)unlink(result_path);
    cl_plan_mark(&wall.plan, CL_FIELD_COMMAND);
    cl_plan_mark(&wall.plan, CL_FIELD_WITHOUT);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run_here(result, fault);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    read_text(AT_FDCWD, "said", said, sizeof(said));
    read_text(AT_FDCWD, result_path, record, sizeof(record));
    CHECK(outcome->leaked == 0);
    return outcome->r;
}

static int count_visit(void *context, CL_UNUSED struct cl_visit *visit,
                       CL_UNUSED struct cl_error *err)
{
    ++*(int *)context;
    return 0;
}

static int count_records(void)
{
    struct cl_state state = {open("cloister", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    struct cl_error err = {0};
    int count = 0;

    if (state.dir < 0)
        return 0;
    CHECK(cl_state_walk(&state, count_visit, &count, &err) == 0);
    cl_state_done(&state);
    return count;
}

/* The script's end: the status to exit with, the line about it, and the record's word. */
static void check_end(const char *script, int status, const char *line, const char *word)
{
    wall.words[2] = script;
    CHECK(run_sandbox(result_path, NULL) == status);
    CHECK_TEXT(outcome->err.msg, line);
    CHECK_HAS(record, word);
    CHECK(count_records() == 0);
}

TEST(how_it_ended_is_said)
{
    wall_set_up("");
    check_end("echo out; echo err >&2; exit 7", 7, "", "\"exited\"");
    CHECK_HAS(said, "out\n");
    CHECK_HAS(said, "err\n");
    CHECK_HAS(record, "\"exit_code\": 7");
    CHECK_HAS(record, "\"stdout_bytes\": 4");
    check_end("kill -9 $$", 137, "the command was ended by signal 9 (SIGKILL)", "\"signaled\"");
    check_end("kill -13 $$", 141, "", "\"signaled\"");
    wall.words[0] = "nothing-of-that-name";
    check_end("", 127, "nothing-of-that-name: command not found in the image's PATH", "\"error\"");
    wall.words[0] = "/etc/passwd";
    check_end("", 126, "execute /etc/passwd: Permission denied", "\"error\"");
    wall.words[0] = "sh";
    wall.plan.limits.output_bytes = 100;
    cl_plan_mark(&wall.plan, CL_FIELD_OUTPUT);
    check_end("while :; do echo more; done", 137, "ended by its output limit of 100 bytes",
              "\"output_limit\"");
}

TEST(time_is_a_limit)
{
    wall_set_up("");
    wall.plan.limits.time_ns = 100000000;
    cl_plan_mark(&wall.plan, CL_FIELD_TIME);
    check_end("sleep 1000", 124, "ended after its time limit of 0.100s", "\"timeout\"");
    CHECK_HAS(record, "\"time\"");
}

TEST(a_step_that_fails_is_named_and_leaves_no_record)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_rt_sigprocmask, 1, EINVAL, "take over signals: block signals: Invalid argument"},
        {SYS_signalfd4, 0, EMFILE, "take over signals: signalfd: Too many open files"},
        {SYS_getrandom, 0, EIO, "state: get random bytes for an id: Input/output error"},
        {SYS_pipe2, 1, EMFILE, "make the standard streams: make a pipe: Too many open files"},
        {SYS_pipe2, 2, EMFILE, "make the standard streams: make a pipe: Too many open files"},
        {SYS_fcntl, 2, EBADF,
         "make the standard streams: make a pipe non-blocking: Bad file descriptor"},
        {SYS_socketpair, 0, EMFILE, "container: make the channel: socketpair: Too many open files"},
        {SYS_sendmsg, 2, ENOBUFS, "release: release the sandbox: No buffer space available"},
    };

    wall_set_up("exit 0");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(run_sandbox(result_path, fault_text("self", &rows[i])) == -rows[i].errnum);
        check_error(&outcome->err, rows[i].errnum, rows[i].message);
        CHECK_HAS(record, "\"error\"");
        CHECK_HAS(record, rows[i].message);
        CHECK(count_records() == 0);
    }
}

TEST(a_parent_that_can_not_be_watched_is_named)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    const struct wall_fault fault = {SYS_pidfd_open, 1, EMFILE, ""};
    char line[128];

    wall_set_up("exit 3");
    wall.plan.die_with_parent = 1;
    CHECK(run_sandbox(NULL, NULL) == 3);
    CHECK(run_sandbox(NULL, fault_text("self", &fault)) == -EMFILE);
    (void)snprintf(line, sizeof(line),
                   "watch the parent: watch the parent process %d: Too many open files",
                   (int)getpid());
    check_error(&outcome->err, EMFILE, line);
}

TEST(a_state_directory_that_is_not_ours_is_refused)
{
    wall_set_up("exit 0");
    CHECK(chmod("cloister", 0755) == 0);
    CHECK(run_sandbox(result_path, NULL) == -EPERM);
    CHECK_HAS(outcome->err.msg, "state: the state directory ");
    CHECK_HAS(outcome->err.msg, " is open to others; run chmod 700 on it");
    CHECK(chmod("cloister", 0700) == 0);
}

TEST(a_wall_that_is_not_built_is_refused)
{
    wall_set_up("exit 0");
    wall.plan.wall = CL_WALL_VM;
    CHECK(run_sandbox(result_path, NULL) == -ENOTSUP);
    check_error(&outcome->err, ENOTSUP, "this wall is not built yet");
    CHECK_HAS(record, "this wall is not built yet");
}

/* Nothing runs whose result can't be kept; and no link leads it elsewhere. */
TEST(a_result_is_written_to_a_real_file_or_nothing_runs)
{
    char line[256];

    wall_set_up("echo ran");
    CHECK(run_sandbox("-", NULL) == -EINVAL);
    CHECK_HAS(outcome->err.msg, "--result takes a file");
    CHECK(run_sandbox("none/result", NULL) == -ENOENT);
    check_error(&outcome->err, ENOENT,
                "open the result file none/result: No such file or directory");
    CHECK(symlink("elsewhere", "link") == 0);
    (void)snprintf(line, sizeof(line),
                   "the result file link is, or lies behind, a symbolic link; name the real path");
    CHECK(run_sandbox("link", NULL) == -ELOOP);
    check_error(&outcome->err, ELOOP, line);
    CHECK(access("elsewhere", F_OK) < 0);
    CHECK(unlink("link") == 0);
    CHECK_TEXT(said, "");
    CHECK(run_sandbox("/dev/stdout", NULL) == 0); /* the kernel's links are no sandbox's */
    CHECK_HAS(said, "\"exited\"");
    CHECK(run_sandbox("/dev/full", NULL) == -ENOSPC);
    check_error(&outcome->err, ENOSPC, "write the result: No space left on device");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(how_it_ended_is_said),
        ROW(time_is_a_limit),
        ROW(a_step_that_fails_is_named_and_leaves_no_record),
        ROW(a_parent_that_can_not_be_watched_is_named),
        ROW(a_state_directory_that_is_not_ours_is_refused),
        ROW(a_wall_that_is_not_built_is_refused),
        ROW(a_result_is_written_to_a_real_file_or_nothing_runs),
    };

    outcome =
        mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (outcome == MAP_FAILED || mkdtemp(base) == NULL || chdir(base) < 0)
        return 99;
    if (geteuid() == 0 && chown(base, NOBODY, NOBODY) < 0)
        return 99;
    (void)snprintf(result_path, sizeof(result_path), "%s/result", base);
    (void)setenv("XDG_RUNTIME_DIR", base, 1);
    int failed = run_wall_tests(tests, CL_ARRAY_SIZE(tests));
    static const char *const files[] = {"said", "result", "cloister/table", "cloister/bells/0",
                                        "cloister/ids"};
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++)
        (void)unlink(files[i]);
    (void)rmdir("cloister/bells");
    (void)rmdir("cloister");
    (void)rmdir(base);
    return failed;
}
