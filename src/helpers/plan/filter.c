/* From rules to a program. What libseccomp takes in silence and we don't:
 *   - a call with two unconditional rules of different actions, as Podman's profile has
 *     them: the stricter one stands, libseccomp takes the first;
 *   - a call with an unconditional rule and a conditional one of another action: which one
 *     would win is nobody's guess, so it is an error;
 *   - a rule that says what the default says: dropped, libseccomp refuses it;
 *   - conditions on one argument twice: libseccomp refuses them, container runtimes
 *     take each as a rule of its own (one of them must hold), and so do we;
 *   - a call that libseccomp has no number for: it falls under the default, which is
 *     right where the default denies and an error where it allows.
 * Only the native architecture is compiled in; calls of any other kill the process.
 *
 * Where the default is an error number, calls newer than libseccomp's tables get
 * ENOSYS instead: C libraries try a new call first and fall back on ENOSYS alone.
 */
#include "helpers/plan/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>

#include "base/sys.h"
#include "helpers/common/report.h"

#if defined(__x86_64__)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this architecture's number"
#endif

enum { MAX_RULES = 8192, MAX_CALL = 1024, X32_BIT = 0x40000000 };

/* What the rules say of one call. */
struct call_state {
    int unconditional;
    uint32_t action; /* the strictest of its unconditional rules */
    int conditional;
    uint32_t conditional_action; /* of its conditional rules, as long as they agree */
    int mixed;
};

/* Two passes over the rules: the first notes what they say, the second adds them. */
struct compiler {
    scmp_filter_ctx filter;
    int is_noting;
    uint32_t default_action;
    size_t rules;
    struct call_state calls[MAX_CALL];
};

static void release_filter(scmp_filter_ctx *filter)
{
    if (*filter != NULL)
        seccomp_release(*filter);
}
#define CL_CLEANUP_FILTER CL_CLEANUP(release_filter)

/* --- words -------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t action;
} actions[] = {
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
};

/* The number that an error's name stands for, or -1. */
static int errno_by_name(const char *name)
{
    for (int i = 1; i < 134; i++) {
        const char *known = strerrorname_np(i);

        if (known != NULL && strcmp(known, name) == 0)
            return i;
    }
    return -1;
}

/* The action's error number; a number and a name may both be given when they agree. */
static int parse_errno(const struct cl_decode_number *number, const char *name, uint32_t *ret,
                       struct cl_error *err)
{
    int named = name == NULL ? -1 : errno_by_name(name);

    if (name != NULL && named < 0)
        return cl_refuse(err, EINVAL, "unknown error name \"%.40s\"", name);
    if (named >= 0 && number->present && number->value != (uint64_t)named)
        return cl_refuse(err, EINVAL, "the error number and the error name disagree");
    *ret = number->present ? (uint32_t)number->value : named >= 0 ? (uint32_t)named : EPERM;
    return 0;
}

static int parse_action(const char *text, const struct cl_decode_number *number, const char *name,
                        uint32_t *ret, struct cl_error *err)
{
    uint32_t errnum;

    if (strcmp(text, "SCMP_ACT_ERRNO") == 0) {
        int r = parse_errno(number, name, &errnum, err);

        if (r == 0)
            *ret = SCMP_ACT_ERRNO(errnum);
        return r;
    }
    if (strcmp(text, "SCMP_ACT_TRACE") == 0 || strcmp(text, "SCMP_ACT_NOTIFY") == 0)
        return cl_refuse(err, EINVAL, "%s needs a supervisor for system calls; there is none here",
                         text);
    if (number->present || name != NULL)
        return cl_refuse(err, EINVAL, "only SCMP_ACT_ERRNO has an error number");
    for (size_t i = 0; i < CL_ARRAY_SIZE(actions); i++) {
        if (strcmp(actions[i].name, text) == 0) {
            *ret = actions[i].action;
            return 0;
        }
    }
    return cl_refuse(err, EINVAL, "unknown action \"%.60s\"", text);
}

static const struct {
    const char *name;
    enum scmp_compare op;
} operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static int parse_arg(const struct cl_profile_arg *arg, struct scmp_arg_cmp *ret,
                     struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(operators); i++) {
        if (strcmp(operators[i].name, arg->op) == 0) {
            *ret = (struct scmp_arg_cmp){(unsigned int)arg->index.value, operators[i].op,
                                         arg->value.value, arg->value_two.value};
            return 0;
        }
    }
    return cl_refuse(err, EINVAL, "op: unknown operator \"%.60s\"", arg->op);
}

/* --- rules -------------------------------------------------------------- */

/* A rule's conditions; `split` when each is a rule of its own. */
struct conditions {
    struct scmp_arg_cmp *items;
    unsigned int count;
    int split;
};

static int parse_conditions(const struct cl_profile_rule *rule, struct cl_arena *arena,
                            struct conditions *ret, struct cl_error *err)
{
    const struct cl_profile_arg *args = rule->args.items;
    unsigned int seen = 0;

    *ret = (struct conditions){
        .items = cl_arena_array(arena, rule->args.count, sizeof(*ret->items)),
        .count = (unsigned int)rule->args.count,
    };
    if (ret->items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < rule->args.count; i++) {
        int r = parse_arg(&args[i], &ret->items[i], err);

        if (r < 0)
            return cl_prefix(err, "args[%zu]", i);
        if (seen & (1U << ret->items[i].arg))
            ret->split = 1;
        seen |= 1U << ret->items[i].arg;
    }
    return 0;
}

/* One rule's answer to the calls that it names. */
struct answer {
    uint32_t action;
    struct conditions conditions;
};

/* As the kernel orders them: seccomp(2), "the highest precedence". */
static int is_stricter(uint32_t a, uint32_t b)
{
    return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL);
}

/* Keeps account of what is said of a call, and refuses what contradicts. */
static int note_rule(struct call_state *state, const struct answer *answer, struct cl_error *err)
{
    if (answer->conditions.count > 0) {
        state->mixed |= state->conditional && state->conditional_action != answer->action;
        state->conditional = 1;
        state->conditional_action = answer->action;
    } else if (!state->unconditional || is_stricter(answer->action, state->action)) {
        state->unconditional = 1;
        state->action = answer->action;
    }
    if (state->unconditional && state->conditional &&
        (state->mixed || state->conditional_action != state->action))
        return cl_refuse(err, EINVAL,
                         "has another rule with another action, and one of the two has no "
                         "conditions");
    return 0;
}

/* Adds a rule whose CONDITIONS must all hold. */
static int add_one(struct compiler *compiler, int call, const struct answer *answer,
                   struct conditions conditions, struct cl_error *err)
{
    if (++compiler->rules > MAX_RULES)
        return cl_refuse(err, E2BIG, "more than %d rules", MAX_RULES);
    int r = seccomp_rule_add_array(compiler->filter, answer->action, call, conditions.count,
                                   conditions.items);
    if (r == -EEXIST)
        return cl_refuse(err, EINVAL, "the same conditions stand twice with different actions");
    return r < 0 ? cl_fail(err, r, "libseccomp refuses the rule") : 0;
}

static int add_call(struct compiler *compiler, const char *name, const struct answer *answer,
                    struct cl_error *err)
{
    const struct conditions *conditions = &answer->conditions;
    int call = seccomp_syscall_resolve_name(name);

    if (call == __NR_SCMP_ERROR) {
        if (compiler->default_action == SCMP_ACT_ALLOW || compiler->default_action == SCMP_ACT_LOG)
            return cl_refuse(err, EINVAL,
                             "unknown system call \"%.60s\", which the profile's default allows",
                             name);
        return 0;
    }
    /* libseccomp's pseudo numbers it judges itself. */
    struct call_state *state = call < 0 || call >= MAX_CALL ? NULL : &compiler->calls[call];
    if (compiler->is_noting) {
        int noted = state == NULL ? 0 : note_rule(state, answer, err);
        return noted < 0 ? cl_prefix(err, "%.60s", name) : 0;
    }
    if (answer->action == compiler->default_action)
        return 0;
    if (state != NULL && conditions->count == 0 && answer->action != state->action)
        return 0; /* a stricter one stands */
    if (!conditions->split)
        return add_one(compiler, call, answer, *conditions, err);
    int r = 0;
    for (unsigned int i = 0; r == 0 && i < conditions->count; i++)
        r = add_one(compiler, call, answer, (struct conditions){&conditions->items[i], 1, 0}, err);
    return r;
}

static int add_rule(struct compiler *compiler, const struct cl_profile_rule *rule,
                    struct cl_arena *arena, struct cl_error *err)
{
    struct answer answer = {0};
    int r = parse_action(rule->action, &rule->errno_ret, rule->errno_name, &answer.action, err);

    if (r < 0)
        return cl_prefix(err, "action");
    r = parse_conditions(rule, arena, &answer.conditions, err);
    if (r == 0 && rule->name != NULL)
        r = add_call(compiler, rule->name, &answer, err);
    for (size_t i = 0; r == 0 && i < rule->names.count; i++) {
        r = add_call(compiler, rule->names.items[i], &answer, err);
        if (r < 0)
            return cl_prefix(err, "names[%zu]", i);
    }
    return r;
}

static int add_rules(struct compiler *compiler, const struct cl_profile_doc *doc,
                     const struct cl_profile_host *host, struct cl_arena *arena,
                     struct cl_error *err)
{
    for (size_t i = 0; i < doc->rules.count; i++) {
        const struct cl_profile_rule *rule = (const struct cl_profile_rule *)doc->rules.items + i;
        int r = cl_profile_rule_counts(rule, host, err);

        if (r > 0)
            r = add_rule(compiler, rule, arena, err);
        if (r < 0)
            return cl_prefix(err, "syscalls[%zu]", i);
    }
    return 0;
}

/* --- the program -------------------------------------------------------- */

/* The first number above all that libseccomp knows. */
static unsigned int first_unknown_call(void)
{
    for (int call = MAX_CALL; call > 0; call--) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

        if (name != NULL) {
            free(name);
            return (unsigned int)call + 1;
        }
    }
    return MAX_CALL;
}

/* Stands before the program: new calls of the native architecture are ENOSYS; the
 * rest, x32's numbers among them, goes on to the program. */
static size_t write_prologue(struct sock_filter ret[6])
{
    const struct sock_filter prologue[6] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_AUDIT_ARCH, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first_unknown_call(), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };

    memcpy(ret, prologue, sizeof(prologue));
    return sizeof(prologue);
}

static int is_errno(uint32_t action)
{
    return (action & 0xffff0000U) == SCMP_ACT_ERRNO(0) && action != SCMP_ACT_ERRNO(ENOSYS);
}

/* The program as libseccomp writes it to a descriptor, with the prologue. */
static int take_program(const struct compiler *compiler, int fd, struct cl_arena *arena,
                        struct cl_bytes *ret, struct cl_error *err)
{
    struct sock_filter prologue[6];
    size_t head = is_errno(compiler->default_action) ? write_prologue(prologue) : 0;
    int r = seccomp_export_bpf(compiler->filter, fd);

    if (r < 0)
        return cl_fail(err, r, "libseccomp can't make the program");
    off_t size = lseek(fd, 0, SEEK_CUR);
    if (size <= 0 || (size_t)size % sizeof(struct sock_filter) != 0)
        return cl_refuse(err, EIO, "libseccomp made no program");
    if ((size_t)size + head > CL_MAX_FILTER_BYTES)
        return cl_refuse(err, E2BIG,
                         "the profile makes a program of %zu instructions; the most that "
                         "can be loaded is %d",
                         ((size_t)size + head) / sizeof(struct sock_filter), CL_MAX_FILTER_INSNS);
    char *program = cl_arena_alloc(arena, head + (size_t)size);
    if (program == NULL)
        return cl_fail_memory(err);
    memcpy(program, prologue, head);
    for (size_t got = 0; got < (size_t)size;) {
        ssize_t part = cl_sys_pread(fd, program + head + got, (size_t)size - got, (off_t)got);

        if (part <= 0)
            return cl_fail(err, part == 0 ? EIO : (int)part, "read the program back");
        got += (size_t)part;
    }
    *ret = (struct cl_bytes){program, head + (size_t)size};
    return 0;
}

/* The attributes: foreign architectures die; a binary tree instead of a long list. */
static int start_filter(struct compiler *compiler, struct cl_error *err)
{
    compiler->filter = seccomp_init(compiler->default_action);
    if (compiler->filter == NULL)
        return cl_fail_memory(err);
    int r = seccomp_attr_set(compiler->filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(compiler->filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return r < 0 ? cl_fail(err, r, "set up libseccomp") : 0;
}

static int compile(struct compiler *compiler, const struct cl_profile_doc *doc,
                   const struct cl_filter_input *input, struct cl_arena *arena,
                   struct cl_error *err)
{
    int r = parse_action(doc->default_action, &doc->default_errno_ret, doc->default_errno_name,
                         &compiler->default_action, err);

    if (r < 0)
        return cl_prefix(err, "defaultAction");
    r = start_filter(compiler, err);
    if (r < 0)
        return r;
    compiler->is_noting = 1;
    r = add_rules(compiler, doc, &input->host, arena, err);
    compiler->is_noting = 0;
    return r < 0 ? r : add_rules(compiler, doc, &input->host, arena, err);
}

int cl_filter_compile(const struct cl_filter_input *input, struct cl_arena *arena,
                      struct cl_plan *ret, struct cl_error *err)
{
    struct cl_profile_doc doc = {0};
    CL_CLEANUP_FREE struct compiler *compiler = calloc(1, sizeof(*compiler));
    struct cl_bytes program = {0};
    int r = compiler == NULL ? cl_fail_memory(err)
                             : cl_profile_decode(&input->document, arena, &doc, err);

    if (r < 0)
        return r;
    r = compile(compiler, &doc, input, arena, err);
    CL_CLEANUP_FILTER scmp_filter_ctx filter = compiler->filter;
    if (r == 0)
        r = take_program(compiler, input->scratch_fd, arena, &program, err);
    if (r < 0)
        return cl_prefix(err, "%s", cl_report_name(input->document.name));
    ret->seccomp = program;
    cl_plan_mark(ret, CL_FIELD_SECCOMP);
    (void)filter; /* released at the end */
    return cl_plan_set_text(ret, CL_FIELD_SECCOMP_NAME, input->document.name, arena, err);
}
