/* logs: what detached sandboxes wrote, from the files of their directories. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/safe_text.h"
#include "sandbox/follow.h"
#include "sandbox/log.h"

enum { ARENA_MAX = 64 << 20 };
#define ALL UINT64_MAX

/* One of the two streams that we write to. */
struct stream {
    int fd;
    int is_terminal;
    int in_line; /* a line has been begun */
    struct cl_safe_text text;
    struct cl_buf buf;
};

struct context {
    int follow;
    int timestamps;
    uint64_t tail; /* lines; ALL */
    uint64_t since_ns;
    uint64_t until_ns;
    uint64_t skip; /* lines that are not shown */
    struct stream streams[2];
};

/* --- options ------------------------------------------------------------------------------- */

/* A date, or how long ago. */
static int parse_time(const char *value, uint64_t *ret_ns, struct cl_error *err)
{
    const uint64_t now_ns = cl_clock_wall_ns();
    int64_t date_s;
    uint64_t ago_ns;

    if (cl_date_parse(value, &date_s) == 0)
        *ret_ns = date_s < 0 ? 0 : (uint64_t)date_s * CL_NS_PER_S;
    else if (cl_parse_duration(value, &ago_ns) == 0)
        *ret_ns = ago_ns < now_ns ? now_ns - ago_ns : 0;
    else
        return cl_refuse(err, EINVAL,
                         "expected a date like 2026-01-31T12:00:00Z, or how long ago like 10m; got "
                         "\"%.100s\"",
                         value);
    return 0;
}

static int set_since(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    return parse_time(value, &((struct context *)data)->since_ns, err);
}

static int set_until(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    return parse_time(value, &((struct context *)data)->until_ns, err);
}

static int set_tail(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                    struct cl_error *err)
{
    struct context *context = data;

    context->tail = ALL;
    if (strcmp(value, "all") == 0 || cl_parse_u64(value, &context->tail) == 0)
        return 0;
    return cl_refuse(err, EINVAL, "expected a number of lines or all, got \"%.100s\"", value);
}

static const struct cl_option options[] = {
    {"follow", 'f', NULL, "go on until the sandbox has ended", cl_set_flag,
     (int)offsetof(struct context, follow), NULL},
    {"tail", 'n', "LINES", "the last ones alone (all)", set_tail, 0, NULL},
    {"since", 0, "TIME", "what was written since a date, or how long ago (10m)", set_since, 0,
     NULL},
    {"until", 0, "TIME", "what was written before that", set_until, 0, NULL},
    {"timestamps", 't', NULL, "say when before each line", cl_set_flag,
     (int)offsetof(struct context, timestamps), NULL},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"details", 0, "there are none; see cloister inspect"},
    {NULL, 0, NULL},
};

/* --- showing ------------------------------------------------------------------------------- */

static int is_wanted(const struct context *context, const struct cl_log_record *record)
{
    return record->time_ns >= context->since_ns && record->time_ns < context->until_ns;
}

static int add_text(const struct context *context, struct stream *stream,
                    const struct cl_log_record *record, const char *data, size_t size)
{
    char time[CL_RFC3339_SIZE];
    int r = 0;

    if (context->timestamps && !stream->in_line) {
        cl_clock_rfc3339(record->time_ns, time);
        r = cl_buf_printf(&stream->buf, "%s ", time);
    }
    if (r < 0)
        return r;
    stream->in_line = data[size - 1] != '\n';
    return stream->is_terminal ? cl_safe_text_add(&stream->text, &stream->buf, data, size)
                               : cl_buf_add(&stream->buf, data, size);
}

/* Line by line where that matters: what is skipped, and what a time stands before. */
static int add_lines(struct context *context, struct stream *stream,
                     const struct cl_log_record *record)
{
    const char *at = record->data;
    size_t left = record->size;
    int r = 0;

    if (context->skip == 0 && !context->timestamps && left > 0)
        return add_text(context, stream, record, at, left);
    while (r == 0 && left > 0) {
        const char *end = memchr(at, '\n', left);
        const size_t size = end == NULL ? left : (size_t)(end - at) + 1;

        if (context->skip == 0)
            r = add_text(context, stream, record, at, size);
        else if (end != NULL)
            context->skip--;
        at += size;
        left -= size;
    }
    return r;
}

static int add_lost(struct stream *stream, const struct cl_log_record *record)
{
    char size[CL_SIZE_TEXT];
    uint64_t bytes;

    memcpy(&bytes, record->data, sizeof(bytes));
    return cl_buf_printf(&stream->buf, "%scloister: here %s %s\n", stream->in_line ? "\n" : "",
                         cl_size_about(bytes, size), cl_log_missing(record->kind));
}

static int flush(struct context *context, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(context->streams); i++) {
        struct stream *stream = &context->streams[i];
        int r = cl_write_all(stream->fd, cl_buf_text(&stream->buf), stream->buf.size);

        if (r < 0)
            return cl_fail(err, r, "write to standard %s", i == 0 ? "output" : "error");
        stream->buf.size = 0;
    }
    return 0;
}

/* At once: the order of the two streams is that of their records. */
static int show(struct context *context, const struct cl_log_record *record, struct cl_error *err)
{
    struct stream *stream = &context->streams[record->kind == CL_LOG_OUT ? 0 : 1];
    int r;

    if (!is_wanted(context, record))
        return 0;
    if (cl_log_missing(record->kind) != NULL)
        r = add_lost(stream, record);
    else
        r = add_lines(context, stream, record);
    return r < 0 ? cl_fail_memory(err) : flush(context, err);
}

/* All that is there now. */
static int show_rest(struct context *context, struct cl_log_reader *reader, struct cl_error *err)
{
    struct cl_log_record record;
    int r;

    while ((r = cl_log_next(reader, &record, err)) > 0) {
        r = show(context, &record, err);
        if (r < 0)
            return r;
    }
    return r;
}

/* How many lines there are, of both streams together. */
static int count_lines(const struct context *context, int dir, uint64_t *ret, struct cl_error *err)
{
    CL_CLEANUP_LOG_READER struct cl_log_reader reader;
    struct cl_log_record record;
    int open[CL_LOG_KIND_END] = {0}; /* a line has been begun */
    uint64_t lines = 0;
    int r = cl_log_open(dir, &reader, err);

    if (r < 0) {
        reader = CL_LOG_READER_INIT;
        return r;
    }
    while ((r = cl_log_next(&reader, &record, err)) > 0) {
        if (cl_log_missing(record.kind) != NULL || record.size == 0 || !is_wanted(context, &record))
            continue;
        for (size_t i = 0; i < record.size; i++)
            lines += record.data[i] == '\n';
        open[record.kind] = record.data[record.size - 1] != '\n';
    }
    *ret = lines + (uint64_t)open[CL_LOG_OUT] + (uint64_t)open[CL_LOG_ERR];
    return r;
}

/* --- following ----------------------------------------------------------------------------- */

/* The end of the sandbox shows in its directory too (`ended`), or in that it is gone. */
static int wait_for_more(const struct cl_follow *follow, const struct cl_known *known,
                         struct cl_log_reader *reader, struct cl_error *err)
{
    struct pollfd polled[2] = {{.fd = follow->changes, .events = POLLIN},
                               {.fd = follow->supervisor, .events = POLLIN}};
    int r;

    do
        r = cl_sys_poll(polled, 2, -1);
    while (r == -EINTR);
    if (r < 0)
        return cl_fail(err, r, "wait for sandbox %s", known->found.entry.id);
    r = polled[0].revents != 0 ? cl_follow_take(follow, reader, err) : 0;
    return r < 0 ? r : polled[1].revents == 0;
}

static int follow(struct context *context, const struct cl_known *known,
                  struct cl_log_reader *reader, struct cl_error *err)
{
    CL_CLEANUP_FOLLOW struct cl_follow follow = CL_FOLLOW_INIT;
    int r = cl_follow_start(known, &follow, err);

    if (r < 0)
        return r;
    for (r = 1; r > 0;) {
        r = show_rest(context, reader, err);
        if (r == 0)
            r = follow.supervisor < 0 ? 0 : wait_for_more(&follow, known, reader, err);
    }
    return r < 0 ? r : show_rest(context, reader, err);
}

/* --- the command --------------------------------------------------------------------------- */

static int end_streams(struct context *context, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(context->streams); i++) {
        struct stream *stream = &context->streams[i];

        if (cl_safe_text_end(&stream->text, &stream->buf) < 0)
            return cl_fail_memory(err);
    }
    return flush(context, err);
}

static int show_log(struct context *context, const struct cl_known *known, struct cl_error *err)
{
    CL_CLEANUP_LOG_READER struct cl_log_reader reader = CL_LOG_READER_INIT;
    uint64_t lines = 0;
    int r = 0;

    if (context->tail != ALL)
        r = count_lines(context, known->kept.dir, &lines, err);
    context->skip = lines > context->tail ? lines - context->tail : 0;
    if (r == 0)
        r = cl_log_open(known->kept.dir, &reader, err);
    if (r == 0)
        r = context->follow && known->is_alive ? follow(context, known, &reader, err)
                                               : show_rest(context, &reader, err);
    return r < 0 ? r : end_streams(context, err);
}

static int show_one(struct context *context, const char *name, struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_state_open(&state, err);

    if (r == 0)
        r = cl_known_find(&state, name, &arena, &known, err);
    if (r < 0)
        return r;
    if (known.kept.dir < 0)
        return cl_refuse(err, EINVAL,
                         "sandbox %s runs in the foreground: its output goes to whoever started "
                         "it; see run --detach",
                         known.found.entry.id);
    if (!known.found.plan.detach)
        return cl_refuse(err, EINVAL,
                         "sandbox %s ran in the foreground: its output went to whoever started it",
                         known.found.entry.id);
    return show_log(context, &known, err);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {
        .tail = ALL,
        .until_ns = UINT64_MAX,
        .streams = {{.fd = STDOUT_FILENO, .is_terminal = isatty(STDOUT_FILENO)},
                    {.fd = STDERR_FILENO, .is_terminal = isatty(STDERR_FILENO)}},
    };
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (argc - first != 1)
        return cl_refuse(err, EINVAL, "logs: name one sandbox; see cloister ps --all");
    for (size_t i = 0; i < CL_ARRAY_SIZE(context.streams); i++)
        context.streams[i].buf = CL_BUF_INIT(CL_OUTPUT_MAX);
    int r = show_one(&context, argv[first], err);
    for (size_t i = 0; i < CL_ARRAY_SIZE(context.streams); i++)
        cl_buf_done(&context.streams[i].buf);
    return r;
}

const struct cl_command cl_command_logs = {
    .name = "logs",
    .usage = "[OPTIONS] ID|NAME",
    .help = "Show what a detached sandbox wrote",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@known",
};
