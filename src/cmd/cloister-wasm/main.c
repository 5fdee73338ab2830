/* cloister-wasm: the worker behind the wasm wall. It runs one guest and ends as that did, or many
 * until its line ends.
 *
 * It is executed in a sandbox of its own, as the only program there: an empty root with the
 * volumes, no /proc, no /dev (src/walls/wasm). Descriptor 3 is the line to the supervisor, on which
 * its orders are (worker/orders.h). Alone, its arguments, environment and standard streams are the
 * guest's, and descriptor 4 is the compiled module; for many (many.c), they come from clients.
 * Before a byte of a guest runs it gives up all system calls but those that WASI and the engine
 * need (policy/syscalls.tbl, section `guest`). What goes wrong is said on the line, in one message.
 *
 * Exit status: alone, the guest's; 126 when it could not begin; a guest that traps ends it by
 * SIGABRT. For many, 0.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "cmd/cloister-wasm/many.h"
#include "engine/engine.h"
#include "worker/orders.h"
#include "policy/seccomp_tables.h"

enum { EXIT_NOT_BEGUN = 126, EXIT_MOST = 255 };

static int take_orders(struct cl_worker_orders *ret, struct cl_error *err)
{
    ssize_t size = cl_sys_read(CL_WORKER_LINE, ret, sizeof(*ret));

    if (size < 0)
        return cl_fail(err, (int)size, "read the orders");
    if (size != (ssize_t)sizeof(*ret) || ret->version != CL_WORKER_VERSION)
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

/* Descriptors 0 to 2 become the guest's own, to be closed when it likes. */
static int make_wasi(const struct cl_worker_orders *orders, char *argv[], struct cl_wasi **ret,
                     struct cl_error *err)
{
    int root = cl_sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);

    if (root < 0)
        return cl_fail(err, root, "open the root directory");
    const struct cl_wasi_preopen preopen = {.name = "/", .directory = root};
    const struct cl_wasi_setup setup = {
        .argv = (const char *const *)argv,
        .envp = (const char *const *)environ,
        .streams = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
        .preopens = &preopen,
        .preopen_count = 1,
        .max_descriptors = orders->max_descriptors,
    };
    return cl_wasi_new(&setup, ret, err);
}

static int make_program(const struct cl_worker_orders *orders, struct cl_program **ret,
                        struct cl_error *err)
{
    struct cl_engine *engine = NULL;
    int r = cl_engine_new_alone((int)orders->in_turns, &engine, err);

    return r < 0 ? r : cl_program_new(engine, CL_WORKER_MODULE, ret, err);
}

static int prepare(const struct cl_worker_orders *orders, char *argv[], struct cl_guest **ret,
                   struct cl_error *err)
{
    struct cl_program *program = NULL;
    struct cl_wasi *wasi = NULL;
    int r = make_wasi(orders, argv, &wasi, err);

    if (r < 0)
        return r;
    const struct cl_guest_limits limits = {
        .memory_bytes = orders->memory_bytes,
        .table_elements = orders->table_elements,
    };
    environ = NULL; /* the guest has its copy, and the engine takes orders from nobody else */
    r = make_program(orders, &program, err);
    if (r < 0)
        return r;
    r = cl_guest_new(program, wasi, &limits, ret, err);
    return r < 0 ? r : cl_seccomp_install(cl_seccomp_worker.insns, cl_seccomp_worker.count, err);
}

/* As a program of the kernel's would that did the same. */
CL_NORETURN static void end_by_trap(const struct cl_guest_end *end, int terminal)
{
    say(end->trap);
    if (end->backtrace != NULL)
        (void)cl_write_all(terminal, end->backtrace, strlen(end->backtrace));
    (void)cl_sys_kill(getpid(), SIGABRT);
    _exit(EXIT_NOT_BEGUN);
}

/* Nothing is to be undone: the process ends. */
CL_NORETURN static void run_alone(const struct cl_worker_orders *orders, char *argv[])
{
    struct cl_error err = {0};
    struct cl_guest *guest = NULL;
    struct cl_guest_end end = {0};
    const int terminal = cl_sys_fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, CL_WORKER_MODULE + 1);
    int r = prepare(orders, argv, &guest, &err);

    if (r == 0)
        r = cl_guest_run(guest, &end, &err);
    if (r < 0) {
        say(err.msg);
        _exit(EXIT_NOT_BEGUN);
    }
    if (end.kind == CL_GUEST_END_TRAPPED)
        end_by_trap(&end, terminal);
    _exit(end.exit_code < EXIT_MOST ? (int)end.exit_code : EXIT_MOST);
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    struct cl_worker_orders orders;

    (void)argc;
    (void)signal(SIGPIPE, SIG_IGN); /* both are errors to the guest (wasi/wasi.h) */
    (void)signal(SIGXFSZ, SIG_IGN);
    int r = take_orders(&orders, &err);
    if (r == 0 && orders.guests == 0)
        run_alone(&orders, argv);
    environ = NULL;
    if (r == 0)
        r = cl_many_run(&orders, &err);
    if (r < 0)
        say(err.msg);
    _exit(r < 0 ? EXIT_NOT_BEGUN : 0);
}
