#include "sandbox/clients.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"

enum { WAITING = 128 };

int cl_clients_name(const char *tenant, char ret[CL_CLIENTS_NAME_SIZE], struct cl_error *err)
{
    if (strlen(tenant) > CL_CLIENTS_TENANT_MAX)
        return cl_refuse(err, ENAMETOOLONG,
                         "the name of a tenant who has a worker has %d characters at most",
                         CL_CLIENTS_TENANT_MAX);
    (void)snprintf(ret, CL_CLIENTS_NAME_SIZE, "wasm-%s", tenant);
    return 0;
}

/* sun_path has no room for every state directory, but for a descriptor's name (unix(7)). */
static struct sockaddr_un address_of(int workers, const char *tenant)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.80s", workers,
                   tenant);
    return address;
}

/* --- the supervisor's ---------------------------------------------------------------------- */

int cl_clients_listen(const struct cl_supervisor *supervisor, struct cl_error *err)
{
    const char *tenant = supervisor->plan->tenant;
    CL_CLEANUP_FD int workers = cl_state_open_dir(supervisor->entry->dir, "workers", O_PATH);
    CL_CLEANUP_FD int listener =
        workers < 0 ? workers
                    : cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (listener < 0)
        return cl_fail(err, listener, "make the socket of the tenant %s", tenant);
    const struct sockaddr_un address = address_of(workers, tenant);
    int r = cl_sys_unlinkat(workers, tenant, 0);
    if (r == 0 || r == -ENOENT)
        r = cl_sys_bind(listener, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = cl_sys_listen(listener, WAITING);
    if (r < 0)
        return cl_fail(err, r, "listen at workers/%s in the state directory", tenant);
    return CL_TAKE_FD(listener);
}

void cl_clients_stop(const struct cl_supervisor *supervisor)
{
    CL_CLEANUP_FD int workers = cl_state_open_dir(supervisor->entry->dir, "workers", O_PATH);

    if (workers >= 0)
        (void)cl_sys_unlinkat(workers, supervisor->plan->tenant, 0); /* or the next one's to do */
}

/* Whoever can't be admitted sees the end of his connection. */
int cl_clients_accept(struct cl_source *source, CL_UNUSED uint32_t events,
                      CL_UNUSED struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    struct cl_error unheard;
    CL_CLEANUP_FD int connection = cl_sys_accept(source->fd, SOCK_NONBLOCK);

    if (connection >= 0 && cl_control_check_peer(connection) == 0)
        (void)supervisor->wall->admit(supervisor->process, connection, &unheard);
    return 0;
}

/* --- the client's -------------------------------------------------------------------------- */

int cl_clients_connect(int dir, const char *tenant)
{
    if (strlen(tenant) > CL_CLIENTS_TENANT_MAX)
        return -ENOENT;
    CL_CLEANUP_FD int workers = cl_sys_openat(dir, "workers", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    CL_CLEANUP_FD int fd =
        workers < 0 ? workers : cl_sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    const struct sockaddr_un address = address_of(workers, tenant);
    int r = cl_sys_connect(fd, (const struct sockaddr *)&address, sizeof(address));
    if (r < 0)
        return r == -ECONNREFUSED ? -ENOENT : r;
    return CL_TAKE_FD(fd);
}
