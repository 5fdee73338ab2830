/* What a container runs is found out by a child of ours: it mounts, asks the jailed helper what
 * config.json says, and has the module compiled, which may take long. */
#include "cmd/cloisterd/prepare.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"

enum { TEXT_MOST = 4096 };

/* The child's only message; the order follows, and with it comes the code. */
struct answer {
    struct cl_error err; /* code 0: it went well */
    struct cl_recent_key key;
    char root[TEXT_MOST];   /* as config.json has it */
    char module[TEXT_MOST]; /* in that; "": too long to be kept */
    uint32_t has_process;
    uint32_t order_size;
};

struct message {
    struct answer answer;
    char order[CL_ORDER_MAX_BYTES];
};

void cl_prepared_done(struct cl_prepared *prepared)
{
    cl_fd_close(&prepared->code);
    for (size_t i = 0; i < prepared->door_count; i++)
        cl_fd_close(&prepared->doors[i]);
    free(prepared->order);
    *prepared = CL_PREPARED_INIT;
}

/* --- the child ------------------------------------------------------------------------------- */

static void copy_names(const struct cl_preparation *p, struct answer *ret)
{
    if (p->spec.root == NULL || p->module == NULL || strlen(p->spec.root) >= sizeof(ret->root) ||
        strlen(p->module) >= sizeof(ret->module))
        return;
    (void)snprintf(ret->root, sizeof(ret->root), "%s", p->spec.root);
    (void)snprintf(ret->module, sizeof(ret->module), "%s", p->module);
}

static int prepare(struct cl_preparation *p, struct cl_error *err)
{
    char path[CL_BUNDLE_PATH + 16];

    (void)snprintf(path, sizeof(path), "%s/config.json", p->bundle);
    p->config = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (p->config < 0)
        return cl_fail(err, p->config, "open the bundle's config.json");
    int r = cl_check_regular(p->config, "config.json", CL_SPEC_MAX_SIZE, err);
    if (r < 0)
        return r;
    if (cl_recent_digest(p->config, p->key.config) < 0)
        p->key = (struct cl_recent_key){0};
    return cl_prepare_module(p, err);
}

CL_NORETURN static void run_child(const struct cl_task *task, const struct cl_wire_list *mounts,
                                  int channel)
{
    static struct cl_preparation p; /* large */
    static struct message message;
    struct cl_packet packet = {.data = &message};
    const uint64_t none = 0;

    p = (struct cl_preparation){.bundle = task->bundle,
                                .tenant = task->worker->tenant,
                                .state = task->daemon->options->state,
                                .space = task->space->name,
                                .id = task->id,
                                .mounts = mounts,
                                .wants_terminal = task->wants_terminal,
                                .file = -1,
                                .code = -1,
                                .arena = CL_ARENA_INIT(8UL * CL_SPEC_MAX_SIZE),
                                .order = CL_BUF_INIT(CL_ORDER_MAX_BYTES)};
    if (cl_fd_close_others(&channel, 1) < 0 ||
        cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
        cl_sys_rt_sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(1);
    if (prepare(&p, &message.answer.err) < 0) {
        packet.size = sizeof(message.answer);
        _exit(cl_channel_send(channel, &packet, MSG_NOSIGNAL) < 0);
    }
    message.answer.err.code = 0;
    message.answer.key = p.key;
    message.answer.order_size = (uint32_t)p.order.size;
    copy_names(&p, &message.answer);
    memcpy(message.order, p.order.data, p.order.size);
    packet.size = offsetof(struct message, order) + p.order.size;
    message.answer.has_process = (uint32_t)p.has_process;
    packet.fds[packet.fd_count++] = p.code;
    for (size_t i = 0; i < p.door_count; i++)
        packet.fds[packet.fd_count++] = p.doors[i];
    _exit(cl_channel_send(channel, &packet, MSG_NOSIGNAL) < 0);
}

/* --- what it says ---------------------------------------------------------------------------- */

static int take_message(struct cl_task *task, const struct cl_packet *packet,
                        struct message *message, struct cl_prepared *ret, struct cl_error *err)
{
    struct answer *answer = &message->answer;

    if (packet->size < sizeof(*answer))
        return cl_refuse(err, EIO, "what is to be run was not found out");
    answer->err.msg[sizeof(answer->err.msg) - 1] = '\0';
    if (answer->err.code != 0) {
        *err = answer->err;
        return -err->code;
    }
    if (packet->fd_count < 1 || answer->order_size < sizeof(struct cl_order_run) ||
        packet->size != offsetof(struct message, order) + answer->order_size)
        return cl_refuse(err, EIO, "what is to be run was not found out");
    ret->order = cl_calloc(1, answer->order_size);
    if (ret->order == NULL)
        return cl_fail_memory(err);
    memcpy(ret->order, message->order, answer->order_size);
    ret->order_size = answer->order_size;
    ret->code = packet->fds[0];
    for (size_t i = 1; i < packet->fd_count; i++)
        ret->doors[ret->door_count++] = packet->fds[i];
    task->has_process = answer->has_process != 0;
    if (task->has_process) /* each has a cgroup of its own */
        return 0;
    const struct cl_recent_news news = {.key = &answer->key,
                                        .tenant = task->worker->tenant,
                                        .root = answer->root,
                                        .module = answer->module,
                                        .what = ret};
    cl_recent_keep(task->daemon, &news);
    return 0;
}

static int on_message(struct cl_source *source, CL_UNUSED uint32_t events,
                      CL_UNUSED struct cl_error *err)
{
    static struct message message; /* large */
    struct cl_task *task = source->context;
    struct cl_packet packet = {
        .data = &message, .size = sizeof(message), .fd_count = 1 + CL_ORDER_MAX_GROUPS};
    struct cl_prepared what = CL_PREPARED_INIT;
    struct cl_error why = {0};
    int r = cl_channel_receive(source->fd, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN || r == -EINTR)
        return 0;
    if (r < 0) { /* there is no descriptor then */
        r = cl_refuse(&why, EIO, "what is to be run was not found out");
    } else {
        r = take_message(task, &packet, &message, &what, &why);
        for (size_t i = 0; r < 0 && i < packet.fd_count; i++)
            cl_fd_close(&packet.fds[i]);
    }
    cl_loop_remove(&task->daemon->loop, source);
    cl_fd_close(&source->fd);
    cl_task_prepared(task, r, &what, &why);
    return 0;
}

int cl_prepare_start(struct cl_task *task, const struct cl_wire_list *mounts, struct cl_error *err)
{
    struct cl_daemon *daemon = task->daemon;
    int ends[2];
    int pidfd = -1;
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ends);

    if (r < 0)
        return cl_fail(err, r, "make a channel");
    CL_CLEANUP_FD int theirs = ends[1];
    task->preparer = (struct cl_source){
        .fd = ends[0], .events = EPOLLIN, .on_event = on_message, .context = task};
    r = cl_loop_add(&daemon->loop, &task->preparer, err);
    if (r < 0)
        return r;
    const pid_t pid = cl_sys_fork(&pidfd);
    if (pid == 0)
        run_child(task, mounts, theirs);
    cl_fd_close(&pidfd);
    if (pid < 0)
        return cl_fail(err, pid, "make a process");
    return cl_daemon_watch_child(daemon, pid, NULL, task, err);
}
