#include "helpers/fetch/service.h"

#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "helpers/fetch/core_link.h"
#include "helpers/fetch/request.h"

/* How often it is looked whether transfers have stalled, at most: a wait is divided by hurry. */
#define LOOK_EVERY_NS (CL_NS_PER_S / 2)

struct service {
    struct cl_core_link link;
    struct cl_net net;
    struct cl_auth auth;
    struct cl_request *requests[CL_SERVICE_REQUESTS];
    size_t count;
    int behind; /* the core: a report waits for room in the socket */
    int failed; /* to send: see err */
    struct cl_error err;
};

static int send_report(void *context, const struct cl_fetch_report *report)
{
    struct service *service = context;
    int r = cl_core_link_send(&service->link, report, &service->err);

    if (r == -EAGAIN)
        service->behind = report->kind != CL_FETCH_PROGRESS || service->behind;
    else if (r < 0)
        service->failed = 1;
    return r;
}

static int take_request(struct service *service, const struct cl_bytes *bytes, int fds[2],
                        struct cl_error *err)
{
    const struct cl_request_host host = {&service->net, &service->auth, send_report, service};
    struct cl_request *request = cl_request_new(&host, bytes, fds, err);

    cl_fd_close(&fds[0]); /* what it had no use for */
    cl_fd_close(&fds[1]);
    cl_core_link_wipe(&service->link);
    if (request == NULL)
        return -err->code;
    service->requests[service->count++] = request;
    return 0;
}

/* As many as there is room for; the rest waits in the socket. -EPIPE: the core has gone. */
static int take_requests(struct service *service, struct cl_error *err)
{
    int r = 1;

    while (r == 1 && service->count < CL_SERVICE_REQUESTS) {
        struct cl_bytes bytes;
        int fds[2] = {-1, -1};

        r = cl_core_link_receive(&service->link, &bytes, fds, err);
        if (r == 1 && take_request(service, &bytes, fds, err) < 0)
            r = -err->code;
    }
    if (r == 1 && cl_core_link_is_closed(&service->link))
        r = -EPIPE;
    return r < 0 ? r : 0;
}

static uint64_t tick_requests(struct service *service)
{
    const uint64_t now = cl_clock_boot_ns();
    uint64_t next = cl_auth_tick(&service->auth, now);

    service->behind = 0;
    for (size_t i = 0; i < service->count; i++)
        next = cl_min_u64(next, cl_request_tick(service->requests[i], now));
    for (size_t i = service->count; i-- > 0;) {
        if (!cl_request_is_over(service->requests[i]))
            continue;
        cl_request_free(service->requests[i]);
        service->requests[i] = service->requests[--service->count];
    }
    return next;
}

static int timeout_until(const struct service *service, uint64_t next)
{
    const uint64_t now = cl_clock_boot_ns();

    if (service->net.first != NULL)
        next = cl_min_u64(next, now + LOOK_EVERY_NS / service->net.waits.hurry);
    if (next == UINT64_MAX)
        return 60000; /* nothing is due; curl's documentation knows no "for ever" */
    return next <= now ? 0 : (int)cl_min_u64((next - now) / CL_NS_PER_MS + 1, 60000);
}

static int wait_for_news(struct service *service, uint64_t next, struct cl_error *err)
{
    struct curl_waitfd fds[1 + CL_SERVICE_REQUESTS] = {{.fd = service->link.fd}};
    unsigned int count = 1;

    if (service->count < CL_SERVICE_REQUESTS)
        fds[0].events |= CURL_WAIT_POLLIN;
    if (service->behind)
        fds[0].events |= CURL_WAIT_POLLOUT;
    for (size_t i = 0; i < service->count; i++) {
        const int pipe = cl_request_slow_pipe(service->requests[i]);

        if (pipe >= 0)
            fds[count++] = (struct curl_waitfd){.fd = pipe, .events = CURL_WAIT_POLLOUT};
    }
    return cl_net_wait(&service->net, fds, count, timeout_until(service, next), err);
}

static int serve(struct service *service, struct cl_error *err)
{
    int r = take_requests(service, err);

    while (r == 0) {
        r = cl_net_go(&service->net, err);
        const uint64_t next = r < 0 ? 0 : tick_requests(service);
        if (r == 0 && service->failed) {
            *err = service->err;
            return -err->code;
        }
        if (r == 0)
            r = wait_for_news(service, next, err);
        if (r == 0)
            r = take_requests(service, err);
    }
    return r == -EPIPE ? 0 : r;
}

int cl_service_run(int fd, unsigned int hurry, struct cl_error *err)
{
    struct service service = {.count = 0};
    int r = cl_core_link_init(fd, &service.link, err);

    if (r < 0)
        return r;
    r = cl_net_init(hurry, &service.net, err);
    if (r == 0) {
        service.auth = cl_auth_init(&service.net);
        r = serve(&service, err);
        while (service.count > 0)
            cl_request_free(service.requests[--service.count]);
        cl_auth_done(&service.auth);
        cl_net_done(&service.net);
    }
    cl_core_link_done(&service.link);
    return r;
}
