/* events: what becomes of sandboxes, a line of JSON each, as it happens. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/filter.h"
#include "sandbox/ended.h"
#include "sandbox/listener.h"

enum {
    PIECE = PIPE_BUF, /* what a pipe that can be written to takes at once */
    LINE_MAX_SIZE = 1 << 16,
    ARENA_MAX = 1 << 16,
};

static const char key[] = "event=";
enum { KEY_SIZE = sizeof(key) - 1 };

struct context {
    struct cl_filters filters;
    unsigned int kinds; /* 1 << enum cl_event_kind; 0: all */
    struct cl_listener listener;
    int signals; /* a signalfd */
    int ended;   /* by a signal, its number; -1: nobody reads any more */
};

static int add_kind(struct context *context, const char *name, struct cl_error *err)
{
    for (enum cl_event_kind i = 0; i < CL_EVENT_COUNT; i++) {
        if (strcmp(cl_event_name(i), name) == 0) {
            context->kinds |= 1U << i;
            return 0;
        }
    }
    return cl_refuse(err, EINVAL,
                     "there is no event \"%.40s\"; there are start, exec, pause, unpause, kill, "
                     "stop, oom, end and remove",
                     name);
}

static int add_filter(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct context *context = data;

    return strncmp(value, key, KEY_SIZE) == 0 ? add_kind(context, value + KEY_SIZE, err)
                                              : cl_filters_add(&context->filters, value, err);
}

static const struct cl_option options[] = {
    {"filter", 'f', "KEY=VALUE", "those alone: event, or what ps filters by (id, name, label...)",
     add_filter, 0, NULL},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"since", 0, "nobody keeps what has been; see ps --all and inspect"},
    {"until", 0, "not built yet: it goes on until it is interrupted"},
    {"format", 0, "it is JSON, a line each"},
    {NULL, 0, NULL},
};

/* --- one event ----------------------------------------------------------------- */

/* The sandbox as it is after EVENT. */
static int is_wanted(const struct context *context, const struct cl_event *event)
{
    const struct cl_ended ended = {.status = event->status};
    struct cl_plan plan = {.labels = event->labels};
    struct cl_status status = {.phase = CL_PHASE_RUNNING};
    struct cl_entry entry = CL_ENTRY_INIT;
    const struct cl_visit visit = {
        .entry = &entry,
        .status = &status,
        .plan = &plan,
        .alive = event->kind != CL_EVENT_REMOVE,
        .ended = event->kind == CL_EVENT_END ? &ended : NULL,
    };

    if (context->kinds != 0 && (context->kinds & 1U << event->kind) == 0)
        return 0;
    memcpy(entry.id, event->id, CL_ID_SIZE);
    status.phase = event->kind == CL_EVENT_PAUSE ? CL_PHASE_PAUSED : CL_PHASE_RUNNING;
    if (cl_event_has(event, CL_EVENT_FIELD_NAME)) {
        plan.name = event->name;
        cl_plan_mark(&plan, CL_FIELD_NAME);
    }
    if (cl_event_has(event, CL_EVENT_FIELD_TENANT)) {
        plan.tenant = event->tenant;
        cl_plan_mark(&plan, CL_FIELD_TENANT);
    }
    if (cl_event_has(event, CL_EVENT_FIELD_IMAGE)) {
        plan.image = event->image;
        cl_plan_mark(&plan, CL_FIELD_IMAGE);
    }
    return cl_filters_match(&context->filters, &visit);
}

static void add_number(struct cl_json *json, const char *name, const struct cl_event *event,
                       enum cl_event_field field, uint64_t value)
{
    if (cl_event_has(event, field))
        cl_json_u64(json, name, value);
    else
        cl_json_null(json, name);
}

static void add_kinds_own(struct cl_json *json, const struct cl_event *event)
{
    if (event->kind == CL_EVENT_KILL)
        cl_json_u64(json, "signal", event->signal);
    if (event->kind != CL_EVENT_END)
        return;
    cl_json_string(json, "status", cl_result_status_name((enum cl_result_status)event->status));
    add_number(json, "exit_code", event, CL_EVENT_FIELD_EXIT_CODE, event->exit_code);
    add_number(json, "signal", event, CL_EVENT_FIELD_SIGNAL, event->signal);
    cl_json_string(json, "error", event->error);
}

static void begin_line(struct cl_json *json, uint64_t wall_ns, const char *event,
                       struct cl_buf *line)
{
    char time[CL_RFC3339_SIZE];

    cl_clock_rfc3339(wall_ns, time);
    cl_json_begin(json, line, 0);
    cl_json_object(json, NULL);
    cl_json_string(json, "time", time);
    cl_json_string(json, "event", event);
}

static int end_line(struct cl_json *json, struct cl_error *err)
{
    cl_json_close(json, '}');
    return cl_json_end(json) < 0 ? cl_fail_memory(err) : 0;
}

static int add_line(const struct cl_event *event, struct cl_buf *line, struct cl_error *err)
{
    struct cl_json json;

    begin_line(&json, event->time_wall_ns, cl_event_name((enum cl_event_kind)event->kind), line);
    cl_json_string(&json, "id", event->id);
    cl_json_string(&json, "name", event->name);
    cl_json_string(&json, "tenant", event->tenant);
    cl_json_string(&json, "image", event->image);
    cl_json_strings(&json, "labels", event->labels.items, event->labels.count);
    add_kinds_own(&json, event);
    if (cl_event_has(event, CL_EVENT_FIELD_CUT))
        cl_json_bool(&json, "cut", 1);
    return end_line(&json, err);
}

/* --- the loop -------------------------------------------------------------------- */

/* Waits for FD's EVENTS: 1, or 0 when it is over. */
static int wait_for(struct context *context, int fd, short events, struct cl_error *err)
{
    struct pollfd polled[] = {
        {.fd = fd, .events = events},
        {.fd = context->signals, .events = POLLIN},
        {.fd = STDOUT_FILENO}, /* an error of it is always told */
    };
    struct signalfd_siginfo info;

    for (;;) {
        int r = cl_sys_poll(polled, CL_ARRAY_SIZE(polled), -1);

        if (r == -EINTR)
            continue;
        if (r < 0)
            return cl_fail(err, r, "wait for events");
        if (polled[1].revents != 0 &&
            cl_sys_read(context->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
            context->ended = (int)info.ssi_signo;
        else if ((polled[2].revents & (POLLERR | POLLHUP)) != 0)
            context->ended = -1;
        else if (polled[0].revents == 0)
            continue;
        return context->ended == 0;
    }
}

/* In pieces for which there is room: a reader that doesn't read must not keep us from ending. */
static int put(struct context *context, const struct cl_buf *line, struct cl_error *err)
{
    size_t at = 0;

    while (at < line->size) {
        int r = wait_for(context, STDOUT_FILENO, POLLOUT, err);

        if (r <= 0)
            return r;
        ssize_t done = cl_sys_write(STDOUT_FILENO, line->data + at,
                                    (size_t)cl_min_u64(line->size - at, PIECE));
        if (done == -EINTR || done == -EAGAIN)
            continue;
        if (done == -EPIPE) {
            context->ended = -1;
            return 0;
        }
        if (done < 0)
            return cl_fail(err, (int)done, "write to standard output");
        at += (size_t)done;
    }
    return 0;
}

static int put_lost(struct context *context, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf line = CL_BUF_INIT(LINE_MAX_SIZE);
    const uint64_t lost = cl_listener_lost(&context->listener);
    struct cl_json json;

    if (lost == 0)
        return 0;
    begin_line(&json, cl_clock_wall_ns(), "lost", &line);
    cl_json_u64(&json, "count", lost);
    int r = end_line(&json, err);
    return r < 0 ? r : put(context, &line, err);
}

/* All that has come. */
static int put_events(struct context *context, struct cl_error *err)
{
    while (context->ended == 0) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        CL_CLEANUP_BUF struct cl_buf line = CL_BUF_INIT(LINE_MAX_SIZE);
        struct cl_event event;
        int r = cl_listener_next(&context->listener, &arena, &event, err);

        if (r == 0)
            return put_lost(context, err);
        if (r > 0 && !is_wanted(context, &event))
            continue;
        if (r > 0)
            r = add_line(&event, &line, err);
        if (r == 0)
            r = put(context, &line, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Signals that would end it come by a descriptor, so that nothing of it stays; what its caller
 * ignores stays ignored. */
static int take_signals(struct cl_error *err)
{
    static const int ending[] = {SIGHUP, SIGINT, SIGTERM};
    uint64_t mask = 1ULL << (SIGPIPE - 1);

    for (size_t i = 0; i < CL_ARRAY_SIZE(ending); i++) {
        if (cl_sys_signal_ignored(ending[i]) != 1)
            mask |= 1ULL << (ending[i] - 1);
    }
    int r = cl_sys_rt_sigprocmask(SIG_BLOCK, &mask, NULL);
    if (r < 0)
        return cl_fail(err, r, "block signals");
    r = cl_sys_signalfd(&mask);
    return r < 0 ? cl_fail(err, r, "signalfd") : r;
}

static int listen_on(struct context *context, struct cl_error *err)
{
    int r = 0;

    while (r >= 0 && context->ended == 0) {
        r = wait_for(context, context->listener.fifo, POLLIN, err);
        if (r > 0)
            r = put_events(context, err);
    }
    if (r < 0)
        return r;
    return context->ended > 0 ? 128 + context->ended : 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    static struct context context; /* with what was read: not for the stack */
    int r = cl_command_parse_all(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    r = cl_state_open(&state, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int signals = take_signals(err);
    if (signals < 0)
        return signals;
    context.signals = signals;
    r = cl_listener_open(&state, &context.listener, err);
    if (r < 0)
        return r;
    r = listen_on(&context, err);
    cl_listener_done(&context.listener);
    return r;
}

const struct cl_command cl_command_events = {
    .name = "events",
    .usage = "[OPTIONS]",
    .help = "Tell what becomes of sandboxes, as it happens",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
