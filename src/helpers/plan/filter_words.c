/* Words of a profile: actions, error numbers, operators (config-linux.md, "Seccomp"). */
#include <errno.h>
#include <string.h>

#include "helpers/plan/filter_parts.h"

enum { MAX_ERRNO = 4095 };

enum data { NO_DATA, ERROR_NUMBER, TRACERS_MESSAGE };

static const struct action {
    const char *name;
    uint32_t value;
    enum data data;
    int is_asking; /* somebody outside answers the call */
} actions[] = {
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, NO_DATA, 0},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG, NO_DATA, 0},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP, NO_DATA, 0},
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, NO_DATA, 0},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, NO_DATA, 0},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, NO_DATA, 0},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), ERROR_NUMBER, 0},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), TRACERS_MESSAGE, 1},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, NO_DATA, 1},
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
static int parse_errno(const struct cl_filter_action *action, uint32_t *ret, struct cl_error *err)
{
    const struct cl_decode_number *number = action->number;
    int named = action->name == NULL ? -1 : errno_by_name(action->name);

    if (action->name != NULL && named < 0)
        return cl_refuse(err, EINVAL, "unknown error name \"%.40s\"", action->name);
    if (named >= 0 && number->present && number->value != (uint64_t)named)
        return cl_refuse(err, EINVAL, "the error number and the error name disagree");
    *ret = number->present ? (uint32_t)number->value : named >= 0 ? (uint32_t)named : EPERM;
    return 0;
}

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(actions); i++) {
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    }
    return NULL;
}

int cl_filter_parse_action(const struct cl_filter_action *action, enum cl_filter_manner manner,
                           uint32_t *ret, struct cl_error *err)
{
    const struct action *known = find_action(action->text);
    uint32_t data = 0;

    if (known == NULL)
        return cl_refuse(err, EINVAL, "unknown action \"%.60s\"", action->text);
    if (known->is_asking && manner == CL_FILTER_JUDGED)
        return cl_refuse(err, EINVAL, "%s needs a supervisor for system calls; there is none here",
                         action->text);
    if (known->data == NO_DATA && (action->number->present || action->name != NULL))
        return cl_refuse(err, EINVAL, "only SCMP_ACT_ERRNO%s an error number",
                         manner == CL_FILTER_JUDGED ? " has" : " and SCMP_ACT_TRACE have");
    int r = known->data == NO_DATA ? 0 : parse_errno(action, &data, err);
    if (r == 0 && known->data == ERROR_NUMBER && data > MAX_ERRNO)
        r = cl_refuse(err, ERANGE, "an error number is at most %d", MAX_ERRNO);
    if (r == 0)
        *ret = known->value | data;
    return r;
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

int cl_filter_parse_arg(const struct cl_profile_arg *arg, struct scmp_arg_cmp *ret,
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
