/*
 * Attack: give the kernel BPF code of one's own to compile and to run at every system call. Each
 *   filter stays in the kernel's memory, which no limit counts, as long as its process lives, and
 *   thousands of them hang the loading of filters for the whole host (Linux 6.18.44, in
 *   bpf_prog_pack_alloc). ONE filter is loaded here, of one instruction, which allows everything:
 *   never make this a loop.
 *   seccomp; prctl; high_bits
 * Layer: seccomp. Source: seccomp(2), prctl(2).
 */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

static struct sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_fprog program = {.len = 1, .filter = allow_all};

/* Who has no privilege needs the flag first. */
static void promise(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        impossible("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
}

/* The programs are right: a kernel that looked at them would have taken them. */
_Noreturn static void judge_load(const char *name, long result)
{
    if (result == 0)
        escaped("%s loaded a filter", name);
    held("%s: %s", name, strerror(errno));
}

static void by_seccomp(char **args)
{
    promise();
    judge_load("seccomp", syscall(SYS_seccomp, (long)SECCOMP_SET_MODE_FILTER, 0L, &program));
}

static void by_prctl(char **args)
{
    promise();
    judge_load("prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

/* The kernel reads the operation as 32 bits. */
static void by_high_bits(char **args)
{
    promise();
    judge_load("seccomp(1<<32|1)",
               syscall(SYS_seccomp, 1L << 32 | SECCOMP_SET_MODE_FILTER, 0L, &program));
}

ATTACK({"seccomp", by_seccomp}, {"prctl", by_prctl}, {"high_bits", by_high_bits})
