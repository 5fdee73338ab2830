/* ps: the sandboxes of this user. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/date.h"
#include "base/json.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/describe.h"
#include "cmd/cloister/filter.h"
#include "cmd/cloister/table.h"
#include "sandbox/children.h"
#include "sandbox/known.h"
#include "sandbox/sweep.h"

enum { ARENA_MAX = 256 << 20, COMMAND_WIDTH = 40, STATUS_SIZE = 80 };

struct context {
    int all;
    int quiet;
    int names; /* for completion: ids and names, one a line */
    int format_json;
    struct cl_arena *arena;
    struct cl_table table;
    struct cl_json json;
    struct cl_buf buf;
    uint64_t now_ns;
    struct cl_filters filters;
};

static int add_filter(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    return cl_filters_add(&((struct context *)data)->filters, value, err);
}

static const struct cl_option options[] = {
    {"all", 'a', NULL, "also those that have ended and are kept", cl_set_flag,
     (int)offsetof(struct context, all), NULL},
    {"quiet", 'q', NULL, "ids alone", cl_set_flag, (int)offsetof(struct context, quiet), NULL},
    {"filter", 'f', "KEY=VALUE", "those alone: id, name, label, status, tenant or image",
     add_filter, 0, NULL},
    {"names", 0, NULL, NULL, cl_set_flag, (int)offsetof(struct context, names), NULL},
    CL_OPTION_FORMAT(struct context),
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"json", 0, "say --format json"},
    {"no-trunc", 0, "not built yet; --format json cuts nothing"},
    {"last", 'n', "not built yet; --all --format json has when each was made"},
    {"latest", 'l', "not built yet; --all --format json has when each was made"},
    {"size", 's', "not built yet; see run --result for what was written"},
    {NULL, 0, NULL},
};

/* "4 s", "12 min", "3 h", "5 d" */
static void format_age(char ret[32], uint64_t age_ns)
{
    const uint64_t s = age_ns / CL_NS_PER_S;

    if (s < 120)
        (void)snprintf(ret, 32, "%" PRIu64 " s", s);
    else if (s < 7200)
        (void)snprintf(ret, 32, "%" PRIu64 " min", s / 60);
    else if (s < 172800)
        (void)snprintf(ret, 32, "%" PRIu64 " h", s / 3600);
    else
        (void)snprintf(ret, 32, "%" PRIu64 " d", s / 86400);
}

/* The words of the command, cut. */
static void format_command(char ret[COMMAND_WIDTH + 4], const struct cl_strlist *command)
{
    size_t used = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < command->count; i++) {
        int more = snprintf(ret + used, COMMAND_WIDTH + 1 - used, "%s%s", i == 0 ? "" : " ",
                            command->items[i]);

        if (more < 0 || used + (size_t)more > COMMAND_WIDTH) {
            memcpy(ret + COMMAND_WIDTH - 3, "...", 4);
            return;
        }
        used += (size_t)more;
    }
}

/* "running", "exited 1, 5 minutes ago" */
static void format_status(char ret[STATUS_SIZE], const struct cl_visit *visit)
{
    const struct cl_ended *ended = visit->ended;
    char ago[CL_DATE_AGO_SIZE];
    char code[16] = "";

    if (ended == NULL) {
        (void)snprintf(ret, STATUS_SIZE, "%s", cl_describe_status(visit));
        return;
    }
    if (ended->status == CL_STATUS_EXITED)
        (void)snprintf(code, sizeof(code), " %u", (unsigned int)ended->exit_code);
    (void)snprintf(ret, STATUS_SIZE, "%s%s, %s", cl_describe_status(visit), code,
                   cl_date_ago((int64_t)(cl_clock_wall_ns() / CL_NS_PER_S),
                               (int64_t)(ended->ended_wall_ns / CL_NS_PER_S), ago));
}

static int add_row(struct context *context, const struct cl_visit *visit)
{
    static const struct cl_plan nothing = {0};
    const struct cl_plan *plan = visit->plan == NULL ? &nothing : visit->plan;
    char command[COMMAND_WIDTH + 4];
    char age[32] = "";
    char status[STATUS_SIZE];

    format_command(command, &plan->command);
    if (visit->plan != NULL && context->now_ns > visit->status->created_ns)
        format_age(age, context->now_ns - visit->status->created_ns);
    format_status(status, visit);
    const char *const cells[] = {
        visit->status->id,
        cl_plan_has(plan, CL_FIELD_NAME) ? plan->name : "",
        cl_plan_has(plan, CL_FIELD_IMAGE) ? plan->image : "",
        command,
        age,
        status,
    };
    return cl_table_add(&context->table, cells);
}

static int add_words(struct context *context, const struct cl_visit *visit)
{
    int r = cl_buf_printf(&context->buf, "%s\n", visit->status->id);

    if (r == 0 && context->names && visit->plan != NULL && cl_plan_has(visit->plan, CL_FIELD_NAME))
        r = cl_buf_printf(&context->buf, "%s\n", visit->plan->name);
    return r;
}

/* With the command's number, which no start pays for writing down. Nobody is asked: who lists
 * waits for no supervisor, which may be stopped. */
static void add_object(struct context *context, const struct cl_visit *visit)
{
    struct cl_status status = *visit->status;
    struct cl_visit now = *visit;

    if (visit->alive && status.main == 0 && status.init > 0 &&
        cl_first_child(status.supervisor) == status.init)
        status.main = cl_first_child(status.init);
    now.status = &status;
    cl_describe_brief(&context->json, &now);
}

static int visit_one(void *data, struct cl_visit *visit, struct cl_error *err)
{
    struct context *context = data;
    int r = 0;

    if ((!cl_visit_runs(visit) && !context->all) || !cl_filters_match(&context->filters, visit))
        return 0;
    if (context->quiet || context->names)
        r = add_words(context, visit);
    else if (context->format_json)
        add_object(context, visit);
    else
        r = add_row(context, visit);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int list(struct context *context, struct cl_state *state, struct cl_error *err)
{
    static const char *const head[] = {"ID", "NAME", "IMAGE", "COMMAND", "AGE", "STATUS"};
    const int json = context->format_json && !context->quiet && !context->names;

    context->table = (struct cl_table){.arena = context->arena, .columns = CL_ARRAY_SIZE(head)};
    cl_json_begin(&context->json, &context->buf, 1);
    if (json)
        cl_json_array(&context->json, NULL);
    int r = cl_table_add(&context->table, head);
    if (r < 0)
        return cl_fail_memory(err);
    r = context->all ? cl_known_walk(state, visit_one, context, err)
                     : cl_state_walk(state, visit_one, context, err);
    if (r < 0)
        return r;
    if (json) {
        cl_json_close(&context->json, ']');
        r = cl_json_end(&context->json);
    } else if (!context->quiet && !context->names) {
        r = cl_table_write(&context->table, &context->buf);
    }
    return r < 0 ? cl_fail_memory(err) : cl_print(&context->buf, err);
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct context context = {.arena = &arena, .buf = CL_BUF_INIT(CL_OUTPUT_MAX)};
    struct cl_error ignored = {0};

    int r = cl_command_parse_all(self, argc, argv, &context, err);
    if (r < 0)
        return r;
    context.now_ns = cl_clock_wall_ns();
    r = cl_state_open(&state, err);
    if (r == 0)
        r = list(&context, &state, err);
    cl_buf_done(&context.buf);
    if (r == 0)
        (void)cl_sweep(&state, NULL, NULL, &ignored); /* a failure is prune's to tell */
    return r;
}

const struct cl_command cl_command_ps = {
    .name = "ps",
    .usage = "[OPTIONS]",
    .help = "List the sandboxes that run, or all that are kept",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
