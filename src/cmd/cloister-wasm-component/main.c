/* cloister-wasm-component: the worker behind the wasm wall for a component (WASI 0.2). It runs one
 * and ends as that did.
 *
 * Executed and told as cloister-wasm is of one guest that is alone (cmd/cloister-wasm/main.c,
 * worker/orders.h), in the same place, and apart from that because of what is in it: the engine's
 * own WASI, an event loop, HTTP and TLS, none of which a module's worker need have beside it.
 * Before a byte of the component runs it gives up all system calls but those that these need
 * (policy/syscalls.tbl, section `guest`), sockets among them only where the sandbox has a network.
 *
 * Exit status: the guest's; 126 when it could not begin; a trap ends it by SIGABRT.
 */
#include <signal.h>
#include <unistd.h>

#include "base/seccomp.h"
#include "engine/component.h"
#include "policy/seccomp_tables.h"
#include "worker/line.h"

static int prepare(const struct cl_worker_orders *orders, char *argv[], struct cl_component **ret,
                   struct cl_error *err)
{
    const struct cl_component_world world = {
        .argv = (const char *const *)argv,
        .envp = (const char *const *)environ,
        .has_network = orders->has_network != 0,
        .limits =
            {
                .memory_bytes = orders->memory_bytes,
                .table_elements = orders->table_elements,
            },
    };
    environ = NULL; /* the guest gets its copy, and the engine takes orders from nobody else */
    int r = cl_component_new(CL_WORKER_MODULE, &world, ret, err);

    if (r < 0)
        return r;
    const struct cl_seccomp_program *filter =
        orders->has_network != 0 ? &cl_seccomp_worker_component_net : &cl_seccomp_worker_component;
    return cl_seccomp_install_on_all(filter->insns, filter->count, err);
}

/* Nothing is to be undone: the process ends. */
int main(int argc, char *argv[])
{
    struct cl_worker_orders orders;
    struct cl_component *component = NULL;
    struct cl_guest_end end = {0};
    struct cl_error err = {0};

    (void)argc;
    (void)signal(SIGPIPE, SIG_IGN); /* both are errors to the guest */
    (void)signal(SIGXFSZ, SIG_IGN);
    int r = cl_line_take_orders(0, &orders, &err);
    if (r == 0)
        r = prepare(&orders, argv, &component, &err);
    if (r == 0)
        r = cl_component_run(component, &end, &err);
    if (r < 0) {
        cl_line_say(CL_WORKER_LINE, err.msg);
        _exit(CL_WORKER_NOT_BEGUN);
    }
    if (end.kind == CL_GUEST_END_TRAPPED)
        cl_line_end_by_trap(&end, STDERR_FILENO); /* its streams can't be closed */
    _exit(end.exit_code < CL_WORKER_MOST_STATUS ? (int)end.exit_code : CL_WORKER_MOST_STATUS);
}
