/* test_netns.c - the network namespace that a helper of the supervisor's makes. */
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "room.h"

static struct room room;

static ino_t own_namespace(void)
{
    struct stat st = {0};

    CHECK(cl_sys_fstatat(AT_FDCWD, "/proc/self/ns/net", &st, 0) == 0);
    return st.st_ino;
}

static int loopback_is_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_INET, SOCK_DGRAM, 0);

    CHECK(fd >= 0 && cl_sys_ioctl(fd, SIOCGIFFLAGS, &request) == 0);
    return (request.ifr_flags & IFF_UP) != 0;
}

/* The channel to init, and init's end of it. */
static void make_channel(int ret[2])
{
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, ret) == 0);
}

static int receive_netns(int channel)
{
    struct cl_message message = {0};
    int fd = -1;

    CHECK(cl_message_receive(channel, &message, &fd, 1, MSG_DONTWAIT) == 1);
    CHECK(message.kind == CL_MESSAGE_NETWORK);
    return fd;
}

/* A user namespace below ours, as init's is below the supervisor's: a descriptor. */
static int make_userns(void)
{
    int fd = cl_userns_make(0, 0, 0, 0, &room.err);

    CHECK(fd >= 0);
    return fd;
}

static void set_up(void)
{
    room_set_up(&room);
    CHECK(cl_sys_mount("proc", "/proc", "proc", 0, NULL) == 0);
}

/* Whoever joins the user namespace may enter the network namespace: it is its. */
static void make_and_enter(void)
{
    const ino_t before = own_namespace();

    set_up();
    CL_CLEANUP_FD int userns = make_userns();
    int channel[2];
    make_channel(channel);
    CHECK(cl_netns_give(userns, channel[0], &room.err) == 0);
    CL_CLEANUP_FD int netns = receive_netns(channel[1]);
    CHECK(own_namespace() == before);
    CHECK(cl_sys_wait4(-1, NULL, __WALL, NULL) == -ECHILD); /* no helper is left */
    CHECK(cl_sys_setns(userns, CLONE_NEWUSER) == 0);
    CHECK(cl_netns_enter(&room.container, netns, &room.err) == 0);
    CHECK(own_namespace() != before && loopback_is_up());
    CHECK(room.report.layers == CL_LAYER_BIT(CL_LAYER_NETNS));
}

TEST(the_namespace_is_the_sandboxs_and_has_loopback)
{
    room_run(make_and_enter);
}

static void fail_each(void)
{
    static const struct {
        const char *fault;
        int errnum;
        const char *message;
    } rows[] = {
        {"clone", EAGAIN, "clone the network maker: Resource temporarily unavailable"},
        {"setns", EPERM, "join the sandbox's user namespace: Operation not permitted"},
        {"prctl", EPERM, "set the parent-death signal: Operation not permitted"},
        {"unshare", ENOSPC, "make the network namespace: No space left on device"},
        {"socket", EMFILE, "socket: Too many open files"},
        {"ioctl", EPERM, "set lo up: Operation not permitted"},
        {"openat", EMFILE, "open /proc/self/ns/net: Too many open files"},
        {"sendmsg", ENOBUFS, "send the network namespace: No buffer space available"},
    };
    static const long numbers[] = {SYS_clone,  SYS_setns, SYS_prctl,  SYS_unshare,
                                   SYS_socket, SYS_ioctl, SYS_openat, SYS_sendmsg};
    int channel[2];
    char text[48];

    set_up();
    CL_CLEANUP_FD int userns = make_userns();
    make_channel(channel);
    const int before = check_count_fds();
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        (void)snprintf(text, sizeof(text), "lacks:%ld=%d", numbers[i], rows[i].errnum);
        cl_fault_set(text);
        CHECK(cl_netns_give(userns, channel[0], &room.err) == -rows[i].errnum);
        cl_fault_set(NULL);
        CHECK_TEXT(room.err.msg, rows[i].message);
        CHECK(check_count_fds() == before);
        CHECK(cl_sys_wait4(-1, NULL, __WALL, NULL) == -ECHILD);
    }
}

TEST(each_call_of_the_helper_is_failed_and_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(fail_each);
}

/* An init that is gone has said why: not this call's failure. */
static void give_to_nobody(void)
{
    int channel[2];

    set_up();
    CL_CLEANUP_FD int userns = make_userns();
    make_channel(channel);
    cl_fd_close(&channel[1]);
    const int before = check_count_fds();
    CHECK(cl_netns_give(userns, channel[0], &room.err) == 0);
    CHECK(check_count_fds() == before);
    CHECK(cl_sys_wait4(-1, NULL, __WALL, NULL) == -ECHILD);
}

TEST(a_namespace_that_nobody_waits_for_is_let_go)
{
    room_run(give_to_nobody);
}

/* As where uid 0 has all descriptors on the way that it may, and the helper no privilege. */
static void give_at_the_second_try(void)
{
    int channel[2];
    char text[32];

    set_up();
    CL_CLEANUP_FD int userns = make_userns();
    make_channel(channel);
    (void)snprintf(text, sizeof(text), "lacks:%d#1=%d", SYS_sendmsg, ETOOMANYREFS);
    cl_fault_set(text);
    CHECK(cl_netns_give(userns, channel[0], &room.err) == 0);
    CHECK(cl_fault_struck());
    cl_fault_set(NULL);
    CL_CLEANUP_FD int netns = receive_netns(channel[1]);
    CHECK(netns >= 0);
}

TEST(what_the_helper_can_not_send_we_do)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    room_run(give_at_the_second_try);
}

static void enter_nothing(void)
{
    set_up();
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0);
    CHECK(cl_netns_enter(&room.container, null, &room.err) == -EINVAL);
    CHECK_TEXT(room.err.msg, "enter the network namespace: Invalid argument");
    CHECK(cl_netns_give(null, null, &room.err) == -EINVAL);
    CHECK_TEXT(room.err.msg, "join the sandbox's user namespace: Invalid argument");
    CHECK(room.report.layers == 0);
}

TEST(what_is_no_namespace_is_refused)
{
    room_run(enter_nothing);
}

static void be_born_in_one(void)
{
    set_up();
    CHECK(cl_sys_unshare(CLONE_NEWNET) == 0);
    CHECK(!loopback_is_up());
    room.start.processors =
        (struct cl_processors){.count = 2, .running = 1}; /* it comes later, then */
    CHECK(cl_netns_raise_own(&room.container, &room.err) == 0 && !loopback_is_up());
    room.start.processors = (struct cl_processors){.count = 2, .running = 2};
    room.plan.without = CL_LAYER_BIT(CL_LAYER_NETNS);
    CHECK(cl_netns_raise_own(&room.container, &room.err) == 0 && !loopback_is_up());
    room.plan.without = 0;
    CHECK(cl_netns_raise_own(&room.container, &room.err) == 0 && loopback_is_up());
}

TEST(init_raises_the_loopback_that_it_was_born_with)
{
    room_run(be_born_in_one);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_namespace_is_the_sandboxs_and_has_loopback),
        ROW(each_call_of_the_helper_is_failed_and_told),
        ROW(a_namespace_that_nobody_waits_for_is_let_go),
        ROW(what_the_helper_can_not_send_we_do),
        ROW(what_is_no_namespace_is_refused),
        ROW(init_raises_the_loopback_that_it_was_born_with),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
