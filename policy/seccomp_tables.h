/*
 * The seccomp programs that tools/gen-seccomp.py makes from policy/syscalls.tbl
 * at build time, for the architecture that is compiled for.
 *
 * Immutable data; any thread may use it. Installing one needs no_new_privs (or
 * CAP_SYS_ADMIN in the user namespace) and costs about 0.08 ms for `strict`, most of it
 * in the kernel's JIT.
 * struct sock_fprog has a pointer to non-const: the kernel only reads.
 *
 * strict, build: for the sandboxed program; every refusal is an errno, a
 *   foreign ABI (i386, x32, aarch32) kills the process.
 * floor, floor_build: under a profile that the user brought, on top of which they can only
 *   refuse.
 * init: begins the filter of process 1; CL_SECCOMP_NEXT where the command's own filter, joined
 *   behind it, decides.
 * supervisor: for the supervisor once its sandbox is released; whatever it doesn't need
 *   kills the process.
 * holder: for the process of containerd's shim that holds a pod's namespaces.
 * engine: strict for a program of ours, which puts one more filter on.
 * worker: that one, for the worker of a WebAssembly guest when that is about to begin; what it
 *   doesn't need kills the process.
 * worker_many: the same for one that has many guests, and maps the code of more as they come.
 * worker_zygote: the same for one that has none itself: it forks a process for each.
 * worker_component: the worker of a component; worker_component_net: where it has a network.
 */
#ifndef CL_POLICY_SECCOMP_TABLES_H
#define CL_POLICY_SECCOMP_TABLES_H

struct sock_filter;

/* An answer that no program gives: SECCOMP_RET_TRACE with a number. */
#define CL_SECCOMP_NEXT 0x7ff00001U

struct cl_seccomp_program {
    const char *name;
    const struct sock_filter *insns;
    unsigned short count;
};

extern const struct cl_seccomp_program cl_seccomp_strict;
extern const struct cl_seccomp_program cl_seccomp_build;
extern const struct cl_seccomp_program cl_seccomp_engine;
extern const struct cl_seccomp_program cl_seccomp_floor;
extern const struct cl_seccomp_program cl_seccomp_floor_build;
extern const struct cl_seccomp_program cl_seccomp_holder;
extern const struct cl_seccomp_program cl_seccomp_init;
extern const struct cl_seccomp_program cl_seccomp_supervisor;
extern const struct cl_seccomp_program cl_seccomp_worker;
extern const struct cl_seccomp_program cl_seccomp_worker_many;
extern const struct cl_seccomp_program cl_seccomp_worker_zygote;
extern const struct cl_seccomp_program cl_seccomp_worker_component;
extern const struct cl_seccomp_program cl_seccomp_worker_component_net;

#ifdef CL_SECCOMP_EVERY_ARCH
/* For tests: the programs of all architectures; a row without insns ends it. */
struct cl_seccomp_arch_program {
    unsigned int audit_arch;
    struct cl_seccomp_program program;
};

extern const struct cl_seccomp_arch_program cl_seccomp_every_arch[];
#endif

#endif
