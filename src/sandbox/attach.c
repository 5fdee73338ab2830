#include "sandbox/attach.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/steps.h"
#include "base/sys.h"
#include "sandbox/control.h"
#include "sandbox/follow.h"
#include "sandbox/offer.h"
#include "sandbox/relay.h"
#include "sandbox/stdio.h"
#include "sandbox/supervisor.h"
#include "sandbox/terminal.h"

enum {
    TURNS = 64, /* records in a row, before others have their turn */
    INTERRUPTS_TO_END = 3,
};

/* One of the two that we write to. */
struct stream {
    int fd;
    int is_own;
    enum cl_manner manner;
    struct cl_source source; /* in the loop while it is full */
};

struct client {
    const struct cl_known *known;
    const struct cl_attach_options *options;
    struct cl_log_reader reader;
    struct cl_follow follow;
    struct cl_offer offer;
    struct stream streams[2];
    struct cl_log_record record; /* what is being written; size 0: nothing */
    char notice[256];
    int signals;
    int pty;
    int always[2]; /* a pipe that can be read */
    struct cl_terminal terminal;
    struct cl_keys keys;
    struct cl_loop loop;
    struct cl_source changes;
    struct cl_source supervisor;
    struct cl_source signal_source;
    struct cl_source more; /* in the loop while there is more to carry than was carried */
    struct cl_relay input;
    int input_is_tty;
    int interrupts;
    int ended; /* the sandbox has: the log is all there */
    int left;  /* we end before it, with the status... */
    int status;
    struct cl_error why;
};

/* --- output ----------------------------------------------------------------------------- */

static void leave(struct client *client, int status)
{
    client->left = 1;
    client->status = status;
    cl_loop_stop(&client->loop);
}

static int want(struct client *client, struct cl_source *source, int wanted, struct cl_error *err)
{
    if (wanted && !source->added)
        return cl_loop_add(&client->loop, source, err);
    if (!wanted)
        cl_loop_remove(&client->loop, source);
    return 0;
}

static struct stream *stream_of(struct client *client)
{
    return &client->streams[client->record.kind == CL_LOG_OUT ? 0 : 1];
}

/* The next record into `record`: 1, or 0 where there is none for now. */
static int take_record(struct client *client, struct cl_error *err)
{
    struct cl_log_record *record = &client->record;
    int r = cl_log_next(&client->reader, record, err);

    if (r <= 0) {
        record->size = 0;
        return r;
    }
    const char *missing = cl_log_missing(record->kind);
    if (missing != NULL) {
        char size[CL_SIZE_TEXT];
        uint64_t bytes;
        memcpy(&bytes, record->data, sizeof(bytes));
        const char *line = client->terminal.fd >= 0 ? "\r\n" : "\n";

        (void)snprintf(client->notice, sizeof(client->notice), "%scloister: here %s %s%s", line,
                       cl_size_about(bytes, size), missing, line);
        record->data = client->notice;
        record->size = strlen(client->notice);
    }
    return 1;
}

/* Writes what the record holds: 1 when all is gone, 0 to wait. */
static int put_record(struct client *client, struct cl_error *err)
{
    struct cl_log_record *record = &client->record;
    struct stream *stream = stream_of(client);

    while (record->size > 0) {
        ssize_t put = cl_manner_write(stream->manner, stream->fd, record->data, record->size);

        if (put == -EINTR)
            continue;
        if (put == -EAGAIN)
            return 0;
        if (put == -EPIPE || put == -ECONNRESET) { /* as the signal would have ended us */
            leave(client, 128 + SIGPIPE);
            return 0;
        }
        if (put < 0)
            return cl_fail(err, (int)put, "carry the command's standard %s",
                           stream == client->streams ? "output" : "error");
        record->data += put;
        record->size -= (size_t)put;
    }
    return 1;
}

/* In the order of the records, whichever streams they go to: both may be one terminal. */
static int carry(struct client *client, struct cl_error *err)
{
    int r = 1;

    for (int i = 0; r > 0 && i < TURNS; i++) {
        r = client->record.size > 0 ? 1 : take_record(client, err);
        if (r > 0)
            r = put_record(client, err);
    }
    if (r < 0)
        return r;
    const int is_more = r > 0;
    const int is_full = client->record.size > 0 && !is_more && !client->left;
    if (!is_more && !is_full && client->ended)
        cl_loop_stop(&client->loop);
    r = want(client, &client->more, is_more, err);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(client->streams); i++) {
        struct stream *stream = &client->streams[i];

        r = want(client, &stream->source, is_full && stream == stream_of(client), err);
    }
    return r;
}

static int on_ready(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    return carry(source->context, err);
}

static int on_changes(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct client *client = source->context;
    int r = cl_follow_take(&client->follow, &client->reader, err);

    return r < 0 ? r : carry(client, err);
}

/* Also of one that is removed at its end: what was seen of its log can be read. */
static int on_end(struct cl_source *source, CL_UNUSED uint32_t events, struct cl_error *err)
{
    struct client *client = source->context;

    cl_loop_remove(&client->loop, source);
    cl_relay_done(&client->input);
    client->ended = 1;
    return carry(client, err);
}

/* --- input ------------------------------------------------------------------------------ */

static size_t filter_keys(struct cl_relay *relay, char *data, size_t size)
{
    struct client *client = relay->context;
    int typed = 0;

    size = cl_keys_filter(&client->keys, data, size, &typed);
    if (typed) {
        (void)cl_refuse(&client->why, ECANCELED, "detached; sandbox %s runs on",
                        client->known->found.entry.id);
        leave(client, 0);
    }
    return size;
}

/* Our input has ended, and so does the command's; not when it is the command that reads no more,
 * nor when it is our terminal that has gone. */
static void on_input_end(struct cl_relay *relay)
{
    struct client *client = relay->context;
    struct cl_error err = {0};

    if (!relay->in_ended || relay->failed != 0 || client->left ||
        (client->input_is_tty && !isatty(STDIN_FILENO)))
        return;
    if (client->pty >= 0) {
        cl_terminal_end_input(client->pty);
        return;
    }
    int r = cl_control_end_input(&client->known->found.entry, &err);
    if (r < 0 && r != -ESRCH && r != -EAGAIN) { /* it has ended, or is about to */
        client->why = err;
        leave(client, r);
    }
}

static int start_input(struct client *client, int to, struct cl_error *err)
{
    CL_CLEANUP_FD int out = to;
    struct cl_relay *relay = &client->input;

    client->input_is_tty = isatty(STDIN_FILENO);
    relay->context = client;
    relay->on_end = on_input_end;
    if (client->terminal.fd >= 0)
        relay->filter = filter_keys;
    return cl_relay_start_input(relay, &client->loop, STDIN_FILENO, CL_TAKE_FD(out), err);
}

/* Takes the offer up. */
static int take_up(struct client *client, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = CL_TAKE_FD(client->offer.fd);
    CL_CLEANUP_FD int input = -1;
    const int wants_input = (client->offer.flags & CL_OFFER_INPUT) != 0 &&
                            !client->options->no_input &&
                            (isatty(STDIN_FILENO) || cl_stdio_has_input(STDIN_FILENO));

    if (fd < 0)
        return 0;
    if ((client->offer.flags & CL_OFFER_TTY) == 0)
        return wants_input ? start_input(client, CL_TAKE_FD(fd), err) : 0;
    int r = cl_terminal_attach(&client->terminal, fd, wants_input, &input, err);
    if (r < 0)
        return r;
    client->pty = CL_TAKE_FD(fd);
    cl_terminal_wake(client->pty);
    return input < 0 ? 0 : start_input(client, CL_TAKE_FD(input), err);
}

/* --- signals ---------------------------------------------------------------------------- */

static void take_interrupt(struct client *client, int signal)
{
    const struct cl_entry *entry = &client->known->found.entry;
    struct cl_error unused = {0};

    if (!client->options->keeps_signals && !client->ended && signal != SIGHUP) {
        client->interrupts += signal == SIGINT || signal == SIGTERM;
        if (client->interrupts < INTERRUPTS_TO_END) {
            (void)cl_control_signal(entry, signal, &unused); /* or it has ended, which we hear */
            return;
        }
        (void)cl_refuse(&client->why, ECANCELED, "detached; sandbox %s runs on", entry->id);
    }
    leave(client, 128 + signal);
}

static int on_signal(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct client *client = source->context;
    struct signalfd_siginfo info;

    if (cl_sys_read(source->fd, &info, sizeof(info)) != sizeof(info))
        return 0;
    if (info.ssi_signo == SIGWINCH) {
        if (client->pty >= 0)
            cl_terminal_copy_callers_size(client->pty);
    } else if (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGPIPE) {
        take_interrupt(client, (int)info.ssi_signo);
    }
    return 0;
}

/* --- all of it -------------------------------------------------------------------------- */

static int take_signals(void *context, struct cl_error *err)
{
    struct client *client = context;

    client->signals = cl_supervisor_take_signals(err);
    return client->signals < 0 ? client->signals : 0;
}

/* First the log's end, then what wakes us when more comes. */
static int open_log(void *context, struct cl_error *err)
{
    struct client *client = context;
    int r = cl_log_open_end(client->known->kept.dir, &client->reader, err);

    if (r == -ENOENT) /* not to be kept */
        return cl_refuse(err, ESRCH, "sandbox %s has ended", client->known->found.entry.id);
    if (r == 0)
        r = cl_follow_start(client->known, &client->follow, err);
    if (r < 0)
        return r;
    client->ended = client->follow.supervisor < 0;
    return 0;
}

/* One that runs and doesn't listen is ending: its output and its status remain. */
static int ask(void *context, struct cl_error *err)
{
    struct client *client = context;
    struct cl_error failure = {0};
    int r =
        client->ended ? 0 : cl_offer_take(&client->known->found.entry, &client->offer, &failure);

    if (r == 0 || r == -ESRCH || r == -EAGAIN)
        return 0;
    *err = failure;
    return r;
}

static int open_streams(void *context, struct cl_error *err)
{
    struct client *client = context;
    int ends[2];

    for (int i = 0; i < 2; i++) {
        struct stream *stream = &client->streams[i];

        stream->fd = STDOUT_FILENO + i;
        stream->is_own = cl_manner_choose(&stream->fd, O_WRONLY, &stream->manner);
        stream->source = (struct cl_source){
            .fd = stream->fd, .events = EPOLLOUT, .on_event = on_ready, .context = client};
    }
    int r = cl_sys_pipe2(ends, 0);
    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    client->always[0] = ends[0];
    client->always[1] = ends[1];
    r = cl_write_all(ends[1], "", 1);
    return r < 0 ? cl_fail(err, r, "write to a pipe") : 0;
}

static int add(struct client *client, struct cl_source *source, int fd,
               int (*on_event)(struct cl_source *, uint32_t, struct cl_error *),
               struct cl_error *err)
{
    *source =
        (struct cl_source){.fd = fd, .events = EPOLLIN, .on_event = on_event, .context = client};
    return cl_loop_add(&client->loop, source, err);
}

static int attend(void *context, struct cl_error *err)
{
    struct client *client = context;
    int r = cl_loop_init(&client->loop, err);

    client->more = (struct cl_source){
        .fd = client->always[0], .events = EPOLLIN, .on_event = on_ready, .context = client};
    if (r == 0)
        r = add(client, &client->changes, client->follow.changes, on_changes, err);
    if (r == 0 && !client->ended)
        r = add(client, &client->supervisor, client->follow.supervisor, on_end, err);
    if (r == 0)
        r = add(client, &client->signal_source, client->signals, on_signal, err);
    if (r == 0)
        r = take_up(client, err);
    if (r == 0)
        r = carry(client, err);
    return r < 0 ? r : cl_loop_run(&client->loop, err);
}

static const struct cl_step steps[] = {
    {"log", open_log, NULL},         {"sandbox", ask, NULL},    {"streams", open_streams, NULL},
    {"signals", take_signals, NULL}, {"sandbox", attend, NULL},
};

static void client_done(struct client *client)
{
    cl_relay_done(&client->input);
    cl_terminal_restore(&client->terminal);
    for (int i = 0; i < 2; i++) {
        if (client->streams[i].is_own)
            cl_fd_close(&client->streams[i].fd);
        cl_fd_close(&client->always[i]);
    }
    cl_fd_close(&client->offer.fd);
    cl_fd_close(&client->pty);
    cl_fd_close(&client->signals);
    cl_follow_done(&client->follow);
    cl_log_reader_done(&client->reader);
    cl_loop_done(&client->loop);
}

/* What its supervisor has written down. */
static int judge(const struct cl_known *known, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    struct cl_kept_record record = {0};
    char why[256] = "";
    int r = cl_kept_wait(&known->kept);

    if (r < 0)
        return cl_fail(err, r, "wait for sandbox %s", known->found.entry.id);
    r = cl_kept_read(&known->kept, &arena, &record, err);
    if (r < 0)
        return r;
    const struct cl_result result =
        cl_ended_result(&record.ended, &record.plan, known->found.entry.id);
    cl_result_explain(&result, why);
    if (result.status == CL_STATUS_ERROR && result.error != NULL)
        (void)cl_refuse(err, ECANCELED, "%s", result.error);
    else if (why[0] != '\0')
        (void)cl_refuse(err, ECANCELED, "%s", why);
    return (int)(record.ended.exit_status & 0xff);
}

int cl_attach_run(const struct cl_known *known, const struct cl_attach_options *options,
                  struct cl_error *err)
{
    static struct client client; /* a stream's buffer: not for the stack */
    int r = 0;

    *err = (struct cl_error){0};
    client = (struct client){
        .known = known,
        .options = options,
        .reader = CL_LOG_READER_INIT,
        .follow = CL_FOLLOW_INIT,
        .offer = CL_OFFER_INIT,
        .signals = -1,
        .pty = -1,
        .always = {-1, -1},
        .terminal = CL_TERMINAL_INIT,
        .keys = options->keys,
        .loop = {.epfd = -1},
    };
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(steps); i++)
        r = steps[i].run(&client, err);
    client_done(&client);
    if (r < 0)
        return r;
    if (!client.left)
        return judge(known, err);
    if (client.why.code != 0)
        *err = client.why;
    return client.status;
}
