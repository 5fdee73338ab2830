/* The wasm wall: WebAssembly's own - a module reaches memory that is its, and calls what it was
 * given - and around the worker that runs it the container wall, because engines have bugs too.
 *
 * The worker (cloister-wasm, or of a component cloister-wasm-component) is all that is executed in
 * there. Its root is an empty directory of
 * scratch with the volumes in it, or the image's tree where a module came in one; it is the one
 * directory that the guest is given, so that what the mounts, the user and Landlock refuse is
 * refused whatever the guest makes of its worker. There is no /proc, which would show the worker to
 * the guest as files.
 *
 * A compiled module is trusted code: who starts the sandbox has it from src/module, which lets
 * nobody else write one.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/num.h"
#include "base/seal.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "module/library.h"
#include "plan/guest_users.h"
#include "worker/orders.h"
#include "walls/wall.h"
#include "walls/wasm/join.h"
#include "walls/wasm/library.h"
#include "walls/wasm/share.h"

enum {
    ARENA_MAX = 4 << 20,
    SHARE_OF_DESCRIPTORS = 8,
    LEAST_FD = 16, /* descriptors of a guest, where the limit is less than the worker has */
    MAX_TABLE_ELEMENTS = 10 << 20,
    MANYS_TABLE_ELEMENTS = 128 << 10, /* of each of many: there is room for all of them at once */
};

static int is_for_many(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_MODULES;
}

/* Whether all guests share one address space. */
static int is_pooled(const struct cl_plan *plan)
{
    return is_for_many(plan) && plan->wasm_model == CL_WASM_COROUTINE;
}

/* What is only for programs of the kernel. */
static int wasm_check(const struct cl_plan *plan, struct cl_error *err)
{
    if (!cl_plan_has_module(plan))
        return cl_refuse(err, EINVAL, "the image is no WebAssembly module");
    if (plan->profile == CL_PROFILE_BUILD)
        return cl_refuse(err, EINVAL,
                         "the profile build gives root to programs of a distribution; a "
                         "WebAssembly module has no use for it");
    if (plan->network != CL_NETWORK_NONE && !plan->image_component)
        return cl_refuse(err, EINVAL,
                         "a module of WASI preview 1 can open no connection: it has no use for "
                         "--network %s",
                         cl_field_words(CL_FIELD_NETWORK)[plan->network]);
    if (cl_plan_has(plan, CL_FIELD_SECCOMP))
        return cl_refuse(err, EINVAL,
                         "--seccomp: the system calls of a module's worker are Cloister's own, "
                         "and fewer than any profile for programs allows");
    return cl_wall_container.check(plan, err);
}

/* --- start ---------------------------------------------------------------- */

static int is_apart(const struct cl_plan *plan)
{
    return plan->wasm_engine == CL_WASM_WASMEDGE && !is_for_many(plan);
}

static const char *worker_of(const struct cl_plan *plan)
{
    if (plan->wasm_engine == CL_WASM_WASMEDGE)
        return CL_LIBRARY_WORKER;
    return plan->image_component ? "cloister-wasm-component" : "cloister-wasm";
}

static int open_worker(const struct cl_plan *plan, struct cl_error *err)
{
    struct cl_helper worker;
    int r = cl_helper_find(NULL, worker_of(plan), &worker, err);

    if (r < 0)
        return cl_hint(err, "make wasm builds it");
    return cl_seal_open(worker.path, err);
}

/* What one guest may have open: of many, a part that leaves something to the others. */
static uint32_t guests_descriptors(const struct cl_plan *plan)
{
    const uint64_t all = cl_min_u64(plan->limits.open_files, UINT16_MAX);
    const uint64_t share = is_for_many(plan) ? all / SHARE_OF_DESCRIPTORS : all;

    return (uint32_t)cl_max_u64(share, LEAST_FD);
}

/* The line has to hold all of them before the worker reads one: no message is longer than it need
 * be. */
static int give_volumes(const struct cl_plan *plan, int line)
{
    struct cl_worker_volume volume = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->files.count; i++) {
        const struct cl_plan_file *file = &plan->files.items[i];

        volume.is_read_only = file->kind == CL_FILE_BIND && file->mode == CL_FILE_RO;
        (void)snprintf(volume.path, sizeof(volume.path), "%s", file->target);
        r = cl_write_all(line, &volume,
                         offsetof(struct cl_worker_volume, path) + strlen(volume.path) + 1);
    }
    return r;
}

/* And never waits for the worker, from here on. */
static int give_orders(const struct cl_plan *plan, int line, struct cl_error *err)
{
    const uint64_t bytes = cl_wasm_guests_bytes(plan);
    const int has_volumes = is_for_many(plan) || is_apart(plan);
    const struct cl_worker_orders orders = {
        .version = CL_WORKER_VERSION,
        .max_descriptors = guests_descriptors(plan),
        .memory_bytes = bytes,
        .table_elements = cl_min_u64(bytes / sizeof(void *),
                                     is_pooled(plan) ? MANYS_TABLE_ELEMENTS : MAX_TABLE_ELEMENTS),
        .in_turns = plan->wasm_model == CL_WASM_COROUTINE,
        .has_domains = !cl_plan_without(plan, CL_LAYER_LANDLOCK),
        .guests = is_for_many(plan) ? (uint32_t)plan->guests : 0,
        .first_user = cl_guest_users_of(plan).first,
        .has_network = plan->network != CL_NETWORK_NONE,
        .volumes = has_volumes ? (uint32_t)plan->files.count : 0,
        .arguments = is_apart(plan) ? (uint32_t)plan->command.count : 0,
        .is_read_only = plan->root_mode == CL_ROOT_READ_ONLY,
    };
    int r = cl_sys_fcntl(line, F_SETFL, O_NONBLOCK);

    if (r == 0)
        r = cl_write_all(line, &orders, sizeof(orders));
    if (r == 0 && has_volumes)
        r = give_volumes(plan, line);
    return r < 0 ? cl_fail(err, r, "give the worker its orders") : 0;
}

/* In its own plan's place: one that has all of it. */
static int start_worker(const struct cl_wall_start *start, struct cl_wall_program *program,
                        struct cl_wall_process *ret, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_wall_start with_program = *start;
    struct cl_plan plan = *start->plan;

    with_program.program = program;
    if (plan.wasm_engine == CL_WASM_WASMEDGE) {
        int r = cl_wasm_add_library(&plan, &arena, &program->loader, err);
        if (r < 0)
            return r;
        with_program.plan = &plan;
    }
    int r = cl_wall_container.start(&with_program, ret, err);
    if (r == 0)
        ret->plan = start->plan;
    return r;
}

static int wasm_start(const struct cl_wall_start *start, struct cl_wall_process *ret,
                      struct cl_error *err)
{
    int line[2];

    const int has_module = !is_for_many(start->plan);

    if (start->worker > 0)
        return cl_wasm_join(start, ret, err);

    CL_ASSERT(!has_module || start->image > STDERR_FILENO);
    CL_CLEANUP_FD int worker = open_worker(start->plan, err);

    if (worker < 0)
        return worker;
    int r = cl_sys_socketpair(SOCK_SEQPACKET, line);
    if (r < 0)
        return cl_fail(err, r, "make the line to the worker");
    CL_CLEANUP_FD int ours = line[0];
    CL_CLEANUP_FD int theirs = line[1];
    r = give_orders(start->plan, ours, err);
    if (r < 0)
        return r;
    struct cl_wall_program program = {
        .name = worker_of(start->plan),
        .fds = {theirs, has_module ? start->image : worker, worker},
        .fd_count = has_module ? CL_WORKER_FDS + 1 : CL_WORKER_FDS,
    };
    r = start_worker(start, &program, ret, err);
    if (r == 0)
        ret->line = CL_TAKE_FD(ours);
    return r;
}

/* --- the running wall ------------------------------------------------------ */

static int wasm_joins(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_MODULE && plan->shares_worker;
}

static int wasm_release(struct cl_wall_process *process, const struct cl_limits *limits,
                        struct cl_error *err)
{
    if (process->is_joined)
        return cl_wasm_join_release(process, limits, err);
    return cl_wall_container.release(process, limits, err);
}

static int wasm_begin(struct cl_wall_process *process, struct cl_error *err)
{
    return cl_wall_container.begin(process, err);
}

static int wasm_leave(struct cl_wall_process *process, struct cl_error *err)
{
    return cl_wall_container.leave(process, err);
}

static int wasm_signal(struct cl_wall_process *process, int signal, struct cl_error *err)
{
    return process->is_joined ? cl_wasm_join_signal(process, signal, err)
                              : cl_wall_container.signal(process, signal, err);
}

static int wasm_pause(struct cl_wall_process *process, int is_paused, struct cl_error *err)
{
    return process->is_joined ? cl_wasm_join_pause(process, is_paused, err)
                              : cl_wall_container.pause(process, is_paused, err);
}

static int wasm_tell(struct cl_wall_process *process, const struct cl_wall_told *told, int client,
                     struct cl_error *err)
{
    return process->is_joined ? cl_wasm_join_tell(process, told, client, err)
                              : cl_refuse(err, ENOTSUP, "the sandbox has cgroups of its own");
}

static int wasm_lend(const struct cl_wall_start *start, struct cl_error *err)
{
    return cl_wall_container.lend(start, err);
}

/* Files come and go as anywhere; a program would be one of the kernel's. */
static int wasm_exec(struct cl_wall_process *process, const struct cl_exec_request *request,
                     const int *fds, struct cl_error *err)
{
    if (process->is_joined)
        return cl_refuse(err, ENOTSUP,
                         "the module shares the worker of its tenant, and has no place of its own");
    if ((request->flags & CL_EXEC_COPY) == 0)
        return cl_refuse(err, ENOTSUP,
                         "behind the wasm wall runs one module, and no other program");
    if (process->plan->wasm_engine == CL_WASM_WASMEDGE)
        return cl_refuse(err, ENOTSUP,
                         "the module's files are no part of the sandbox's root: WasmEdge's worker "
                         "has files there");
    return cl_wall_container.exec(process, request, fds, err);
}

static int wasm_receive(struct cl_wall_process *process, struct cl_error *err)
{
    return process->is_joined ? cl_wasm_join_receive(process, err)
                              : cl_wall_container.receive(process, err);
}

static int wasm_admit(struct cl_wall_process *process, int connection, struct cl_error *err)
{
    char word = 0;
    const struct cl_packet packet = {
        .data = &word, .size = sizeof(word), .fds = {connection}, .fd_count = 1};
    int r = cl_channel_send(process->line, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);

    return r < 0 ? cl_fail(err, r, "hand a client to the worker") : 0;
}

static void wasm_explain(struct cl_wall_process *process, struct cl_error *err)
{
    struct cl_worker_words words = {0};
    const ssize_t size = process->line < 0 ? 0 : cl_sys_read(process->line, &words, sizeof(words));

    if (size <= 0)
        return; /* it had nothing to say, and doesn't keep us waiting */
    if (size != (ssize_t)sizeof(words) || words.version != CL_WORKER_VERSION) {
        (void)cl_refuse(err, EPROTO,
                        "the worker, %s, is of another version than cloister; make wasm builds it",
                        worker_of(process->plan));
        return;
    }
    words.message[sizeof(words.message) - 1] = '\0';
    cl_utf8_make_printable(words.message);
    (void)cl_refuse(err, ECANCELED, "%s", words.message);
}

static int wasm_shrink(const struct cl_plan *plan, struct cl_error *err)
{
    return cl_wall_container.shrink(plan, err);
}

static void wasm_done(struct cl_wall_process *process)
{
    cl_wall_container.done(process);
    cl_fd_close(&process->line);
}

const struct cl_wall cl_wall_wasm = {
    .name = "wasm",
    .check = wasm_check,
    .joins = wasm_joins,
    .start = wasm_start,
    .release = wasm_release,
    .begin = wasm_begin,
    .leave = wasm_leave,
    .signal = wasm_signal,
    .pause = wasm_pause,
    .tell = wasm_tell,
    .lend = wasm_lend,
    .exec = wasm_exec,
    .receive = wasm_receive,
    .admit = wasm_admit,
    .explain = wasm_explain,
    .shrink = wasm_shrink,
    .done = wasm_done,
};
