/* profile_machine.h - a compiled profile's program, asked what it answers to a call. */
#ifndef CL_TESTS_UNIT_PROFILE_MACHINE_H
#define CL_TESTS_UNIT_PROFILE_MACHINE_H

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/flat.h"
#include "bpf_machine.h"

#if defined(__x86_64__)
enum { FOREIGN_ARCH = 0x40000003 }; /* i386 */
static const uint32_t native_arch = AUDIT_ARCH_X86_64;
#else
enum { FOREIGN_ARCH = 0x40000028 }; /* 32-bit ARM */
static const uint32_t native_arch = AUDIT_ARCH_AARCH64;
#endif

/* seccomp(2): aligned words of the data, in the machine's own order. */
static inline int profile_load(const void *data, uint32_t at, unsigned int size, uint32_t *ret)
{
    if (size != 4 || at % 4 != 0 || at > sizeof(struct seccomp_data) - size)
        return -1;
    memcpy(ret, (const char *)data + at, size);
    return 0;
}

/* What PROGRAM answers; UINT32_MAX for one that can't be run here. */
static inline uint32_t profile_run(const struct cl_bytes *program, const struct seccomp_data *data)
{
    const struct bpf_program machine = {program->data, program->size / sizeof(struct sock_filter),
                                        profile_load};
    uint32_t answer;

    return bpf_run(&machine, data, &answer) < 0 ? UINT32_MAX : answer;
}

#endif
