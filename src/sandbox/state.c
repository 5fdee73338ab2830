/* Records in their seats. Each function that is on a run's start path
 * says how many system calls it makes. */
#include "sandbox/state.h"

#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/sys.h"
#include "plan/format.h"
#include "sandbox/kept.h"
#include "sandbox/table.h"

enum {
    STATUS_VERSION = 3,
    PLAN_INSIDE_MAX = CL_SEAT_SIZE - (int)sizeof(struct cl_status),
    RECORD_USUAL = 1500,
    GATE_TRIES = 2000, /* of a millisecond each */
};

int cl_id_make(char ret[CL_ID_SIZE], struct cl_error *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[(CL_ID_SIZE - 1) / 2];
    ssize_t got = cl_sys_getrandom(bytes, sizeof(bytes));

    if (got != (ssize_t)sizeof(bytes))
        return cl_fail(err, got < 0 ? (int)got : EIO, "get random bytes for an id");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[CL_ID_SIZE - 1] = '\0';
    return 0;
}

int cl_id_is(const char *text)
{
    return strlen(text) == CL_ID_SIZE - 1 && strspn(text, "0123456789abcdef") == CL_ID_SIZE - 1;
}

int cl_id_begins(const char *id, const char *word)
{
    enum { LEAST = 4 };
    const size_t size = strlen(word);

    return size >= LEAST && size < CL_ID_SIZE && strncmp(id, word, size) == 0;
}

int cl_ids_have(const struct cl_buf *ids, const char *id)
{
    for (size_t at = 0; at < ids->size; at += CL_ID_SIZE) {
        if (strcmp(ids->data + at, id) == 0)
            return 1;
    }
    return 0;
}

/* --- making a record ------------------------------------------------------ */

/* A plan file is made where there is none yet: its id is fresh. */
static int write_plan_file(int dir, const char *id, const void *data, size_t size,
                           struct cl_error *err)
{
    CL_CLEANUP_FD int plans = cl_state_open_dir(dir, "plans", O_PATH);

    if (plans < 0)
        return cl_fail(err, plans, "open the state directory's plans");
    CL_CLEANUP_FD int fd = cl_sys_openat(plans, id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return cl_fail(err, fd, "make the plan file of sandbox %s", id);
    int r = cl_write_all(fd, data, size);
    return r < 0 ? cl_fail(err, r, "write the plan of sandbox %s", id) : 0;
}

void cl_plan_file_remove(int dir, const struct cl_status *status)
{
    char path[sizeof("plans/") + CL_ID_SIZE];

    if (status->plan_size <= PLAN_INSIDE_MAX)
        return;
    (void)snprintf(path, sizeof(path), "plans/%s", status->id); /* 16 digits fit */
    (void)cl_sys_unlinkat(dir, path, 0); /* not made yet, when its supervisor died early */
}

/* Beyond its RLIMIT_FSIZE a process that writes is killed (SIGXFSZ). */
static int check_room(const struct cl_entry *entry, size_t size, struct cl_error *err)
{
    const uint64_t needed = cl_max_u64((uint64_t)cl_seat_offset(entry->seat) + CL_SEAT_SIZE, size);
    struct cl_rlimit64 limit;
    int r = cl_sys_prlimit(0, RLIMIT_FSIZE, NULL, &limit);

    if (r < 0)
        return cl_fail(err, r, "ask for the file size limit");
    if (limit.cur >= needed)
        return 0;
    return cl_refuse(err, EFBIG,
                     "this process's file size limit (ulimit -f) leaves no room for the "
                     "sandbox's record; raise it to %llu bytes",
                     (unsigned long long)needed);
}

int cl_record_write(struct cl_status *status, const struct cl_plan *plan, struct cl_buf *buf,
                    struct cl_error *err)
{
    if (cl_buf_add(buf, status, sizeof(*status)) < 0)
        return cl_fail_memory(err);
    int r = cl_plan_write(plan, buf, err);
    if (r < 0)
        return r;
    status->plan_size = (uint32_t)(buf->size - sizeof(*status));
    memcpy(buf->data, status, sizeof(*status));
    return 0;
}

/* The mark makes it known; a plan file comes after that, so that none is without a
 * record. prlimit, pwrite, pwrite */
static int write_record(const struct cl_entry *entry, struct cl_status *status,
                        const struct cl_plan *plan, struct cl_error *err)
{
    char storage[RECORD_USUAL]; /* enough for most */
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT_IN(CL_RECORD_MAX, storage);
    int r = cl_record_write(status, plan, &buf, err);

    if (r == 0)
        r = check_room(entry, buf.size, err);
    if (r < 0)
        return r;
    int is_inside = status->plan_size <= PLAN_INSIDE_MAX;
    size_t size = is_inside ? buf.size : sizeof(*status);
    ssize_t put = cl_sys_pwrite(entry->table, buf.data, size, cl_seat_offset(entry->seat));
    if (put != (ssize_t)size)
        return cl_fail(err, put < 0 ? (int)put : EIO, "write the sandbox's record");
    r = cl_seat_set_mark(entry->table, entry->seat, CL_SEAT_TAKEN);
    if (r < 0)
        return cl_fail(err, r, "write the table of sandboxes");
    return is_inside ? 0
                     : write_plan_file(entry->dir, entry->id, buf.data + sizeof(*status),
                                       status->plan_size, err);
}

static int visit_name(void *context, struct cl_visit *visit, struct cl_error *err)
{
    const char *name = *(const char *const *)context;

    if (visit->alive && visit->plan != NULL && cl_plan_has(visit->plan, CL_FIELD_NAME) &&
        strcmp(visit->plan->name, name) == 0)
        return cl_refuse(err, EEXIST, "the name %s belongs to sandbox %s, which is %s", name,
                         visit->entry->id, cl_visit_runs(visit) ? "running" : "kept");
    return 0;
}

/* Only those who want a name wait for each other. A holder may be stopped (SIGSTOP), so
 * waiting has an end. */
static int lock_names(int table)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int r = cl_sys_flock(table, LOCK_EX | LOCK_NB);

    for (int tries = 0; (r == -EWOULDBLOCK || r == -EINTR) && tries < GATE_TRIES; tries++) {
        (void)nanosleep(&pause, NULL); /* cut short by a signal: only a shorter wait */
        r = cl_sys_flock(table, LOCK_EX | LOCK_NB);
    }
    return r;
}

/* A name must be looked for and taken in one piece. */
static int claim_name(struct cl_state *state, int table, const struct cl_plan *plan,
                      struct cl_error *err)
{
    const char *name = plan->name;
    char id[CL_ID_SIZE];
    int r = lock_names(table);

    if (r < 0)
        return cl_fail(err, r, "lock the names in the state directory");
    r = cl_state_walk(state, visit_name, &name, err);
    if (r == 0)
        r = cl_kept_named(name, id, err);
    if (r <= 0)
        return r;
    return cl_refuse(err, EEXIST,
                     "the name %s belongs to sandbox %s, which has ended; free it by "
                     "cloister rm %s",
                     name, id, name);
}

/* fcntl, pread, pread and write_record's */
static int sit_down(struct cl_entry *entry, struct cl_status *status, const struct cl_plan *plan,
                    struct cl_error *err)
{
    int r = cl_table_take(entry->table, err);

    if (r < 0)
        return r;
    entry->seat = r;
    r = write_record(entry, status, plan, err);
    if (r < 0) {
        cl_plan_file_remove(entry->dir, status);
        (void)cl_seat_set_mark(entry->table, entry->seat, CL_SEAT_FREE); /* else it is swept */
    }
    return r;
}

/* open and sit_down's */
int cl_state_create(struct cl_state *state, struct cl_status *status, const struct cl_plan *plan,
                    struct cl_entry *ret, struct cl_error *err)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    int is_named = cl_plan_has(plan, CL_FIELD_NAME);
    int r = 0;

    CL_ASSERT(cl_id_is(status->id));
    status->version = STATUS_VERSION;
    status->plan_size = 0;
    status->has_limits = !cl_plan_without(plan, CL_LAYER_LIMITS);
    memcpy(entry.id, status->id, sizeof(entry.id));
    entry.dir = state->dir;
    entry.table = cl_table_open(state->dir, O_CREAT);
    if (entry.table < 0) {
        r = cl_fail(err, entry.table, "open the table of sandboxes in the state directory");
        return cl_state_hint(r, err);
    }
    if (is_named)
        r = claim_name(state, entry.table, plan, err);
    if (r == 0)
        r = sit_down(&entry, status, plan, err);
    if (r < 0)
        return r; /* closing the table lets go of both locks */
    if (is_named)
        (void)cl_sys_flock(entry.table, LOCK_UN); /* can't fail for what is held */
    *ret = entry;
    entry = CL_ENTRY_INIT;
    return 0;
}

/* pwrite */
int cl_entry_update(struct cl_entry *entry, const struct cl_status *status, struct cl_error *err)
{
    ssize_t put = cl_sys_pwrite(entry->table, status, sizeof(*status), cl_seat_offset(entry->seat));

    if (put != (ssize_t)sizeof(*status))
        return cl_fail(err, put < 0 ? (int)put : EIO, "write the record of sandbox %s", entry->id);
    return 0;
}

/* pread, pwrite, close */
void cl_entry_remove(struct cl_state *state, struct cl_entry *entry)
{
    struct cl_status status;

    if (entry->dir < 0)
        return;
    if (cl_status_read(entry->table, entry->seat, &status) == 0)
        cl_plan_file_remove(state->dir, &status);
    (void)cl_seat_set_mark(entry->table, entry->seat, CL_SEAT_FREE); /* else it is swept */
    cl_entry_done(entry);
}

void cl_entry_done(struct cl_entry *entry)
{
    cl_fd_close(&entry->table);
    entry->dir = -1;
    entry->seat = -1;
}

/* --- reading a record ----------------------------------------------------- */

int cl_status_is_whole(const struct cl_status *status)
{
    return status->version == STATUS_VERSION && status->phase < CL_PHASE_COUNT &&
           status->id[CL_ID_SIZE - 1] == '\0' && cl_id_is(status->id) &&
           status->plan_size <= CL_PLAN_MAX_SIZE && (status->layers & ~CL_LAYER_MASK) == 0;
}

int cl_status_read(int table, int seat, struct cl_status *ret)
{
    struct cl_status status;
    ssize_t got = cl_sys_pread(table, &status, sizeof(status), cl_seat_offset(seat));

    if (got < 0)
        return (int)got;
    if (got != (ssize_t)sizeof(status) || !cl_status_is_whole(&status))
        return -EBADMSG;
    *ret = status;
    return 0;
}

/* O_NONBLOCK: a FIFO in its place must not hold us. */
static int read_plan_file(int dir, const struct cl_status *status, char *data)
{
    char path[sizeof("plans/") + CL_ID_SIZE];

    (void)snprintf(path, sizeof(path), "plans/%s", status->id); /* 16 digits fit */
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    ssize_t got = cl_sys_pread(fd, data, status->plan_size, 0);
    return got < 0 ? (int)got : got == (ssize_t)status->plan_size ? 0 : -EBADMSG;
}

/* The plan's bytes, in ARENA. */
static int read_plan_bytes(const struct cl_entry *entry, const struct cl_status *status,
                           struct cl_arena *arena, char **ret)
{
    size_t size = status->plan_size;
    char *data = cl_arena_alloc(arena, size);
    ssize_t got;

    *ret = data;
    if (data == NULL)
        return -ENOMEM;
    if (size > PLAN_INSIDE_MAX)
        return read_plan_file(entry->dir, status, data);
    got = cl_sys_pread(entry->table, data, size,
                       cl_seat_offset(entry->seat) + (off_t)sizeof(*status));
    return got < 0 ? (int)got : got == (ssize_t)size ? 0 : -EBADMSG;
}

static int fail_read(const struct cl_entry *entry, int r, struct cl_error *err)
{
    if (r == -EBADMSG)
        return cl_refuse(err, EBADMSG, "the record of sandbox %s is damaged", entry->id);
    return cl_fail(err, r, "read the record of sandbox %s", entry->id);
}

/* Ids are never used twice: a head with the same id before and after means that the plan
 * between is that sandbox's. */
int cl_entry_read(struct cl_entry *entry, struct cl_arena *arena, struct cl_status *ret_status,
                  struct cl_plan *ret_plan, struct cl_error *err)
{
    struct cl_status status;
    struct cl_status again;
    char *data;
    int r = cl_status_read(entry->table, entry->seat, &status);

    if (r < 0)
        return fail_read(entry, r, err);
    if (!cl_id_is(entry->id))
        memcpy(entry->id, status.id, CL_ID_SIZE);
    r = read_plan_bytes(entry, &status, arena, &data);
    if (cl_status_read(entry->table, entry->seat, &again) < 0 || strcmp(again.id, entry->id) != 0 ||
        strcmp(status.id, entry->id) != 0)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", entry->id);
    if (r < 0)
        return fail_read(entry, r, err);
    r = cl_plan_read(data, status.plan_size, arena, ret_plan, err);
    if (r < 0)
        return cl_prefix(err, "the record of sandbox %s", entry->id);
    *ret_status = status;
    return 0;
}
