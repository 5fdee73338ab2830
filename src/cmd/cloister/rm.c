/* rm: what is kept of sandboxes that have ended. */
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/each.h"
#include "sandbox/control.h"
#include "sandbox/events.h"

enum {
    ARENA_MAX = 64 << 20,
    END_MS = 10000, /* for the kernel to end what was killed */
    AGAIN_MS = 20,
};

struct context {
    int force;
};

static const struct cl_option options[] = {
    {"force", 'f', NULL, "end those that run", cl_set_flag, (int)offsetof(struct context, force),
     NULL},
    CL_OPTION_HELP,
};

static const struct cl_refused_option refused[] = {
    {"volumes", 'v', "there are none: volumes are directories of the host and stay"},
    {"link", 'l', "sandboxes can't reach one another"},
    {NULL, 0, NULL},
};

/* One that is being made has no ear yet, and one that ends none any more: that passes. */
static int kill_it(const struct cl_known *known, struct cl_error *err)
{
    const uint64_t until_ns = cl_clock_boot_ns() + END_MS * CL_NS_PER_MS;

    for (;;) {
        int r = cl_control_signal(&known->found.entry, SIGKILL, err);

        if (r == -ESRCH)
            return 0; /* it has ended meanwhile */
        if (r != -EAGAIN || cl_clock_boot_ns() > until_ns)
            return r;
        *err = (struct cl_error){0};
        r = cl_known_wait(known, AGAIN_MS, err);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

static int end_it(const struct context *context, const struct cl_known *known, struct cl_error *err)
{
    const struct cl_entry *entry = &known->found.entry;

    if (!context->force)
        return cl_refuse(err, EBUSY,
                         "sandbox %s runs; say --force, or end it first by cloister stop %s",
                         entry->id, entry->id);
    int r = kill_it(known, err);
    if (r == 0)
        r = cl_known_wait(known, END_MS, err);
    if (r < 0)
        return r;
    return r == 0
               ? cl_refuse(err, ETIMEDOUT, "sandbox %s was killed and has not ended yet", entry->id)
               : 0;
}

/* Ends what has to be ended before it is removed. */
static int end_all(const struct context *context, const struct cl_known *known,
                   struct cl_error *err)
{
    if (known->is_resting)
        return cl_known_release(known, err);
    return known->is_alive ? end_it(context, known, err) : 0;
}

static int remove_one(void *data, struct cl_state *state, const char *name, struct cl_buf *out,
                      struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_known_find(state, name, &arena, &known, err);

    if (r == -EBADMSG && cl_id_is(name)) { /* a damaged record: the id is all that is known */
        *err = (struct cl_error){0};
        r = cl_kept_open(name, &known.kept, err);
    }
    if (r == 0)
        r = end_all(data, &known, err);
    if (r < 0)
        return r;
    if (known.kept.dir >= 0) {
        r = cl_kept_remove(&known.kept);
        if (r < 0)
            return cl_fail(err, r, "remove what is kept of sandbox %s", known.found.entry.id);
        cl_events_say(state->dir, CL_EVENT_REMOVE, known.kept.id, &known.found.plan);
    }
    return cl_buf_printf(out, "%s\n", name) < 0 ? cl_fail_memory(err) : 0;
}

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    struct context context = {0};
    const struct cl_each each = {remove_one, &context};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "rm: no sandbox named; see cloister ps --all");
    return cl_each_sandbox(&each, argc - first, argv + first, err);
}

const struct cl_command cl_command_rm = {
    .name = "rm",
    .usage = "[OPTIONS] ID|NAME...",
    .help = "Remove what is kept of sandboxes that have ended",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .refused = refused,
    .operands = "@known",
};
