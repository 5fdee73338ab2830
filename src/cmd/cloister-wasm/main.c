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
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/seccomp.h"
#include "base/sys.h"
#include "cmd/cloister-wasm/many.h"
#include "engine/engine.h"
#include "worker/apart.h"
#include "worker/domain.h"
#include "worker/line.h"
#include "policy/seccomp_tables.h"

enum { PROBE_MAX = 64 << 10 };

/* The first COUNT of WORDS as a vector of their own. NULL: no memory. */
static const char *const *take_words(char *words[], size_t count)
{
    const char **vector = cl_calloc(count + 1, sizeof(*vector));

    if (vector != NULL)
        memcpy((void *)vector, words, count * sizeof(*vector));
    return vector;
}

/* The root directory is the guest's, and whoever has executed the worker has said as much. */
static int open_root(struct cl_wasi_setup *setup, struct cl_wasi_preopen *preopen,
                     struct cl_error *err)
{
    int root = cl_sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0);

    if (root < 0)
        return cl_fail(err, root, "open the root directory");
    *preopen = (struct cl_wasi_preopen){.name = "/", .directory = root};
    setup->envp = (const char *const *)environ;
    setup->preopens = preopen;
    setup->preopen_count = 1;
    return 0;
}

/* The guest's environment is none that a dynamic loader has seen. */
static int open_apart(const struct cl_worker_orders *orders, char *argv[],
                      struct cl_wasi_setup *setup, struct cl_error *err)
{
    static struct cl_apart apart;
    uint32_t count = 0;
    static char *environment[1];

    while (count < orders->arguments && argv[count] != NULL)
        count++;
    setup->envp = (const char *const *)(argv[count] == NULL ? environment : argv + count);
    setup->argv = take_words(argv, count);
    if (setup->argv == NULL)
        return cl_fail_memory(err);
    int r = cl_apart_make(orders, CL_WORKER_LINE, &apart, err);
    setup->preopens = apart.preopens;
    setup->preopen_count = apart.preopen_count;
    return r == 0 && orders->has_domains ? cl_domain_enter(setup, err) : r;
}

/* Descriptors 0 to 2 become the guest's own, to be closed when it likes. */
static int make_wasi(const struct cl_worker_orders *orders, char *argv[], struct cl_wasi **ret,
                     struct cl_error *err)
{
    struct cl_wasi_preopen preopen;
    struct cl_wasi_setup setup = {
        .argv = (const char *const *)argv,
        .streams = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
        .max_descriptors = orders->max_descriptors,
    };
    int r = orders->arguments == 0 ? open_root(&setup, &preopen, err)
                                   : open_apart(orders, argv, &setup, err);

    return r < 0 ? r : cl_wasi_new(&setup, ret, err);
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
    /* What an engine has in the root is found before that is no longer there to be found. */
    int r = orders->arguments == 0 ? 0 : make_program(orders, &program, err);

    if (r == 0)
        r = make_wasi(orders, argv, &wasi, err);
    if (r < 0)
        return r;
    const struct cl_guest_limits limits = {
        .memory_bytes = orders->memory_bytes,
        .table_elements = orders->table_elements,
    };
    environ = NULL; /* the guest has its copy, and the engine takes orders from nobody else */
    if (program == NULL)
        r = make_program(orders, &program, err);
    if (r < 0)
        return r;
    r = cl_guest_new(program, wasi, &limits, ret, err);
    return r < 0 ? r : cl_seccomp_install(cl_seccomp_worker.insns, cl_seccomp_worker.count, err);
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
        cl_line_say(CL_WORKER_LINE, err.msg);
        _exit(CL_WORKER_NOT_BEGUN);
    }
    if (end.kind == CL_GUEST_END_TRAPPED)
        cl_line_end_by_trap(&end, terminal);
    _exit(end.exit_code < CL_WORKER_MOST_STATUS ? (int)end.exit_code : CL_WORKER_MOST_STATUS);
}

/* Before there is a worker: what one of this engine has to find. */
static int probe(void)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(PROBE_MAX);
    struct cl_error err = {0};
    int r = cl_engine_probe(&out, &err);

    if (r == 0)
        r = cl_write_all(STDOUT_FILENO, cl_buf_text(&out), out.size);
    if (r < 0 && err.msg[0] != '\0')
        (void)fprintf(stderr, "%s\n", err.msg); /* a closed stderr is the caller's wish */
    return r < 0;
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    struct cl_worker_orders orders;

    /* "--probe" is a guest's argument where there is a line. */
    if (argc == 2 && strcmp(argv[1], "--probe") == 0 &&
        cl_sys_fcntl(CL_WORKER_LINE, F_GETFD, 0) < 0)
        return probe();
    (void)signal(SIGPIPE, SIG_IGN); /* both are errors to the guest (wasi/wasi.h) */
    (void)signal(SIGXFSZ, SIG_IGN);
    int r = cl_line_take_orders(UINT32_MAX, &orders, &err);
    if (r == 0 && orders.guests == 0)
        run_alone(&orders, argv);
    environ = NULL;
    if (r == 0)
        r = cl_many_run(&orders, &err);
    if (r < 0)
        cl_line_say(CL_WORKER_LINE, err.msg);
    _exit(r < 0 ? CL_WORKER_NOT_BEGUN : 0);
}
