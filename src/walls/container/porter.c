/* A porter: a child of init that carries files in or out of the sandbox (cp), by a pipe.
 *
 * It executes nothing: it is init's own program, behind all that the sandboxed code is behind
 * (namespaces, cgroups, Landlock, system calls, resource limits), with no more rights than the
 * sandbox's user, in build its root. So whatever the code lays out for it, links and devices and
 * names, leads it only where the code itself could go. Like init it can't be traced or read;
 * it holds two descriptors, the pipe and its session.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "copy/place.h"
#include "copy/send.h"
#include "copy/take.h"
#include "limits/rlimits.h"
#include "walls/container/container.h"

struct porter {
    struct cl_container *container;
    const struct cl_strlist *words;
    uint32_t flags;
    int session;
    int data;
};

/* --- steps ------------------------------------------------------------------------------- */

/* A file larger than may be (RLIMIT_FSIZE) is an error of the call, which is told. */
static int settle_signals(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_signal_ignore(SIGXFSZ);

    return r < 0 ? cl_fail(err, r, "settle signals") : 0;
}

/* Init's pipes to others, too: their ends have to be seen by who waits for them. */
static int close_others(void *context, struct cl_error *err)
{
    const struct porter *porter = context;
    const int held[] = {porter->session, porter->data};
    int r = cl_fd_close_others(held, CL_ARRAY_SIZE(held));

    return r < 0 ? cl_fail(err, r, "close all other descriptors") : 0;
}

static int set_rlimits(void *context, struct cl_error *err)
{
    const struct porter *porter = context;
    const struct cl_plan *plan = porter->container->plan;

    if (cl_plan_without(plan, CL_LAYER_RLIMITS))
        return 0;
    return cl_rlimits_apply(plan, cl_plan_without(plan, CL_LAYER_LIMITS), err);
}

static int take_rights(void *context, struct cl_error *err)
{
    const struct porter *porter = context;
    const struct cl_plan *plan = porter->container->plan;
    const uint64_t of_files = 1ULL << CL_CAP_CHOWN | 1ULL << CL_CAP_DAC_OVERRIDE |
                              1ULL << CL_CAP_FOWNER | 1ULL << CL_CAP_FSETID;
    const uint64_t taken = cl_capabilities_kept(plan) & of_files;

    if (cl_plan_without(plan, CL_LAYER_CAPABILITIES))
        return 0;
    return cl_capabilities_keep(taken, taken, err);
}

static int enter_root(CL_UNUSED void *context, struct cl_error *err)
{
    int r = cl_sys_chdir("/");

    return r < 0 ? cl_fail(err, r, "change to /") : 0;
}

static int send_files(const struct porter *porter, struct cl_error *err)
{
    CL_CLEANUP_FREE struct cl_copy_out *out = cl_calloc(1, sizeof(*out));
    const struct cl_copy_sender sender = {.out = out};

    if (out == NULL)
        return cl_fail_memory(err);
    out->fd = porter->data;
    return cl_copy_send(&sender, porter->words->items[0], err);
}

/* Without bounds of its own: the sandbox's limits are those. */
static int take_files(const struct porter *porter, struct cl_error *err)
{
    CL_CLEANUP(cl_copy_place_done) struct cl_copy_place place = CL_COPY_PLACE_INIT;
    CL_CLEANUP_FREE struct cl_copy_in *in = cl_calloc(1, sizeof(*in));
    struct cl_copy_taker taker = {
        .in = in, .any_links = 1, .most_bytes = INT64_MAX, .most_entries = UINT64_MAX};

    if (in == NULL)
        return cl_fail_memory(err);
    in->fd = porter->data;
    int r = cl_copy_place_open(porter->words->items[0], porter->words->items[1], &place, err);
    return r < 0 ? r : cl_copy_take(&taker, &place, err);
}

static int carry(void *context, struct cl_error *err)
{
    const struct porter *porter = context;

    return (porter->flags & CL_EXEC_SEND) != 0 ? send_files(porter, err) : take_files(porter, err);
}

static const struct cl_step steps[] = {
    {"signals", settle_signals, NULL},      {"descriptors", close_others, NULL},
    {"resource limits", set_rlimits, NULL}, {"capabilities", take_rights, NULL},
    {"root directory", enter_root, NULL},
};

/* --- its birth --------------------------------------------------------------------------- */

static int live(void *context)
{
    struct porter *porter = context;
    struct cl_error err = {0};
    int r = cl_steps_run(steps, CL_ARRAY_SIZE(steps), porter, &err);

    if (r == 0)
        r = carry(porter, &err);
    if (r < 0)
        cl_session_fail(porter->session, CL_SESSION_FAILED, &err);
    (void)cl_sys_exit_group(r < 0);
    __builtin_trap(); /* a user's filter may refuse even that */
}

static int check_words(uint32_t flags, const struct cl_strlist *words, struct cl_error *err)
{
    const size_t wanted = (flags & CL_EXEC_SEND) != 0 ? 1 : 2;

    return words->count == wanted ? 0 : cl_refuse(err, EPROTO, "these are no words of a copy");
}

pid_t cl_porter_start(struct cl_container *container, const struct cl_birth *birth, uint32_t flags,
                      struct cl_error *err)
{
    CL_CLEANUP(cl_words_done) struct cl_words words = CL_WORDS_INIT;
    static _Alignas(16) char stack[65536];
    int r = cl_words_take(birth->words, container->plan, &words, err);

    if (r == 0)
        r = check_words(flags, &words.plan.command, err);
    if (r < 0)
        return r;
    struct porter porter = {
        .container = container,
        .words = &words.plan.command,
        .flags = flags,
        .session = birth->session,
        .data = (flags & CL_EXEC_SEND) != 0 ? birth->stdio[1] : birth->stdio[0],
    };
    /* With memory of its own, init's as it is now. */
    pid_t pid = cl_sys_clone_beside(live, stack + sizeof(stack), SIGCHLD, &porter);
    if (pid == -EAGAIN) {
        (void)cl_fail(err, pid, "clone a process");
        return cl_hint(err, "the sandbox has as many tasks as it may (--pids-limit)");
    }
    return pid < 0 ? cl_fail(err, pid, "clone a process") : pid;
}
