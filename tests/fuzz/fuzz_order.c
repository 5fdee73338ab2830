/* fuzz_order.c - any bytes as a client's message: an order is what its bytes are, and its strings
 * are those behind it, in two lists that end. */
#include <errno.h>
#include <string.h>

#include "worker/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The strings from *AT on, up to the end of this list: how many. */
static uint32_t count_list(const char ***list, const char **at)
{
    uint32_t count = 0;

    for (; **list != NULL; ++*list, count++) {
        CL_ASSERT(**list == *at);
        *at += strlen(*at) + 1;
    }
    ++*list;
    return count;
}

static void check_strings(const struct cl_order_run *run, size_t size)
{
    const char *at = (const char *)(run + 1);
    const char **lists = cl_order_strings(run, size);
    const char **list = lists;

    CL_ASSERT(lists != NULL);
    CL_ASSERT(count_list(&list, &at) == run->arguments);
    CL_ASSERT(count_list(&list, &at) == run->environment);
    CL_ASSERT(at == (const char *)run + size);
    free(lists);
}

static void check_order(const struct cl_order *order, const struct cl_order_run *run, size_t size)
{
    CL_ASSERT(order->version == CL_WORKER_VERSION);
    CL_ASSERT(order->kind >= CL_ORDER_RUN && order->kind <= CL_ORDER_TELL);
    CL_ASSERT((run != NULL) == (order->kind == CL_ORDER_RUN));
    CL_ASSERT(run != NULL || size == sizeof(*order));
    if (run == NULL)
        return;
    CL_ASSERT(&run->order == order && run->streams < 8);
    check_strings(run, size);
}

/* In memory of just its size, so that what is read behind it is seen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cl_order *order = NULL;
    const struct cl_order_run *run = NULL;
    struct cl_error err = {0};
    void *message = malloc(size);

    CL_ASSERT(message != NULL);
    memcpy(message, data, size);
    int r = cl_order_take(message, size, &order, &run, &err);
    if (r == 0)
        check_order(order, run, size);
    else
        CL_ASSERT(r == -EPROTO && err.code == EPROTO && order == NULL && run == NULL);
    free(message);
    return 0;
}
