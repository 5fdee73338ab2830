/* Between kill(2) and the end of a process lies what is left of its time slice and the
 * work of its exit; only then its lock goes, by which a sandbox counts as alive. "kill -9;
 * prune" must not fall into that gap. */
#include "cmd/cloister/dying.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"

enum { STAT_SIZE = 1024, FIELD_STATE = 3, FIELD_FLAGS = 9, FIELD_PENDING = 31 };
enum { PF_EXITING = 0x4, PF_SIGNALED = 0x400 };

/* Where field NUMBER begins; the second, the name, may hold anything and ends with the
 * last parenthesis. */
static const char *field_of(const char *stat, int number)
{
    const char *at = strrchr(stat, ')');

    for (int i = 2; at != NULL && i < number; i++) {
        at = strchr(at, ' ');
        at += at != NULL;
    }
    return at;
}

static unsigned long long number_of(const char *stat, int number)
{
    unsigned long long value = 0; /* the kernel's own text: it fits */

    for (const char *at = field_of(stat, number); at != NULL && *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (unsigned long long)(*at - '0');
    return value;
}

int cl_dying_is(const char *stat)
{
    const char *state = field_of(stat, FIELD_STATE);

    if (state != NULL && (*state == 'Z' || *state == 'X'))
        return 1;
    return (number_of(stat, FIELD_FLAGS) & (PF_EXITING | PF_SIGNALED)) != 0 ||
           (number_of(stat, FIELD_PENDING) & 1ULL << (SIGKILL - 1)) != 0;
}

static int is_dying(int pid)
{
    char path[32];
    char stat[STAT_SIZE] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, stat, sizeof(stat) - 1);

    return got > 0 && cl_dying_is(stat);
}

static int wait_for_one(void *context, struct cl_visit *visit, CL_UNUSED struct cl_error *err)
{
    const uint64_t *deadline_ns = context;
    const int pid = visit->status->supervisor;

    if (!visit->alive || pid <= 0)
        return 0;
    CL_CLEANUP_FD int pidfd = cl_sys_pidfd_open(pid);
    const uint64_t now_ns = cl_clock_boot_ns();
    if (pidfd < 0 || now_ns >= *deadline_ns || !is_dying(pid))
        return 0;
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    /* However it ends, the sweep looks at the lock itself. */
    (void)poll(&end, 1, (int)((*deadline_ns - now_ns) / CL_NS_PER_MS));
    return 0;
}

int cl_dying_wait(struct cl_state *state, uint64_t most_ns, struct cl_error *err)
{
    uint64_t deadline_ns = cl_clock_boot_ns() + most_ns;

    return cl_state_walk(state, wait_for_one, &deadline_ns, err);
}
