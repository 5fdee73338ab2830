/* net.h - a network for sandboxes that reaches outside and is reached by nobody.
 *
 * Theory of operation. The sandbox's network namespace has, beside its loopback, one tap
 * device. What goes into it pasta(1) reads, a program of the host's that speaks TCP and UDP
 * with ordinary sockets of the host's network on the sandbox's behalf. pasta itself would
 * connect to whatever the host reaches, its own services and metadata services included.
 * So the wall is a filter on the tap: a classic BPF program that the kernel runs on each
 * frame before pasta may read it (filter.c). Nothing in the namespace is trusted: routes
 * there can be gone around by who names a device (SO_BINDTODEVICE, IP_UNICAST_IF,
 * IPV6_PKTINFO).
 *
 * The filter belongs to an open file of the tap (TUNATTACHFILTER). A persistent device
 * doesn't keep it: the kernel holds the address of the program only, in the memory of who
 * attached it, and reads there again when somebody else opens the device (tun_attach). So
 * pasta isn't left to open the tap; it gets ours, with the filter on it, by --fd. When pasta
 * ends, the device goes with that last descriptor: no frame ever passes without the filter.
 *
 * Order: cl_net_look (before the clone: what can be refused is refused, and the sandbox's
 * resolv.conf needs it) -> cl_net_tap in the sandbox's namespaces -> cl_pasta_start in the
 * supervisor, which waits until pasta is ready -> the command.
 *
 * The device resolves no neighbours (IFF_NOARP): pasta takes whatever is sent, so that
 * neither ARP nor neighbour discovery has to pass, and the link-local addresses stay closed
 * without an exception.
 */
#ifndef CL_NET_NET_H
#define CL_NET_NET_H

#include <linux/filter.h>

#include "base/child.h"
#include "base/cidr.h"
#include "plan/plan.h"

enum { CL_NET_MAX_LOCALS = 256, CL_NET_MAX_INSNS = 4096 /* BPF_MAXINSNS */ };

/* The sandbox's side; nets that are for documentation and nobody's (RFC 5737, RFC 3849). */
#define CL_NET_DEVICE "eth0"
#define CL_NET_OWN4 "192.0.2.2"
#define CL_NET_GATEWAY4 "192.0.2.1"
#define CL_NET_DNS4 "192.0.2.3"
#define CL_NET_OWN6 "2001:db8::2"
#define CL_NET_GATEWAY6 "2001:db8::1"
#define CL_NET_DNS6 "2001:db8::3"

/* What was found of the host's network. */
struct cl_net {
    int has_v4; /* a default route: what pasta asks for */
    int has_v6;
    struct cl_cidr resolver4; /* the host's first; family 0: none */
    struct cl_cidr resolver6;
    size_t local_count; /* the host's own addresses, single and by prefix */
    struct cl_cidr locals[CL_NET_MAX_LOCALS];
};

/* --- outbound.c --- */

/* Looks at the host for PLAN, whose network is outbound: allocated, for free(). Refuses a
 * host that lacks pasta, /dev/net/tun or a way out. */
int cl_net_look(struct cl_net **ret, struct cl_error *err);

/* --- addresses.c, resolver.c --- */

int cl_net_read_routes(struct cl_net *net, struct cl_error *err);
/* One answer of rtnetlink: 1 when it was the last, 0, or -errno. */
int cl_net_take_answer(struct cl_net *net, const void *data, size_t size);
/* Sets the resolvers from a resolv.conf's TEXT. */
void cl_net_take_resolvers(struct cl_net *net, const char *text);
int cl_net_read_resolvers(struct cl_net *net, struct cl_error *err);

/* --- filter.c --- */

struct cl_net_program {
    size_t count;
    struct sock_filter insns[CL_NET_MAX_INSNS];
};

/* The program for a host like NET; OPENED are network_reach's entries. */
int cl_net_filter_make(const struct cl_net *net, const struct cl_strlist *opened,
                       struct cl_net_program *ret, struct cl_error *err);

/* --- tap.c --- */

/* Makes the tap in the calling process's network namespace, with PROGRAM on it (NULL: test
 * builds only), addresses and routes: a descriptor, or -errno of *RET_WHAT. Allocates
 * nothing. */
int cl_net_tap(const struct cl_net *net, const struct cl_net_program *program,
               const char **ret_what);

/* --- route.c --- */

/* A default route of FAMILY (AF_INET, AF_INET6) out of the device of that index, in the calling
 * process's network namespace: 0 or -errno. */
int cl_net_add_route(unsigned char family, uint32_t device);

/* --- pasta.c --- */

struct cl_pasta_start {
    const struct cl_net *net;
    uint32_t uid; /* whom it runs as, when we are root: the owner of USERNS */
    int userns;
    int netns;
    int tap;
};

struct cl_pasta {
    struct cl_child child;
    int life; /* closed when we end, whatever ends us: then it ends too */
};
#define CL_PASTA_INIT ((struct cl_pasta){.child = CL_CHILD_INIT, .life = -1})

/* Where pasta is, or NULL. */
const char *cl_pasta_find(void);
/* Starts it and waits until it carries. It dies with the calling process. */
int cl_pasta_start(const struct cl_pasta_start *start, struct cl_pasta *ret, struct cl_error *err);
void cl_pasta_done(struct cl_pasta *pasta);

#endif
