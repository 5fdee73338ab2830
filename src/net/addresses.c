/* What of the host's network has to be known: which addresses are its own, and whether a
 * route leads outside. Both are in its routing tables, which also know of addresses that no
 * interface has (local routes of whole prefixes). rtnetlink(7), netlink(7).
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/sys.h"
#include "net/net.h"

struct request {
    struct nlmsghdr header;
    struct rtmsg route;
};

static int add_local(struct cl_net *net, const struct cl_cidr *cidr)
{
    for (size_t i = 0; i < net->local_count; i++) {
        if (memcmp(&net->locals[i], cidr, sizeof(*cidr)) == 0)
            return 0;
    }
    if (net->local_count == CL_NET_MAX_LOCALS)
        return -E2BIG;
    net->locals[net->local_count++] = *cidr;
    return 0;
}

/* The attribute KIND of a route, or NULL. */
static const void *find_attribute(const struct rtmsg *route, size_t size, unsigned short kind,
                                  size_t least)
{
    const char *at = (const char *)route + NLMSG_ALIGN(sizeof(*route));
    size_t left = size > NLMSG_ALIGN(sizeof(*route)) ? size - NLMSG_ALIGN(sizeof(*route)) : 0;
    struct rtattr attribute;

    while (left >= sizeof(attribute)) {
        memcpy(&attribute, at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > left)
            return NULL;
        if (attribute.rta_type == kind)
            return attribute.rta_len >= sizeof(attribute) + least ? at + sizeof(attribute) : NULL;
        const size_t step = RTA_ALIGN((size_t)attribute.rta_len);
        if (step >= left)
            return NULL;
        at += step;
        left -= step;
    }
    return NULL;
}

static int take_route(struct cl_net *net, const struct rtmsg *route, size_t size)
{
    struct cl_cidr cidr = {.family = route->rtm_family == AF_INET6 ? 6 : 4,
                           .length = route->rtm_dst_len};
    const size_t bytes = cidr.family == 6 ? 16 : 4;

    if (route->rtm_family != AF_INET && route->rtm_family != AF_INET6)
        return 0;
    if (route->rtm_dst_len > bytes * 8)
        return -EBADMSG;
    if (route->rtm_type == RTN_UNICAST && route->rtm_dst_len == 0) {
        net->has_v4 |= cidr.family == 4;
        net->has_v6 |= cidr.family == 6;
        return 0;
    }
    /* Broadcast and anycast addresses are answered by the host, too. */
    if (route->rtm_type != RTN_LOCAL && route->rtm_type != RTN_BROADCAST &&
        route->rtm_type != RTN_ANYCAST)
        return 0;
    const void *address = find_attribute(route, size, RTA_DST, bytes);
    if (address != NULL)
        memcpy(cidr.address, address, bytes);
    else if (cidr.length != 0)
        return -EBADMSG;
    return add_local(net, &cidr);
}

int cl_net_take_answer(struct cl_net *net, const void *data, size_t size)
{
    const char *at = data;
    struct nlmsghdr header;

    while (size >= sizeof(header)) {
        memcpy(&header, at, sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size)
            return -EBADMSG;
        const size_t body = header.nlmsg_len - sizeof(header);
        if (header.nlmsg_type == NLMSG_DONE)
            return 1;
        if (header.nlmsg_type == NLMSG_ERROR) {
            int error = -EBADMSG;
            if (body >= sizeof(error))
                memcpy(&error, at + sizeof(header), sizeof(error));
            return error < 0 ? error : -EBADMSG;
        }
        if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0)
            return -EINTR; /* it changed meanwhile */
        if (header.nlmsg_type == RTM_NEWROUTE && body >= sizeof(struct rtmsg)) {
            /* netlink aligns to 4, and so does our buffer */
            int r = take_route(net, (const void *)(at + sizeof(header)), body);
            if (r < 0)
                return r;
        }
        const size_t step = cl_min_u64(NLMSG_ALIGN(header.nlmsg_len), size);
        at += step;
        size -= step;
    }
    return 0;
}

static int dump(struct cl_net *net, int fd, unsigned char family)
{
    _Alignas(8) char answer[4096 + 2048];
    const struct request request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = RTM_GETROUTE,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .route = {.rtm_family = family},
    };
    ssize_t r = cl_sys_send(fd, &request, sizeof(request), 0);

    while (r >= 0) {
        /* The kernel makes its pieces no larger than what was received into. */
        r = cl_sys_recv(fd, answer, sizeof(answer), MSG_TRUNC);
        if (r > (ssize_t)sizeof(answer))
            return -EMSGSIZE;
        if (r > 0)
            r = cl_net_take_answer(net, answer, (size_t)r);
        if (r > 0)
            return 0;
    }
    return (int)r;
}

static int read_once(struct cl_net *net)
{
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    if (fd < 0)
        return fd;
    net->has_v4 = net->has_v6 = 0;
    net->local_count = 0;
    int r = dump(net, fd, AF_INET);
    return r < 0 ? r : dump(net, fd, AF_INET6);
}

int cl_net_read_routes(struct cl_net *net, struct cl_error *err)
{
    enum { TRIES = 8 };
    int r = -EINTR;

    for (int i = 0; i < TRIES && r == -EINTR; i++)
        r = read_once(net);
    if (r == -E2BIG)
        return cl_refuse(err, E2BIG,
                         "the host has more than %d addresses of its own to close; use --network "
                         "none, or a host with fewer",
                         CL_NET_MAX_LOCALS);
    return r < 0 ? cl_fail(err, r, "read the host's routes") : 0;
}
