#include "worker/order.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

/* Each string has its NUL, and there are no more and no fewer than was said. */
static int check_strings(const struct cl_order_run *run, size_t size, struct cl_error *err)
{
    const char *at = (const char *)(run + 1);
    const char *const end = (const char *)run + size;
    uint64_t left = (uint64_t)run->arguments + run->environment;

    for (; left > 0 && at < end; left--) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));

        if (nul == NULL)
            break;
        at = nul + 1;
    }
    if (left > 0 || at != end)
        return cl_refuse(err, EPROTO, "the order's strings are not as many as it says");
    return 0;
}

static int check_run(const struct cl_order_run *run, size_t size, struct cl_error *err)
{
    enum { ALL_STREAMS = 7 };

    if (size < sizeof(*run))
        return cl_refuse(err, EPROTO, "the order has %zu bytes, and no room for what it says",
                         size);
    if (run->streams > ALL_STREAMS)
        return cl_refuse(err, EPROTO, "the order has streams that there are none of");
    if (run->groups > CL_ORDER_MAX_GROUPS)
        return cl_refuse(err, EPROTO, "the order has more than %d cgroups", CL_ORDER_MAX_GROUPS);
    return check_strings(run, size, err);
}

int cl_order_take(const void *data, size_t size, const struct cl_order **ret,
                  const struct cl_order_run **ret_run, struct cl_error *err)
{
    const struct cl_order *order = data;
    int r = 0;

    if (size < sizeof(*order) || order->version != CL_WORKER_VERSION)
        return cl_refuse(err, EPROTO, "this is no order for this version of the worker");
    if (order->kind < CL_ORDER_RUN || order->kind > CL_ORDER_TELL)
        return cl_refuse(err, EPROTO, "there is no order of kind %u", order->kind);
    if (order->kind == CL_ORDER_RUN)
        r = check_run(data, size, err);
    else if (size != sizeof(*order))
        return cl_refuse(err, EPROTO, "the order has %zu bytes more than it should",
                         size - sizeof(*order));
    if (r < 0)
        return r;
    *ret = order;
    *ret_run = order->kind == CL_ORDER_RUN ? data : NULL;
    return 0;
}

const char **cl_order_strings(const struct cl_order_run *run, size_t size)
{
    const size_t arguments = run->arguments;
    const size_t environment = run->environment;
    const char *at = (const char *)(run + 1);
    const char **lists = cl_calloc(arguments + environment + 2, sizeof(*lists));

    if (lists == NULL)
        return NULL;
    CL_ASSERT(arguments + environment <= size - sizeof(*run));
    for (size_t i = 0; i < arguments + environment; i++) {
        lists[i < arguments ? i : i + 1] = at;
        at += strlen(at) + 1;
    }
    return lists;
}
