#include "sandbox/known.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"
#include "sandbox/table.h"

/* --- walking ------------------------------------------------------------------------------- */

struct walk {
    int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err);
    void *context;
    struct cl_buf seen; /* ids of those in the table, CL_ID_SIZE bytes each */
};

static int visit_seat(void *context, struct cl_visit *visit, struct cl_error *err)
{
    struct walk *walk = context;

    if (visit->alive && !cl_visit_runs(visit))
        return 0; /* as below */
    if (!visit->alive && visit->plan != NULL && cl_plan_is_recorded(visit->plan))
        return 0; /* what is kept of it says more */
    if (visit->alive && cl_buf_add(&walk->seen, visit->entry->id, CL_ID_SIZE) < 0)
        return cl_fail_memory(err);
    return walk->visit(walk->context, visit, err);
}

static int visit_kept(void *context, const struct cl_kept *kept, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    struct walk *walk = context;
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_kept_record record = {0};
    struct cl_error ignored = {0};

    if (cl_ids_have(&walk->seen, kept->id) ||
        kept->record == -ENOENT) /* one that is being made, or wasn't */
        return 0;
    const int known = cl_kept_read(kept, &arena, &record, &ignored) == 0;
    if (!known)
        record = (struct cl_kept_record){0};
    memcpy(record.status.id, kept->id, CL_ID_SIZE);
    memcpy(entry.id, kept->id, CL_ID_SIZE);
    struct cl_visit seen = {
        .entry = &entry,
        .status = &record.status,
        .plan = known ? &record.plan : NULL,
        .alive = record.is_alive && !record.has_ended,
        .ended = record.has_ended ? &record.ended : NULL,
    };
    return walk->visit(walk->context, &seen, err);
}

int cl_known_walk(struct cl_state *state,
                  int (*visit)(void *context, struct cl_visit *visit, struct cl_error *err),
                  void *context, struct cl_error *err)
{
    struct walk walk = {
        .visit = visit, .context = context, .seen = CL_BUF_INIT(CL_ID_SIZE * 8192UL)};
    int r = cl_state_walk(state, visit_seat, &walk, err);

    if (r == 0)
        r = cl_kept_walk(visit_kept, &walk, err);
    cl_buf_done(&walk.seen);
    return r;
}

/* --- finding ------------------------------------------------------------------------------- */

struct search {
    const char *wanted;
    enum cl_match best;
    int count; /* of the best kind */
    char id[CL_ID_SIZE];
};

static void note(struct search *search, enum cl_match match, const char *id)
{
    if (match == CL_MATCH_NONE || match < search->best)
        return;
    search->count = match == search->best ? search->count + 1 : 1;
    search->best = match;
    memcpy(search->id, id, CL_ID_SIZE);
}

static int visit_match(void *context, struct cl_visit *visit, CL_UNUSED struct cl_error *err)
{
    struct search *search = context;

    if (cl_visit_runs(visit))
        note(search, cl_visit_match(visit, search->wanted), visit->entry->id);
    return 0;
}

/* One that runs has been met in the table. */
static int visit_id(void *context, const char *id, CL_UNUSED struct cl_error *err)
{
    struct search *search = context;

    if (strcmp(search->id, id) != 0 && cl_id_begins(id, search->wanted))
        note(search, CL_MATCH_PREFIX, id);
    return 0;
}

static int has_kept(const char *id, struct cl_error *err)
{
    CL_CLEANUP_KEPT struct cl_kept kept = CL_KEPT_INIT;
    int r = cl_kept_open(id, &kept, err);

    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Among those that are kept, of which there may be thousands: only names of files are read. */
static int search_kept(struct search *search, struct cl_error *err)
{
    char id[CL_ID_SIZE];
    int r = cl_id_is(search->wanted) ? has_kept(search->wanted, err) : 0;

    if (r > 0)
        note(search, CL_MATCH_ID, search->wanted);
    if (r != 0 || search->best >= CL_MATCH_NAME)
        return r < 0 ? r : 0;
    r = cl_kept_named(search->wanted, id, err);
    if (r > 0)
        note(search, CL_MATCH_NAME, id);
    return r == 0 ? cl_kept_ids(visit_id, search, err) : r < 0 ? r : 0;
}

void cl_known_done(struct cl_known *known)
{
    cl_found_done(&known->found);
    cl_kept_done(&known->kept);
}

/* What is known of ID. Who ends between two looks is found by the second: kept, or not at all. */
static int load(struct cl_state *state, const char *id, struct cl_arena *arena,
                struct cl_known *ret, struct cl_error *err)
{
    struct cl_kept_record record = {0};
    int r = cl_state_find(state, id, arena, &ret->found, err);

    if (r < 0 && r != -ESRCH)
        return r;
    ret->is_resting = r == 0 && ret->found.status.phase == CL_PHASE_RESTING;
    ret->is_alive = r == 0 && !ret->is_resting;
    *err = (struct cl_error){0};
    r = cl_kept_open(id, &ret->kept, err);
    if (r < 0 && r != -ENOENT)
        return r;
    if (ret->is_alive)
        return 0;
    if (r == -ENOENT)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", id);
    r = cl_kept_read(&ret->kept, arena, &record, err);
    /* its supervisor is about to write how, or where it lives on, to tell of it */
    if (r == 0 && (!record.has_ended || ret->is_resting)) {
        r = cl_kept_wait(&ret->kept);
        r = r < 0 ? cl_fail(err, r, "wait for the end of sandbox %s", id)
                  : cl_kept_read(&ret->kept, arena, &record, err);
    }
    if (r < 0)
        return r;
    memcpy(ret->found.entry.id, id, CL_ID_SIZE);
    ret->found.status = record.status;
    ret->found.plan = record.plan;
    ret->ended = record.ended;
    return 0;
}

int cl_known_find(struct cl_state *state, const char *id_or_name, struct cl_arena *arena,
                  struct cl_known *ret, struct cl_error *err)
{
    struct search search = {.wanted = id_or_name};
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_state_walk(state, visit_match, &search, err);

    if (r == 0 && search.best < CL_MATCH_ID)
        r = search_kept(&search, err);
    if (r < 0)
        return r;
    if (search.count == 0)
        return cl_refuse(err, ESRCH, "no sandbox \"%.128s\"", id_or_name);
    if (search.count > 1)
        return cl_refuse(err, EINVAL, "\"%.128s\" is the start of %d ids; write more of it",
                         id_or_name, search.count);
    r = load(state, search.id, arena, &known, err);
    if (r < 0)
        return r;
    *ret = known;
    known = CL_KNOWN_INIT;
    return 0;
}

/* --- waiting ------------------------------------------------------------------------------- */

/* The number may be another's by now: it is our supervisor's while he holds the seat. */
int cl_known_open_supervisor(const struct cl_known *known)
{
    const struct cl_entry *entry = &known->found.entry;
    CL_CLEANUP_FD int pidfd = cl_sys_pidfd_open(known->found.status.supervisor);

    if (pidfd < 0)
        return pidfd;
    return cl_seat_is_held(entry->table, entry->seat) ? CL_TAKE_FD(pidfd) : -ESRCH;
}

/* By what its supervisor writes, where that lives on. */
static int watch_record(const struct cl_known *known)
{
    char path[64];

    if (!known->found.plan.keep || known->kept.record < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", known->kept.record);
    CL_CLEANUP_FD int watch = cl_sys_inotify_init();
    int r = watch < 0 ? watch : cl_sys_inotify_add(watch, path, IN_MODIFY);
    return r < 0 ? r : CL_TAKE_FD(watch);
}

static int has_ended(const struct cl_known *known)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    struct cl_kept_record record = {0};
    struct cl_error ignored = {0};

    return known->found.plan.keep && cl_kept_read(&known->kept, &arena, &record, &ignored) == 0 &&
           record.has_ended;
}

static int wait_until(const struct cl_known *known, struct pollfd polled[2], int timeout_ms)
{
    const uint64_t wait_ms = timeout_ms < 0 ? 0 : (uint64_t)timeout_ms;
    const uint64_t until_ns = cl_clock_boot_ns() + wait_ms * CL_NS_PER_MS;
    char events[1024];
    int r = 0;

    for (;;) {
        const uint64_t now_ns = cl_clock_boot_ns();
        const uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;

        if (has_ended(known))
            return 1;
        r = cl_sys_poll(polled, 2, timeout_ms < 0 ? -1 : (int)(left_ns / CL_NS_PER_MS + 1));
        if (r == -EINTR)
            continue;
        if (r <= 0 || polled[0].revents != 0)
            return r < 0 ? r : r > 0;
        (void)cl_sys_read(polled[1].fd, events, sizeof(events)); /* only empties it */
    }
}

int cl_known_wait(const struct cl_known *known, int timeout_ms, struct cl_error *err)
{
    CL_CLEANUP_FD int pidfd = known->is_alive ? cl_known_open_supervisor(known) : -ESRCH;
    CL_CLEANUP_FD int watch = watch_record(known);
    struct pollfd polled[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = watch, .events = POLLIN}};
    int r = pidfd;

    if (pidfd == -ESRCH)
        return 1;
    if (pidfd >= 0)
        r = known->found.plan.keep && watch < 0 ? watch : wait_until(known, polled, timeout_ms);
    return r < 0 ? cl_fail(err, r, "wait for sandbox %s", known->found.entry.id) : r;
}

int cl_known_release(const struct cl_known *known, struct cl_error *err)
{
    enum { END_MS = 10000 }; /* for the kernel to end what was killed */
    CL_CLEANUP_FD int pidfd = cl_known_open_supervisor(known);
    struct pollfd polled = {.fd = pidfd, .events = POLLIN};
    const char *id = known->found.entry.id;

    if (pidfd == -ESRCH)
        return 0;
    int r = pidfd < 0 ? pidfd : cl_control_signal(&known->found.entry, SIGKILL, err);
    if (r == -ESRCH)
        return 0; /* somebody else has */
    if (r < 0)
        return pidfd < 0 ? cl_fail(err, r, "open the supervisor of sandbox %s", id) : r;
    do
        r = cl_sys_poll(&polled, 1, END_MS);
    while (r == -EINTR);
    if (r == 0)
        return cl_refuse(err, ETIMEDOUT, "sandbox %s was killed and has not gone yet", id);
    return r < 0 ? cl_fail(err, r, "wait for sandbox %s", id) : 0;
}
