#include "sandbox/filter.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/sys.h"

int cl_filter_is_on(void)
{
    return cl_sys_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

int cl_filter_explain(int is_filtered, struct cl_error *err)
{
    if (err->code == ENOSYS)
        return cl_hint(err, "Linux 6.1 is needed; where it runs, a seccomp filter hides the call: "
                            "in a systemd service that of RestrictNamespaces=, RestrictSUIDSGID= "
                            "(DynamicUser= sets it) or SystemCallFilter=");
    if (!is_filtered)
        return -err->code;
    if (err->code == EAFNOSUPPORT)
        return cl_hint(err, "this process is under a seccomp filter: in a systemd service "
                            "RestrictAddressFamilies= must allow AF_INET");
    /* Our own refusals have this code too, and explain themselves. */
    if (err->code == EPERM && strstr(err->msg, strerror(EPERM)) != NULL)
        return cl_hint(err, "this process is under a seccomp filter, which may be what refuses: "
                            "in a systemd service that of RestrictNamespaces=, ProtectHostname= "
                            "or SystemCallFilter=");
    return -err->code;
}
