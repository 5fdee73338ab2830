/* cloister-wasmc - turns a WebAssembly module, which may be anybody's, into code for this machine.
 *
 *   cloister-wasmc compile NAME THREADS            the module on descriptor 0, the code to 3
 *   cloister-wasmc compile-for-turns NAME THREADS  code that gives way to others
 *   cloister-wasmc compile-component NAME THREADS  of a component (WASI 0.2)
 *
 * An error is one line on descriptor 2, with the offset in the module where it has one, and exit
 * status 1. Stages: look at the arguments; make the engine (compile.c); enter the jail, where
 * threads are started before the last door closes; only then look at the module. It has no file, no
 * network, no other process and no executable memory, so many MiB and so many seconds of processor
 * time (policy/wasm.def); whoever exceeds them is ended.
 *
 * What comes out is machine code, which nobody can check: whoever took this process over by a
 * module decides what that module does when it runs. So it is kept apart for each tenant, it runs
 * where nothing else of the host is in reach (the wall), and it is never taken for another
 * module's.
 */
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "helpers/common/jail.h"
#include "helpers/common/process.h"
#include "helpers/wasm/compile.h"
#include "policy/wasm_version.h"

enum { OUTPUT_FD = 3, MAX_NAME_SIZE = 4095 };

/* A crash of the compiler goes through the engine's handler before it ends the process. */
static const int calls[] = {SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
                            SCMP_SYS(rt_sigreturn)};

static int read_arguments(int argc, char *const argv[], struct cl_compile_job *ret,
                          struct cl_error *err)
{
    uint64_t threads = 0;
    const int in_turns = argc == 4 && strcmp(argv[1], "compile-for-turns") == 0;
    const int is_component = argc == 4 && strcmp(argv[1], "compile-component") == 0;

    if (argc != 4 || (!in_turns && !is_component && strcmp(argv[1], "compile") != 0) ||
        argv[2][0] == '\0' || strlen(argv[2]) > MAX_NAME_SIZE ||
        cl_parse_u64(argv[3], &threads) < 0 || threads < 1 || threads > CL_WASM_COMPILER_THREADS)
        return cl_refuse(
            err, EINVAL,
            "this program is cloister's: cloister-wasmc compile NAME THREADS <FILE 3>FILE");
    *ret = (struct cl_compile_job){.name = argv[2],
                                   .in_turns = in_turns,
                                   .is_component = is_component,
                                   .threads = threads,
                                   .input = STDIN_FILENO,
                                   .output = OUTPUT_FD};
    return 0;
}

static int run(struct cl_compile_job *job, struct cl_error *err)
{
    struct cl_jail jail = {
        .keep_fds = OUTPUT_FD + 1,
        .calls = calls,
        .call_count = CL_ARRAY_SIZE(calls),
        .bounds = {.memory = (uint64_t)CL_WASM_COMPILER_MIB << 20,
                   .cpu_seconds = CL_WASM_COMPILER_SECONDS,
                   .file_size = (uint64_t)CL_WASM_COMPILED_MIB << 20},
        .start_threads = cl_compile_start_threads,
        .context = job,
    };
    int r = cl_process_begin(OUTPUT_FD + 1, err);

    if (r < 0)
        return r;
    cl_compile_prepare(job);
    r = cl_jail_enter(&jail, err);
    return r < 0 ? cl_prefix(err, "the helper's jail") : cl_compile_module(job, err);
}

int main(int argc, char *argv[])
{
    struct cl_compile_job job;
    struct cl_error err = {0};
    int r = read_arguments(argc, argv, &job, &err);

    if (r == 0)
        r = run(&job, &err);
    cl_process_end(r, &err);
}
