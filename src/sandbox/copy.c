#include "sandbox/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "copy/confine.h"
#include "copy/place.h"
#include "copy/send.h"
#include "copy/take.h"
#include "sandbox/call.h"
#include "walls/wall.h"

enum { F_SET_PIPE_SIZE = 1031 }; /* F_SETPIPE_SZ */

/* The pipe between us and the porter. */
struct way {
    int ours;
    int session;
};

static void way_done(struct way *way)
{
    cl_fd_close(&way->ours);
    cl_fd_close(&way->session);
}

/* --- the porter ---------------------------------------------------------------------------- */

static int lend(const struct cl_copy_job *job, const int streams[3], struct cl_error *err)
{
    const struct cl_plan *plan = &job->found->plan;
    const struct cl_wall *wall = cl_wall_get((enum cl_wall_kind)plan->wall);
    const struct cl_wall_start start = {
        .plan = plan,
        .id = job->found->entry.id,
        .uid_base = job->found->status.uid_base,
        .cgroup = -1,
        .stdio = {streams[0], streams[1], streams[2]},
    };

    if (wall == NULL)
        return cl_refuse(err, ENOTSUP, "the wall of sandbox %s is not built", start.id);
    return wall->lend(&start, err);
}

/* Has a porter started that does what FLAGS say to the words PATH and, unless NULL, NAME. */
static int open_way(const struct cl_copy_job *job, uint32_t flags, const char *const words[2],
                    struct way *ret, struct cl_error *err)
{
    const int is_out = flags == CL_EXEC_SEND;
    struct cl_plan plan = job->found->plan;
    int ends[2];
    int r = cl_sys_pipe2(ends, 0);

    if (r < 0)
        return cl_fail(err, r, "make a pipe");
    CL_CLEANUP_FD int ours = ends[is_out ? 0 : 1];
    CL_CLEANUP_FD int theirs = ends[is_out ? 1 : 0];
    (void)cl_sys_fcntl(ours, F_SET_PIPE_SIZE, CL_COPY_PIPE); /* only for speed */
    plan.command =
        (struct cl_strlist){.items = cl_unconst(words), .count = words[1] == NULL ? 1 : 2};
    const struct cl_call call = {
        .found = job->found,
        .plan = &plan,
        .flags = flags,
        .streams = {is_out ? -1 : theirs, is_out ? theirs : -1, -1},
        .client = job->client,
    };
    r = lend(job, call.streams, err);
    if (r < 0)
        return r;
    ret->session = cl_call_make(&call, err);
    if (ret->session < 0)
        return ret->session;
    ret->ours = CL_TAKE_FD(ours);
    return 0;
}

static int take_failure(const struct cl_session_event *event, struct cl_error *err)
{
    struct cl_error failure = {.code = event->value};

    memcpy(failure.msg, event->message, sizeof(failure.msg));
    (void)cl_error_check(&failure);
    *err = failure;
    return -failure.code;
}

static int take_end(int status, struct cl_error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (!WIFSIGNALED(status))
        return cl_refuse(err, ECANCELED, "the copy's process in the sandbox has failed");
    (void)cl_refuse(err, ECANCELED, "the copy's process in the sandbox was ended by signal %d",
                    WTERMSIG(status));
    if (WTERMSIG(status) == SIGKILL)
        return cl_hint(err, "it may be out of memory");
    if (WTERMSIG(status) == SIGSYS)
        return cl_hint(err, "the sandbox's --seccomp profile forbids what a copy takes");
    return -ECANCELED;
}

/* Waits for the porter's end: 0, or what it, or that its sandbox, has failed. */
static int hear(const struct cl_copy_job *job, int session, struct cl_error *err)
{
    for (;;) {
        struct cl_session_event event = {0};
        struct cl_packet packet = {.data = &event, .size = sizeof(event)};
        int r = cl_channel_receive(session, &packet, 0);

        if (r == -EINTR)
            continue;
        if (r == -EPIPE)
            return cl_refuse(err, ESRCH, "sandbox %s has ended", job->found->entry.id);
        if (r < 0 || packet.size != sizeof(event))
            return cl_fail(err, r < 0 ? r : -EPROTO, "hear from sandbox %s", job->found->entry.id);
        if (event.kind == CL_SESSION_FAILED)
            return take_failure(&event, err);
        if (event.kind == CL_SESSION_ENDED)
            return take_end(event.value, err);
    }
}

/* --- both ways ----------------------------------------------------------------------------- */

/* Why a copy failed: the porter knows better, unless it is our end that gave up. */
static int settle(const struct cl_copy_job *job, struct way *way, int r, struct cl_error *err)
{
    struct cl_error theirs = {0};
    const int is_ours = r < 0 && r != -EPIPE;

    cl_fd_close(&way->ours); /* who still writes is ended by that, who still reads sees the end */
    if (is_ours)
        return r;
    int heard = hear(job, way->session, &theirs);
    if (heard == 0)
        return r;
    *err = theirs;
    return heard;
}

/* Where the sandbox has been started without Landlock, the host's kernel may have none. */
static int is_confined(const struct cl_copy_job *job)
{
    return job->is_last && !cl_plan_without(&job->found->plan, CL_LAYER_LANDLOCK);
}

/* Opens what is sent, to be shut in there. What is there instead when it is opened again can't be
 * read. */
static int confine_sender(const struct cl_copy_job *job, struct cl_error *err)
{
    if (!is_confined(job))
        return 0;
    CL_CLEANUP_FD int top = cl_sys_openat(AT_FDCWD, job->source, O_PATH, 0);
    if (top < 0)
        return cl_fail(err, top, "copy %s", job->source);
    return cl_copy_confine_sender(top, err);
}

int cl_copy_out_of(const struct cl_copy_job *job, struct cl_copy_done *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_copy_place_done) struct cl_copy_place place = CL_COPY_PLACE_INIT;
    CL_CLEANUP(way_done) struct way way = {-1, -1};
    CL_CLEANUP_FREE struct cl_copy_in *in = cl_calloc(1, sizeof(*in));
    const char *const words[2] = {job->source, NULL};
    char name[CL_COPY_NAME_MAX + 1];

    if (in == NULL)
        return cl_fail_memory(err);
    int r = cl_copy_name(job->source, name, err);
    if (r == 0)
        r = cl_copy_place_open(job->target, name, &place, err);
    if (r == 0)
        r = open_way(job, CL_EXEC_SEND, words, &way, err);
    if (r == 0 && is_confined(job))
        r = cl_copy_confine(place.dir, err);
    if (r < 0)
        return r;
    in->fd = way.ours;
    struct cl_copy_taker taker = {
        .in = in,
        .most_bytes = job->most_bytes,
        .most_entries = CL_COPY_ENTRIES_MOST,
        .left_out = job->left_out,
        .context = job->context,
    };
    r = cl_copy_take(&taker, &place, err);
    r = settle(job, &way, r, err);
    if (r < 0)
        return r;
    *ret = (struct cl_copy_done){.entries = taker.entries, .bytes = taker.bytes};
    return 0;
}

int cl_copy_into(const struct cl_copy_job *job, struct cl_error *err)
{
    CL_CLEANUP(way_done) struct way way = {-1, -1};
    CL_CLEANUP_FREE struct cl_copy_out *out = cl_calloc(1, sizeof(*out));
    char name[CL_COPY_NAME_MAX + 1];
    const char *const words[2] = {job->target, name};

    if (out == NULL)
        return cl_fail_memory(err);
    int r = cl_copy_name(job->source, name, err);
    if (r == 0)
        r = open_way(job, CL_EXEC_TAKE, words, &way, err);
    if (r == 0)
        r = confine_sender(job, err);
    if (r < 0)
        return r;
    out->fd = way.ours;
    const struct cl_copy_sender sender = {
        .out = out, .left_out = job->left_out, .context = job->context};
    r = cl_copy_send(&sender, job->source, err);
    return settle(job, &way, r, err);
}
