/* net.h - all that is under way on the network, driven from one place: curl's transfers, and
 * the times after which they are given up.
 *
 * Context: one thread. Exchanges end inside cl_net_go, and nowhere else.
 */
#ifndef CL_HELPERS_FETCH_NET_H
#define CL_HELPERS_FETCH_NET_H

#include <curl/curl.h>

#include "base/error.h"
#include "helpers/fetch/pace.h"
#include "helpers/fetch/trust.h"

struct cl_exchange;

/* Every wait, already divided by `hurry`, which is 1 but in tests. */
struct cl_waits {
    unsigned int hurry;
    uint64_t connect_ns; /* names, connection and TLS */
    struct cl_pace_limits pace;
};

struct cl_net {
    CURLM *multi;
    uint64_t now_ns; /* when this round began, cl_clock_boot_ns */
    struct cl_waits waits;
    struct cl_trust trust;
    struct cl_exchange *first; /* of those that are under way */
    uint64_t serial;           /* of tokens: no two have the same */
};

int cl_net_init(unsigned int hurry, struct cl_net *ret, struct cl_error *err);
/* No exchange is under way any more. */
void cl_net_done(struct cl_net *net);

/* Lets everything go on as far as it can without waiting; owners hear of ends. */
int cl_net_go(struct cl_net *net, struct cl_error *err);

/* Waits until something can go on, one of FDS is ready, or TIMEOUT_MS have passed. */
int cl_net_wait(struct cl_net *net, struct curl_waitfd *fds, unsigned int count, int timeout_ms,
                struct cl_error *err);

#endif
