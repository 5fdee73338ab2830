#include "cmd/cloister/each.h"

#include <errno.h>

#include "cmd/cloister/command.h"
#include "sandbox/sweep.h"

int cl_each_sandbox(const struct cl_each *each, int count, char *const names[],
                    struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct cl_error first = {0};
    struct cl_error ignored = {0};
    int r = cl_state_open(&state, err);

    if (r < 0)
        return r;
    for (int i = 0; i < count; i++) {
        struct cl_error failure = {0};

        if (each->act(each->context, &state, names[i], &out, &failure) < 0 && first.code == 0)
            first = failure;
    }
    (void)cl_sweep_seldom(&state, &ignored); /* a failure is prune's to tell */
    r = cl_print(&out, err);
    if (r < 0 || first.code == 0)
        return r;
    *err = first;
    return -first.code;
}

static int hand_over(struct cl_known *known, int is_there, struct cl_known *ret,
                     struct cl_error *err)
{
    if (!is_there)
        return cl_refuse(err, ESRCH, "sandbox %s has ended", known->found.entry.id);
    *ret = *known;
    *known = CL_KNOWN_INIT;
    return 0;
}

int cl_find_standing(struct cl_state *state, const char *name, struct cl_arena *arena,
                     struct cl_known *ret, struct cl_error *err)
{
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_known_find(state, name, arena, &known, err);

    if (r < 0)
        return r;
    r = hand_over(&known, known.is_alive || known.is_resting, ret, err);
    return r < 0 ? cl_hint(err, "its files went with it; see run --keep") : 0;
}

int cl_find_living(struct cl_state *state, const char *name, struct cl_arena *arena,
                   struct cl_known *ret, struct cl_error *err)
{
    CL_CLEANUP_KNOWN struct cl_known known = CL_KNOWN_INIT;
    int r = cl_known_find(state, name, arena, &known, err);

    return r < 0 ? r : hand_over(&known, known.is_alive, ret, err);
}
