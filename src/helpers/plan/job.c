/* Maps by their tables of keys (yaml_walk.h); the policy and variables by those who read a policy's
 * file. Lists grow in arrays of their largest size, whose pages are touched as they fill. */
#include "helpers/plan/job.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/num.h"
#include "helpers/plan/job_walk.h"
#include "helpers/plan/policy.h"
#include "plan/decide.h"
#include "plan/format.h"

enum { MAX_SHELL = 16, MAX_WORDS = 65536, MAX_ENV = 65536 };

enum step_key { HAS_RUN, HAS_COMMAND };

int cl_job_locate(const struct cl_job_walk *walk, const struct cl_yaml_node *node, const char *path,
                  struct cl_error *err)
{
    return cl_yaml_locate_node(&walk->yaml, node, path, err);
}

int cl_job_take_map(struct cl_job_walk *walk, const struct cl_yaml_node *node, const char *path,
                    const struct cl_yaml_keys *keys, struct cl_error *err)
{
    const struct cl_yaml_walk by_table = {&walk->yaml, walk};

    return cl_yaml_take_map(&by_table, node, path, keys, err);
}

int cl_job_take_list(struct cl_job_walk *walk, const struct cl_yaml_node *node, const char *path,
                     const struct cl_yaml_items *items, struct cl_error *err)
{
    const struct cl_yaml_walk by_table = {&walk->yaml, walk};

    return cl_yaml_take_list(&by_table, node, path, items, err);
}

/* --- values ---------------------------------------------------------------------------- */

/* A field of the plan's as that has it. */
static int take_field(struct cl_job_walk *walk, const struct cl_yaml_node *value, const char *path,
                      enum cl_field field, struct cl_error *err)
{
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    r = cl_plan_set_text(&walk->fields, field, value->text, walk->arena, err);
    if (r == 0)
        r = cl_plan_check_text(field, value->text, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? cl_job_locate(walk, value, path, err) : 0;
}

int cl_job_copy_text(struct cl_job_walk *walk, const char *text, const char **ret,
                     struct cl_error *err)
{
    *ret = cl_arena_strdup(walk->arena, text);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

/* What is to be a word of a command. */
static int want_word(struct cl_job_walk *walk, const struct cl_yaml_node *value, const char *path,
                     const char **ret, struct cl_error *err)
{
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (strlen(value->text) > CL_JOB_MAX_WORD) {
        (void)cl_refuse(err, E2BIG,
                        "longer than %d bytes, which is the most that a word of a "
                        "command can be",
                        CL_JOB_MAX_WORD);
        return cl_job_locate(walk, value, path, err);
    }
    return cl_job_copy_text(walk, value->text, ret, err);
}

static int add_text(struct cl_job_walk *walk, struct cl_job_texts *texts, const char *text,
                    struct cl_error *err)
{
    if (texts->items == NULL)
        texts->items = cl_arena_array(walk->arena, texts->max, sizeof(*texts->items));
    if (texts->items == NULL)
        return cl_fail_memory(err);
    if (texts->count == texts->max)
        return cl_refuse(err, E2BIG, "more than %zu in all", texts->max);
    texts->items[texts->count++] = text;
    return 0;
}

/* --- steps ----------------------------------------------------------------------------- */

static int take_step_name(void *context, const struct cl_yaml_node *value, const char *path,
                          struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    r = cl_job_check_step_name(value->text, err);
    for (const struct cl_job_step *other = walk->steps; r == 0 && other < walk->step; other++) {
        if (strcmp(other->name, value->text) == 0)
            r = cl_refuse(err, EINVAL, "two steps are called \"%.80s\"", value->text);
    }
    return r < 0 ? cl_job_locate(walk, value, path, err)
                 : cl_job_copy_text(walk, value->text, &walk->step->name, err);
}

static int take_run(void *context, const struct cl_yaml_node *value, const char *path,
                    struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    int r = want_word(walk, value, path, &walk->step->run, err);

    walk->step_keys |= 1U << HAS_RUN;
    if (r == 0 && value->text[0] == '\0') { /* in quotes */
        (void)cl_refuse(err, EINVAL, "must not be empty");
        return cl_job_locate(walk, value, path, err);
    }
    return r;
}

static int take_word(void *context, const struct cl_yaml_node *value, const char *path,
                     struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    const char *word = "";
    int r = want_word(walk, value, path, &word, err);

    if (r == 0)
        r = add_text(walk, &walk->words, word, err);
    if (r == -E2BIG)
        return cl_job_locate(walk, value, path, err);
    if (r < 0)
        return r;
    if (walk->step->command.count == 0 && value->text[0] == '\0') {
        (void)cl_refuse(err, EINVAL, "the command's name is empty");
        return cl_job_locate(walk, value, path, err);
    }
    walk->step->command.count++;
    return 0;
}

static int take_command(void *context, const struct cl_yaml_node *value, const char *path,
                        struct cl_error *err)
{
    static const struct cl_yaml_items words = {take_word, CL_JOB_MAX_WORDS, "words"};
    struct cl_job_walk *walk = context;
    int r = cl_job_take_list(walk, value, path, &words, err);

    walk->step_keys |= 1U << HAS_COMMAND;
    if (r == 0 && walk->step->command.count == 0) {
        (void)cl_refuse(err, EINVAL, "no words in it");
        return cl_job_locate(walk, value, path, err);
    }
    return r;
}

static int take_step_env(void *context, const struct cl_yaml_node *value, const char *path,
                         struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    struct cl_plan plan = {.set = 0};
    int r = cl_policy_parse_env(&walk->yaml, value, path, &plan, err);

    for (size_t i = 0; r == 0 && i < plan.env.count; i++)
        r = add_text(walk, &walk->step_env, plan.env.items[i], err);
    if (r == -E2BIG && plan.env.count > 0)
        return cl_job_locate(walk, value, path, err);
    if (r == 0)
        walk->step->env.count = plan.env.count;
    return r;
}

static int take_step_workdir(void *context, const struct cl_yaml_node *value, const char *path,
                             struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    struct cl_plan own = walk->fields;
    int r = take_field(walk, value, path, CL_FIELD_WORKDIR, err);

    if (r == 0)
        walk->step->workdir = walk->fields.workdir;
    walk->fields = own;
    return r;
}

static int take_timeout(void *context, const struct cl_yaml_node *value, const char *path,
                        struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    uint64_t ns = 0;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (cl_parse_duration(value->text, &ns) < 0 || ns == 0 || ns > CL_MAX_NS) {
        (void)cl_refuse(err, EINVAL,
                        "expected a time of up to 366 days, like 90s or 10m, got \"%.40s\"",
                        value->text);
        return cl_job_locate(walk, value, path, err);
    }
    walk->step->timeout_ns = ns;
    return 0;
}

static int take_allow_failure(void *context, const struct cl_yaml_node *value, const char *path,
                              struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    int is_true;
    int r = cl_yaml_want_bool(&walk->yaml, value, path, &is_true, err);

    if (r == 0)
        walk->step->allow_failure = (uint32_t)is_true;
    return r;
}

static const struct cl_yaml_key step_rows[] = {
    {"name", take_step_name},
    {"run", take_run},
    {"command", take_command},
    {"env", take_step_env},
    {"workdir", take_step_workdir},
    {"timeout", take_timeout},
    {"allow_failure", take_allow_failure},
};
static const struct cl_yaml_keys step_keys = {step_rows, CL_ARRAY_SIZE(step_rows)};

static int check_step(const struct cl_job_walk *walk, struct cl_error *err)
{
    if (walk->step->name == NULL)
        return cl_refuse(err, EINVAL, "the step has no name");
    if (walk->step_keys == 0)
        return cl_refuse(err, EINVAL,
                         "the step has neither run, a text for the shell, nor command, "
                         "a list of words");
    if (walk->step_keys == (1U << HAS_RUN | 1U << HAS_COMMAND))
        return cl_refuse(err, EINVAL,
                         "the step has both run and command, which exclude each other");
    return 0;
}

static int take_step(void *context, const struct cl_yaml_node *value, const char *path,
                     struct cl_error *err)
{
    struct cl_job_walk *walk = context;

    walk->step = &walk->steps[walk->job.steps.count];
    walk->step_keys = 0;
    *walk->step = (struct cl_job_step){.run = "", .workdir = ""};
    int r = cl_job_take_map(walk, value, path, &step_keys, err);
    if (r < 0)
        return r;
    if (check_step(walk, err) < 0)
        return cl_job_locate(walk, value, path, err);
    walk->job.steps.count++;
    return 0;
}

static int take_steps(void *context, const struct cl_yaml_node *value, const char *path,
                      struct cl_error *err)
{
    static const struct cl_yaml_items steps = {take_step, CL_JOB_MAX_STEPS, "steps"};
    struct cl_job_walk *walk = context;

    walk->steps = cl_arena_array(walk->arena, CL_JOB_MAX_STEPS, sizeof(*walk->steps));
    if (walk->steps == NULL)
        return cl_fail_memory(err);
    walk->job.steps.items = walk->steps;
    walk->job.set |= CL_JOB_BIT(CL_JOB_STEPS);
    int r = cl_job_take_list(walk, value, path, &steps, err);
    if (r == 0 && walk->job.steps.count == 0) {
        (void)cl_refuse(err, EINVAL, "a job needs a step");
        return cl_job_locate(walk, value, path, err);
    }
    return r;
}

/* --- the whole ------------------------------------------------------------------------- */

static int take_name(void *context, const struct cl_yaml_node *value, const char *path,
                     struct cl_error *err)
{
    return take_field(context, value, path, CL_FIELD_NAME, err);
}

static int take_tenant(void *context, const struct cl_yaml_node *value, const char *path,
                       struct cl_error *err)
{
    return take_field(context, value, path, CL_FIELD_TENANT, err);
}

static int take_image(void *context, const struct cl_yaml_node *value, const char *path,
                      struct cl_error *err)
{
    return take_field(context, value, path, CL_FIELD_IMAGE, err);
}

static int take_workdir(void *context, const struct cl_yaml_node *value, const char *path,
                        struct cl_error *err)
{
    return take_field(context, value, path, CL_FIELD_WORKDIR, err);
}

static int take_env(void *context, const struct cl_yaml_node *value, const char *path,
                    struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    struct cl_plan plan = {.set = 0};
    int r = cl_policy_parse_env(&walk->yaml, value, path, &plan, err);

    if (r < 0)
        return r;
    walk->job.env = plan.env;
    walk->job.set |= CL_JOB_BIT(CL_JOB_ENV);
    return 0;
}

static int take_policy(void *context, const struct cl_yaml_node *value, const char *path,
                       struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    struct cl_plan plan = {.set = 0};

    walk->yaml.within = path;
    int r = cl_policy_parse_map(&walk->yaml, value, &plan, err);
    walk->yaml.within = "";
    if (r == 0)
        r = cl_plan_write(&plan, &walk->policy, err);
    if (r < 0)
        return r;
    const char *copy = cl_arena_strndup(walk->arena, walk->policy.data, walk->policy.size);
    if (copy == NULL)
        return cl_fail_memory(err);
    walk->job.policy = (struct cl_bytes){copy, walk->policy.size};
    walk->job.set |= CL_JOB_BIT(CL_JOB_POLICY);
    return 0;
}

static int take_shell_word(void *context, const struct cl_yaml_node *value, const char *path,
                           struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    const char *word = "";
    int r = want_word(walk, value, path, &word, err);

    if (r == 0 && walk->shell.count == 0 && value->text[0] == '\0') {
        (void)cl_refuse(err, EINVAL, "the shell's name is empty");
        return cl_job_locate(walk, value, path, err);
    }
    return r < 0 ? r : add_text(walk, &walk->shell, word, err);
}

static int take_shell(void *context, const struct cl_yaml_node *value, const char *path,
                      struct cl_error *err)
{
    static const struct cl_yaml_items words = {take_shell_word, MAX_SHELL, "words"};
    struct cl_job_walk *walk = context;
    int r = cl_job_take_list(walk, value, path, &words, err);

    if (r == 0 && walk->shell.count == 0) {
        (void)cl_refuse(err, EINVAL, "no words in it; as in [/bin/bash, -e, -c]");
        return cl_job_locate(walk, value, path, err);
    }
    return r;
}

static const struct cl_yaml_key top_rows[] = {
    {"name", take_name},
    {"tenant", take_tenant},
    {"image", take_image},
    {"policy", take_policy},
    {"env", take_env},
    {"workdir", take_workdir},
    {"copy_in", cl_job_take_copies},
    {"steps", take_steps},
    {"artifacts", cl_job_take_artifacts},
    {"shell", take_shell},
};
static const struct cl_yaml_keys top_keys = {top_rows, CL_ARRAY_SIZE(top_rows)};

static int take_document(struct cl_job_walk *walk, struct cl_error *err)
{
    CL_CLEANUP_YAML_NODE struct cl_yaml_node root = {.kind = CL_YAML_END};
    int r = cl_yaml_first(&walk->yaml, &root, err);

    if (r == 0)
        r = cl_job_take_map(walk, &root, "", &top_keys, err);
    if (r == 0)
        r = cl_yaml_finish(&walk->yaml, err);
    if (r < 0)
        return r;
    if (!cl_plan_has(&walk->fields, CL_FIELD_IMAGE))
        r = cl_refuse(err, EINVAL, "a job needs image: what its steps run in");
    else if (!cl_job_has(&walk->job, CL_JOB_STEPS))
        r = cl_refuse(err, EINVAL, "a job needs steps");
    return r < 0 ? cl_job_locate(walk, &root, "", err) : 0;
}

static void set_if(struct cl_job_walk *walk, enum cl_field field, enum cl_job_field own)
{
    if (cl_plan_has(&walk->fields, field))
        walk->job.set |= CL_JOB_BIT(own);
}

/* The record of what was read. */
static struct cl_job whole(struct cl_job_walk *walk)
{
    static const char *const usual_shell[] = {"/bin/sh", "-e", "-c"};
    struct cl_job *job = &walk->job;

    job->name = walk->fields.name;
    job->tenant = walk->fields.tenant;
    job->image = walk->fields.image;
    job->workdir = walk->fields.workdir;
    set_if(walk, CL_FIELD_NAME, CL_JOB_NAME);
    set_if(walk, CL_FIELD_TENANT, CL_JOB_TENANT);
    set_if(walk, CL_FIELD_IMAGE, CL_JOB_IMAGE);
    set_if(walk, CL_FIELD_WORKDIR, CL_JOB_WORKDIR);
    job->words = (struct cl_strlist){walk->words.items, walk->words.count};
    job->step_env = (struct cl_strlist){walk->step_env.items, walk->step_env.count};
    job->shell = walk->shell.count > 0
                     ? (struct cl_strlist){walk->shell.items, walk->shell.count}
                     : (struct cl_strlist){usual_shell, CL_ARRAY_SIZE(usual_shell)};
    job->set |= CL_JOB_BIT(CL_JOB_WORDS) | CL_JOB_BIT(CL_JOB_STEP_ENV) | CL_JOB_BIT(CL_JOB_SHELL);
    return *job;
}

int cl_job_parse(const struct cl_document *document, struct cl_arena *arena, struct cl_job *ret,
                 struct cl_error *err)
{
    struct cl_job_walk walk = {.arena = arena,
                               .policy = CL_BUF_INIT(CL_PLAN_MAX_SIZE),
                               .shell = {.max = MAX_SHELL},
                               .words = {.max = MAX_WORDS},
                               .step_env = {.max = MAX_ENV}};
    int r = cl_yaml_init(&walk.yaml, document, "job's file", arena, err);

    if (r < 0)
        return r;
    walk.yaml.least = "a job has at least image and steps";
    r = take_document(&walk, err);
    cl_yaml_done(&walk.yaml);
    cl_buf_done(&walk.policy);
    if (r < 0)
        return r;
    *ret = whole(&walk);
    return 0;
}
