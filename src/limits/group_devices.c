/* Which devices a container may use.
 *
 * v2: a program (group_bpf.c). v1: the devices hierarchy (cgroup-v1/devices.rst) knows one answer
 * for all and exceptions from it, of which none may be a part of another: an ordered list becomes
 * that as far as it goes, and what doesn't is refused. Either is root's to say, the host's root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_rules.h"
#include "limits/scope.h"

enum { PROGRAM_MAX = 65536 * 8, PROGRAMS_MAX = 64 };

/* --- rules ----------------------------------------------------------------------- */

/* What every container may do: make nodes, which lets nobody use them, and use those that it has
 * by default. */
static const struct cl_spec_rule always[] = {
    {1, 'c', CL_SPEC_MKNOD, CL_SPEC_ANY, CL_SPEC_ANY},
    {1, 'b', CL_SPEC_MKNOD, CL_SPEC_ANY, CL_SPEC_ANY},
#define CL_DEVICE(name, major, minor, why) {1, 'c', CL_RULES_ALL, major, minor},
#define CL_DEVICE_LINK(name, target, why)
#include "policy/devices.def"
#undef CL_DEVICE
#undef CL_DEVICE_LINK
    {1, 'c', CL_RULES_ALL, 5, 2},             /* ptmx */
    {1, 'c', CL_RULES_ALL, 136, CL_SPEC_ANY}, /* ptys */
};

size_t cl_rules_count(const struct cl_spec_rules *rules)
{
    return rules->count + CL_ARRAY_SIZE(always);
}

const struct cl_spec_rule *cl_rules_at(const struct cl_spec_rules *rules, size_t at)
{
    CL_ASSERT(at < cl_rules_count(rules));
    return at < rules->count ? &rules->items[at] : &always[at - rules->count];
}

size_t cl_rules_base(const struct cl_spec_rules *rules)
{
    for (size_t i = rules->count; i-- > 0;) {
        const struct cl_spec_rule *rule = &rules->items[i];

        if (rule->kind == 'a' && rule->major == CL_SPEC_ANY && rule->minor == CL_SPEC_ANY &&
            rule->access == CL_RULES_ALL)
            return i;
    }
    return cl_rules_count(rules);
}

static int is_number(int64_t number)
{
    return number == CL_SPEC_ANY || (number >= 0 && number <= UINT32_MAX);
}

int cl_rules_check(const struct cl_spec_rules *rules, struct cl_error *err)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (!is_number(rules->items[i].major) || !is_number(rules->items[i].minor))
            return cl_refuse(err, EINVAL, "linux.resources.devices[%zu]: no device has that number",
                             i);
    }
    return 0;
}

/* Whether RULES allow all, as no rules do. */
static int allow_all(const struct cl_spec_rules *rules)
{
    const size_t base = cl_rules_base(rules);

    if (rules->count == 0)
        return 1;
    if (base == cl_rules_count(rules) || !rules->items[base].allow)
        return 0;
    for (size_t i = base; i < rules->count; i++) {
        if (!rules->items[i].allow)
            return 0;
    }
    return 1;
}

/* --- who may ------------------------------------------------------------------------ */

/* What the kernel answered, R, is passed over where nobody could have it otherwise. */
static int pass_or_fail(int r, const char *what, struct cl_error *err)
{
    if ((r == -EPERM || r == -EACCES) && !cl_is_host_root())
        return 0; /* who can't use a device outside can't inside either */
    (void)cl_fail(err, r, "linux.resources.devices: %s", what);
    if (r == -EPERM)
        return cl_hint(err, "a cgroup above it may allow less");
    return r == -EROFS ? cl_hint(err, "mount %s writable", CL_CGROUP_MOUNT) : r;
}

/* --- v2 ----------------------------------------------------------------------------- */

static int load(const struct cl_buf *program)
{
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = (uint32_t)(program->size / sizeof(struct bpf_insn)),
        .insns = (uintptr_t)program->data,
        .license = (uintptr_t) "",
        .prog_name = "cloister_dev",
    };

    return cl_sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}

static int attach(int dir, int program, int replaced)
{
    union bpf_attr attr = {
        .target_fd = (uint32_t)dir,
        .attach_bpf_fd = (uint32_t)program,
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI | (replaced >= 0 ? (uint32_t)BPF_F_REPLACE : 0U),
        .replace_bpf_fd = replaced >= 0 ? (uint32_t)replaced : 0U,
    };

    return cl_sys_bpf(BPF_PROG_ATTACH, &attr, sizeof(attr));
}

static int detach(int dir, int program)
{
    union bpf_attr attr = {
        .target_fd = (uint32_t)dir,
        .attach_bpf_fd = (uint32_t)program,
        .attach_type = BPF_CGROUP_DEVICE,
    };

    return cl_sys_bpf(BPF_PROG_DETACH, &attr, sizeof(attr));
}

struct programs {
    uint32_t ids[PROGRAMS_MAX];
    uint32_t count;
};

/* Those of DIR itself. */
static int list_programs(int dir, struct programs *ret)
{
    union bpf_attr attr = {
        .query = {.target_fd = (uint32_t)dir,
                  .attach_type = BPF_CGROUP_DEVICE,
                  .prog_ids = (uintptr_t)ret->ids,
                  .prog_cnt = PROGRAMS_MAX},
    };
    const int r = cl_sys_bpf(BPF_PROG_QUERY, &attr, sizeof(attr));

    ret->count = r < 0 ? 0 : attr.query.prog_cnt;
    return r;
}

static int open_program(uint32_t id)
{
    union bpf_attr attr = {.prog_id = id};

    return cl_sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr));
}

/* In a directory that was there what it has goes: all programs of a cgroup are asked, and one
 * that is left denies for ever. */
static int attach_alone(int dir, int program)
{
    struct programs programs = {{0}, 0};
    int is_attached = 0;
    int r = list_programs(dir, &programs);

    for (uint32_t i = 0; r >= 0 && i < programs.count; i++) {
        CL_CLEANUP_FD int old = open_program(programs.ids[i]);

        r = old < 0 ? old : is_attached ? detach(dir, old) : attach(dir, program, old);
        is_attached = 1;
    }
    if (r >= 0 && !is_attached)
        r = attach(dir, program, -1);
    return r;
}

static int write_program(const struct cl_group_dir *dir, const struct cl_spec_rules *rules,
                         int is_new, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf program = CL_BUF_INIT(PROGRAM_MAX);
    int r = cl_rules_assemble(rules, &program);

    if (r < 0 && r != -EFBIG)
        return cl_fail_memory(err);
    CL_CLEANUP_FD int fd = r < 0 ? -E2BIG : load(&program);
    if (fd == -E2BIG)
        return cl_refuse(err, E2BIG,
                         "linux.resources.devices: %zu rules are more than the kernel takes in "
                         "one program",
                         rules->count);
    if (fd == -ENOSYS || fd == -EINVAL)
        return cl_refuse(err, ENOTSUP,
                         "linux.resources.devices: this kernel takes no programs for "
                         "devices (CONFIG_CGROUP_BPF)");
    if (fd < 0)
        return pass_or_fail(fd, "load their program", err);
    r = is_new ? attach(dir->dir, fd, -1) : attach_alone(dir->dir, fd);
    return r < 0 ? pass_or_fail(r, "attach their program", err) : 0;
}

/* --- v1 ------------------------------------------------------------------------------ */

struct exceptions {
    const struct cl_spec_rules *rules;
    size_t first; /* behind the base */
    int default_allow;
    int dir;
    int fd; /* what exceptions are written to */
};

static int has_kind(const struct cl_spec_rule *rule, uint32_t kind)
{
    return rule->kind == 'a' || rule->kind == kind;
}

/* Whether each device of KIND that INNER fits OUTER fits, too. */
static int covers(const struct cl_spec_rule *outer, const struct cl_spec_rule *inner, uint32_t kind)
{
    return has_kind(outer, kind) && (outer->major == CL_SPEC_ANY || outer->major == inner->major) &&
           (outer->minor == CL_SPEC_ANY || outer->minor == inner->minor);
}

static int overlaps(const struct cl_spec_rule *a, const struct cl_spec_rule *b, uint32_t kind)
{
    return has_kind(a, kind) && has_kind(b, kind) &&
           (a->major == CL_SPEC_ANY || b->major == CL_SPEC_ANY || a->major == b->major) &&
           (a->minor == CL_SPEC_ANY || b->minor == CL_SPEC_ANY || a->minor == b->minor);
}

static void write_number(char ret[16], int64_t number)
{
    if (number == CL_SPEC_ANY)
        (void)snprintf(ret, 16, "*");
    else
        (void)snprintf(ret, 16, "%u", (unsigned int)number);
}

/* "c 1:3 rwm" */
static void write_rule(char ret[64], const struct cl_spec_rule *rule, uint32_t kind,
                       uint32_t access)
{
    char major[16];
    char minor[16];

    write_number(major, rule->major);
    write_number(minor, rule->minor);
    (void)snprintf(ret, 64, "%c %s:%s %s%s%s", (int)kind, major, minor,
                   (access & CL_SPEC_READ) != 0 ? "r" : "",
                   (access & CL_SPEC_WRITE) != 0 ? "w" : "",
                   (access & CL_SPEC_MKNOD) != 0 ? "m" : "");
}

static int refuse_hole(const struct cl_spec_rule *outer, const struct cl_spec_rule *inner,
                       uint32_t kind, struct cl_error *err)
{
    char wide[64];
    char narrow[64];

    write_rule(wide, outer, kind, outer->access);
    write_rule(narrow, inner, kind, inner->access);
    return cl_refuse(err, ENOTSUP,
                     "linux.resources.devices: cgroup v1 can't %s \"%s\" and %s \"%s\" of it: name "
                     "the devices one by one",
                     outer->allow ? "allow" : "deny", wide, inner->allow ? "allow" : "deny",
                     narrow);
}

/* Into RET what of the exception AT is left by the rules behind it, of devices of KIND: those that
 * say the contrary take from it, one that says the same stands for it. */
static int find_left(const struct exceptions *exceptions, size_t at, uint32_t kind, uint32_t *ret,
                     struct cl_error *err)
{
    const struct cl_spec_rule *rule = cl_rules_at(exceptions->rules, at);
    uint32_t left = rule->access;

    for (size_t i = at + 1; left != 0 && i < cl_rules_count(exceptions->rules); i++) {
        const struct cl_spec_rule *later = cl_rules_at(exceptions->rules, i);
        const int is_contrary = (later->allow != 0) != (rule->allow != 0);

        if (covers(later, rule, kind) && (is_contrary || (left & ~later->access) == 0))
            left &= ~later->access;
        else if (is_contrary && overlaps(later, rule, kind) && (left & later->access) != 0)
            return refuse_hole(rule, later, kind, err);
    }
    *ret = left;
    return 0;
}

static int open_exceptions(struct exceptions *exceptions)
{
    if (exceptions->fd < 0)
        exceptions->fd = cl_sys_openat(exceptions->dir,
                                       exceptions->default_allow ? "devices.deny" : "devices.allow",
                                       O_WRONLY, 0);
    return exceptions->fd;
}

/* The rule AT, for devices of KIND, when it is an exception. 0 or -errno of the kernel with the
 * rule's text in RET_TEXT; a message alone where that is empty. */
static int write_exception(struct exceptions *exceptions, size_t at, uint32_t kind,
                           char ret_text[64], struct cl_error *err)
{
    const struct cl_spec_rule *rule = cl_rules_at(exceptions->rules, at);
    uint32_t left = 0;

    ret_text[0] = '\0';
    if ((rule->allow != 0) == exceptions->default_allow || !has_kind(rule, kind))
        return 0;
    int r = find_left(exceptions, at, kind, &left, err);
    if (r < 0 || left == 0)
        return r;
    write_rule(ret_text, rule, kind, left);
    r = open_exceptions(exceptions);
    return r < 0 ? r : cl_write_all(exceptions->fd, ret_text, strlen(ret_text));
}

static int write_v1(const struct cl_group_dir *dir, const struct cl_spec_rules *rules,
                    struct cl_error *err)
{
    static const uint32_t kinds[] = {'c', 'b'};
    const size_t base = cl_rules_base(rules);
    const size_t count = cl_rules_count(rules);
    struct exceptions exceptions = {
        .rules = rules,
        .first = base == count ? 0 : base + 1,
        .default_allow = base < count && cl_rules_at(rules, base)->allow != 0,
        .dir = dir->dir,
        .fd = -1,
    };
    char text[64] = "a";
    int r =
        cl_write_file(dir->dir, exceptions.default_allow ? "devices.allow" : "devices.deny", "a");

    for (size_t i = exceptions.first; r == 0 && i < count; i++) {
        for (size_t k = 0; r == 0 && k < CL_ARRAY_SIZE(kinds); k++)
            r = write_exception(&exceptions, i, kinds[k], text, err);
    }
    cl_fd_close(&exceptions.fd);
    if (r == 0 || text[0] == '\0')
        return r;
    char what[96];
    (void)snprintf(what, sizeof(what), "write \"%s\"", text); /* fits */
    return pass_or_fail(r, what, err);
}

int cl_group_write_rules(const struct cl_group *group, const struct cl_spec_rules *rules,
                         int is_new, struct cl_error *err)
{
    const int is_v2 = group->place.layout == CL_CGROUP_V2;
    const struct cl_group_dir *dir = is_v2 ? NULL : cl_group_find(group, "devices");

    if (group->count == 0 || rules->count == 0 || (is_new && allow_all(rules)) || geteuid() != 0)
        return 0;
    const int r = cl_rules_check(rules, err);
    if (r < 0)
        return r;
    if (dir != NULL)
        return write_v1(dir, rules, err);
    dir = cl_group_find(group, CL_GROUP_UNIFIED);
    if (dir == NULL)
        return cl_refuse(err, ENOTSUP,
                         "linux.resources.devices: this host has no hierarchy of "
                         "devices; enable it (on the kernel's command line: "
                         "cgroup_enable=devices)");
    return write_program(dir, rules, is_new, err);
}
