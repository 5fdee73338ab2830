/* What has to be there for --network outbound, said before anything is made. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "net/net.h"

static int look_for_pasta(struct cl_error *err)
{
    if (cl_pasta_find() != NULL)
        return 0;
    return cl_refuse(err, ENOENT,
                     "network outbound needs pasta, which is not installed; install the package "
                     "passt, or use --network none");
}

static int look_for_tun(struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/dev/net/tun", O_RDWR | O_NONBLOCK, 0);

    if (fd >= 0)
        return 0;
    (void)cl_fail(err, fd, "network outbound: open /dev/net/tun");
    if (fd == -EACCES || fd == -EPERM)
        return cl_hint(err, "let its users open it, as distributions do: chmod 0666 /dev/net/tun");
    return cl_hint(err, "modprobe tun (CONFIG_TUN); in a container it has to be given the device");
}

static int look(struct cl_net *net, struct cl_error *err)
{
    int r = look_for_pasta(err);

    if (r == 0)
        r = look_for_tun(err);
    if (r == 0)
        r = cl_net_read_routes(net, err);
    if (r < 0)
        return r;
    if (!net->has_v4 && !net->has_v6)
        return cl_refuse(err, ENETUNREACH,
                         "network outbound: the host has no default route, so that there is "
                         "nothing outside; ip route shows what it has");
    r = cl_net_read_resolvers(net, err);
    /* pasta passes each family on to a resolver of the same. */
    if (!net->has_v4)
        net->resolver4.family = 0;
    if (!net->has_v6)
        net->resolver6.family = 0;
    return r;
}

int cl_net_look(struct cl_net **ret, struct cl_error *err)
{
    struct cl_net *net = cl_calloc(1, sizeof(*net));

    if (net == NULL)
        return cl_fail_memory(err);
    int r = look(net, err);
    if (r < 0)
        free(net);
    else
        *ret = net;
    return r;
}
