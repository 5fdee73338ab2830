/* test_run.c - from `cloister run`'s parts to one plan, and the line about the end. The
 * options themselves are test_options_run's, the run is test_sandbox's. */
#include "command_scene.h"

// NOLINTNEXTLINE(bugprone-suspicious-include): for its static functions
#include "cmd/cloister/run.c"

static struct cl_error err;

/* --- a policy's paths ---------------------------------------------------------------- */

static const char *rebase(const char *policy_path, enum cl_file_kind kind, const char *source)
{
    static char text[128];
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    const struct cl_plan_file file = {.kind = kind, .source = source, .target = "/t"};
    struct cl_plan policy = {.files = {&file, 1}};

    CHECK(cl_run_rebase_files(&policy, policy_path, &arena, &err) == 0);
    CHECK(policy.files.count == 1 && strcmp(policy.files.items[0].target, "/t") == 0);
    CHECK(file.source == source); /* what was read stays as it is */
    (void)snprintf(text, sizeof(text), "%s", policy.files.items[0].source);
    return text;
}

TEST(a_policys_paths_count_from_its_directory)
{
    CHECK_TEXT(rebase("/srv/p/policy.yaml", CL_FILE_BIND, "data"), "/srv/p/data");
    CHECK_TEXT(rebase("/srv/p/policy.yaml", CL_FILE_BIND, "../data"), "/srv/p/../data");
    CHECK_TEXT(rebase("p/policy.yaml", CL_FILE_BIND, "data"), "p/data");
    CHECK_TEXT(rebase("/policy.yaml", CL_FILE_BIND, "data"), "/data");
    CHECK_TEXT(rebase("policy.yaml", CL_FILE_BIND, "data"), "data");
    CHECK_TEXT(rebase("/srv/p/policy.yaml", CL_FILE_BIND, "/data"), "/data");
    CHECK_TEXT(rebase("/srv/p/policy.yaml", CL_FILE_TMPFS, ""), "");
}

TEST(no_memory_for_a_path_is_told)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1);
    const struct cl_plan_file file = {.source = "data", .target = "/t"};
    struct cl_plan policy = {.files = {&file, 1}};

    CHECK(cl_run_rebase_files(&policy, "/srv/policy", &arena, &err) == -ENOMEM);
    CHECK_TEXT(err.msg, "out of memory");
}

/* --- one plan ------------------------------------------------------------------------ */

static struct cl_run_request request;
static struct cl_plan plan;
static struct cl_run_held held = {.lock = -1, .module.fd = -1};

static int decide_now(CL_UNUSED int argc, CL_UNUSED char *argv[])
{
    return cl_run_plan(&request, NULL, &plan, &held, &err);
}

/* Flags for IMAGE and a command, with OPTION and VALUE. */
static int decide_with(struct cl_arena *arena, const char *option, const char *value)
{
    char words[4][64];
    char *argv[] = {words[0], words[1], words[2], words[3], NULL};
    int r;

    (void)snprintf(words[0], sizeof(words[0]), "%s", "run");
    (void)snprintf(words[1], sizeof(words[1]), "%s=%s", option, value);
    (void)snprintf(words[2], sizeof(words[2]), "%s", "host");
    (void)snprintf(words[3], sizeof(words[3]), "%s", "true");
    request = CL_RUN_REQUEST_INIT(arena);
    err = (struct cl_error){0};
    r = cl_command_parse(&cl_command_run, 4, argv, &request, &err);
    CHECK(r == 2);
    r = cl_run_request_finish(&request, 4 - r, argv + r, &err);
    CHECK(r == 0);
    return command_capture(decide_now, 0, NULL);
}

TEST(flags_become_a_plan)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);

    CHECK(decide_with(&arena, "--memory", "64m") == 0);
    CHECK(plan.limits.memory_bytes == 64 << 20 && plan.image_kind == CL_IMAGE_HOST);
    CHECK(plan.uid == 1000 && plan.wall == CL_WALL_CONTAINER);
    CHECK_TEXT(plan.command.items[0], "true");
    CHECK_TEXT(said.err_out, "");
}

TEST(users_have_names_of_the_image)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);

    CHECK(decide_with(&arena, "--user", "nobody") == 0);
    CHECK(plan.uid == 65534 && plan.gid == 65534);
    CHECK(decide_with(&arena, "--user", "ann") < 0);
    CHECK_HAS(err.msg, "the host image has no user \"ann\"");
    /* what was not done as asked is a line, and no error */
    CHECK(decide_with(&arena, "--user", "root") == 0);
    CHECK(plan.uid == 1000);
    CHECK(strncmp(said.err_out, "cloister: ", strlen("cloister: ")) == 0);
    CHECK(strchr(said.err_out, '\n') == said.err_out + strlen(said.err_out) - 1);
}

TEST(files_that_are_missing_are_named)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(8 << 20);

    CHECK(decide_with(&arena, "--policy", "/nowhere.yaml") == -ENOENT);
    CHECK_HAS(err.msg, "/nowhere.yaml");
    CHECK(decide_with(&arena, "--seccomp", "/nowhere.json") == -ENOENT);
    CHECK_HAS(err.msg, "/nowhere.json");
}

/* --- the line about the end ----------------------------------------------------------- */

static const char *message;

static int say_it(CL_UNUSED int argc, CL_UNUSED char *argv[])
{
    say(&request, 124, message);
    return 0;
}

static void check_said(int json, const char *text, const char *expected)
{
    request.format_json = json;
    message = text;
    CHECK(command_capture(say_it, 0, NULL) == 0);
    CHECK_TEXT(said.err_out, expected);
    CHECK_TEXT(said.out, ""); /* which is the command's alone */
}

TEST(the_end_is_one_line)
{
    check_said(0, "killed", "cloister: killed\n");
    check_said(1, "a \"b\"", "{\"exit\":124,\"message\":\"a \\\"b\\\"\"}\n");
    check_said(0, "", "");
    check_said(1, "", "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_policys_paths_count_from_its_directory),
        ROW(no_memory_for_a_path_is_told),
        ROW(flags_become_a_plan),
        ROW(users_have_names_of_the_image),
        ROW(files_that_are_missing_are_named),
        ROW(the_end_is_one_line),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
