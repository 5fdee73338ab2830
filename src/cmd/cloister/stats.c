/* stats: what running sandboxes use.
 *
 * Nobody is asked: the numbers are the kernel's, of the sandboxes' cgroups (limits/gauges.h),
 * and which sandboxes there are says the table. A supervisor that is stopped holds up nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "cmd/cloister/filter.h"
#include "cmd/cloister/live_table.h"
#include "cmd/cloister/table.h"
#include "limits/gauges.h"

enum {
    ARENA_MAX = 64 << 20,
    WATCHED_MOST = 1 << 16,
    EVERY_MS = 1000,
    SHORT_ID = 12,
    CELL_SIZE = 2 * CL_SIZE_TEXT + 8,
};

/* One sandbox, from round to round. */
struct watched {
    char id[CL_ID_SIZE];
    struct cl_gauges gauges;
    uint64_t round;  /* in which it was last there */
    uint64_t cpu_ns; /* and what it said then */
    uint64_t at_ns;  /* boot clock */
    int has_cpu;
};

struct context {
    int no_stream;
    int format_json;
    struct cl_filters filters;
    struct cl_buf ids; /* those named, CL_ID_SIZE bytes each */
    struct cl_gauge_places places;
    struct cl_buf watched; /* struct watched */
    size_t next;           /* the one behind that which was found last: their order stays */
    size_t count;          /* of those that were there in this round */
    uint64_t round;
    uint64_t wall_ns;      /* when it began */
    struct cl_arena arena; /* of a round */
    struct cl_table table;
    struct cl_buf out;
};

/* What is told of one. */
struct sample {
    const struct cl_visit *visit;
    struct cl_readings readings;
    uint64_t memory_limit; /* 0: none */
    uint64_t tasks_limit;
    uint64_t cpu_millis; /* thousandths of a percent of one processor */
    int has_share;
};

static int add_filter(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    return cl_filters_add(&((struct context *)data)->filters, value, err);
}

static const struct cl_option options[] = {
    {"no-stream", 0, NULL, "once, and not each second", cl_set_flag,
     (int)offsetof(struct context, no_stream), NULL},
    {"filter", 'f', "KEY=VALUE", "those alone: id, name, label, status, tenant or image",
     add_filter, 0, NULL},
    CL_OPTION_FORMAT(struct context),
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"all", 'a', "what has ended uses nothing; inspect has what it used"},
    {"json", 0, "say --format json"},
    {"no-trunc", 0, "not built yet; --format json cuts nothing"},
    {NULL, 0, NULL},
};

/* --- those that are watched ---------------------------------------------------- */

static struct watched *watched_at(const struct context *context, size_t index)
{
    return (struct watched *)(void *)context->watched.data + index;
}

static size_t count_watched(const struct context *context)
{
    return context->watched.size / sizeof(struct watched);
}

static struct watched *find(struct context *context, const char *id)
{
    const size_t count = count_watched(context);

    for (size_t i = 0; i < count; i++) {
        const size_t at = (context->next + i) % count;

        if (strcmp(watched_at(context, at)->id, id) == 0) {
            context->next = at + 1;
            return watched_at(context, at);
        }
    }
    return NULL;
}

static int open_gauges(struct context *context, const struct cl_status *status,
                       struct cl_gauges *ret, struct cl_error *err)
{
    int r = cl_gauges_open(&context->places, status->id, status->init, ret);

    if (r == -EMFILE)
        return cl_refuse(err, EMFILE,
                         "so many sandboxes can't be watched: each takes up to four descriptors; "
                         "raise the limit (ulimit -n), or name or filter some");
    return r < 0 ? cl_fail(err, r, "open the cgroups of sandbox %s", status->id) : 0;
}

/* One whose init wasn't there yet is tried again. */
static struct watched *watch(struct context *context, const struct cl_status *status,
                             struct cl_error *err)
{
    struct watched *watched = find(context, status->id);
    struct watched fresh = {.gauges = CL_GAUGES_INIT};

    if (watched == NULL) {
        memcpy(fresh.id, status->id, sizeof(fresh.id));
        if (cl_buf_add(&context->watched, &fresh, sizeof(fresh)) < 0) {
            (void)cl_fail_memory(err);
            return NULL;
        }
        context->next = count_watched(context);
        watched = watched_at(context, context->next - 1);
    }
    if (watched->gauges.memory < 0 && open_gauges(context, status, &watched->gauges, err) < 0)
        return NULL;
    return watched;
}

/* Lets go of those that weren't there in this round. */
static void forget(struct context *context, int all)
{
    size_t kept = 0;

    for (size_t i = 0; i < count_watched(context); i++) {
        struct watched *watched = watched_at(context, i);

        if (all || watched->round != context->round)
            cl_gauges_close(&watched->gauges);
        else
            *watched_at(context, kept++) = *watched;
    }
    context->watched.size = kept * sizeof(struct watched);
    context->next = 0;
}

/* --- one of them ---------------------------------------------------------------- */

/* Since the last round; in the first one since its start. */
static void take_share(struct watched *watched, uint64_t wall_ns, struct sample *sample)
{
    const uint64_t started_ns = sample->visit->status->started_ns;
    const uint64_t now_ns = cl_clock_boot_ns();
    const uint64_t cpu_ns = sample->readings.values[CL_GAUGE_CPU];
    uint64_t used_ns = cpu_ns;
    uint64_t passed_ns = started_ns != 0 && wall_ns > started_ns ? wall_ns - started_ns : 0;

    if (!cl_readings_have(&sample->readings, CL_GAUGE_CPU))
        return;
    if (watched->has_cpu) {
        used_ns -= cl_min_u64(used_ns, watched->cpu_ns);
        passed_ns = now_ns - watched->at_ns;
    }
    sample->has_share = passed_ns != 0;
    if (sample->has_share)
        sample->cpu_millis = (uint64_t)((unsigned __int128)used_ns * 100000 / passed_ns);
    watched->has_cpu = 1;
    watched->cpu_ns = cpu_ns;
    watched->at_ns = now_ns;
}

/* Without a cgroup its limits are those of each process. */
static void take_limits(struct sample *sample)
{
    const struct cl_plan *plan = sample->visit->plan;

    if (plan == NULL || cl_plan_without(plan, CL_LAYER_LIMITS))
        return;
    if (cl_plan_has(plan, CL_FIELD_MEMORY))
        sample->memory_limit = plan->limits.memory_bytes;
    if (cl_plan_has(plan, CL_FIELD_TASKS))
        sample->tasks_limit = plan->limits.tasks;
}

/* "31.2 MiB", or "-" for what isn't known. */
static const char *size_or_dash(const struct sample *sample, enum cl_gauge gauge,
                                char ret[CL_SIZE_TEXT])
{
    return cl_readings_have(&sample->readings, gauge)
               ? cl_size_about(sample->readings.values[gauge], ret)
               : "-";
}

static void format_memory(const struct sample *sample, char ret[CELL_SIZE], char share[CELL_SIZE])
{
    const uint64_t used = sample->readings.values[CL_GAUGE_MEMORY];
    const uint64_t limit = sample->memory_limit;
    char text[CL_SIZE_TEXT];
    char most[CL_SIZE_TEXT];

    (void)snprintf(ret, CELL_SIZE, "%s / %s", size_or_dash(sample, CL_GAUGE_MEMORY, text),
                   limit == 0 ? "-" : cl_size_about(limit, most));
    (void)snprintf(share, CELL_SIZE, "-");
    if (limit != 0 && cl_readings_have(&sample->readings, CL_GAUGE_MEMORY)) {
        const uint64_t tenths = (uint64_t)((unsigned __int128)used * 1000 / limit);

        (void)snprintf(share, CELL_SIZE, "%" PRIu64 ".%u", tenths / 10,
                       (unsigned int)(tenths % 10));
    }
}

static void format_cpu(const struct sample *sample, char share[CELL_SIZE], char time[CELL_SIZE])
{
    const uint64_t ms = sample->readings.values[CL_GAUGE_CPU] / CL_NS_PER_MS;
    const uint64_t s = ms / 1000;

    (void)snprintf(share, CELL_SIZE, "-");
    (void)snprintf(time, CELL_SIZE, "-");
    if (sample->has_share)
        (void)snprintf(share, CELL_SIZE, "%" PRIu64 ".%u", sample->cpu_millis / 1000,
                       (unsigned int)(sample->cpu_millis % 1000 / 100));
    if (!cl_readings_have(&sample->readings, CL_GAUGE_CPU))
        return;
    if (s < 60)
        (void)snprintf(time, CELL_SIZE, "%" PRIu64 ".%02u s", s, (unsigned int)(ms % 1000 / 10));
    else
        (void)snprintf(time, CELL_SIZE, "%" PRIu64 ":%02u:%02u", s / 3600,
                       (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
}

static void format_tasks(const struct sample *sample, char ret[CELL_SIZE])
{
    char used[24] = "-";
    char most[24] = "-";

    if (cl_readings_have(&sample->readings, CL_GAUGE_TASKS))
        (void)snprintf(used, sizeof(used), "%" PRIu64, sample->readings.values[CL_GAUGE_TASKS]);
    if (sample->tasks_limit != 0)
        (void)snprintf(most, sizeof(most), "%" PRIu64, sample->tasks_limit);
    (void)snprintf(ret, CELL_SIZE, "%s / %s", used, most);
}

static int add_row(struct context *context, const struct sample *sample)
{
    const struct cl_plan *plan = sample->visit->plan;
    char id[SHORT_ID + 1];
    char cells[6][CELL_SIZE];
    char read[CL_SIZE_TEXT];
    char written[CL_SIZE_TEXT];

    (void)snprintf(id, sizeof(id), "%.*s", SHORT_ID, sample->visit->status->id);
    format_cpu(sample, cells[0], cells[1]);
    format_memory(sample, cells[2], cells[3]);
    format_tasks(sample, cells[4]);
    (void)snprintf(cells[5], CELL_SIZE, "%s / %s", size_or_dash(sample, CL_GAUGE_READ, read),
                   size_or_dash(sample, CL_GAUGE_WRITTEN, written));
    const char *const row[] = {
        id,       plan != NULL && cl_plan_has(plan, CL_FIELD_NAME) ? plan->name : "",
        cells[0], cells[1],
        cells[2], cells[3],
        cells[4], cells[5],
    };
    return cl_table_add(&context->table, row);
}

static void add_reading(struct cl_json *json, const char *key, const struct sample *sample,
                        enum cl_gauge gauge)
{
    if (cl_readings_have(&sample->readings, gauge))
        cl_json_u64(json, key, sample->readings.values[gauge]);
    else
        cl_json_null(json, key);
}

static void add_limit(struct cl_json *json, const char *key, uint64_t limit)
{
    if (limit != 0)
        cl_json_u64(json, key, limit);
    else
        cl_json_null(json, key);
}

static int add_object(struct context *context, const struct sample *sample)
{
    const struct cl_plan *plan = sample->visit->plan;
    char time[CL_RFC3339_SIZE];
    struct cl_json json;

    cl_clock_rfc3339(context->wall_ns, time);
    cl_json_begin(&json, &context->out, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "time", time);
    cl_json_string(&json, "id", sample->visit->status->id);
    cl_json_string(&json, "name", plan == NULL ? NULL : plan->name);
    if (sample->has_share)
        cl_json_decimal(&json, "cpu_percent", sample->cpu_millis / 1000,
                        (unsigned int)(sample->cpu_millis % 1000));
    else
        cl_json_null(&json, "cpu_percent");
    add_reading(&json, "cpu_ns", sample, CL_GAUGE_CPU);
    add_reading(&json, "memory_bytes", sample, CL_GAUGE_MEMORY);
    add_limit(&json, "memory_limit_bytes", sample->memory_limit);
    add_reading(&json, "tasks", sample, CL_GAUGE_TASKS);
    add_limit(&json, "tasks_limit", sample->tasks_limit);
    add_reading(&json, "io_read_bytes", sample, CL_GAUGE_READ);
    add_reading(&json, "io_write_bytes", sample, CL_GAUGE_WRITTEN);
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}

/* --- a round ---------------------------------------------------------------------- */

static int visit_one(void *data, struct cl_visit *visit, struct cl_error *err)
{
    struct context *context = data;
    struct sample sample = {.visit = visit};

    if (!cl_visit_runs(visit) || visit->plan == NULL ||
        !cl_filters_match(&context->filters, visit) ||
        (context->ids.size > 0 && !cl_ids_have(&context->ids, visit->status->id)))
        return 0;
    struct watched *watched = watch(context, visit->status, err);
    if (watched == NULL)
        return -err->code;
    int r = cl_gauges_read(&watched->gauges, &sample.readings);
    if (context->no_stream)
        cl_gauges_close(&watched->gauges);
    if (r < 0)
        return 0; /* it has ended meanwhile */
    watched->round = context->round;
    context->count++;
    take_share(watched, context->wall_ns, &sample);
    take_limits(&sample);
    r = context->format_json ? add_object(context, &sample) : add_row(context, &sample);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int take_round(struct context *context, struct cl_state *state, struct cl_error *err)
{
    static const char *const head[] = {"SANDBOX",       "NAME",           "CPU %",
                                       "CPU TIME",      "MEMORY / LIMIT", "MEM %",
                                       "TASKS / LIMIT", "READ / WRITTEN"};

    context->round++;
    context->wall_ns = cl_clock_wall_ns();
    context->count = 0;
    context->next = 0;
    context->out.size = 0;
    context->table = (struct cl_table){.arena = &context->arena, .columns = CL_ARRAY_SIZE(head)};
    if (cl_table_add(&context->table, head) < 0)
        return cl_fail_memory(err);
    int r = cl_state_walk(state, visit_one, context, err);
    if (r < 0)
        return r;
    forget(context, 0);
    if (!context->format_json && cl_table_write(&context->table, &context->out) < 0)
        return cl_fail_memory(err);
    return 0;
}

/* Watching hundreds takes more descriptors than the usual soft limit allows. */
static void raise_open_files(void)
{
    struct cl_rlimit64 limit;

    if (cl_sys_prlimit(0, RLIMIT_NOFILE, NULL, &limit) < 0)
        return; /* who needs more is told so */
    limit.cur = limit.max;
    (void)cl_sys_prlimit(0, RLIMIT_NOFILE, &limit, NULL);
}

static void wait_until(uint64_t until_ns)
{
    uint64_t now_ns = cl_clock_boot_ns();

    for (; now_ns < until_ns; now_ns = cl_clock_boot_ns()) /* a signal cuts it short */
        (void)cl_sys_poll(NULL, 0, (int)((until_ns - now_ns) / CL_NS_PER_MS + 1));
}

static int show(struct context *context, struct cl_state *state, struct cl_error *err)
{
    const int is_live = !context->no_stream && !context->format_json && cl_is_screen(STDOUT_FILENO);
    const int is_named = context->ids.size > 0;
    struct cl_live_table live = {0};
    uint64_t next_ns = cl_clock_boot_ns();

    if (!context->no_stream)
        raise_open_files();
    for (;;) {
        int r = take_round(context, state, err);

        if (r < 0 || (is_named && context->count == 0))
            return r;
        r = is_live ? cl_live_table_draw(&live, cl_buf_text(&context->out), err)
                    : cl_print(&context->out, err);
        if (r < 0 || context->no_stream)
            return r;
        cl_arena_done(&context->arena);
        context->arena = CL_ARENA_INIT(ARENA_MAX);
        next_ns += EVERY_MS * CL_NS_PER_MS;
        wait_until(next_ns);
    }
}

/* Those named, which must run. */
static int find_named(struct context *context, struct cl_state *state, int count,
                      char *const names[], struct cl_error *err)
{
    for (int i = 0; i < count; i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
        int r = cl_find_living(state, names[i], &arena, &known, err);

        if (r < 0)
            return r;
        if (cl_buf_add(&context->ids, known.found.entry.id, CL_ID_SIZE) < 0)
            return cl_fail_memory(err);
    }
    return 0;
}

static void context_done(struct context *context)
{
    forget(context, 1);
    cl_gauge_places_done(&context->places);
    cl_buf_done(&context->watched);
    cl_buf_done(&context->ids);
    cl_buf_done(&context->out);
    cl_arena_done(&context->arena);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP(context_done)
    struct context context = {
        .ids = CL_BUF_INIT((size_t)WATCHED_MOST * CL_ID_SIZE),
        .places = CL_GAUGE_PLACES_INIT,
        .watched = CL_BUF_INIT(WATCHED_MOST * sizeof(struct watched)),
        .arena = CL_ARENA_INIT(ARENA_MAX),
        .out = CL_BUF_INIT(CL_OUTPUT_MAX),
    };
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    int r = cl_state_open(&state, err);
    if (r == 0)
        r = find_named(&context, &state, argc - first, argv + first, err);
    return r < 0 ? r : show(&context, &state, err);
}

const struct cl_command cl_command_stats = {
    .name = "stats",
    .usage = "[OPTIONS] [ID|NAME...]",
    .help = "Show what running sandboxes use",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@sandbox",
};
