/* The tenants' workers: how one comes, and the line to it.
 *
 * `cloister wasm serve` makes one, which ends when we do. What it answers is foreign bytes: guests
 * may have broken it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/daemon.h"
#include "sandbox/clients.h"
#include "sandbox/state.h"

enum { WORDS = 16, ANSWERS_AT_ONCE = 64, REASON_SIZE = sizeof(((struct cl_worker *)NULL)->said) };

/* --- who has something to tell --------------------------------------------------------------- */

static void leave_telling(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;
    struct cl_task **at = &worker->first;

    while (*at != NULL && *at != task)
        at = &(*at)->next_telling;
    if (*at == NULL)
        return;
    *at = task->next_telling;
    if (worker->end == &task->next_telling)
        worker->end = at;
    task->next_telling = NULL;
    task->is_telling = 0;
}

static void join_telling(struct cl_task *task, unsigned int wants)
{
    struct cl_worker *worker = task->worker;

    task->wants |= wants;
    if (task->is_telling) /* maybe of nothing: an order may have been taken back */
        return;
    task->is_telling = 1;
    task->next_telling = NULL;
    *worker->end = task;
    worker->end = &task->next_telling;
}

/* --- orders ---------------------------------------------------------------------------------- */

static int send_packet(const struct cl_worker *worker, const struct cl_packet *packet)
{
    int r = cl_channel_send(worker->line.fd, packet, MSG_DONTWAIT | MSG_NOSIGNAL);

    return r == -ENOBUFS ? -EAGAIN : r;
}

static void close_streams(struct cl_task *task)
{
    for (size_t i = 0; i < CL_TASK_STREAMS - 1; i++)
        cl_fd_close(&task->streams[i]);
}

static int send_run(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;
    struct cl_order_run *run = (struct cl_order_run *)(void *)task->what.order;
    struct cl_packet packet = {.data = task->what.order,
                               .size = task->what.order_size,
                               .fds = {task->what.code},
                               .fd_count = 1};

    run->order.guest = task->guest;
    run->streams = 0;
    for (unsigned int i = 0; i < CL_TASK_STREAMS; i++) {
        if (task->streams[i] < 0)
            continue;
        run->streams |= 1U << i;
        packet.fds[packet.fd_count++] = task->streams[i];
    }
    int r = send_packet(worker, &packet);
    if (r == 0)
        close_streams(task);
    return r;
}

static const struct {
    unsigned int want;
    uint32_t kind;
} words[] = {
    {CL_WANT_PAUSE, CL_ORDER_PAUSE},
    {CL_WANT_CONTINUE, CL_ORDER_CONTINUE},
    {CL_WANT_TELL, CL_ORDER_TELL},
    {CL_WANT_END, CL_ORDER_END},
};

static int send_words(struct cl_task *task)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(words); i++) {
        struct cl_order order = {
            .version = CL_WORKER_VERSION, .kind = words[i].kind, .guest = task->guest};
        const struct cl_packet packet = {.data = &order, .size = sizeof(order)};

        if ((task->wants & words[i].want) == 0)
            continue;
        r = send_packet(task->worker, &packet);
        if (r == 0)
            task->wants &= ~words[i].want;
    }
    return r;
}

static int send_all(struct cl_task *task)
{
    if ((task->wants & CL_WANT_RUN) != 0) {
        int r = send_run(task);

        if (r < 0)
            return r;
        task->wants &= ~(unsigned int)CL_WANT_RUN;
    }
    return send_words(task);
}

static void hang_up(struct cl_worker *worker)
{
    cl_loop_remove(&worker->daemon->loop, &worker->line);
    cl_fd_close(&worker->line.fd);
    if (worker->state != CL_WORKER_READY)
        cl_daemon_end_context(worker->daemon, worker); /* who is to bring it takes too long */
    cl_daemon_forget_context(worker->daemon, worker);
    cl_patience_end(worker);
    worker->pid = 0;
    worker->state = CL_WORKER_ABSENT;
}

static int begin_removal(struct cl_worker *worker, struct cl_error *err);

/* It may be alive, and broken: that it is removed is waited for by nobody but the next one. */
void cl_worker_desert(struct cl_worker *worker, const struct cl_error *why)
{
    const int was_removed = worker->state == CL_WORKER_REMOVING;
    struct cl_error ignored;

    hang_up(worker);
    if (worker->is_left && !was_removed)
        (void)begin_removal(worker, &ignored); /* else before the next one comes */
    for (size_t i = 0; i < CL_DAEMON_BUCKETS; i++) {
        while (worker->guests[i] != NULL)
            cl_task_deserted(worker->guests[i], why);
    }
}

static void listen_for(struct cl_worker *worker, uint32_t events)
{
    struct cl_error err = {0};

    if (worker->line.events != events &&
        cl_loop_change(&worker->daemon->loop, &worker->line, events, &err) < 0)
        cl_worker_desert(worker, &err);
}

static void pump(struct cl_worker *worker)
{
    struct cl_error err = {0};

    while (worker->state == CL_WORKER_READY && worker->first != NULL) {
        int r = send_all(worker->first);

        if (r == -EAGAIN) {
            listen_for(worker, EPOLLIN | EPOLLOUT);
            return;
        }
        if (r < 0) {
            (void)cl_fail(&err, r, "give an order to the worker of the tenant %s", worker->tenant);
            cl_worker_desert(worker, &err);
            return;
        }
        leave_telling(worker->first);
    }
    if (worker->state == CL_WORKER_READY)
        listen_for(worker, EPOLLIN);
}

/* --- answers --------------------------------------------------------------------------------- */

static struct cl_task *find_guest(const struct cl_worker *worker, uint64_t guest)
{
    struct cl_task *task = worker->guests[guest % CL_DAEMON_BUCKETS];

    while (task != NULL && task->guest != guest)
        task = task->next_guest;
    return task;
}

static void say_refused(const struct cl_worker *worker, const struct cl_answer *answer)
{
    struct cl_error why = {0};

    (void)cl_refuse(&why, EPROTO, "%s", answer->message);
    cl_daemon_say(worker->tenant, &why);
}

/* 1; 0: no more for now; or -errno, behind which there is no worker. */
static int take_answer(struct cl_worker *worker)
{
    struct cl_answer answer = {0};
    struct cl_packet packet = {.data = &answer, .size = sizeof(answer)};
    int r = cl_channel_receive(worker->line.fd, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN || r == -EINTR)
        return 0;
    if (r < 0)
        return r;
    if (packet.size != sizeof(answer) || answer.version != CL_WORKER_VERSION)
        return -EPROTO;
    answer.message[sizeof(answer.message) - 1] = '\0';
    struct cl_task *task = find_guest(worker, answer.guest);
    if (task != NULL && (task->wants & CL_WANT_RUN) != 0)
        return -EPROTO; /* it can't know of that yet */
    if (task != NULL)
        cl_task_answered(task, &answer);
    else if (answer.guest == 0 && answer.kind == CL_ANSWER_REFUSED)
        say_refused(worker, &answer); /* it has hung up */
    return 1;
}

static int on_line(struct cl_source *source, uint32_t events, CL_UNUSED struct cl_error *err)
{
    struct cl_worker *worker = source->context;
    struct cl_error why = {0};
    int r = 1;

    if ((events & EPOLLOUT) != 0)
        pump(worker);
    /* Others have their turn before one who says more and more. */
    for (int i = 0; r == 1 && i < ANSWERS_AT_ONCE && worker->state == CL_WORKER_READY; i++)
        r = take_answer(worker);
    if (r < 0 && worker->state == CL_WORKER_READY) {
        (void)cl_fail(&why, r, "the worker of the tenant %s has ended, and with it all that it ran",
                      worker->tenant);
        cl_worker_desert(worker, &why);
    }
    return 0;
}

/* --- how it comes ---------------------------------------------------------------------------- */

static int connect_worker(struct cl_worker *worker)
{
    const struct cl_plan plan = {.tenant = worker->tenant};
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
        .fd = CL_TAKE_FD(fd), .events = EPOLLIN, .on_event = on_line, .context = worker};
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
        pump(worker);
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
    char *argv[WORDS] = {
        cl_unconst("cloister"),         cl_unconst("wasm"),     cl_unconst("serve"),
        cl_unconst("--tenant"),         worker->tenant,         cl_unconst("--guests"),
        cl_unconst(options->guests),    cl_unconst("--memory"), cl_unconst(options->memory),
        cl_unconst("--die-with-parent")};
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
    int r = cl_clients_name(worker->tenant, name, err);

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

static int begin_removal(struct cl_worker *worker, struct cl_error *err)
{
    int r = remove_worker(worker, on_removed, err);

    if (r < 0)
        return r;
    worker->state = CL_WORKER_REMOVING;
    cl_patience_begin(worker);
    return 0;
}

static void need_worker(struct cl_worker *worker)
{
    struct cl_error err = {0};

    if (worker->state == CL_WORKER_ABSENT && begin_removal(worker, &err) < 0)
        cl_worker_desert(worker, &err);
}

/* --- for tasks ------------------------------------------------------------------------------- */

struct cl_worker *cl_daemon_worker(struct cl_daemon *daemon, const char *tenant,
                                   struct cl_error *err)
{
    struct cl_worker *worker = daemon->workers;

    while (worker != NULL && strcmp(worker->tenant, tenant) != 0)
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
    (void)snprintf(worker->tenant, sizeof(worker->tenant), "%s", tenant);
    if (cl_patience_init(worker, err) < 0) {
        cl_patience_done(worker);
        free(worker);
        return NULL;
    }
    worker->next = daemon->workers;
    daemon->workers = worker;
    return worker;
}

void cl_worker_tell(struct cl_task *task, unsigned int wants)
{
    struct cl_worker *worker = task->worker;

    if (task->guest == 0) {
        struct cl_task **bucket;

        task->guest = ++worker->last_guest;
        bucket = &worker->guests[task->guest % CL_DAEMON_BUCKETS];
        task->next_guest = *bucket;
        *bucket = task;
    }
    join_telling(task, wants);
    if (worker->state == CL_WORKER_READY)
        pump(worker);
    else
        need_worker(worker);
}

/* When that can't be said the line is broken off, and with it all that this client of the worker's
 * has: an order that doesn't come is a guest that nobody ends. */
void cl_worker_end_now(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;
    struct cl_order order = {
        .version = CL_WORKER_VERSION, .kind = CL_ORDER_END, .guest = task->guest};
    const struct cl_packet packet = {.data = &order, .size = sizeof(order)};
    struct cl_error why = {0};

    if (task->guest == 0 || (task->wants & CL_WANT_RUN) != 0 || worker->state != CL_WORKER_READY)
        return; /* it isn't there */
    int r = send_packet(worker, &packet);
    cl_worker_leave(task);
    if (r < 0) {
        (void)cl_fail(&why, r, "end a guest of the tenant %s", worker->tenant);
        cl_worker_desert(worker, &why);
    }
}

void cl_worker_leave(struct cl_task *task)
{
    struct cl_worker *worker = task->worker;

    if (worker == NULL || task->guest == 0)
        return;
    struct cl_task **at = &worker->guests[task->guest % CL_DAEMON_BUCKETS];
    while (*at != task)
        at = &(*at)->next_guest;
    *at = task->next_guest;
    leave_telling(task);
    task->wants = 0;
    task->guest = 0;
}

/* --- how it goes ----------------------------------------------------------------------------- */

static void free_worker(struct cl_worker *worker)
{
    struct cl_worker **at = &worker->daemon->workers;

    while (*at != worker)
        at = &(*at)->next;
    *at = worker->next;
    hang_up(worker);
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
    hang_up(worker);
    if (!worker->is_left || begin_removal(worker, &ignored) < 0) /* or it ends when we do */
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

        hang_up(worker);
        if (worker->is_left)
            (void)remove_worker(worker, NULL, &ignored); /* or it ends as we do */
        free_worker(worker);
    }
}
