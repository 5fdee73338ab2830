#include "cmd/cloister-wasm/confine.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/sys.h"
#include "policy/seccomp_tables.h"

/* no_new_privs is there since before the worker was executed. */
int cl_confine(struct cl_error *err)
{
    const struct sock_fprog program = {
        .len = cl_seccomp_worker.count,
        .filter = cl_unconst(cl_seccomp_worker.insns), /* the kernel only reads */
    };
    int r = cl_sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);

    return r < 0 ? cl_fail(err, r, "install the system call filter") : 0;
}
