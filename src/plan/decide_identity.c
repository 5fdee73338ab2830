/* Who the sandboxed code is: its user and what it may do as such; the names of the
 * sandbox. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/num.h"
#include "plan/decide_parts.h"

enum { STRICT_ID = 1000 };

/* CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID (linux/capability.h): what
 * package managers need to lay out files of several owners, and nothing else. */
static const uint64_t build_capabilities =
    1U << 0 | 1U << 1 | 1U << 3 | 1U << 4 | 1U << 6 | 1U << 7;

static int is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* [A-Za-z0-9] and then also the bytes of MORE. */
static int is_word(const char *text, size_t size, const char *more)
{
    if (size == 0 || !is_alnum(text[0]))
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (!is_alnum(text[i]) && (text[i] == '\0' || strchr(more, text[i]) == NULL))
            return 0;
    }
    return 1;
}

/* --- the user -------------------------------------------------------------- */

/* One half of UID[:GID]: 1 a number or root, 0 another name. */
static int decide_id(const char *text, const char *user, uint64_t *ret, struct cl_error *err)
{
    const uint64_t most = cl_field_info(CL_FIELD_UID)->max;
    uint64_t id;

    if (strcmp(text, "root") == 0) {
        *ret = 0;
        return 1;
    }
    if (text[0] >= '0' && text[0] <= '9') {
        if (cl_parse_u64(text, &id) < 0 || id > most)
            return cl_refuse(err, EINVAL, "\"%.64s\" is no number from 0 to %" PRIu64, text, most);
        *ret = id;
        return 1;
    }
    if (text[0] == '_' || is_word(text, strlen(text), "_.-$"))
        return 0;
    return cl_refuse(err, EINVAL, "expected UID, UID:GID or names, got \"%.64s\"", user);
}

static int find_ids(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan found = {0};

    if (d->how->find_user == NULL)
        return cl_refuse(err, ENOENT, "no user \"%.64s\"; use a number", d->plan->user);
    int r = d->how->find_user(d->how->context, d->plan, &found, err);
    if (r < 0)
        return r;
    CL_ASSERT(cl_plan_has(&found, CL_FIELD_UID));
    d->plan->uid = found.uid;
    d->plan->gid = cl_plan_has(&found, CL_FIELD_GID) ? found.gid : found.uid;
    return 0;
}

static int decide_ids(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    const char *colon = strchr(plan->user, ':');
    char *name = cl_arena_strndup(d->how->arena, plan->user, strcspn(plan->user, ":"));

    if (name == NULL)
        return cl_fail_memory(err);
    int user = decide_id(name, plan->user, &plan->uid, err);
    int group = user < 0 || colon == NULL ? user : decide_id(colon + 1, plan->user, &plan->gid, err);
    if (user < 0 || group < 0)
        return user < 0 ? user : group;
    if (colon == NULL)
        plan->gid = plan->uid;
    cl_plan_mark(plan, CL_FIELD_UID);
    cl_plan_mark(plan, CL_FIELD_GID);
    return user == 1 && group == 1 ? 0 : find_ids(d, err);
}

int cl_decide_user(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    int r = decide_ids(d, err);

    if (r < 0)
        return r;
    if (plan->profile != CL_PROFILE_STRICT || (plan->uid != 0 && plan->gid != 0))
        return 0;
    d->how->note = plan->uid == 0
                       ? "the strict profile never runs as root: user 1000 instead (--profile "
                         "build has root inside)"
                       : "the strict profile never runs as root: group 1000 instead";
    if (plan->uid == 0)
        plan->uid = STRICT_ID;
    if (plan->gid == 0)
        plan->gid = STRICT_ID;
    return 0;
}

int cl_decide_capabilities(struct cl_decision *d, CL_UNUSED struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    plan->capabilities =
        plan->profile == CL_PROFILE_BUILD && plan->uid == 0 ? build_capabilities : 0;
    cl_plan_mark(plan, CL_FIELD_CAPABILITIES);
    return 0;
}

/* --- names ---------------------------------------------------------------- */

/* RFC 1123's form, with "_" beside "-" as Linux hosts have it. */
int cl_decide_hostname(struct cl_decision *d, struct cl_error *err)
{
    const char *name = d->plan->hostname;

    for (const char *label = name;; label++) {
        size_t size = strcspn(label, ".");

        if (!is_word(label, size, "-_"))
            return cl_refuse(err, EINVAL,
                             "\"%.64s\" is no host name: letters, digits and - in parts "
                             "separated by dots",
                             name);
        label += size;
        if (*label == '\0')
            return 0;
    }
}

static int check_name_text(const char *text, struct cl_error *err)
{
    if (is_word(text, strlen(text), "_.-"))
        return 0;
    return cl_refuse(err, EINVAL,
                     "\"%.128s\" must start with a letter or digit and go on with letters, "
                     "digits, _ . -",
                     text);
}

int cl_decide_name(struct cl_decision *d, struct cl_error *err)
{
    return cl_plan_has(d->plan, CL_FIELD_NAME) ? check_name_text(d->plan->name, err) : 0;
}

int cl_decide_tenant(struct cl_decision *d, struct cl_error *err)
{
    return cl_plan_has(d->plan, CL_FIELD_TENANT) ? check_name_text(d->plan->tenant, err) : 0;
}

int cl_decide_labels(struct cl_decision *d, struct cl_error *err)
{
    for (size_t i = 0; i < d->plan->labels.count; i++) {
        const char *label = d->plan->labels.items[i];
        size_t size = strcspn(label, "=");

        if (label[size] != '=' || !is_word(label, size, "_./-"))
            return cl_refuse(err, EINVAL,
                             "expected KEY=VALUE with a key of letters, digits, _ . / -, got "
                             "\"%.100s\"",
                             label);
        if (strlen(label) > 4096)
            return cl_refuse(err, E2BIG, "%.*s is longer than 4096 bytes", (int)cl_min_u64(size, 100),
                             label);
    }
    return 0;
}
