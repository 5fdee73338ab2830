/* test_hooks.c - the engine's programs that run at points of a container's life. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"
#include "check.h"

static char place[] = "/tmp/cloister-test-hooks-XXXXXX";

/* A hook that is SCRIPT; the first of KIND. */
static void set_hook(struct cl_spec_hook *ret, enum cl_hook_kind kind, const char *argv[3],
                     const char *script)
{
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = script;
    *ret = (struct cl_spec_hook){.kind = kind, .path = "/bin/sh", .args = {argv, 3}};
}

static int run_one(const char *script, uint32_t timeout_s, struct cl_error *err)
{
    struct cl_spec_hook hook;
    struct cl_spec spec = {.hooks = {&hook, 1}};
    CL_CLEANUP_BUF struct cl_buf state = CL_BUF_INIT(1024);
    const char *argv[3];

    set_hook(&hook, CL_HOOK_PRESTART, argv, script);
    hook.timeout_s = timeout_s;
    CHECK(cl_buf_add_str(&state, "{\"id\":\"x\"}") == 0);
    return cl_bundle_hooks(&spec, CL_HOOK_PRESTART, &state, err);
}

TEST(a_hook_reads_the_state)
{
    struct cl_error err = {0};

    CHECK(run_one("test \"$(cat)\" = '{\"id\":\"x\"}'", 0, &err) == 0);
    CHECK(run_one("test -z \"$(cat)\"", 0, &err) == -ECANCELED);
}

TEST(a_hook_that_fails_is_named_with_what_it_says)
{
    struct cl_error err = {0};
    int fds = check_count_fds();

    CHECK(run_one("echo lost; echo 'no \033such disk' >&2; echo more >&2; exit 3", 0, &err) ==
          -ECANCELED);
    CHECK_HAS(err.msg, "hooks.prestart[0] (/bin/sh): ended with status 3");
    CHECK_HAS(err.msg, "such disk");
    CHECK(strchr(err.msg, '\033') == NULL && strstr(err.msg, "more") == NULL &&
          strstr(err.msg, "lost") == NULL);
    CHECK(run_one("kill -9 $$", 0, &err) == -ECANCELED);
    CHECK_HAS(err.msg, "by signal 9");
    CHECK(check_count_fds() == fds);
}

TEST(a_hook_that_takes_too_long_is_killed)
{
    struct cl_error err = {0};
    const uint64_t began_ns = cl_clock_boot_ns();

    CHECK(run_one("exec sleep 100", 1, &err) == -ETIMEDOUT);
    CHECK_HAS(err.msg, "in its time, 1 s");
    CHECK(cl_clock_boot_ns() - began_ns < 60 * CL_NS_PER_S);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD); /* and waited for */
}

TEST(a_hook_that_is_no_program_is_said)
{
    struct cl_spec_hook hook = {.kind = CL_HOOK_POSTSTART, .path = "/no/such/program"};
    struct cl_spec spec = {.hooks = {&hook, 1}};
    CL_CLEANUP_BUF struct cl_buf state = CL_BUF_INIT(16);
    struct cl_error err = {0};

    CHECK(cl_bundle_hooks(&spec, CL_HOOK_PRESTART, &state, &err) == 0); /* none of that kind */
    CHECK(cl_bundle_hooks(&spec, CL_HOOK_POSTSTART, &state, &err) < 0);
    CHECK_HAS(err.msg, "hooks.poststart[0] (/no/such/program): ");
}

/* Three of one kind, the second of which fails, and one of another before them. */
static int run_three(enum cl_hook_kind kind, struct cl_error *err)
{
    struct cl_spec_hook hooks[4];
    struct cl_spec spec = {.hooks = {hooks, 4}};
    CL_CLEANUP_BUF struct cl_buf state = CL_BUF_INIT(16);
    const char *argv[4][3];
    char scripts[2][100];

    for (int i = 0; i < 2; i++)
        (void)snprintf(scripts[i], sizeof(scripts[i]), "touch %s/%d", place, i);
    set_hook(&hooks[0], CL_HOOK_START_CONTAINER, argv[0], "exit 9");
    set_hook(&hooks[1], kind, argv[1], scripts[0]);
    set_hook(&hooks[2], kind, argv[2], "exit 1");
    set_hook(&hooks[3], kind, argv[3], scripts[1]);
    return cl_bundle_hooks(&spec, kind, &state, err);
}

TEST(the_first_failure_ends_them_but_after_the_end)
{
    char line[100];
    struct cl_error err = {0};

    CHECK(mkdtemp(place) != NULL);
    CHECK(run_three(CL_HOOK_CREATE_RUNTIME, &err) == -ECANCELED);
    CHECK_HAS(err.msg, "hooks.createRuntime[1] ");
    CHECK(check_count_entries(place) == 1);
    CHECK(run_three(CL_HOOK_POSTSTOP, &err) == -ECANCELED); /* all of them have something to undo */
    CHECK_HAS(err.msg, "hooks.poststop[1] ");
    CHECK(check_count_entries(place) == 2);
    (void)snprintf(line, sizeof(line), "rm -r %s", place);
    CHECK(system(line) == 0); // NOLINT(cert-env33-c): a directory of our own
}

TEST(the_state_is_the_specifications)
{
    static const char *const annotations[] = {"a", "1", "b\"", "two\n"};
    const struct cl_spec spec = {.annotations = {annotations, 4}};
    const struct cl_spec plain = {.set = 0};
    struct cl_bundle_state state = {
        .spec = &spec, .id = "x", .status = "running", .path = "/bundle", .pid = 7};
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1024);
    CL_CLEANUP_BUF struct cl_buf other = CL_BUF_INIT(1024);
    struct cl_error err = {0};

    CHECK(cl_bundle_write_state(&state, &text, &err) == 0);
    CHECK_HAS(cl_buf_text(&text), "\"ociVersion\":\"" CL_SPEC_OURS "\",\"id\":\"x\","
                                  "\"status\":\"running\",\"pid\":7,\"bundle\":\"/bundle\","
                                  "\"annotations\":{\"a\":\"1\",\"b\\\"\":\"two\\u000a\"}");
    state = (struct cl_bundle_state){.spec = &plain, .id = "x", .status = "stopped", .path = "/b"};
    CHECK(cl_bundle_write_state(&state, &other, &err) == 0);
    CHECK(strstr(cl_buf_text(&other), "pid") == NULL);
    CHECK(strstr(cl_buf_text(&other), "annotations") == NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_hook_reads_the_state),
        ROW(a_hook_that_fails_is_named_with_what_it_says),
        ROW(a_hook_that_takes_too_long_is_killed),
        ROW(a_hook_that_is_no_program_is_said),
        ROW(the_first_failure_ends_them_but_after_the_end),
        ROW(the_state_is_the_specifications),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
