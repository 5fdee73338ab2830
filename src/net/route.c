/* The sandbox's way out, which carries what ioctls can't say: how soon TCP sends again.
 *
 * pasta of 2023 takes as much of a burst as the host's socket has room for, lets the rest go and
 * doesn't ask for it; nor does it speak of timestamps, so that the time that TCP waits before it
 * sends again doubles with each loss (RFC 6298, 5.5 and Karn's algorithm). From Linux' 200 ms on
 * that soon takes seconds, and then pasta gives the connection up: docs/network.md, and
 * `bench/run.py --only outbound`. What is sent again too early goes no further than pasta.
 * rtnetlink(7); ip-route(8) calls it rto_min.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/sys.h"
#include "net/net.h"

enum {
    RTO_MIN_MS = 5,
    METRIC = 1024, /* of IPv6: what a route has that nobody gave one */
};

struct number {
    struct rtattr header;
    uint32_t value;
};

/* A default route without a gateway. Nothing in it needs padding: netlink aligns to 4. */
struct new_route {
    struct nlmsghdr header;
    struct rtmsg route;
    struct number device;
    struct number priority;
    struct rtattr metrics;
    struct number lock; /* a metric that isn't locked is a hint that TCP may forget */
    struct number rto_min;
};

static struct number number(unsigned short type, uint32_t value)
{
    return (struct number){.header = {.rta_len = sizeof(struct number), .rta_type = type},
                           .value = value};
}

static int hear(int fd)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr answer; /* with 0: done */
    } heard = {0};
    const ssize_t r = cl_sys_recv(fd, &heard, sizeof(heard), 0);

    if (r < 0)
        return (int)r;
    if ((size_t)r < sizeof(heard.header) + sizeof(heard.answer.error) ||
        heard.header.nlmsg_type != NLMSG_ERROR)
        return -EBADMSG;
    return heard.answer.error;
}

int cl_net_add_route(unsigned char family, uint32_t device)
{
    const struct new_route request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = RTM_NEWROUTE,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
        .route = {.rtm_family = family,
                  .rtm_table = RT_TABLE_MAIN,
                  .rtm_protocol = RTPROT_BOOT,
                  .rtm_scope = RT_SCOPE_LINK,
                  .rtm_type = RTN_UNICAST},
        .device = number(RTA_OIF, device),
        .priority = number(RTA_PRIORITY, family == AF_INET6 ? METRIC : 0),
        .metrics = {.rta_len = sizeof(struct rtattr) + 2 * sizeof(struct number),
                    .rta_type = RTA_METRICS},
        .lock = number(RTAX_LOCK, 1U << RTAX_RTO_MIN),
        .rto_min = number(RTAX_RTO_MIN, RTO_MIN_MS),
    };
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    if (fd < 0)
        return fd;
    const ssize_t r = cl_sys_send(fd, &request, sizeof(request), 0);
    return r < 0 ? (int)r : hear(fd);
}
