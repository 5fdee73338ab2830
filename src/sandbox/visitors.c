#include "sandbox/visitors.h"

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"

static int is_kind(int fd, mode_t kind)
{
    struct stat st;

    return cl_sys_fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

/* A copy goes one way, through one stream. */
static int has_sense(uint32_t flags)
{
    if ((flags & CL_EXEC_COPY) != 0)
        return flags == (CL_EXEC_SEND | CL_EXEC_STDOUT) || flags == (CL_EXEC_TAKE | CL_EXEC_STDIN);
    return (flags & CL_EXEC_STREAMS) == 0 || (flags & CL_EXEC_TTY) == 0;
}

int cl_visitor_check(const struct cl_exec_request *request, const int *fds, size_t count)
{
    if (request->version != CL_EXEC_VERSION)
        return -EPROTONOSUPPORT;
    if ((request->flags & ~(uint32_t)CL_EXEC_FLAGS) != 0 || request->reserved != 0 ||
        !has_sense(request->flags) || count != cl_exec_fd_count(request->flags))
        return -EINVAL;
    if (!is_kind(fds[0], S_IFSOCK) || !is_kind(fds[1], S_IFREG))
        return -EINVAL;
    for (size_t i = 2; i < count; i++) {
        if (!is_kind(fds[i], S_IFIFO))
            return -EINVAL;
    }
    return 0;
}

static void let_go(struct cl_visitors *visitors, struct cl_source *source)
{
    cl_loop_remove(visitors->loop, source);
    cl_fd_close(&source->fd);
}

static int pass_on(struct cl_visitors *visitors, const struct cl_exec_request *request,
                   const struct cl_packet *packet)
{
    struct cl_error unused = {0};
    int r = packet->size == sizeof(*request)
                ? cl_visitor_check(request, packet->fds, packet->fd_count)
                : -EPROTONOSUPPORT;

    if (r == 0 && visitors->are_refused) /* paused since it came */
        r = -EBUSY;
    if (r == 0)
        r = visitors->wall->exec(visitors->process, request, packet->fds, &unused);
    const int is_command = (request->flags & CL_EXEC_COPY) == 0;
    if (r == 0 && is_command && visitors->on_exec != NULL)
        visitors->on_exec(visitors->context);
    return r;
}

static int on_visitor(struct cl_source *source, CL_UNUSED uint32_t events,
                      CL_UNUSED struct cl_error *err)
{
    struct cl_visitors *visitors = source->context;
    struct cl_exec_request request = {0};
    struct cl_packet packet = {
        .data = &request, .size = sizeof(request), .fd_count = CL_EXEC_MAX_FDS};
    int r = cl_channel_receive(source->fd, &packet, MSG_DONTWAIT);

    if (r == -EAGAIN)
        return 0;
    if (r == 0) {
        const struct cl_control_answer answer = {.error = pass_on(visitors, &request, &packet)};

        (void)cl_sys_send(source->fd, &answer, sizeof(answer), MSG_DONTWAIT); /* or it is gone */
        for (size_t i = 0; i < packet.fd_count; i++)
            cl_fd_close(&packet.fds[i]);
    }
    let_go(visitors, source);
    return 0;
}

void cl_visitors_init(struct cl_visitors *visitors, struct cl_loop *loop,
                      const struct cl_wall *wall, struct cl_wall_process *process)
{
    visitors->loop = loop;
    visitors->wall = wall;
    visitors->process = process;
    visitors->are_refused = 0;
    visitors->on_exec = NULL;
    visitors->next = 0; /* the sources are untouched: nobody comes to most sandboxes */
}

/* A place that is free, else that of who came first. */
static struct cl_source *find_place(struct cl_visitors *visitors)
{
    for (size_t i = 0; i < CL_VISITORS_MOST; i++) {
        struct cl_source *source = &visitors->sources[visitors->next];

        visitors->next = (visitors->next + 1) % CL_VISITORS_MOST;
        if (!source->added)
            return source;
    }
    struct cl_source *first = &visitors->sources[visitors->next];
    visitors->next = (visitors->next + 1) % CL_VISITORS_MOST;
    let_go(visitors, first);
    return first;
}

int cl_visitors_call_back(struct cl_visitors *visitors, const struct cl_entry *entry,
                          const char *client)
{
    struct cl_error unused = {0};
    CL_CLEANUP_FD int connection = cl_control_call_back(entry, client);

    if (connection < 0)
        return connection;
    struct cl_source *source = find_place(visitors);
    *source = (struct cl_source){
        .fd = connection, .events = EPOLLIN, .on_event = on_visitor, .context = visitors};
    int r = cl_loop_add(visitors->loop, source, &unused);
    if (r == 0)
        (void)CL_TAKE_FD(connection);
    return r;
}

void cl_visitors_done(struct cl_visitors *visitors)
{
    for (size_t i = 0; i < CL_VISITORS_MOST; i++) {
        if (visitors->sources[i].added)
            let_go(visitors, &visitors->sources[i]);
    }
}
