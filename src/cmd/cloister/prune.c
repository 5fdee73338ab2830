/* prune: what dead supervisors left, and what became of it; what nobody needs of images; and
 * modules as they were compiled, which can be made again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/unpack_range.h"
#include "image/collect.h"
#include "module/collect.h"
#include "plan/decide.h"
#include "sandbox/events.h"
#include "sandbox/known.h"
#include "sandbox/sweep.h"

struct context {
    int ended;
    int images;
    int modules;
    int all;
    const char *tenant; /* whose modules alone; NULL: everybody's */
    int format_json;
    int failed;        /* not all could be looked at */
    struct cl_buf ids; /* of sandboxes, a line each */
    struct cl_collected collected;
    struct cl_module_collected compiled;
};

static int set_tenant(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    ((struct context *)context)->tenant = value;
    return cl_plan_check_text(CL_FIELD_TENANT, value, err);
}

/* Scripts say "prune -f". */
static int set_nothing(CL_UNUSED void *context, CL_UNUSED const struct cl_option *option,
                       CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    return 0;
}

static const struct cl_option options[] = {
    {"ended", 0, NULL, "also what is kept of detached sandboxes that have ended", cl_set_flag,
     (int)offsetof(struct context, ended), NULL},
    {"images", 0, NULL, "also images without a name, and what pulls left", cl_set_flag,
     (int)offsetof(struct context, images), NULL},
    {"all", 'a', NULL, "the same, and every image that is not in use", cl_set_flag,
     (int)offsetof(struct context, all), NULL},
    {"modules", 0, NULL, "also what WebAssembly modules were compiled to", cl_set_flag,
     (int)offsetof(struct context, modules), NULL},
    {"tenant", 0, "NAME", "of those modules that tenant's alone", set_tenant, 0, NULL},
    {"force", 'f', NULL, "don't ask (always so)", set_nothing, 0, NULL},
    CL_OPTION_FORMAT(struct context),
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"volumes", 0, "there are none: volumes are directories of the host and stay"},
    {"filter", 0, "not built yet; see cloister images --format json, and rmi"},
    {NULL, 0, NULL},
};

/* --- what was done ------------------------------------------------------------------ */

static void note_swept(void *data, const char *id)
{
    struct context *context = data;

    (void)cl_buf_printf(&context->ids, "%s\n", id); /* a list of a million is cut */
}

/* "COUNT THINGs" behind what stands in BUF already. */
static int add_count(struct cl_buf *buf, uint64_t count, const char *thing)
{
    if (count == 0)
        return 0;
    return cl_buf_printf(buf, "%s%" PRIu64 " %s%s", buf->size == 0 ? "" : ", ", count, thing,
                         count == 1 ? "" : "s");
}

static uint64_t freed_bytes(const struct context *context)
{
    return context->collected.bytes + context->compiled.bytes;
}

/* "Removed 3 images, 7 layers, 512.0 MiB" */
static int add_collected(const struct context *context, struct cl_buf *buf)
{
    const struct cl_collected *collected = &context->collected;
    CL_CLEANUP_BUF struct cl_buf things = CL_BUF_INIT(CL_ERROR_MSG_SIZE);
    char size[CL_SIZE_TEXT];
    int r = add_count(&things, collected->images, "image");

    if (r == 0)
        r = add_count(&things, collected->layers, "layer");
    if (r == 0)
        r = add_count(&things, collected->leftovers, "leftover");
    if (r == 0)
        r = add_count(&things, context->compiled.modules, "compiled module");
    if (r == 0 && things.size > 0)
        r = cl_buf_printf(buf, "Removed %s, %s\n", cl_buf_text(&things),
                          cl_size_about(freed_bytes(context), size));
    if (r == 0 && collected->busy > 0)
        r = cl_buf_printf(buf, "%" PRIu64 " image%s in use, and stay%s\n", collected->busy,
                          collected->busy == 1 ? " is" : "s are", collected->busy == 1 ? "s" : "");
    return r;
}

/* Calls FN for each id. */
static int for_each_id(const struct context *context, int (*fn)(void *data, const char *id),
                       void *data)
{
    const char *at = cl_buf_text(&context->ids);
    char id[CL_ID_SIZE];
    int r = 0;

    while (r == 0 && *at != '\0') {
        const size_t size = strcspn(at, "\n");

        (void)snprintf(id, sizeof(id), "%.*s", (int)size, at);
        r = fn(data, id);
        at += size + 1;
    }
    return r;
}

static int add_line(void *data, const char *id)
{
    return cl_buf_printf(data, "removed %s\n", id);
}

static int add_string(void *data, const char *id)
{
    cl_json_string(data, NULL, id);
    return 0;
}

static int write_text(const struct context *context, struct cl_buf *buf)
{
    int r = for_each_id(context, add_line, buf);

    if (r == 0)
        r = add_collected(context, buf);
    if (r == 0 && buf->size == 0 && !context->failed)
        r = cl_buf_add_str(buf, "nothing to remove\n");
    return r;
}

static int write_json(const struct context *context, struct cl_buf *buf)
{
    const struct cl_collected *collected = &context->collected;
    struct cl_json json;

    cl_json_begin(&json, buf, 1);
    cl_json_object(&json, NULL);
    cl_json_array(&json, "sandboxes");
    (void)for_each_id(context, add_string, &json); /* its errors come at the end */
    cl_json_close(&json, ']');
    cl_json_u64(&json, "images", collected->images);
    cl_json_u64(&json, "images_in_use", collected->busy);
    cl_json_u64(&json, "layers", collected->layers);
    cl_json_u64(&json, "leftovers", collected->leftovers);
    cl_json_u64(&json, "modules", context->compiled.modules);
    cl_json_u64(&json, "freed_bytes", freed_bytes(context));
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}

/* --- doing ------------------------------------------------------------------------- */

struct removal {
    struct context *context;
    struct cl_state *state;
};

/* Its supervisor still stands on its files. */
static int end_resting(struct cl_state *state, const char *id, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_known_find(state, id, &arena, &known, err);

    return r == 0 && known.is_resting ? cl_known_release(&known, err) : r;
}

static int remove_ended(void *data, const struct cl_kept *kept, struct cl_error *err)
{
    const struct removal *removal = data;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(CL_KEPT_ROOM);
    struct cl_kept_record record = {0};
    struct cl_error ignored = {0};
    int r = cl_kept_read(kept, &arena, &record, &ignored);

    if (r < 0 || (record.is_alive && !record.has_ended)) /* what is damaged is rm's, by its id */
        return 0;
    r = record.is_alive ? cl_kept_wait(kept) : 0; /* its supervisor still tells of its end */
    if (r < 0)
        return cl_fail(err, r, "wait for the end of sandbox %s", kept->id);
    r = record.plan.keep ? end_resting(removal->state, kept->id, err) : 0;
    if (r < 0)
        return r;
    r = cl_kept_remove(kept);
    if (r < 0)
        return cl_fail(err, r, "remove what is kept of sandbox %s", kept->id);
    cl_events_say(removal->state->dir, CL_EVENT_REMOVE, kept->id, &record.plan);
    note_swept(removal->context, kept->id);
    return 0;
}

static int sweep_sandboxes(struct context *context, struct cl_error *err)
{
    struct removal removal = {context, NULL};
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    int r = cl_state_open(&state, err);

    removal.state = &state;
    if (r == 0)
        r = cl_sweep(&state, note_swept, context, err);
    if (r >= 0 && context->ended)
        r = cl_kept_walk(remove_ended, &removal, err);
    return r < 0 ? r : 0;
}

static int collect_images(struct context *context, struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    CL_CLEANUP_UNPACK_RANGE struct cl_unpack_range range = CL_UNPACK_RANGE_INIT;
    struct cl_collect_how how = {
        .unnamed = 1,
        .all = context->all,
        .downloads = 1,
        .budget_bytes = UINT64_MAX,
    };
    int r = 0;

    if (!context->images && !context->all)
        return 0;
    r = cl_store_open(0, &store, err);
    if (r == -ENOENT && err->code == 0)
        return 0; /* no store, no images */
    if (r == 0)
        r = cl_unpack_range_take(&range, err);
    how.uid_base = range.base;
    return r < 0 ? r : cl_collect(&store, &how, &context->collected, err);
}

static int collect_modules(struct context *context, struct cl_error *err)
{
    const struct cl_module_collect_how how = {.tenant = context->tenant};

    if (!context->modules)
        return 0;
    return cl_module_collect(NULL, &how, &context->compiled, err);
}

/* No failure keeps the others from their work; the first is told. */
static int prune(struct context *context, struct cl_error *err)
{
    static int (*const parts[])(struct context * context, struct cl_error * err) = {
        sweep_sandboxes, collect_images, collect_modules};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_error failure = {0};
    struct cl_error another = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(parts); i++) {
        if (parts[i](context, context->failed ? &another : &failure) < 0)
            context->failed = 1;
    }
    int r = context->format_json ? write_json(context, &buf) : write_text(context, &buf);
    if (r < 0)
        return cl_fail_memory(err);
    r = cl_print(&buf, err);
    if (r < 0 || !context->failed)
        return r;
    *err = failure;
    return -failure.code;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {.ids = CL_BUF_INIT(CL_OUTPUT_MAX)};
    int r = cl_command_parse_all(self, argc, argv, &context, err);

    if (r == 0 && context.tenant != NULL && !context.modules)
        r = cl_refuse(err, EINVAL, "prune: --tenant is for --modules");
    if (r == 0)
        r = prune(&context, err);
    cl_buf_done(&context.ids);
    return r;
}

const struct cl_command cl_command_prune = {
    .name = "prune",
    .usage = "[OPTIONS]",
    .help = "Remove what killed sandboxes left, ended ones, unused images and compiled modules",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
};
