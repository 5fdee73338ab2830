/* The program as libseccomp writes it, and what stands before it: where the default is an error
 * number, calls newer than libseccomp's tables get ENOSYS instead. C libraries try a new call
 * first and fall back on ENOSYS alone. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/sys.h"
#include "helpers/plan/filter_parts.h"

enum { MAX_CALL = 1024, BLOCK_SIZE = 6 };

/* The architectures whose calls this kernel may get. From END on numbers are something else:
 * x32's (asm/unistd.h), which the program looks at, and ARM's own calls. */
static const struct arch {
    uint32_t token;
    uint32_t audit;
    uint32_t end;
} arches[] = {
#if defined(__x86_64__)
    {SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0x40000000},
    {SCMP_ARCH_X86, AUDIT_ARCH_I386, 0x40000000},
#elif defined(__aarch64__)
    {SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0x40000000},
    {SCMP_ARCH_ARM, AUDIT_ARCH_ARM, 0x0f0000},
#else
#error "name this architecture's numbers"
#endif
};

enum { MAX_HEAD = 1 + CL_ARRAY_SIZE(arches) * BLOCK_SIZE };

struct head {
    struct sock_filter insns[MAX_HEAD];
    size_t count;
};

/* The first number above all that libseccomp knows. */
static uint32_t first_unknown_call(uint32_t token)
{
    for (int call = MAX_CALL; call > 0; call--) {
        char *name = seccomp_syscall_resolve_num_arch(token, call);

        if (name != NULL) {
            free(name);
            return (uint32_t)call + 1;
        }
    }
    return MAX_CALL;
}

/* One architecture's: its new calls are ENOSYS, its others go on to the program, and those of
 * other architectures to the next block. */
static void add_block(struct head *head, const struct arch *arch)
{
    const struct sock_filter block[BLOCK_SIZE] = {
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch->audit, 0, BLOCK_SIZE - 1),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, arch->end, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first_unknown_call(arch->token), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_JMP | BPF_JA, 0), /* to the program: add_head */
    };

    memcpy(&head->insns[head->count], block, sizeof(block));
    head->count += BLOCK_SIZE;
}

static void write_head(scmp_filter_ctx filter, struct head *ret)
{
    *ret = (struct head){
        .insns = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch))},
        .count = 1,
    };
    for (size_t i = 0; i < CL_ARRAY_SIZE(arches); i++) {
        if (seccomp_arch_exist(filter, arches[i].token) == 0)
            add_block(ret, &arches[i]);
    }
    for (size_t i = 0; i < ret->count; i++) {
        if (ret->insns[i].code == (BPF_JMP | BPF_JA))
            ret->insns[i].k = (uint32_t)(ret->count - i - 1);
    }
}

static int is_errno(uint32_t action)
{
    return (action & 0xffff0000U) == SCMP_ACT_ERRNO(0) && action != SCMP_ACT_ERRNO(ENOSYS);
}

static int check_size(size_t size, size_t max, struct cl_error *err)
{
    if (size <= max)
        return 0;
    return cl_refuse(err, E2BIG,
                     "the profile makes a program of %zu instructions; the most that can be "
                     "loaded is %zu",
                     size / sizeof(struct sock_filter), max / sizeof(struct sock_filter));
}

static int read_back(int fd, char *to, size_t size, struct cl_error *err)
{
    for (size_t got = 0; got < size;) {
        ssize_t part = cl_sys_pread(fd, to + got, size - got, (off_t)got);

        if (part <= 0)
            return cl_fail(err, part == 0 ? EIO : (int)part, "read the program back");
        got += (size_t)part;
    }
    return 0;
}

int cl_filter_take_program(scmp_filter_ctx filter, const struct cl_filter_job *job,
                           uint32_t default_action, struct cl_bytes *ret, struct cl_error *err)
{
    struct head head = {.count = 0};
    int r = seccomp_export_bpf(filter, job->scratch_fd);

    if (r < 0)
        return cl_fail(err, r, "libseccomp can't make the program");
    off_t size = lseek(job->scratch_fd, 0, SEEK_CUR);
    if (size <= 0 || (size_t)size % sizeof(struct sock_filter) != 0)
        return cl_refuse(err, EIO, "libseccomp made no program");
    if (is_errno(default_action))
        write_head(filter, &head);
    const size_t head_size = head.count * sizeof(struct sock_filter);
    const size_t whole = head_size + (size_t)size;
    r = check_size(whole, job->max_size, err);
    if (r < 0)
        return r;
    char *program = cl_arena_alloc(job->arena, whole);
    if (program == NULL)
        return cl_fail_memory(err);
    memcpy(program, head.insns, head_size);
    r = read_back(job->scratch_fd, program + head_size, (size_t)size, err);
    if (r == 0)
        *ret = (struct cl_bytes){program, whole};
    return r;
}
