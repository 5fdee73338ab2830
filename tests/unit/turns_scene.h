/* turns_scene.h - guests on one thread, who are here functions of the test; the engine is none: its
 * functions that turns.c calls are here. */
#ifndef CL_TESTS_UNIT_TURNS_SCENE_H
#define CL_TESTS_UNIT_TURNS_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/queue.h> /* glibc's: turns.h needs it, and musl has none */
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "check.h"
#include "wasi/state.h"
#include "worker/ticker.h"
#include "worker/turns.h"

enum { MOST = 8, SAID = 256 };
#define MS CL_NS_PER_MS

struct actor;
typedef int turn_function(struct actor *actor, struct cl_guest_end *end);

struct cl_engine {
    volatile int ticks;
};

struct cl_guest {
    struct actor *actor;
};

struct actor {
    struct cl_taker taker;
    struct cl_guest guest;
    struct cl_wasi wasi; /* of which there is the wait */
    struct pollfd fds[2];
    turn_function *turn;
    struct actor *other; /* what it does something to */
    char name;
    int turns, ends;
    enum cl_answer_status status;
    uint32_t exit_code;
    int fd;
};

static struct stage {
    struct cl_engine engine;
    struct cl_turns turns;
    struct actor actors[MOST];
    size_t count;
    int left; /* who has not ended */
    char said[SAID];
    size_t said_size;
    int idle_calls, idle_work;
    int did_idle_while_ready;
    struct cl_error err;
} stage;

/* --- the engine ---------------------------------------------------------------------------- */

void cl_engine_tick(struct cl_engine *engine)
{
    engine->ticks++;
}

int cl_guest_go_on(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    struct actor *actor = guest->actor;

    CHECK(actor->ends == 0 && actor->taker.state == CL_TAKER_OUT);
    actor->turns++;
    if (stage.said_size < SAID - 1)
        stage.said[stage.said_size++] = actor->name;
    const int r = actor->turn(actor, ret_end);
    return r < 0 ? cl_fail(err, r, "go on") : r;
}

/* --- the stage ----------------------------------------------------------------------------- */

static inline void on_end(struct cl_taker *taker, const struct cl_taker_end *end)
{
    struct actor *actor = CL_CONTAINER_OF(taker, struct actor, taker);

    CHECK(taker->state == CL_TAKER_OUT && taker->deadline.place == 0 && taker->sources == NULL);
    actor->ends++;
    actor->status = end->status;
    CHECK((end->status == 0) == (end->err != NULL));
    if (end->status == CL_ANSWER_EXITED)
        actor->exit_code = end->end->exit_code;
    if (--stage.left == 0)
        stage.turns.is_stopped = 1;
}

static inline int on_idle(CL_UNUSED void *context)
{
    stage.idle_calls++;
    stage.did_idle_while_ready |= !TAILQ_EMPTY(&stage.turns.ready);
    return stage.idle_work > 0 && --stage.idle_work > 0;
}

static inline void set_stage(void)
{
    memset(&stage, 0, sizeof(stage));
    CHECK(cl_turns_init(&stage.turns, &stage.engine, MOST, &stage.err) == 0);
    stage.turns.on_end = on_end;
    stage.turns.on_idle = on_idle;
}

/* One that enters next; it has no limits. */
static inline struct actor *add(char name, turn_function *turn)
{
    struct actor *actor = &stage.actors[stage.count++];

    CL_ASSERT(stage.count <= MOST);
    actor->name = name;
    actor->turn = turn;
    actor->fd = -1;
    actor->guest.actor = actor;
    actor->taker.guest = &actor->guest;
    actor->taker.wasi = &actor->wasi;
    actor->taker.cpu_limit_ns = UINT64_MAX;
    actor->taker.until_ns = UINT64_MAX;
    return actor;
}

/* Nothing of anybody is left in the turns. */
static inline void check_empty(void)
{
    CHECK(TAILQ_EMPTY(&stage.turns.ready) && stage.turns.ready_count == 0);
    CHECK(stage.turns.deadlines.count == 0);
    for (size_t i = 0; i < stage.count; i++)
        CHECK(stage.actors[i].taker.sources == NULL && stage.actors[i].taker.source_count == 0);
}

/* Until all have ended. */
static inline int play(void)
{
    stage.left = (int)stage.count;
    for (size_t i = 0; i < stage.count; i++)
        cl_turns_enter(&stage.turns, &stage.actors[i].taker);
    const int r = cl_turns_run(&stage.turns, &stage.err);
    if (r == 0)
        check_empty();
    CHECK(!stage.did_idle_while_ready);
    return r;
}

static inline void clear_stage(void)
{
    CHECK(cl_ticker_set(0, &stage.err) == 0);
    cl_turns_done(&stage.turns);
}

/* All have ended, once, by themselves. */
static inline void check_exits(void)
{
    for (size_t i = 0; i < stage.count; i++)
        CHECK(stage.actors[i].ends == 1 && stage.actors[i].status == CL_ANSWER_EXITED);
}

/* --- turns --------------------------------------------------------------------------------- */

static inline int leave_after(const struct actor *actor, int turns, struct cl_guest_end *end)
{
    if (actor->turns < turns)
        return CL_TURN_OVER;
    *end = (struct cl_guest_end){.kind = CL_GUEST_END_EXITED, .exit_code = 7};
    return CL_TURN_ENDED;
}

static inline int take_three(struct actor *actor, struct cl_guest_end *end)
{
    return leave_after(actor, 3, end);
}

static inline int take_five(struct actor *actor, struct cl_guest_end *end)
{
    return leave_after(actor, 5, end);
}

static inline int go(struct actor *actor, struct cl_guest_end *end)
{
    return leave_after(actor, 1, end);
}

/* What it waits for is a moment, and COUNT of its fds. */
static inline int wait_for(struct actor *actor, nfds_t count, uint64_t deadline_ns)
{
    actor->wasi.wait = (struct cl_wasi_wait){actor->fds, count, deadline_ns};
    return CL_TURN_WAITS;
}

static inline int wait_for_input(struct actor *actor, int fd)
{
    actor->fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
    return wait_for(actor, 1, UINT64_MAX);
}

static inline int read_once(struct actor *actor, struct cl_guest_end *end)
{
    char byte;

    if (read(actor->fd, &byte, 1) < 0)
        return wait_for_input(actor, actor->fd);
    return leave_after(actor, 0, end);
}

/* Uses the processor until the tick. */
static inline int spin(CL_UNUSED struct actor *actor, CL_UNUSED struct cl_guest_end *end)
{
    const unsigned int tick = cl_ticker_count();

    while (cl_ticker_count() == tick)
        ;
    return CL_TURN_OVER;
}

static inline int rest_long(struct actor *actor, CL_UNUSED struct cl_guest_end *end)
{
    return wait_for(actor, 0, cl_clock_mono_ns() + 3600 * CL_NS_PER_S);
}

static inline void make_pipe(int fds[2])
{
    CHECK(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
}

static inline void close_pipe(int fds[2])
{
    cl_fd_close(&fds[0]);
    cl_fd_close(&fds[1]);
}

#endif
