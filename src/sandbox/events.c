#include "sandbox/events.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

enum { LOST_MOST = 1 << 20 };

static const char *const names[CL_EVENT_COUNT] = {
    [CL_EVENT_START] = "start", [CL_EVENT_EXEC] = "exec",       [CL_EVENT_PAUSE] = "pause",
    [CL_EVENT_KILL] = "kill",   [CL_EVENT_UNPAUSE] = "unpause", [CL_EVENT_STOP] = "stop",
    [CL_EVENT_OOM] = "oom",     [CL_EVENT_END] = "end",         [CL_EVENT_REMOVE] = "remove",
};

const char *cl_event_name(enum cl_event_kind kind)
{
    CL_ASSERT(kind < CL_EVENT_COUNT);
    return names[kind];
}

/* --- as bytes -------------------------------------------------------------- */

#define NUMBER(field, number, member, most)                                                        \
    [CL_EVENT_FIELD_##field] = {                                                                   \
        number, CL_FLAT_NUMBER, offsetof(struct cl_event, member), 0, most, #member, NULL}
#define TEXT(field, number, member, least)                                                         \
    [CL_EVENT_FIELD_##field] = {number, CL_FLAT_TEXT,      offsetof(struct cl_event, member),      \
                                least,  CL_EVENT_SIZE_MAX, #member,                                \
                                NULL}

static const struct cl_flat_field fields[CL_EVENT_FIELD_COUNT] = {
    NUMBER(KIND, 1, kind, CL_EVENT_COUNT - 1),
    NUMBER(TIME, 2, time_wall_ns, UINT64_MAX),
    TEXT(ID, 3, id, 1),
    TEXT(NAME, 4, name, 1),
    TEXT(TENANT, 5, tenant, 0),
    TEXT(IMAGE, 6, image, 0),
    [CL_EVENT_FIELD_LABELS] = {7, CL_FLAT_TEXTS, offsetof(struct cl_event, labels), 0,
                               CL_EVENT_SIZE_MAX, "labels", NULL},
    NUMBER(SIGNAL, 8, signal, 64),
    NUMBER(STATUS, 9, status, CL_STATUS_COUNT - 1),
    NUMBER(EXIT_CODE, 10, exit_code, 255),
    TEXT(ERROR, 11, error, 0),
    NUMBER(CUT, 12, cut, 1),
};

static const struct cl_flat_shape shape = {
    .name = "event",
    .magic = {'c', 'l', 'e', 'v', 'e', 'n', 't', '\n'},
    .version = 1,
    .max_size = CL_EVENT_SIZE_MAX,
    .set_offset = offsetof(struct cl_event, set),
    .count = CL_EVENT_FIELD_COUNT,
    .fields = fields,
};

/* base/flat.h's header */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t count;
    uint64_t size;
};

/* An error's text has 512 bytes at most, an id and a name are short: they always fit. */
int cl_event_write(const struct cl_event *event, struct cl_buf *buf, struct cl_error *err)
{
    struct cl_buf whole = CL_BUF_INIT(64UL << 20);
    struct cl_event cut = *event;
    int r = cl_flat_write(&shape, event, &whole, err);

    if (r == 0 && whole.size <= CL_EVENT_SIZE_MAX)
        r = cl_buf_add(buf, whole.data, whole.size) < 0 ? cl_fail_memory(err) : 0;
    else {
        cut.set &= ~(CL_EVENT_BIT(LABELS) | CL_EVENT_BIT(TENANT) | CL_EVENT_BIT(IMAGE));
        cut.set |= CL_EVENT_BIT(CUT);
        cut.cut = 1;
        r = cl_flat_write(&shape, &cut, buf, err);
    }
    cl_buf_done(&whole);
    return r;
}

int cl_event_size(const char *data, size_t size)
{
    struct header header;

    if (size < sizeof(header))
        return 0;
    memcpy(&header, data, sizeof(header));
    if (memcmp(header.magic, shape.magic, sizeof(header.magic)) != 0 ||
        header.version != shape.version || header.size < sizeof(header) ||
        header.size > CL_EVENT_SIZE_MAX)
        return -EBADMSG;
    return header.size <= size ? (int)header.size : 0;
}

int cl_event_read(const char *data, size_t size, struct cl_arena *arena, struct cl_event *ret,
                  struct cl_error *err)
{
    const uint64_t needed = CL_EVENT_BIT(KIND) | CL_EVENT_BIT(TIME) | CL_EVENT_BIT(ID);
    const struct cl_bytes bytes = {data, size};
    struct cl_event event = {0};
    int r = cl_flat_read(&shape, &bytes, arena, &event, err);

    if (r < 0)
        return r;
    if ((event.set & needed) != needed || !cl_id_is(event.id))
        return cl_refuse(err, EBADMSG, "an event lacks its kind, its time or its sandbox's id");
    *ret = event;
    return 0;
}

/* --- making ------------------------------------------------------------------ */

static void set_text(struct cl_event *event, enum cl_event_field field, const char **member,
                     const char *text)
{
    if (text == NULL)
        return;
    *member = text;
    event->set |= 1ULL << field;
}

struct cl_event cl_event_of(enum cl_event_kind kind, const char *id, const struct cl_plan *plan)
{
    struct cl_event event = {
        .set = CL_EVENT_BIT(KIND) | CL_EVENT_BIT(ID),
        .kind = kind,
        .id = id,
    };

    if (plan == NULL)
        return event;
    if (cl_plan_has(plan, CL_FIELD_NAME))
        set_text(&event, CL_EVENT_FIELD_NAME, &event.name, plan->name);
    if (cl_plan_has(plan, CL_FIELD_TENANT))
        set_text(&event, CL_EVENT_FIELD_TENANT, &event.tenant, plan->tenant);
    if (cl_plan_has(plan, CL_FIELD_IMAGE))
        set_text(&event, CL_EVENT_FIELD_IMAGE, &event.image, plan->image);
    event.labels = plan->labels;
    event.set |= plan->labels.count > 0 ? CL_EVENT_BIT(LABELS) : 0;
    return event;
}

struct cl_event cl_event_of_end(const struct cl_result *result)
{
    struct cl_event event = cl_event_of(CL_EVENT_END, result->id, result->plan);

    event.status = result->status;
    event.set |= CL_EVENT_BIT(STATUS);
    if (result->exit_code >= 0) {
        event.exit_code = (uint64_t)result->exit_code;
        event.set |= CL_EVENT_BIT(EXIT_CODE);
    }
    if (result->signal != 0) {
        event.signal = (uint64_t)result->signal;
        event.set |= CL_EVENT_BIT(SIGNAL);
    }
    set_text(&event, CL_EVENT_FIELD_ERROR, &event.error, result->error);
    return event;
}

/* --- telling ----------------------------------------------------------------- */

void cl_events_lost_name(const char *listener, char ret[CL_EVENTS_NAME_SIZE])
{
    (void)snprintf(ret, CL_EVENTS_NAME_SIZE, "%.16s.lost", listener);
}

/* What is of KIND and ours, or root's. */
static int open_ours(int dir, const char *name, int flags, mode_t kind)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st;

    if (fd < 0)
        return fd;
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return r;
    if ((st.st_mode & S_IFMT) != kind)
        return -ENOTSUP;
    return st.st_uid == geteuid() || st.st_uid == 0 ? CL_TAKE_FD(fd) : -EPERM;
}

/* One byte more: a listener that never reads costs no more than LOST_MOST of them. */
static void note_lost(int dir, const char *listener)
{
    char name[CL_EVENTS_NAME_SIZE];
    struct stat st;

    cl_events_lost_name(listener, name);
    CL_CLEANUP_FD int fd = open_ours(dir, name, O_WRONLY | O_CREAT | O_APPEND, S_IFREG);
    if (fd >= 0 && cl_sys_fstat(fd, &st) == 0 && st.st_size < LOST_MOST)
        (void)cl_sys_write(fd, ".", 1); /* or that is lost, too */
}

static void forget_listener(int dir, const char *listener)
{
    char name[CL_EVENTS_NAME_SIZE];

    cl_events_lost_name(listener, name);
    (void)cl_sys_unlinkat(dir, name, 0); /* the next event tries again */
    (void)cl_sys_unlinkat(dir, listener, 0);
}

/* 1 when LISTENER is dead, and has been removed. */
static int tell_one(int dir, const char *listener, const struct cl_buf *bytes)
{
    CL_CLEANUP_FD int fifo = open_ours(dir, listener, O_WRONLY, S_IFIFO);

    if (fifo == -ENXIO) {
        forget_listener(dir, listener);
        return 1;
    }
    if (fifo >= 0 && cl_sys_write(fifo, bytes->data, bytes->size) == -EAGAIN)
        note_lost(dir, listener);
    return 0;
}

int cl_events_are_heard(int dir)
{
    return cl_sys_faccessat(dir, CL_EVENTS_DIR, F_OK) == 0;
}

static void tell_all(int dir, int events, const struct cl_buf *bytes)
{
    struct cl_dir entries;
    const char *name;
    int removed = 0;

    cl_dir_start(&entries, events);
    while (cl_dir_next(&entries, &name, NULL) > 0) {
        if (cl_id_is(name))
            removed |= tell_one(events, name, bytes);
    }
    if (removed) /* while another listens it isn't empty */
        (void)cl_sys_unlinkat(dir, CL_EVENTS_DIR, AT_REMOVEDIR);
}

/* A listener that dies between open and write would end us by SIGPIPE, which for a FIFO there is no
 * flag against. */
void cl_events_tell(int dir, const struct cl_event *event)
{
    CL_CLEANUP_FD int events =
        cl_sys_openat(dir, CL_EVENTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    char storage[CL_EVENT_SIZE_MAX + 1];
    struct cl_event now = *event;
    struct cl_error unused = {0};
    struct sigaction before;

    if (events < 0)
        return;
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT_IN(sizeof(storage), storage);
    now.time_wall_ns = cl_clock_wall_ns();
    now.set |= CL_EVENT_BIT(TIME);
    if (cl_event_write(&now, &bytes, &unused) < 0 || sigaction(SIGPIPE, &ignore, &before) < 0)
        return;
    tell_all(dir, events, &bytes);
    (void)sigaction(SIGPIPE, &before, NULL); /* can't fail where the first didn't */
}

void cl_events_say(int dir, enum cl_event_kind kind, const char *id, const struct cl_plan *plan)
{
    const struct cl_event event = cl_event_of(kind, id, plan);

    cl_events_tell(dir, &event);
}

void cl_events_tell_end(int dir, const struct cl_result *result)
{
    const struct cl_event event = cl_event_of_end(result);

    if (result->status == CL_STATUS_OOM || (result->limits_hit & CL_HIT_MEMORY) != 0)
        cl_events_say(dir, CL_EVENT_OOM, result->id, result->plan);
    cl_events_tell(dir, &event);
    if (result->plan->detach && result->plan->remove)
        cl_events_say(dir, CL_EVENT_REMOVE, result->id, result->plan);
}
