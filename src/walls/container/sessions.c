/* Init's sessions: the commands that were started in the running sandbox (exec), and who
 * asked for them. See walls/session.h for what is said.
 *
 * A command belongs to its session: when that ends, init kills it. The other end is a client's of
 * the sandbox's owner, nobody inside has one; still a client that doesn't read, or asks for what
 * makes no sense, can hold up nothing: nothing here waits.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

static void say(int socket, const struct cl_session_event *event, int fd)
{
    struct cl_packet packet = {.data = cl_unconst(event),
                               .size = sizeof(*event),
                               .fds = {fd},
                               .fd_count = fd >= 0 ? 1 : 0};

    (void)cl_channel_send(socket, &packet, MSG_DONTWAIT); /* who doesn't listen is soon gone */
}

void cl_session_fail(int socket, enum cl_session_event_kind kind, const struct cl_error *err)
{
    struct cl_session_event event = {.kind = kind, .value = err->code};

    (void)memccpy(event.message, err->msg, '\0', sizeof(event.message) - 1);
    say(socket, &event, -1);
}

static struct cl_session *find_free(struct cl_sessions *sessions)
{
    for (size_t i = 0; i < CL_EXEC_MOST; i++) {
        if (sessions->items[i].pid == 0)
            return &sessions->items[i];
    }
    return NULL;
}

/* --- a new one ------------------------------------------------------------------------ */

/* A pty, of which the client gets the master before anything runs. */
static int open_terminal(const struct cl_container *container, const struct cl_message *message,
                         struct cl_birth *birth, struct cl_error *err)
{
    const struct cl_session_event event = {.kind = CL_SESSION_TERMINAL};
    const struct winsize size = {.ws_row = message->rows, .ws_col = message->columns};

    CL_CLEANUP_FD int master = cl_pty_open(container, &birth->terminal, err);
    if (master < 0)
        return master;
    cl_pty_resize(master, size);
    say(birth->session, &event, master);
    return 0;
}

static pid_t start_command(struct cl_container *container, const struct cl_message *message,
                           struct cl_birth *birth, struct cl_report *report, struct cl_error *err)
{
    int r = 0;

    if (((uint32_t)message->value & CL_EXEC_TTY) != 0)
        r = open_terminal(container, message, birth, err);
    return r < 0 ? r : cl_newborn_make(container, birth, report, err);
}

static pid_t begin_copy(struct cl_container *container, const struct cl_message *message,
                        const struct cl_birth *birth)
{
    const struct cl_session_event started = {.kind = CL_SESSION_STARTED};
    struct cl_error err = {0};
    pid_t pid = cl_porter_start(container, birth, (uint32_t)message->value, &err);

    if (pid > 0) {
        say(birth->session, &started, -1);
        return pid;
    }
    cl_session_fail(birth->session, CL_SESSION_FAILED, &err);
    return 0;
}

/* Its pid once it runs; 0 when it doesn't, and the client knows why. */
static pid_t begin(struct cl_container *container, const struct cl_message *message,
                   struct cl_birth *birth)
{
    static struct cl_report report; /* half a kilobyte; not the sandbox's own */
    const struct cl_session_event started = {.kind = CL_SESSION_STARTED};
    struct cl_error err = {0};

    if (((uint32_t)message->value & CL_EXEC_COPY) != 0)
        return begin_copy(container, message, birth);
    memset(&report, 0, sizeof(report));
    pid_t pid = start_command(container, message, birth, &report, &err);
    if (pid < 0) {
        cl_session_fail(birth->session, CL_SESSION_FAILED, &err);
        return 0;
    }
    if (report.stage == CL_REPORT_STARTED) {
        say(birth->session, &started, -1);
        return pid;
    }
    if (report.error.code == 0) /* ended by a signal before it could say anything */
        (void)cl_refuse(&report.error, ECANCELED, "the process was ended before it ran");
    cl_session_fail(birth->session,
                    report.stage == CL_REPORT_NO_EXEC ? CL_SESSION_NO_EXEC : CL_SESSION_FAILED,
                    &report.error);
    return 0;
}

static void birth_done(struct cl_birth *birth)
{
    cl_fd_close(&birth->session);
    cl_fd_close(&birth->words);
    cl_fd_close(&birth->terminal);
    for (size_t i = 0; i < CL_ARRAY_SIZE(birth->stdio); i++)
        cl_fd_close(&birth->stdio[i]);
}

static int take_fds(uint32_t flags, const int *fds, size_t count, struct cl_birth *ret)
{
    size_t next = 2;

    if (count != cl_exec_fd_count(flags)) {
        for (size_t i = 0; i < count; i++) {
            int fd = fds[i];
            cl_fd_close(&fd);
        }
        return -EPROTO; /* no supervisor of ours sends that */
    }
    *ret = (struct cl_birth){
        .session = fds[0], .words = fds[1], .terminal = -1, .stdio = {-1, -1, -1}};
    for (unsigned int fd = 0; fd < 3; fd++) {
        if ((flags & (1U << fd)) != 0)
            ret->stdio[fd] = fds[next++];
    }
    return 0;
}

void cl_sessions_begin(struct cl_sessions *sessions, struct cl_container *container,
                       const struct cl_message *message, const int *fds, size_t count)
{
    const uint32_t flags = (uint32_t)message->value;
    struct cl_session *session = find_free(sessions);
    CL_CLEANUP(birth_done) struct cl_birth birth = {-1, -1, {-1, -1, -1}, -1};
    struct cl_error err = {0};

    if (take_fds(flags, fds, count, &birth) < 0)
        return;
    if (session == NULL) {
        (void)cl_refuse(&err, EBUSY, "%d commands of exec run in this sandbox, and no more can",
                        CL_EXEC_MOST);
        cl_session_fail(birth.session, CL_SESSION_FAILED, &err);
        return;
    }
    if (sessions->only_copies && (flags & CL_EXEC_COPY) == 0) {
        (void)cl_refuse(&err, ESRCH, "the sandbox's command has ended");
        cl_session_fail(birth.session, CL_SESSION_FAILED, &err);
        return;
    }
    pid_t pid = begin(container, message, &birth);
    if (pid > 0 && (flags & CL_EXEC_DETACH) == 0)
        *session = (struct cl_session){.pid = pid, .socket = CL_TAKE_FD(birth.session)};
}

/* --- those that run ------------------------------------------------------------------- */

size_t cl_sessions_poll(const struct cl_sessions *sessions, struct pollfd ret[CL_EXEC_MOST])
{
    size_t count = 0;

    for (size_t i = 0; i < CL_EXEC_MOST; i++) {
        if (sessions->items[i].pid != 0 && sessions->items[i].socket >= 0)
            ret[count++] = (struct pollfd){.fd = sessions->items[i].socket, .events = POLLIN};
    }
    return count;
}

/* The command is not reaped yet, so its pid is nobody else's. */
static void listen_to(struct cl_session *session)
{
    struct cl_session_order order = {0};
    struct cl_packet packet = {.data = &order, .size = sizeof(order)};
    int r = cl_channel_receive(session->socket, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN)
        return;
    if (r == 0 && packet.size == sizeof(order)) {
        (void)cl_sys_kill(session->pid, order.signal); /* a number that is none is refused */
        return;
    }
    cl_fd_close(&session->socket);
    (void)cl_sys_kill(session->pid, SIGKILL);
}

void cl_sessions_serve(struct cl_sessions *sessions, const struct pollfd *polled, size_t count)
{
    for (size_t i = 0, at = 0; i < CL_EXEC_MOST && at < count; i++) {
        struct cl_session *session = &sessions->items[i];

        if (session->pid == 0 || session->socket != polled[at].fd)
            continue;
        if (polled[at++].revents != 0)
            listen_to(session);
    }
}

void cl_sessions_ended(struct cl_sessions *sessions, pid_t pid, int status)
{
    const struct cl_session_event event = {.kind = CL_SESSION_ENDED, .value = status};

    for (size_t i = 0; i < CL_EXEC_MOST; i++) {
        struct cl_session *session = &sessions->items[i];

        if (session->pid != pid)
            continue;
        if (session->socket >= 0)
            say(session->socket, &event, -1);
        cl_fd_close(&session->socket);
        session->pid = 0;
        return;
    }
}
