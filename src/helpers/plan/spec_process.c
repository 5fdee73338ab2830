/* The process of a container, or of `exec`: config.md, "Process"; config-linux.md has no more of
 * it. */
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/resource.h>

#include "helpers/plan/spec_parts.h"
#include "plan/capability.h"

enum { MAX_WORDS = 65536, MAX_LABEL = 4095 };

struct console {
    struct cl_decode_number height;
    struct cl_decode_number width;
};

struct user {
    struct cl_decode_number uid;
    struct cl_decode_number gid;
    struct cl_decode_number umask;
    struct cl_decode_numbers groups;
};

struct rlimit_doc {
    struct cl_decode_number type;
    struct cl_decode_number soft;
    struct cl_decode_number hard;
};

struct capabilities {
    struct cl_strlist bounding;
    struct cl_strlist effective;
    struct cl_strlist inheritable;
    struct cl_strlist permitted;
    struct cl_strlist ambient;
};

struct scheduler {
    struct cl_decode_number policy;
    struct cl_decode_signed nice;
    struct cl_decode_number priority;
    struct cl_strlist flags;
    struct cl_decode_number runtime;
    struct cl_decode_number deadline;
    struct cl_decode_number period;
};

struct io_priority {
    struct cl_decode_number class;
    struct cl_decode_number priority;
};

struct affinity {
    const char *initial;
    const char *final;
};

struct cl_spec_process_doc {
    struct cl_decode_number terminal;
    const struct console *console;
    const struct user *user;
    struct cl_strlist args;
    struct cl_strlist env;
    const char *cwd;
    struct cl_decode_list rlimits; /* struct rlimit_doc */
    const struct capabilities *capabilities;
    struct cl_decode_number no_new_privileges;
    const char *apparmor;
    const char *selinux;
    struct cl_decode_signed oom_score;
    const struct scheduler *scheduler;
    const struct io_priority *io_priority;
    const struct affinity *affinity;
};

/* --- words --------------------------------------------------------------------------------- */

#define KERNEL_WORD(name)                                                                          \
    {                                                                                              \
#name, name                                                                                \
    }

static const struct cl_decode_word rlimit_items[] = {
    KERNEL_WORD(RLIMIT_AS),      KERNEL_WORD(RLIMIT_CORE),     KERNEL_WORD(RLIMIT_CPU),
    KERNEL_WORD(RLIMIT_DATA),    KERNEL_WORD(RLIMIT_FSIZE),    KERNEL_WORD(RLIMIT_LOCKS),
    KERNEL_WORD(RLIMIT_MEMLOCK), KERNEL_WORD(RLIMIT_MSGQUEUE), KERNEL_WORD(RLIMIT_NICE),
    KERNEL_WORD(RLIMIT_NOFILE),  KERNEL_WORD(RLIMIT_NPROC),    KERNEL_WORD(RLIMIT_RSS),
    KERNEL_WORD(RLIMIT_RTPRIO),  KERNEL_WORD(RLIMIT_RTTIME),   KERNEL_WORD(RLIMIT_SIGPENDING),
    KERNEL_WORD(RLIMIT_STACK),
};
static const struct cl_decode_words rlimit_words = CL_DECODE_WORDS("limit", rlimit_items);
_Static_assert(CL_ARRAY_SIZE(rlimit_items) == CL_PLAN_RLIMITS, "each limit has a name");

/* SCHED_OTHER is the C library's name of SCHED_NORMAL; SCHED_ISO, which the specification has,
 * is reserved (linux/sched.h). */
static const struct cl_decode_word policy_items[] = {
    {"SCHED_OTHER", SCHED_NORMAL}, KERNEL_WORD(SCHED_FIFO), KERNEL_WORD(SCHED_RR),
    KERNEL_WORD(SCHED_BATCH),      {"SCHED_ISO", 4},        KERNEL_WORD(SCHED_IDLE),
    KERNEL_WORD(SCHED_DEADLINE),
};
static const struct cl_decode_words policy_words = CL_DECODE_WORDS("policy", policy_items);

static const struct cl_decode_word scheduler_flag_items[] = {
    KERNEL_WORD(SCHED_FLAG_RESET_ON_FORK),  KERNEL_WORD(SCHED_FLAG_RECLAIM),
    KERNEL_WORD(SCHED_FLAG_DL_OVERRUN),     KERNEL_WORD(SCHED_FLAG_KEEP_POLICY),
    KERNEL_WORD(SCHED_FLAG_KEEP_PARAMS),    KERNEL_WORD(SCHED_FLAG_UTIL_CLAMP_MIN),
    KERNEL_WORD(SCHED_FLAG_UTIL_CLAMP_MAX),
};
static const struct cl_decode_words scheduler_flags = CL_DECODE_WORDS("flag", scheduler_flag_items);

static const struct cl_decode_word class_items[] = {
    KERNEL_WORD(IOPRIO_CLASS_RT),
    KERNEL_WORD(IOPRIO_CLASS_BE),
    KERNEL_WORD(IOPRIO_CLASS_IDLE),
};
static const struct cl_decode_words class_words = CL_DECODE_WORDS("class", class_items);

/* --- the shapes ---------------------------------------------------------------------------- */

#define LAST_ID_OF_KERNEL (UINT32_MAX - 1)

#define THIS console
static const struct cl_decode_field console_fields[] = {
    CL_DECODE_FIELD("height", NUMBER, height, .max = UINT16_MAX, .needed = 1),
    CL_DECODE_FIELD("width", NUMBER, width, .max = UINT16_MAX, .needed = 1),
};
static const struct cl_decode_shape console_shape = CL_DECODE_SHAPE(console_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS user
static const struct cl_decode_field user_fields[] = {
    CL_DECODE_FIELD("uid", NUMBER, uid, .max = LAST_ID_OF_KERNEL, .needed = 1),
    CL_DECODE_FIELD("gid", NUMBER, gid, .max = LAST_ID_OF_KERNEL, .needed = 1),
    CL_DECODE_FIELD("umask", NUMBER, umask, .max = 07777),
    CL_DECODE_FIELD("additionalGids", NUMBERS, groups, .max = LAST_ID_OF_KERNEL),
    CL_DECODE_ROW_FOREIGN("username"),
};
static const struct cl_decode_shape user_shape = CL_DECODE_SHAPE(user_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS rlimit_doc
static const struct cl_decode_field rlimit_fields[] = {
    CL_DECODE_FIELD("type", WORD, type, .words = &rlimit_words, .needed = 1),
    CL_DECODE_FIELD("soft", NUMBER, soft, .max = UINT64_MAX, .needed = 1),
    CL_DECODE_FIELD("hard", NUMBER, hard, .max = UINT64_MAX, .needed = 1),
};
static const struct cl_decode_shape rlimit_shape = CL_DECODE_SHAPE(rlimit_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS capabilities
static const struct cl_decode_field capabilities_fields[] = {
    CL_DECODE_ROW("bounding", TEXTS, bounding, UINT64_MAX),
    CL_DECODE_ROW("effective", TEXTS, effective, UINT64_MAX),
    CL_DECODE_ROW("inheritable", TEXTS, inheritable, UINT64_MAX),
    CL_DECODE_ROW("permitted", TEXTS, permitted, UINT64_MAX),
    CL_DECODE_ROW("ambient", TEXTS, ambient, UINT64_MAX),
};
static const struct cl_decode_shape capabilities_shape =
    CL_DECODE_SHAPE(capabilities_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS scheduler
static const struct cl_decode_field scheduler_fields[] = {
    CL_DECODE_FIELD("policy", WORD, policy, .words = &policy_words, .needed = 1),
    CL_DECODE_FIELD("nice", SIGNED, nice, .min = -20, .max = 19),
    CL_DECODE_FIELD("priority", NUMBER, priority, .max = 99),
    CL_DECODE_ROW("flags", TEXTS, flags, UINT64_MAX),
    CL_DECODE_ROW("runtime", NUMBER, runtime, UINT64_MAX),
    CL_DECODE_ROW("deadline", NUMBER, deadline, UINT64_MAX),
    CL_DECODE_ROW("period", NUMBER, period, UINT64_MAX),
};
static const struct cl_decode_shape scheduler_shape =
    CL_DECODE_SHAPE(scheduler_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS io_priority
static const struct cl_decode_field io_priority_fields[] = {
    CL_DECODE_FIELD("class", WORD, class, .words = &class_words, .needed = 1),
    CL_DECODE_FIELD("priority", NUMBER, priority, .max = 7, .needed = 1),
};
static const struct cl_decode_shape io_priority_shape =
    CL_DECODE_SHAPE(io_priority_fields, CL_DECODE_OPEN);
#undef THIS

/* "0-3,7" */
static int check_processors(const void *member, struct cl_error *err)
{
    const char *const *text = member;

    return strspn(*text, "0123456789-,") == strlen(*text)
               ? 0
               : cl_refuse(err, EINVAL, "expected a list of processors, like 0-3,7, got \"%.60s\"",
                           *text);
}

#define THIS affinity
static const struct cl_decode_field affinity_fields[] = {
    CL_DECODE_FIELD("initial", TEXT, initial, .max = MAX_LABEL, .check = check_processors),
    CL_DECODE_FIELD("final", TEXT, final, .max = MAX_LABEL, .check = check_processors),
};
static const struct cl_decode_shape affinity_shape =
    CL_DECODE_SHAPE(affinity_fields, CL_DECODE_OPEN);
#undef THIS

#define THIS cl_spec_process_doc
static const struct cl_decode_field process_fields[] = {
    CL_DECODE_ROW("terminal", BOOL, terminal, 1),
    CL_DECODE_ROW_OF("consoleSize", OBJECT, console, 0, &console_shape),
    CL_DECODE_FIELD("user", OBJECT, user, .shape = &user_shape, .needed = 1),
    CL_DECODE_ROW("args", TEXTS, args, MAX_WORDS),
    CL_DECODE_ROW("env", TEXTS, env, MAX_WORDS),
    CL_DECODE_FIELD("cwd", TEXT, cwd, .max = CL_SPEC_MAX_PATH, .check = cl_spec_check_absolute,
                    .needed = 1),
    CL_DECODE_ROW_OF("rlimits", LIST, rlimits, UINT64_MAX, &rlimit_shape),
    CL_DECODE_ROW_OF("capabilities", OBJECT, capabilities, 0, &capabilities_shape),
    CL_DECODE_ROW("noNewPrivileges", BOOL, no_new_privileges, 1),
    CL_DECODE_ROW("apparmorProfile", TEXT, apparmor, MAX_LABEL),
    CL_DECODE_ROW("selinuxLabel", TEXT, selinux, MAX_LABEL),
    CL_DECODE_FIELD("oomScoreAdj", SIGNED, oom_score, .min = -CL_SPEC_OOM_BIAS,
                    .max = CL_SPEC_OOM_BIAS),
    CL_DECODE_ROW_OF("scheduler", OBJECT, scheduler, 0, &scheduler_shape),
    CL_DECODE_ROW_OF("ioPriority", OBJECT, io_priority, 0, &io_priority_shape),
    CL_DECODE_ROW_OF("execCPUAffinity", OBJECT, affinity, 0, &affinity_shape),
    CL_DECODE_ROW_FOREIGN("commandLine"),
};
const struct cl_decode_shape cl_spec_process_shape =
    CL_DECODE_SHAPE(process_fields, CL_DECODE_OPEN);
#undef THIS

/* --- into the record ----------------------------------------------------------------------- */

static int take_words(struct cl_spec_walk *walk, const struct cl_spec_process_doc *doc,
                      struct cl_error *err)
{
    if (doc->args.items != NULL && doc->args.count == 0)
        return cl_refuse(err, EINVAL, "%sargs: no words in it", walk->process);
    cl_spec_set_texts(&walk->spec, CL_SPEC_ARGS, &walk->spec.args, &doc->args);
    for (size_t i = 0; i < doc->env.count; i++) {
        const char *equals = strchr(doc->env.items[i], '=');

        if (equals == NULL || equals == doc->env.items[i])
            return cl_refuse(err, EINVAL, "%senv[%zu]: expected NAME=value, got \"%.60s\"",
                             walk->process, i, doc->env.items[i]);
    }
    cl_spec_set_texts(&walk->spec, CL_SPEC_ENV, &walk->spec.env, &doc->env);
    cl_spec_set_text(&walk->spec, CL_SPEC_CWD, &walk->spec.cwd, doc->cwd);
    return 0;
}

static void take_user(struct cl_spec *spec, const struct user *user)
{
    cl_spec_set_number(spec, CL_SPEC_UID, &spec->uid, &user->uid);
    cl_spec_set_number(spec, CL_SPEC_GID, &spec->gid, &user->gid);
    cl_spec_set_number(spec, CL_SPEC_UMASK, &spec->umask, &user->umask);
    if (user->groups.count == 0)
        return;
    spec->groups = (struct cl_numbers){user->groups.items, user->groups.count};
    cl_spec_mark(spec, CL_SPEC_GROUPS);
}

/* A size without a terminal is to be passed over. */
static void take_terminal(struct cl_spec *spec, const struct cl_spec_process_doc *doc)
{
    cl_spec_set_number(spec, CL_SPEC_TERMINAL, &spec->terminal, &doc->terminal);
    if (doc->console == NULL || !spec->terminal)
        return;
    cl_spec_set_number(spec, CL_SPEC_ROWS, &spec->rows, &doc->console->height);
    cl_spec_set_number(spec, CL_SPEC_COLUMNS, &spec->columns, &doc->console->width);
}

static int take_rlimits(struct cl_spec_walk *walk, const struct cl_decode_list *list,
                        struct cl_error *err)
{
    const struct rlimit_doc *docs = list->items;
    struct cl_plan_rlimit *limits = cl_arena_array(walk->arena, list->count, sizeof(*limits));

    if (limits == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        limits[i] = (struct cl_plan_rlimit){(uint32_t)docs[i].type.value, docs[i].soft.value,
                                            docs[i].hard.value};
        for (size_t j = 0; j < i; j++) {
            if (limits[j].resource == limits[i].resource)
                return cl_refuse(err, EINVAL, "%srlimits[%zu].type: stands in rlimits[%zu] already",
                                 walk->process, i, j);
        }
        if (limits[i].soft > limits[i].hard)
            return cl_refuse(err, EINVAL, "%srlimits[%zu].soft: is above the hard limit",
                             walk->process, i);
    }
    if (list->count == 0)
        return 0;
    walk->spec.rlimits = (struct cl_rlimits){limits, list->count};
    cl_spec_mark(&walk->spec, CL_SPEC_RLIMITS);
    return 0;
}

_Static_assert((1ULL << CL_CAPABILITY_COUNT) - 1 == CL_CAP_MASK, "each capability has a name");

/* The bit of the capability with exactly that NAME, as others read a bundle; or 0. */
static uint64_t capability_bit(const char *name)
{
    const int number = cl_capability_by_name(name);

    return number >= 0 && strcmp(cl_capability_name(number), name) == 0 ? 1ULL << number : 0;
}

/* One that nobody knows is to be passed over with a warning: config.md, "Linux Process". */
static uint64_t take_set(struct cl_spec_walk *walk, const char *name,
                         const struct cl_strlist *texts)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < texts->count; i++) {
        const uint64_t capability = capability_bit(texts->items[i]);

        if (capability == 0)
            cl_warnings_add(&walk->warnings,
                            "%scapabilities.%s[%zu]: unknown capability \"%.60s\"; passed over",
                            walk->process, name, i, texts->items[i]);
        mask |= capability;
    }
    return mask;
}

static void take_capabilities(struct cl_spec_walk *walk, const struct capabilities *doc)
{
    struct cl_spec *spec = &walk->spec;
    const struct {
        enum cl_spec_field field;
        const char *name;
        const struct cl_strlist *texts;
        uint64_t *mask;
    } sets[] = {
        {CL_SPEC_BOUNDING, "bounding", &doc->bounding, &spec->bounding},
        {CL_SPEC_EFFECTIVE, "effective", &doc->effective, &spec->effective},
        {CL_SPEC_INHERITABLE, "inheritable", &doc->inheritable, &spec->inheritable},
        {CL_SPEC_PERMITTED, "permitted", &doc->permitted, &spec->permitted},
        {CL_SPEC_AMBIENT, "ambient", &doc->ambient, &spec->ambient},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(sets); i++) {
        if (sets[i].texts->items == NULL)
            continue;
        *sets[i].mask = take_set(walk, sets[i].name, sets[i].texts);
        cl_spec_mark(spec, sets[i].field);
    }
}

static int take_scheduler(struct cl_spec_walk *walk, const struct scheduler *doc,
                          struct cl_error *err)
{
    struct cl_spec_scheduler *scheduler = cl_arena_alloc(walk->arena, sizeof(*scheduler));

    if (scheduler == NULL)
        return cl_fail_memory(err);
    *scheduler = (struct cl_spec_scheduler){
        .policy = (uint32_t)doc->policy.value,
        .priority = (uint32_t)doc->priority.value,
        .nice = (int32_t)doc->nice.value,
        .runtime_ns = doc->runtime.value,
        .deadline_ns = doc->deadline.value,
        .period_ns = doc->period.value,
    };
    for (size_t i = 0; i < doc->flags.count; i++) {
        uint64_t flag;

        if (cl_decode_find_word(&scheduler_flags, doc->flags.items[i], &flag, err) < 0)
            return cl_prefix(err, "%sscheduler.flags[%zu]", walk->process, i);
        scheduler->flags |= flag;
    }
    walk->spec.scheduler = (struct cl_spec_schedulers){scheduler, 1};
    cl_spec_mark(&walk->spec, CL_SPEC_SCHEDULER);
    return 0;
}

static void take_priorities(struct cl_spec *spec, const struct cl_spec_process_doc *doc)
{
    if (doc->oom_score.present) {
        spec->oom_score = (uint64_t)(doc->oom_score.value + CL_SPEC_OOM_BIAS);
        cl_spec_mark(spec, CL_SPEC_OOM_SCORE);
    }
    if (doc->io_priority != NULL) {
        spec->io_priority =
            doc->io_priority->class.value << IOPRIO_CLASS_SHIFT | doc->io_priority->priority.value;
        cl_spec_mark(spec, CL_SPEC_IO_PRIORITY);
    }
    if (doc->affinity != NULL) {
        cl_spec_set_text(spec, CL_SPEC_AFFINITY_INITIAL, &spec->affinity_initial,
                         doc->affinity->initial);
        cl_spec_set_text(spec, CL_SPEC_AFFINITY_FINAL, &spec->affinity_final, doc->affinity->final);
    }
}

int cl_spec_take_process(struct cl_spec_walk *walk, const struct cl_spec_process_doc *doc,
                         struct cl_error *err)
{
    struct cl_spec *spec = &walk->spec;
    int r = take_words(walk, doc, err);

    if (r == 0)
        r = take_rlimits(walk, &doc->rlimits, err);
    if (r == 0 && doc->scheduler != NULL)
        r = take_scheduler(walk, doc->scheduler, err);
    if (r < 0)
        return r;
    take_user(spec, doc->user);
    take_terminal(spec, doc);
    if (doc->capabilities != NULL)
        take_capabilities(walk, doc->capabilities);
    cl_spec_set_number(spec, CL_SPEC_NO_NEW_PRIVILEGES, &spec->no_new_privileges,
                       &doc->no_new_privileges);
    cl_spec_set_text(spec, CL_SPEC_APPARMOR, &spec->apparmor, doc->apparmor);
    cl_spec_set_text(spec, CL_SPEC_SELINUX, &spec->selinux, doc->selinux);
    take_priorities(spec, doc);
    return 0;
}
