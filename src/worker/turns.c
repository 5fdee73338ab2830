#include "worker/turns.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/sys.h"
#include "worker/ticker.h"

enum {
    EVENTS_AT_ONCE = 64, /* before somebody runs again */
    EVENTS_WHEN_BUSY = 4,
    BUSY = 64,               /* ready at a time */
    IDLE_NS = 20 << 20,      /* nobody has run for as long: no ticks until somebody does */
    ASK_AGAIN_NS = 10 << 20, /* for what can't be watched */
};

int cl_turns_init(struct cl_turns *ret, struct cl_engine *engine, size_t most, struct cl_error *err)
{
    *ret = (struct cl_turns){.loop = {.epfd = -1}};
    TAILQ_INIT(&ret->ready);
    if (cl_deadlines_init(&ret->deadlines, most) < 0)
        return cl_fail_memory(err);
    int r = cl_loop_init(&ret->loop, err);
    return r < 0 ? r : cl_ticker_init(engine, err);
}

void cl_turns_done(struct cl_turns *turns)
{
    cl_ticker_done();
    cl_loop_done(&turns->loop);
    cl_deadlines_done(&turns->deadlines);
}

/* --- where a taker is ---------------------------------------------------------------------- */

static void set_deadline(struct cl_taker *taker, uint64_t at_ns)
{
    taker->deadline.at_ns = at_ns;
    if (at_ns != UINT64_MAX)
        cl_deadlines_add(&taker->turns->deadlines, &taker->deadline);
}

/* There may be many before it: its time goes on meanwhile. */
static void make_ready(struct cl_taker *taker)
{
    taker->state = CL_TAKER_READY;
    taker->turns->ready_count++;
    TAILQ_INSERT_TAIL(&taker->turns->ready, taker, link);
    set_deadline(taker, taker->until_ns);
}

/* Who is paused waits for no more than its end. */
static void hold(struct cl_taker *taker)
{
    taker->state = CL_TAKER_HELD;
    set_deadline(taker, taker->until_ns);
}

static void stop_waiting(struct cl_taker *taker)
{
    for (size_t i = 0; i < taker->source_count; i++)
        cl_loop_remove(&taker->turns->loop, &taker->sources[i]);
    if (taker->sources != &taker->one)
        free(taker->sources);
    taker->sources = NULL;
    taker->source_count = 0;
}

static void take_out(struct cl_taker *taker)
{
    if (taker->state == CL_TAKER_READY) {
        TAILQ_REMOVE(&taker->turns->ready, taker, link);
        taker->turns->ready_count--;
    }
    stop_waiting(taker);
    cl_deadlines_remove(&taker->turns->deadlines, &taker->deadline);
    taker->state = CL_TAKER_OUT;
}

/* What it waited for has come, or might have. */
static void wake(struct cl_taker *taker)
{
    take_out(taker);
    if (taker->is_paused)
        hold(taker);
    else
        make_ready(taker);
}

static void end(struct cl_taker *taker, enum cl_answer_status status)
{
    const struct cl_taker_end how = {.status = status};

    take_out(taker);
    taker->turns->on_end(taker, &how);
}

/* --- waiting ------------------------------------------------------------------------------- */

static int on_ready(struct cl_source *source, CL_UNUSED uint32_t events,
                    CL_UNUSED struct cl_error *err)
{
    wake(source->context);
    return 0;
}

/* At least how much is to be waited, with sources of its own for all that can be watched. */
static uint64_t watch(struct cl_taker *taker, const struct cl_wasi_wait *wait, uint64_t now_ns)
{
    struct cl_error ignored; /* it is asked again instead */
    uint64_t at_ns = wait->deadline_ns;

    taker->sources =
        wait->count <= 1 ? &taker->one : cl_calloc(wait->count, sizeof(struct cl_source));
    if (taker->sources == NULL)
        return now_ns + ASK_AGAIN_NS;
    for (nfds_t i = 0; i < wait->count; i++) {
        struct cl_source *source = &taker->sources[taker->source_count];

        *source = (struct cl_source){.fd = wait->fds[i].fd,
                                     .events = (uint32_t)wait->fds[i].events,
                                     .on_event = on_ready,
                                     .context = taker};
        if (cl_loop_add(&taker->turns->loop, source, &ignored) == 0)
            taker->source_count++;
        else
            at_ns = cl_min_u64(at_ns, now_ns + ASK_AGAIN_NS);
    }
    return at_ns;
}

/* poll's events are epoll's. */
static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT, "what is waited for has the same bits");

static void park(struct cl_taker *taker)
{
    const struct cl_wasi_wait *wait = cl_wasi_waits_for(taker->wasi);
    const uint64_t now_ns = cl_clock_mono_ns();

    if (wait->deadline_ns <= now_ns) { /* it only lets others run */
        make_ready(taker);
        return;
    }
    taker->state = CL_TAKER_PARKED;
    set_deadline(taker, cl_min_u64(watch(taker, wait, now_ns), taker->until_ns));
}

/* --- one turn ------------------------------------------------------------------------------ */

static uint64_t cpu_now_ns(void)
{
    struct timespec now = {0};

    (void)cl_sys_clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* there is one */
    return (uint64_t)now.tv_sec * CL_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void conclude(struct cl_taker *taker, struct cl_guest_end *ended, const struct cl_error *err)
{
    static const enum cl_answer_status statuses[] = {
        [CL_GUEST_END_EXITED] = CL_ANSWER_EXITED,
        [CL_GUEST_END_TRAPPED] = CL_ANSWER_TRAPPED,
        [CL_GUEST_END_EXCEEDED] = CL_ANSWER_OUTPUT,
    };
    const struct cl_taker_end how = {
        .status = err == NULL ? statuses[ended->kind] : 0,
        .end = ended,
        .err = err,
    };

    taker->turns->on_end(taker, &how);
}

static void run_one(struct cl_taker *taker)
{
    struct cl_guest_end ended = {0};
    struct cl_error err = {0};

    take_out(taker);
    const uint64_t begun_ns = cpu_now_ns();
    const int r = cl_guest_go_on(taker->guest, &ended, &err);
    taker->cpu_ns += cpu_now_ns() - begun_ns;
    if (r < 0 || r == CL_TURN_ENDED)
        conclude(taker, &ended, r < 0 ? &err : NULL);
    else if (taker->cpu_ns >= taker->cpu_limit_ns)
        end(taker, CL_ANSWER_CPU_TIME);
    else if (taker->until_ns != UINT64_MAX && cl_clock_mono_ns() >= taker->until_ns)
        end(taker, CL_ANSWER_TIME);
    else if (r == CL_TURN_WAITS)
        park(taker);
    else
        make_ready(taker);
}

/* Those who are ready, in turns, until the tick. */
static void run_ready(struct cl_turns *turns)
{
    const unsigned int tick = cl_ticker_count();

    while (!TAILQ_EMPTY(&turns->ready) && cl_ticker_count() == tick)
        run_one(TAILQ_FIRST(&turns->ready));
}

/* --- the loop ------------------------------------------------------------------------------ */

static void wake_due(struct cl_turns *turns, uint64_t now_ns)
{
    struct cl_deadline *first;

    while ((first = cl_deadlines_first(&turns->deadlines)) != NULL && first->at_ns <= now_ns) {
        struct cl_taker *taker = CL_CONTAINER_OF(first, struct cl_taker, deadline);

        if (now_ns >= taker->until_ns)
            end(taker, CL_ANSWER_TIME);
        else
            wake(taker);
    }
}

static int set_ticking(struct cl_turns *turns, int is_on, struct cl_error *err)
{
    if (turns->is_ticking == is_on)
        return 0;
    int r = cl_ticker_set(is_on, err);
    if (r == 0)
        turns->is_ticking = is_on;
    return r;
}

/* How long nothing is to be done but to wait. */
static uint64_t time_to_wait(const struct cl_turns *turns, uint64_t now_ns)
{
    const struct cl_deadline *first = cl_deadlines_first(&turns->deadlines);

    if (!TAILQ_EMPTY(&turns->ready))
        return 0;
    if (first == NULL)
        return UINT64_MAX;
    return first->at_ns > now_ns ? first->at_ns - now_ns : 0;
}

static int look_at_events(struct cl_turns *turns, uint64_t timeout_ns, struct cl_error *err)
{
    const int most = cl_turns_are_busy(turns) ? EVENTS_WHEN_BUSY : EVENTS_AT_ONCE;
    int r = cl_loop_dispatch(&turns->loop, timeout_ns, err);

    for (int i = 1; r == 1 && i < most; i++)
        r = cl_loop_dispatch(&turns->loop, 0, err);
    return r < 0 ? r : 0;
}

static int wait_for_events(struct cl_turns *turns, struct cl_error *err)
{
    const uint64_t now_ns = cl_clock_mono_ns();
    uint64_t timeout_ns = time_to_wait(turns, now_ns);

    if (timeout_ns > 0 && turns->on_idle(turns->context))
        timeout_ns = 0;
    if (timeout_ns > 0 && now_ns - turns->ran_ns > IDLE_NS) {
        int r = set_ticking(turns, 0, err);
        if (r < 0)
            return r;
    }
    return look_at_events(turns, timeout_ns, err);
}

int cl_turns_run(struct cl_turns *turns, struct cl_error *err)
{
    while (!turns->is_stopped) {
        int r = wait_for_events(turns, err);

        if (r < 0)
            return r;
        wake_due(turns, cl_clock_mono_ns());
        if (TAILQ_EMPTY(&turns->ready))
            continue;
        r = set_ticking(turns, 1, err);
        if (r < 0)
            return r;
        run_ready(turns);
        turns->ran_ns = cl_clock_mono_ns();
    }
    return 0;
}

int cl_turns_are_busy(const struct cl_turns *turns)
{
    return turns->ready_count > BUSY;
}

/* --- from outside -------------------------------------------------------------------------- */

void cl_turns_enter(struct cl_turns *turns, struct cl_taker *taker)
{
    taker->turns = turns;
    make_ready(taker);
}

void cl_turns_leave(struct cl_taker *taker)
{
    take_out(taker);
}

void cl_turns_pause(struct cl_taker *taker, int is_paused)
{
    taker->is_paused = is_paused;
    if (is_paused && taker->state == CL_TAKER_READY) {
        take_out(taker);
        hold(taker);
    } else if (!is_paused && taker->state == CL_TAKER_HELD) {
        wake(taker);
    }
}
