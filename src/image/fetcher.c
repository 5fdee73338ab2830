#include "image/fetcher.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/sys.h"
#include "image/complaint.h"

enum { SOCKET_BUFFER = 2 * CL_FETCH_MAX_MESSAGE };

void cl_fetcher_done(struct cl_fetcher *fetcher)
{
    cl_fd_close(&fetcher->channel);
    cl_fd_close(&fetcher->complaint);
    cl_child_done(&fetcher->child);
}

static int start(const struct cl_helper *helper, int without_landlock, int channel,
                 struct cl_fetcher *fetcher, struct cl_error *err)
{
    char *argv[] = {cl_unconst(helper->name),
                    without_landlock ? cl_unconst("--without-landlock") : NULL, NULL};
    char *const environment[] = {NULL};
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    const int fds[] = {null, null, fetcher->complaint, channel};
    const struct cl_child_start how = {
        .path = helper->path,
        .argv = argv,
        .envp = environment,
        .fds = fds,
        .fd_count = CL_ARRAY_SIZE(fds),
        .cwd = -1,
    };

    if (null < 0)
        return cl_fail(err, null, "open /dev/null");
    return cl_child_start(&how, &fetcher->child, err);
}

int cl_fetcher_start(int without_landlock, struct cl_fetcher *ret, struct cl_error *err)
{
    const int size = SOCKET_BUFFER;
    CL_CLEANUP_FETCHER struct cl_fetcher fetcher = CL_FETCHER_INIT;
    struct cl_helper helper;
    int ends[2];
    int r = cl_helper_find(NULL, "cloister-fetch", &helper, err);

    if (r < 0)
        return r;
    r = cl_sys_socketpair(SOCK_SEQPACKET, ends);
    if (r < 0)
        return cl_fail(err, r, "make a socket pair");
    fetcher.channel = ends[0];
    CL_CLEANUP_FD int theirs = ends[1];
    /* A smaller one refuses large messages, which are rare. */
    (void)setsockopt(fetcher.channel, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    r = fetcher.complaint = cl_complaint_file(err);
    if (r >= 0)
        r = start(&helper, without_landlock, theirs, &fetcher, err);
    if (r < 0)
        return r;
    *ret = fetcher;
    fetcher = CL_FETCHER_INIT;
    return 0;
}

/* The other end is closed: why? What it says of itself is about a host that lacks something. */
static int explain_end(struct cl_fetcher *fetcher, struct cl_error *err)
{
    char complaint[CL_COMPLAINT_SIZE];
    siginfo_t info = {0};

    if (fetcher->child.pid <= 0) /* it was told before */
        return cl_refuse(err, EPIPE, "ask cloister-fetch: it has ended");
    int r = cl_child_wait(&fetcher->child, &info, err);
    if (r < 0)
        return r;
    cl_complaint_read(fetcher->complaint, complaint);
    if (complaint[0] != '\0')
        return cl_refuse(err, EIO, "cloister-fetch: %s", complaint);
    if (info.si_code == CLD_EXITED)
        return cl_refuse(err, EIO, "cloister-fetch ended early, with status %d", info.si_status);
    return cl_refuse(err, EIO, "cloister-fetch was ended by signal %d", info.si_status);
}

int cl_fetcher_ask(struct cl_fetcher *fetcher, struct cl_fetch_request *request, int body,
                   int ticks, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE);
    struct cl_packet packet = {0};

    request->id = ++fetcher->last_id;
    request->set |= CL_RECORD_BIT(CL_FETCH_REQUEST_ID);
    int r = cl_flat_write(&cl_fetch_request_shape, request, &buf, err);
    if (r < 0)
        return r;
    packet.data = buf.data;
    packet.size = buf.size;
    if (body >= 0)
        packet.fds[packet.fd_count++] = body;
    if (ticks >= 0)
        packet.fds[packet.fd_count++] = ticks;
    r = cl_channel_send(fetcher->channel, &packet, MSG_NOSIGNAL);
    if (r == -EPIPE || r == -ECONNRESET)
        return explain_end(fetcher, err);
    return r < 0 ? cl_fail(err, r, "ask cloister-fetch") : 0;
}

int cl_fetcher_listen(struct cl_fetcher *fetcher, struct cl_buf *buf, struct cl_arena *arena,
                      struct cl_fetch_report *ret, struct cl_error *err)
{
    struct cl_fetch_report report = {0};
    int r =
        buf->size >= CL_FETCH_MAX_MESSAGE ? 0 : cl_buf_grow(buf, CL_FETCH_MAX_MESSAGE - buf->size);

    if (r < 0)
        return cl_fail_memory(err);
    struct cl_packet packet = {.data = buf->data, .size = buf->size};
    r = cl_channel_receive(fetcher->channel, &packet, 0);
    if (r == -EPIPE)
        return explain_end(fetcher, err);
    if (r < 0)
        return cl_fail(err, r, "hear from cloister-fetch");
    const struct cl_bytes bytes = {buf->data, packet.size};
    r = cl_flat_read(&cl_fetch_report_shape, &bytes, arena, &report, err);
    if (r == 0)
        *ret = report;
    return r;
}
