/* cloister-systemd - asks systemd for a cgroup.
 *
 *   cloister-systemd scope ID system|user PID
 *   cloister-systemd unit system|user PID
 *   cloister-systemd set system|user
 *
 * scope: the process PID is in the delegated scope cloister-ID.scope of the system's manager, or of
 * this user's, when it answers with status 0. unit: the same of an OCI container's scope, of which
 * descriptor 0 has the unit's name, its slice, and then names of properties and their values, each
 * ended by NUL. set: the unit there gets the properties behind its name. An error is one line on
 * descriptor 2 and exit status 1.
 *
 * Stages: look at the arguments; let the bus let us in, which says who we are; enter the jail; only
 * then read what is asked and ask for it. Whoever started us bounds the time.
 */
#include <errno.h>
#include <seccomp.h>
#include <unistd.h>

#include "base/fd.h"
#include "helpers/common/jail.h"
#include "helpers/common/process.h"
#include "helpers/systemd/request.h"

enum { BUS_FD = 3, INPUT_MAX = 1 << 20 };

static int run(int argc, char *argv[], struct cl_error *err)
{
    static const int calls[] = {SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(ppoll)};
    static struct cl_request request; /* large */
    static struct cl_buf input;
    struct cl_jail jail = {
        .keep_fds = BUS_FD + 1, .calls = calls, .call_count = CL_ARRAY_SIZE(calls)};
    sd_bus *bus = NULL;

    if (cl_request_take(argc, argv, &request) < 0)
        return cl_refuse(err, EINVAL,
                         "this program is cloister's: cloister-systemd scope ID system|user PID, "
                         "unit system|user PID, or set system|user");
    int r = cl_process_begin(BUS_FD, err);
    if (r == 0)
        r = cl_manager_open(request.manager, &bus, err);
    if (r == 0 && sd_bus_get_fd(bus) != BUS_FD)
        r = cl_refuse(err, EBADF, "the bus is not on descriptor %d", BUS_FD);
    if (r == 0) {
        r = cl_jail_enter(&jail, err);
        if (r < 0)
            (void)cl_prefix(err, "the helper's jail");
    }
    if (r == 0 && request.verb != CL_VERB_SCOPE) {
        input = CL_BUF_INIT(INPUT_MAX);
        r = cl_read_all(STDIN_FILENO, "the input", &input, err);
        if (r == 0)
            r = cl_request_read(&input, &request, err);
    }
    if (r < 0)
        return r;
    return request.verb == CL_VERB_SET ? cl_scope_set(bus, &request.scope, err)
                                       : cl_scope_start(bus, &request.scope, err);
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};

    cl_process_end(run(argc, argv, &err), &err);
}
