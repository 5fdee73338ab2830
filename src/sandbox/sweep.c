#include "sandbox/sweep.h"

#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/limits.h"

struct sweep {
    struct cl_state *state;
    void (*on_swept)(void *context, const char *id);
    void *context;
    int swept;
    struct cl_error first; /* what went wrong first; code 0: nothing */
};

/* Behind the gate no creator is between mkdir and its lock, so whoever holds no lock
 * now is dead. The lock that we take keeps a second sweeper away until we are done;
 * an entry without a record is held by the gate alone, and removed behind it. */
static int take_dead(struct sweep *sweep, struct cl_entry *entry)
{
    int r = cl_state_gate(sweep->state, LOCK_EX);

    if (r < 0)
        return r;
    if (entry->record < 0) {
        /* Made since we opened it? Then it has a record now and is none of ours. */
        entry->record = cl_sys_openat(entry->dir, "record", O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    }
    r = cl_entry_lock(entry);
    cl_state_ungate(sweep->state);
    return r;
}

static int sweep_entry(struct sweep *sweep, struct cl_entry *entry, struct cl_error *err)
{
    struct stat st;
    int r = cl_limits_sweep(entry->id, CL_SWEEP_THOROUGHLY, err);

    if (r < 0)
        return cl_prefix(err, "sweep sandbox %s", entry->id);
    cl_entry_remove(sweep->state, entry);
    if (cl_sys_fstatat(sweep->state->sandboxes, entry->id, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return cl_refuse(err, ENOTEMPTY, "the directory of dead sandbox %s can't be emptied",
                         entry->id);
    return 0;
}

static int visit_dead(void *context, struct cl_visit *visit, CL_UNUSED struct cl_error *err)
{
    struct sweep *sweep = context;
    struct cl_error failure = {0};

    if (visit->alive)
        return 0;
    int r = take_dead(sweep, visit->entry);
    if (r == -EAGAIN)
        return 0; /* it lives after all, or somebody else sweeps it */
    if (r < 0)
        (void)cl_fail(&failure, r, "lock sandbox %s to sweep it", visit->entry->id);
    else
        r = sweep_entry(sweep, visit->entry, &failure);
    if (r < 0) {
        if (sweep->first.code == 0)
            sweep->first = failure;
        return 0;
    }
    sweep->swept++;
    if (sweep->on_swept != NULL)
        sweep->on_swept(sweep->context, visit->status->id);
    return 0;
}

int cl_sweep(struct cl_state *state, void (*on_swept)(void *context, const char *id),
             void *context, struct cl_error *err)
{
    struct sweep sweep = {.state = state, .on_swept = on_swept, .context = context};
    int r = cl_state_walk(state, visit_dead, &sweep, err);

    if (r < 0)
        return r;
    if (sweep.first.code != 0) {
        *err = sweep.first;
        return -err->code;
    }
    return sweep.swept;
}

/* The directory's link count is two and one for each directory in it, on tmpfs and
 * ext4; file systems that don't count so say 1. */
static int is_empty(struct cl_state *state)
{
    struct stat st;

    return cl_sys_fstat(state->sandboxes, &st) == 0 && st.st_nlink == 2;
}

static uint64_t modified_ns(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * CL_NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
}

int cl_sweep_seldom(struct cl_state *state, struct cl_error *err)
{
    const uint64_t now = cl_clock_wall_ns();
    struct stat st;

    if (is_empty(state))
        return 0;
    CL_CLEANUP_FD int stamp =
        cl_sys_openat(state->dir, "swept", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (stamp < 0)
        return cl_fail(err, stamp, "open the sweepers' time stamp");
    int r = cl_sys_fstat(stamp, &st);
    if (r < 0)
        return cl_fail(err, r, "look at the sweepers' time stamp");
    /* A stamp of the future (the clock was set back) doesn't count. */
    if (st.st_size > 0 && now >= modified_ns(&st) &&
        now - modified_ns(&st) < CL_SWEEP_PAUSE_MS * CL_NS_PER_MS)
        return 0;
    (void)CL_SYS4(SYS_pwrite64, stamp, "1", 1, 0); /* without it the next sweeps again */
    return cl_sweep(state, NULL, NULL, err);
}
