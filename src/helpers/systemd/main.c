/* cloister-systemd - asks systemd for a cgroup.
 *
 *   cloister-systemd scope ID system|user PID
 *
 * The process PID is in the delegated scope cloister-ID.scope of the system's manager, or of this
 * user's, when it answers with status 0; an error is one line on descriptor 2 and exit status 1.
 * Stages: look at the arguments; let the bus let us in, which says who we are; enter the jail; only
 * then ask. Whoever started us bounds the time.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "helpers/common/process.h"
#include "helpers/systemd/scope.h"

enum { BUS_FD = 3, ID_MAX = 32 };

static int take_words(int argc, char *const argv[], enum cl_manager *ret_manager,
                      struct cl_scope *ret, char unit[64])
{
    uint64_t pid;

    if (argc != 5 || strcmp(argv[1], "scope") != 0)
        return -EINVAL;
    const char *id = argv[2];
    const size_t size = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (size == 0 || size > ID_MAX || id[size] != '\0')
        return -EINVAL;
    *ret_manager = strcmp(argv[3], "user") == 0 ? CL_MANAGER_USER : CL_MANAGER_SYSTEM;
    if (*ret_manager == CL_MANAGER_SYSTEM && strcmp(argv[3], "system") != 0)
        return -EINVAL;
    if (cl_parse_u64(argv[4], &pid) < 0 || pid == 0 || pid > INT32_MAX)
        return -EINVAL;
    (void)snprintf(unit, 64, "cloister-%s.scope", id);
    *ret = (struct cl_scope){.unit = unit, .pid = (uint32_t)pid};
    return 0;
}

static int run(int argc, char *const argv[], struct cl_error *err)
{
    static const int calls[] = {SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(ppoll)};
    struct cl_jail jail = {
        .keep_fds = BUS_FD + 1, .calls = calls, .call_count = CL_ARRAY_SIZE(calls)};
    enum cl_manager manager;
    struct cl_scope scope;
    char unit[64];
    sd_bus *bus = NULL;

    if (take_words(argc, argv, &manager, &scope, unit) < 0)
        return cl_refuse(err, EINVAL,
                         "this program is cloister's: cloister-systemd scope ID system|user PID");
    int r = cl_process_begin(BUS_FD, err);
    if (r == 0)
        r = cl_manager_open(manager, &bus, err);
    if (r == 0 && sd_bus_get_fd(bus) != BUS_FD)
        r = cl_refuse(err, EBADF, "the bus is not on descriptor %d", BUS_FD);
    if (r == 0) {
        r = cl_jail_enter(&jail, err);
        if (r < 0)
            (void)cl_prefix(err, "the helper's jail");
    }
    return r < 0 ? r : cl_scope_start(bus, &scope, err);
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};

    cl_process_end(run(argc, argv, &err), &err);
}
