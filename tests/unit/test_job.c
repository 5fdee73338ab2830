/* test_job.c - a job's file, right ones and wrong ones, and records that no file makes. */
#include <errno.h>

#include "check.h"
#include "helpers/plan/job.h"
#include "plan/format.h"

/* As the core gets it: written by the helper, and read. */
static int parse(const char *text, struct cl_arena *arena, struct cl_job *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_JOB_MAX_SIZE);
    const struct cl_document document = {"j", text, strlen(text)};
    struct cl_job job = {.set = 0};

    *err = (struct cl_error){0};
    *ret = (struct cl_job){.set = 0};
    int r = cl_job_parse(&document, arena, &job, err);
    if (r < 0) {
        CHECK(job.set == 0);
        return r;
    }
    CHECK(cl_job_write(&job, &buf, err) == 0);
    char *copy = cl_arena_strndup(arena, buf.data, buf.size);
    CHECK(copy != NULL);
    const struct cl_bytes bytes = {copy, buf.size};
    CHECK(cl_job_read(&bytes, arena, ret, err) == 0);
    CHECK(ret->set == job.set);
    return r;
}

TEST(the_whole_file_is_understood)
{
    static const char text[] =
        "name: analyse\n"
        "tenant: example\n"
        "image: debian:12\n"
        "policy:\n"
        "  profile: build\n"
        "  files: [{host: ./src, path: /src}]\n"
        "  limits: {time: 20m, memory: 1GiB}\n"
        "env: {CI: \"true\", LANG: C}\n"
        "workdir: /work\n"
        "copy_in: [{from: ./rules, to: /rules//all/}]\n"
        "steps:\n"
        "  - name: clone it\n"
        "    run: |\n"
        "      git clone x .\n"
        "      make\n"
        "  - {name: analyse, command: [analyse, --json, \"\"], env: {A: b, C: \"\"},\n"
        "     workdir: /work/src, timeout: 90s, allow_failure: true}\n"
        "  - {name: last, run: exit, env: {D: e}, allow_failure: false}\n"
        "artifacts: [/work/report.json, {path: /work/log/, to: logs/of/it}]\n"
        "shell: [/bin/bash, -e, -c]\n";
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    struct cl_plan policy;
    struct cl_job job;
    struct cl_error err;

    const int r = parse(text, &arena, &job, &err);
    CHECK_TEXT(err.msg, "");
    CHECK(r == 0 && job.set == CL_JOB_BIT(CL_JOB_FIELD_COUNT) - 1);
    if (r < 0)
        return;
    CHECK_TEXT(job.name, "analyse");
    CHECK_TEXT(job.tenant, "example");
    CHECK_TEXT(job.image, "debian:12");
    CHECK_TEXT(job.workdir, "/work");
    CHECK(job.env.count == 2);
    CHECK_TEXT(job.env.items[0], "CI=true");
    CHECK(job.copy_in.count == 1);
    CHECK_TEXT(job.copy_in.items[0].from, "./rules");
    CHECK_TEXT(job.copy_in.items[0].to, "/rules/all");
    CHECK(job.steps.count == 3);
    CHECK_TEXT(job.steps.items[0].name, "clone it");
    CHECK_TEXT(job.steps.items[0].run, "git clone x .\nmake\n");
    CHECK_TEXT(job.steps.items[0].workdir, "");
    CHECK(job.steps.items[0].command.count == 0 && job.steps.items[0].env.count == 0);
    CHECK(job.steps.items[0].timeout_ns == 0 && !job.steps.items[0].allow_failure);
    CHECK_TEXT(job.steps.items[1].run, "");
    CHECK(job.steps.items[1].command.count == 3 && job.steps.items[1].env.count == 2);
    CHECK_TEXT(job.steps.items[1].command.items[1], "--json");
    CHECK_TEXT(job.steps.items[1].command.items[2], "");
    CHECK_TEXT(job.steps.items[1].env.items[1], "C=");
    CHECK_TEXT(job.steps.items[1].workdir, "/work/src");
    CHECK(job.steps.items[1].timeout_ns == 90000000000 && job.steps.items[1].allow_failure);
    CHECK(job.steps.items[2].env.count == 1 && !job.steps.items[2].allow_failure);
    CHECK_TEXT(job.steps.items[2].env.items[0], "D=e");
    CHECK(job.artifacts.count == 2);
    CHECK_TEXT(job.artifacts.items[0].from, "/work/report.json");
    CHECK_TEXT(job.artifacts.items[0].to, "report.json");
    CHECK_TEXT(job.artifacts.items[1].from, "/work/log");
    CHECK_TEXT(job.artifacts.items[1].to, "logs/of/it");
    CHECK(job.shell.count == 3);
    CHECK_TEXT(job.shell.items[0], "/bin/bash");
    CHECK(cl_job_policy(&job, &arena, &policy, &err) == 0);
    CHECK(policy.profile == CL_PROFILE_BUILD && policy.files.count == 1);
    CHECK(policy.limits.time_ns == 1200000000000 && policy.limits.memory_bytes == 1 << 30);
}

TEST(what_is_not_said_is_not_set)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    struct cl_plan policy;
    struct cl_job job;
    struct cl_error err;

    const int r =
        parse("{\"image\": \"host\", \"steps\": [{\"name\": \"a\", \"command\": [\"b\"]}]}", &arena,
              &job, &err);
    CHECK(r == 0);
    if (r < 0)
        return;
    CHECK(job.set ==
          (CL_JOB_BIT(CL_JOB_IMAGE) | CL_JOB_BIT(CL_JOB_STEPS) | CL_JOB_BIT(CL_JOB_SHELL) |
           CL_JOB_BIT(CL_JOB_WORDS) | CL_JOB_BIT(CL_JOB_STEP_ENV)));
    CHECK(job.shell.count == 3);
    CHECK_TEXT(job.shell.items[0], "/bin/sh");
    CHECK(cl_job_policy(&job, &arena, &policy, &err) == 0);
    CHECK(policy.set == 0);
}

#define STEP(text) "image: host\nsteps: [{name: a, " text "}]"
#define WITH(text) "image: host\nsteps: [{name: a, run: b}]\n" text

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    /* what there has to be */
    {"", "j: the job's file is empty; a job has at least image and steps"},
    {"{}", "j:1:1: a job needs image: what its steps run in"},
    {"image: host", "j:1:1: a job needs steps"},
    {"steps: [{name: a, run: b}]", "j:1:1: a job needs image"},
    {"image: host\nsteps: []", "j:2:8: steps: a job needs a step"},
    {STEP("env: {}"),
     "j:2:9: steps[0]: the step has neither run, a text for the shell, nor command"},
    {STEP("run: b, command: [c]"), "j:2:9: steps[0]: the step has both run and command"},
    {"image: host\nsteps: [{run: a}]", "j:2:9: steps[0]: the step has no name"},
    {"image: host\nsteps: [{name: a, run: b}, {name: a, run: c}]",
     "j:2:35: steps[1].name: two steps are called \"a\""},
    /* keys */
    {WITH("artefacts: []"), "j:3:1: artefacts: unknown key (did you mean artifacts?)"},
    {WITH("zzzzzzzz: []"), "j:3:1: zzzzzzzz: unknown key"},
    {WITH("env: {}\nenv: {}"), "j:4:1: the key \"env\" stands twice"},
    {STEP("rum: b"), "j:2:19: steps[0].rum: unknown key (did you mean run?)"},
    {STEP("image: b"), "j:2:19: steps[0].image: unknown key"},
    {WITH("copy_in: [{form: a}]"), "j:3:12: copy_in[0].form: unknown key (did you mean from?)"},
    {WITH("artifacts: [{paht: a}]"), "j:3:14: artifacts[0].paht: unknown key (did you mean path?)"},
    /* types */
    {"- a", "j:1:1: expected a map, got a list"},
    {"image: [host]", "j:1:8: image: expected text, got a list"},
    {"image: true", "j:1:8: image: expected text, got true; put it in quotes"},
    {"image: host\nsteps: {}", "j:2:8: steps: expected a list, got a map"},
    {"image: host\nsteps: [a]", "j:2:9: steps[0]: expected a map, got text"},
    {STEP("command: b"), "j:2:28: steps[0].command: expected a list, got text"},
    {STEP("command: [[]]"), "j:2:29: steps[0].command[0]: expected text, got a list"},
    {STEP("command: []"), "j:2:28: steps[0].command: no words in it"},
    {STEP("command: [\"\", a]"), "j:2:29: steps[0].command[0]: the command's name is empty"},
    {STEP("run: \"\""), "j:2:24: steps[0].run: must not be empty"},
    {"image: host\nsteps:\n- name: a\n  run:\n", "j:4:7: steps[0].run: expected text, got nothing"},
    {STEP("run: b, allow_failure: \"true\""),
     "j:2:42: steps[0].allow_failure: expected true or false, got \"true\""},
    {STEP("run: b, allow_failure: yes"), "steps[0].allow_failure: expected true or false"},
    {STEP("run: b, timeout: soon"), "j:2:36: steps[0].timeout: expected a time"},
    {STEP("run: b, timeout: 0s"), "steps[0].timeout: expected a time"},
    {STEP("run: b, timeout: 9000d"), "steps[0].timeout: expected a time"},
    {STEP("run: b, workdir: src"), "j:2:36: steps[0].workdir: "},
    {STEP("run: b, env: [a]"), "j:2:32: steps[0].env: expected a map, got a list"},
    {STEP("run: b, env: {A: 1, A: 2}"), "steps[0].env: the key \"A\" stands twice"},
    {STEP("run: b, env: {\"A=\": 1}"), "j:2:33: steps[0].env.A=: a variable's name can't hold"},
    {STEP("run: b, env: {A: [1]}"), "steps[0].env.A: expected text, got a list"},
    {WITH("shell: sh"), "j:3:8: shell: expected a list, got text"},
    {WITH("shell: []"), "j:3:8: shell: no words in it"},
    {WITH("shell: [\"\"]"), "j:3:9: shell[0]: the shell's name is empty"},
    /* texts */
    {"image: \"\"", "j:1:8: image: must not be empty"},
    {WITH("name: \"a b\""), "j:3:7: name: "},
    {WITH("tenant: ../x"), "j:3:9: tenant: "},
    {WITH("workdir: work"), "j:3:10: workdir: "},
    {WITH("env: {\"\": a}"), "j:3:7: env.: no name in it"},
    {"image: host\nsteps: [{name: \"\", run: b}]", "j:2:16: steps[0].name: must not be empty"},
    {"image: host\nsteps: [{name: \"a\\e[2J\", run: b}]",
     "j:2:16: steps[0].name: has a character that can't be shown on a terminal"},
    {"image: host\nsteps: [{name: \"a\\nb\", run: b}]", "can't be shown on a terminal"},
    {"image: host\nsteps: [{name: \"a\\u202eb\", run: b}]", "can't be shown on a terminal"},
    {"image: host\nsteps: [{name: "
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, run: b}]",
     "steps[0].name: longer than 64 bytes"},
    /* the policy, by its own rules below its own path */
    {WITH("policy: []"), "j:3:9: policy: expected a map, got a list"},
    {WITH("policy: {limits: {tim: 3}}"),
     "j:3:19: policy.limits.tim: unknown key (did you mean limits.time?)"},
    {WITH("policy: {limits: {time: soon}}"), "j:3:25: policy.limits.time: "},
    {WITH("policy: {image: host}"), "j:3:10: policy.image: can't stand in a policy file"},
    {WITH("policy: {command: [a]}"), "j:3:10: policy.command: can't stand in a policy file"},
    {WITH("policy: {without: limits}"), "j:3:10: policy.without: "},
    {WITH("policy: {files: [{host: /a}]}"), "j:3:18: policy.files[0]: needs host and path"},
    {WITH("policy: {env: {A: [b]}}"), "j:3:19: policy.env.A: expected text, got a list"},
    {WITH("policy: {profile: a, profile: b}"), "policy"},
    {WITH("policy: {wall: container, wall: vm}"), "j:3:27: policy: the key \"wall\" stands twice"},
    /* and the path is the job's again behind it */
    {WITH("policy: {}\nworkdir: work"), "j:4:10: workdir: "},
    /* paths */
    {WITH("copy_in: [/a]"), "j:3:11: copy_in[0]: expected a map, got text"},
    {WITH("copy_in: [{from: /a}]"), "j:3:11: copy_in[0]: needs from, a path of the host, and to"},
    {WITH("copy_in: [{from: \"\", to: /b}]"), "j:3:18: copy_in[0].from: the host path is empty"},
    {WITH("copy_in: [{from: a, to: b}]"),
     "j:3:25: copy_in[0].to: expected an absolute path of the sandbox, got \"b\""},
    {WITH("copy_in: [{from: a, to: /b/../c}]"), "j:3:25: copy_in[0].to: "},
    {WITH("artifacts: [a]"), "j:3:13: artifacts[0]: expected an absolute path"},
    {WITH("artifacts: [/a/../b]"), "j:3:13: artifacts[0]: "},
    {WITH("artifacts: [/]"), "j:3:13: artifacts[0]: the whole sandbox needs a place"},
    {WITH("artifacts: [[]]"), "j:3:13: artifacts[0]: expected a map, got a list"},
    {WITH("artifacts: [{to: a}]"), "j:3:13: artifacts[0]: needs path"},
    {WITH("artifacts: [{path: /a, to: /b}]"),
     "j:3:28: artifacts[0].to: expected a relative path without . and .., got \"/b\""},
    {WITH("artifacts: [{path: /a, to: ../b}]"), "artifacts[0].to: expected a relative path"},
    {WITH("artifacts: [{path: /a, to: b/..}]"), "artifacts[0].to: expected a relative path"},
    {WITH("artifacts: [{path: /a, to: b//c}]"), "artifacts[0].to: expected a relative path"},
    {WITH("artifacts: [{path: /a, to: b/}]"), "artifacts[0].to: expected a relative path"},
    {WITH("artifacts: [{path: /a, to: .}]"), "artifacts[0].to: expected a relative path"},
    {WITH("artifacts: [{path: /a, to: \"b\\nc\"}]"), "artifacts[0].to: has a control character"},
    {WITH("artifacts: [/a/x, /b/x]"),
     "j:3:19: artifacts[1]: its place \"x\" is another's; say {path: ..., to: NAME}"},
    {WITH("artifacts: [{path: /a, to: x}, {path: /b, to: x/y}]"),
     "artifacts[1]: its place \"x/y\""},
    {WITH("artifacts: [{path: /a, to: x/y}, {path: /b, to: x}]"), "artifacts[1]: its place \"x\""},
    /* YAML */
    {"image: &a x", "j:1:8: anchors are not allowed in a job's file"},
    {WITH("---\n{}"), "j:3:1: a second document is not allowed in a job's file"},
    {"image: \xff", "is not UTF-8"},
};

TEST(wrong_files_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
        struct cl_job job;
        struct cl_error err;

        CHECK(parse(wrong[i].text, &arena, &job, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(strncmp(err.msg, "j:", 2) == 0);
    }
}

TEST(places_that_only_begin_alike_are_two)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
    struct cl_job job;
    struct cl_error err;

    CHECK(parse(WITH("artifacts: [/a/x, /b/xy, {path: /c, to: y/x}, {path: /c, to: y/z}]"), &arena,
                &job, &err) == 0);
    CHECK(job.artifacts.count == 4);
}

static int add_many(struct cl_buf *text, const char *head, const char *each, int count)
{
    int r = cl_buf_add_str(text, head);

    for (int i = 0; r == 0 && i < count; i++)
        r = cl_buf_printf(text, "%s%d}\n", each, i);
    return r;
}

TEST(lists_are_bounded)
{
    static const struct {
        const char *head;
        const char *each;
        int max;
        const char *message;
    } rows[] = {
        {"image: host\nsteps:\n", "- {run: a, name: ", 256, "j:259:3: steps: more than 256 steps"},
        {WITH("artifacts:\n"), "- {path: /a, to: ", 64,
         "j:68:3: artifacts: more than 64 artifacts"},
        {WITH("copy_in:\n"), "- {to: /a, from: ", 64, "j:68:3: copy_in: more than 64 entries"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        for (int extra = 0; extra <= 1; extra++) {
            CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
            CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
            struct cl_job job;
            struct cl_error err;

            CHECK(add_many(&text, rows[i].head, rows[i].each, rows[i].max + extra) == 0);
            CHECK((parse(cl_buf_text(&text), &arena, &job, &err) == 0) == !extra);
            if (extra)
                CHECK_TEXT(err.msg, rows[i].message);
        }
    }
}

TEST(words_are_bounded)
{
    for (int extra = 0; extra <= 1; extra++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);
        CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
        struct cl_job job;
        struct cl_error err;

        CHECK(cl_buf_add_str(&text, "image: host\nsteps: [{name: a, run: ") == 0);
        for (int i = 0; i < CL_JOB_MAX_WORD + extra; i++)
            CHECK(cl_buf_add(&text, "x", 1) == 0);
        CHECK(cl_buf_add_str(&text, "}]") == 0);
        CHECK((parse(cl_buf_text(&text), &arena, &job, &err) == 0) == !extra);
        if (extra)
            CHECK_HAS(err.msg, "j:2:24: steps[0].run: longer than 131071 bytes");
    }
}

/* --- records of a helper that was taken over ---------------------------------------------- */

static const char *const words[] = {"a", "b"};
static const char *const no_variable[] = {"A"};

static struct cl_job_step step_of(void)
{
    return (struct cl_job_step){.name = "s", .run = "", .workdir = "", .command = {words, 2}};
}

static struct cl_job job_of(const struct cl_job_step *step)
{
    return (struct cl_job){
        .set = CL_JOB_BIT(CL_JOB_IMAGE) | CL_JOB_BIT(CL_JOB_STEPS) | CL_JOB_BIT(CL_JOB_SHELL) |
               CL_JOB_BIT(CL_JOB_WORDS) | CL_JOB_BIT(CL_JOB_STEP_ENV),
        .image = "host",
        .steps = {step, 1},
        .shell = {words, 1},
        .words = {words, 2},
    };
}

static int read_back(const struct cl_job *job)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_job back = {.set = 0};
    struct cl_error err = {0};

    CHECK(cl_job_write(job, &buf, &err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    int r = cl_job_read(&bytes, &arena, &back, &err);
    CHECK(r == 0 || (r == -EBADMSG && back.set == 0 && err.code == EBADMSG));
    return r;
}

static int read_step(const struct cl_job_step *step)
{
    const struct cl_job job = job_of(step);

    return read_back(&job);
}

TEST(steps_that_are_none_are_refused)
{
    struct cl_job_step step = step_of();

    CHECK(read_step(&step) == 0);
    step.command.count = 1; /* a word is nobody's */
    CHECK(read_step(&step) < 0);
    step.command.count = 3; /* there are two */
    CHECK(read_step(&step) < 0);
    step = step_of();
    step.env.count = 1;
    CHECK(read_step(&step) < 0);
    step = step_of();
    step.run = "both";
    CHECK(read_step(&step) < 0);
    step = step_of();
    step.name = "\033[2J";
    CHECK(read_step(&step) < 0);
    step = step_of();
    step.workdir = "relative";
    CHECK(read_step(&step) < 0);
    step = step_of();
    step.allow_failure = 2;
    CHECK(read_step(&step) < 0);
    step = step_of();
    step.timeout_ns = CL_MAX_NS + 1;
    CHECK(read_step(&step) < 0);
}

TEST(jobs_that_are_none_are_refused)
{
    const struct cl_job_step step = step_of();
    struct cl_job job = job_of(&step);
    struct cl_job_path path = {"/a", "b"};

    for (int i = 0; i < 3; i++) {
        static const enum cl_job_field needed[] = {CL_JOB_IMAGE, CL_JOB_STEPS, CL_JOB_SHELL};

        job = job_of(&step);
        job.set &= ~CL_JOB_BIT(needed[i]);
        CHECK(read_back(&job) < 0);
    }
    job = job_of(&step);
    job.env = (struct cl_strlist){no_variable, 1};
    job.set |= CL_JOB_BIT(CL_JOB_ENV);
    CHECK(read_back(&job) < 0);
    job = job_of(&step);
    job.artifacts = (struct cl_job_paths){&path, 1};
    job.set |= CL_JOB_BIT(CL_JOB_ARTIFACTS);
    CHECK(read_back(&job) == 0);
    path.to = "../../etc/cron.d/x";
    CHECK(read_back(&job) < 0);
    path = (struct cl_job_path){"a", "b"};
    CHECK(read_back(&job) < 0);
    job = job_of(&step);
    job.copy_in = (struct cl_job_paths){&path, 1};
    job.set |= CL_JOB_BIT(CL_JOB_COPY_IN);
    CHECK(read_back(&job) < 0);
}

TEST(a_policy_that_says_more_than_one_can_is_refused)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_plan policy = {.set = 0};
    struct cl_plan ret = {.set = 0};
    struct cl_error err = {0};

    policy.without = CL_LAYER_BIT(CL_LAYER_COUNT - 1);
    cl_plan_mark(&policy, CL_FIELD_WITHOUT);
    CHECK(cl_plan_write(&policy, &buf, &err) == 0);
    const struct cl_job job = {.set = CL_JOB_BIT(CL_JOB_POLICY), .policy = {buf.data, buf.size}};
    CHECK(cl_job_policy(&job, &arena, &ret, &err) == -EBADMSG);
    CHECK(ret.set == 0);
}

/* Each allocation fails once. */
TEST(a_lack_of_memory_is_told)
{
    static const char text[] =
        "name: a\nimage: host\npolicy: {env: {A: b}}\nenv: {A: b}\nworkdir: /w\n"
        "copy_in: [{from: a, to: /b}]\nartifacts: [/a, {path: /b, to: c}]\nshell: [sh]\n"
        "steps: [{name: a, run: b, env: {C: d}, workdir: /}, {name: c, command: [d]}]";
    const struct cl_document document = {"j", text, strlen(text)};
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 4 << 20; cap += 128) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_job job = {.set = 0};
        struct cl_error err = {0};

        r = cl_job_parse(&document, &arena, &job, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && job.set == 0));
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_whole_file_is_understood),
        ROW(what_is_not_said_is_not_set),
        ROW(wrong_files_are_told_where_and_why),
        ROW(places_that_only_begin_alike_are_two),
        ROW(lists_are_bounded),
        ROW(words_are_bounded),
        ROW(steps_that_are_none_are_refused),
        ROW(jobs_that_are_none_are_refused),
        ROW(a_policy_that_says_more_than_one_can_is_refused),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
