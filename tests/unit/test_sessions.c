/* test_sessions.c - commands in the running sandbox (exec): init's side, in a real sandbox, with
 * words and descriptors that no client of ours would send. */
#include <signal.h>
#include <sys/socket.h>

#include "base/channel.h"
#include "walls/container/container.h"
#include "wall_scene.h"

enum { SEALS = 0xf, WAIT_MS = 20000 };

static const char *words_list[3] = {"sh", "-c", NULL};
static const char *const words_env[] = {"PATH=/usr/bin:/bin"};

/* Of one command at a time. */
static struct cl_plan words_for(const char *script)
{
    struct cl_plan plan = {
        .command = {words_list, 3},
        .env = {words_env, 1},
        .workdir = "/tmp",
        .uid = 1000,
        .gid = 1000,
    };

    words_list[2] = script;
    cl_plan_mark(&plan, CL_FIELD_COMMAND);
    cl_plan_mark(&plan, CL_FIELD_ENV);
    cl_plan_mark(&plan, CL_FIELD_WORKDIR);
    cl_plan_mark(&plan, CL_FIELD_UID);
    cl_plan_mark(&plan, CL_FIELD_GID);
    return plan;
}

static int file_of(const void *data, size_t size, int seals)
{
    int fd = cl_sys_memfd_create("words", 3);

    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0);
    CHECK(cl_sys_fcntl(fd, 1033, seals) == 0);
    return fd;
}

static int words_file(const struct cl_plan *plan)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_error err = {0};

    CHECK(cl_plan_write(plan, &buf, &err) == 0);
    return file_of(buf.data, buf.size, SEALS);
}

static void await_start(void)
{
    while (__atomic_load_n(&wall.process.report->stage, __ATOMIC_ACQUIRE) < CL_REPORT_STARTED)
        (void)sched_yield();
}

static void begin(const char *fault)
{
    CHECK(wall_start(fault) == 0);
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    await_start();
}

/* Asks for a command with the WORDS (taken); our end of the session. */
static int ask(int words, uint32_t flags, const int stdio[3])
{
    const struct cl_exec_request request = {
        .version = CL_EXEC_VERSION, .flags = flags, .rows = 11, .columns = 22};
    int session[2] = {-1, -1};
    int fds[CL_EXEC_MAX_FDS];
    size_t count = 2;

    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, session) == 0);
    fds[0] = session[1];
    fds[1] = words;
    for (int fd = 0; fd < 3; fd++) {
        if ((flags & 1U << fd) != 0)
            fds[count++] = stdio[fd];
    }
    CHECK(count == cl_exec_fd_count(flags));
    CHECK(cl_wall_container.exec(&wall.process, &request, fds, &wall.err) == 0);
    cl_fd_close(&session[1]);
    cl_fd_close(&words);
    return session[0];
}

/* What init says next; kind 0: it hung up. */
static struct cl_session_event hear(int session, int *ret_fd)
{
    struct cl_session_event event = {0};
    struct cl_packet packet = {.data = &event, .size = sizeof(event), .fds = {-1}, .fd_count = 1};
    struct pollfd wait = {.fd = session, .events = POLLIN};

    CHECK(cl_sys_poll(&wait, 1, WAIT_MS) == 1);
    if (cl_channel_receive(session, &packet, MSG_DONTWAIT) < 0)
        event.kind = 0;
    else if (ret_fd != NULL && packet.fd_count == 1)
        *ret_fd = packet.fds[0];
    return event;
}

static void check_heard(int session, uint32_t kind, int value, const char *message)
{
    struct cl_session_event event = hear(session, NULL);

    CHECK(event.kind == kind && event.value == value);
    CHECK_HAS(event.message, message);
}

/* The answer to words that can't be. */
static void check_refused(int words, int errnum, const char *message)
{
    CL_CLEANUP_FD int session = ask(words, 0, NULL);

    check_heard(session, CL_SESSION_FAILED, errnum, message);
    CHECK(hear(session, NULL).kind == 0);
}

TEST(a_command_runs_and_its_end_is_told)
{
    const struct cl_plan good = words_for("exit 7");

    wall_set_up("sleep 1000");
    begin(NULL);
    CL_CLEANUP_FD int session = ask(words_file(&good), 0, NULL);
    check_heard(session, CL_SESSION_STARTED, 0, "");
    check_heard(session, CL_SESSION_ENDED, 7 << 8, "");
    CHECK(hear(session, NULL).kind == 0);
    const struct cl_plan killed = words_for("kill -9 $$");
    CL_CLEANUP_FD int other = ask(words_file(&killed), 0, NULL);
    check_heard(other, CL_SESSION_STARTED, 0, "");
    check_heard(other, CL_SESSION_ENDED, 9, "");
    cl_wall_container.done(&wall.process);
}

/* Before its RELEASE init takes nothing else, and would fail. */
TEST(a_sandbox_that_is_being_made_is_left_alone)
{
    const struct cl_exec_request request = {.version = CL_EXEC_VERSION};
    const int fds[] = {0, 1};

    wall_set_up("exit 6");
    CHECK(wall_start(NULL) == 0);
    CHECK(cl_wall_container.exec(&wall.process, &request, fds, &wall.err) == -EAGAIN);
    CHECK_TEXT(wall.err.msg, "the sandbox is still being made");
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    wall_await_end();
    CHECK(wall_exit_status() == 6);
    CHECK(cl_wall_container.exec(&wall.process, &request, fds, &wall.err) == -ESRCH);
    cl_wall_container.done(&wall.process);
}

TEST(words_that_can_not_be_are_refused)
{
    const struct cl_plan good = words_for("exit 0");
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_plan other;

    wall_set_up("sleep 1000");
    begin(NULL);
    CHECK(cl_plan_write(&good, &buf, &wall.err) == 0);
    check_refused(file_of(buf.data, buf.size, 0x7), EPERM, "can still be changed");
    check_refused(file_of(buf.data, buf.size - 1, SEALS), EBADMSG, "");
    check_refused(file_of("", 0, SEALS), E2BIG, "more than");
    check_refused(open("/dev/null", O_RDONLY | O_CLOEXEC), EINVAL, "look at the words");
    other = good;
    other.uid = 1001;
    check_refused(words_file(&other), EPERM, "one user, this one 1000:1000");
    other = good;
    other.gid = 0;
    check_refused(words_file(&other), EPERM, "one user");
    other = good;
    other.capabilities = 1;
    cl_plan_mark(&other, CL_FIELD_CAPABILITIES);
    check_refused(words_file(&other), EPROTO, "no words of a command");
    other = good;
    cl_plan_unmark(&other, CL_FIELD_UID);
    check_refused(words_file(&other), EPROTO, "no words of a command");
    other = good;
    other.workdir = "tmp";
    check_refused(words_file(&other), EPROTO, "no words of a command");
    CL_CLEANUP_FD int session = ask(words_file(&good), 0, NULL);
    check_heard(session, CL_SESSION_STARTED, 0, "");
    cl_wall_container.done(&wall.process);
}

TEST(build_takes_any_id_of_its_own)
{
    struct cl_plan base = {.profile = CL_PROFILE_BUILD, .uid = 0};
    struct cl_plan words = words_for("");
    struct cl_error err = {0};

    CHECK(cl_words_check(&base, &words, &err) == 0);
    words.uid = CL_UIDS_PER_RANGE;
    CHECK(cl_words_check(&base, &words, &err) == -EINVAL);
    CHECK_HAS(err.msg, "no ids of a sandbox");
}

TEST(a_command_that_can_not_be_executed_is_told)
{
    struct cl_plan plan = words_for("");

    wall_set_up("sleep 1000");
    begin(NULL);
    plan.command.count = 1;
    words_list[0] = "no-such-command";
    CL_CLEANUP_FD int session = ask(words_file(&plan), 0, NULL);
    words_list[0] = "sh";
    check_heard(session, CL_SESSION_NO_EXEC, ENOENT, "no-such-command: command not found");
    cl_wall_container.done(&wall.process);
}

/* Its output shows that it runs, and then that it doesn't. */
TEST(signals_come_and_the_sessions_end_kills)
{
    const struct cl_plan plan =
        words_for("trap 'echo got' USR1; echo ready; while :; do sleep 0.1; done");
    const struct cl_session_order order = {.signal = SIGUSR1};
    const struct cl_session_order wild = {.signal = -5};
    char text[64];
    int ends[2];

    wall_set_up("sleep 1000");
    begin(NULL);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    int session = ask(words_file(&plan), CL_EXEC_STDOUT, (const int[]){-1, ends[1], -1});
    cl_fd_close(&ends[1]);
    check_heard(session, CL_SESSION_STARTED, 0, "");
    CHECK(cl_sys_read(ends[0], text, sizeof(text)) == 6 && memcmp(text, "ready\n", 6) == 0);
    CHECK(cl_sys_send(session, &wild, sizeof(wild), 0) == sizeof(wild));
    CHECK(cl_sys_send(session, &order, sizeof(order), 0) == sizeof(order));
    CHECK(cl_sys_read(ends[0], text, sizeof(text)) == 4 && memcmp(text, "got\n", 4) == 0);
    cl_fd_close(&session);
    while (cl_sys_read(ends[0], text, sizeof(text)) > 0)
        ; /* to the end: sh is dead, and its sleep soon */
    cl_fd_close(&ends[0]);
    cl_wall_container.done(&wall.process);
}

TEST(a_detached_command_has_no_session)
{
    const struct cl_plan plan = words_for("sleep 1000");

    wall_set_up("sleep 1000");
    begin(NULL);
    for (int i = 0; i < 3; i++) {
        CL_CLEANUP_FD int session = ask(words_file(&plan), CL_EXEC_DETACH, NULL);

        check_heard(session, CL_SESSION_STARTED, 0, "");
        CHECK(hear(session, NULL).kind == 0);
    }
    cl_wall_container.done(&wall.process);
}

TEST(a_pty_comes_first_with_its_size)
{
    const struct cl_plan plan = words_for("stty size");
    char text[64] = "";
    int master = -1;

    wall_set_up("sleep 1000");
    begin(NULL);
    CL_CLEANUP_FD int session = ask(words_file(&plan), CL_EXEC_TTY, NULL);
    CHECK(hear(session, &master).kind == CL_SESSION_TERMINAL && master >= 0);
    check_heard(session, CL_SESSION_STARTED, 0, "");
    CHECK(cl_sys_read(master, text, sizeof(text) - 1) > 0);
    CHECK_HAS(text, "11 22");
    check_heard(session, CL_SESSION_ENDED, 0, "");
    cl_fd_close(&master);
    cl_wall_container.done(&wall.process);
}

TEST(there_are_no_more_than_the_table_has)
{
    int sessions[CL_EXEC_MOST];

    wall_set_up("sleep 1000");
    begin(NULL);
    const struct cl_plan asleep = words_for("sleep 1000");
    for (size_t i = 0; i < CL_EXEC_MOST; i++) {
        sessions[i] = ask(words_file(&asleep), 0, NULL);
        check_heard(sessions[i], CL_SESSION_STARTED, 0, "");
    }
    check_refused(words_file(&asleep), EBUSY, "32 commands of exec run in this sandbox");
    const struct cl_session_order order = {.signal = SIGKILL};
    CHECK(cl_sys_send(sessions[5], &order, sizeof(order), 0) == sizeof(order));
    check_heard(sessions[5], CL_SESSION_ENDED, SIGKILL, "");
    cl_fd_close(&sessions[5]);
    sessions[5] = ask(words_file(&asleep), 0, NULL);
    check_heard(sessions[5], CL_SESSION_STARTED, 0, "");
    for (size_t i = 0; i < CL_EXEC_MOST; i++)
        cl_fd_close(&sessions[i]);
    cl_wall_container.done(&wall.process);
}

/* From a supervisor that lies: init goes on. */
TEST(descriptors_that_do_not_fit_are_closed)
{
    const struct cl_message message = {.kind = CL_MESSAGE_EXEC, .value = CL_EXEC_STREAMS};
    const struct cl_plan plan = words_for("exit 3");
    int pair[2] = {-1, -1};

    wall_set_up("sleep 1000");
    begin(NULL);
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, pair) == 0);
    CHECK(cl_message_send(wall.process.channel, &message, &pair[1], 1) == 0);
    cl_fd_close(&pair[1]);
    CHECK(hear(pair[0], NULL).kind == 0);
    cl_fd_close(&pair[0]);
    CL_CLEANUP_FD int session = ask(words_file(&plan), 0, NULL);
    check_heard(session, CL_SESSION_STARTED, 0, "");
    check_heard(session, CL_SESSION_ENDED, 3 << 8, "");
    cl_wall_container.done(&wall.process);
}

/* The Nth of a call among init's children, main's being the first. */
TEST(a_birth_that_fails_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_clone, 2, EAGAIN,
         "clone a process: Resource temporarily unavailable; the sandbox has "},
        {SYS_setsid, 2, EPERM, "session: setsid: Operation not permitted"},
        {SYS_chdir, 3, EACCES, "working directory: change to /tmp: Permission denied"},
        {SYS_pread64, 1, EIO, "read the words of a command: Input/output error"},
        {SYS_close_range, 0, 0, NULL},
    };
    const struct cl_plan plan = words_for("exit 0");

    for (size_t i = 0; rows[i].message != NULL; i++) {
        wall_set_up("sleep 1000");
        begin(fault_text("children", &rows[i]));
        CL_CLEANUP_FD int session = ask(words_file(&plan), 0, NULL);
        check_heard(session, CL_SESSION_FAILED, rows[i].errnum, rows[i].message);
        cl_wall_container.done(&wall.process);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_command_runs_and_its_end_is_told),
        ROW(a_sandbox_that_is_being_made_is_left_alone),
        ROW(words_that_can_not_be_are_refused),
        ROW(build_takes_any_id_of_its_own),
        ROW(a_command_that_can_not_be_executed_is_told),
        ROW(signals_come_and_the_sessions_end_kills),
        ROW(a_detached_command_has_no_session),
        ROW(a_pty_comes_first_with_its_size),
        ROW(there_are_no_more_than_the_table_has),
        ROW(descriptors_that_do_not_fit_are_closed),
        ROW(a_birth_that_fails_is_told),
    };

    return run_wall_tests(tests, CL_ARRAY_SIZE(tests));
}
