#include "sandbox/sweep.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/limits.h"
#include "sandbox/control.h"
#include "sandbox/events.h"
#include "sandbox/kept.h"
#include "sandbox/listener.h"
#include "sandbox/table.h"

enum { PLAN_ROOM = 4 * CL_PLAN_MAX_SIZE }; /* as in state_find.c */

struct sweep {
    struct cl_state *state;
    int table;
    int own; /* the seat of the table's hold, which is lent; -1: the hold is ours */
    enum cl_sweep_manner manner;
    void (*on_swept)(void *context, const char *id);
    void *context;
    uint64_t wait_until_ns; /* for those who are dying, all together; 0: nobody met yet */
    int swept;
    struct cl_error first; /* what went wrong first; code 0: nothing */
};

/* --- one seat ------------------------------------------------------------- */

/* Cgroups may take their time to go. Meanwhile the seat is nobody's, and ours to sweep. */
static int clear_limits(const struct sweep *sweep, int seat, const char *id, struct cl_error *err)
{
    cl_seat_unlock(sweep->table, seat);
    int r = cl_limits_sweep(id, sweep->manner, err);
    if (r < 0)
        (void)cl_prefix(err, "sweep sandbox %s", id);
    const int again = cl_seat_lock(sweep->table, seat);
    if (again == -EAGAIN) /* another cloister's way to sweep */
        return cl_refuse(err, EBUSY, "seat %d of the table of sandboxes is being swept", seat);
    if (again < 0)
        return cl_fail(err, again, "lock seat %d of the table of sandboxes", seat);
    return r;
}

/* STATUS is the record of the SEAT whose locks we hold. */
static int clear_leavings(const struct sweep *sweep, int seat, const struct cl_status *status,
                          struct cl_error *err)
{
    int r = status->has_limits ? clear_limits(sweep, seat, status->id, err) : 0;

    if (r == 0)
        cl_plan_file_remove(sweep->state->dir, status);
    return r;
}

/* Of one whose command was told to run, and of whose end nobody else can tell: to be read while the
 * record is there. */
static int find_lost(const struct sweep *sweep, int seat, struct cl_arena *arena,
                     struct cl_plan *ret)
{
    struct cl_entry entry = {.dir = sweep->state->dir, .table = sweep->table, .seat = seat};
    struct cl_status status;
    struct cl_error unused = {0};

    return cl_events_are_heard(sweep->state->dir) &&
           cl_entry_read(&entry, arena, &status, ret, &unused) == 0 &&
           (status.phase == CL_PHASE_RUNNING || status.phase == CL_PHASE_PAUSED);
}

static void tell_lost(const struct sweep *sweep, const char *id, const struct cl_plan *plan)
{
    const struct cl_result result = {
        .plan = plan, .id = id, .status = CL_STATUS_ERROR, .exit_code = -1, .error = CL_KEPT_LOST};

    cl_events_tell_end(sweep->state->dir, &result);
}

/* A record that can't be read names nothing that could be removed: the seat goes, and a
 * cgroup that it may have had is an orphan (limits.h). */
static int clear_seat(struct sweep *sweep, int seat, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(PLAN_ROOM);
    struct cl_status status = {.id = ""};
    struct cl_plan plan = {0};
    int r = cl_status_read(sweep->table, seat, &status);
    const int is_lost = r == 0 && find_lost(sweep, seat, &arena, &plan);

    if (r == 0)
        r = clear_leavings(sweep, seat, &status, err);
    else if (r != -EBADMSG)
        return cl_fail(err, r, "read the record in seat %d", seat);
    else
        r = 0;
    if (r < 0)
        return r;
    r = cl_seat_set_mark(sweep->table, seat, CL_SEAT_FREE);
    if (r < 0)
        return cl_fail(err, r, "free seat %d of the table of sandboxes", seat);
    sweep->swept++;
    if (is_lost)
        tell_lost(sweep, status.id, &plan);
    if (sweep->on_swept != NULL)
        sweep->on_swept(sweep->context, status.id[0] != '\0' ? status.id : "(damaged)");
    return 0;
}

/* Whether the process PID was killed and has not ended yet: a zombie, or one with SIGKILL
 * among the signals sent to all of it, where the kernel leaves it to the end (proc(5)). */
static int is_dying(pid_t pid)
{
    static const char pending[] = "\nShdPnd:\t"; /* and 16 hexadecimal digits */
    enum { KILLS_DIGIT = 15 - (SIGKILL - 1) / 4 };
    char text[4096];
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid); /* 10 digits fit */
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    ssize_t got = fd < 0 ? 0 : cl_sys_read(fd, text, sizeof(text) - 1);
    text[got < 0 ? 0 : got] = '\0';
    const char *at = strstr(text, pending);
    if (at == NULL || strlen(at) <= sizeof(pending) + KILLS_DIGIT)
        return 0;
    _Static_assert((SIGKILL - 1) % 4 == 0, "the digit's lowest bit");
    return strstr(text, "\nState:\tZ") != NULL ||
           strchr("13579bdf", at[sizeof(pending) - 1 + KILLS_DIGIT]) != NULL;
}

/* A supervisor that was killed this moment holds its seat until it has ended: waits for
 * that, for CL_SWEEP_DYING_MS in all. 1 when the seat's lock is worth another try. */
static int outwait(struct sweep *sweep, int seat)
{
    struct cl_status status;
    uint64_t now_ns = cl_clock_boot_ns();

    if (sweep->manner == CL_SWEEP_QUICKLY || cl_status_read(sweep->table, seat, &status) < 0 ||
        status.supervisor <= 0)
        return 0;
    CL_CLEANUP_FD int pidfd = cl_sys_pidfd_open(status.supervisor);
    if (pidfd < 0)
        return pidfd == -ESRCH;
    if (!is_dying(status.supervisor))
        return 0;
    if (sweep->wait_until_ns == 0)
        sweep->wait_until_ns = now_ns + CL_SWEEP_DYING_MS * CL_NS_PER_MS;
    uint64_t left_ns = sweep->wait_until_ns - cl_min_u64(now_ns, sweep->wait_until_ns);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    /* Cut short, by a signal or a failure: only a shorter wait. */
    (void)cl_sys_poll(&ended, 1, (int)(left_ns / CL_NS_PER_MS));
    return 1;
}

/* Holding the lock we are the only one who may write the seat, and what it says now is
 * the last word of who sat there. */
static void sweep_locked(struct sweep *sweep, int seat)
{
    struct cl_error failure = {0};
    int r = cl_seat_lock(sweep->table, seat);

    if (r == -EAGAIN && outwait(sweep, seat))
        r = cl_seat_lock(sweep->table, seat);
    if (r == -EAGAIN)
        return; /* it lives */
    if (r < 0) {
        (void)cl_fail(&failure, r, "lock seat %d of the table of sandboxes", seat);
    } else {
        r = cl_seat_mark(sweep->table, seat);
        if (r < 0)
            (void)cl_fail(&failure, r, "read the table of sandboxes");
        else if (r != CL_SEAT_FREE) /* else it ended well since we looked */
            r = clear_seat(sweep, seat, &failure);
        if (r < 0 && r != -EBUSY && sweep->manner == CL_SWEEP_QUICKLY)
            (void)cl_seat_set_mark(sweep->table, seat, CL_SEAT_STUCK); /* else tried again */
        cl_seat_unlock(sweep->table, seat);
    }
    if (r < 0 && sweep->first.code == 0)
        sweep->first = failure;
}

static void sweep_seat(struct sweep *sweep, int seat)
{
    int r = cl_seat_begin_sweep(sweep->table, seat);

    if (r == -EAGAIN)
        return; /* somebody else sweeps it */
    if (r == 0) {
        sweep_locked(sweep, seat);
        cl_seat_end_sweep(sweep->table, seat);
    } else if (sweep->first.code == 0) {
        (void)cl_fail(&sweep->first, r, "lock seat %d of the table of sandboxes", seat);
    }
}

/* --- all of them ---------------------------------------------------------- */

/* A hold on the table whose locks stand against those of everybody alive: an own one, or
 * that of a sandbox which this process supervises itself, whose seat is then left out. 0
 * with sweep->table -1 where there is no table. */
static int open_sweep(struct sweep *sweep, struct cl_table *ret, struct cl_error *err)
{
    int r;

    if (sweep->own < 0)
        sweep->table = cl_table_open(sweep->state->dir, 0);
    if (sweep->table == -ENOENT) {
        sweep->table = -1;
        return 0;
    }
    r = sweep->table < 0 ? sweep->table : cl_table_read(sweep->table, ret);
    return r < 0 ? cl_fail(err, r, "read the table of sandboxes in the state directory") : 0;
}

static void sweep_done(struct sweep *sweep)
{
    if (sweep->own < 0)
        cl_fd_close(&sweep->table);
}

static int conclude(const struct sweep *sweep, struct cl_error *err)
{
    if (sweep->first.code == 0)
        return sweep->swept;
    *err = sweep->first;
    return -err->code;
}

/* The ids in all seats that are taken now, CL_ID_SIZE bytes each. */
static int list_known(const struct sweep *sweep, struct cl_table *seats, struct cl_buf *ret)
{
    struct cl_status status;
    int r = sweep->table < 0 ? 0 : cl_table_read(sweep->table, seats);

    if (r < 0 || sweep->table < 0)
        return r;
    for (int seat = cl_table_next(seats, 0); r == 0 && seat >= 0;
         seat = cl_table_next(seats, seat + 1)) {
        if (cl_status_read(sweep->table, seat, &status) == 0)
            r = cl_buf_add(ret, status.id, CL_ID_SIZE);
    }
    return r;
}

static int is_known(void *context, const char *id)
{
    return cl_ids_have(context, id);
}

static void sweep_orphans(const struct sweep *sweep, struct cl_table *seats)
{
    CL_CLEANUP_BUF struct cl_buf known = CL_BUF_INIT((size_t)CL_SEATS * CL_ID_SIZE);

    if (list_known(sweep, seats, &known) == 0)
        (void)cl_limits_sweep_orphans(is_known, &known); /* nobody waits for their number */
}

int cl_sweep(struct cl_state *state, void (*on_swept)(void *context, const char *id), void *context,
             struct cl_error *err)
{
    CL_CLEANUP(sweep_done)
    struct sweep sweep = {
        .state = state,
        .table = -1,
        .own = -1,
        .manner = CL_SWEEP_THOROUGHLY,
        .on_swept = on_swept,
        .context = context,
    };
    struct cl_table seats;
    int r = open_sweep(&sweep, &seats, err);

    if (r < 0)
        return r;
    if (sweep.table >= 0) {
        for (int seat = cl_table_next(&seats, 0); seat >= 0; seat = cl_table_next(&seats, seat + 1))
            sweep_seat(&sweep, seat);
    }
    cl_control_sweep(state);
    cl_listeners_sweep(state); /* after the ends above were told */
    struct cl_error failure = {0};
    if (cl_kept_sweep(&failure) < 0 && sweep.first.code == 0)
        sweep.first = failure;
    sweep_orphans(&sweep, &seats);
    return conclude(&sweep, err);
}

/* --- some of them --------------------------------------------------------- */

/* How many are taken, and in *RET_END the seat after the last of them. */
static int count_taken(const struct cl_table *seats, int *ret_end)
{
    int count = 0;

    *ret_end = 0;
    for (int seat = cl_table_next(seats, 0); seat >= 0; seat = cl_table_next(seats, seat + 1)) {
        count += seats->marks[seat] == CL_SEAT_TAKEN;
        *ret_end = seat + 1;
    }
    return count;
}

/* Whether to look at all seats though they are many; notes that we do. */
static int is_time(struct sweep *sweep, struct cl_table *seats, uint64_t now_ns)
{
    /* A time to come is one of before the last boot. */
    if (seats->looked_ns != 0 && seats->looked_ns <= now_ns &&
        now_ns - seats->looked_ns < CL_SWEEP_PAUSE_MS * CL_NS_PER_MS)
        return 0;
    seats->looked_ns = now_ns;
    /* Where it can't be written the next looks again. */
    (void)cl_sys_pwrite(sweep->table, &seats->looked_ns, sizeof(seats->looked_ns), 0);
    return 1;
}

/* COUNT taken seats from START on, and round. */
static void look_at(struct sweep *sweep, const struct cl_table *seats, int start, int count)
{
    const uint64_t deadline_ns = cl_clock_boot_ns() + CL_SWEEP_MOST_MS * CL_NS_PER_MS;
    int seat = cl_table_next(seats, start);

    while (count > 0) {
        if (seat < 0)
            seat = cl_table_next(seats, 0);
        if (seats->marks[seat] == CL_SEAT_TAKEN) {
            count--;
            if (seat != sweep->own && !cl_seat_is_held(sweep->table, seat)) {
                sweep_seat(sweep, seat);
                if (cl_clock_boot_ns() >= deadline_ns)
                    return;
            }
        }
        seat = cl_table_next(seats, seat + 1);
    }
}

int cl_sweep_beside(struct cl_state *state, const struct cl_entry *own, struct cl_error *err)
{
    CL_CLEANUP(sweep_done)
    struct sweep sweep = {
        .state = state,
        .table = own == NULL ? -1 : own->table,
        .own = own == NULL ? -1 : own->seat,
        .manner = CL_SWEEP_QUICKLY,
    };
    struct cl_table seats;
    uint32_t start = 0;
    int r = open_sweep(&sweep, &seats, err);

    if (r < 0 || sweep.table < 0)
        return r;
    int end;
    int count = count_taken(&seats, &end);
    if (count > CL_SWEEP_LOOK && !is_time(&sweep, &seats, cl_clock_boot_ns())) {
        count = CL_SWEEP_FEW;
        if (cl_sys_getrandom(&start, sizeof(start)) != (ssize_t)sizeof(start))
            start = 0; /* the first ones, then */
        start %= (uint32_t)end;
    }
    look_at(&sweep, &seats, (int)start, count);
    return conclude(&sweep, err);
}

int cl_sweep_seldom(struct cl_state *state, struct cl_error *err)
{
    return cl_sweep_beside(state, NULL, err);
}
