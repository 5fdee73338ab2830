/* test_kill.c - the commands that are about sandboxes of others: kill and inspect, which
 * ask a supervisor, and prune, which takes away what a dead one left. */
#include <poll.h>
#include <signal.h>

#include "sandbox/control.h"
#include "command_scene.h"

static const char id_1[] = "00112233445566aa";
static const char id_2[] = "0011ffff445566bb";
static const char id_dead[] = "00112233445566cc";

/* A supervisor that answers COUNT requests with ERROR; its exit status is the number of
 * the last signal that it was asked for, 100 for a refresh. */
static void answer(int bell, struct cl_entry *entry, int count, int error)
{
    int last = 0;

    while (count-- > 0) {
        struct pollfd rung = {.fd = bell, .events = POLLIN};
        struct cl_control_request request = {0};

        (void)poll(&rung, 1, -1);
        int client = cl_control_accept(bell, entry, &request);
        CHECK(client >= 0);
        last = request.command == CL_CONTROL_SIGNAL ? request.signal : 100;
        cl_control_answer(client, error);
        cl_fd_close(&client);
    }
    (void)fflush(stdout);
    _exit(last);
}

static pid_t start_supervisor(const char *id, const char *name, int count, int error)
{
    int ready[2];
    char byte;

    CHECK(cl_sys_pipe2(ready, 0) == 0);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct cl_plan plan = {.name = name};
        struct cl_state state = CL_STATE_INIT;
        struct cl_entry entry = CL_ENTRY_INIT;

        CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
        cl_plan_mark(&plan, CL_FIELD_NAME);
        CHECK(cl_state_open(&state, &said.err) == 0);
        command_make_sandbox(&state, id, &plan, 1, &entry);
        int bell = cl_control_listen(&entry, &said.err);
        CHECK(bell >= 0 && write(ready[1], "x", 1) == 1);
        answer(bell, &entry, count, error);
    }
    cl_fd_close(&ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    cl_fd_close(&ready[0]);
    return child;
}

static int end_of(pid_t supervisor)
{
    int status = -1;

    CHECK(waitpid(supervisor, &status, 0) == supervisor && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* --- kill ------------------------------------------------------------------------- */

static void refuse_to_kill(void)
{
    command_own_state();
    CHECK(RUN(&cl_command_kill, NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "kill: no sandbox named; see cloister ps");
    CHECK(RUN(&cl_command_kill, "-s", "FOO", "x", NULL) == -EINVAL);
    CHECK_HAS(said.err.msg, "--signal: ");
    CHECK(RUN(&cl_command_kill, "nobody", NULL) == -ESRCH);
    CHECK_HAS(said.err.msg, "nobody");
    CHECK_TEXT(said.out, "");
    command_leave_sandbox(id_dead);
    CHECK(RUN(&cl_command_kill, id_dead, NULL) == -ESRCH);
    CHECK_HAS(said.err.msg, id_dead);
}

TEST(only_the_living_are_killed)
{
    room_run(refuse_to_kill);
}

static void kill_them(void)
{
    command_own_state();
    pid_t one = start_supervisor(id_1, "first", 2, 0);
    CHECK(RUN(&cl_command_kill, "first", NULL) == 0);
    CHECK_TEXT(said.out, "first\n");
    CHECK(RUN(&cl_command_kill, "-s", "usr1", "00112233", NULL) == 0);
    CHECK_TEXT(said.out, "00112233\n");
    CHECK(end_of(one) == SIGUSR1);
    one = start_supervisor(id_1, "first", 1, 0);
    CHECK(RUN(&cl_command_kill, id_1, NULL) == 0);
    CHECK(end_of(one) == SIGKILL); /* without another word */
}

TEST(the_signal_is_the_one_that_was_named)
{
    room_run(kill_them);
}

/* Neither the first failure nor the second keeps the others alive. */
static void kill_most(void)
{
    command_own_state();
    pid_t one = start_supervisor(id_1, "first", 1, 0);
    pid_t two = start_supervisor(id_2, "second", 1, -EPERM);
    CHECK(RUN(&cl_command_kill, "nobody", "second", "first", NULL) == -ESRCH);
    CHECK_TEXT(said.out, "first\n");
    CHECK_HAS(said.err.msg, "nobody");
    CHECK(end_of(one) == SIGKILL && end_of(two) == SIGKILL);
    two = start_supervisor(id_2, "second", 1, -EPERM);
    CHECK(RUN(&cl_command_kill, "second", NULL) == -EPERM);
    CHECK_HAS(said.err.msg, "Operation not permitted");
    CHECK_TEXT(said.out, "");
    CHECK(end_of(two) == SIGKILL);
}

TEST(all_are_tried_and_the_first_failure_is_told)
{
    room_run(kill_most);
}

/* --- inspect ---------------------------------------------------------------------- */

static void refuse_to_inspect(void)
{
    command_own_state();
    CHECK(RUN(&cl_command_inspect, NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "inspect: no sandbox named; see cloister ps");
    CHECK(RUN(&cl_command_inspect, "--format", "table", "x", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "--format: expected json, got \"table\"");
    pid_t one = start_supervisor(id_1, "first", 1, 0);
    CHECK(RUN(&cl_command_inspect, "first", "nobody", NULL) == -ESRCH);
    CHECK_HAS(said.err.msg, "nobody");
    CHECK_TEXT(said.out, ""); /* no half of an answer */
    CHECK(end_of(one) == 100);
}

TEST(what_is_not_there_is_not_inspected)
{
    room_run(refuse_to_inspect);
}

static void inspect_them(void)
{
    command_own_state();
    pid_t one = start_supervisor(id_1, "first", 1, 0);
    pid_t two = start_supervisor(id_2, "second", 1, 0);
    CHECK(RUN(&cl_command_inspect, "second", "--format", "json", NULL) < 0); /* options first */
    CHECK(end_of(two) == 100);
    two = start_supervisor(id_2, "second", 1, 0);
    CHECK(RUN(&cl_command_inspect, "first", id_2, NULL) == 0);
    CHECK(end_of(one) == 100 && end_of(two) == 100); /* their records were brought up to date */
    const char *first = strstr(said.out, "\"id\": \"00112233445566aa\"");
    const char *second = strstr(said.out, "\"id\": \"0011ffff445566bb\"");
    CHECK(first != NULL && second != NULL && first < second);
    CHECK_HAS(said.out, "\"name\": \"first\"");
    CHECK_HAS(said.out, "\"without\": [");
    CHECK(said.out[0] == '[' && strcmp(said.out + strlen(said.out) - 3, "\n]\n") == 0);
}

TEST(records_are_brought_up_to_date_and_shown_in_order)
{
    room_run(inspect_them);
}

/* --- prune ------------------------------------------------------------------------ */

static void prune_them(void)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_ENTRY struct cl_entry alive = CL_ENTRY_INIT;
    struct cl_plan plan = {0};

    command_own_state();
    CHECK(RUN(&cl_command_prune, NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(cl_state_open(&state, &said.err) == 0);
    command_make_sandbox(&state, id_1, &plan, 1, &alive);
    command_leave_sandbox(id_dead);
    CHECK(RUN(&cl_command_prune, NULL) == 0);
    CHECK_TEXT(said.out, "removed 00112233445566cc\n");
    CHECK(RUN(&cl_command_prune, NULL) == 0);
    CHECK_TEXT(said.out, "nothing to remove\n");
    CHECK(RUN(&cl_command_prune, "all", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "prune takes no arguments, got \"all\"");
}

TEST(what_the_dead_left_is_removed)
{
    room_run(prune_them);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(only_the_living_are_killed),
        ROW(the_signal_is_the_one_that_was_named),
        ROW(all_are_tried_and_the_first_failure_is_told),
        ROW(what_is_not_there_is_not_inspected),
        ROW(records_are_brought_up_to_date_and_shown_in_order),
        ROW(what_the_dead_left_is_removed),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
