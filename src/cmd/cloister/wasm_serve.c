#include "cmd/cloister/wasm_serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/seal.h"
#include "base/sys.h"
#include "cmd/cloister/detach.h"
#include "cmd/cloister/run_plan.h"
#include "plan/guest_users.h"
#include "sandbox/clients.h"
#include "sandbox/sandbox.h"

enum {
    GUESTS = 1000,
    FDS_OF_A_GUEST = 8,
    FDS_OF_THE_WORKER = 64,
    /* Of vm.max_map_count: a memory and a stack, each between guards, and a table; and what else a
     * process has. */
    MAPS_OF_A_GUEST = 5,
    MAPS_OF_THE_WORKER = 1000,
    TASKS_OF_THE_WORKER = 1,
};

/* --- what the host has room for ------------------------------------------------------------ */

static int check_guests(uint64_t guests, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/sys/vm/max_map_count", O_RDONLY, 0);
    char text[32] = "";
    uint64_t maps = 0;
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, text, sizeof(text) - 1);

    text[strcspn(text, "\n")] = '\0';
    if (got <= 0 || cl_parse_u64(text, &maps) < 0)
        return cl_fail(err, got < 0 ? (int)got : -EINVAL, "read vm.max_map_count");
    const uint64_t room =
        maps < MAPS_OF_THE_WORKER ? 0 : (maps - MAPS_OF_THE_WORKER) / MAPS_OF_A_GUEST;
    if (guests > room)
        return cl_refuse(err, EINVAL,
                         "--guests: vm.max_map_count is %llu, which is enough for %llu; it is "
                         "set by sysctl",
                         (unsigned long long)maps, (unsigned long long)room);
    return 0;
}

static int check_processes(uint64_t guests, struct cl_error *err)
{
    if (guests > CL_GUEST_USERS_MOST)
        return cl_refuse(err, EINVAL, "--guests: a worker has users for %d processes",
                         CL_GUEST_USERS_MOST);
    return 0;
}

/* Each guest has a descriptor of its own for each of VOLUMES. */
static uint64_t open_files_for(uint64_t guests, uint64_t volumes)
{
    struct rlimit own = {0};
    const uint64_t wanted = FDS_OF_THE_WORKER + volumes + guests * (FDS_OF_A_GUEST + volumes);

    return getrlimit(RLIMIT_NOFILE, &own) < 0 ? wanted : cl_min_u64(wanted, own.rlim_max);
}

/* --- the plan ------------------------------------------------------------------------------ */

/* What lies below the flags. */
static int describe(const struct cl_run_request *request, struct cl_plan *ret, struct cl_error *err)
{
    static const char *const entrypoint[] = {"cloister-wasm"};
    const struct cl_plan *flags = &request->flags;
    const uint64_t guests = cl_plan_has(flags, CL_FIELD_GUESTS) ? flags->guests : GUESTS;
    const int has_processes =
        cl_plan_has(flags, CL_FIELD_WASM_MODEL) && flags->wasm_model == CL_WASM_PROCESS;
    char *name = cl_arena_alloc(request->arena, CL_CLIENTS_NAME_SIZE);

    if (name == NULL)
        return cl_fail_memory(err);
    int r = cl_clients_name(flags->tenant, name, err);
    if (r == 0)
        r = has_processes ? check_processes(guests, err) : check_guests(guests, err);
    if (r < 0)
        return r;
    ret->image = "modules";
    ret->image_kind = CL_IMAGE_MODULES;
    ret->entrypoint = (struct cl_strlist){entrypoint, 1};
    ret->name = name;
    ret->guests = guests;
    ret->limits.open_files = open_files_for(guests, flags->files.count);
    cl_plan_mark(ret, CL_FIELD_IMAGE);
    cl_plan_mark(ret, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(ret, CL_FIELD_ENTRYPOINT);
    cl_plan_mark(ret, CL_FIELD_NAME);
    cl_plan_mark(ret, CL_FIELD_GUESTS);
    cl_plan_mark(ret, CL_FIELD_OPEN_FILES);
    if (has_processes) {
        ret->limits.tasks = guests + TASKS_OF_THE_WORKER;
        cl_plan_mark(ret, CL_FIELD_TASKS);
    }
    return 0;
}

/* A service has no end that it was not told. */
static int make_plan(struct cl_run_request *request, struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan below = {0};
    struct cl_run_held none = CL_RUN_HELD_INIT; /* there is no image to hold */
    int r = describe(request, &below, err);

    if (r == 0)
        r = cl_run_plan(request, &below, ret, &none, err);
    if (r == 0 && !cl_plan_has(&request->flags, CL_FIELD_TIME))
        cl_plan_unmark(ret, CL_FIELD_TIME);
    return r;
}

/* Whoever waits for this line finds it serving. */
static void say_serving(void *context, CL_UNUSED const char *id)
{
    const struct cl_plan *plan = context;

    (void)fprintf(stderr, "cloister: serving the tenant %s until cloister stop %s\n", plan->tenant,
                  plan->name); /* a closed stderr is the caller's wish */
}

int cl_wasm_serve(struct cl_run_request *request, int argc, char *const argv[],
                  struct cl_error *err)
{
    struct cl_plan plan = {0};
    const struct cl_plan *flags = &request->flags;

    if (!cl_plan_has(&request->flags, CL_FIELD_TENANT))
        return cl_refuse(err, EINVAL, "wasm serve: whose modules? say --tenant NAME");
    if (flags->detach && flags->die_with_parent)
        return cl_refuse(err, EINVAL,
                         "--detach and --die-with-parent exclude each other; see --timeout");
    int r = cl_seal_self(argv, err);
    if (r == 0)
        r = make_plan(request, &plan, err);
    if (r < 0)
        return r;
    /* Of the supervisor: who has more descriptors on their way than that, in all his processes, can
     * send none (unix(7)). What clients send can be received when they have been handed to the
     * worker, so that must go on when they may send no more. The worker's limit is the plan's. */
    cl_fd_raise_limit();
    struct cl_run_options options = {.argv = argv, .argc = argc};
    if (plan.detach)
        return cl_detach(&plan, &options, -1, err);
    options.on_started = say_serving;
    options.context = &plan;
    r = cl_sandbox_run(&plan, &options, err);
    if (r >= 0 && err->msg[0] != '\0')
        (void)fprintf(stderr, "cloister: %s\n", err->msg); /* the same */
    return r;
}
