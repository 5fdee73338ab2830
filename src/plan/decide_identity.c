/* Who the sandboxed code is: its user and what it may do as such; the names of the
 * sandbox. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cidr.h"
#include "base/num.h"
#include "plan/decide_parts.h"
#include "plan/guest_users.h"

enum { STRICT_ID = 1000, MAX_USER = 64, MAX_LABEL = 4096 };

/* CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID (linux/capability.h): what
 * package managers need to lay out files of several owners, and nothing else. */
static const uint64_t build_capabilities =
    1U << 0 | 1U << 1 | 1U << 3 | 1U << 4 | 1U << 6 | 1U << 7;

/* KILL, SETUID: a worker's, whose processes are other users. They have none. */
static const uint64_t worker_capabilities = 1U << 5 | 1U << 7;

static int is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Only [A-Za-z0-9] and the bytes of MORE. */
static int is_rest(const char *text, size_t size, const char *more)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_alnum(text[i]) && (text[i] == '\0' || strchr(more, text[i]) == NULL))
            return 0;
    }
    return 1;
}

/* [A-Za-z0-9] and then also the bytes of MORE. */
static int is_word(const char *text, size_t size, const char *more)
{
    return size > 0 && is_alnum(text[0]) && is_rest(text + 1, size - 1, more);
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
    /* Names of system users may start with "_", which no other word does. */
    if (text[0] == '_' ? is_rest(text + 1, strlen(text) - 1, "_.-$")
                       : is_word(text, strlen(text), "_.-$"))
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
    d->plan->home = found.home;
    if (cl_plan_has(&found, CL_FIELD_HOME))
        cl_plan_mark(d->plan, CL_FIELD_HOME);
    return 0;
}

/* The numbers that USER says; `named` when a half of it has to be looked up. */
struct ids {
    uint64_t uid;
    uint64_t gid;
    int named;
};

static int parse_user(const char *user, struct ids *ret, struct cl_error *err)
{
    char name[MAX_USER + 1];
    size_t size = strcspn(user, ":");

    if (size > MAX_USER)
        return cl_refuse(err, EINVAL, "longer than %d bytes", MAX_USER);
    memcpy(name, user, size);
    name[size] = '\0';
    int uid = decide_id(name, user, &ret->uid, err);
    int gid =
        uid < 0 || user[size] == '\0' ? uid : decide_id(user + size + 1, user, &ret->gid, err);
    if (uid < 0 || gid < 0)
        return uid < 0 ? uid : gid;
    if (user[size] == '\0')
        ret->gid = ret->uid;
    ret->named = uid == 0 || gid == 0;
    return 0;
}

static int decide_ids(struct cl_decision *d, struct cl_error *err)
{
    struct cl_plan *plan = d->plan;
    struct ids ids = {0};

    if (cl_plan_has(plan, CL_FIELD_UID)) { /* the image's own user, looked up when it came */
        if (!cl_plan_has(plan, CL_FIELD_GID))
            plan->gid = plan->uid;
        cl_plan_mark(plan, CL_FIELD_GID);
        return 0;
    }
    int r = parse_user(plan->user, &ids, err);

    if (r < 0)
        return r;
    plan->uid = ids.uid;
    plan->gid = ids.gid;
    cl_plan_mark(plan, CL_FIELD_UID);
    cl_plan_mark(plan, CL_FIELD_GID);
    return ids.named ? find_ids(d, err) : 0;
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
    if (plan->uid == 0) {
        plan->uid = STRICT_ID;
        cl_plan_unmark(plan, CL_FIELD_HOME); /* it is root's */
    }
    if (plan->gid == 0)
        plan->gid = STRICT_ID;
    return 0;
}

int cl_decide_capabilities(struct cl_decision *d, CL_UNUSED struct cl_error *err)
{
    struct cl_plan *plan = d->plan;

    if (plan->profile == CL_PROFILE_BUILD)
        plan->capabilities = plan->uid == 0 ? build_capabilities : 0;
    else
        plan->capabilities = cl_guest_users_of(plan).count > 0 ? worker_capabilities : 0;
    cl_plan_mark(plan, CL_FIELD_CAPABILITIES);
    return 0;
}

/* --- names ---------------------------------------------------------------- */

/* RFC 1123's form, with "_" beside "-" as Linux hosts have it. */
static int check_hostname(const char *name, struct cl_error *err)
{
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

static int check_name(const char *text, struct cl_error *err)
{
    if (is_word(text, strlen(text), "_.-"))
        return 0;
    return cl_refuse(err, EINVAL,
                     "\"%.128s\" must start with a letter or digit and go on with letters, "
                     "digits, _ . -",
                     text);
}

int cl_decide_hostname(struct cl_decision *d, struct cl_error *err)
{
    return check_hostname(d->plan->hostname, err);
}

int cl_decide_name(struct cl_decision *d, struct cl_error *err)
{
    return cl_plan_has(d->plan, CL_FIELD_NAME) ? check_name(d->plan->name, err) : 0;
}

int cl_decide_tenant(struct cl_decision *d, struct cl_error *err)
{
    return cl_plan_has(d->plan, CL_FIELD_TENANT) ? check_name(d->plan->tenant, err) : 0;
}

static int check_label(const char *label, struct cl_error *err)
{
    size_t size = strcspn(label, "=");

    if (label[size] != '=' || !is_word(label, size, "_./-"))
        return cl_refuse(err, EINVAL,
                         "expected KEY=VALUE with a key of letters, digits, _ . / -, got "
                         "\"%.100s\"",
                         label);
    if (strlen(label) > MAX_LABEL)
        return cl_refuse(err, E2BIG, "%.*s is longer than %d bytes", (int)cl_min_u64(size, 100),
                         label, MAX_LABEL);
    return 0;
}

int cl_decide_labels(struct cl_decision *d, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->plan->labels.count; i++)
        r = check_label(d->plan->labels.items[i], err);
    return r;
}

/* --- forms ----------------------------------------------------------------- */

int cl_plan_check_text(enum cl_field field, const char *text, struct cl_error *err)
{
    switch ((int)field) {
    case CL_FIELD_USER: {
        struct ids ignored = {0};

        return parse_user(text, &ignored, err);
    }
    case CL_FIELD_HOSTNAME:
        return check_hostname(text, err);
    case CL_FIELD_NAME:
    case CL_FIELD_TENANT:
        return check_name(text, err);
    case CL_FIELD_WORKDIR:
        return cl_decide_path_form(text, err);
    case CL_FIELD_ENV:
        return cl_decide_env_form(text, err);
    case CL_FIELD_LABELS:
        return check_label(text, err);
    case CL_FIELD_NETWORK_REACH: {
        struct cl_cidr ignored;

        return cl_cidr_parse(text, &ignored, err);
    }
    default:
        return 0;
    }
}
