/* The tap, made where it belongs: in the sandbox's network namespace, by a process that has
 * the capabilities of its user namespace. Source: Documentation/networking/tuntap.rst,
 * netdevice(7), ipv6(7); the ioctls are those of ifconfig(8).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/sys.h"
#include "net/net.h"

enum { MTU = 65520 /* pasta's own; each frame is one write */ };

static struct ifreq request_for(void)
{
    struct ifreq request = {.ifr_name = CL_NET_DEVICE};

    return request;
}

static struct sockaddr_in address4(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    (void)inet_pton(AF_INET, text, &address.sin_addr); /* of ours */
    return address;
}

static int bring_up(int fd)
{
    struct ifreq request = request_for();

    request.ifr_mtu = MTU;
    int r = cl_sys_ioctl(fd, SIOCSIFMTU, &request);
    if (r < 0)
        return r;
    request.ifr_flags = IFF_UP | IFF_NOARP;
    return cl_sys_ioctl(fd, SIOCSIFFLAGS, &request);
}

/* A class C net, from which SIOCSIFADDR takes the mask. */
static int add_v4(int fd, int device)
{
    const struct sockaddr_in own = address4(CL_NET_OWN4);
    struct ifreq request = request_for();

    memcpy(&request.ifr_addr, &own, sizeof(own));
    const int r = cl_sys_ioctl(fd, SIOCSIFADDR, &request);
    return r < 0 ? r : cl_net_add_route(AF_INET, (uint32_t)device);
}

static int add_v6(int device)
{
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_INET6, SOCK_DGRAM, 0);
    struct in6_ifreq address = {.ifr6_prefixlen = 64, .ifr6_ifindex = device};

    if (fd < 0)
        return fd;
    (void)inet_pton(AF_INET6, CL_NET_OWN6, &address.ifr6_addr); /* of ours */
    const int r = cl_sys_ioctl(fd, SIOCSIFADDR, &address);
    return r < 0 ? r : cl_net_add_route(AF_INET6, (uint32_t)device);
}

/* Filtered before it is up: no frame is ever waiting that wasn't judged. */
static int open_tap(const struct cl_net_program *program, const char **ret_what)
{
    struct ifreq request = request_for();

    *ret_what = "open /dev/net/tun";
    CL_CLEANUP_FD int tap = cl_sys_openat(AT_FDCWD, "/dev/net/tun", O_RDWR | O_NONBLOCK, 0);
    if (tap < 0)
        return tap;
    *ret_what = "make the tap device";
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    int r = cl_sys_ioctl(tap, TUNSETIFF, &request);
    if (r < 0)
        return r;
    if (program != NULL) {
        struct sock_fprog filter = {.len = (unsigned short)program->count,
                                    .filter = cl_unconst(program->insns)};
        *ret_what = "put the network filter on the tap device";
        r = cl_sys_ioctl(tap, TUNATTACHFILTER, &filter);
        if (r < 0)
            return r;
    }
    return CL_TAKE_FD(tap);
}

int cl_net_tap(const struct cl_net *net, const struct cl_net_program *program,
               const char **ret_what)
{
    CL_CLEANUP_FD int tap = open_tap(program, ret_what);

    if (tap < 0)
        return tap;
    *ret_what = "set the tap device up";
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    struct ifreq request = request_for();
    int r = bring_up(fd);
    if (r == 0)
        r = cl_sys_ioctl(fd, SIOCGIFINDEX, &request);
    if (r == 0 && net->has_v4)
        r = add_v4(fd, request.ifr_ifindex);
    if (r == 0 && net->has_v6)
        r = add_v6(request.ifr_ifindex);
    return r < 0 ? r : CL_TAKE_FD(tap);
}
