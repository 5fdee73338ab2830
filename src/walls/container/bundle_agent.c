/* listenerPath: a bundle's filter may ask a program of the engine's about system calls
 * (seccomp_unotify(2); OCI runtime specification, config-linux.md, "The Container Process State").
 *
 * The descriptor on which that is done belongs to the process that installed the filter, which may
 * be allowed hardly a call any more, sending it least of all. So that says its number in shared
 * memory, without any call, and waits; the runtime, which watches the memory, takes a copy of the
 * descriptor (pidfd_getfd(2)), sends it to who listens at the path, and lets the process go on. */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

enum { MEMORY_SIZE = 4096, LOOK_MS = 1, TAKEN_S = 30 };

struct cl_agent_memory {
    int32_t number; /* of the descriptor, and 1 */
    int32_t is_taken;
};

/* --- the process that is filtered ---------------------------------------------------------------
 */

int cl_agent_map(int fd, struct cl_agent_memory **ret, struct cl_error *err)
{
    void *memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED)
        return cl_fail(err, errno, "linux.seccomp.listenerPath: map memory");
    *ret = memory;
    return 0;
}

/* No call is made here: each might be one that is asked about. The clock is the vDSO's. */
void cl_agent_tell(struct cl_agent_memory *memory, int fd)
{
    const uint64_t until_ns = cl_clock_boot_ns() + TAKEN_S * CL_NS_PER_S;

    __atomic_store_n(&memory->number, fd + 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&memory->is_taken, __ATOMIC_ACQUIRE) == 0) {
        if (cl_clock_boot_ns() > until_ns)
            return; /* the runtime is gone: nobody answers, and asking fails (ENOSYS) */
    }
}

/* --- the runtime ---------------------------------------------------------------------------------
 */

static int connect_to(const char *path, struct cl_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return cl_refuse(err, ENAMETOOLONG,
                         "linux.seccomp.listenerPath: a socket's path has %zu bytes at most",
                         sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    int r = fd < 0 ? fd : cl_sys_connect(fd, (const struct sockaddr *)&address, sizeof(address));
    return r < 0 ? cl_fail(err, r, "linux.seccomp.listenerPath: connect to %s", path)
                 : CL_TAKE_FD(fd);
}

int cl_agent_open(const struct cl_spec *spec, struct cl_agent *ret, struct cl_error *err)
{
    *ret = CL_AGENT_INIT;
    if (!cl_spec_has(spec, CL_SPEC_SECCOMP_LISTENER))
        return 0;
    ret->socket = connect_to(spec->seccomp_listener, err);
    if (ret->socket < 0)
        return ret->socket;
    ret->file = cl_memory_file("listener", MEMORY_SIZE, 0, err);
    return ret->file < 0 ? ret->file : cl_agent_map(ret->file, &ret->memory, err);
}

void cl_agent_close(struct cl_agent *listener)
{
    cl_fd_close(&listener->socket);
    cl_fd_close(&listener->file);
    if (listener->memory != NULL)
        (void)munmap(listener->memory, MEMORY_SIZE);
    listener->memory = NULL;
}

static int write_state(const struct cl_bundle_state *state, int pid, struct cl_buf *ret,
                       struct cl_error *err)
{
    const struct cl_spec *spec = state->spec;
    struct cl_json json;

    cl_json_begin(&json, ret, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "ociVersion", CL_SPEC_OURS);
    cl_json_array(&json, "fds");
    cl_json_string(&json, NULL, "seccompFd");
    cl_json_close(&json, ']');
    cl_json_u64(&json, "pid", (uint64_t)pid);
    if (cl_spec_has(spec, CL_SPEC_SECCOMP_METADATA))
        cl_json_string(&json, "metadata", spec->seccomp_metadata);
    cl_bundle_add_state(state, "state", &json);
    cl_json_close(&json, '}');
    int r = cl_json_end(&json);
    return r < 0 ? cl_fail(err, r, "write the container process's state") : 0;
}

static int hand_over(const struct cl_agent *listener, const struct cl_bundle_state *state,
                     const struct cl_bundle_process *process, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const int number = __atomic_load_n(&listener->memory->number, __ATOMIC_ACQUIRE) - 1;
    CL_CLEANUP_FD int fd = cl_sys_pidfd_getfd(process->pidfd, number);

    if (fd < 0)
        return cl_fail(err, fd, "linux.seccomp.listenerPath: take the listening descriptor");
    int r = write_state(state, process->pid, &text, err);
    if (r < 0)
        return r;
    const struct cl_packet packet = {
        .data = text.data, .size = text.size, .fds = {fd}, .fd_count = 1};
    r = cl_channel_send(listener->socket, &packet, 0);
    return r < 0 ? cl_fail(err, r, "linux.seccomp.listenerPath: send the listening descriptor") : 0;
}

/* Until the process has said its number; what it says on CHANNEL first is that it failed. */
int cl_agent_serve(const struct cl_agent *listener, int channel,
                   const struct cl_bundle_state *state, const struct cl_bundle_process *process,
                   struct cl_error *err)
{
    struct pollfd said = {.fd = channel, .events = POLLIN};

    if (listener->memory == NULL)
        return 0;
    while (__atomic_load_n(&listener->memory->number, __ATOMIC_ACQUIRE) == 0) {
        int r = cl_sys_poll(&said, 1, LOOK_MS);

        if (r < 0 && r != -EINTR)
            return cl_fail(err, r, "wait for the container's process");
        if (r > 0)
            return 0; /* its channel has why */
    }
    int r = hand_over(listener, state, process, err);
    __atomic_store_n(&listener->memory->is_taken, 1, __ATOMIC_RELEASE);
    return r;
}
