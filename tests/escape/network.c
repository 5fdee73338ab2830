/*
 * Attack: reach a service on the host's loopback, or on another sandbox's.
 * Layer: netns.
 * Source: CVE-2020-15257, CVE-2020-8558 (loopback services reachable from pods).
 */
#include "attack.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

_Noreturn static void judge_connect(const char *what, int fd, const void *address, socklen_t size)
{
    if (connect(fd, address, size) == 0)
        escaped("connected to %s", what);
    switch (errno) {
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
        held("connect %s: %s", what, strerror(errno));
    default:
        impossible("connect %s: %s", what, strerror(errno));
    }
}

static void loopback4(char **args)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(need_arg(args, 0))),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        held("socket: %s", strerror(errno));
    judge_connect("127.0.0.1", fd, &address, sizeof address);
}

static void loopback6(char **args)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons((uint16_t)atoi(need_arg(args, 0))),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        held("socket: %s", strerror(errno));
    judge_connect("::1", fd, &address, sizeof address);
}

/* Tunnels that a kernel gives to every new namespace; they are down and lead nowhere. */
static bool is_fallback(const char *name)
{
    static const char *const names[] = {"lo",      "tunl0",    "gre0", "gretap0", "erspan0",
                                        "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Interfaces beyond lo, as /proc tells them. */
static void interfaces(char **args)
{
    FILE *file = fopen("/proc/net/dev", "re");
    char line[512], name[64];
    int rows = 0;

    if (!file)
        held("/proc/net/dev: %s", strerror(errno));
    while (fgets(line, sizeof line, file))
        if (rows++ >= 2 && sscanf(line, " %63[^:]:", name) == 1 && !is_fallback(name))
            escaped("interface %s", name);
    held("no interface but lo");
}

/* Services that the host listens on, as /proc/net/tcp tells them. args: the port */
static void listeners(char **args)
{
    FILE *file = fopen("/proc/net/tcp", "re");
    char line[512];
    unsigned port;

    if (!file)
        held("/proc/net/tcp: %s", strerror(errno));
    while (fgets(line, sizeof line, file))
        if (sscanf(line, " %*d: %*x:%x", &port) == 1 && port == (unsigned)atoi(args[0]))
            escaped("sees the host listen on %u", port);
    held("the host's listener is invisible");
}

/* An answer from the kernel's own packet path would need a route. */
static void outside(char **args)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        held("socket: %s", strerror(errno));
    inet_pton(AF_INET, "192.0.2.1", &address.sin_addr); /* TEST-NET-1; connect sends nothing */
    judge_connect("192.0.2.1", fd, &address, sizeof address);
}

ATTACK({"loopback4", loopback4}, {"loopback6", loopback6}, {"interfaces", interfaces},
       {"listeners", listeners}, {"outside", outside})
