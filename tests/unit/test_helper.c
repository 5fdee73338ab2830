/* test_helper.c - one call of a program that is none of our parsers: it parses nothing, and has no
 * limit of time but ours. */
#include <errno.h>

#include "base/clock.h"
#include "base/helper.h"
#include "programs_scene.h"

/* What becomes of a call of docker-credential-x, which does what LINES say. */
static int call_foreign(const char *lines, struct cl_buf *output, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf input = CL_BUF_INIT(16);
    struct cl_helper helper;
    const struct cl_helper_call call = {.args = {"get"},
                                        .subject = "its answer",
                                        .inputs = {&input},
                                        .timeout_ns = CL_NS_PER_S,
                                        .environment = environ,
                                        .is_foreign = 1};
    const int before = check_count_fds();

    *err = (struct cl_error){0};
    program_fake("docker-credential-x", "*", lines);
    CHECK(cl_helper_find(programs_dir, "docker-credential-x", &helper, err) == 0);
    int r = cl_helper_run(&helper, &call, output, err);
    CHECK(check_count_fds() == before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    return r;
}

TEST(one_that_does_not_answer_is_told_as_that)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(16);
    const uint64_t start = cl_clock_boot_ns();
    struct cl_error err;

    CHECK(call_foreign("exec sleep 60", &output, &err) == -ETIMEDOUT);
    CHECK_TEXT(err.msg, "its answer: didn't come in 1 s");
    CHECK(call_foreign("exec sleep 60 >/dev/null 2>&1", &output, &err) == -ETIMEDOUT);
    CHECK_TEXT(err.msg, "its answer: didn't come in 1 s");
    CHECK(cl_clock_boot_ns() - start < 20 * CL_NS_PER_S);
}

TEST(one_that_is_killed_was_killed)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(16);
    struct cl_error err;

    CHECK(call_foreign("kill -KILL $$", &output, &err) == -EIO);
    CHECK_TEXT(err.msg, "its answer: docker-credential-x was ended by signal 9");
}

TEST(what_one_said_that_failed_is_kept)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(16);
    struct cl_error err;

    CHECK(call_foreign("echo \"$1\"; echo it is locked >&2; exit 1", &output, &err) == -EINVAL);
    CHECK_TEXT(err.msg, "it is locked");
    CHECK_TEXT(cl_buf_text(&output), "get\n");
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(one_that_does_not_answer_is_told_as_that),
        ROW(one_that_is_killed_was_killed),
        ROW(what_one_said_that_failed_is_kept),
    };

    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
