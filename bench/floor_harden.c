/* What is taken away before exec; see floor.h. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifdef __x86_64__
#define FLOOR_AUDIT_ARCH AUDIT_ARCH_X86_64
#else
#define FLOOR_AUDIT_ARCH AUDIT_ARCH_AARCH64
#endif

enum { MAX_FILTER_INSNS = 4096, LEAF_SPAN = 4 };

/*
 * Emits a binary search over the numbers [low, high) that ends in ALLOW for
 * each: the shape of a compiled allow-list, without its refusals, so that any
 * command runs under it. Returns the instructions used.
 */
static unsigned emit_tree(struct sock_filter *out, unsigned room, unsigned low, unsigned high)
{
    if (room < 4 || high - low <= LEAF_SPAN) {
        out[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        return 1;
    }
    unsigned middle = low + (high - low) / 2;
    unsigned left = emit_tree(out + 2, (room - 2) / 2, low, middle);
    unsigned right = emit_tree(out + 2 + left, room - 2 - left, middle, high);
    /* jt and jf are bytes: a far right half is reached by an unconditional jump */
    out[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, 0, 1);
    out[1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, left);
    return 2 + left + right;
}

static void load_seccomp(unsigned insns)
{
    static struct sock_filter filter[MAX_FILTER_INSNS];
    unsigned size = insns < 8 ? 8 : insns;
    if (size > MAX_FILTER_INSNS) {
        errno = E2BIG;
        floor_die("--seccomp");
    }
    unsigned used = 0;
    filter[used++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[used++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FLOOR_AUDIT_ARCH, 1, 0);
    filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    filter[used++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    used += emit_tree(filter + used, size - used, 0, 16384);
    while (used < size) { /* never reached, but checked and converted like the rest */
        filter[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    struct sock_fprog program = {.len = (unsigned short)used, .filter = filter};
    floor_must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

static void load_landlock(unsigned rules)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                                                              LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                                              LANDLOCK_ACCESS_FS_EXECUTE};
    int fd = (int)floor_must(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0),
                             "landlock_create_ruleset");
    for (unsigned i = 0; i < rules; i++) {
        struct landlock_path_beneath_attr beneath = {
            .allowed_access = LANDLOCK_ACCESS_FS_EXECUTE,
            .parent_fd = (int)floor_must(open(i % 2 ? "/bin" : "/", O_PATH | O_CLOEXEC), "/"),
        };
        floor_must(syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0),
                   "landlock_add_rule");
        (void)close(beneath.parent_fd);
    }
    floor_must(syscall(SYS_landlock_restrict_self, fd, 0), "landlock_restrict_self");
    (void)close(fd);
}

static void drop_capabilities(unsigned count)
{
    for (unsigned cap = 0; cap < count; cap++) {
        floor_must(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "PR_CAPBSET_DROP");
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof(data));
    floor_must(syscall(SYS_capset, &header, data), "capset");
}

void floor_harden(const struct floor_options *options)
{
    if (options->keyring) {
        floor_must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl");
        floor_stamp_child("keyring");
    }
    if (options->caps_dropped > 0) {
        drop_capabilities(options->caps_dropped);
        floor_stamp_child("capabilities");
    }
    floor_must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
    if (options->landlock_rules > 0) {
        load_landlock(options->landlock_rules);
        floor_stamp_child("landlock");
    }
    if (options->seccomp_insns > 0) {
        load_seccomp(options->seccomp_insns);
        floor_stamp_child("seccomp");
    }
}
