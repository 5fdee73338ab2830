#include "sandbox/call.h"

#include <errno.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"

enum { ANSWER_WAIT_MS = 10000 }; /* for the supervisor, who waits for nobody */

/* The words, in memory that nobody can change any more. */
static int make_words(const struct cl_plan *plan, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_EXEC_WORDS_MAX);
    struct cl_plan words = {
        .command = plan->command,
        .env = plan->env,
        .workdir = plan->workdir,
        .uid = plan->uid,
        .gid = plan->gid,
    };

    cl_plan_mark(&words, CL_FIELD_COMMAND);
    cl_plan_mark(&words, CL_FIELD_ENV);
    cl_plan_mark(&words, CL_FIELD_WORKDIR);
    cl_plan_mark(&words, CL_FIELD_UID);
    cl_plan_mark(&words, CL_FIELD_GID);
    int r = cl_plan_write(&words, &buf, err);
    return r < 0 ? r : cl_memory_copy("words", buf.data, buf.size, err);
}

static int send_request(const struct cl_call *call, int connection, const int fds[2],
                        struct cl_error *err)
{
    struct cl_exec_request request = {.version = CL_EXEC_VERSION,
                                      .flags = call->flags,
                                      .rows = call->rows,
                                      .columns = call->columns};
    struct cl_packet packet = {
        .data = &request, .size = sizeof(request), .fds = {fds[0], fds[1]}, .fd_count = 2};

    for (unsigned int fd = 0; fd < 3; fd++) {
        if (call->streams[fd] < 0)
            continue;
        request.flags |= 1U << fd;
        packet.fds[packet.fd_count++] = call->streams[fd];
    }
    int r = cl_channel_send(connection, &packet, 0);
    return r < 0 ? cl_fail(err, r, "send to sandbox %s", call->found->entry.id) : 0;
}

static int fail_ended(const char *id, struct cl_error *err)
{
    return cl_refuse(err, ESRCH, "sandbox %s has ended", id);
}

static int wait_for(int connection, const char *id, struct cl_error *err)
{
    struct pollfd wait = {.fd = connection, .events = POLLIN};
    int r;

    do
        r = cl_sys_poll(&wait, 1, ANSWER_WAIT_MS);
    while (r == -EINTR);
    if (r < 0)
        return cl_fail(err, r, "wait for sandbox %s", id);
    return r == 0 ? cl_refuse(err, ETIMEDOUT, "sandbox %s does not answer", id) : 0;
}

/* What the supervisor says to it. */
static int take_answer(int connection, const struct cl_entry *entry, struct cl_error *err)
{
    const char *id = entry->id;
    struct cl_control_answer answer = {0};
    int r = wait_for(connection, id, err);

    if (r < 0)
        return r;
    ssize_t got = cl_sys_recv(connection, &answer, sizeof(answer), MSG_DONTWAIT);
    if (got <= 0)
        return fail_ended(id, err);
    if (got != (ssize_t)sizeof(answer) || answer.error > 0 || answer.error < -4095)
        return cl_refuse(err, EPROTO, "sandbox %s answers in another version", id);
    if (answer.error == -EPROTONOSUPPORT)
        return cl_refuse(err, EPROTO, "sandbox %s was started by another version of cloister", id);
    if (answer.error == -EBUSY)
        return cl_control_fail_paused(entry, err);
    if (answer.error == -EAGAIN) /* or init is held up: see walls/wall.h */
        return cl_refuse(err, EAGAIN, "sandbox %s is still being made, or too busy", id);
    if (answer.error == -ENOTSUP) /* exec was refused before (decide_exec.c): files are meant */
        return cl_refuse(err, ENOTSUP,
                         "sandbox %s is a module that shares the worker of its tenant: its files "
                         "can't be reached from outside",
                         id);
    if (answer.error == -EPIPE || answer.error == -ECONNRESET || answer.error == -ESRCH)
        return fail_ended(id, err);
    return answer.error < 0 ? cl_fail(err, answer.error, "start a command in sandbox %s", id) : 0;
}

int cl_call_make(const struct cl_call *call, struct cl_error *err)
{
    int ends[2];
    int r = cl_sys_socketpair(SOCK_SEQPACKET, ends);

    if (r < 0)
        return cl_fail(err, r, "socketpair");
    CL_CLEANUP_FD int ours = ends[0];
    CL_CLEANUP_FD int theirs = ends[1];
    CL_CLEANUP_FD int words = make_words(call->plan, err);
    if (words < 0)
        return words;
    CL_CLEANUP_FD int connection = cl_control_connect(&call->found->entry, call->client, err);
    if (connection < 0)
        return connection;
    r = send_request(call, connection, (const int[]){theirs, words}, err);
    if (r == 0)
        r = take_answer(connection, &call->found->entry, err);
    return r < 0 ? r : CL_TAKE_FD(ours);
}
