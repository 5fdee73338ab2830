/* bpf_machine.h - classic BPF as the kernel runs it: the instructions that our programs are made
 * of. Source: linux/filter.h, Documentation/networking/filter.rst. */
#ifndef CL_TESTS_UNIT_BPF_MACHINE_H
#define CL_TESTS_UNIT_BPF_MACHINE_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_program {
    const struct sock_filter *insns;
    size_t count;
    /* Reads SIZE bytes (1, 2, 4) at AT of DATA as a number: 0, or -1 where there is nothing. */
    int (*load)(const void *data, uint32_t at, unsigned int size, uint32_t *ret);
};

/* What a program answers: 0, or -1 when it reads beyond the data, has an instruction that is not
 * here, or runs off its end. */
static inline int bpf_run(const struct bpf_program *program, const void *data, uint32_t *ret)
{
    uint32_t a = 0;

    for (size_t pc = 0; pc < program->count; pc++) {
        const struct sock_filter *in = &program->insns[pc];

        switch (in->code) {
        case BPF_LD | BPF_W | BPF_ABS:
        case BPF_LD | BPF_H | BPF_ABS:
        case BPF_LD | BPF_B | BPF_ABS:
            if (program->load(data, in->k,
                              BPF_SIZE(in->code) == BPF_W   ? 4U
                              : BPF_SIZE(in->code) == BPF_H ? 2U
                                                            : 1U,
                              &a) < 0)
                return -1;
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
        case BPF_JMP | BPF_JGT | BPF_K:
            pc += a > in->k ? in->jt : in->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= in->k ? in->jt : in->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += (a & in->k) != 0 ? in->jt : in->jf;
            break;
        case BPF_RET | BPF_K:
            *ret = in->k;
            return 0;
        default:
            return -1;
        }
    }
    return -1;
}

#endif
