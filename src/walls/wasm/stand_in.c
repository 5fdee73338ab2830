#include "walls/wasm/stand_in.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/channel.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/wasm/share.h"
#include "worker/line.h"

enum {
    GUEST = 1, /* the only one of its connection */
    AGAIN_MS = 20,
    ASKERS_MOST = 8, /* at a time; those who gave up are among them until the worker answers */
};

/* Who waits to be told what the guest uses. */
struct asker {
    int fifo;
    struct cl_wall_told told;
};

struct state {
    struct cl_stand_in *own;
    uint64_t began_ns; /* boot clock; 0: it hasn't */
    int signal;        /* by which it was asked to end; 0: it wasn't */
    struct asker askers[ASKERS_MOST];
    size_t asker_count; /* with the first of them the worker was asked */
};

/* --- what it used, as a worker says ------------------------------------------------------------
 */

/* It has one thread, and a linear memory that its worker was told the limit of. */
static uint64_t believe_cpu_ns(const struct state *state, const struct cl_answer *answer)
{
    return cl_min_u64(answer->cpu_ns, cl_clock_boot_ns() - state->began_ns);
}

static uint64_t believe_memory(const struct state *state, const struct cl_answer *answer)
{
    const struct cl_plan *plan = state->own->start->plan;

    return cl_plan_has(plan, CL_FIELD_MEMORY)
               ? cl_min_u64(answer->memory_bytes, plan->limits.memory_bytes)
               : answer->memory_bytes;
}

/* --- its end ------------------------------------------------------------------------------- */

CL_NORETURN static void end(const struct state *state, uint32_t stage)
{
    state->own->report->ended_boot_ns = cl_clock_boot_ns();
    __atomic_store_n(&state->own->report->stage, stage, __ATOMIC_RELEASE);
    _exit(0);
}

CL_NORETURN static void end_with(const struct state *state, int wait_status)
{
    state->own->report->main_status = wait_status;
    end(state, CL_REPORT_ENDED);
}

static int exited(uint32_t code)
{
    return (int)(code < CL_WORKER_MOST_STATUS ? code : CL_WORKER_MOST_STATUS) << 8;
}

CL_NORETURN static void fail(const struct state *state)
{
    end(state, CL_REPORT_FAILED);
}

CL_NORETURN static void fail_deserted(const struct state *state)
{
    (void)cl_refuse(&state->own->report->error, ECANCELED,
                    "the worker of the tenant %s has ended, and with it all that it ran",
                    state->own->start->plan->tenant);
    fail(state);
}

/* As of a worker of its own: what is wrong with the module is the module's status. */
CL_NORETURN static void end_refused(const struct state *state, const struct cl_answer *answer)
{
    if (answer->code == EINVAL || answer->code == ENOEXEC) {
        cl_line_say(state->own->line, answer->message);
        end_with(state, exited(CL_WORKER_NOT_BEGUN));
    }
    (void)cl_refuse(&state->own->report->error, ECANCELED, "the worker of the tenant %s: %.299s",
                    state->own->start->plan->tenant, answer->message);
    fail(state);
}

CL_NORETURN static void end_as(const struct state *state, const struct cl_answer *answer)
{
    struct cl_report *report = state->own->report;

    report->main_cpu_ns = believe_cpu_ns(state, answer);
    report->memory_peak_bytes = believe_memory(state, answer);
    switch (answer->status) {
    case CL_ANSWER_EXITED:
        end_with(state, exited(answer->code));
    case CL_ANSWER_TRAPPED:
        cl_line_say(state->own->line, answer->message);
        end_with(state, SIGABRT);
    case CL_ANSWER_SIGNALED:
        end_with(state, answer->code > 0 && answer->code < NSIG ? (int)answer->code : SIGKILL);
    default: /* also by its limit of processor time, which what it used shows */
        end_with(state, state->signal != 0 ? state->signal : SIGKILL);
    }
}

/* --- orders -------------------------------------------------------------------------------- */

static int send_order(const struct state *state, struct cl_packet *packet, int flags)
{
    return cl_channel_send(state->own->start->worker, packet, flags | MSG_NOSIGNAL);
}

static int send_word(const struct state *state, uint32_t kind, int flags)
{
    struct cl_order order = {.version = CL_WORKER_VERSION, .kind = kind, .guest = GUEST};
    struct cl_packet packet = {.data = &order, .size = sizeof(order)};

    return send_order(state, &packet, flags);
}

static int add_strings(struct cl_buf *buf, const struct cl_strlist *list)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = cl_buf_add(buf, list->items[i], strlen(list->items[i]) + 1);
    return r;
}

static int write_run(const struct state *state, const struct cl_packet *groups, struct cl_buf *buf)
{
    const struct cl_plan *plan = state->own->start->plan;
    const int has_process = plan->wasm_model == CL_WASM_PROCESS;
    /* Where it has a cgroup, the supervisor does. */
    const int counts_time = cl_plan_has(plan, CL_FIELD_CPU_TIME) && groups->fd_count == 0;
    struct cl_order_run run = {
        .order = {.version = CL_WORKER_VERSION, .kind = CL_ORDER_RUN, .guest = GUEST},
        .memory_bytes = has_process ? cl_wasm_guests_bytes(plan) : plan->limits.memory_bytes,
        .cpu_time_ns = counts_time ? plan->limits.cpu_time_ns : 0,
        .groups = (uint32_t)groups->fd_count,
        .max_descriptors = (uint32_t)plan->limits.open_files,
        .arguments = (uint32_t)plan->command.count,
        .environment = (uint32_t)plan->env.count,
    };

    for (unsigned int i = 0; i < 3; i++)
        run.streams |= state->own->start->stdio[i] >= 0 ? 1U << i : 0;
    int r = cl_buf_add(buf, &run, sizeof(run));
    if (r == 0)
        r = add_strings(buf, &plan->command);
    return r < 0 ? r : add_strings(buf, &plan->env);
}

/* GROUPS has the descriptors of its cgroups' files. */
static int send_run(const struct state *state, const struct cl_packet *groups)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_ORDER_MAX_BYTES);
    const struct cl_wall_start *start = state->own->start;
    int r = write_run(state, groups, &buf);

    if (r < 0)
        return r;
    struct cl_packet packet = {
        .data = buf.data, .size = buf.size, .fds = {start->image}, .fd_count = 1};
    for (size_t i = 0; i < 3; i++) {
        if (start->stdio[i] >= 0)
            packet.fds[packet.fd_count++] = start->stdio[i];
    }
    for (size_t i = 0; i < groups->fd_count; i++)
        packet.fds[packet.fd_count++] = groups->fds[i];
    r = send_order(state, &packet, 0);
    while (r == -ETOOMANYREFS) { /* descriptors of this user's that are on their way (unix(7)) */
        (void)cl_sys_poll(NULL, 0, AGAIN_MS); /* nothing tells when there are less */
        r = send_order(state, &packet, 0);
    }
    return r;
}

/* It is in the guest's cgroups, as any first process is: by that they are found (limits/gauges.h).
 * On v2 it was born there. */
static int enter_groups(const struct state *state, const struct cl_packet *groups)
{
    int r = 0;

    for (size_t i = 0; r == 0 && state->own->start->cgroup < 0 && i < groups->fd_count; i++)
        r = cl_write_all(groups->fds[i], "0", 1);
    return r;
}

/* The supervisor's filter and capabilities are enough from here on. */
static void begin(struct state *state, struct cl_packet *groups)
{
    struct cl_report *report = state->own->report;
    const struct cl_wall_start *start = state->own->start;

    state->began_ns = cl_clock_boot_ns();
    int r = enter_groups(state, groups);
    if (r == 0)
        r = send_run(state, groups);
    for (size_t i = 0; i < groups->fd_count; i++)
        cl_fd_close(&groups->fds[i]);
    if (r == -EPIPE || r == -ECONNRESET)
        fail_deserted(state);
    if (r == 0)
        r = cl_wall_container.shrink(start->plan, &report->error);
    else
        (void)cl_fail(&report->error, r, "give the module to the worker of the tenant %s",
                      start->plan->tenant);
    if (r < 0)
        fail(state);
    report->started_boot_ns = cl_clock_boot_ns();
    __atomic_store_n(&report->stage, CL_REPORT_STARTED, __ATOMIC_RELEASE);
    if (start->tells_start)
        (void)cl_write_all(state->own->channel, "", 1); /* or it has gone, and we with it */
    for (size_t i = 0; i < 3; i++) { /* whose ends they are waits for all copies to be closed */
        int fd = start->stdio[i];

        cl_fd_close(&fd);
    }
}

/* Whether SIGNAL ends a process that does nothing about it. A module can do nothing. */
static int is_deadly(int signal)
{
    return signal != SIGCHLD && signal != SIGURG && signal != SIGWINCH && signal != SIGCONT &&
           signal != SIGSTOP && signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU;
}

static void dismiss_askers(struct state *state)
{
    for (size_t i = 0; i < state->asker_count; i++)
        cl_fd_close(&state->askers[i].fifo);
    state->asker_count = 0;
}

/* FIFO is taken. A worker that is asked already isn't asked again. */
static void add_asker(struct state *state, const struct cl_wall_told *told, int fifo)
{
    CL_CLEANUP_FD int owned = fifo;

    if (owned < 0 || state->began_ns == 0 || state->asker_count == ASKERS_MOST)
        return;
    state->askers[state->asker_count++] = (struct asker){CL_TAKE_FD(owned), *told};
    if (state->asker_count == 1 && send_word(state, CL_ORDER_TELL, MSG_DONTWAIT) < 0)
        dismiss_askers(state);
}

static void end_guest(struct state *state, int signal)
{
    if (!is_deadly(signal))
        return;
    state->signal = signal;
    (void)send_word(state, CL_ORDER_END, 0);
}

/* The worker's end is heard by its answers. */
static void take_order(struct state *state)
{
    struct cl_stand_in_order order = {0};
    struct cl_packet packet = {
        .data = &order, .size = sizeof(order), .fd_count = CL_ORDER_MAX_GROUPS};
    int r = cl_channel_receive(state->own->channel, &packet, 0);

    if (r < 0 || packet.size != sizeof(order))
        _exit(0); /* the supervisor has gone */
    switch (order.kind) {
    case CL_STAND_IN_BEGIN:
        begin(state, &packet);
        return;
    case CL_STAND_IN_PAUSE:
        (void)send_word(state, order.value ? CL_ORDER_PAUSE : CL_ORDER_CONTINUE, 0);
        return;
    case CL_STAND_IN_TELL:
        add_asker(state, &order.told, packet.fd_count == 1 ? packet.fds[0] : -1);
        return;
    case CL_STAND_IN_SIGNAL:
        end_guest(state, order.value);
    }
}

/* --- answers ------------------------------------------------------------------------------- */

static void tell_askers(struct state *state, const struct cl_answer *answer)
{
    for (size_t i = 0; i < state->asker_count; i++) {
        struct cl_wall_told *told = &state->askers[i].told;

        told->cpu_ns = believe_cpu_ns(state, answer);
        told->memory_bytes = believe_memory(state, answer);
        (void)cl_sys_write(state->askers[i].fifo, told, sizeof(*told)); /* or it has given up */
    }
    dismiss_askers(state);
}

static void take_answer(struct state *state)
{
    struct cl_answer answer = {0};
    struct cl_packet packet = {.data = &answer, .size = sizeof(answer)};
    int r = cl_channel_receive(state->own->start->worker, &packet, 0);

    if (r < 0 || packet.size != sizeof(answer) || answer.version != CL_WORKER_VERSION)
        fail_deserted(state);
    answer.message[sizeof(answer.message) - 1] = '\0';
    if (answer.kind == CL_ANSWER_REFUSED)
        end_refused(state, &answer);
    if (answer.kind == CL_ANSWER_ENDED)
        end_as(state, &answer);
    if (answer.kind == CL_ANSWER_TOLD)
        tell_askers(state, &answer);
}

void cl_stand_in_run(struct cl_stand_in *own)
{
    struct state state = {.own = own};
    struct pollfd polled[] = {{.fd = own->channel, .events = POLLIN},
                              {.fd = own->start->worker, .events = POLLIN}};

    for (;;) {
        if (cl_sys_poll(polled, CL_ARRAY_SIZE(polled), -1) < 0)
            continue; /* a signal */
        if (polled[0].revents != 0)
            take_order(&state);
        if (polled[1].revents != 0)
            take_answer(&state);
    }
}
