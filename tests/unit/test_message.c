/* test_message.c - the channel between the maker and init: messages, and the descriptors
 * that travel with them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"
#include "check.h"

struct channel {
    int ends[2];
};

static struct channel open_channel(void)
{
    struct channel channel = {{-1, -1}};

    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, channel.ends) == 0);
    return channel;
}

static void close_channel(struct channel *channel)
{
    cl_fd_close(&channel->ends[0]);
    cl_fd_close(&channel->ends[1]);
}

TEST(a_message_arrives_as_it_was_sent)
{
    const struct cl_message sent = {.kind = CL_MESSAGE_SIGNAL, .value = -7};
    struct channel channel = open_channel();
    struct cl_message got = {0};
    int fd = -1;

    CHECK(cl_message_send(channel.ends[0], &sent, NULL, 0) == 0);
    CHECK(cl_message_receive(channel.ends[1], &got, &fd, 1, 0) == 0);
    CHECK(got.kind == CL_MESSAGE_SIGNAL && got.value == -7 && fd == -1);
    CHECK(cl_message_receive(channel.ends[1], &got, &fd, 1, MSG_DONTWAIT) == -EAGAIN);
    close_channel(&channel);
}

static int is_same_file(int a, int b)
{
    struct stat first;
    struct stat second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

TEST(descriptors_come_along_in_order)
{
    const struct cl_message sent = {.kind = CL_MESSAGE_RELEASE};
    struct channel channel = open_channel();
    struct cl_message got = {0};
    int fds[2];
    int received[CL_MESSAGE_MAX_FDS];

    CHECK(cl_sys_pipe2(fds, 0) == 0);
    int dir = open("/", O_PATH | O_CLOEXEC);
    const int given[] = {dir, fds[1], fds[0]};
    CHECK(cl_message_send(channel.ends[0], &sent, given, 3) == 0);
    CHECK(cl_message_receive(channel.ends[1], &got, received, CL_MESSAGE_MAX_FDS, 0) == 3);
    for (int i = 0; i < 3; i++) {
        CHECK(received[i] != given[i] && is_same_file(received[i], given[i]));
        cl_fd_close(&received[i]);
    }
    cl_fd_close(&dir);
    cl_fd_close(&fds[0]);
    cl_fd_close(&fds[1]);
    close_channel(&channel);
}

TEST(received_descriptors_close_on_exec)
{
    const struct cl_message sent = {.kind = CL_MESSAGE_SCRATCH};
    struct channel channel = open_channel();
    struct cl_message got = {0};
    int fd = -1;

    CHECK(cl_message_send(channel.ends[0], &sent, &channel.ends[0], 1) == 0);
    CHECK(cl_message_receive(channel.ends[1], &got, &fd, 1, 0) == 1);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    cl_fd_close(&fd);
    close_channel(&channel);
}

TEST(descriptors_beyond_the_room_are_closed)
{
    const struct cl_message sent = {.kind = CL_MESSAGE_TERMINAL};
    struct channel channel = open_channel();
    struct cl_message got = {0};
    int given[CL_MESSAGE_MAX_FDS];
    int received[2] = {-1, -1};

    for (int i = 0; i < CL_MESSAGE_MAX_FDS; i++)
        given[i] = channel.ends[0];
    int before = check_count_fds();
    CHECK(cl_message_send(channel.ends[0], &sent, given, CL_MESSAGE_MAX_FDS) == 0);
    CHECK(cl_message_receive(channel.ends[1], &got, received, 1, 0) == 1);
    CHECK(received[0] >= 0 && received[1] == -1);
    CHECK(check_count_fds() == before + 1);
    cl_fd_close(&received[0]);
    CHECK(cl_message_send(channel.ends[0], &sent, given, CL_MESSAGE_MAX_FDS) == 0);
    CHECK(cl_message_receive(channel.ends[1], &got, NULL, 0, 0) == 0);
    CHECK(check_count_fds() == before);
    close_channel(&channel);
}

/* What only a foreign sender would do: more descriptors than the buffer has room for. */
TEST(more_descriptors_than_a_message_holds_are_lost_and_not_leaked)
{
    enum { MANY = 3 * CL_MESSAGE_MAX_FDS };
    struct cl_message body = {.kind = CL_MESSAGE_GO};
    struct channel channel = open_channel();
    union {
        char bytes[CMSG_SPACE(MANY * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec part = {&body, sizeof(body)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    int received[CL_MESSAGE_MAX_FDS];

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(MANY * sizeof(int));
    for (size_t i = 0; i < MANY; i++)
        memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &channel.ends[0], sizeof(int));
    int before = check_count_fds();
    CHECK(sendmsg(channel.ends[0], &header, 0) == sizeof(body));
    int count = cl_message_receive(channel.ends[1], &body, received, CL_MESSAGE_MAX_FDS, 0);
    CHECK(count == CL_MESSAGE_MAX_FDS);
    CHECK(check_count_fds() == before + count);
    for (int i = 0; i < count; i++)
        cl_fd_close(&received[i]);
    close_channel(&channel);
}

TEST(a_closed_channel_is_its_end)
{
    const struct cl_message sent = {.kind = CL_MESSAGE_GO};
    struct channel channel = open_channel();
    struct cl_message got = {0};
    int fd = -1;

    CHECK(cl_message_send(channel.ends[0], &sent, NULL, 0) == 0);
    cl_fd_close(&channel.ends[0]);
    CHECK(cl_message_receive(channel.ends[1], &got, &fd, 1, 0) == 0); /* what was sent comes */
    CHECK(cl_message_receive(channel.ends[1], &got, &fd, 1, 0) == -EPIPE);
    CHECK(cl_message_send(channel.ends[1], &sent, NULL, 0) == -EPIPE);
    close_channel(&channel);
}

TEST(a_channel_that_was_left_unread_is_its_end_too)
{
    const struct cl_message sent = {.kind = CL_MESSAGE_GO};
    struct channel channel = open_channel();
    struct cl_message got = {0};

    CHECK(cl_message_send(channel.ends[0], &sent, NULL, 0) == 0);
    cl_fd_close(&channel.ends[1]); /* with the message in it: ECONNRESET */
    CHECK(cl_message_receive(channel.ends[0], &got, NULL, 0, 0) == -EPIPE);
    close_channel(&channel);
}

TEST(a_message_of_another_size_is_none)
{
    struct channel channel = open_channel();
    struct cl_message got = {0};
    const char bytes[sizeof(got) + 1] = {0};
    int fd = -1;

    CHECK(send(channel.ends[0], bytes, 3, 0) == 3);
    CHECK(cl_message_receive(channel.ends[1], &got, &fd, 1, 0) == -EPROTO);
    CHECK(fd == -1);
    close_channel(&channel);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_message_arrives_as_it_was_sent),
        ROW(descriptors_come_along_in_order),
        ROW(received_descriptors_close_on_exec),
        ROW(descriptors_beyond_the_room_are_closed),
        ROW(more_descriptors_than_a_message_holds_are_lost_and_not_leaked),
        ROW(a_closed_channel_is_its_end),
        ROW(a_channel_that_was_left_unread_is_its_end_too),
        ROW(a_message_of_another_size_is_none),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
