#include "base/loop.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"

int cl_loop_init(struct cl_loop *ret, struct cl_error *err)
{
    int epfd = cl_sys_epoll_create();

    if (epfd < 0)
        return cl_fail(err, epfd, "epoll_create1");
    *ret = (struct cl_loop){.epfd = epfd};
    return 0;
}

void cl_loop_done(struct cl_loop *loop)
{
    cl_fd_close(&loop->epfd);
}

int cl_loop_add(struct cl_loop *loop, struct cl_source *source, struct cl_error *err)
{
    struct epoll_event event = {.events = source->events, .data.ptr = source};
    int r = cl_sys_epoll_ctl(loop->epfd, EPOLL_CTL_ADD, source->fd, &event);

    if (r < 0)
        return cl_fail(err, r, "epoll_ctl add descriptor %d", source->fd);
    source->added = 1;
    return 0;
}

void cl_loop_remove(struct cl_loop *loop, struct cl_source *source)
{
    if (!source->added)
        return;
    cl_sys_epoll_remove(loop->epfd, source->fd);
    source->added = 0;
}

int cl_loop_change(struct cl_loop *loop, struct cl_source *source, uint32_t events,
                   struct cl_error *err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int r = cl_sys_epoll_ctl(loop->epfd, EPOLL_CTL_MOD, source->fd, &event);

    if (r < 0)
        return cl_fail(err, r, "epoll_ctl change descriptor %d", source->fd);
    source->events = events;
    return 0;
}

int cl_loop_run(struct cl_loop *loop, struct cl_error *err)
{
    /* One event at a time: a callback may free the source of the next one. */
    struct epoll_event event;

    while (!loop->stopped) {
        int count = cl_sys_epoll_wait(loop->epfd, &event, 1, -1);

        if (count == -EINTR)
            continue;
        if (count < 0)
            return cl_fail(err, count, "epoll_wait");
        struct cl_source *source = event.data.ptr;
        int r = source->on_event(source, event.events, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void cl_loop_stop(struct cl_loop *loop)
{
    loop->stopped = 1;
}

int cl_loop_dispatch(struct cl_loop *loop, uint64_t timeout_ns, struct cl_error *err)
{
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / CL_NS_PER_S),
                                     .tv_nsec = (long)(timeout_ns % CL_NS_PER_S)};
    struct epoll_event event;
    int count =
        cl_sys_epoll_wait_for(loop->epfd, &event, 1, timeout_ns == UINT64_MAX ? NULL : &timeout);

    if (count == -EINTR || count == 0)
        return 0;
    if (count < 0)
        return cl_fail(err, count, "epoll_pwait2");
    struct cl_source *source = event.data.ptr;
    const int r = source->on_event(source, event.events, err);
    return r < 0 ? r : 1;
}
