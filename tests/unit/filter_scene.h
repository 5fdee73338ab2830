/* filter_scene.h - the compiled filters of every architecture, run by a BPF interpreter. Prints
 * TAP. The generated source is compiled into the including file, so one host tests them all. */
#ifndef CL_TESTS_UNIT_FILTER_SCENE_H
#define CL_TESTS_UNIT_FILTER_SCENE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf_machine.h"
#define CL_SECCOMP_EVERY_ARCH
#include "seccomp_every_arch.h" /* what the generator writes, under a name that isn't compiled by itself */

#define X86_64 0xc000003eU
#define AARCH64 0xc00000b7U
#define I386 0x40000003U
#define ARM 0x40000028U

#define KILL 0x80000000U
#define ALLOW 0x7fff0000U
#define ERR(e) (0x00050000U | (unsigned)(e))
#define SKIP ERR(0)
#define NEXT CL_SECCOMP_NEXT
#define RUBBISH 0xdeadbeef00000000ULL

#define NS(bit) ((uint64_t)(bit) | 17 /* SIGCHLD */)

struct data {
    uint32_t nr;
    uint32_t arch;
    uint64_t ip;
    uint64_t args[6];
};

static unsigned int n_tests, n_failed;

static void report(bool passed, const char *what, const char *detail)
{
    n_tests++;
    n_failed += !passed;
    printf("%sok %u - %s%s%s\n", passed ? "" : "not ", n_tests, what, *detail ? ": " : "", detail);
}

/* seccomp(2): aligned words of the data, in the machine's own order. */
static int load(const void *data, uint32_t at, unsigned int size, uint32_t *ret)
{
    if (size != 4 || at % 4 != 0 || at > sizeof(struct data) - size)
        return -1;
    memcpy(ret, (const char *)data + at, size);
    return 0;
}

/* No filter of ours answers 1. */
static uint32_t run(const struct cl_seccomp_program *program, const struct data *data)
{
    const struct bpf_program machine = {program->insns, program->count, load};
    uint32_t answer = 1;

    return bpf_run(&machine, data, &answer) < 0 ? 1 : answer;
}

static const struct cl_seccomp_program *find(uint32_t arch, const char *name)
{
    for (size_t i = 0; cl_seccomp_every_arch[i].program.insns; i++) {
        if (cl_seccomp_every_arch[i].audit_arch == arch &&
            strcmp(cl_seccomp_every_arch[i].program.name, name) == 0)
            return &cl_seccomp_every_arch[i].program;
    }
    printf("Bail out! no program %s\n", name);
    exit(1);
}

static void expect(const char *what, const char *name, uint32_t expected, struct data data)
{
    char detail[128] = "";
    /* A foreign ABI is put before the native program. */
    uint32_t native = data.arch == AARCH64 || data.arch == ARM ? AARCH64 : X86_64;
    uint32_t got = run(find(native, name), &data);

    if (got != expected)
        (void)snprintf(detail, sizeof(detail), "%s on %x gave %#x, not %#x", name, data.arch, got,
                       expected);
    report(got == expected, what, detail);
}

/* One call on both machines. */
struct call {
    const char *what;
    uint32_t numbers[2]; /* on x86-64 and aarch64 */
    uint64_t args[6];
    uint32_t answer;
};

static inline void expect_both(const struct call *call, const char *name)
{
    struct data data = {.nr = call->numbers[0], .arch = X86_64};

    memcpy(data.args, call->args, sizeof(call->args));
    expect(call->what, name, call->answer, data);
    data.nr = call->numbers[1];
    data.arch = AARCH64;
    expect(call->what, name, call->answer, data);
}

#endif
