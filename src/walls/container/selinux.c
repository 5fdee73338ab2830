/* The sandbox's SELinux context: container_t with two categories of its own for the
 * command, container_file_t with the same categories for what it may write.
 *
 * The maker decides both texts and asks the policy for them before anything is made.
 * Init gives the file's to each file system that it makes for the sandbox, as mount option
 * `context`: so no file of them can get another label. The main process asks for the
 * other at exec. A bind of the host's (a read-only image, /usr, a volume) keeps its
 * files' labels: whether the sandbox may touch them is for the host's policy to say.
 *
 * Categories keep sandboxes apart that have the same type: a process reaches a file when it
 * has all of the file's categories, and no pair holds another. 1024 categories make
 * 523,776 pairs. As root the number of the uid range, which is nobody else's, picks the
 * pair; otherwise the sandbox's random id does. Sandboxes of ordinary users, and containers
 * of engines that choose at random, can so meet a pair by chance.
 *
 * Sources: security/selinux/hooks.c (mount options, exec), proc(5) on attr, selinux(8),
 * container_selinux(8).
 */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/selinux.h"
#include "base/sys.h"
#include "policy/selinux.h"
#include "walls/container/container.h"

enum { PAIRS = CL_SELINUX_CATEGORIES * (CL_SELINUX_CATEGORIES - 1) / 2 };

/* FNV-1a */
static uint32_t hash(const char *text)
{
    uint32_t value = 2166136261U;

    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char)*text) * 16777619U;
    return value;
}

void cl_selinux_categories(uint32_t uid_base, const char *id, uint32_t ret[2])
{
    /* Neighbouring ranges far apart; as it has no divisor of PAIRS, no two the same. */
    const uint32_t stride = 100003;
    uint32_t number = uid_base != 0 ? uid_base / CL_UIDS_PER_RANGE : hash(id);
    uint32_t pair = (uint32_t)((uint64_t)number * stride % PAIRS);
    uint32_t high = 1;

    /* Row HIGH has the pairs (0, HIGH) to (HIGH - 1, HIGH). */
    while (pair >= high)
        pair -= high++;
    ret[0] = pair;
    ret[1] = high;
}

static void write_contexts(struct cl_container *container, int has_levels)
{
    uint32_t pair[2];
    char level[32] = "";

    cl_selinux_categories(container->start->uid_base, container->start->id, pair);
    if (has_levels)
        (void)snprintf(level, sizeof(level), CL_SELINUX_LEVEL ":c%u,c%u", pair[0], pair[1]);
    (void)snprintf(container->process_context, CL_CONTEXT_SIZE, CL_SELINUX_PROCESS "%s", level);
    (void)snprintf(container->file_context, CL_CONTEXT_SIZE, CL_SELINUX_FILE "%s", level);
}

static void forget_contexts(struct cl_container *container)
{
    container->process_context[0] = '\0';
    container->file_context[0] = '\0';
}

static int refuse_unknown(struct cl_error *err)
{
    return cl_refuse(err, ENOTSUP,
                     "this host enforces SELinux, and its policy doesn't know " CL_SELINUX_PROCESS
                     "; install container-selinux (Debian: the modules of packaging/selinux), or "
                     "--without selinux runs sandboxes in the caller's domain");
}

/* The pipes that are to be the command's standard streams: they have the label of the
 * supervisor, whose categories the sandbox hasn't. At exec the kernel puts /dev/null in the
 * place of what the new context may not use. */
static int label_streams(const struct cl_container *container)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(container->start->stdio); i++) {
        if (container->start->stdio[i] >= 0)
            r = cl_sys_fsetxattr(container->start->stdio[i], "security.selinux",
                                 container->file_context, strlen(container->file_context) + 1);
    }
    return r;
}

/* 1 when the sandbox has its contexts, 0 when the policy doesn't know them; -errno. */
static int find_contexts(struct cl_container *container, struct cl_error *err)
{
    int r = cl_selinux_has_levels();

    if (r >= 0) {
        write_contexts(container, r);
        r = cl_selinux_knows(container->process_context);
    }
    if (r > 0)
        r = cl_selinux_knows(container->file_context);
    if (r < 0)
        return cl_fail(err, r, "ask SELinux for " CL_SELINUX_PROCESS);
    return r;
}

static int give_contexts(struct cl_container *container, int mode, struct cl_error *err)
{
    int r = find_contexts(container, err);

    if (r <= 0)
        forget_contexts(container);
    if (r < 0)
        return cl_hint(err, "--without selinux leaves it out");
    /* Where nothing is enforced nothing is lost, and no layer stands. */
    if (r == 0)
        return mode == CL_SELINUX_ENFORCING ? refuse_unknown(err) : 0;
    r = label_streams(container);
    if (r < 0) {
        (void)cl_fail(err, r, "label the standard streams %s", container->file_context);
        return cl_hint(err, "load the policy module of packaging/selinux; or --without selinux");
    }
    return 0;
}

int cl_selinux_decide(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    forget_contexts(container);
    if (cl_plan_without(container->plan, CL_LAYER_SELINUX))
        return 0;
    int mode = cl_selinux_mode();
    if (mode < 0)
        return cl_fail(err, mode, "ask whether this host enforces SELinux");
    return mode == CL_SELINUX_NONE ? 0 : give_contexts(container, mode, err);
}

/* By the descriptor of the sandbox's own /proc, which nobody can have bent. */
int cl_selinux_take(struct cl_container *container, struct cl_error *err)
{
    if (container->process_context[0] == '\0')
        return 0;
    int r = cl_write_file(container->proc, "self/attr/exec", container->process_context);
    if (r < 0) {
        (void)cl_fail(err, r, "ask for the SELinux context %s", container->process_context);
        return cl_hint(err, "--without selinux leaves it out");
    }
    cl_layer_up(container, CL_LAYER_SELINUX);
    return 0;
}

/* The kernel tells a transition that the policy doesn't allow under no_new_privs by EPERM,
 * any other denial by EACCES. */
int cl_selinux_hint(const struct cl_container *container, int r, struct cl_error *err)
{
    if (container->process_context[0] == '\0')
        return r;
    if (r == -EPERM)
        return cl_hint(err, "the SELinux policy must allow the caller's domain nnp_transition and "
                            "nosuid_transition to container_t (packaging/selinux)");
    if (r == -EACCES)
        return cl_hint(err, "SELinux may refuse it: an image's files must be labelled for "
                            "container_t, as by chcon -R -t container_file_t");
    return r;
}
