/* test_fetch_sockets.c - what sockets are left to cloister-fetch: each attempt is made in a process
 * of its own, in the jail and, to show that it can succeed, outside. */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"
#include "helpers/fetch/jail.h"

enum { NO_JAIL = 255, KEPT_FDS = 16, IPPROTO_MULTIPATH_TCP = 262 };

static int enter_jail(void)
{
    struct cl_fetch_jail jail = {.keep_fds = KEPT_FDS};
    struct cl_error err = {0};
    int r = cl_fetch_jail_prepare(&err);

    if (r == 0)
        r = cl_fetch_jail_enter(&jail, &err);
    if (r < 0)
        printf("# %s\n", err.msg);
    return r;
}

static int stay_outside(void)
{
    return 0;
}

/* What a process exits with that ENTERs and tries: errno or 0. */
static int result_of(int (*attempt)(void), int (*enter)(void))
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        if (enter() < 0) {
            (void)fflush(stdout);
            _exit(NO_JAIL);
        }
        _exit(attempt() < 0 ? errno : 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* --- a service of the host's ------------------------------------------------------- */

static struct sockaddr_un service = {.sun_family = AF_UNIX};

static int serve(int type, char directory[static 32])
{
    (void)snprintf(directory, 32, "/tmp/cloister-test-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    (void)snprintf(service.sun_path, sizeof(service.sun_path), "%s/socket", directory);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&service, sizeof(service)) == 0);
    /* for everybody, as /dev/log is */
    CHECK(chmod(directory, 0755) == 0 && chmod(service.sun_path, 0666) == 0);
    return fd;
}

static void end_service(const char *directory)
{
    (void)unlink(service.sun_path);
    (void)rmdir(directory);
}

static int send_by_pair(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    return (int)sendto(ends[0], "x", 1, 0, (const struct sockaddr *)&service, sizeof(service));
}

static int connect_pair(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    return connect(ends[0], (const struct sockaddr *)&service, sizeof(service));
}

TEST(a_pair_of_sockets_reaches_no_service)
{
    char directory[32];
    CL_CLEANUP_FD CL_UNUSED int fd = serve(SOCK_DGRAM, directory);

    CHECK(result_of(send_by_pair, stay_outside) == 0);
    CHECK(result_of(connect_pair, stay_outside) == 0);
    CHECK(result_of(send_by_pair, enter_jail) == ENOSYS);
    CHECK(result_of(connect_pair, enter_jail) == ENOSYS);
    end_service(directory);
}

static int make_stream_pair(void)
{
    int ends[2];

    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static int connect_stream_pair(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    (void)close(ends[1]);
    return connect(ends[0], (const struct sockaddr *)&service, sizeof(service));
}

TEST(a_pair_of_streams_is_left_and_reaches_no_service)
{
    char directory[32];
    CL_CLEANUP_FD int fd = serve(SOCK_STREAM, directory);

    CHECK(listen(fd, 1) == 0);
    CHECK(result_of(make_stream_pair, enter_jail) == 0);
    CHECK(result_of(connect_stream_pair, enter_jail) == EISCONN); /* the kernel's answer */
    end_service(directory);
}

/* --- protocols and options ---------------------------------------------------------- */

static int make_udplite(void)
{
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);
}

static int make_multipath(void)
{
    return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MULTIPATH_TCP);
}

TEST(only_tcp_and_udp_are_left)
{
    CHECK(result_of(make_udplite, enter_jail) == ENOSYS);
    CHECK(result_of(make_multipath, enter_jail) == ENOSYS);
}

static int attach_filter(void)
{
    struct sock_filter accept_all = {.code = BPF_RET | BPF_K, .k = 0xffff};
    const struct sock_fprog program = {1, &accept_all};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int choose_layer(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4) < 0 && errno == ENOSYS ? -1 : 0;
}

TEST(options_bring_no_code)
{
    CHECK(result_of(attach_filter, stay_outside) == 0);
    CHECK(result_of(attach_filter, enter_jail) == ENOSYS);
    CHECK(result_of(choose_layer, stay_outside) == 0);
    CHECK(result_of(choose_layer, enter_jail) == ENOSYS);
}

static int keep_alive(void)
{
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0)
        return -1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int hear_of_errors(void)
{
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_IP);

    return setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
}

TEST(what_transfers_and_names_need_is_left)
{
    CHECK(result_of(keep_alive, enter_jail) == 0);
    CHECK(result_of(hear_of_errors, enter_jail) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_pair_of_sockets_reaches_no_service),
        ROW(a_pair_of_streams_is_left_and_reaches_no_service),
        ROW(only_tcp_and_udp_are_left),
        ROW(options_bring_no_code),
        ROW(what_transfers_and_names_need_is_left),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
