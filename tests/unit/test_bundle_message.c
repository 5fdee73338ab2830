/* test_bundle_message.c - what a container's first process and its maker say to each other. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/channel.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"
#include "check.h"

struct pair {
    int ends[2];
};

static void open_pair(struct pair *pair)
{
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, pair->ends) == 0);
}

static void close_pair(struct pair *pair)
{
    cl_fd_close(&pair->ends[0]);
    cl_fd_close(&pair->ends[1]);
}

TEST(what_is_expected_comes)
{
    struct pair pair;
    struct cl_error err = {0};

    open_pair(&pair);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_GO, NULL) == 0);
    CHECK(cl_bundle_expect(pair.ends[1], CL_BUNDLE_GO, &err) == 0 && err.code == 0);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_KEEP, NULL) == 0);
    CHECK(cl_bundle_expect(pair.ends[1], CL_BUNDLE_READY, &err) == -EPROTO && err.code == EPROTO);
    close_pair(&pair);
}

TEST(a_failure_comes_with_its_words)
{
    const struct cl_error why = {.code = ENOSPC, .msg = "mount it: No space"};
    struct pair pair;
    struct cl_error err = {0};

    open_pair(&pair);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_FAILED, &why) == 0);
    CHECK(cl_bundle_expect(pair.ends[1], CL_BUNDLE_READY, &err) == -ENOSPC);
    CHECK_TEXT(err.msg, "mount it: No space");
    close_pair(&pair);
}

/* The sender may be a stranger's by then: its words are none that steer a terminal or never end. */
TEST(a_failure_of_a_strangers_is_made_harmless)
{
    struct cl_bundle_message message = {.kind = CL_BUNDLE_FAILED, .error = {.code = 0}};
    const struct cl_packet packet = {.data = &message, .size = sizeof(message)};
    struct pair pair;
    struct cl_error err = {0};

    memset(message.error.msg, '\033', sizeof(message.error.msg));
    open_pair(&pair);
    CHECK(cl_channel_send(pair.ends[0], &packet, 0) == 0);
    CHECK(cl_bundle_expect(pair.ends[1], CL_BUNDLE_READY, &err) < 0 && err.code > 0);
    CHECK(strlen(err.msg) < sizeof(err.msg) && strchr(err.msg, '\033') == NULL);
    close_pair(&pair);
}

TEST(a_packet_of_another_size_is_refused)
{
    char text[] = "what?";
    const struct cl_packet packet = {.data = text, .size = sizeof(text)};
    struct cl_bundle_message message;
    struct pair pair;

    open_pair(&pair);
    CHECK(cl_channel_send(pair.ends[0], &packet, 0) == 0);
    CHECK(cl_bundle_receive(pair.ends[1], &message) == -EPROTO);
    close_pair(&pair);
}

TEST(who_is_gone_was_killed)
{
    struct cl_bundle_process process = CL_BUNDLE_PROCESS_INIT;
    struct pair pair;
    struct cl_error err = {0};

    open_pair(&pair);
    cl_fd_close(&pair.ends[0]);
    CHECK(cl_bundle_expect(pair.ends[1], CL_BUNDLE_READY, &err) == -ESRCH);
    CHECK_HAS(err.msg, "was killed");
    close_pair(&pair);

    open_pair(&pair);
    cl_fd_close(&pair.ends[1]);
    process.channel = CL_TAKE_FD(pair.ends[0]);
    CHECK(cl_bundle_keep(&process, &err) == -ESRCH && process.channel == -1);
    CHECK_HAS(err.msg, "was killed");
    close_pair(&pair);
}

/* EXEC, and then the end: the exec has closed it. */
TEST(a_command_has_begun_when_the_channel_closes)
{
    const struct cl_error why = {.code = ENOEXEC, .msg = "execute it: Exec format error"};
    struct pair pair;
    struct cl_error err = {0};

    open_pair(&pair);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_EXEC, NULL) == 0);
    cl_fd_close(&pair.ends[0]);
    CHECK(cl_bundle_await(pair.ends[1], &err) == 0);
    close_pair(&pair);

    open_pair(&pair);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_EXEC, NULL) == 0);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_FAILED, &why) == 0);
    CHECK(cl_bundle_await(pair.ends[1], &err) == -ENOEXEC);
    CHECK_TEXT(err.msg, why.msg);
    close_pair(&pair);

    open_pair(&pair); /* who dies before it is no command that runs */
    cl_fd_close(&pair.ends[0]);
    CHECK(cl_bundle_await(pair.ends[1], &err) == -ESRCH);
    close_pair(&pair);

    open_pair(&pair);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_EXEC, NULL) == 0);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_EXEC, NULL) == 0);
    CHECK(cl_bundle_await(pair.ends[1], &err) == -EPROTO);
    close_pair(&pair);
}

TEST(the_beginning_may_carry_a_descriptor)
{
    struct pair pair;
    int fds = check_count_fds();
    int got = 7;

    open_pair(&pair);
    CHECK(cl_bundle_send_begin(pair.ends[0], STDIN_FILENO) == 0);
    CHECK(cl_bundle_receive_begin(pair.ends[1], &got) == 0 && got >= 0);
    cl_fd_close(&got);
    CHECK(cl_bundle_send_begin(pair.ends[0], -1) == 0);
    CHECK(cl_bundle_receive_begin(pair.ends[1], &got) == 0 && got == -1);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_GO, NULL) == 0); /* it is something else */
    CHECK(cl_bundle_receive_begin(pair.ends[1], &got) == -EPROTO && got == -1);
    close_pair(&pair);
    CHECK(check_count_fds() == fds);
}

TEST(an_interrupted_receive_goes_on)
{
    struct cl_bundle_message message;
    struct pair pair;

    open_pair(&pair);
    CHECK(cl_bundle_send(pair.ends[0], CL_BUNDLE_GO, NULL) == 0);
    cl_fault_set("syscall:1:4");
    CHECK(cl_bundle_receive(pair.ends[1], &message) == 0 && message.kind == CL_BUNDLE_GO);
    CHECK(cl_fault_struck());
    cl_fault_set(NULL);
    close_pair(&pair);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_expected_comes),
        ROW(a_failure_comes_with_its_words),
        ROW(a_failure_of_a_strangers_is_made_harmless),
        ROW(a_packet_of_another_size_is_refused),
        ROW(who_is_gone_was_killed),
        ROW(a_command_has_begun_when_the_channel_closes),
        ROW(the_beginning_may_carry_a_descriptor),
        ROW(an_interrupted_receive_goes_on),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
