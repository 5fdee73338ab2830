#include "sandbox/requests.h"

#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/children.h"
#include "sandbox/clients.h"
#include "sandbox/control.h"
#include "sandbox/offer.h"
#include "sandbox/pause.h"

enum { LAST_SIGNAL = 64 };

int cl_requests_refresh(struct cl_supervisor *supervisor, struct cl_error *err)
{
    struct cl_status *status = supervisor->status;

    cl_clients_note_layers(supervisor->process, supervisor->entry->dir);
    status->layers = supervisor->process->report->layers;
    if (status->main == 0)
        status->main = cl_first_child(status->init);
    int r = cl_entry_update(supervisor->entry, status, err);
    if (r < 0 || supervisor->kept->dir < 0)
        return r;
    return cl_kept_update(supervisor->kept, status, err);
}

/* What is left until the timer expires; UINT64_MAX where there is none. */
static int time_left(const struct cl_supervisor *supervisor, uint64_t *ret_ns, struct cl_error *err)
{
    struct itimerspec left = {0};

    *ret_ns = UINT64_MAX;
    if (supervisor->timer.fd < 0)
        return 0;
    int r = cl_sys_timerfd_gettime(supervisor->timer.fd, &left);
    if (r < 0)
        return cl_fail(err, r, "read a timer");
    *ret_ns = (uint64_t)left.it_value.tv_sec * CL_NS_PER_S + (uint64_t)left.it_value.tv_nsec;
    return 0;
}

/* The time limit's timer becomes that of the end, which never comes later for it. */
static int stop(struct cl_supervisor *supervisor, uint32_t grace_ms, struct cl_error *err)
{
    const uint64_t grace_ns = grace_ms * CL_NS_PER_MS;
    uint64_t left_ns;

    cl_supervisor_say(supervisor, CL_EVENT_STOP);
    if (grace_ms == 0) {
        cl_supervisor_kill(supervisor, CL_END_KILLED);
        return 0;
    }
    cl_supervisor_send_stop(supervisor);
    int r = time_left(supervisor, &left_ns, err);
    if (r < 0)
        return r;
    supervisor->in_grace = 1;
    if (left_ns <= grace_ns)
        return 0;
    supervisor->is_stopping = 1;
    return cl_supervisor_arm(supervisor, grace_ns, err);
}

static void say_signal(const struct cl_supervisor *supervisor, int signal)
{
    struct cl_event event = cl_event_of(CL_EVENT_KILL, supervisor->entry->id, supervisor->plan);

    event.signal = (uint64_t)signal;
    event.set |= CL_EVENT_BIT(SIGNAL);
    cl_events_tell(supervisor->entry->dir, &event);
}

static int pass_signal(struct cl_supervisor *supervisor, int signal, struct cl_error *err)
{
    const int comes_later = signal == SIGCONT && supervisor->is_paused; /* with unpause */
    int r = 0;

    if (signal < 1 || signal > LAST_SIGNAL)
        return -EINVAL;
    if (signal == SIGKILL)
        cl_supervisor_kill(supervisor, CL_END_KILLED);
    else if (!comes_later)
        r = supervisor->wall->signal(supervisor->process, signal, err);
    if (r == 0)
        say_signal(supervisor, signal);
    return r;
}

static int connect_to(struct cl_supervisor *supervisor, const char *client)
{
    if (supervisor->ended)
        return -ESRCH;
    if (supervisor->is_paused)
        return -EBUSY;
    return cl_visitors_call_back(&supervisor->visitors, supervisor->entry, client);
}

/* To the CLIENT who attaches: the pty, or the held end of the input. */
static int offer(const struct cl_supervisor *supervisor, const char *client)
{
    const struct cl_plan *plan = supervisor->plan;
    const int fd = plan->tty ? supervisor->pty : supervisor->stdio[0];

    if (supervisor->ended || supervisor->is_resting || supervisor->log == NULL)
        return -ESRCH;
    return plan->tty && fd < 0 ? -EAGAIN : cl_offer_give(supervisor->entry, client, plan, fd);
}

static int end_input(struct cl_supervisor *supervisor)
{
    if (supervisor->log == NULL)
        return -EINVAL;
    cl_fd_close(&supervisor->stdio[0]);
    return 0;
}

/* What it uses, which whoever knows it tells the CLIENT, a FIFO. What was written we have carried.
 */
static int tell(struct cl_supervisor *supervisor, int client, struct cl_error *err)
{
    const struct cl_wall_told told = {
        .stdout_bytes = supervisor->relays[1].total,
        .stderr_bytes = supervisor->relays[2].total,
    };

    if (supervisor->ended || supervisor->is_resting)
        return -ESRCH;
    if (supervisor->wall->tell == NULL || supervisor->limits->count > 0) /* its cgroups tell */
        return -ENOTSUP;
    return supervisor->wall->tell(supervisor->process, &told, client, err);
}

/* What REQUEST, by the CLIENT of that name, asks for: 0 or -errno. */
static int serve(struct cl_supervisor *supervisor, const struct cl_control_request *request,
                 const char *client)
{
    struct cl_error asked = {0}; /* the client's affair: it gets the number */

    if (supervisor->is_resting &&
        (request->command == CL_CONTROL_STOP || request->command == CL_CONTROL_SIGNAL)) {
        cl_supervisor_kill(supervisor, CL_END_KILLED);
        return 0;
    }
    switch (request->command) {
    case CL_CONTROL_REFRESH:
        return cl_requests_refresh(supervisor, &asked);
    case CL_CONTROL_STOP:
        return stop(supervisor, request->grace_ms, &asked);
    case CL_CONTROL_CONNECT:
        return connect_to(supervisor, client);
    case CL_CONTROL_PAUSE:
        return cl_pause_set(supervisor, 1, &asked);
    case CL_CONTROL_PAUSE_AGAIN:
        return cl_pause_again(supervisor, &asked);
    case CL_CONTROL_UNPAUSE:
        return cl_pause_set(supervisor, 0, &asked);
    case CL_CONTROL_ATTACH:
        return offer(supervisor, client);
    case CL_CONTROL_END_INPUT:
        return end_input(supervisor);
    case CL_CONTROL_SIGNAL:
        return pass_signal(supervisor, request->signal, &asked);
    default:
        return -EINVAL;
    }
}

int cl_requests_serve(struct cl_source *source, CL_UNUSED uint32_t events,
                      CL_UNUSED struct cl_error *err)
{
    struct cl_supervisor *supervisor = source->context;
    struct cl_control_request request;
    struct cl_error asked = {0}; /* as serve's */
    char name[CL_ID_SIZE];
    CL_CLEANUP_FD int client =
        cl_control_accept_from(source->fd, supervisor->entry, &request, name);

    if (client < 0)
        return 0;
    const int is_told = request.command == CL_CONTROL_TELL;
    int r = is_told ? tell(supervisor, client, &asked) : serve(supervisor, &request, name);
    if (is_told && r >= 0)
        return 0; /* another answers */
    cl_control_answer(client, r < 0 ? r : 0);
    return 0;
}
