#include "sandbox/control.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/table.h"

enum {
    VERSION = 2,
    ANSWER_WAIT_MS = 10000,
    FIFO_TRIES = 16,
    CLIENT_OLD_S = 60, /* so old is nobody's, where no lock tells */
};

static const char client_prefix[] = "client-";
static const char socket_prefix[] = "exec-";

/* Of everything in bells/. */
enum { NAME_SIZE = sizeof("bells/client-") + CL_ID_SIZE };

static void bell_path(const struct cl_entry *entry, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "bells/%d", entry->seat); /* four digits */
}

static void client_path(const char *client, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "bells/%s%.16s", client_prefix, client);
}

static void socket_path(const char *client, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "bells/%s%.16s", socket_prefix, client);
}

/* The address of the socket of CLIENT: sun_path has no room for every state directory, but for
 * a descriptor's name (unix(7)). */
static struct sockaddr_un socket_address(const struct cl_entry *entry, const char *client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[NAME_SIZE];

    socket_path(client, path);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", entry->dir,
                   path);
    return address;
}

/* -ENOTSUP for what is no FIFO, -EPERM for that of another user. */
static int open_fifo(int dir, const char *path, int flags)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, path, flags | O_NOFOLLOW | O_NONBLOCK, 0);
    struct stat st;

    if (fd < 0)
        return fd;
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return r;
    if (!S_ISFIFO(st.st_mode))
        return -ENOTSUP;
    return st.st_uid == geteuid() || st.st_uid == 0 ? CL_TAKE_FD(fd) : -EPERM;
}

/* --- the supervisor's side ------------------------------------------------ */

static int make_bell(int dir, const char *path)
{
    int r = cl_sys_mkdirat(dir, "bells", 0700);

    if (r < 0 && r != -EEXIST)
        return r;
    r = cl_sys_unlinkat(dir, path, 0); /* what is there is none */
    if (r < 0 && r != -ENOENT)
        return r;
    r = cl_sys_mknodat(dir, path, S_IFIFO | 0600, 0);
    return r == -EEXIST ? 0 : r;
}

/* open, fstat. For reading and writing: with a writer of our own we never see the end of
 * file. */
int cl_control_listen(const struct cl_entry *entry, struct cl_error *err)
{
    char path[NAME_SIZE];
    int fd;

    bell_path(entry, path);
    fd = open_fifo(entry->dir, path, O_RDWR);
    if (fd == -ENOENT || fd == -ENOTSUP || fd == -ELOOP || fd == -ENXIO || fd == -EPERM) {
        fd = make_bell(entry->dir, path);
        if (fd == 0)
            fd = open_fifo(entry->dir, path, O_RDWR);
    }
    return fd < 0 ? cl_fail(err, fd, "open %s in the state directory", path) : fd;
}

/* What doesn't come in whole rings is of no client of ours: away with all of it. */
static int take_ring(int bell, struct cl_control_ring *ret)
{
    char rest[512];
    ssize_t got = cl_sys_read(bell, ret, sizeof(*ret));

    if (got < 0)
        return (int)got;
    if (got == (ssize_t)sizeof(*ret) && ret->request.version == VERSION &&
        (ret->request.command == CL_CONTROL_STOP || ret->request.grace_ms == 0) &&
        ret->id[CL_ID_SIZE - 1] == '\0' && ret->client[CL_ID_SIZE - 1] == '\0' &&
        cl_id_is(ret->client))
        return 0;
    while (cl_sys_read(bell, rest, sizeof(rest)) > 0)
        ;
    return -EPROTO;
}

int cl_control_accept(int bell, const struct cl_entry *entry, struct cl_control_request *ret)
{
    char unused[CL_ID_SIZE];

    return cl_control_accept_from(bell, entry, ret, unused);
}

int cl_control_accept_from(int bell, const struct cl_entry *entry, struct cl_control_request *ret,
                           char ret_client[CL_ID_SIZE])
{
    struct cl_control_ring ring;
    char path[NAME_SIZE];
    int r = take_ring(bell, &ring);

    if (r < 0)
        return r;
    client_path(ring.client, path);
    CL_CLEANUP_FD int client = open_fifo(entry->dir, path, O_WRONLY);
    if (client < 0)
        return client;
    if (strcmp(ring.id, entry->id) != 0) { /* our predecessor in this seat */
        cl_control_answer(client, -ESRCH);
        return -ESRCH;
    }
    *ret = ring.request;
    memcpy(ret_client, ring.client, CL_ID_SIZE);
    return CL_TAKE_FD(client);
}

int cl_control_call_back(const struct cl_entry *entry, const char *client)
{
    const struct sockaddr_un address = socket_address(entry, client);
    CL_CLEANUP_FD int connection = cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

    if (connection < 0)
        return connection;
    int r = cl_sys_connect(connection, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = cl_channel_check_peer(connection);
    return r < 0 ? r : CL_TAKE_FD(connection);
}

void cl_control_answer(int client, int error)
{
    struct cl_control_answer answer = {.error = error};

    (void)cl_sys_write(client, &answer, sizeof(answer)); /* it may have gone */
}

/* --- the client's side ---------------------------------------------------- */

struct client {
    const struct cl_entry *entry;
    int bell;
    int answer;
    struct cl_control_ring ring;
};

/* Gone, with what it has in bells/. */
static void client_done(struct client *client)
{
    char path[NAME_SIZE];

    if (client->answer >= 0) {
        client_path(client->ring.client, path);
        (void)cl_sys_unlinkat(client->entry->dir, path, 0); /* a sweep tries again */
    }
    cl_fd_close(&client->answer);
    cl_fd_close(&client->bell);
}

static int fail_ended(const struct client *client, struct cl_error *err)
{
    return cl_refuse(err, ESRCH, "sandbox %s has ended", client->entry->id);
}

static int fail_silent(const struct client *client, struct cl_error *err)
{
    return cl_refuse(err, ETIMEDOUT, "sandbox %s does not answer", client->entry->id);
}

static int open_bell(struct client *client, struct cl_error *err)
{
    const struct cl_entry *entry = client->entry;
    char path[NAME_SIZE];

    bell_path(entry, path);
    client->bell = open_fifo(entry->dir, path, O_WRONLY);
    if (client->bell >= 0)
        return 0;
    if (client->bell != -ENOENT && client->bell != -ENXIO)
        return cl_fail(err, client->bell, "ring for sandbox %s", entry->id);
    if (!cl_seat_is_held(entry->table, entry->seat)) /* nobody listens */
        return fail_ended(client, err);
    return cl_refuse(err, EAGAIN, "sandbox %s is still being made or already ending", entry->id);
}

/* Who holds its FIFO locked is alive, for those who sweep. -EAGAIN: one of them came between its
 * making and its lock. */
static int make_fifo(struct client *client, const char *path)
{
    struct stat st;
    int r = cl_sys_mknodat(client->entry->dir, path, S_IFIFO | 0600, 0);

    if (r < 0)
        return r;
    client->answer = open_fifo(client->entry->dir, path, O_RDONLY);
    if (client->answer < 0)
        return client->answer == -ENOENT ? -EAGAIN : client->answer;
    r = cl_sys_flock(client->answer, LOCK_EX | LOCK_NB);
    if (r == 0)
        r = cl_sys_fstat(client->answer, &st);
    return r == 0 && st.st_nlink == 0 ? -EAGAIN : r;
}

/* By the name that the ring has, at first, when it has one. */
static int make_answer(struct client *client, struct cl_error *err)
{
    char path[NAME_SIZE];
    int r = -EAGAIN;

    for (int tries = 0; r == -EAGAIN && tries < FIFO_TRIES; tries++) {
        r = tries == 0 && client->ring.client[0] != '\0' ? 0 : cl_id_make(client->ring.client, err);
        if (r < 0)
            return r;
        client_path(client->ring.client, path);
        r = make_fifo(client, path);
        if (r == 0)
            return 0;
        cl_fd_close(&client->answer);
    }
    (void)cl_sys_unlinkat(client->entry->dir, path, 0); /* a sweep tries again */
    return cl_fail(err, r, "make a FIFO in the state directory");
}

/* Waits until UNTIL_NS for an answer, or for nobody to have the bell open any more: that is when
 * the sandbox has ended, and what is there then is all that will come. 1 for an answer or its end,
 * 0 when there will be none, -ETIMEDOUT, or another -errno. */
static int wait_until(int answer, int bell, uint64_t until_ns)
{
    struct pollfd fds[2] = {{.fd = answer, .events = POLLIN}, {.fd = bell}};

    for (;;) {
        uint64_t now_ns = cl_clock_boot_ns();
        uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
        struct timespec left = {.tv_sec = (time_t)(left_ns / CL_NS_PER_S),
                                .tv_nsec = (long)(left_ns % CL_NS_PER_S)};
        int r = (int)CL_SYS5(SYS_ppoll, fds, 2, &left, NULL, 8);

        if (r == -EINTR)
            continue;
        if (r > 0)
            return fds[0].revents != 0;
        return r == 0 ? -ETIMEDOUT : r;
    }
}

static int wait_for_answer(const struct client *client, struct cl_error *err)
{
    int r = wait_until(client->answer, client->bell,
                       cl_clock_boot_ns() + ANSWER_WAIT_MS * CL_NS_PER_MS);

    if (r == -ETIMEDOUT)
        return fail_silent(client, err);
    if (r < 0)
        return cl_fail(err, r, "wait for sandbox %s", client->entry->id);
    return r > 0 ? 0 : fail_ended(client, err);
}

int cl_control_fail_paused(const struct cl_entry *entry, struct cl_error *err)
{
    return cl_refuse(err, EBUSY, "sandbox %s is paused; cloister unpause %s", entry->id, entry->id);
}

/* What the supervisor's ERROR means. */
static int fail_answer(const struct client *client, int error, struct cl_error *err)
{
    const struct cl_control_request *request = &client->ring.request;
    const char *id = client->entry->id;

    if (error == -ESRCH)
        return fail_ended(client, err);
    if (error == -EBUSY)
        return cl_control_fail_paused(client->entry, err);
    if (error == -EALREADY)
        return cl_refuse(err, EALREADY, "sandbox %s is %s", id,
                         request->command == CL_CONTROL_PAUSE ? "paused already" : "not paused");
    if (error == -EAGAIN && request->command >= CL_CONTROL_PAUSE)
        return cl_refuse(err, EAGAIN, "sandbox %s is still being made, or too busy", id);
    if (request->command == CL_CONTROL_SIGNAL)
        return cl_fail(err, error, "send signal %d to sandbox %s", request->signal, id);
    return cl_fail(err, error, "ask sandbox %s", id);
}

/* The answer, or what its absence means. */
static int take_answer(const struct client *client, struct cl_error *err)
{
    struct cl_control_answer answer;
    int r = wait_for_answer(client, err);

    if (r < 0)
        return r;
    ssize_t got = cl_sys_read(client->answer, &answer, sizeof(answer));
    if (got == 0)
        return fail_ended(client, err);
    if (got < 0)
        return cl_fail(err, (int)got, "read the answer of sandbox %s", client->entry->id);
    if (got != (ssize_t)sizeof(answer) || answer.error > 0 || answer.error < -4095)
        return cl_refuse(err, EPROTO, "sandbox %s answers in another version", client->entry->id);
    return answer.error == 0 ? 0 : fail_answer(client, answer.error, err);
}

/* A bell that nobody has open any more would end us by SIGPIPE, which for a FIFO there is
 * no flag against. */
static int ring(const struct client *client, struct cl_error *err)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;

    if (sigaction(SIGPIPE, &ignore, &before) < 0)
        return cl_fail(err, -errno, "ignore SIGPIPE");
    ssize_t put = cl_sys_write(client->bell, &client->ring, sizeof(client->ring));
    (void)sigaction(SIGPIPE, &before, NULL); /* can't fail where the first didn't */
    if (put == -EPIPE)
        return fail_ended(client, err);
    if (put == -EAGAIN) /* full of the requests of others */
        return fail_silent(client, err);
    return put < 0 ? cl_fail(err, (int)put, "ring for sandbox %s", client->entry->id) : 0;
}

/* All that is needed to ring. */
static int approach(struct client *client, struct cl_error *err)
{
    int r = open_bell(client, err);

    memcpy(client->ring.id, client->entry->id, CL_ID_SIZE);
    return r < 0 ? r : make_answer(client, err);
}

static int ask(const struct cl_entry *entry, const struct cl_control_request *request,
               struct cl_error *err)
{
    CL_CLEANUP(client_done)
    struct client client = {
        .entry = entry,
        .bell = -1,
        .answer = -1,
        .ring.request = *request,
    };
    int r = approach(&client, err);

    if (r < 0)
        return r;
    r = ring(&client, err);
    return r < 0 ? r : take_answer(&client, err);
}

int cl_control_ask(const struct cl_entry *entry, enum cl_control_command command,
                   struct cl_control_asked *ret, struct cl_error *err)
{
    CL_CLEANUP(client_done)
    struct client client = {
        .entry = entry,
        .bell = -1,
        .answer = -1,
        .ring.request = {.version = VERSION, .command = (uint32_t)command},
    };
    int r = approach(&client, err);

    if (r == 0)
        r = ring(&client, err);
    if (r < 0)
        return r;
    *ret = (struct cl_control_asked){
        .dir = entry->dir, .bell = CL_TAKE_FD(client.bell), .answer = CL_TAKE_FD(client.answer)};
    memcpy(ret->client, client.ring.client, CL_ID_SIZE);
    return 0;
}

int cl_control_asked_wait(const struct cl_control_asked *asked, uint64_t until_ns)
{
    return asked->dir >= 0 && wait_until(asked->answer, asked->bell, until_ns) > 0;
}

void cl_control_asked_done(struct cl_control_asked *asked)
{
    char path[NAME_SIZE];

    if (asked->dir >= 0) {
        client_path(asked->client, path);
        (void)cl_sys_unlinkat(asked->dir, path, 0); /* a sweep tries again */
    }
    cl_fd_close(&asked->bell);
    cl_fd_close(&asked->answer);
    asked->dir = -1;
}

int cl_control_signal(const struct cl_entry *entry, int signal, struct cl_error *err)
{
    const struct cl_control_request request = {
        .version = VERSION, .command = CL_CONTROL_SIGNAL, .signal = signal};

    return ask(entry, &request, err);
}

int cl_control_stop(const struct cl_entry *entry, uint32_t grace_ms, struct cl_error *err)
{
    const struct cl_control_request request = {
        .version = VERSION, .command = CL_CONTROL_STOP, .grace_ms = grace_ms};

    return ask(entry, &request, err);
}

int cl_control_refresh(const struct cl_entry *entry, struct cl_error *err)
{
    const struct cl_control_request request = {.version = VERSION, .command = CL_CONTROL_REFRESH};

    return ask(entry, &request, err);
}

int cl_control_pause(const struct cl_entry *entry, enum cl_control_command command,
                     struct cl_error *err)
{
    const struct cl_control_request request = {.version = VERSION, .command = (uint32_t)command};

    return ask(entry, &request, err);
}

int cl_control_end_input(const struct cl_entry *entry, struct cl_error *err)
{
    const struct cl_control_request request = {.version = VERSION, .command = CL_CONTROL_END_INPUT};

    return ask(entry, &request, err);
}

/* A socket that only its own directory's owner can reach. Its name goes when RING has been
 * answered. */
static int make_socket(const struct cl_entry *entry, const char *client, struct cl_error *err)
{
    const struct sockaddr_un address = socket_address(entry, client);
    CL_CLEANUP_FD int listener = cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

    if (listener < 0)
        return cl_fail(err, listener, "make a socket");
    int r = cl_sys_bind(listener, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = cl_sys_listen(listener, 1);
    return r < 0 ? cl_fail(err, r, "make a socket in the state directory") : CL_TAKE_FD(listener);
}

/* The supervisor has said that he has connected. */
static int take_connection(int listener, const struct cl_entry *entry, struct cl_error *err)
{
    CL_CLEANUP_FD int connection = cl_sys_accept(listener, SOCK_NONBLOCK);

    if (connection < 0)
        return cl_fail(err, connection, "hear from sandbox %s", entry->id);
    int r = cl_channel_check_peer(connection);
    return r < 0 ? cl_fail(err, r, "hear from sandbox %s", entry->id) : CL_TAKE_FD(connection);
}

/* NAME: the client's, or NULL. */
static int have_connect(const struct cl_entry *entry, enum cl_control_command command,
                        const char *name, struct cl_error *err)
{
    CL_CLEANUP(client_done)
    struct client client = {
        .entry = entry,
        .bell = -1,
        .answer = -1,
        .ring.request = {.version = VERSION, .command = command},
    };
    char path[NAME_SIZE];

    if (name != NULL)
        (void)snprintf(client.ring.client, CL_ID_SIZE, "%s", name);
    int r = approach(&client, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int listener = make_socket(entry, client.ring.client, err);
    if (listener >= 0)
        r = ring(&client, err);
    if (listener >= 0 && r == 0)
        r = take_answer(&client, err);
    socket_path(client.ring.client, path);
    (void)cl_sys_unlinkat(entry->dir, path, 0); /* a sweep tries again */
    if (listener < 0 || r < 0)
        return listener < 0 ? listener : r;
    return take_connection(listener, entry, err);
}

int cl_control_connect(const struct cl_entry *entry, const char *client, struct cl_error *err)
{
    return have_connect(entry, CL_CONTROL_CONNECT, client, err);
}

int cl_control_attach(const struct cl_entry *entry, struct cl_error *err)
{
    return have_connect(entry, CL_CONTROL_ATTACH, NULL, err);
}

void cl_control_forget(int dir, const char *client)
{
    char path[NAME_SIZE];

    socket_path(client, path);
    (void)cl_sys_unlinkat(dir, path, 0); /* mostly it is not there; else a sweep tries again */
    client_path(client, path);
    (void)cl_sys_unlinkat(dir, path, 0);
}

/* --- sweeping ------------------------------------------------------------- */

static int begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* NAME is a client's FIFO: it goes when he has gone, and before it his socket, which nothing else
 * tells of. Whether he lives. */
static int sweep_client(int bells, const char *name)
{
    char socket[NAME_SIZE];
    CL_CLEANUP_FD int fd = cl_sys_openat(bells, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    int r = fd < 0 ? fd : cl_sys_flock(fd, LOCK_EX | LOCK_NB);

    if (r < 0)
        return r == -EWOULDBLOCK;
    (void)snprintf(socket, sizeof(socket), "%s%.16s", socket_prefix, name + strlen(client_prefix));
    (void)cl_sys_unlinkat(bells, socket, 0); /* the next sweep tries again, */
    (void)cl_sys_unlinkat(bells, name, 0);   /* and here */
    return 0;
}

static void judge_name(int bells, const char *name, uint64_t now_ns)
{
    const uint64_t least_ns = CLIENT_OLD_S * CL_NS_PER_S;
    struct stat st;

    if (begins(name, client_prefix) ? sweep_client(bells, name) : !begins(name, socket_prefix))
        return;
    if (cl_sys_fstatat(bells, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (uint64_t)st.st_mtim.tv_sec * CL_NS_PER_S + least_ns <= now_ns)
        (void)cl_sys_unlinkat(bells, name, 0);
}

void cl_control_sweep(const struct cl_state *state)
{
    CL_CLEANUP_FD int bells =
        cl_sys_openat(state->dir, "bells", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    const uint64_t now_ns = cl_clock_wall_ns();
    struct cl_dir entries;
    const char *name;

    if (bells < 0)
        return;
    cl_dir_start(&entries, bells);
    while (cl_dir_next(&entries, &name, NULL) > 0)
        judge_name(bells, name, now_ns);
}
