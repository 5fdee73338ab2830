/* test_init.c - pid 1 of a sandbox: each of its steps fails and is heard, and what it
 * does while the command runs. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "walls/container/container.h"
#include "wall_scene.h"

static char *program; /* argv[0] */

TEST(a_step_that_fails_is_named)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_sethostname, 0, EPERM, "host name: set the host name: Operation not permitted"},
        {SYS_sched_getscheduler, 0, EPERM,
         "priority: ask for the scheduling policy: Operation not permitted"},
        {SYS_getpriority, 0, EPERM, "priority: take nice value 0: Operation not permitted"},
        {SYS_ioprio_get, 0, EPERM,
         "priority: take the ordinary I/O priority: Operation not permitted"},
        {SYS_socket, 0, EMFILE, "loopback: socket: Too many open files"},
        {SYS_ioctl, 1, EPERM, "loopback: set lo up: Operation not permitted"},
        {SYS_recvmsg, 1, ENOMEM,
         "wait for the id maps: receive from the supervisor: Cannot allocate memory"},
        {SYS_setresgid, 1, EPERM,
         "take the sandbox's identity: take group id 1000: Operation not permitted"},
        {SYS_setresuid, 1, EPERM,
         "take the sandbox's identity: take user id 1000: Operation not permitted"},
        {CL_SYS_POLL, 1, EIO,
         "tie the sandbox to its supervisor: look whether the supervisor is alive: "
         "Input/output error"},
        {SYS_recvmsg, 2, ENOMEM, "limits: receive from the supervisor: Cannot allocate memory"},
        {SYS_unshare, 0, ENOSPC, "limits: make the cgroup namespace: No space left on device"},
        {SYS_keyctl, 0, EDQUOT,
         "keyring: join a new session keyring: Disk quota exceeded; raise the sysctl "
         "kernel.keys.maxkeys, or end other sandboxes"},
        {SYS_keyctl, 0, ENOMEM, "keyring: join a new session keyring: Cannot allocate memory"},
        {SYS_dup3, 1, EBUSY,
         "descriptors: put /dev/null in place of descriptor 0: Device or resource busy"},
        {SYS_dup3, 3, EBUSY,
         "descriptors: put /dev/null in place of descriptor 2: Device or resource busy"},
        {SYS_signalfd4, 0, EMFILE, "signalfd: Too many open files"},
    };

    wall_set_up("exit 0");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        check_children_fail(&rows[i]);
}

/* On a machine with a processor to spare the network namespace comes later. */
TEST(a_network_that_does_not_come_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_recvmsg, 3, ENOMEM, "network: receive from the supervisor: Cannot allocate memory"},
        {SYS_setns, 0, EPERM, "network: enter the network namespace: Operation not permitted"},
    };

    wall_set_up("exit 0");
    wall.start.processors = WALL_IDLE;
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        check_children_fail(&rows[i]);
}

TEST(a_network_message_without_a_namespace_is_refused)
{
    wall_set_up("exit 0");
    wall.start.processors = WALL_IDLE;
    CHECK(wall_start(NULL) == 0);
    cl_fd_close(&wall.process.userns); /* then no namespace is made */
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    const struct cl_message message = {.kind = CL_MESSAGE_NETWORK};
    CHECK(cl_message_send(wall.process.channel, &message, NULL, 0) == 0);
    wall_await_end();
    check_error(&wall.report.error, EPROTO, "network: the network namespace didn't come");
    cl_wall_container.done(&wall.process);
}

/* The same network, whenever it was made. */
TEST(the_network_is_the_sandboxs_own_and_has_loopback)
{
    char script[512];
    char outside[64] = "";

    CHECK(readlink("/proc/self/ns/net", outside, sizeof(outside) - 1) > 0);
    (void)snprintf(script, sizeof(script),
                   "test \"$(readlink /proc/self/ns/net)\" != '%s' || exit 10\n"
                   "test \"$(tail -n +3 /proc/net/dev | wc -l)\" = 1 || exit 11\n"
                   "grep -q '^ *lo:' /proc/net/dev || exit 12\n"
                   "grep -q 127.0.0.1 /proc/net/fib_trie || exit 13",
                   outside);
    for (int idle = 0; idle < 2; idle++) {
        wall_set_up(script);
        wall.start.processors = idle ? WALL_IDLE : WALL_BUSY;
        wall_run(NULL);
        CHECK(wall_exit_status() == 0 && has_layer(CL_LAYER_NETNS));
        wall.plan.without |= CL_LAYER_BIT(CL_LAYER_NETNS);
        wall_run(NULL);
        CHECK(wall_exit_status() == 10 && !has_layer(CL_LAYER_NETNS));
    }
}

/* prctl sets several things: which call fails decides which step speaks. The first is of
 * capability 0; what follows the bounding set is walked to the end. */
TEST(every_promise_of_prctl_is_kept_or_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const char *const expected[] = {
        "capabilities: clear the ambient capabilities: Permission denied",
        "take the sandbox's identity: become non-dumpable: Permission denied",
        "tie the sandbox to its supervisor: set the parent-death signal: Permission denied",
        "privileges: lock the securebits: Permission denied",
        "privileges: set no_new_privs: Permission denied",
    };
    struct wall_fault fault = {SYS_prctl, 1, EACCES, ""};
    size_t seen = 0;

    wall_set_up("exit 0");
    wall_run(fault_text("children", &fault));
    check_error(&wall.report.error, EACCES,
                "capabilities: drop capability 0 from the bounding set: Permission denied");
    for (fault.nth = 40; fault.nth < 64 + 2;
         fault.nth++) { /* from the last that every kernel has */
        wall_run(fault_text("children", &fault));
        if (wall.report.stage == CL_REPORT_ENDED)
            break; /* there were not as many calls */
        CHECK(wall.report.stage == CL_REPORT_FAILED);
        if (strstr(wall.report.error.msg, "drop capability") != NULL)
            continue;
        CHECK(seen < CL_ARRAY_SIZE(expected));
        if (seen < CL_ARRAY_SIZE(expected))
            check_error(&wall.report.error, EACCES, expected[seen++]);
    }
    CHECK(seen == CL_ARRAY_SIZE(expected));
}

/* By calls that its filter does not know a sanitised init ends: it goes without here. */
static void do_without_the_filter(void)
{
    wall.plan.without |= CL_LAYER_BIT(CL_LAYER_SECCOMP);
}

TEST(an_init_that_can_not_reap_says_so)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_wait4, 0, EPERM, "wait for the sandbox's processes: Operation not permitted"},
        {CL_SYS_POLL, 2, ENOMEM, "wait for the sandbox's processes: Cannot allocate memory"},
    };

    wall_set_up("exit 0");
    do_without_the_filter();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        check_children_fail(&rows[i]);
}

/* As by a stop and a continue, wherever it waits. */
TEST(an_init_that_is_interrupted_goes_on)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    struct wall_fault fault = {CL_SYS_POLL, 1, EINTR, ""};

    wall_set_up("exit 4");
    for (; fault.nth <= 2; fault.nth++) {
        wall_run(fault_text("children", &fault));
        CHECK(wall_exit_status() == 4);
    }
}

TEST(a_kernel_without_keys_has_none_to_leak)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    const struct wall_fault fault = {SYS_keyctl, 0, ENOSYS, ""};

    wall_set_up("exit 4");
    wall_run(fault_text("children", &fault));
    CHECK(wall_exit_status() == 4 && !has_layer(CL_LAYER_KEYRING));
}

/* Layers are reported as they go up, and not those that were left out. */
TEST(layers_that_are_left_out_are_not_reported)
{
    static const enum cl_layer layers[] = {
        CL_LAYER_KEYRING, CL_LAYER_CGROUPNS,     CL_LAYER_DUMPABLE, CL_LAYER_SECUREBITS,
        CL_LAYER_STDIO,   CL_LAYER_CAPABILITIES, CL_LAYER_RLIMITS,  CL_LAYER_SECCOMP,
        CL_LAYER_UTSNS,   CL_LAYER_NETNS,        CL_LAYER_IPCNS,
    };

    wall_set_up("exit 4");
    wall_run(NULL);
    CHECK(wall_exit_status() == 4);
    for (size_t i = 0; i < CL_ARRAY_SIZE(layers); i++)
        CHECK(has_layer(layers[i]));
    CHECK(!has_layer(CL_LAYER_LIMITS) && has_layer(CL_LAYER_NO_NEW_PRIVS));
    for (size_t i = 0; i < CL_ARRAY_SIZE(layers); i++)
        wall.plan.without |= CL_LAYER_BIT(layers[i]);
    wall_run(NULL);
    CHECK(wall_exit_status() == 4);
    for (size_t i = 0; i < CL_ARRAY_SIZE(layers); i++)
        CHECK(!has_layer(layers[i]));
    CHECK(has_layer(CL_LAYER_USERNS) && has_layer(CL_LAYER_PIDNS) && has_layer(CL_LAYER_MOUNTNS));
}

/* Starts a script that says one byte when it is ready; RET[0] reads what it says. */
static void start_talking(int ret[2])
{
    char byte;

    CHECK(cl_sys_pipe2(ret, 0) == 0);
    wall.start.stdio[1] = ret[1];
    CHECK(wall_start(NULL) == 0);
    cl_fd_close(&ret[1]);
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    CHECK(read(ret[0], &byte, 1) == 1);
}

/* --- what it makes --------------------------------------------------------------------- */

TEST(the_sandbox_is_what_the_plan_says)
{
    wall_set_up("test \"$(id -u):$(id -g)\" = 1000:1000 || exit 10\n"
                "test \"$(uname -n)\" = inside || exit 11\n"
                "test \"$(pwd)\" = /tmp || exit 12\n"
                "test $$ != 1 || exit 13\n"
                "test \"$(umask)\" = 0022 || exit 14\n"
                "test ! -e /mnt || exit 15\n"
                "grep -q 'NoNewPrivs:.1' /proc/self/status || exit 16\n"
                "set -- /proc/[0-9]*; test \"$*\" = \"/proc/1 /proc/$$\" || exit 17\n"
                "test \"$(cat /proc/sys/kernel/hostname)\" = inside || exit 18");
    wall_run(NULL);
    CHECK(wall_exit_status() == 0);
}

/* Descriptors that the caller forgot to mark, and init's own, stay outside. */
TEST(no_descriptor_of_the_caller_comes_in)
{
    CL_CLEANUP_FD int secret = open("/", O_RDONLY | O_DIRECTORY); // NOLINT(android-cloexec-open)
    char script[256];

    CHECK(dup2(secret, 777) == 777);
    (void)snprintf(script, sizeof(script),
                   "test ! -e /proc/self/fd/777 -a ! -e /proc/self/fd/%d && "
                   "test \"$(echo /proc/self/fd/*)\" = "
                   "'/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3'",
                   secret);
    wall_set_up(script);
    wall_run(NULL);
    CHECK(wall_exit_status() == 0); /* 3: the pattern's directory */
    CHECK(close(777) == 0);
}

/* Nor does init keep one, where nobody would see it: a pipe that it held would not end. */
TEST(init_keeps_no_descriptor_of_the_caller)
{
    int pipe[2];
    int callers[2];
    char byte;

    CHECK(pipe2(callers, 0) == 0);       // NOLINT(android-cloexec-pipe2): inherited, if it could be
    CHECK(dup2(callers[1], 778) == 778); /* below and above those that init keeps */
    wall_set_up("echo; sleep 1000 & wait");
    start_talking(pipe);
    cl_fd_close(&callers[1]);
    CHECK(close(778) == 0);
    CHECK(read(callers[0], &byte, 1) == 0);
    cl_wall_container.done(&wall.process);
    cl_fd_close(&callers[0]);
    cl_fd_close(&pipe[0]);
}

/* proc(5): /proc/1/cmdline shows the memory that the program's arguments were in. */
TEST(the_callers_arguments_are_not_seen_inside)
{
    wall_set_up("exec grep -q test_init /proc/1/cmdline");
    wall_run(NULL);
    CHECK(wall_exit_status() == 0); /* they would be */
    wall.start.arguments = (struct cl_arguments){program, strlen(program)};
    wall_run(NULL);
    CHECK(wall_exit_status() == 1);
    CHECK_HAS(program, "test_init"); /* the caller's own are whole */
}

/* --- while the command runs ------------------------------------------------------------ */

TEST(signals_reach_the_command)
{
    int pipe[2];

    wall_set_up("trap 'exit 9' USR1; echo; while :; do sleep 1000 & wait; done");
    start_talking(pipe);
    CHECK(cl_wall_container.signal(&wall.process, SIGUSR1, &wall.err) == 0);
    wall_await_end();
    CHECK(wall_exit_status() == 9);
    cl_wall_container.done(&wall.process);
    cl_fd_close(&pipe[0]);

    wall_set_up("echo; sleep 1000 & wait");
    start_talking(pipe);
    CHECK(cl_wall_container.signal(&wall.process, SIGKILL, &wall.err) == 0);
    wall_await_end();
    CHECK(wall.report.stage == CL_REPORT_ENDED && WIFSIGNALED(wall.report.main_status));
    CHECK(WTERMSIG(wall.report.main_status) == SIGKILL);
    CHECK(wall.report.ended_boot_ns > wall.report.started_boot_ns);
    cl_wall_container.done(&wall.process);
    cl_fd_close(&pipe[0]);
}

/* Only the main process's end is the end (an orphan's is none), and then all others end with it:
 * the pipe that an orphan still holds is closed. */
TEST(orphans_are_reaped_and_end_with_the_command)
{
    int pipe[2];
    char byte;

    wall_set_up("(: &)\nwhile set -- /proc/[0-9]*; test $# -gt 2; do :; done\n"
                "(sleep 1000 &)\necho; exit 6");
    start_talking(pipe);
    wall_await_end();
    CHECK(wall_exit_status() == 6);
    CHECK(read(pipe[0], &byte, 1) == 0);
    cl_wall_container.done(&wall.process);
    cl_fd_close(&pipe[0]);
}

/* The supervisor's end of the channel is his life. */
TEST(a_channel_that_is_closed_ends_the_sandbox)
{
    int status = 0;
    int pipe[2];
    char byte;

    wall_set_up("echo; sleep 1000 & wait");
    do_without_the_filter();
    start_talking(pipe);
    cl_fd_close(&wall.process.channel);
    CHECK(read(pipe[0], &byte, 1) == 0);
    CHECK(waitpid(wall.process.pid, &status, 0) == wall.process.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(wall.process.report->stage == CL_REPORT_STARTED); /* no end to be told of */
    wall.process.pid = 0;
    cl_wall_container.done(&wall.process);
    cl_fd_close(&pipe[0]);
}

TEST(a_supervisor_that_dies_before_the_release_ends_it_too)
{
    int status = 0;

    wall_set_up("exit 0");
    CHECK(wall_start(NULL) == 0);
    struct pollfd scratch = {.fd = wall.process.channel, .events = POLLIN};
    CHECK(poll(&scratch, 1, -1) == 1); /* the last that init has to say before */
    cl_fd_close(&wall.process.channel);
    CHECK(waitpid(wall.process.pid, &status, 0) == wall.process.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(wall.process.report->stage <= CL_REPORT_BORN);
    CHECK_TEXT(wall.process.report->error.msg, ""); /* nobody is left to tell */
    wall.process.pid = 0;
    cl_wall_container.done(&wall.process);
}

/* The order of messages is the protocol: anything else is refused. */
TEST(a_message_out_of_order_is_refused)
{
    wall_set_up("exit 0");
    CHECK(wall_start(NULL) == 0);
    CHECK(cl_wall_container.signal(&wall.process, SIGTERM, &wall.err) == 0);
    wall_await_end();
    CHECK(wall.report.stage == CL_REPORT_FAILED);
    check_error(&wall.report.error, EPROTO, "limits: unexpected message 4 from the supervisor");
    cl_wall_container.done(&wall.process);
}

TEST(a_pty_comes_to_the_supervisor)
{
    struct winsize size = {0};
    char text[64] = "";

    wall_set_up("test -t 0 && test -t 1 && test -t 2 && tty");
    wall.plan.tty = 1;
    wall.start.size = (struct winsize){.ws_row = 33, .ws_col = 44};
    CHECK(wall_start(NULL) == 0);
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    struct pollfd message = {.fd = wall.process.channel, .events = POLLIN};
    while (wall.process.terminal < 0 && poll(&message, 1, -1) == 1 &&
           (message.revents & POLLHUP) == 0)
        CHECK(cl_wall_container.receive(&wall.process, &wall.err) == 0);
    CHECK(wall.process.terminal >= 0);
    CHECK(ioctl(wall.process.terminal, TIOCGWINSZ, &size) == 0);
    CHECK(size.ws_row == 33 && size.ws_col == 44); /* from its start, and nobody else's doing */
    CHECK(read(wall.process.terminal, text, sizeof(text) - 1) > 0);
    CHECK_HAS(text, "/dev/pts/0");
    wall_await_end();
    CHECK(wall_exit_status() == 0);
    cl_wall_container.done(&wall.process);
}

int main(CL_UNUSED int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(a_step_that_fails_is_named),
        ROW(a_network_that_does_not_come_is_told),
        ROW(a_network_message_without_a_namespace_is_refused),
        ROW(the_network_is_the_sandboxs_own_and_has_loopback),
        ROW(every_promise_of_prctl_is_kept_or_told),
        ROW(an_init_that_can_not_reap_says_so),
        ROW(an_init_that_is_interrupted_goes_on),
        ROW(a_kernel_without_keys_has_none_to_leak),
        ROW(layers_that_are_left_out_are_not_reported),
        ROW(the_sandbox_is_what_the_plan_says),
        ROW(no_descriptor_of_the_caller_comes_in),
        ROW(init_keeps_no_descriptor_of_the_caller),
        ROW(the_callers_arguments_are_not_seen_inside),
        ROW(signals_reach_the_command),
        ROW(orphans_are_reaped_and_end_with_the_command),
        ROW(a_channel_that_is_closed_ends_the_sandbox),
        ROW(a_supervisor_that_dies_before_the_release_ends_it_too),
        ROW(a_message_out_of_order_is_refused),
        ROW(a_pty_comes_to_the_supervisor),
    };

    program = argv[0];
    return run_wall_tests(tests, CL_ARRAY_SIZE(tests));
}
