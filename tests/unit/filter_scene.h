/* filter_scene.h - the compiled filters of every architecture, run by a BPF interpreter. Prints
 * TAP. The generated source is compiled into the including file, so one host tests them all. */
#ifndef CL_TESTS_UNIT_FILTER_SCENE_H
#define CL_TESTS_UNIT_FILTER_SCENE_H

#include <errno.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static uint32_t run(const struct cl_seccomp_program *program, const struct data *data)
{
    uint32_t a = 0, word;

    for (unsigned int pc = 0; pc < program->count; pc++) {
        const struct sock_filter *in = &program->insns[pc];

        switch (in->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (in->k % 4 != 0 || in->k > sizeof(*data) - sizeof(word))
                return 1;
            memcpy(&word, (const char *)data + in->k, sizeof(word));
            a = word;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= in->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += in->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == in->k ? in->jt : in->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= in->k ? in->jt : in->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += (a & in->k) != 0 ? in->jt : in->jf;
            break;
        case BPF_RET | BPF_K:
            return in->k;
        default:
            return 2;
        }
    }
    return 3;
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

#endif
