/* cloister-grpc - one connection of gRPC, as ttrpc.
 *
 *   cloister-grpc 3<>CLIENT 4<>CORE
 *
 * Descriptor 3 is a client's connection, which speaks HTTP/2 in the clear and with prior knowledge;
 * 4 one to cloisterd, which made both, knows who the client is, and hears its calls as ttrpc's. The
 * messages in them are bytes here. Ends with status 0 when either ends, or the client has broken
 * HTTP/2; an error of ours, or of what cloisterd sent, is one line on descriptor 2 and status 1.
 *
 * Stages: enter the jail, as nobody and with nothing but the two; then read the first byte.
 * Whatever takes HTTP/2's library over has a client's say, which it had, and no other client's:
 * there is one of these for each.
 */
#include <errno.h>
#include <malloc.h>
#include <seccomp.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "helpers/common/process_end.h"
#include "helpers/grpc/relay.h"

enum {
    CLIENT_FD = 3,
    CORE_FD = 4,
    MEMORY_MOST = 192 << 20, /* session.h's bounds, where each block has grown twofold */
    MAPPED_FROM = 128 << 10, /* messages of more go back to the kernel when they are done */
    KEPT_MOST = 64 << 10,
};

static int check_socket(int fd, struct cl_error *err)
{
    struct stat st;
    const int r = cl_sys_fstat(fd, &st);

    if (r < 0 || !S_ISSOCK(st.st_mode))
        return cl_refuse(err, EBADF,
                         "this program is cloister's: cloister-grpc 3<>CLIENT 4<>CORE, and "
                         "descriptor %d is no socket",
                         fd);
    return 0;
}

static int relay_all(struct cl_error *err)
{
    struct cl_grpc_relay relay;
    int r = cl_grpc_relay_init(&relay, CLIENT_FD, CORE_FD, err);

    while (r >= 0 && r != CL_GRPC_ENDED)
        r = cl_grpc_relay_turn(&relay, -1, err);
    cl_grpc_relay_done(&relay);
    return r;
}

static int run(struct cl_error *err)
{
    static const int calls[] = {SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(poll),
                                SCMP_SYS(ppoll)};
    struct cl_jail jail = {
        .keep_fds = CORE_FD + 1,
        .streams = 1,
        .calls = calls,
        .call_count = CL_ARRAY_SIZE(calls),
        .bounds = {.memory = MEMORY_MOST},
    };
    int r = check_socket(CLIENT_FD, err);

    if (r == 0)
        r = check_socket(CORE_FD, err);
    if (r < 0)
        return r;
    r = cl_jail_enter(&jail, err);
    if (r < 0)
        return cl_prefix(err, "the helper's jail");
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM); /* 1 or 0; the sanitizer's malloc has none */
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_MOST);
    (void)malloc_trim(0); /* what the jail took */
    return relay_all(err);
}

int main(int argc, CL_UNUSED char *argv[])
{
    struct cl_error err = {0};
    const int r = argc == 1 ? run(&err)
                            : cl_refuse(&err, EINVAL,
                                        "this program is cloister's: cloister-grpc "
                                        "3<>CLIENT 4<>CORE");

    cl_process_end(r, &err);
}
