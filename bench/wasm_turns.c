/*
 * Guests of one thread without anything around them: how many can begin, say hello by WASI and end
 * in a second.
 *
 *   wasm_turns MODULE COUNT    the compiled module; prints how many nanoseconds it took
 *
 * As a worker for many has them: epochs on, a tick each millisecond, a pool.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/clock.h"
#include "engine/engine.h"

static struct cl_engine *engine;

static void tick(int signal)
{
    (void)signal;
    cl_engine_tick(engine);
}

static void check(int r, const struct cl_error *err)
{
    if (r >= 0)
        return;
    fprintf(stderr, "wasm_turns: %s\n", err->msg);
    exit(1);
}

static void run_one(struct cl_program *program)
{
    static const char *const argv[] = {"hello", NULL};
    const struct cl_wasi_setup setup = {
        .argv = argv,
        .streams = {-1, open("/dev/null", O_WRONLY | O_CLOEXEC), -1},
        .max_descriptors = 64,
    };
    const struct cl_guest_limits limits = {.memory_bytes = 64 << 20, .table_elements = 1 << 16};
    struct cl_guest_end end = {0};
    struct cl_error err = {0};
    struct cl_guest *guest;
    struct cl_wasi *wasi;
    int r;

    check(cl_wasi_new(&setup, &wasi, &err), &err);
    check(cl_guest_new(program, wasi, &limits, &guest, &err), &err);
    while ((r = cl_guest_go_on(guest, &end, &err)) == CL_TURN_OVER)
        ;
    check(r, &err);
    if (r != CL_TURN_ENDED || end.kind != CL_GUEST_END_EXITED || end.exit_code != 0) {
        fprintf(stderr, "wasm_turns: it did not end as it should: %s\n", end.trap);
        exit(1);
    }
    cl_guest_free(guest);
}

int main(int argc, char *argv[])
{
    const struct cl_engine_pool pool = {
        .guests = 64, .memory_bytes = 512 << 20, .table_elements = 1 << 16};
    const struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART | SA_ONSTACK};
    const struct itimerval period = {{0, 1000}, {0, 1000}};
    struct cl_error err = {0};
    struct cl_program *program;

    if (argc != 3)
        return 2;
    const int module = open(argv[1], O_RDONLY | O_CLOEXEC);
    check(cl_engine_new(&pool, &engine, &err), &err);
    check(cl_program_new(engine, module, &program, &err), &err);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &period, NULL);
    for (int i = 0; i < 100; i++)
        run_one(program);
    const uint64_t begun = cl_clock_mono_ns();
    for (int i = 0; i < atoi(argv[2]); i++)
        run_one(program);
    printf("%llu\n", (unsigned long long)(cl_clock_mono_ns() - begun));
    return 0;
}
