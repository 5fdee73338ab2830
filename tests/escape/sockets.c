/*
 * Attack: reach little-used network code of the kernel through its socket families and options.
 *   The type carries a bit that the kernel rejects (EINVAL) before it looks for the family: so a
 *   filter's refusal can be told from a kernel that lacks the family, and nothing is created.
 * Layer: seccomp (socket families).
 * Source: CVE-2021-3493, CVE-2017-7308 (packet), CVE-2016-8655, CVE-2022-27666 (key),
 *   CVE-2021-26708 (vsock), CVE-2021-43267 (tipc), CVE-2023-32233 (netfilter netlink);
 *   AF_ALG: CVE-2017-7618 among others; socket(2), address_families(7).
 */
#include "attack.h"
#include <netinet/in.h>

#define REJECTED_BIT 0x40000000

/* The kernel rejects the bit before anything else: every other answer is the filter's. */
static bool is_filters_answer(int error)
{
    return is_refusal(error) || error == EAFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == ESOCKTNOSUPPORT || error == EOPNOTSUPP;
}

static void judge_family(int family, int protocol)
{
    int fd = socket(family, SOCK_RAW | REJECTED_BIT, protocol);

    if (fd >= 0)
        escaped("socket(%d) gave %d", family, fd);
    if (errno == EINVAL)
        escaped("socket(%d, protocol %d) reaches the kernel", family, protocol);
    if (is_filters_answer(errno))
        held("socket(%d): %s", family, strerror(errno));
    impossible("socket(%d): %s", family, strerror(errno));
}

static void family(char **args)
{
    judge_family(atoi(need_arg(args, 0)), args[1] ? atoi(args[1]) : 0);
}

static void pair(char **args)
{
    int fds[2], number = atoi(need_arg(args, 0));

    if (socketpair(number, SOCK_STREAM | REJECTED_BIT, 0, fds) == 0 || errno == EINVAL)
        escaped("socketpair(%d) reaches the kernel", number);
    if (is_filters_answer(errno))
        held("socketpair(%d): %s", number, strerror(errno));
    impossible("socketpair(%d): %s", number, strerror(errno));
}

/* The kernel reads the family as an int: the upper half must not hide it from the filter. */
static void high_bits(char **args)
{
    long family = atoi(need_arg(args, 0));

    if (syscall(SYS_socket, 1L << 32 | family, (long)SOCK_RAW | REJECTED_BIT, 0L) >= 0 ||
        errno == EINVAL)
        escaped("socket(1<<32|%ld) reaches the kernel", family);
    if (is_filters_answer(errno))
        held("socket(1<<32|%ld): %s", family, strerror(errno));
    impossible("socket(1<<32|%ld): %s", family, strerror(errno));
}

/* For real: raw and packet sockets see and forge the traffic of the namespace they are in. */
static void raw(char **args)
{
    judge_call("socket(AF_INET, SOCK_RAW)", socket(AF_INET, SOCK_RAW, 1));
}

static void packet(char **args)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0 && errno == EAFNOSUPPORT)
        held("socket(AF_PACKET): %s", strerror(errno));
    judge_call("socket(AF_PACKET)", fd);
}

static void judge_option(const char *name, int result)
{
    if (result == 0)
        escaped("%s is set", name);
    if (is_refusal(errno) || errno == ENOPROTOOPT)
        held("%s: %s", name, strerror(errno));
    impossible("%s: %s", name, strerror(errno));
}

/* A key for signed segments: as many as one likes, in memory that no limit counts. */
static void tcp_md5(char **args)
{
    struct {
        struct sockaddr_storage peer;
        uint8_t flags, prefix;
        uint16_t length;
        int device;
        uint8_t key[80];
    } key = {.peer = {.ss_family = AF_INET}, .length = 4};

    judge_option("TCP_MD5SIG",
                 setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_TCP, 14, &key, sizeof key));
}

/* One of the 4,096 labels that all sockets of the host share. */
static void flow_label(char **args)
{
    struct {
        struct in6_addr to;
        uint32_t label; /* 0: any that is free */
        uint8_t action, share;
        uint16_t flags, expires, linger;
        uint32_t pad;
    } request = {.to = IN6ADDR_LOOPBACK_INIT, .share = 255, .flags = 1 /* create */};

    judge_option("IPV6_FLOWLABEL_MGR", setsockopt(socket(AF_INET6, SOCK_DGRAM, 0), IPPROTO_IPV6, 32,
                                                  &request, sizeof request));
}

ATTACK({"family", family}, {"pair", pair}, {"high_bits", high_bits}, {"raw", raw},
       {"packet", packet}, {"tcp_md5", tcp_md5}, {"flow_label", flow_label})
