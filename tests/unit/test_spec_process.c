/* test_spec_process.c - the process of an OCI bundle: what each property becomes, and what is
 * refused. */
#include <linux/sched.h>
#include <sys/resource.h>

#include "spec_scene.h"

static const char everything[] =
    "{'terminal': true, 'consoleSize': {'height': 25, 'width': 80}, 'cwd': '/home',"
    " 'user': {'uid': 1, 'gid': 4294967294, 'umask': 63, 'additionalGids': [5, 0, 6]},"
    " 'args': ['sh', ''], 'env': ['A=b', 'C='], 'noNewPrivileges': true,"
    " 'capabilities': {'bounding': ['CAP_CHOWN', 'CAP_CHECKPOINT_RESTORE'],"
    "  'effective': ['CAP_KILL'], 'inheritable': [], 'permitted': ['CAP_BPF'],"
    "  'ambient': ['CAP_SYS_ADMIN', 'CAP_SYS_ADMIN']},"
    " 'rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 1024, 'hard': 2048},"
    "  {'type': 'RLIMIT_CORE', 'soft': 0, 'hard': 18446744073709551615}],"
    " 'apparmorProfile': 'docker-default', 'selinuxLabel': 'a:b:c', 'oomScoreAdj': -1000,"
    " 'scheduler': {'policy': 'SCHED_DEADLINE', 'nice': -20, 'priority': 3,"
    "  'flags': ['SCHED_FLAG_RESET_ON_FORK', 'SCHED_FLAG_DL_OVERRUN'], 'runtime': 1,"
    "  'deadline': 2, 'period': 3},"
    " 'ioPriority': {'class': 'IOPRIO_CLASS_BE', 'priority': 4},"
    " 'execCPUAffinity': {'initial': '0-3,7', 'final': '1'}}";

static void check_identity(const struct cl_spec *spec)
{
    CHECK(spec->uid == 1 && spec->gid == UINT32_MAX - 1 && spec->umask == 077);
    CHECK(spec->groups.count == 3 && spec->groups.items[0] == 5 && spec->groups.items[2] == 6);
    CHECK(spec->bounding == (1ULL << 40 | 1) && spec->effective == 1 << 5);
    CHECK(cl_spec_has(spec, CL_SPEC_INHERITABLE) && spec->inheritable == 0);
    CHECK(spec->permitted == 1ULL << 39 && spec->ambient == 1 << 21);
    CHECK(spec->no_new_privileges == 1);
    CHECK_TEXT(spec->apparmor, "docker-default");
    CHECK_TEXT(spec->selinux, "a:b:c");
}

static void check_limits(const struct cl_spec *spec)
{
    const struct cl_plan_rlimit *limits = spec->rlimits.items;
    const struct cl_spec_scheduler *scheduler = spec->scheduler.items;

    CHECK(spec->rlimits.count == 2 && limits[0].resource == RLIMIT_NOFILE);
    CHECK(limits[0].soft == 1024 && limits[0].hard == 2048);
    CHECK(limits[1].resource == RLIMIT_CORE && limits[1].hard == UINT64_MAX);
    CHECK(spec->oom_score == 0);
    CHECK(spec->scheduler.count == 1 && scheduler->policy == SCHED_DEADLINE);
    CHECK(scheduler->nice == -20 && scheduler->priority == 3 && scheduler->flags == 5);
    CHECK(scheduler->runtime_ns == 1 && scheduler->deadline_ns == 2 && scheduler->period_ns == 3);
    CHECK(spec->io_priority == (2 << 13 | 4));
    CHECK_TEXT(spec->affinity_initial, "0-3,7");
    CHECK_TEXT(spec->affinity_final, "1");
}

TEST(each_property_has_its_place)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const struct cl_spec *spec = &scene.spec;

    CHECK(spec_parse(&scene, CL_SPEC_PROCESS, everything) == 0);
    CHECK_TEXT(scene.err.msg, "");
    CHECK(spec->terminal == 1 && spec->rows == 25 && spec->columns == 80);
    CHECK_TEXT(spec->cwd, "/home");
    CHECK(spec->args.count == 2 && spec->env.count == 2);
    CHECK_TEXT(spec->args.items[1], "");
    CHECK_TEXT(spec->env.items[1], "C=");
    CHECK(!cl_spec_has(spec, CL_SPEC_WARNINGS) && !cl_spec_has(spec, CL_SPEC_MOUNT_LABEL));
    check_identity(spec);
    check_limits(spec);
}

TEST(what_is_absent_stays_unset)
{
    CL_CLEANUP_SPEC struct spec_scene scene;
    const uint64_t least =
        CL_SPEC_BIT(CL_SPEC_CWD) | CL_SPEC_BIT(CL_SPEC_UID) | CL_SPEC_BIT(CL_SPEC_GID);

    CHECK(spec_parse(&scene, CL_SPEC_PROCESS, SPEC_PROCESS("")) == 0);
    CHECK(scene.spec.set == least);
    spec_scene_done(&scene);
    CHECK(spec_parse(&scene, CL_SPEC_PROCESS,
                     SPEC_PROCESS(", 'args': null, 'env': [], 'capabilities': {}, 'rlimits': [],"
                                  " 'apparmorProfile': '', 'selinuxLabel': '',"
                                  " 'scheduler': null, 'execCPUAffinity': {'initial': ''}")) == 0);
    CHECK(scene.spec.set == least);
}

TEST(a_size_without_a_terminal_is_passed_over)
{
    CL_CLEANUP_SPEC struct spec_scene scene;

    CHECK(spec_parse(&scene, CL_SPEC_PROCESS,
                     SPEC_PROCESS(", 'consoleSize': {'height': 1, 'width': 1}")) == 0);
    CHECK(!cl_spec_has(&scene.spec, CL_SPEC_ROWS) && !cl_spec_has(&scene.spec, CL_SPEC_COLUMNS));
    spec_scene_done(&scene);
    CHECK(spec_parse(
              &scene, CL_SPEC_PROCESS,
              SPEC_PROCESS(", 'terminal': false, 'consoleSize': {'height': 1, 'width': 1}")) == 0);
    CHECK(cl_spec_has(&scene.spec, CL_SPEC_TERMINAL) && !cl_spec_has(&scene.spec, CL_SPEC_ROWS));
}

/* Every word of a table stands for what the kernel's headers have it stand for. */
static const struct {
    const char *name;
    uint32_t resource;
} limits[] = {
    {"AS", RLIMIT_AS},
    {"CORE", RLIMIT_CORE},
    {"CPU", RLIMIT_CPU},
    {"DATA", RLIMIT_DATA},
    {"FSIZE", RLIMIT_FSIZE},
    {"LOCKS", 10},
    {"MEMLOCK", RLIMIT_MEMLOCK},
    {"MSGQUEUE", 12},
    {"NICE", 13},
    {"NOFILE", RLIMIT_NOFILE},
    {"NPROC", RLIMIT_NPROC},
    {"RSS", RLIMIT_RSS},
    {"RTPRIO", 14},
    {"RTTIME", 15},
    {"SIGPENDING", 11},
    {"STACK", RLIMIT_STACK},
};

TEST(all_limits_are_known)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(limits); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[256];

        (void)snprintf(text, sizeof(text),
                       SPEC_PROCESS(", 'rlimits': [{'type': 'RLIMIT_%s', 'soft': 1, 'hard': 1}]"),
                       limits[i].name);
        CHECK(spec_parse(&scene, CL_SPEC_PROCESS, text) == 0);
        CHECK(scene.spec.rlimits.count == 1 &&
              scene.spec.rlimits.items[0].resource == limits[i].resource);
    }
}

static const struct {
    const char *words;
    uint32_t policy;
    uint64_t flags;
} schedulers[] = {
    {"'policy': 'SCHED_OTHER'", 0, 0},
    {"'policy': 'SCHED_FIFO'", 1, 0},
    {"'policy': 'SCHED_RR'", 2, 0},
    {"'policy': 'SCHED_BATCH'", 3, 0},
    {"'policy': 'SCHED_ISO'", 4, 0},
    {"'policy': 'SCHED_IDLE'", 5, 0},
    {"'policy': 'SCHED_DEADLINE', 'flags': ['SCHED_FLAG_RECLAIM']", 6, 2},
    {"'policy': 'SCHED_OTHER', 'flags': ['SCHED_FLAG_KEEP_POLICY', 'SCHED_FLAG_KEEP_PARAMS']", 0,
     0x18},
    {"'policy': 'SCHED_OTHER',"
     " 'flags': ['SCHED_FLAG_UTIL_CLAMP_MIN', 'SCHED_FLAG_UTIL_CLAMP_MAX']",
     0, 0x60},
};

TEST(all_policies_and_their_flags_are_known)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(schedulers); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;
        char text[256];

        (void)snprintf(text, sizeof(text), SPEC_PROCESS(", 'scheduler': {%s}"),
                       schedulers[i].words);
        CHECK(spec_parse(&scene, CL_SPEC_PROCESS, text) == 0);
        CHECK(scene.spec.scheduler.count == 1);
        CHECK(scene.spec.scheduler.items[0].policy == schedulers[i].policy);
        CHECK(scene.spec.scheduler.items[0].flags == schedulers[i].flags);
    }
}

#define ONE_LIMIT(rest) SPEC_PROCESS(", 'rlimits': [{" rest "}]")

static const struct spec_refusal wrong[] = {
    {"{}", "d: user: is missing"},
    {"[]", "d: expected object, got array"},
    {"{'cwd': '/'}", "d: user: is missing"},
    {"{'user': {'uid': 0, 'gid': 0}}", "d: cwd: is missing"},
    {"{'user': {'uid': 0, 'gid': 0}, 'cwd': ''}", "d: cwd: expected an absolute path, got \"\""},
    {"{'user': {'uid': 0, 'gid': 0}, 'cwd': 'a/b'}",
     "d: cwd: expected an absolute path, got \"a/b\""},
    {"{'user': {'uid': 0, 'gid': 0}, 'cwd': 7}", "d: cwd: expected string, got integer"},
    {"{'cwd': '/', 'user': {'uid': '0', 'gid': 0}}",
     "d: user.uid: expected integer, got string \"0\""},
    {"{'cwd': '/', 'user': {'uid': 0}}", "d: user.gid: is missing"},
    {"{'cwd': '/', 'user': {'gid': 0}}", "d: user.uid: is missing"},
    {"{'cwd': '/', 'user': 'root'}", "d: user: expected object, got string \"root\""},
    {"{'cwd': '/', 'user': {'uid': 4294967295, 'gid': 0}}",
     "d: user.uid: expected 0 to 4294967294, got 4294967295"},
    {"{'cwd': '/', 'user': {'uid': -1, 'gid': 0}}",
     "d: user.uid: expected 0 to 4294967294, got -1"},
    {"{'cwd': '/', 'user': {'uid': 0, 'gid': 0, 'umask': 4096}}",
     "d: user.umask: expected 0 to 4095, got 4096"},
    {"{'cwd': '/', 'user': {'uid': 0, 'gid': 0, 'additionalGids': [1, -1]}}",
     "d: user.additionalGids[1]: expected 0 to 4294967294, got -1"},
    {SPEC_PROCESS(", 'terminal': 'true'"), "d: terminal: expected boolean, got string \"true\""},
    {SPEC_PROCESS(", 'consoleSize': {'height': 1}"), "d: consoleSize.width: is missing"},
    {SPEC_PROCESS(", 'consoleSize': {'height': 1, 'width': 65536}"),
     "d: consoleSize.width: expected 0 to 65535, got 65536"},
    {SPEC_PROCESS(", 'args': []"), "d: args: no words in it"},
    {SPEC_PROCESS(", 'args': 'sh'"), "d: args: expected array of strings, got string \"sh\""},
    {SPEC_PROCESS(", 'args': ['sh', 1]"), "d: args[1]: expected string, got integer"},
    {SPEC_PROCESS(", 'env': ['A=', 'B']"), "d: env[1]: expected NAME=value, got \"B\""},
    {SPEC_PROCESS(", 'env': ['=b']"), "d: env[0]: expected NAME=value, got \"=b\""},
    {SPEC_PROCESS(", 'env': {'A': 'b'}"), "d: env: expected array of strings, got object"},
    {SPEC_PROCESS(", 'noNewPrivileges': 1"), "d: noNewPrivileges: expected boolean, got integer"},
    {SPEC_PROCESS(", 'capabilities': ['CAP_CHOWN']"),
     "d: capabilities: expected object, got array"},
    {SPEC_PROCESS(", 'capabilities': {'bounding': 'CAP_CHOWN'}"),
     "d: capabilities.bounding: expected array of strings, got string \"CAP_CHOWN\""},
    {ONE_LIMIT("'soft': 1, 'hard': 1"), "d: rlimits[0].type: is missing"},
    {ONE_LIMIT("'type': 'RLIMIT_AS', 'hard': 1"), "d: rlimits[0].soft: is missing"},
    {ONE_LIMIT("'type': 'RLIMIT_AS', 'soft': 1"), "d: rlimits[0].hard: is missing"},
    {ONE_LIMIT("'type': 'RLIMIT_FOO', 'soft': 1, 'hard': 1"),
     "d: rlimits[0].type: unknown limit \"RLIMIT_FOO\""},
    {ONE_LIMIT("'type': 'RLIMIT_AS', 'soft': 2, 'hard': 1"),
     "d: rlimits[0].soft: is above the hard limit"},
    {ONE_LIMIT("'type': 'RLIMIT_AS', 'soft': 1, 'hard': -1"),
     "d: rlimits[0].hard: expected 0 to 18446744073709551615, got -1"},
    {ONE_LIMIT("'type': 'RLIMIT_AS', 'soft': 1, 'hard': 1},"
               "{'type': 'RLIMIT_CPU', 'soft': 1, 'hard': 1},"
               "{'type': 'RLIMIT_AS', 'soft': 1, 'hard': 1"),
     "d: rlimits[2].type: stands in rlimits[0] already"},
    {SPEC_PROCESS(", 'apparmorProfile': []"), "d: apparmorProfile: expected string, got array"},
    {SPEC_PROCESS(", 'selinuxLabel': 5"), "d: selinuxLabel: expected string, got integer"},
    {SPEC_PROCESS(", 'oomScoreAdj': 1001"), "d: oomScoreAdj: expected -1000 to 1000, got 1001"},
    {SPEC_PROCESS(", 'oomScoreAdj': -1001"), "d: oomScoreAdj: expected -1000 to 1000, got -1001"},
    {SPEC_PROCESS(", 'oomScoreAdj': 1.5"), "d: oomScoreAdj: expected integer, got fraction"},
    {SPEC_PROCESS(", 'scheduler': {'nice': 1}"), "d: scheduler.policy: is missing"},
    {SPEC_PROCESS(", 'scheduler': {'policy': 'SCHED_NORMAL'}"),
     "d: scheduler.policy: unknown policy \"SCHED_NORMAL\""},
    {SPEC_PROCESS(", 'scheduler': {'policy': 'SCHED_RR', 'nice': 20}"),
     "d: scheduler.nice: expected -20 to 19, got 20"},
    {SPEC_PROCESS(", 'scheduler': {'policy': 'SCHED_RR', 'priority': 100}"),
     "d: scheduler.priority: expected 0 to 99, got 100"},
    {SPEC_PROCESS(", 'scheduler': {'policy': 'SCHED_RR', 'flags': ['SCHED_FLAG_RECLAIN']}"),
     "d: scheduler.flags[0]: unknown flag \"SCHED_FLAG_RECLAIN\""
     " (did you mean SCHED_FLAG_RECLAIM?)"},
    {SPEC_PROCESS(", 'ioPriority': {'class': 'IOPRIO_CLASS_RT'}"),
     "d: ioPriority.priority: is missing"},
    {SPEC_PROCESS(", 'ioPriority': {'priority': 1}"), "d: ioPriority.class: is missing"},
    {SPEC_PROCESS(", 'ioPriority': {'class': 'IOPRIO_CLASS_RT', 'priority': 8}"),
     "d: ioPriority.priority: expected 0 to 7, got 8"},
    {SPEC_PROCESS(", 'ioPriority': {'class': 'RT', 'priority': 1}"),
     "d: ioPriority.class: unknown class \"RT\""},
    {SPEC_PROCESS(", 'execCPUAffinity': {'final': '0-3,x'}"),
     "d: execCPUAffinity.final: expected a list of processors, like 0-3,7, got \"0-3,x\""},
    {SPEC_PROCESS(", 'Args': ['sh']"), "d: Args: unknown key; write it as args"},
};

TEST(what_can_not_be_is_told_where_and_why)
{
    spec_check_refusals(CL_SPEC_PROCESS, wrong, CL_ARRAY_SIZE(wrong));
}

TEST(what_means_nothing_is_told)
{
    static const struct spec_refusal rows[] = {
        {SPEC_PROCESS(", 'capabilities': {'ambient': ['CAP_KILL', 'CAP_FLY', 'cap_kill']}"),
         "capabilities.ambient[1]: unknown capability \"CAP_FLY\"; passed over"},
        {SPEC_PROCESS(", 'commandLine': 'cmd'"),
         "commandLine: is for another platform than Linux; passed over"},
        {SPEC_PROCESS(", 'new': {'a': []}"), "new: unknown property; passed over"},
        {"{'cwd': '/', 'user': {'uid': 0, 'gid': 0, 'username': 'x'}}",
         "user.username: is for another platform than Linux; passed over"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SPEC struct spec_scene scene;

        CHECK(spec_parse(&scene, CL_SPEC_PROCESS, rows[i].text) == 0);
        CHECK(scene.spec.warnings.count == (i == 0 ? 2 : 1));
        CHECK_TEXT(scene.spec.warnings.items[0], rows[i].message);
    }
}

TEST(in_a_bundle_paths_begin_with_the_process)
{
    static const struct spec_refusal rows[] = {
        {SPEC_CONFIG(", 'process': {'cwd': '/', 'user': {'uid': '0', 'gid': 0}}"),
         "d: process.user.uid: expected integer, got string \"0\""},
        {SPEC_CONFIG(", 'process': {'cwd': '/', 'user': {'uid': 0, 'gid': 0}, 'args': []}"),
         "d: process.args: no words in it"},
        {SPEC_CONFIG(", 'process': {'cwd': '/', 'user': {'uid': 0, 'gid': 0}, 'env': ['A']}"),
         "d: process.env[0]: expected NAME=value, got \"A\""},
    };

    spec_check_refusals(CL_SPEC_CONFIG, rows, CL_ARRAY_SIZE(rows));
    spec_check_warning(
        CL_SPEC_CONFIG,
        SPEC_CONFIG(", 'process': " SPEC_PROCESS(", 'capabilities': {'bounding': ['CAP_X']}") ""),
        "process.capabilities.bounding[0]: unknown capability \"CAP_X\";"
        " passed over");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_property_has_its_place),
        ROW(what_is_absent_stays_unset),
        ROW(a_size_without_a_terminal_is_passed_over),
        ROW(all_limits_are_known),
        ROW(all_policies_and_their_flags_are_known),
        ROW(what_can_not_be_is_told_where_and_why),
        ROW(what_means_nothing_is_told),
        ROW(in_a_bundle_paths_begin_with_the_process),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
