/* stats: what running sandboxes use.
 *
 * The numbers are the kernel's, of the sandboxes' cgroups (limits/gauges.h), and which sandboxes
 * there are says the table. Asked are only those that share a worker (sandbox/told.h): all that
 * there is room for, and then they are waited for together, no longer than a moment in a round.
 * A supervisor that is stopped holds up nothing. */
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
#include "cmd/cloister/sample.h"

enum {
    ARENA_MAX = 64 << 20,
    WATCHED_MOST = 1 << 16,
    EVERY_MS = 1000,
    ASKED_MOST = 128, /* at a time: each takes two descriptors */
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
    uint64_t boot_ns;      /* the same, by the boot clock */
    uint64_t until_ns;     /* boot clock: for so long answers are waited for */
    struct cl_buf samples; /* struct cl_sample */
    size_t waiting;        /* of those asked, whose answers aren't looked at yet */
    size_t settled;        /* samples before that have all that they will have */
    struct cl_arena arena; /* of a round */
    struct cl_table table;
    struct cl_buf out;
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
static void take_share(const struct context *context, struct watched *watched,
                       struct cl_sample *sample)
{
    const uint64_t wall_ns = context->wall_ns + (sample->at_ns - context->boot_ns);
    const uint64_t cpu_ns = sample->readings.values[CL_GAUGE_CPU];
    uint64_t used_ns = cpu_ns;
    uint64_t passed_ns =
        sample->started_ns != 0 && wall_ns > sample->started_ns ? wall_ns - sample->started_ns : 0;

    if (!cl_readings_have(&sample->readings, CL_GAUGE_CPU))
        return;
    if (watched->has_cpu) {
        used_ns -= cl_min_u64(used_ns, watched->cpu_ns);
        passed_ns = sample->at_ns - watched->at_ns;
    }
    sample->has_share = passed_ns != 0;
    if (sample->has_share)
        sample->cpu_millis = (uint64_t)((unsigned __int128)used_ns * 100000 / passed_ns);
    watched->has_cpu = 1;
    watched->cpu_ns = cpu_ns;
    watched->at_ns = sample->at_ns;
}

/* Without a cgroup its limits are those of each process. */
static void take_limits(const struct cl_plan *plan, struct cl_sample *sample)
{
    if (cl_plan_without(plan, CL_LAYER_LIMITS))
        return;
    if (cl_plan_has(plan, CL_FIELD_MEMORY))
        sample->memory_limit = plan->limits.memory_bytes;
    if (cl_plan_has(plan, CL_FIELD_TASKS))
        sample->tasks_limit = plan->limits.tasks;
}

/* --- a round ---------------------------------------------------------------------- */

static struct cl_sample *sample_at(const struct context *context, size_t index)
{
    return (struct cl_sample *)(void *)context->samples.data + index;
}

static size_t count_samples(const struct context *context)
{
    return context->samples.size / sizeof(struct cl_sample);
}

static void take_told(struct cl_sample *sample)
{
    struct cl_readings *readings = &sample->readings;

    sample->at_ns = cl_clock_boot_ns();
    readings->known = 1U << CL_GAUGE_CPU;
    if (sample->told.memory_bytes != 0)
        readings->known |= 1U << CL_GAUGE_MEMORY;
    readings->values[CL_GAUGE_CPU] = sample->told.cpu_ns;
    readings->values[CL_GAUGE_MEMORY] = sample->told.memory_bytes;
}

/* Waits for those who were asked. */
static void settle(struct context *context)
{
    for (; context->waiting > 0; context->settled++) {
        struct cl_sample *sample = sample_at(context, context->settled);

        if (sample->asked.dir < 0)
            continue;
        context->waiting--;
        sample->is_told = cl_told_take(&sample->asked, context->until_ns, &sample->told);
        if (sample->is_told)
            take_told(sample);
    }
}

/* One without cgroups; when the round has waited for too long already, nobody is asked any more. */
static void ask(struct context *context, const struct cl_visit *visit, struct cl_sample *sample)
{
    const uint64_t now_ns = cl_clock_boot_ns();

    if (sample->readings.known != 0 || !cl_told_may_be(visit->plan))
        return;
    sample->tasks_limit = 0;                       /* its worker's, for all */
    if (cl_plan_has(visit->plan, CL_FIELD_MEMORY)) /* kept without cgroups, too */
        sample->memory_limit = visit->plan->limits.memory_bytes;
    if (context->waiting == ASKED_MOST)
        settle(context);
    if (context->until_ns == 0)
        context->until_ns = now_ns + CL_TOLD_WAIT_MS * CL_NS_PER_MS;
    if (now_ns >= context->until_ns)
        return;
    cl_told_ask(visit->entry, &sample->asked);
    context->waiting += sample->asked.dir >= 0;
}

static int add_sample(struct context *context, const struct cl_visit *visit,
                      struct cl_sample *sample, struct cl_error *err)
{
    const struct cl_plan *plan = visit->plan;

    memcpy(sample->id, visit->status->id, sizeof(sample->id));
    sample->started_ns = visit->status->started_ns;
    if (cl_plan_has(plan, CL_FIELD_NAME))
        sample->name = cl_arena_strdup(&context->arena, plan->name);
    if (cl_plan_has(plan, CL_FIELD_NAME) && sample->name == NULL)
        return cl_fail_memory(err);
    take_limits(plan, sample);
    ask(context, visit, sample);
    if (cl_buf_add(&context->samples, sample, sizeof(*sample)) == 0)
        return 0;
    cl_control_asked_done(&sample->asked);
    return cl_fail_memory(err);
}

static int visit_one(void *data, struct cl_visit *visit, struct cl_error *err)
{
    struct context *context = data;
    struct cl_sample sample = {.asked = CL_CONTROL_ASKED_INIT};

    if (!cl_visit_runs(visit) || visit->plan == NULL ||
        !cl_filters_match(&context->filters, visit) ||
        (context->ids.size > 0 && !cl_ids_have(&context->ids, visit->status->id)))
        return 0;
    struct watched *watched = watch(context, visit->status, err);
    if (watched == NULL)
        return -err->code;
    int r = cl_gauges_read(&watched->gauges, &sample.readings);
    sample.at_ns = cl_clock_boot_ns();
    if (context->no_stream)
        cl_gauges_close(&watched->gauges);
    if (r < 0)
        return 0; /* it has ended meanwhile */
    watched->round = context->round;
    context->count++;
    return add_sample(context, visit, &sample, err);
}

static int add_all(struct context *context, struct cl_error *err)
{
    int r = 0;

    context->next = 0;
    for (size_t i = 0; r == 0 && i < count_samples(context); i++) {
        struct cl_sample *sample = sample_at(context, i);
        struct watched *watched = find(context, sample->id);

        if (watched != NULL)
            take_share(context, watched, sample);
        r = context->format_json ? cl_sample_add_object(sample, context->wall_ns, &context->out)
                                 : cl_sample_add_row(sample, &context->table);
    }
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int begin_round(struct context *context)
{
    context->round++;
    context->wall_ns = cl_clock_wall_ns();
    context->boot_ns = cl_clock_boot_ns();
    context->until_ns = 0;
    context->count = 0;
    context->next = 0;
    context->settled = 0;
    context->samples.size = 0;
    context->out.size = 0;
    return cl_sample_add_head(&context->arena, &context->table);
}

static int take_round(struct context *context, struct cl_state *state, struct cl_error *err)
{
    if (begin_round(context) < 0)
        return cl_fail_memory(err);
    int r = cl_state_walk(state, visit_one, context, err);
    settle(context);
    if (r == 0)
        r = add_all(context, err);
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
    cl_buf_done(&context->samples);
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
        .samples = CL_BUF_INIT(WATCHED_MOST * sizeof(struct cl_sample)),
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
