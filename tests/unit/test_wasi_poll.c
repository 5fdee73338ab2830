/* test_wasi_poll.c - waiting for several things at once. */
#include <limits.h>
#include <poll.h>

#include "base/fault.h"
#include "wasi_scene.h"

enum { IN = LIST, OUT = DATA };

static const uint64_t short_time_ns = 20000000;

static uint64_t monotonic(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint8_t *subscribe(struct scene *scene, uint32_t index, uint8_t type)
{
    uint8_t *at = scene->memory.base + IN + (size_t)index * CL_WASI_SUBSCRIPTION_SIZE;

    memset(at, 0, CL_WASI_SUBSCRIPTION_SIZE);
    cl_wasi_store64(at, 0x1122334455667700 + index);
    at[8] = type;
    return at + 16;
}

static void subscribe_fd(struct scene *scene, uint32_t index, uint8_t type, uint32_t fd)
{
    cl_wasi_store32(subscribe(scene, index, type), fd);
}

static void subscribe_clock(struct scene *scene, uint32_t index, uint32_t clock, uint64_t timeout,
                            uint16_t flags)
{
    uint8_t *at = subscribe(scene, index, CL_WASI_EVENT_CLOCK);

    cl_wasi_store32(at, clock);
    cl_wasi_store64(at + 8, timeout);
    cl_wasi_store16(at + 24, flags);
}

static uint32_t poll_all(struct scene *scene, uint32_t count)
{
    return CALL(scene, "poll_oneoff", IN, OUT, count, RET);
}

/* Of the event INDEX: who it is of, error, type, bytes, flags. */
struct event {
    uint64_t subscription;
    uint32_t error, type;
    uint64_t bytes;
    uint32_t flags;
};

static struct event event(const struct scene *scene, uint32_t index)
{
    const uint8_t *at = scene->memory.base + OUT + (size_t)index * CL_WASI_EVENT_SIZE;

    return (struct event){.subscription = cl_wasi_load64(at) - 0x1122334455667700,
                          .error = cl_wasi_load16(at + 8),
                          .type = at[10],
                          .bytes = cl_wasi_load64(at + 16),
                          .flags = cl_wasi_load16(at + 24)};
}

static int is_event(const struct scene *scene, uint32_t index, uint64_t subscription,
                    uint32_t error)
{
    const struct event got = event(scene, index);

    return got.subscription == subscription && got.error == error;
}

/* --- clocks -------------------------------------------------------------------------------- */

TEST(a_relative_time_counts_from_the_first_call)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint64_t before = monotonic();

    subscribe_clock(&scene, 0, CL_WASI_MONOTONIC, short_time_ns, 0);
    CHECK(poll_all(&scene, 1) == CL_WASI_WAITS);
    const struct cl_wasi_wait first = *cl_wasi_waits_for(scene.wasi);
    CHECK(first.count == 0);
    CHECK(first.deadline_ns >= before + short_time_ns &&
          first.deadline_ns <= monotonic() + short_time_ns);
    CHECK(poll_all(&scene, 1) == CL_WASI_WAITS || monotonic() >= first.deadline_ns);
    CHECK(cl_wasi_waits_for(scene.wasi)->deadline_ns == first.deadline_ns);
    while (monotonic() < first.deadline_ns)
        (void)poll(NULL, 0, 1); /* as the worker does */
    CHECK(poll_all(&scene, 1) == CL_WASI_SUCCESS && scene_ret(&scene) == 1);
    CHECK(is_event(&scene, 0, 0, CL_WASI_SUCCESS) && event(&scene, 0).type == CL_WASI_EVENT_CLOCK);
    /* and the next one from then on */
    CHECK(poll_all(&scene, 1) == CL_WASI_WAITS);
    CHECK(cl_wasi_waits_for(scene.wasi)->deadline_ns > first.deadline_ns);
}

TEST(times_of_each_kind_are_waited_for)
{
    static const struct {
        uint32_t clock;
        uint64_t timeout;
        uint16_t flags;
        uint32_t answer, error;
    } rows[] = {
        {CL_WASI_REALTIME, 0, 0, CL_WASI_SUCCESS, CL_WASI_SUCCESS},
        {CL_WASI_REALTIME, 1, CL_WASI_ABSTIME, CL_WASI_SUCCESS, CL_WASI_SUCCESS},
        {CL_WASI_MONOTONIC, 1, CL_WASI_ABSTIME, CL_WASI_SUCCESS, CL_WASI_SUCCESS},
        {CL_WASI_MONOTONIC, UINT64_MAX, CL_WASI_ABSTIME, CL_WASI_WAITS, 0},
        {CL_WASI_MONOTONIC, UINT64_MAX, 0, CL_WASI_WAITS, 0},
        {CL_WASI_REALTIME, UINT64_MAX, CL_WASI_ABSTIME, CL_WASI_WAITS, 0},
        {CL_WASI_REALTIME, 1ULL << 62, 0, CL_WASI_WAITS, 0},
        {CL_WASI_PROCESS_CPUTIME, 0, 0, CL_WASI_SUCCESS, CL_WASI_NOTSUP},
        {CL_WASI_THREAD_CPUTIME, 0, 0, CL_WASI_SUCCESS, CL_WASI_NOTSUP},
        {4, 0, 0, CL_WASI_SUCCESS, CL_WASI_INVAL},
        {CL_WASI_MONOTONIC, 0, 2, CL_WASI_SUCCESS, CL_WASI_INVAL},
    };
    CLEANUP_SCENE struct scene scene = scene_make();

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        subscribe_clock(&scene, 0, rows[i].clock, rows[i].timeout, rows[i].flags);
        CHECK(poll_all(&scene, 1) == rows[i].answer);
        if (rows[i].answer == CL_WASI_SUCCESS)
            CHECK(scene_ret(&scene) == 1 && is_event(&scene, 0, 0, rows[i].error));
    }
}

TEST(the_earliest_time_is_waited_for)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint64_t now = monotonic();

    subscribe_clock(&scene, 0, CL_WASI_MONOTONIC, UINT64_MAX, 0);
    subscribe_clock(&scene, 1, CL_WASI_MONOTONIC, now + (1ULL << 40), CL_WASI_ABSTIME);
    subscribe_clock(&scene, 2, CL_WASI_MONOTONIC, 1ULL << 50, 0);
    CHECK(poll_all(&scene, 3) == CL_WASI_WAITS);
    CHECK(cl_wasi_waits_for(scene.wasi)->deadline_ns == now + (1ULL << 40));
}

/* --- descriptors --------------------------------------------------------------------------- */

TEST(streams_are_waited_for_together)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    subscribe_fd(&scene, 0, CL_WASI_EVENT_FD_READ, 0);
    subscribe_clock(&scene, 1, CL_WASI_MONOTONIC, 1ULL << 40, 0);
    CHECK(poll_all(&scene, 2) == CL_WASI_WAITS);
    const struct cl_wasi_wait *wait = cl_wasi_waits_for(scene.wasi);
    CHECK(wait->count == 1 && (wait->fds[0].events & POLLIN) != 0 &&
          wait->deadline_ns < UINT64_MAX);
    CHECK(write(scene.streams[0], "abc", 3) == 3 && poll(wait->fds, wait->count, 0) == 1);
    CHECK(poll_all(&scene, 2) == CL_WASI_SUCCESS && scene_ret(&scene) == 1);
    CHECK(is_event(&scene, 0, 0, CL_WASI_SUCCESS));
    CHECK(event(&scene, 0).bytes == 3 && event(&scene, 0).flags == 0);
    subscribe_fd(&scene, 1, CL_WASI_EVENT_FD_WRITE, 1);
    subscribe_fd(&scene, 2, CL_WASI_EVENT_FD_READ, 0); /* the same once more */
    CHECK(poll_all(&scene, 3) == CL_WASI_SUCCESS && scene_ret(&scene) == 3);
    CHECK(is_event(&scene, 1, 1, 0) && event(&scene, 1).type == CL_WASI_EVENT_FD_WRITE);
    CHECK(event(&scene, 1).bytes >= PIPE_BUF && event(&scene, 2).bytes == 3);
    cl_fd_close(&scene.streams[0]);
    CHECK(poll_all(&scene, 1) == CL_WASI_SUCCESS && event(&scene, 0).flags == CL_WASI_HANGUP);
}

TEST(a_pipe_that_nobody_reads_is_ready_to_fail)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    cl_fd_close(&scene.streams[1]);
    subscribe_fd(&scene, 0, CL_WASI_EVENT_FD_WRITE, 1);
    CHECK(poll_all(&scene, 1) == CL_WASI_SUCCESS && is_event(&scene, 0, 0, CL_WASI_SUCCESS));
    CHECK(event(&scene, 0).flags == CL_WASI_HANGUP);
}

TEST(files_are_ready_at_once)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    scene_file(&scene, "f", "123456789");
    const uint32_t fd = scene_open(&scene, "f", 0, ALL_RIGHTS);
    CHECK(CALL(&scene, "fd_seek", fd, 4, CL_WASI_WHENCE_SET, RET) == CL_WASI_SUCCESS);
    subscribe_fd(&scene, 0, CL_WASI_EVENT_FD_READ, fd);
    subscribe_fd(&scene, 1, CL_WASI_EVENT_FD_WRITE, fd);
    subscribe_fd(&scene, 2, CL_WASI_EVENT_FD_READ, 0); /* has nothing */
    CHECK(poll_all(&scene, 3) == CL_WASI_SUCCESS && scene_ret(&scene) == 2);
    CHECK(is_event(&scene, 0, 0, 0) && event(&scene, 0).bytes == 5 && is_event(&scene, 1, 1, 0));
    CHECK(CALL(&scene, "fd_seek", fd, 400, CL_WASI_WHENCE_SET, RET) == CL_WASI_SUCCESS);
    CHECK(poll_all(&scene, 1) == CL_WASI_SUCCESS && event(&scene, 0).bytes == 0);
}

TEST(what_can_not_be_waited_for_is_an_event)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    const uint32_t fd = scene_open(&scene, "f", CL_WASI_CREAT, CL_WASI_RIGHT_FD_READ);

    subscribe_fd(&scene, 0, CL_WASI_EVENT_FD_READ, 99);
    subscribe_fd(&scene, 1, CL_WASI_EVENT_FD_READ, fd);
    subscribe_fd(&scene, 2, CL_WASI_EVENT_FD_WRITE, 0);
    subscribe_fd(&scene, 3, CL_WASI_EVENT_FD_READ, ROOT);
    subscribe_fd(&scene, 4, CL_WASI_EVENT_FD_READ, 0);
    CHECK(poll_all(&scene, 5) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK(is_event(&scene, 0, 0, CL_WASI_BADF) && is_event(&scene, 1, 1, CL_WASI_NOTCAPABLE));
    CHECK(is_event(&scene, 2, 2, CL_WASI_NOTCAPABLE) && is_event(&scene, 3, 3, CL_WASI_NOTCAPABLE));
    CHECK(event(&scene, 0).type == CL_WASI_EVENT_FD_READ);
}

TEST(the_null_stream_is_always_ready)
{
    CLEANUP_SCENE struct scene scene = scene_bare();

    scene_start(&scene, (const int[3]){-1, -1, -1}, 0);
    subscribe_fd(&scene, 0, CL_WASI_EVENT_FD_READ, 0);
    subscribe_fd(&scene, 1, CL_WASI_EVENT_FD_WRITE, 1);
    CHECK(poll_all(&scene, 2) == CL_WASI_SUCCESS && scene_ret(&scene) == 2);
    CHECK(is_event(&scene, 0, 0, 0) && is_event(&scene, 1, 1, 0) && event(&scene, 0).bytes == 0);
}

/* --- what is refused ----------------------------------------------------------------------- */

TEST(subscriptions_that_are_none_or_too_many_are_refused)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(poll_all(&scene, 0) == CL_WASI_INVAL);
    CHECK(poll_all(&scene, 4097) == CL_WASI_INVAL && poll_all(&scene, UINT32_MAX) == CL_WASI_INVAL);
    CHECK(poll_all(&scene, 4096) == CL_WASI_FAULT); /* more than there is memory */
    (void)subscribe(&scene, 0, 3);
    CHECK(poll_all(&scene, 1) == CL_WASI_INVAL);
    subscribe_clock(&scene, 0, CL_WASI_MONOTONIC, 0, 0);
    (void)subscribe(&scene, 1, 255);
    CHECK(poll_all(&scene, 2) == CL_WASI_INVAL);
}

TEST(more_subscriptions_than_descriptors_are_fine)
{
    CLEANUP_SCENE struct scene scene = scene_make();
    enum { MANY = 1000 };

    for (uint32_t i = 0; i < MANY; i++)
        subscribe_fd(&scene, i, CL_WASI_EVENT_FD_READ, 0);
    CHECK(poll_all(&scene, MANY) == CL_WASI_WAITS && cl_wasi_waits_for(scene.wasi)->count == 1);
    CHECK(write(scene.streams[0], "x", 1) == 1);
    CHECK(poll_all(&scene, MANY) == CL_WASI_SUCCESS && scene_ret(&scene) == MANY);
    CHECK(is_event(&scene, MANY - 1, MANY - 1, 0));
}

TEST(events_may_lie_on_subscriptions)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    subscribe_clock(&scene, 0, CL_WASI_MONOTONIC, 0, 0);
    subscribe_fd(&scene, 1, CL_WASI_EVENT_FD_READ, 99);
    CHECK(CALL(&scene, "poll_oneoff", IN, IN + 8, 2, IN + 8) == CL_WASI_SUCCESS);
    CHECK(cl_wasi_load32(scene.memory.base + IN + 8) == 2); /* the number comes last */
    CHECK(cl_wasi_load16(scene.memory.base + IN + 8 + CL_WASI_EVENT_SIZE + 8) == CL_WASI_BADF);
}

TEST(a_wait_that_fails_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    subscribe_fd(&scene, 0, CL_WASI_EVENT_FD_READ, 0);
    cl_fault_set("alloc:1");
    CHECK(poll_all(&scene, 1) == CL_WASI_NOMEM && cl_fault_struck());
    cl_fault_set("alloc:2");
    CHECK(poll_all(&scene, 1) == CL_WASI_NOMEM && cl_fault_struck());
    cl_fault_set("syscall:1"); /* the clock */
    CHECK(poll_all(&scene, 1) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set("syscall:2"); /* poll */
    CHECK(poll_all(&scene, 1) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set("syscall:2:4");
    CHECK(poll_all(&scene, 1) == CL_WASI_WAITS && cl_fault_struck());
    cl_fault_set(NULL);
    CHECK(poll_all(&scene, 1) == CL_WASI_WAITS);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_relative_time_counts_from_the_first_call),
        ROW(times_of_each_kind_are_waited_for),
        ROW(the_earliest_time_is_waited_for),
        ROW(streams_are_waited_for_together),
        ROW(a_pipe_that_nobody_reads_is_ready_to_fail),
        ROW(files_are_ready_at_once),
        ROW(what_can_not_be_waited_for_is_an_event),
        ROW(the_null_stream_is_always_ready),
        ROW(subscriptions_that_are_none_or_too_many_are_refused),
        ROW(more_subscriptions_than_descriptors_are_fine),
        ROW(events_may_lie_on_subscriptions),
        ROW(a_wait_that_fails_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
