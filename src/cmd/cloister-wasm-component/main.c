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
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "engine/component.h"
#include "policy/seccomp_tables.h"
#include "worker/orders.h"

enum { EXIT_NOT_BEGUN = 126, EXIT_MOST = 255 };

static int take_orders(struct cl_worker_orders *ret, struct cl_error *err)
{
    ssize_t size = cl_sys_read(CL_WORKER_LINE, ret, sizeof(*ret));

    if (size < 0)
        return cl_fail(err, (int)size, "read the orders");
    if (size != (ssize_t)sizeof(*ret) || ret->version != CL_WORKER_VERSION || ret->guests != 0)
        return cl_refuse(err, EPROTO,
                         "these are no orders for this worker: cloister starts it, and is of the "
                         "same version");
    return 0;
}

/* Who goes unheard has at least its status. */
static void say(const char *message)
{
    struct cl_worker_words words = {.version = CL_WORKER_VERSION};

    (void)snprintf(words.message, sizeof(words.message), "%s", message);
    (void)cl_write_all(CL_WORKER_LINE, &words, sizeof(words));
}

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

/* As a program of the kernel's would that did the same. Its streams can't be closed: this one is
 * still what it was. */
CL_NORETURN static void end_by_trap(const struct cl_guest_end *end)
{
    say(end->trap);
    if (end->backtrace != NULL)
        (void)cl_write_all(STDERR_FILENO, end->backtrace, strlen(end->backtrace));
    (void)cl_sys_kill(getpid(), SIGABRT);
    _exit(EXIT_NOT_BEGUN);
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
    int r = take_orders(&orders, &err);
    if (r == 0)
        r = prepare(&orders, argv, &component, &err);
    if (r == 0)
        r = cl_component_run(component, &end, &err);
    if (r < 0) {
        say(err.msg);
        _exit(EXIT_NOT_BEGUN);
    }
    if (end.kind == CL_GUEST_END_TRAPPED)
        end_by_trap(&end);
    _exit(end.exit_code < EXIT_MOST ? (int)end.exit_code : EXIT_MOST);
}
