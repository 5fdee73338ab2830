/* inspect: all that is known of sandboxes, or of images, as JSON. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/describe.h"
#include "cmd/cloister/describe_image.h"
#include "cmd/cloister/stored.h"
#include "sandbox/control.h"
#include "sandbox/known.h"
#include "sandbox/sweep.h"
#include "sandbox/told.h"

enum { ARENA_MAX = 32 << 20, IMAGES_ARENA_MAX = 256 << 20 };

struct context {
    int image;
};

static int set_format(CL_UNUSED void *context, CL_UNUSED const struct cl_option *option,
                      const char *value, struct cl_error *err)
{
    return strcmp(value, "json") == 0
               ? 0
               : cl_refuse(err, EINVAL, "expected json, got \"%.100s\"", value);
}

static const struct cl_option options[] = {
    {"image", 0, NULL, "images of the store are named, by name or digest", cl_set_flag,
     (int)offsetof(struct context, image), NULL},
    {"format", 0, "FORMAT", "json, which is all there is", set_format, 0, "json"},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"type", 0, "say --image for images; sandboxes are meant without it"},
    {"size", 's', "it is always there"},
    {NULL, 0, NULL},
};

/* Of the others stats knows more at once. */
static int is_told(const struct cl_visit *visit, struct cl_wall_told *ret)
{
    struct cl_control_asked asked;

    if (!cl_told_may_be(visit->plan))
        return 0;
    cl_told_ask(visit->entry, &asked);
    return cl_told_take(&asked, cl_clock_boot_ns() + CL_TOLD_WAIT_MS * CL_NS_PER_MS, ret);
}

/* What is known since the start of one that runs; how one ended that has. */
static int add_one(struct cl_state *state, const char *id_or_name, struct cl_json *json,
                   struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_known_find(state, id_or_name, &arena, &known, err);
    struct cl_found *found = &known.found;
    struct cl_wall_told told;

    if (r == 0 && known.is_alive)
        r = cl_control_refresh(&found->entry, err);
    if (r == 0 && known.is_alive)
        r = cl_entry_read(&found->entry, &arena, &found->status, &found->plan, err);
    if (r < 0)
        return r;
    struct cl_visit visit = {.entry = &found->entry,
                             .status = &found->status,
                             .plan = &found->plan,
                             .alive = known.is_alive,
                             .ended = known.is_alive ? NULL : &known.ended};
    if (known.is_alive && is_told(&visit, &told))
        visit.told = &told;
    cl_describe_all(json, NULL, &visit);
    return 0;
}

/* Docker's inspect takes both. */
static void hint_at_image(const char *word, struct cl_error *err)
{
    CL_CLEANUP_STORED struct cl_stored_all all = CL_STORED_ALL_INIT;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(IMAGES_ARENA_MAX);
    struct cl_stored found = {0};
    struct cl_error ignored = {0};

    if (cl_stored_open(&arena, &all, &ignored) == 0 &&
        cl_stored_read(&all, &arena, &ignored) == 0 &&
        cl_stored_find(&all, word, &arena, &found, &ignored) == 0)
        (void)cl_hint(err, "for the image say cloister inspect --image %.100s", word);
}

static int add_sandboxes(int count, char *const names[], struct cl_json *json, struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error ignored = {0};
    int r = cl_state_open(&state, err);

    for (int i = 0; r == 0 && i < count; i++) {
        r = add_one(&state, names[i], json, err);
        if (r == -ESRCH)
            hint_at_image(names[i], err);
    }
    if (r == 0)
        (void)cl_sweep_seldom(&state, &ignored); /* a failure is prune's to tell */
    return r;
}

static int add_images(int count, char *const words[], struct cl_json *json, struct cl_error *err)
{
    CL_CLEANUP_STORED struct cl_stored_all all = CL_STORED_ALL_INIT;
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(IMAGES_ARENA_MAX);
    int r = cl_stored_open(&arena, &all, err);

    if (r == 0)
        r = cl_stored_read(&all, &arena, err);
    for (int i = 0; r == 0 && i < count; i++) {
        struct cl_stored found = {0};

        r = cl_stored_find(&all, words[i], &arena, &found, err);
        if (r == 0)
            r = cl_describe_image_whole(json, &all.store, found.image, &arena, err);
    }
    return r;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct context context = {0};
    struct cl_json json;
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL,
                         context.image ? "inspect: no image named; see cloister images"
                                       : "inspect: no sandbox named; see cloister ps");
    cl_json_begin(&json, &buf, 1);
    cl_json_array(&json, NULL);
    int r = context.image ? add_images(argc - first, argv + first, &json, err)
                          : add_sandboxes(argc - first, argv + first, &json, err);
    if (r < 0)
        return r;
    cl_json_close(&json, ']');
    if (cl_json_end(&json) < 0)
        return cl_fail_memory(err);
    return cl_print(&buf, err);
}

const struct cl_command cl_command_inspect = {
    .name = "inspect",
    .usage = "[OPTIONS] ID|NAME...",
    .help = "Show all that is known of sandboxes, or of images",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@either",
};
