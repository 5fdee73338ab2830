#include "sandbox/pause.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/freezer.h"
#include "sandbox/children.h"
#include "sandbox/control.h"
#include "sandbox/requests.h"
#include "sandbox/still.h"

enum {
    SETTLE_MS = 3000,
    LOOK_LEAST_MS = 1, /* between two looks, growing */
    LOOK_MOST_MS = 50,
};

/* --- the supervisor's ------------------------------------------------------------ */

static int halt(struct cl_supervisor *supervisor, int is_paused, struct cl_error *err)
{
    int r = cl_limits_freeze(supervisor->limits, is_paused);

    if (r == -ENOTSUP)
        return supervisor->wall->pause(supervisor->process, is_paused, err);
    return r < 0 ? cl_fail(err, r, "freeze the sandbox's cgroup") : 0;
}

static void note(struct cl_supervisor *supervisor, int is_paused)
{
    supervisor->is_paused = is_paused;
    supervisor->visitors.are_refused = is_paused;
    supervisor->status->phase = is_paused ? CL_PHASE_PAUSED : CL_PHASE_RUNNING;
}

int cl_pause_set(struct cl_supervisor *supervisor, int is_paused, struct cl_error *err)
{
    const uint32_t stage = __atomic_load_n(&supervisor->process->report->stage, __ATOMIC_ACQUIRE);

    if (supervisor->ended || stage == CL_REPORT_ENDED)
        return cl_refuse(err, ESRCH, "the sandbox has ended");
    if (stage != CL_REPORT_STARTED)
        return cl_refuse(err, EAGAIN, "the sandbox is still being made");
    if (supervisor->is_paused == is_paused)
        return cl_refuse(err, EALREADY, "that is how it is");
    int r = halt(supervisor, is_paused, err);
    if (r < 0)
        return r;
    note(supervisor, is_paused);
    r = cl_requests_refresh(supervisor, err);
    if (r == 0)
        cl_supervisor_say(supervisor, is_paused ? CL_EVENT_PAUSE : CL_EVENT_UNPAUSE);
    if (r < 0 && is_paused) { /* nobody could see why it stands still */
        struct cl_error unused = {0};

        (void)halt(supervisor, 0, &unused);
        note(supervisor, 0);
    }
    return r;
}

int cl_pause_again(struct cl_supervisor *supervisor, struct cl_error *err)
{
    return supervisor->is_paused ? halt(supervisor, 1, err)
                                 : cl_refuse(err, EALREADY, "it isn't paused");
}

/* --- the client's ----------------------------------------------------------------- */

static int settle_frozen(const struct cl_entry *entry, int cgroup, uint64_t until_ns,
                         struct cl_error *err)
{
    int r = cl_freezer_wait(cgroup, until_ns);

    if (r == -ENODEV || r == -ENOENT) /* the cgroup was removed */
        return cl_refuse(err, ESRCH, "sandbox %s has ended", entry->id);
    return r < 0 ? cl_fail(err, r, "wait for the cgroup of sandbox %s", entry->id) : r;
}

/* One look is not enough: who is made the child of another while we look can be missed, but not
 * twice, since that other ran in between, or a first look has seen it run. */
static int settle_stopped(const struct cl_entry *entry, int32_t init, uint64_t until_ns,
                          struct cl_error *err)
{
    int pause_ms = LOOK_LEAST_MS;
    int is_still = 0;

    while (cl_clock_boot_ns() < until_ns) {
        int r = cl_still_look(init);

        if (r == -ENOENT || r == -ESRCH)
            return cl_refuse(err, ESRCH, "sandbox %s has ended", entry->id);
        if (r < 0)
            return cl_fail(err, r, "look at the processes of sandbox %s", entry->id);
        if (r > 0 && is_still)
            return 1;
        is_still = r;
        if (is_still)
            continue;
        r = cl_control_pause(entry, CL_CONTROL_PAUSE_AGAIN, err);
        if (r < 0)
            return r;
        (void)cl_sys_poll(NULL, 0, pause_ms); /* cut short: looked at earlier */
        pause_ms = (int)cl_min_u64(2 * (uint64_t)pause_ms, LOOK_MOST_MS);
    }
    return 0;
}

/* Whether its numbers are those of our own pid namespace. */
static int is_seen(const struct cl_status *status)
{
    return status->init > 0 && cl_first_child(status->supervisor) == status->init;
}

static int settle(const struct cl_entry *entry, struct cl_error *err)
{
    const uint64_t until_ns = cl_clock_boot_ns() + SETTLE_MS * CL_NS_PER_MS;
    struct cl_status status;
    int r = cl_status_read(entry->table, entry->seat, &status);

    if (r < 0)
        return cl_fail(err, r, "read the record of sandbox %s", entry->id);
    if (strcmp(status.id, entry->id) != 0)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", entry->id);
    if (!is_seen(&status))
        return cl_refuse(err, ENOTSUP,
                         "whether all of sandbox %s stands still can't be seen from here: "
                         "/proc hides its processes, or is that of another pid namespace",
                         entry->id);
    CL_CLEANUP_FD int cgroup = cl_freezer_open(entry->id, status.init);
    r = cgroup >= 0 ? settle_frozen(entry, cgroup, until_ns, err)
                    : settle_stopped(entry, status.init, until_ns, err);
    if (r == 0)
        return cl_refuse(err, ETIMEDOUT,
                         "sandbox %s can't be paused, and runs on: its processes keep each other "
                         "going",
                         entry->id);
    return r < 0 ? r : 0;
}

int cl_pause_settle(const struct cl_entry *entry, struct cl_error *err)
{
    struct cl_error unused = {0};
    int r = settle(entry, err);

    if (r < 0) /* one that has ended can't be asked */
        (void)cl_control_pause(entry, CL_CONTROL_UNPAUSE, &unused);
    return r;
}
