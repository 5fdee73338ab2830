/* test_channel.c - packets with descriptors: what comes, and what a peer that can't be trusted
 * may send. */
#include <errno.h>
#include <sys/socket.h>

#include "base/channel.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

struct scene {
    int ends[2];
    int fds[2]; /* of a pipe, to send */
    int before; /* descriptors that were open */
};

static void scene_init(struct scene *scene)
{
    scene->before = check_count_fds();
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, scene->ends) == 0);
    CHECK(cl_sys_pipe2(scene->fds, 0) == 0);
}

/* Nothing but what the test opened was left open. */
static void scene_done(struct scene *scene)
{
    for (size_t i = 0; i < 2; i++) {
        cl_fd_close(&scene->ends[i]);
        cl_fd_close(&scene->fds[i]);
    }
    CHECK(check_count_fds() == scene->before);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static int send_fds(const struct scene *scene, size_t count)
{
    char text[] = "hi";
    struct cl_packet packet = {.data = text, .size = 2, .fd_count = count};

    for (size_t i = 0; i < count; i++)
        packet.fds[i] = scene->fds[i % 2];
    return cl_channel_send(scene->ends[0], &packet, 0);
}

TEST(a_packet_arrives_with_its_descriptors)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[16] = "";
    struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = 2};

    scene_init(&scene);
    CHECK(send_fds(&scene, 2) == 0);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == 0);
    CHECK(packet.size == 2 && memcmp(room, "hi", 2) == 0);
    CHECK(packet.fd_count == 2);
    for (size_t i = 0; i < packet.fd_count; i++)
        CHECK(fcntl(packet.fds[i], F_GETFD) == FD_CLOEXEC);
    CHECK(write(packet.fds[1], "x", 1) == 1);
    CHECK(read(scene.fds[0], room, 1) == 1 && room[0] == 'x');
    for (size_t i = 0; i < packet.fd_count; i++)
        cl_fd_close(&packet.fds[i]);
}

TEST(a_packet_arrives_without_descriptors)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[2];
    struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = 2};

    scene_init(&scene);
    CHECK(send_fds(&scene, 0) == 0);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == 0);
    CHECK(packet.size == 2 && packet.fd_count == 0);
}

/* scene_done counts what stays open. */
TEST(descriptors_beyond_the_room_are_closed)
{
    for (size_t room_for = 0; room_for <= CL_CHANNEL_MAX_FDS; room_for++) {
        CL_CLEANUP_SCENE struct scene scene;
        char room[16];
        struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = room_for};

        scene_init(&scene);
        CHECK(send_fds(&scene, CL_CHANNEL_MAX_FDS) == 0);
        CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == 0);
        CHECK(packet.fd_count == room_for);
        for (size_t i = 0; i < packet.fd_count; i++)
            cl_fd_close(&packet.fds[i]);
    }
}

enum { MANY = 64 };

/* More than our own sender would send: 64 descriptors. */
static void send_many(const struct scene *scene)
{
    union {
        char bytes[CMSG_SPACE(MANY * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char text[] = "hi";
    struct iovec body = {text, 2};
    struct msghdr header = {.msg_iov = &body,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(MANY * sizeof(int));
    for (size_t i = 0; i < MANY; i++)
        memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &scene->fds[0], sizeof(int));
    CHECK(sendmsg(scene->ends[0], &header, 0) == 2);
}

TEST(a_peer_can_not_fill_our_table_of_descriptors)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[16];
    struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = 1};

    scene_init(&scene);
    send_many(&scene);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == 0);
    CHECK(packet.size == 2 && packet.fd_count == 1);
    cl_fd_close(&packet.fds[0]);
}

/* With its descriptors. */
TEST(a_packet_that_is_cut_is_an_error)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[1];
    struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = 2};

    scene_init(&scene);
    CHECK(send_fds(&scene, 2) == 0);
    CHECK(send_fds(&scene, 0) == 0);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == -EPROTO);
    CHECK(packet.size == sizeof(room) && packet.fd_count == 2); /* the room is what it was */
}

TEST(a_peer_that_is_gone_is_told)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[2];
    struct cl_packet packet = {.data = room, .size = sizeof(room)};

    scene_init(&scene);
    CHECK(send_fds(&scene, 0) == 0);
    cl_fd_close(&scene.ends[0]);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == 0); /* what was sent before */
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == -EPIPE);
    struct cl_packet answer = {.data = room, .size = 1};
    CHECK(cl_channel_send(scene.ends[1], &answer, 0) == -EPIPE); /* and no SIGPIPE ends us */
}

/* unix(7): a peer that leaves with our packet unread resets the connection. */
TEST(a_peer_that_left_unread_packets_is_gone_too)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[2] = "x";
    struct cl_packet packet = {.data = room, .size = sizeof(room)};

    scene_init(&scene);
    CHECK(cl_channel_send(scene.ends[1], &packet, 0) == 0);
    cl_fd_close(&scene.ends[0]);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == -EPIPE);
}

/* What has no bytes is no packet, and its descriptors are nobody's. */
TEST(an_empty_packet_leaves_no_descriptor)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[2];
    struct cl_packet empty = {.data = room, .size = 0, .fd_count = 1};
    struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = 1};

    scene_init(&scene);
    empty.fds[0] = scene.fds[0];
    CHECK(cl_channel_send(scene.ends[0], &empty, 0) == 0);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == -EPIPE);
}

TEST(nothing_there_is_told_to_who_does_not_wait)
{
    CL_CLEANUP_SCENE struct scene scene;
    char room[2];
    struct cl_packet packet = {.data = room, .size = sizeof(room)};

    scene_init(&scene);
    CHECK(cl_channel_receive(scene.ends[1], &packet, MSG_DONTWAIT) == -EAGAIN);
    int r = 0;
    for (int i = 0; r == 0 && i < 100000; i++)
        r = cl_channel_send(scene.ends[0], &packet, MSG_DONTWAIT);
    CHECK(r == -EAGAIN);
}

#ifdef CL_FAULTS
static void fail_call(long nr, int nth, int errnum)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "lacks:%ld#%d=%d", nr, nth, errnum);
    cl_fault_set(text);
}
#endif

TEST(an_interruption_is_no_failure)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    char room[2];
    struct cl_packet packet = {.data = room, .size = sizeof(room), .fd_count = 1};

    scene_init(&scene);
    fail_call(SYS_sendmsg, 1, EINTR);
    CHECK(send_fds(&scene, 1) == 0 && cl_fault_struck());
    fail_call(SYS_recvmsg, 1, EINTR);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == 0 && cl_fault_struck());
    CHECK(packet.fd_count == 1);
    cl_fd_close(&packet.fds[0]);
    fail_call(SYS_sendmsg, 1, ENOBUFS);
    CHECK(send_fds(&scene, 1) == -ENOBUFS);
    fail_call(SYS_recvmsg, 1, ENOMEM);
    CHECK(cl_channel_receive(scene.ends[1], &packet, 0) == -ENOMEM);
    cl_fault_set(NULL);
#endif
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_packet_arrives_with_its_descriptors),
        ROW(a_packet_arrives_without_descriptors),
        ROW(descriptors_beyond_the_room_are_closed),
        ROW(a_peer_can_not_fill_our_table_of_descriptors),
        ROW(a_packet_that_is_cut_is_an_error),
        ROW(a_peer_that_is_gone_is_told),
        ROW(a_peer_that_left_unread_packets_is_gone_too),
        ROW(an_empty_packet_leaves_no_descriptor),
        ROW(nothing_there_is_told_to_who_does_not_wait),
        ROW(an_interruption_is_no_failure),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
