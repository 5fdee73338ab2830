/* poll.c - poll_oneoff: waiting for several things at once.
 *
 * All subscriptions are read first, events are written then: the two may overlap. Where nothing
 * has come the call is made again; relative times then count from its first time, which is all
 * that is kept.
 */
#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/sys.h"
#include "wasi/calls.h"

/* More is INVAL: it bounds what a call keeps to less than a megabyte. */
enum { MAX_SUBSCRIPTIONS = 4096 };

struct subscription {
    uint64_t userdata;
    uint8_t type;
    int is_ready; /* ERROR is ready too */
    uint32_t error;
    uint64_t deadline_ns; /* of a clock */
    struct cl_wasi_descriptor *descriptor;
    uint64_t bytes;
    uint16_t flags;
};

/* poll_oneoff(in, out, nsubscriptions, ret_count) */
struct request {
    struct cl_wasi *wasi;
    struct subscription *subscriptions;
    size_t count;
    nfds_t fd_count; /* of wasi->polled: each host descriptor once */
    uint64_t started_ns, now_ns;
};

/* --- clocks -------------------------------------------------------------------------------- */

static uint32_t read_clock(clockid_t clock, uint64_t *ret_ns)
{
    struct timespec now = {0};
    int r = cl_sys_clock_gettime(clock, &now);

    *ret_ns = (uint64_t)now.tv_sec * CL_NS_PER_S + (uint64_t)now.tv_nsec;
    return cl_wasi_errno(r);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* By CLOCK_MONOTONIC. An absolute time of the wall's clock is looked at again at each call. */
static uint32_t find_deadline(const struct request *request, const uint8_t *clock, uint64_t *ret)
{
    const uint32_t id = cl_wasi_load32(clock);
    const uint64_t timeout = cl_wasi_load64(clock + 8);
    const uint16_t flags = cl_wasi_load16(clock + 24);
    uint64_t wall = 0;

    if (id == CL_WASI_PROCESS_CPUTIME || id == CL_WASI_THREAD_CPUTIME)
        return CL_WASI_NOTSUP;
    if (id > CL_WASI_THREAD_CPUTIME || (flags & ~CL_WASI_ABSTIME) != 0)
        return CL_WASI_INVAL;
    *ret = timeout;
    if ((flags & CL_WASI_ABSTIME) == 0)
        *ret = add(request->started_ns, timeout);
    else if (id == CL_WASI_REALTIME) {
        uint32_t r = read_clock(CLOCK_REALTIME, &wall);

        if (r != CL_WASI_SUCCESS)
            return r;
        *ret = timeout <= wall ? 0 : add(request->now_ns, timeout - wall);
    }
    return CL_WASI_SUCCESS;
}

/* --- taking subscriptions ------------------------------------------------------------------ */

static void take_descriptor(const struct request *request, uint32_t number,
                            struct subscription *subscription)
{
    const uint64_t right = subscription->type == CL_WASI_EVENT_FD_READ ? CL_WASI_RIGHT_FD_READ
                                                                       : CL_WASI_RIGHT_FD_WRITE;

    subscription->error = cl_wasi_find(
        request->wasi, number, right | CL_WASI_RIGHT_POLL_FD_READWRITE, &subscription->descriptor);
    if (subscription->error == CL_WASI_SUCCESS)
        subscription->descriptor->poll_slot = SIZE_MAX;
}

/* INVAL for a type that there isn't: it would have no event. */
static uint32_t take(const struct request *request, const uint8_t *from,
                     struct subscription *subscription)
{
    subscription->userdata = cl_wasi_load64(from);
    subscription->type = from[8];
    switch (subscription->type) {
    case CL_WASI_EVENT_CLOCK:
        subscription->error = find_deadline(request, from + 16, &subscription->deadline_ns);
        return CL_WASI_SUCCESS;
    case CL_WASI_EVENT_FD_READ:
    case CL_WASI_EVENT_FD_WRITE:
        take_descriptor(request, cl_wasi_load32(from + 16), subscription);
        return CL_WASI_SUCCESS;
    default:
        return CL_WASI_INVAL;
    }
}

/* The host is asked about each of its descriptors once, so that they are never more than the
 * guest has open. Files are always ready, and the null stream is. */
static void ask_host(struct request *request, const struct subscription *subscription)
{
    struct cl_wasi_descriptor *descriptor = subscription->descriptor;
    const int reads = subscription->type == CL_WASI_EVENT_FD_READ;

    if (subscription->error != CL_WASI_SUCCESS || descriptor == NULL || descriptor->host < 0 ||
        descriptor->type == CL_WASI_TYPE_REGULAR_FILE)
        return;
    if (descriptor->poll_slot == SIZE_MAX) {
        descriptor->poll_slot = request->fd_count++;
        request->wasi->polled[descriptor->poll_slot] = (struct pollfd){.fd = descriptor->host};
    }
    request->wasi->polled[descriptor->poll_slot].events |= reads ? POLLIN | POLLRDHUP : POLLOUT;
}

/* --- what has come ------------------------------------------------------------------------- */

static uint64_t bytes_of_file(const struct cl_wasi_descriptor *descriptor)
{
    struct stat st = {0};
    off_t place = cl_sys_lseek(descriptor->host, 0, SEEK_CUR);

    if (place < 0 || cl_sys_fstat(descriptor->host, &st) < 0 || st.st_size < place)
        return 0;
    return (uint64_t)(st.st_size - place);
}

static uint64_t bytes_of_stream(const struct cl_wasi_descriptor *descriptor)
{
    int bytes = 0;

    return cl_sys_ioctl(descriptor->host, FIONREAD, &bytes) < 0 || bytes < 0 ? 0 : (uint64_t)bytes;
}

static void look_at_descriptor(const struct request *request, struct subscription *subscription)
{
    const struct cl_wasi_descriptor *descriptor = subscription->descriptor;
    const int reads = subscription->type == CL_WASI_EVENT_FD_READ;
    const int is_file = descriptor->type == CL_WASI_TYPE_REGULAR_FILE;
    short events = reads ? POLLIN : POLLOUT;

    if (descriptor->host >= 0 && !is_file)
        events = request->wasi->polled[descriptor->poll_slot].revents;
    if ((events & POLLNVAL) != 0)
        subscription->error = CL_WASI_BADF;
    subscription->is_ready = (events & (reads ? POLLIN | POLLRDHUP : POLLOUT)) != 0 ||
                             (events & (POLLERR | POLLHUP)) != 0;
    if ((events & (POLLHUP | POLLRDHUP | POLLERR)) != 0)
        subscription->flags = CL_WASI_HANGUP;
    if (!subscription->is_ready)
        return;
    if (!reads)
        subscription->bytes = PIPE_BUF; /* what a pipe has room for at least; a guess of others */
    else if (descriptor->host >= 0)
        subscription->bytes = is_file ? bytes_of_file(descriptor) : bytes_of_stream(descriptor);
}

static void look(const struct request *request, struct subscription *subscription)
{
    if (subscription->error != CL_WASI_SUCCESS)
        return;
    if (subscription->type == CL_WASI_EVENT_CLOCK)
        subscription->is_ready = subscription->deadline_ns <= request->now_ns;
    else
        look_at_descriptor(request, subscription);
}

static void put_event(uint8_t *at, const struct subscription *subscription)
{
    memset(at, 0, CL_WASI_EVENT_SIZE);
    cl_wasi_store64(at, subscription->userdata);
    cl_wasi_store16(at + 8, (uint16_t)subscription->error);
    at[10] = subscription->type;
    cl_wasi_store64(at + 16, subscription->bytes);
    cl_wasi_store16(at + 24, subscription->flags);
}

/* How many events. */
static uint32_t put_events(const struct request *request, uint8_t *out)
{
    uint32_t count = 0;

    for (size_t i = 0; i < request->count; i++) {
        struct subscription *subscription = &request->subscriptions[i];

        look(request, subscription);
        if (!subscription->is_ready && subscription->error == CL_WASI_SUCCESS)
            continue;
        put_event(out + (size_t)count * CL_WASI_EVENT_SIZE, subscription);
        count++;
    }
    return count;
}

/* --- the call ------------------------------------------------------------------------------ */

static uint32_t take_all(struct request *request, const uint8_t *in)
{
    for (size_t i = 0; i < request->count; i++) {
        uint32_t r = take(request, in + i * CL_WASI_SUBSCRIPTION_SIZE, &request->subscriptions[i]);

        if (r != CL_WASI_SUCCESS)
            return r;
    }
    for (size_t i = 0; i < request->count; i++)
        ask_host(request, &request->subscriptions[i]);
    return CL_WASI_SUCCESS;
}

static uint32_t poll_host(const struct request *request)
{
    int r;

    if (request->fd_count == 0)
        return CL_WASI_SUCCESS;
    do
        r = cl_sys_poll(request->wasi->polled, request->fd_count, 0);
    while (r == -EINTR);
    return cl_wasi_errno(r);
}

static uint32_t wait_for_all(const struct request *request, const uint64_t *arguments)
{
    struct cl_wasi *wasi = request->wasi;
    uint64_t deadline = UINT64_MAX;

    for (size_t i = 0; i < request->count; i++)
        if (request->subscriptions[i].type == CL_WASI_EVENT_CLOCK)
            deadline = cl_min_u64(deadline, request->subscriptions[i].deadline_ns);
    wasi->wait = (struct cl_wasi_wait){
        .fds = wasi->polled, .count = request->fd_count, .deadline_ns = deadline};
    wasi->poll.started_ns = request->started_ns;
    cl_wasi_go_on_later(&wasi->poll, arguments, 4);
    return CL_WASI_WAITS;
}

static uint32_t begin(struct request *request, int is_again)
{
    struct cl_wasi *wasi = request->wasi;

    free(wasi->polled);
    wasi->polled = cl_calloc(request->count, sizeof(*wasi->polled));
    request->subscriptions = cl_calloc(request->count, sizeof(*request->subscriptions));
    if (wasi->polled == NULL || request->subscriptions == NULL)
        return CL_WASI_NOMEM;
    uint32_t r = read_clock(CLOCK_MONOTONIC, &request->now_ns);
    request->started_ns = is_again ? wasi->poll.started_ns : request->now_ns;
    return r;
}

static void request_done(struct request *request)
{
    free(request->subscriptions);
}

CL_WASI_CALL(poll_oneoff)
{
    CL_CLEANUP(request_done) struct request request = {.wasi = wasi, .count = arguments[2]};
    const int is_again = cl_wasi_is_again(&wasi->poll, arguments, 4);

    wasi->poll.is_waiting = 0;
    if (request.count == 0 || request.count > MAX_SUBSCRIPTIONS)
        return CL_WASI_INVAL;
    const uint8_t *in = cl_wasi_at(memory, arguments[0], request.count * CL_WASI_SUBSCRIPTION_SIZE);
    uint8_t *out = cl_wasi_at(memory, arguments[1], request.count * CL_WASI_EVENT_SIZE);
    uint8_t *ret = cl_wasi_at(memory, arguments[3], 4);
    if (in == NULL || out == NULL || ret == NULL)
        return CL_WASI_FAULT;
    uint32_t r = begin(&request, is_again);
    if (r == CL_WASI_SUCCESS)
        r = take_all(&request, in);
    if (r == CL_WASI_SUCCESS)
        r = poll_host(&request);
    if (r != CL_WASI_SUCCESS)
        return r;
    const uint32_t events = put_events(&request, out);
    if (events == 0)
        return wait_for_all(&request, arguments);
    cl_wasi_store32(ret, events);
    return CL_WASI_SUCCESS;
}
