/* test_options_run.c - the flags of `cloister run`, to partial plans or one line. */
#include <errno.h>
#include <stdlib.h>

#include "base/signals.h"
#include "cmd/cloister/env_file.h"
#include "options_scene.h"

TEST(flags_fill_the_plan)
{
    struct scene s;

    CHECK(parse(&s, "-it|-m512m|--cpus=1.5|--timeout|90s|--pids-limit|9|--name|n|-w|/w|host|"
                    "--|sh|-c|x") == 0);
    const struct cl_plan *plan = &s.request.flags;
    CHECK(plan->tty && plan->interactive && plan->limits.memory_bytes == 512 << 20);
    CHECK(plan->limits.millicpus == 1500 && plan->limits.time_ns == 90000000000);
    CHECK(plan->limits.tasks == 9 && plan->command.count == 3);
    CHECK_TEXT(plan->name, "n");
    CHECK_TEXT(plan->image, "host");
    CHECK_TEXT(plan->command.items[0], "sh");
    scene_done(&s);
}

TEST(options_end_at_the_image)
{
    struct scene s;

    CHECK(parse(&s, "host|--privileged|-x") == 0 && s.request.flags.command.count == 2);
    scene_done(&s);
    CHECK(parse(&s, "host|--|--|a") == 0 && s.request.flags.command.count == 2);
    CHECK_TEXT(s.request.flags.command.items[0], "--");
    scene_done(&s);
    CHECK(parse(&s, "--entrypoint|/bin/e|host|a") == 0);
    CHECK_TEXT(s.request.flags.entrypoint.items[0], "/bin/e");
    CHECK_TEXT(s.request.flags.command.items[0], "a");
    scene_done(&s);
}

/* Both replace the image's: "" by nothing, and without words by no command. */
TEST(an_entrypoint_replaces_the_images_and_its_command)
{
    struct scene s;

    CHECK(parse(&s, "host") == 0);
    CHECK(!cl_plan_has(&s.request.flags, CL_FIELD_ENTRYPOINT));
    CHECK(!cl_plan_has(&s.request.flags, CL_FIELD_COMMAND));
    scene_done(&s);
    CHECK(parse(&s, "--entrypoint|/bin/e|host") == 0);
    CHECK(s.request.flags.entrypoint.count == 1 && s.request.flags.command.count == 0);
    CHECK(cl_plan_has(&s.request.flags, CL_FIELD_COMMAND));
    scene_done(&s);
    CHECK(parse(&s, "--entrypoint=|host|a") == 0);
    CHECK(s.request.flags.entrypoint.count == 0 && s.request.flags.command.count == 1);
    CHECK(cl_plan_has(&s.request.flags, CL_FIELD_ENTRYPOINT));
    scene_done(&s);
    CHECK(parse(&s, "--entrypoint=|--entrypoint=x|host|a") < 0);
    CHECK_HAS(s.err.msg, "--entrypoint: it is given twice");
    scene_done(&s);
}

TEST(the_stop_signal_has_a_name_or_a_number)
{
    struct scene s;

    CHECK(parse(&s, "--stop-signal|SIGINT|host|a") == 0 && s.request.flags.stop_signal == 2);
    CHECK(cl_plan_has(&s.request.flags, CL_FIELD_STOP_SIGNAL));
    scene_done(&s);
    CHECK(parse(&s, "--stop-signal|rtmin+3|host|a") == 0 && s.request.flags.stop_signal == 37);
    scene_done(&s);
    CHECK(parse(&s, "--stop-signal|65|host|a") < 0);
    CHECK_HAS(s.err.msg, "--stop-signal: expected a signal's name or 1 to 64, got \"65\"");
    scene_done(&s);
}

TEST(bad_flags_are_refused)
{
    static const struct {
        const char *line;
        const char *needle;
    } rows[] = {
        {"--privileged|host", "--privileged: a sandbox with the host"},
        {"--keep|--rm|host", "--keep and --rm exclude each other"},
        {"--keep|--die-with-parent|host", "--keep and --die-with-parent exclude each other"},
        {"--copy-in|a:b|host", "must be absolute"},
        {"--copy-out|a:b|host", "must be absolute"},
        {"--copy-in|a|host", "expected SRC:DST"},
        {"--pull=newer|host", "--pull: "},
        {"--device|/dev/x|host", "--device: "},
        {"-p|80:80|host", "--publish: "},
        {"--restart|always|host", "--restart: "},
        {"--cap-add|ALL|host", "--cap-add: "},
        {"--pid|host|host", "--pid: "},
        {"--network|host|host", "--network: the host's network would be a hole in the wall"},
        {"--net=bridge|host", "--net: sandboxes share no network"},
        {"--network|container:x|host", "--network: sandboxes share no network"},
        {"--network|nonne|host", "expected one of none, outbound"},
        {"-c|512|host", "--cpu-shares: processors have one limit"},
        {"-P|host", "--publish-all: there are no ports"},
        {"--stop-timeout=3|host", "--stop-timeout: say --stop-grace"},
        {"--dns|9.9.9.9|host", "--dns: a sandbox with --network outbound has the host's resolver"},
        {"--tasks|9|host", "--tasks: it is called --pids-limit"},
        {"--memroy|1g|host", "did you mean --memory?"},
        {"--nonsense|host", "unknown option --nonsense"},
        {"--mem|1g|host", "unknown option --mem"},
        {"-m|1z|host", "--memory: expected a size"},
        {"-m|-1|host", "--memory: expected a size"},
        {"-m|1|host", "--memory: too small"},
        {"-m|512|host", "the least is 1MiB; a number alone is bytes: 512m is 512 MiB"},
        {"-m|4k|host", "--memory: too small; the least is 1MiB"},
        {"-m|99999999999999999999|host", "too large"},
        {"--cpus|0|host", "--cpus: too small"},
        {"--timeout|0|host", "--timeout: too small"},
        {"--pids-limit|1.5|host", "--pids-limit: expected a whole number"},
        {"--wall|granite|host", "--wall: expected one of"},
        {"--rm=no|host", "--rm takes no value"},
        {"--memory", "--memory needs a value"},
        {"--name=|host|x", "--name: must not be empty"},
        {"--result=|host|x", "--result: must not be empty"},
        {"--read-only|--writable|host|x", "--writable: it and --read-only exclude each other"},
        {"--memory-swap|1g|host|x", "needs --memory"},
        {"-m|1g|--memory-swap|512m|host|x", "can't be below"},
        {"-m|1g|--swap|1g|--memory-swap|2g|host|x", "exclude each other"},
        {"--without|everything|host|x", "unknown layer"},
        {"--format|yaml|host|x", "--format: expected table or json"},
        {"--ulimit|nofile=2:1|host|x", "--ulimit: "},
        {"--env-file|/nonexistent|host|x", "open the file /nonexistent"},
        {"--env|=x|host|x", "--env: no name"},
        {"", "no image"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct scene s;
        int r = parse(&s, rows[i].line);

        /* An empty line is one empty word: an empty image. */
        if (rows[i].line[0] == '\0') {
            CHECK(r < 0);
        } else {
            CHECK(r < 0 && r == -s.err.code);
            CHECK_HAS(s.err.msg, rows[i].needle);
        }
        scene_done(&s);
    }
}

/* What 512 could have meant is told; nobody means 0 MiB. */
TEST(a_size_of_nothing_has_no_other_meaning)
{
    static const struct {
        const char *line;
        const char *message;
    } rows[] = {
        {"-m|0|host|x", "--memory: too small; the least is 1MiB"},
        {"--disk|000|host|x", "--disk: too small; the least is 64KiB"},
        {"-m|9|host|x",
         "--memory: too small; the least is 1MiB; a number alone is bytes: 9m is 9 MiB"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct scene s;

        CHECK(parse(&s, rows[i].line) == -ERANGE);
        CHECK_TEXT(s.err.msg, rows[i].message);
        scene_done(&s);
    }
}

/* The words for --without are in policy/layers.def; completion and the two refusals name them. */
TEST(what_can_be_left_out_is_named_wherever_it_is)
{
    const char *choices = NULL;
    struct scene s;

    for (size_t i = 0; i < cl_run_option_count; i++) {
        if (strcmp(cl_run_options[i].name, "without") == 0)
            choices = cl_run_options[i].choices;
    }
    CHECK(parse(&s, "--without|everything|host|x") < 0);
    for (enum cl_layer layer = 0; layer < CL_LAYER_COUNT; layer++) {
        const char *name = cl_layer_name(layer);
        char word[32];

        (void)snprintf(word, sizeof(word), " %s ", name);
        CHECK(cl_layer_acceptable(layer) == (strstr(s.err.msg, name) != NULL));
        char list[256];
        (void)snprintf(list, sizeof(list), " %s ", choices == NULL ? "" : choices);
        CHECK(choices == NULL || cl_layer_acceptable(layer) == (strstr(list, word) != NULL));
    }
    scene_done(&s);
}

/* Of every word that another program has: by name, with its reason, and with a value too. */
TEST(what_others_have_is_refused_with_its_reason)
{
    for (const struct cl_refused_option *row = cl_run_refused; row->name != NULL; row++) {
        char line[128];
        char wanted[512];
        struct scene s;

        (void)snprintf(wanted, sizeof(wanted), "--%s: %s", row->name, row->reason);
        for (int has_value = 0; has_value < 2; has_value++) {
            (void)snprintf(line, sizeof(line), "--%s%s|host|x", row->name, has_value ? "=y" : "");
            CHECK(parse(&s, line) < 0);
            CHECK_TEXT(s.err.msg, wanted);
            scene_done(&s);
        }
        if (row->letter != '\0') {
            (void)snprintf(line, sizeof(line), "-%c|host|x", row->letter);
            CHECK(parse(&s, line) < 0);
            CHECK_HAS(s.err.msg, row->reason);
            scene_done(&s);
        }
    }
}

TEST(memory_swap_is_the_sum)
{
    struct scene s;

    CHECK(parse(&s, "--memory-swap|3m|-m|1m|host|x") == 0);
    CHECK(s.request.flags.limits.swap_bytes == 2 << 20);
    scene_done(&s);
}

TEST(layers_of_the_wall_stay)
{
    struct scene s;

    CHECK(parse(&s, "--without|landlock|--without|limits|host|x") == 0);
    CHECK(s.request.flags.without ==
          (CL_LAYER_BIT(CL_LAYER_LANDLOCK) | CL_LAYER_BIT(CL_LAYER_LIMITS)));
    scene_done(&s);
#ifndef CL_WEAK
    CHECK(parse(&s, "--without|seccomp|host|x") == -EPERM);
    scene_done(&s);
#endif
}

TEST(env_takes_the_callers_value)
{
    struct scene s;

    CHECK(setenv("CL_TEST_GIVEN", "a=b", 1) == 0 && unsetenv("CL_TEST_NOT") == 0);
    CHECK(parse(&s, "-e|CL_TEST_GIVEN|-e|CL_TEST_NOT|-eX=|host|x") == 0);
    CHECK(s.request.flags.env.count == 2);
    CHECK_TEXT(s.request.flags.env.items[0], "CL_TEST_GIVEN=a=b");
    CHECK_TEXT(s.request.flags.env.items[1], "X=");
    scene_done(&s);
}

static int parse_env(struct cl_plan *plan, const char *text, size_t size, struct cl_arena *arena,
                     struct cl_error *err)
{
    char copy[256] = "";

    memcpy(copy, text, size);
    return cl_env_file_parse(plan, copy, size, arena, err);
}

TEST(env_files_have_lines)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    static const char good[] = "# comment\n\nA=1\r\nB=two words\nC=\nD=a=b # no comment\nE=\xff";
    static const struct {
        const char *text;
        size_t size;
        const char *needle;
    } bad[] = {
        {"A=1\n=x\n", 7, "line 2"},
        {"A=1\nB=1\n a b=2\n", 16, "line 3"},
        {"A=\0x\n", 5, "line 1"},
        {"A=1\n\0", 5, "line 2"},
    };
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    CHECK(parse_env(&plan, good, sizeof(good) - 1, &arena, &err) == 0 && plan.env.count == 5);
    CHECK_TEXT(plan.env.items[0], "A=1");
    CHECK_TEXT(plan.env.items[3], "D=a=b # no comment");
    CHECK_TEXT(plan.env.items[4], "E=\xff");
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(parse_env(&plan, bad[i].text, bad[i].size, &arena, &err) < 0);
        CHECK_HAS(err.msg, bad[i].needle);
    }
}

TEST(signals_have_names_and_numbers)
{
    static const char *const bad[] = {"",         "0",        "65",         "FOO",     "SIG",
                                      "-9",       "9x",       "SIGSIGTERM", "RTMIN-1", "RTMAX+1",
                                      "RTMIN+31", "RTMAX-31", "RTMIN+",     "RTMIN+x"};
    struct cl_error err = {0};
    int number = 0;

    CHECK(cl_signal_parse("TERM", &number, &err) == 0 && number == 15);
    CHECK(cl_signal_parse("sigkill", &number, &err) == 0 && number == 9);
    CHECK(cl_signal_parse("34", &number, &err) == 0 && number == 34);
    CHECK(cl_signal_parse("SIGRTMIN+3", &number, &err) == 0 && number == 37);
    CHECK(cl_signal_parse("rtmin", &number, &err) == 0 && number == 34);
    CHECK(cl_signal_parse("RTMAX-14", &number, &err) == 0 && number == 50);
    CHECK(cl_signal_parse("RTMIN+30", &number, &err) == 0 && number == 64);
    CHECK(cl_signal_parse("SIGPOLL", &number, &err) == 0 && number == 29);
    CHECK_TEXT(cl_signal_name(29), "SIGIO");
    CHECK_TEXT(cl_signal_name(11), "SIGSEGV");
    CHECK_TEXT(cl_signal_name(1), "SIGHUP");
    CHECK(cl_signal_name(34) == NULL && cl_signal_name(0) == NULL && cl_signal_name(-1) == NULL);
    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++)
        CHECK(cl_signal_parse(bad[i], &number, &err) == -EINVAL);
}

/* The options of `docker run`. */
static const char *const docker_words[] = {
    "add-host",
    "annotation",
    "attach",
    "blkio-weight",
    "blkio-weight-device",
    "cap-add",
    "cap-drop",
    "cgroup-parent",
    "cgroupns",
    "cidfile",
    "cpu-period",
    "cpu-quota",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "detach",
    "detach-keys",
    "device",
    "device-cgroup-rule",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "dns",
    "dns-option",
    "dns-search",
    "domainname",
    "entrypoint",
    "env",
    "env-file",
    "expose",
    "gpus",
    "group-add",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-interval",
    "health-start-period",
    "health-timeout",
    "help",
    "hostname",
    "init",
    "interactive",
    "ip",
    "ip6",
    "ipc",
    "isolation",
    "kernel-memory",
    "label",
    "label-file",
    "link",
    "link-local-ip",
    "log-driver",
    "log-opt",
    "mac-address",
    "memory",
    "memory-reservation",
    "memory-swap",
    "memory-swappiness",
    "mount",
    "name",
    "network",
    "network-alias",
    "no-healthcheck",
    "oom-kill-disable",
    "oom-score-adj",
    "pid",
    "pids-limit",
    "platform",
    "privileged",
    "publish",
    "publish-all",
    "pull",
    "quiet",
    "read-only",
    "restart",
    "rm",
    "runtime",
    "security-opt",
    "shm-size",
    "sig-proxy",
    "stop-signal",
    "stop-timeout",
    "storage-opt",
    "sysctl",
    "tmpfs",
    "tty",
    "ulimit",
    "user",
    "userns",
    "uts",
    "volume",
    "volume-driver",
    "volumes-from",
    "workdir",
};

/* Each is known: it works or is refused with a reason. */
TEST(docker_words_have_an_answer)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(docker_words); i++) {
        char word[64];
        char *argv[] = {word, word, NULL};
        struct cl_error err = {0};
        struct scene s = {.arena = CL_ARENA_INIT(ARENA_MAX)};

        s.request = CL_RUN_REQUEST_INIT(&s.arena);
        (void)snprintf(word, sizeof(word), "--%s", docker_words[i]);
        (void)cl_options_parse(cl_command_table(&cl_command_run), 2, argv, &s.request, &err);
        CHECK(strstr(err.msg, "unknown option") == NULL);
        scene_done(&s);
    }
}

static void check_not_refused(const struct cl_refused_option *row, const struct cl_option *option)
{
    for (; row != NULL && row->name != NULL; row++) {
        CHECK(strcmp(row->name, option->name) != 0);
        CHECK(row->letter == 0 || row->letter != option->letter);
    }
}

/* Names and letters are unique, and help fits a line. */
TEST(rows_are_sound)
{
    for (size_t c = 0; c < cl_command_count; c++) {
        const struct cl_command *command = cl_commands[c];

        for (size_t i = 0; i < command->option_count; i++) {
            const struct cl_option *a = &command->options[i];

            CHECK(a->set != NULL && (a->help == NULL || strlen(a->help) < 72));
            check_not_refused(command->refused, a);
            for (size_t j = 0; j < i; j++) {
                const struct cl_option *b = &command->options[j];

                CHECK(strcmp(a->name, b->name) != 0);
                CHECK(a->letter == 0 || a->letter != b->letter);
            }
        }
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(flags_fill_the_plan),
        ROW(options_end_at_the_image),
        ROW(an_entrypoint_replaces_the_images_and_its_command),
        ROW(the_stop_signal_has_a_name_or_a_number),
        ROW(bad_flags_are_refused),
        ROW(a_size_of_nothing_has_no_other_meaning),
        ROW(what_others_have_is_refused_with_its_reason),
        ROW(what_can_be_left_out_is_named_wherever_it_is),
        ROW(memory_swap_is_the_sum),
        ROW(layers_of_the_wall_stay),
        ROW(env_takes_the_callers_value),
        ROW(env_files_have_lines),
        ROW(signals_have_names_and_numbers),
        ROW(docker_words_have_an_answer),
        ROW(rows_are_sound),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
