#include "worker/newborn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "policy/seccomp_tables.h"
#include "worker/domain.h"

/* --- what it gives up ---------------------------------------------------------------------- */

/* Limits are on before there is anything to limit. Of cgroup v1 it has to be the process itself
 * that writes, and of its number nothing: then nobody waits for all others. */
static int enter_groups(const struct cl_newborn *newborn, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < newborn->group_count; i++)
        r = cl_write_all(newborn->groups[i], "0", 1);
    return r < 0 ? cl_fail(err, r, "enter the guest's cgroup") : 0;
}

/* What it needs of what is open. */
static int close_others(const struct cl_newborn *newborn, struct cl_error *err)
{
    const struct cl_wasi_setup *wasi = &newborn->wasi;
    int *held = cl_calloc(wasi->preopen_count + 5, sizeof(*held));
    size_t count = 0;

    if (held == NULL)
        return cl_fail_memory(err);
    held[count++] = newborn->words;
    held[count++] = cl_program_file(newborn->program);
    for (size_t i = 0; i < 3; i++)
        held[count++] = wasi->streams[i];
    for (size_t i = 0; i < wasi->preopen_count; i++)
        held[count++] = wasi->preopens[i].directory;
    int r = cl_fd_close_others(held, count);
    free(held);
    if (r == 0)
        r = cl_sys_close_range(0, 2, 0); /* the worker's; nobody's stream has such a number */
    return r < 0 ? cl_fail(err, r, "close what is the worker's") : 0;
}

/* Nobody that it could signal or trace is the same user. Of its files the owner is the worker's as
 * before: those that it leaves on a volume are to have one that there is later, too. */
static int become_user(const struct cl_newborn *newborn, struct cl_error *err)
{
    const struct cl_cap_header header = {.version = CL_CAP_VERSION_3};
    const struct cl_cap_data none[2] = {{0}};

    if (newborn->user == 0)
        return 0;
    const int owner = cl_sys_setfsuid(UINT32_MAX); /* nobody's: it stays */
    int r = owner < 0 ? owner : cl_sys_setresuid(newborn->user);
    if (r < 0)
        return cl_fail(err, r, "become the guest's user");
    (void)cl_sys_setfsuid((uid_t)owner);
    if (cl_sys_setfsuid((uid_t)owner) != owner) /* it says who it was, not that it failed */
        return cl_refuse(err, EPERM, "the guest's files can't be the worker's");
    r = cl_sys_capset(&header, none);
    return r < 0 ? cl_fail(err, r, "give up capabilities") : 0;
}

/* Whoever waits for the guest's end waits for the process's. */
static int bind_to_parent(const struct cl_newborn *newborn, struct cl_error *err)
{
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);

    if (r == 0 && getppid() != newborn->parent)
        r = -ESRCH;
    return r < 0 ? cl_fail(err, r, "end with the worker") : 0;
}

/* Other guests' directories are the same user's, and have names here. */
static int enter_domain(const struct cl_newborn *newborn, struct cl_error *err)
{
    return newborn->has_domain ? cl_domain_enter(&newborn->wasi, err) : 0;
}

/* --- its guest ----------------------------------------------------------------------------- */

static int prepare(const struct cl_newborn *newborn, struct cl_wasi **ret_wasi,
                   struct cl_guest **ret, struct cl_error *err)
{
    int r = enter_groups(newborn, err);

    if (r == 0)
        r = close_others(newborn, err);
    if (r == 0)
        r = become_user(newborn, err);
    if (r == 0)
        r = bind_to_parent(newborn, err); /* a change of user would undo it */
    if (r == 0)
        r = enter_domain(newborn, err);
    if (r == 0)
        r = cl_wasi_new(&newborn->wasi, ret_wasi, err);
    if (r == 0)
        r = cl_guest_new(newborn->program, *ret_wasi, &newborn->limits, ret, err);
    return r < 0 ? r : cl_seccomp_install(cl_seccomp_worker.insns, cl_seccomp_worker.count, err);
}

static void tell(const struct cl_newborn *newborn, const struct cl_newborn_words *words)
{
    (void)cl_write_all(newborn->words, words, sizeof(*words)); /* or its status says as much */
}

CL_NORETURN static void fail(const struct cl_newborn *newborn, const struct cl_error *err)
{
    struct cl_newborn_words words = {.code = err->code};

    (void)snprintf(words.message, sizeof(words.message), "%.299s", err->msg);
    tell(newborn, &words);
    _exit(1);
}

void cl_newborn_run(const struct cl_newborn *newborn)
{
    struct cl_error err = {0};
    struct cl_wasi *wasi = NULL;
    struct cl_guest *guest = NULL;
    struct cl_guest_end end = {0};
    int r = prepare(newborn, &wasi, &guest, &err);

    if (r < 0)
        fail(newborn, &err);
    r = cl_guest_run(guest, &end, &err);
    if (r < 0)
        fail(newborn, &err);
    if (end.backtrace != NULL)
        cl_wasi_say(wasi, end.backtrace);
    struct cl_newborn_words words = {
        .kind = end.kind,
        .exit_code = end.exit_code,
        .memory_bytes = cl_guest_memory_bytes(guest),
        .written = {cl_wasi_written(wasi, 1), cl_wasi_written(wasi, 2)},
    };
    (void)snprintf(words.message, sizeof(words.message), "%.299s", end.trap);
    tell(newborn, &words);
    _exit(0);
}
