#include "cmd/cloister-wasm/many.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "policy/seccomp_tables.h"
#include "worker/worker.h"

int cl_many_run(const struct cl_worker_orders *orders, struct cl_error *err)
{
    CL_CLEANUP_FD int root = cl_sys_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
    const struct cl_seccomp_program *filter =
        orders->in_turns ? &cl_seccomp_worker_many : &cl_seccomp_worker_zygote;
    struct cl_worker *worker = NULL;

    if (root < 0)
        return cl_fail(err, root, "open the root directory");
    int r = cl_worker_new(orders, CL_WORKER_LINE, root, &worker, err);
    if (r == 0)
        r = cl_seccomp_install(filter->insns, filter->count, err);
    if (r == 0)
        r = cl_worker_run(worker, err);
    cl_worker_free(worker);
    return r;
}
