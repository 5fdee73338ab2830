#include "helpers/fetch/net.h"

#include <errno.h>

#include "base/clock.h"
#include "helpers/fetch/exchange.h"

/* A registry is glad about few connections, and a pull is no faster for more. */
enum { MAX_HOST_CONNECTIONS = 8, MAX_CONNECTIONS = 32, IDLE_CONNECTIONS = 16 };

int cl_net_init(unsigned int hurry, struct cl_net *ret, struct cl_error *err)
{
    CURLM *multi = curl_multi_init();

    if (multi == NULL)
        return cl_fail_memory(err);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)MAX_HOST_CONNECTIONS);
    (void)curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)MAX_CONNECTIONS);
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    *ret = (struct cl_net){
        .multi = multi,
        .waits = {.hurry = hurry,
                  .connect_ns = 20 * CL_NS_PER_S / hurry,
                  .pace = {.silence_ns = 30 * CL_NS_PER_S / hurry,
                           .window_ns = 60 * CL_NS_PER_S / hurry}},
    };
    cl_trust_init(&ret->trust);
    return 0;
}

void cl_net_done(struct cl_net *net)
{
    CL_ASSERT(net->first == NULL);
    (void)curl_multi_cleanup(net->multi); /* fails for no handle that is one */
    cl_trust_done(&net->trust);
}

static void end_finished(struct cl_net *net)
{
    int left = 0;
    const CURLMsg *message;

    while ((message = curl_multi_info_read(net->multi, &left)) != NULL) {
        struct cl_exchange *exchange = NULL;
        const CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        cl_exchange_finished(exchange, code);
    }
}

/* An end may begin and end others: from the start again after each. */
static void end_stalled(struct cl_net *net)
{
    struct cl_exchange *exchange = net->first;

    while (exchange != NULL)
        exchange = cl_exchange_watch(exchange, net->now_ns) ? net->first : exchange->next;
}

int cl_net_go(struct cl_net *net, struct cl_error *err)
{
    int running = 0;

    net->now_ns = cl_clock_boot_ns();
    const CURLMcode code = curl_multi_perform(net->multi, &running);

    if (code != CURLM_OK)
        return cl_refuse(err, EIO, "curl: %s", curl_multi_strerror(code));
    end_finished(net);
    end_stalled(net);
    return 0;
}

int cl_net_wait(struct cl_net *net, struct curl_waitfd *fds, unsigned int count, int timeout_ms,
                struct cl_error *err)
{
    const CURLMcode code = curl_multi_poll(net->multi, fds, count, timeout_ms, NULL);

    return code == CURLM_OK ? 0 : cl_refuse(err, EIO, "curl: %s", curl_multi_strerror(code));
}
