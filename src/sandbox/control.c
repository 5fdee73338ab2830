#include "sandbox/control.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/sys.h"

enum { VERSION = 1, BACKLOG = 16, CLIENT_WAIT_MS = 200, ANSWER_WAIT_S = 10 };

/* The socket is reached through its directory's descriptor, which is the directory
 * that was looked at and no other; sun_path is too short for some paths besides. */
static void socket_address(const struct cl_entry *entry, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/control", entry->dir);
}

static int set_receive_timeout(int fd, unsigned int timeout_ms)
{
    struct timeval wait = {.tv_sec = timeout_ms / 1000,
                           .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};

    return (int)CL_SYS5(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
}

/* --- the supervisor's side ------------------------------------------------ */

/* socket, bind, listen */
int cl_control_listen(const struct cl_entry *entry, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    int r;

    if (fd < 0)
        return cl_fail(err, fd, "make the control socket");
    socket_address(entry, &address);
    r = (int)CL_SYS3(SYS_bind, fd, &address, sizeof(address));
    if (r < 0)
        return cl_fail(err, r, "make the control socket of sandbox %s", entry->id);
    r = (int)CL_SYS2(SYS_listen, fd, BACKLOG);
    if (r < 0)
        return cl_fail(err, r, "listen on the control socket of sandbox %s", entry->id);
    return CL_TAKE_FD(fd);
}

static int check_peer(int client)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);
    int r = (int)CL_SYS5(SYS_getsockopt, client, SOL_SOCKET, SO_PEERCRED, &peer, &size);

    if (r < 0)
        return r;
    return peer.uid == 0 || peer.uid == geteuid() ? 0 : -EPERM;
}

/* A client that connects may not have sent its request yet. It is the same user or
 * root, so a short wait for it is no way to stop us that it doesn't have anyway. */
int cl_control_accept(int listener, struct cl_control_request *ret)
{
    CL_CLEANUP_FD int client = (int)CL_SYS4(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
    struct cl_control_request request;
    int r;

    if (client < 0)
        return client;
    r = check_peer(client);
    if (r == 0)
        r = set_receive_timeout(client, CLIENT_WAIT_MS);
    if (r < 0)
        return r;
    ssize_t got = cl_sys_recv(client, &request, sizeof(request), MSG_TRUNC);
    if (got < 0)
        return (int)got;
    if (got != (ssize_t)sizeof(request) || request.version != VERSION || request.reserved != 0) {
        cl_control_answer(client, -EPROTO);
        return -EPROTO;
    }
    *ret = request;
    return CL_TAKE_FD(client);
}

void cl_control_answer(int client, int error)
{
    struct cl_control_answer answer = {.error = error};

    (void)cl_sys_send(client, &answer, sizeof(answer), MSG_DONTWAIT); /* it may have gone */
}

/* --- the client's side ---------------------------------------------------- */

static int connect_to(const struct cl_entry *entry, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct sockaddr_un address;
    int r;

    if (fd < 0)
        return cl_fail(err, fd, "make a socket");
    socket_address(entry, &address);
    r = (int)CL_SYS3(SYS_connect, fd, &address, sizeof(address));
    if (r == -ENOENT)
        return cl_refuse(err, EAGAIN, "sandbox %s is still being made or already ending",
                         entry->id);
    if (r == -ECONNREFUSED)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", entry->id);
    if (r == 0)
        r = set_receive_timeout(fd, ANSWER_WAIT_S * 1000);
    if (r < 0)
        return cl_fail(err, r, "connect to sandbox %s", entry->id);
    return CL_TAKE_FD(fd);
}

/* The answer, or what its absence means. */
static int take_answer(int fd, const struct cl_entry *entry, struct cl_error *err)
{
    struct cl_control_answer answer;
    ssize_t got = cl_sys_recv(fd, &answer, sizeof(answer), MSG_TRUNC);

    if (got == -EAGAIN)
        return cl_refuse(err, ETIMEDOUT, "sandbox %s does not answer", entry->id);
    if (got == 0 || got == -ECONNRESET)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", entry->id);
    if (got < 0)
        return cl_fail(err, (int)got, "read the answer of sandbox %s", entry->id);
    if (got != (ssize_t)sizeof(answer) || answer.error > 0 || answer.error < -4095)
        return cl_refuse(err, EPROTO, "sandbox %s answers in another version", entry->id);
    return answer.error;
}

int cl_control_signal(const struct cl_entry *entry, int signal, struct cl_error *err)
{
    struct cl_control_request request = {
        .version = VERSION, .command = CL_CONTROL_SIGNAL, .signal = signal};
    CL_CLEANUP_FD int fd = connect_to(entry, err);

    if (fd < 0)
        return fd;
    ssize_t put = cl_sys_send(fd, &request, sizeof(request), 0);
    if (put < 0)
        return cl_fail(err, (int)put, "ask sandbox %s", entry->id);
    err->code = 0;
    int r = take_answer(fd, entry, err);
    if (r < 0 && err->code == 0)
        return cl_fail(err, r, "send signal %d to sandbox %s", signal, entry->id);
    return r;
}
