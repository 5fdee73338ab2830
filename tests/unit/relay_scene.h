/* relay_scene.h - a relay between a pipe of ours and descriptors of every kind that a caller
 * may give. All ends are in this process, and nothing waits: a relay that blocks is ended by
 * the alarm.
 */
#ifndef CL_TESTS_UNIT_RELAY_SCENE_H
#define CL_TESTS_UNIT_RELAY_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/relay.h"
#include "check.h"

enum { ALARM_S = 60, TURNS_MOST = 10000, PAGE = 4096, NOBODY = 65534, BIG = 300000 };

struct scene {
    struct cl_loop loop;
    struct cl_relay relay;
    struct cl_output_budget budget;
    struct cl_error err;
    int ends;
    int near;   /* the program's end of our pipe: it writes output here, or reads input */
    int ours;   /* the relay's end of it, which the relay takes */
    int fds[2]; /* the caller's: [0] read, [1] written */
};

static inline void note_end(struct cl_relay *relay)
{
    ((struct scene *)relay->context)->ends++;
}

/* OURS is the relay's end: 0 it reads (output), 1 it writes (input). */
static inline void set_up(struct scene *scene, int ours)
{
    int pipe_fds[2];

    *scene = (struct scene){.loop = {.epfd = -1}, .fds = {-1, -1}};
    CHECK(cl_loop_init(&scene->loop, &scene->err) == 0);
    CHECK(cl_sys_pipe2(pipe_fds, 0) == 0);
    scene->ours = pipe_fds[ours];
    scene->near = pipe_fds[!ours];
    CHECK(fcntl(scene->ours, F_SETFL, O_NONBLOCK) == 0);
    CHECK(fcntl(scene->near, F_SETFL, O_NONBLOCK) == 0);
    scene->relay.on_end = note_end;
    scene->relay.context = scene;
    scene->budget.limit = UINT64_MAX;
}

static inline void done(struct scene *scene)
{
    cl_relay_done(&scene->relay);
    cl_fd_close(&scene->near);
    cl_fd_close(&scene->fds[0]);
    cl_fd_close(&scene->fds[1]);
    cl_loop_done(&scene->loop);
}

static inline int start_output(struct scene *scene, int out)
{
    scene->relay.budget = &scene->budget;
    return cl_relay_start_output(&scene->relay, &scene->loop, scene->ours, out, &scene->err);
}

static inline int start_input(struct scene *scene, int in)
{
    return cl_relay_start_input(&scene->relay, &scene->loop, in, scene->ours, &scene->err);
}

/* Dispatches as long as something is ready, and not for ever. */
static inline void spin(struct scene *scene)
{
    struct epoll_event event;
    int turns = 0;

    while (cl_sys_epoll_wait(scene->loop.epfd, &event, 1, 0) == 1) {
        struct cl_source *source = event.data.ptr;

        CHECK(source->on_event(source, event.events, &scene->err) == 0);
        if (++turns > TURNS_MOST) {
            CHECK(turns <= TURNS_MOST);
            return;
        }
    }
}

static inline char byte_at(size_t position)
{
    return (char)('a' + position * 7 % 26 + position / PAGE % 6);
}

/* Writes bytes from *POSITION on until FD takes no more or LIMIT is reached. */
static inline void feed(int fd, size_t *position, size_t limit)
{
    char data[PAGE];

    while (*position < limit) {
        size_t size = cl_min_u64(sizeof(data), limit - *position);

        for (size_t i = 0; i < size; i++)
            data[i] = byte_at(*position + i);
        ssize_t put = write(fd, data, size);
        if (put <= 0)
            return;
        *position += (size_t)put;
    }
}

/* Reads what there is from FD, which doesn't block, and compares. 1 at its end. */
static inline int eat(int fd, size_t *position)
{
    char data[PAGE];
    ssize_t got;

    while ((got = read(fd, data, sizeof(data))) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (data[i] != byte_at(*position + (size_t)i)) {
                CHECK(data[i] == byte_at(*position + (size_t)i));
                return 1;
            }
        }
        *position += (size_t)got;
    }
    return got == 0;
}

/* The kernel doesn't say whether the caller's pipe is ready: interrupted, it is asked again;
 * after another failure nobody could tell what would become of the stream, which ends. */
static inline void spin_unanswered(struct scene *scene)
{
    char fault[64];

    (void)snprintf(fault, sizeof(fault), "lacks:%d#1=%d,%d#1=%d", CL_SYS_POLL, EINTR, CL_SYS_POLL,
                   ENOMEM); /* the first that answers keeps the call from the second */
    cl_fault_set(fault);
    spin(scene);
    cl_fault_set(NULL);
    CHECK(scene->relay.failed == -ENOMEM && scene->relay.total == 0);
    CHECK(!scene->relay.active && scene->ends == 1);
}

static inline int make_file(const char *content)
{
    char path[] = "/tmp/cloister-test-relay-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);

    CHECK(fd >= 0 && unlink(path) == 0);
    CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static inline int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Makes the pipe behind FD one that this process can't open again, as another user's is. */
static inline int estrange(int fd)
{
    CHECK(fchmod(fd, 0) == 0);
    return setfsuid(NOBODY); /* does nothing for an ordinary user, whom the mode stops */
}

#endif
