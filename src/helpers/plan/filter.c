/* From rules to a program. What libseccomp takes in silence and we don't, where a profile is a
 * user's own (CL_FILTER_JUDGED):
 *   - a call with two unconditional rules of different actions, as Podman's profile has
 *     them: the stricter one stands, libseccomp takes the first;
 *   - a call with an unconditional rule and a conditional one of another action: which one
 *     would win is nobody's guess, so it is an error;
 *   - a call that libseccomp has no number for: it falls under the default, which is
 *     right where the default denies and an error where it allows;
 *   - only the native architecture is compiled in; calls of any other kill the process.
 * A bundle's (CL_FILTER_OBEYED) means what it means to other runtimes: the first unconditional
 * rule stands, before any conditional one; unknown calls are passed over with a warning; the
 * architectures that it lists are added, and calls of others are killed as libseccomp has it.
 *
 * In both:
 *   - a rule that says what the default says: dropped, libseccomp refuses it;
 *   - conditions on one argument twice: libseccomp refuses them, container runtimes
 *     take each as a rule of its own (one of them must hold), and so do we.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/buf.h"
#include "helpers/common/report.h"
#include "helpers/plan/arch.h"
#include "helpers/plan/filter_parts.h"

enum { MAX_RULES = 8192, MAX_CALL = 1024, UNKNOWN_SHOWN = 160 };

/* What the rules say of one call. */
struct call_state {
    int unconditional;
    uint32_t action; /* the strictest of its unconditional rules */
    int conditional;
    uint32_t conditional_action; /* of its conditional rules, as long as they agree */
    int mixed;
};

/* A user's rules are gone over twice: first what they say is noted, then they are added. */
struct compiler {
    const struct cl_filter_job *job;
    scmp_filter_ctx filter;
    struct cl_buf unknown; /* calls that libseccomp doesn't know */
    size_t unknown_count;
    int is_noting;
    uint32_t default_action;
    size_t rules;
    struct call_state calls[MAX_CALL];
};

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
        int r = cl_filter_parse_arg(&args[i], &ret->items[i], err);

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

/* CONDITIONS as one rule, or as many. */
static int add_answer(struct compiler *compiler, int call, const struct answer *answer,
                      struct cl_error *err)
{
    const struct conditions *conditions = &answer->conditions;
    int r = 0;

    if (!conditions->split)
        return add_one(compiler, call, answer, *conditions, err);
    for (unsigned int i = 0; r == 0 && i < conditions->count; i++)
        r = add_one(compiler, call, answer, (struct conditions){&conditions->items[i], 1, 0}, err);
    return r;
}

static int pass_unknown(struct compiler *compiler, const char *name, struct cl_error *err)
{
    const uint32_t action = compiler->default_action;

    if (compiler->job->manner == CL_FILTER_OBEYED) {
        if (compiler->unknown.size < UNKNOWN_SHOWN)
            (void)cl_buf_printf(&compiler->unknown, "%s%.40s", /* what has no room is counted */
                                compiler->unknown_count == 0 ? "" : ", ", name);
        compiler->unknown_count++;
        return 0;
    }
    if (action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG)
        return cl_refuse(err, EINVAL,
                         "unknown system call \"%.60s\", which the profile's default allows", name);
    return 0;
}

/* Whether the account that was kept has a stricter answer. */
static int is_outdone(const struct call_state *state, const struct answer *answer)
{
    return state != NULL && state->unconditional && answer->conditions.count == 0 &&
           answer->action != state->action;
}

static int add_call(struct compiler *compiler, const char *name, const struct answer *answer,
                    struct cl_error *err)
{
    int call = seccomp_syscall_resolve_name(name);

    if (call == __NR_SCMP_ERROR)
        return pass_unknown(compiler, name, err);
    /* libseccomp's pseudo numbers it judges itself. */
    struct call_state *state = call < 0 || call >= MAX_CALL ? NULL : &compiler->calls[call];
    if (compiler->is_noting) {
        int noted = state == NULL ? 0 : note_rule(state, answer, err);
        return noted < 0 ? cl_prefix(err, "%.60s", name) : 0;
    }
    if (answer->action == compiler->default_action || is_outdone(state, answer))
        return 0;
    return add_answer(compiler, call, answer, err);
}

static int add_rule(struct compiler *compiler, const struct cl_profile_rule *rule,
                    struct cl_error *err)
{
    const struct cl_filter_action action = {rule->action, &rule->errno_ret, rule->errno_name};
    struct answer answer = {0};
    int r = cl_filter_parse_action(&action, compiler->job->manner, &answer.action, err);

    if (r < 0)
        return cl_prefix(err, "action");
    r = parse_conditions(rule, compiler->job->arena, &answer.conditions, err);
    if (r == 0 && rule->name != NULL)
        r = add_call(compiler, rule->name, &answer, err);
    for (size_t i = 0; r == 0 && i < rule->names.count; i++) {
        r = add_call(compiler, rule->names.items[i], &answer, err);
        if (r < 0)
            return cl_prefix(err, "names[%zu]", i);
    }
    return r;
}

/* A bundle's rules have no conditions of the host any more. */
static int counts(const struct cl_filter_job *job, const struct cl_profile_rule *rule,
                  struct cl_error *err)
{
    return job->manner == CL_FILTER_OBEYED ? 1 : cl_profile_rule_counts(rule, job->host, err);
}

static int add_rules(struct compiler *compiler, struct cl_error *err)
{
    const struct cl_decode_list *rules = &compiler->job->doc->rules;

    for (size_t i = 0; i < rules->count; i++) {
        const struct cl_profile_rule *rule = (const struct cl_profile_rule *)rules->items + i;
        int r = counts(compiler->job, rule, err);

        if (r > 0)
            r = add_rule(compiler, rule, err);
        if (r < 0)
            return cl_prefix(err, "syscalls[%zu]", i);
    }
    return 0;
}

static int add_judged(struct compiler *compiler, struct cl_error *err)
{
    compiler->is_noting = 1;
    int r = add_rules(compiler, err);
    compiler->is_noting = 0;
    return r < 0 ? r : add_rules(compiler, err);
}

static int add_obeyed(struct compiler *compiler, struct cl_error *err)
{
    int r = add_rules(compiler, err);

    if (r == 0 && compiler->unknown_count > 0)
        cl_warnings_add(compiler->job->warnings,
                        "linux.seccomp: passed over %zu system call%s that libseccomp doesn't "
                        "know: %s%s",
                        compiler->unknown_count, compiler->unknown_count == 1 ? "" : "s",
                        cl_buf_text(&compiler->unknown),
                        compiler->unknown.size < UNKNOWN_SHOWN ? "" : ", ...");
    return r;
}

/* --- the filter ------------------------------------------------------------ */

/* What can't be run beside the native architecture needs no rules: its calls are killed. */
static int add_arch(struct compiler *compiler, const char *name, struct cl_error *err)
{
    const uint32_t token = cl_arch_token(name);
    int r = token == 0 ? -EDOM : seccomp_arch_add(compiler->filter, token);

    if (r == -EDOM || r == -EINVAL)
        cl_warnings_add(compiler->job->warnings,
                        "linux.seccomp.architectures: %.40s can't be run here; passed over", name);
    else if (r < 0 && r != -EEXIST)
        return cl_fail(err, r, "architectures: libseccomp refuses %.40s", name);
    return 0;
}

static int add_arches(struct compiler *compiler, struct cl_error *err)
{
    const struct cl_strlist *names = &compiler->job->doc->architectures;
    int r = 0;

    for (size_t i = 0; r == 0 && i < names->count; i++)
        r = add_arch(compiler, names->items[i], err);
    return r;
}

/* The attributes: foreign architectures die; a binary tree instead of a long list. */
static int start_filter(struct compiler *compiler, struct cl_error *err)
{
    const int is_judged = compiler->job->manner == CL_FILTER_JUDGED;
    int r = 0;

    compiler->filter = seccomp_init(compiler->default_action);
    if (compiler->filter == NULL)
        return cl_fail_memory(err);
    if (is_judged)
        r = seccomp_attr_set(compiler->filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(compiler->filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r < 0)
        return cl_fail(err, r, "set up libseccomp");
    return is_judged ? 0 : add_arches(compiler, err);
}

static int compile(struct compiler *compiler, struct cl_error *err)
{
    const struct cl_profile_doc *doc = compiler->job->doc;
    const struct cl_filter_action action = {doc->default_action, &doc->default_errno_ret,
                                            doc->default_errno_name};
    int r = cl_filter_parse_action(&action, compiler->job->manner, &compiler->default_action, err);

    if (r < 0)
        return cl_prefix(err, "defaultAction");
    r = start_filter(compiler, err);
    if (r < 0)
        return r;
    return compiler->job->manner == CL_FILTER_JUDGED ? add_judged(compiler, err)
                                                     : add_obeyed(compiler, err);
}

static void compiler_free(struct compiler **compiler)
{
    if (*compiler == NULL)
        return;
    if ((*compiler)->filter != NULL)
        seccomp_release((*compiler)->filter);
    cl_buf_done(&(*compiler)->unknown);
    free(*compiler);
}

int cl_filter_make(const struct cl_filter_job *job, struct cl_bytes *ret, struct cl_error *err)
{
    CL_CLEANUP(compiler_free) struct compiler *compiler = calloc(1, sizeof(*compiler));

    if (compiler == NULL)
        return cl_fail_memory(err);
    compiler->job = job;
    compiler->unknown = CL_BUF_INIT(2 * (size_t)UNKNOWN_SHOWN);
    int r = compile(compiler, err);
    return r < 0
               ? r
               : cl_filter_take_program(compiler->filter, job, compiler->default_action, ret, err);
}

int cl_filter_compile(const struct cl_filter_input *input, struct cl_arena *arena,
                      struct cl_plan *ret, struct cl_error *err)
{
    struct cl_profile_doc doc = {0};
    const struct cl_filter_job job = {
        .doc = &doc,
        .manner = CL_FILTER_JUDGED,
        .host = &input->host,
        .arena = arena,
        .max_size = CL_MAX_FILTER_BYTES,
        .scratch_fd = input->scratch_fd,
    };
    struct cl_bytes program = {0};
    int r = cl_profile_decode(&input->document, arena, &doc, err);

    if (r < 0)
        return r;
    if (cl_filter_make(&job, &program, err) < 0)
        return cl_prefix(err, "%s", cl_report_name(input->document.name));
    ret->seccomp = program;
    cl_plan_mark(ret, CL_FIELD_SECCOMP);
    return cl_plan_set_text(ret, CL_FIELD_SECCOMP_NAME, input->document.name, arena, err);
}
