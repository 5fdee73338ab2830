#include "sandbox/clients.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"
#include "sandbox/table.h"

enum {
    WAITING = 4096, /* to be accepted; the kernel has a limit of its own (net.core.somaxconn) */
    CONNECT_S = 5,  /* for a place among those */
    TRY_MS = 5000,  /* while there are too many descriptors on their way */
    AGAIN_MS = 20,  /* between two attempts, where nothing tells when the next may succeed */
};

int cl_clients_name(const char *tenant, char ret[CL_CLIENTS_NAME_SIZE], struct cl_error *err)
{
    if (strlen(tenant) > CL_CLIENTS_TENANT_MAX)
        return cl_refuse(err, ENAMETOOLONG,
                         "the name of a tenant who has a worker has %d characters at most",
                         CL_CLIENTS_TENANT_MAX);
    (void)snprintf(ret, CL_CLIENTS_NAME_SIZE, "wasm-%s", tenant);
    return 0;
}

enum { SOCKET_NAME_SIZE = CL_CLIENTS_TENANT_MAX + 10 };

/* A tenant's name has no colon. Workers of one engine take no code of another's. */
static void socket_name(const struct cl_plan *plan, char ret[SOCKET_NAME_SIZE])
{
    const char *kind = plan->wasm_engine == CL_WASM_WASMEDGE ? ":wasmedge"
                       : plan->wasm_model == CL_WASM_PROCESS ? ":process"
                                                             : "";

    (void)snprintf(ret, SOCKET_NAME_SIZE, "%.80s%s", plan->tenant, kind);
}

/* sun_path has no room for every state directory, but for a descriptor's name (unix(7)). */
static struct sockaddr_un address_of(int workers, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", workers,
                   name);
    return address;
}

/* --- where the worker's sandbox is --------------------------------------------------------- */

/* What served/TENANT has. */
struct note {
    int32_t seat;
    char id[CL_ID_SIZE];
    char reserved[3];
};

static int write_note(const struct cl_entry *entry, const char *tenant)
{
    CL_CLEANUP_FD int served = cl_state_open_dir(entry->dir, "served", O_PATH);
    CL_CLEANUP_FD int fd =
        served < 0 ? served
                   : cl_sys_openat(served, tenant,
                                   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct note note = {.seat = entry->seat};

    if (fd < 0)
        return fd;
    memcpy(note.id, entry->id, CL_ID_SIZE);
    return cl_write_all(fd, &note, sizeof(note));
}

static int read_note(int dir, const char *tenant, struct note *ret)
{
    CL_CLEANUP_FD int served = cl_sys_openat(dir, "served", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    CL_CLEANUP_FD int fd =
        served < 0 ? served : cl_sys_openat(served, tenant, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return fd;
    return cl_sys_read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret) && ret->seat >= 0 &&
                   ret->seat < CL_SEATS && ret->id[CL_ID_SIZE - 1] == '\0'
               ? 0
               : -EBADMSG;
}

static uint64_t layers_of(int dir, const char *tenant)
{
    struct cl_status status;
    struct note note;

    if (read_note(dir, tenant, &note) < 0)
        return 0;
    CL_CLEANUP_FD int table = cl_table_open(dir, 0);
    if (table < 0 || !cl_seat_is_held(table, note.seat) ||
        cl_status_read(table, note.seat, &status) < 0 || strcmp(status.id, note.id) != 0)
        return 0;
    return status.layers;
}

void cl_clients_note_layers(struct cl_wall_process *process, int dir)
{
    const uint64_t own = CL_LAYER_BIT(CL_LAYER_STDIO); /* its streams are no business of others */

    if (process->is_joined && process->report->layers == 0)
        process->report->layers =
            layers_of(dir, process->plan->tenant) & ~(process->plan->without & own);
}

/* --- the supervisor's ---------------------------------------------------------------------- */

int cl_clients_listen(const struct cl_supervisor *supervisor, struct cl_error *err)
{
    char name[SOCKET_NAME_SIZE];
    CL_CLEANUP_FD int workers = cl_state_open_dir(supervisor->entry->dir, "workers", O_PATH);
    CL_CLEANUP_FD int listener =
        workers < 0 ? workers
                    : cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (listener < 0)
        return cl_fail(err, listener, "make the socket of the tenant %s", supervisor->plan->tenant);
    socket_name(supervisor->plan, name);
    const struct sockaddr_un address = address_of(workers, name);
    int r = cl_sys_unlinkat(workers, name, 0);
    if (r == 0 || r == -ENOENT)
        r = cl_sys_bind(listener, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = write_note(supervisor->entry, supervisor->plan->tenant);
    if (r == 0)
        r = cl_sys_listen(listener, WAITING);
    if (r < 0)
        return cl_fail(err, r, "listen at workers/%s in the state directory", name);
    return CL_TAKE_FD(listener);
}

void cl_clients_stop(const struct cl_supervisor *supervisor)
{
    const int dir = supervisor->entry->dir;
    CL_CLEANUP_FD int workers = cl_state_open_dir(dir, "workers", O_PATH);
    CL_CLEANUP_FD int served = cl_state_open_dir(dir, "served", O_PATH);
    char name[SOCKET_NAME_SIZE];

    socket_name(supervisor->plan, name);
    if (workers >= 0)
        (void)cl_sys_unlinkat(workers, name, 0); /* or the next one's to do */
    if (served >= 0)
        (void)cl_sys_unlinkat(served, supervisor->plan->tenant, 0);
}

/* Too many descriptors of this user's that are on their way to somebody (unix(7)): those may be
 * what our clients have sent themselves, which nobody takes before these are let in. So that is
 * waited for, but not for ever. */
static int is_for_later(const struct cl_supervisor *supervisor, int r)
{
    return r == -EAGAIN ||
           (r == -ETOOMANYREFS && cl_clock_boot_ns() - supervisor->held_ns < TRY_MS * CL_NS_PER_MS);
}

/* What tells when to try again after REASON: that there is room on the line to the worker; or,
 * where nothing tells, that a moment has passed. */
static int open_reason(const struct cl_supervisor *supervisor, int reason)
{
    const struct itimerspec after = {.it_value.tv_nsec = AGAIN_MS * (long)CL_NS_PER_MS};

    if (reason == -EAGAIN)
        return cl_sys_fcntl(supervisor->process->line, F_DUPFD_CLOEXEC, 3);
    CL_CLEANUP_FD int timer = cl_sys_timerfd_create(CLOCK_BOOTTIME);
    int r = timer < 0 ? timer : cl_sys_timerfd_settime(timer, 0, &after);
    return r < 0 ? r : CL_TAKE_FD(timer);
}

static int on_room(struct cl_source *source, uint32_t events, struct cl_error *err);

/* For who is held. */
static int wait_for_room(struct cl_supervisor *supervisor, int reason, struct cl_error *err)
{
    const int fd = open_reason(supervisor, reason);

    if (fd < 0)
        return cl_fail(err, fd, "wait for room on the line to the worker");
    supervisor->admits = (struct cl_source){
        .fd = fd,
        .events = reason == -EAGAIN ? EPOLLOUT : EPOLLIN,
        .on_event = on_room,
        .context = supervisor,
    };
    int r = cl_loop_add(&supervisor->loop, &supervisor->admits, err);
    if (r < 0)
        cl_fd_close(&supervisor->admits.fd);
    return r;
}

/* Nobody waits any more: the next one may come. */
static int let_come(struct cl_supervisor *supervisor, struct cl_error *err)
{
    cl_fd_close(&supervisor->held);
    return cl_loop_change(&supervisor->loop, &supervisor->clients, EPOLLIN, err);
}

static int on_room(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    struct cl_error unheard = {0};
    const int r = supervisor->wall->admit(supervisor->process, supervisor->held, &unheard);

    if (r == -EAGAIN && (source->events & EPOLLOUT) != 0)
        return 0; /* there was less room than it needs */
    cl_loop_remove(&supervisor->loop, source);
    cl_fd_close(&source->fd);
    if (is_for_later(supervisor, r) && wait_for_room(supervisor, r, &unheard) == 0)
        return 0;
    return let_come(supervisor, err);
}

/* While CONNECTION, which is taken, is held nobody else is accepted. */
static int hold(struct cl_supervisor *supervisor, int connection, int reason, struct cl_error *err)
{
    struct cl_error unheard = {0};

    supervisor->held = connection;
    int r = cl_loop_change(&supervisor->loop, &supervisor->clients, 0, &unheard);
    if (r == 0)
        r = wait_for_room(supervisor, reason, &unheard);
    return r < 0 ? let_come(supervisor, err) : 0;
}

/* Whoever can't be admitted at all sees the end of his connection. */
int cl_clients_accept(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    struct cl_error unheard = {0};
    CL_CLEANUP_FD int connection = cl_sys_accept(source->fd, SOCK_NONBLOCK);

    if (connection < 0 || cl_channel_check_peer(connection) < 0)
        return 0;
    const int r = supervisor->wall->admit(supervisor->process, connection, &unheard);
    supervisor->held_ns = cl_clock_boot_ns();
    return is_for_later(supervisor, r) ? hold(supervisor, CL_TAKE_FD(connection), r, err) : 0;
}

/* --- the client's -------------------------------------------------------------------------- */

int cl_clients_connect(int dir, const struct cl_plan *plan)
{
    char name[SOCKET_NAME_SIZE];

    if (strlen(plan->tenant) > CL_CLIENTS_TENANT_MAX)
        return -ENOENT;
    CL_CLEANUP_FD int workers = cl_sys_openat(dir, "workers", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    CL_CLEANUP_FD int fd =
        workers < 0 ? workers : cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    socket_name(plan, name);
    const struct sockaddr_un address = address_of(workers, name);
    const struct timeval most = {.tv_sec = CONNECT_S};
    int r = cl_sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
    if (r == 0)
        r = cl_sys_connect(fd, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0) { /* its orders take as long as they take */
        const struct timeval for_ever = {0};

        r = cl_sys_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof(for_ever));
    }
    if (r < 0)
        return r == -ECONNREFUSED ? -ENOENT : r;
    return CL_TAKE_FD(fd);
}

/* By its socket's name: what a dead one left leads to a worker of the module's own. */
int cl_clients_serve_processes(const char *tenant)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error ignored; /* the run says what is wrong with it */
    char name[CL_CLIENTS_TENANT_MAX + 20];

    if (strlen(tenant) > CL_CLIENTS_TENANT_MAX || cl_state_open(&state, &ignored) < 0)
        return 0;
    (void)snprintf(name, sizeof(name), "workers/%s:process", tenant);
    return cl_sys_faccessat(state.dir, name, F_OK) == 0;
}
