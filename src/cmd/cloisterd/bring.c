/* How a tenant's worker comes and goes: `cloister wasm serve` is one, which ends when we do. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloisterd/worker_parts.h"
#include "sandbox/clients.h"
#include "sandbox/state.h"

enum { WORDS = 16, REASON_SIZE = sizeof(((struct cl_worker *)NULL)->said) };

/* --- how it comes ---------------------------------------------------------------------------- */

static int connect_worker(struct cl_worker *worker)
{
    const struct cl_plan plan = {.tenant = worker->name,
                                 .wasm_model =
                                     worker->has_processes ? CL_WASM_PROCESS : CL_WASM_COROUTINE};
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error err = {0};
    struct ucred peer;
    socklen_t size = sizeof(peer);
    int r = cl_state_open(&state, &err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int fd = cl_clients_connect(state.dir, &plan);
    if (fd < 0)
        return fd;
    r = cl_sys_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    if (r < 0)
        return r;
    worker->pid = peer.pid;
    worker->line = (struct cl_source){
        .fd = CL_TAKE_FD(fd), .events = EPOLLIN, .on_event = cl_worker_on_line, .context = worker};
    r = cl_loop_add(&worker->daemon->loop, &worker->line, &err);
    if (r < 0) {
        cl_fd_close(&worker->line.fd);
        return r;
    }
    worker->state = CL_WORKER_READY;
    cl_patience_end(worker);
    return 0;
}

/* OUTPUT is the program's standard error. */
static int run_cloister(struct cl_worker *worker, char *const argv[], int output,
                        void (*on_end)(void *, int), struct cl_error *err)
{
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);

    if (null < 0)
        return cl_fail(err, null, "open /dev/null");
    const int fds[] = {null, null, output < 0 ? null : output};
    const struct cl_child_start start = {.path = worker->daemon->cloister.path,
                                         .argv = argv,
                                         .envp = environ,
                                         .fds = fds,
                                         .fd_count = CL_ARRAY_SIZE(fds),
                                         .cwd = -1};
    return cl_daemon_start_child(worker->daemon, &start, on_end, worker, err);
}

static void forget_output(struct cl_worker *worker)
{
    cl_loop_remove(&worker->daemon->loop, &worker->output);
    cl_fd_close(&worker->output.fd);
}

/* Whatever it says, it may serve by then; when it doesn't, it says more, or ends. */
static int on_output(struct cl_source *source, CL_UNUSED uint32_t events,
                     CL_UNUSED struct cl_error *err)
{
    struct cl_worker *worker = source->context;
    const size_t had = strlen(worker->said);
    char more[REASON_SIZE];
    struct cl_error why = {0};
    ssize_t size = cl_sys_read(source->fd, more, sizeof(more));

    if (size == -EAGAIN || size == -EINTR)
        return 0;
    if (size <= 0) {
        forget_output(worker);
        return 0;
    }
    (void)snprintf(worker->said + had, sizeof(worker->said) - had, "%.*s", (int)size, more);
    int r = worker->state == CL_WORKER_STARTING ? connect_worker(worker) : -ENOENT;
    if (r == 0) {
        cl_worker_pump(worker);
    } else if (r != -ENOENT) { /* it serves, and won't say so again */
        (void)cl_fail(&why, r, "connect to the worker of the tenant %s", worker->tenant);
        cl_worker_desert(worker, &why);
    }
    return 0;
}

static void on_ended(void *context, CL_UNUSED int status)
{
    struct cl_worker *worker = context;
    struct cl_error err = {0};

    if (worker->state != CL_WORKER_STARTING)
        return; /* the line tells */
    if (worker->output.fd >= 0)
        (void)on_output(&worker->output, EPOLLIN, &err); /* its last words */
    if (worker->state != CL_WORKER_STARTING)
        return; /* the same */
    worker->said[strcspn(worker->said, "\n")] = '\0';
    (void)cl_refuse(&err, EIO, "the worker of the tenant %s: %s", worker->tenant,
                    worker->said[0] == '\0' ? "it ended before it began" : worker->said);
    cl_worker_desert(worker, &err);
}

static int start_worker(struct cl_worker *worker, struct cl_error *err)
{
    const struct cl_daemon_options *options = worker->daemon->options;
    char *argv[WORDS] = {cl_unconst("cloister"),
                         cl_unconst("wasm"),
                         cl_unconst("serve"),
                         cl_unconst("--tenant"),
                         worker->name,
                         cl_unconst("--guests"),
                         cl_unconst(options->guests),
                         cl_unconst("--memory"),
                         cl_unconst(options->memory),
                         cl_unconst("--die-with-parent"),
                         cl_unconst("--wasm-model"),
                         cl_unconst(worker->has_processes ? "process" : "coroutine")};
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int theirs = ends[1];
    forget_output(worker);
    worker->said[0] = '\0';
    worker->output = (struct cl_source){
        .fd = ends[0], .events = EPOLLIN, .on_event = on_output, .context = worker};
    r = cl_sys_fcntl(worker->output.fd, F_SETFL, O_NONBLOCK);
    if (r < 0)
        return cl_fail(err, r, "make a pipe non-blocking");
    r = cl_loop_add(&worker->daemon->loop, &worker->output, err);
    if (r == 0)
        r = run_cloister(worker, argv, theirs, on_ended, err);
    if (r < 0)
        return r;
    worker->is_left = 1;
    return 0;
}

static int remove_worker(struct cl_worker *worker, void (*on_end)(void *, int),
                         struct cl_error *err)
{
    char name[CL_CLIENTS_NAME_SIZE];
    char *argv[WORDS] = {cl_unconst("cloister"), cl_unconst("rm"), cl_unconst("--force"), name};
    int r = cl_clients_name(worker->name, name, err);

    return r < 0 ? r : run_cloister(worker, argv, -1, on_end, err);
}

static int is_unused(const struct cl_worker *worker);
static void free_worker(struct cl_worker *worker);

/* Whether there was a dead one doesn't matter. */
static void on_removed(void *context, CL_UNUSED int status)
{
    struct cl_worker *worker = context;
    struct cl_error err = {0};

    cl_patience_end(worker);
    worker->is_left = 0;
    worker->state = CL_WORKER_ABSENT;
    if (is_unused(worker)) {
        free_worker(worker);
        return;
    }
    if (worker->first == NULL)
        return;
    worker->state = CL_WORKER_STARTING;
    cl_patience_begin(worker);
    if (start_worker(worker, &err) < 0)
        cl_worker_desert(worker, &err);
}

int cl_worker_begin_removal(struct cl_worker *worker, struct cl_error *err)
{
    int r = remove_worker(worker, on_removed, err);

    if (r < 0)
        return r;
    worker->state = CL_WORKER_REMOVING;
    cl_patience_begin(worker);
    return 0;
}

void cl_worker_need(struct cl_worker *worker)
{
    struct cl_error err = {0};

    if (worker->state == CL_WORKER_ABSENT && cl_worker_begin_removal(worker, &err) < 0)
        cl_worker_desert(worker, &err);
}

/* --- which there are -------------------------------------------------------------------------- */

/* A tenant that has both kinds is two to cloister. */
static void name_worker(struct cl_worker *worker)
{
    static const char suffix[] = ".p";
    const size_t size = strlen(worker->tenant);

    memcpy(worker->name, worker->tenant, sizeof(worker->name));
    if (worker->has_processes) /* whole where there is room: else it was a digest */
        memcpy(worker->name + cl_min_u64(size, sizeof(worker->name) - sizeof(suffix)), suffix,
               sizeof(suffix));
}

struct cl_worker *cl_daemon_worker(struct cl_daemon *daemon, const char *tenant, int has_processes,
                                   struct cl_error *err)
{
    struct cl_worker *worker = daemon->workers;

    while (worker != NULL &&
           (strcmp(worker->tenant, tenant) != 0 || worker->has_processes != has_processes))
        worker = worker->next;
    if (worker != NULL)
        return worker;
    worker = cl_calloc(1, sizeof(*worker));
    if (worker == NULL) {
        (void)cl_fail_memory(err);
        return NULL;
    }
    *worker = (struct cl_worker){
        .daemon = daemon, .line = {.fd = -1}, .output = {.fd = -1}, .timer = {.fd = -1}};
    worker->end = &worker->first;
    worker->has_processes = has_processes;
    (void)snprintf(worker->tenant, sizeof(worker->tenant), "%s", tenant);
    name_worker(worker);
    if (cl_patience_init(worker, err) < 0) {
        cl_patience_done(worker);
        free(worker);
        return NULL;
    }
    worker->next = daemon->workers;
    daemon->workers = worker;
    return worker;
}

/* --- how it goes ----------------------------------------------------------------------------- */

static void free_worker(struct cl_worker *worker)
{
    struct cl_worker **at = &worker->daemon->workers;

    while (*at != worker)
        at = &(*at)->next;
    *at = worker->next;
    cl_worker_hang_up(worker);
    forget_output(worker);
    cl_patience_done(worker);
    free(worker);
}

static int is_unused(const struct cl_worker *worker)
{
    const struct cl_pod *pod = worker->daemon->pods;

    while (pod != NULL && strcmp(pod->tenant, worker->tenant) != 0)
        pod = pod->next;
    return pod == NULL && worker->users == 0;
}

/* Who comes for its tenant meanwhile waits until it is removed. */
static void retire(struct cl_worker *worker)
{
    struct cl_error ignored;

    if (worker->state == CL_WORKER_REMOVING)
        return; /* on_removed goes on */
    cl_worker_hang_up(worker);
    if (!worker->is_left ||
        cl_worker_begin_removal(worker, &ignored) < 0) /* or it ends when we do */
        free_worker(worker);
}

void cl_daemon_sweep_workers(struct cl_daemon *daemon)
{
    struct cl_worker *worker = daemon->workers;

    while (worker != NULL) {
        struct cl_worker *next = worker->next;

        if (is_unused(worker))
            retire(worker);
        worker = next;
    }
}

void cl_daemon_end_workers(struct cl_daemon *daemon)
{
    struct cl_error ignored;

    while (daemon->workers != NULL) {
        struct cl_worker *worker = daemon->workers;

        cl_worker_hang_up(worker);
        if (worker->is_left)
            (void)remove_worker(worker, NULL, &ignored); /* or it ends as we do */
        free_worker(worker);
    }
}
