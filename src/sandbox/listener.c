#include "sandbox/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

enum {
    FIFO_BYTES = 1 << 20,
    TRIES = 100, /* each fails only when the last listener leaves at that very moment */
    NEW_OLD_S = 60,
};

static const char new_prefix[] = "new-";
enum { NEW_SIZE = sizeof(new_prefix) + CL_ID_SIZE };

static void new_name(const struct cl_listener *listener, char ret[NEW_SIZE])
{
    (void)snprintf(ret, NEW_SIZE, "%s%s", new_prefix, listener->name);
}

/* Of one who was killed before it listened. */
static int is_left_new(int events, const char *name)
{
    struct stat st;

    return strncmp(name, new_prefix, sizeof(new_prefix) - 1) == 0 &&
           cl_sys_fstatat(events, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           ((uint64_t)st.st_mtim.tv_sec + NEW_OLD_S) * CL_NS_PER_S <= cl_clock_wall_ns();
}

/* The FIFO of one who was killed: it is read as long as it has its name. */
static int is_left_fifo(int events, const char *name)
{
    CL_CLEANUP_FD int fd =
        cl_id_is(name) ? cl_sys_openat(events, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0) : -1;

    return fd == -ENXIO;
}

/* What was lost to one who has gone. It is written while he is there, or a moment later. */
static int is_left_lost(int events, const char *name)
{
    char lost[CL_EVENTS_NAME_SIZE];
    char id[CL_ID_SIZE];

    (void)snprintf(id, sizeof(id), "%.16s", name);
    cl_events_lost_name(id, lost);
    return cl_id_is(id) && strcmp(name, lost) == 0 && cl_sys_faccessat(events, id, F_OK) == -ENOENT;
}

static void sweep(int events)
{
    char lost[CL_EVENTS_NAME_SIZE];
    struct cl_dir entries;
    const char *name;

    cl_dir_start(&entries, events);
    while (cl_dir_next(&entries, &name, NULL) > 0) { /* the next one tries again */
        const int is_fifo = is_left_fifo(events, name);

        cl_events_lost_name(name, lost);
        if (is_fifo)
            (void)cl_sys_unlinkat(events, lost, 0);
        if (is_fifo || is_left_new(events, name) || is_left_lost(events, name))
            (void)cl_sys_unlinkat(events, name, 0);
    }
}

void cl_listeners_sweep(const struct cl_state *state)
{
    CL_CLEANUP_FD int events =
        cl_sys_openat(state->dir, CL_EVENTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

    if (events < 0)
        return;
    sweep(events);
    /* While anybody listens it isn't empty. */
    (void)cl_sys_unlinkat(state->dir, CL_EVENTS_DIR, AT_REMOVEDIR);
}

/* A FIFO that can be read from the moment it can be found. -ENOENT: the directory was removed. */
static int make_fifo(struct cl_listener *listener)
{
    char name[NEW_SIZE];

    new_name(listener, name);
    listener->events =
        cl_state_open_dir(listener->dir, CL_EVENTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (listener->events < 0)
        return listener->events;
    sweep(listener->events);
    int r = cl_sys_mknodat(listener->events, name, S_IFIFO | 0600, 0);
    if (r < 0)
        return r;
    listener->fifo = cl_sys_openat(listener->events, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
    if (listener->fifo < 0)
        return listener->fifo;
    /* What the host doesn't grant (pipe(7), pipe-user-pages-soft) is lost sooner, and told. */
    (void)cl_sys_fcntl(listener->fifo, F_SETPIPE_SZ, FIFO_BYTES);
    return cl_sys_renameat(listener->events, name, listener->events, listener->name);
}

int cl_listener_open(const struct cl_state *state, struct cl_listener *ret, struct cl_error *err)
{
    int r;

    *ret = (struct cl_listener){.dir = state->dir, .events = -1, .fifo = -1};
    r = cl_id_make(ret->name, err);
    if (r < 0)
        return r;
    r = -ENOENT;
    for (int i = 0; r == -ENOENT && i < TRIES; i++) {
        cl_fd_close(&ret->fifo);
        cl_fd_close(&ret->events);
        r = make_fifo(ret);
    }
    if (r < 0) {
        cl_listener_done(ret);
        (void)cl_fail(err, r, "make a FIFO in the state directory");
        return cl_state_hint(r, err);
    }
    return 0;
}

static int fill(struct cl_listener *listener, struct cl_error *err)
{
    const size_t left = listener->end - listener->start;

    memmove(listener->bytes, listener->bytes + listener->start, left);
    listener->start = 0;
    listener->end = left;
    ssize_t got =
        cl_sys_read(listener->fifo, listener->bytes + left, sizeof(listener->bytes) - left);
    if (got == -EAGAIN || got == -EINTR)
        return 0;
    if (got < 0)
        return cl_fail(err, (int)got, "read events");
    listener->end += (size_t)got;
    return got > 0;
}

int cl_listener_next(struct cl_listener *listener, struct cl_arena *arena, struct cl_event *ret,
                     struct cl_error *err)
{
    for (;;) {
        const char *data = listener->bytes + listener->start;
        int size = cl_event_size(data, listener->end - listener->start);

        if (size < 0)
            return cl_refuse(err, EBADMSG,
                             "somebody tells of events in another version: is there another "
                             "cloister on this host?");
        if (size > 0) {
            listener->start += (size_t)size;
            int r = cl_event_read(data, (size_t)size, arena, ret, err);
            return r < 0 ? r : 1;
        }
        int r = fill(listener, err);
        if (r <= 0)
            return r;
    }
}

uint64_t cl_listener_lost(struct cl_listener *listener)
{
    char name[CL_EVENTS_NAME_SIZE];
    struct stat st;
    uint64_t lost = 0;

    cl_events_lost_name(listener->name, name);
    if (cl_sys_fstatat(listener->events, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        (uint64_t)st.st_size <= listener->lost)
        return 0;
    lost = (uint64_t)st.st_size - listener->lost;
    listener->lost = (uint64_t)st.st_size;
    return lost;
}

void cl_listener_done(struct cl_listener *listener)
{
    char lost[CL_EVENTS_NAME_SIZE];
    char name[NEW_SIZE];

    if (listener->events >= 0) { /* an event of a killed one's does what fails here */
        (void)cl_sys_unlinkat(listener->events, listener->name, 0);
        new_name(listener, name);
        (void)cl_sys_unlinkat(listener->events, name, 0);
        cl_events_lost_name(listener->name, lost);
        (void)cl_sys_unlinkat(listener->events, lost, 0);
        (void)cl_sys_unlinkat(listener->dir, CL_EVENTS_DIR, AT_REMOVEDIR);
    }
    cl_fd_close(&listener->fifo);
    cl_fd_close(&listener->events);
}
