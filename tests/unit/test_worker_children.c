/* test_worker_children.c - a worker whose guests have processes, as its clients see it, with guests
 * that only look like some (worker_scene.h), and each of its calls failing. */
#include <dirent.h>
#include <sys/syscall.h>

#include "worker_scene.h"

enum { SOME = 6 };

static struct scene begin(void)
{
    return scene_begin_as(PROCESSES, GUESTS, NULL);
}

/* The next answer is that GUEST has ended like this. */
static void expect_end(int client, uint64_t guest, uint32_t status, uint32_t code)
{
    struct cl_answer answer;

    CHECK(client_answer(client, &answer));
    CHECK(answer.kind == CL_ANSWER_ENDED && answer.guest == guest);
    CHECK(answer.status == status && answer.code == code);
}

/* --- ends ---------------------------------------------------------------------------------- */

TEST(each_end_is_told)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    struct cl_answer answer;

    CHECK(client_run_plain(&scene, client, 1, "exit", "M"));
    expect_end(client, 1, CL_ANSWER_EXITED, 'M');
    CHECK(client_run_plain(&scene, client, 2, "trap", NULL));
    CHECK(client_answer(client, &answer) && answer.status == CL_ANSWER_TRAPPED);
    CHECK_TEXT(answer.message, "it trapped");
    CHECK(client_run_plain(&scene, client, 3, "fail", NULL));
    CHECK(client_answer(client, &answer) && answer.kind == CL_ANSWER_REFUSED);
    CHECK(answer.code == EINVAL);
    CHECK_HAS(answer.message, "can't begin");
    CHECK(client_run_plain(&scene, client, 4, "rest", NULL));
    CHECK(client_order(client, CL_ORDER_END, 4));
    expect_end(client, 4, CL_ANSWER_KILLED, 0);
    CHECK(client_run_plain(&scene, client, 5, "die", NULL)); /* as of a broken engine's */
    expect_end(client, 5, CL_ANSWER_SIGNALED, SIGABRT);
    CHECK(client_run_plain(&scene, client, 6, "leave", NULL)); /* without a word */
    expect_end(client, 6, CL_ANSWER_EXITED, 7);
    CHECK(scene_end(&scene) == 0);
}

TEST(each_limit_ends_a_guest)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    const struct cl_order_run time = {.time_ns = 20 * CL_NS_PER_MS};
    const struct cl_order_run cpu_time = {.cpu_time_ns = 30 * CL_NS_PER_MS};
    const struct cl_order_run output = {.output_bytes = 3};
    const struct run runs[] = {
        {.number = 1, .what = "rest", .module = scene.module, .limits = time},
        {.number = 2, .what = "spin", .module = scene.module, .limits = time},
        {.number = 3, .what = "spin", .module = scene.module, .limits = cpu_time},
        {.number = 4, .what = "say", .word = "abcd", .module = scene.module, .limits = output},
    };
    static const uint32_t statuses[] = {CL_ANSWER_TIME, CL_ANSWER_TIME, CL_ANSWER_CPU_TIME,
                                        CL_ANSWER_OUTPUT};
    struct cl_answer answer;

    for (size_t i = 0; i < CL_ARRAY_SIZE(runs); i++) {
        CHECK(client_run(client, &runs[i]));
        CHECK(client_answer(client, &answer) && answer.guest == i + 1);
        CHECK(answer.kind == CL_ANSWER_ENDED && answer.status == statuses[i]);
        if (statuses[i] == CL_ANSWER_CPU_TIME)
            CHECK(answer.cpu_ns >= 30 * CL_NS_PER_MS && answer.cpu_ns < 80 * CL_NS_PER_MS);
        if (statuses[i] == CL_ANSWER_OUTPUT)
            CHECK(answer.output_bytes == 3);
    }
    CHECK(scene_end(&scene) == 0);
}

TEST(one_that_is_paused_uses_nothing)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    const struct cl_order_run limits = {.cpu_time_ns = 40 * CL_NS_PER_MS};
    struct cl_answer first, second;

    CHECK(client_run(
        client,
        &(struct run){.number = 1, .what = "spin", .module = scene.module, .limits = limits}));
    CHECK(client_order(client, CL_ORDER_PAUSE, 1));
    CHECK(client_order(client, CL_ORDER_TELL, 1)); /* the signal is on its way */
    CHECK(client_answer(client, &first) && first.kind == CL_ANSWER_TOLD);
    const struct cl_order_run time = {.time_ns = 100 * CL_NS_PER_MS};
    CHECK(client_run(
        client,
        &(struct run){.number = 2, .what = "rest", .module = scene.module, .limits = time}));
    expect_end(client, 2, CL_ANSWER_TIME, 0);
    CHECK(client_order(client, CL_ORDER_TELL, 1));
    CHECK(client_answer(client, &second) && second.kind == CL_ANSWER_TOLD);
    CHECK(second.cpu_ns < 40 * CL_NS_PER_MS && second.run_ns > 100 * CL_NS_PER_MS);
    CHECK(client_order(client, CL_ORDER_CONTINUE, 1));
    expect_end(client, 1, CL_ANSWER_CPU_TIME, 0);
    CHECK(scene_end(&scene) == 0);
}

TEST(there_are_as_many_as_there_may_be)
{
    struct scene scene = scene_begin_as(PROCESSES, 2, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    struct cl_answer answer;

    for (uint64_t i = 1; i <= 2; i++)
        CHECK(client_run_plain(&scene, client, i, "rest", NULL));
    CHECK(client_run_plain(&scene, client, 3, "exit", ""));
    CHECK(client_answer(client, &answer) && answer.kind == CL_ANSWER_REFUSED);
    CHECK(answer.code == EBUSY && answer.guest == 3);
    CHECK(client_order(client, CL_ORDER_END, 1));
    expect_end(client, 1, CL_ANSWER_KILLED, 0);
    CHECK(client_run_plain(&scene, client, 3, "exit", "x"));
    expect_end(client, 3, CL_ANSWER_EXITED, 'x');
    CHECK(scene_end(&scene) == 0);
}

/* --- what a guest has ---------------------------------------------------------------------- */

TEST(streams_are_the_guests_alone)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    char got[64] = "";

    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK(client_run(client, &(struct run){.number = 1,
                                           .what = "copy",
                                           .module = scene.module,
                                           .streams = {in[0], out[1], 0}}));
    cl_fd_close(&in[0]);
    cl_fd_close(&out[1]);
    /* Born later, and it stays: it has no copy of the output, whose end would not come else. */
    CHECK(client_run_plain(&scene, other, 1, "rest", NULL));
    CHECK(write(in[1], "late words", 10) == 10);
    cl_fd_close(&in[1]);
    ssize_t size = 0;
    for (ssize_t more = 1; more > 0 && wait_until(out[0], POLLIN | POLLHUP); size += more)
        more = read(out[0], got + size, sizeof(got) - (size_t)size);
    CHECK(size == 10);
    CHECK_TEXT(got, "late words");
    cl_fd_close(&out[0]);
    expect_end(client, 1, CL_ANSWER_EXITED, 0);
    CHECK(client_order(other, CL_ORDER_END, 1));
    expect_end(other, 1, CL_ANSWER_KILLED, 0);
    CHECK(scene_end(&scene) == 0);
}

/* Its directory and the line of its words: nothing of the worker's, of clients', of others'. */
TEST(nothing_else_is_open)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);

    for (uint64_t i = 1; i <= SOME; i++)
        CHECK(client_run_plain(&scene, other, i, "rest", NULL));
    CHECK(client_run_plain(&scene, client, 1, "descriptors", NULL));
    expect_end(client, 1, CL_ANSWER_EXITED, 2);
    CHECK(scene_end(&scene) == 0);
}

TEST(no_guest_finds_what_another_left)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);

    for (uint64_t i = 0; i < SOME; i++) {
        CHECK(client_run_plain(&scene, client, i, "make", NULL));
        expect_end(client, i, CL_ANSWER_EXITED, 0);
    }
    CHECK(scene_end(&scene) == 0);
}

/* What a guest that runs code of its own gets by opening WHAT of another's, which is in the scene:
 * an errno, or 0. */
static uint32_t peek(enum scene_kind kind, const char *what)
{
    struct scene scene = scene_begin_as(kind, GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);
    struct cl_answer answer;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", scene.path, what);
    CHECK(client_run_plain(&scene, other, 1, "rest", NULL)); /* its directory is .guests/0 */
    CHECK(client_order(other, CL_ORDER_TELL, 1) && client_answer(other, &answer));
    CHECK(client_run_plain(&scene, client, 1, "open", path));
    CHECK(client_answer(client, &answer) && answer.status == CL_ANSWER_EXITED);
    CHECK(scene_end(&scene) == 0);
    return answer.code;
}

TEST(a_broken_guest_reaches_no_others_files)
{
    static const char *const paths[] = {".guests/0", ".guests", ".trash", "module", "."};

    for (size_t i = 0; i < CL_ARRAY_SIZE(paths); i++) {
        CHECK(peek(PROCESSES, paths[i]) == 0); /* it is the domain that keeps it away */
        CHECK(peek(CONFINED, paths[i]) == EACCES);
    }
    CHECK(peek(CONFINED, ".guests/1") == 0); /* its own */
}

TEST(a_broken_guest_has_no_calls_but_a_workers)
{
    struct scene scene = scene_begin_as(CONFINED, GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    static const char *const calls[] = {"signal", "attach", "fork", "code"};

    for (uint64_t i = 0; i < CL_ARRAY_SIZE(calls); i++) {
        CHECK(client_run_plain(&scene, client, i, calls[i], NULL));
        expect_end(client, i, CL_ANSWER_SIGNALED, SIGSYS);
    }
    CHECK(client_run_plain(&scene, client, 9, "exit", "x")); /* and nobody else is the worse */
    expect_end(client, 9, CL_ANSWER_EXITED, 'x');
    CHECK(scene_end(&scene) == 0);
}

/* The one signal that a worker's filter has. */
TEST(a_broken_guest_ends_no_other)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, who becomes another user");
    struct scene scene = scene_begin_as(USERS, GUESTS, NULL);
    int client = scene_client(&scene, 0);
    struct cl_answer answer;
    char number[16];
    int status = 0;

    (void)snprintf(number, sizeof(number), "%d", (int)scene.pid);
    CHECK(client_run_plain(&scene, client, 1, "abort", number));
    expect_end(client, 1, CL_ANSWER_EXITED, EPERM);
    CHECK(client_run_plain(&scene, client, 2, "rest", NULL)); /* the worker can, as it has to */
    CHECK(client_order(client, CL_ORDER_END, 2));
    expect_end(client, 2, CL_ANSWER_KILLED, 0);
    cl_fd_close(&client);
    CHECK(scene_end(&scene) == 0);

    scene = scene_begin_as(PROCESSES, GUESTS, NULL); /* whom neither user nor domain keeps away */
    client = scene_client(&scene, 0);
    (void)snprintf(number, sizeof(number), "%d", (int)scene.pid);
    CHECK(client_run_plain(&scene, client, 1, "abort", number));
    CHECK(!client_answer(client, &answer));
    cl_fd_close(&client);
    cl_fd_close(&scene.line);
    cl_fd_close(&scene.module);
    CHECK(waitpid(scene.pid, &status, 0) == scene.pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(nftw(scene.path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* Files are the worker's, whoever made them: the next guest's directory is there to be removed. */
TEST(what_a_guest_makes_is_the_workers)
{
    if (geteuid() != 0)
        SKIP_TEST("needs root, who becomes another user");
    struct scene scene = scene_begin_as(USERS, GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);

    for (uint64_t i = 0; i < SOME; i++) {
        CHECK(client_run_plain(&scene, client, i, "make", NULL));
        expect_end(client, i, CL_ANSWER_EXITED, 0);
    }
    CHECK(scene_end(&scene) == 0);
}

/* A file in the place of a cgroup's. */
TEST(it_enters_each_cgroup_before_it_runs)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    const struct cl_order_run limits = {.groups = 2};
    int doors[2] = {make_module(&scene, "door"), make_module(&scene, "another")};
    char got[8] = "";
    struct cl_answer answer;

    CHECK(client_run(client, &(struct run){.number = 1,
                                           .what = "exit",
                                           .word = "k",
                                           .module = scene.module,
                                           .limits = limits,
                                           .groups = {doors[0], doors[1]}}));
    expect_end(client, 1, CL_ANSWER_EXITED, 'k');
    for (size_t i = 0; i < 2; i++)
        CHECK(pread(doors[i], got, sizeof(got), PROGRAM_SIZE) == 1 && got[0] == '0');
    cl_fd_close(&doors[0]); /* one that can't be entered */
    doors[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(client_run(client, &(struct run){.number = 2,
                                           .what = "exit",
                                           .word = "k",
                                           .module = scene.module,
                                           .limits = limits,
                                           .groups = {doors[0], doors[1]}}));
    CHECK(client_answer(client, &answer) && answer.kind == CL_ANSWER_REFUSED);
    CHECK_HAS(answer.message, "enter the guest's cgroup");
    for (size_t i = 0; i < 2; i++)
        cl_fd_close(&doors[i]);
    CHECK(scene_end(&scene) == 0);
}

TEST(who_takes_turns_has_no_cgroup)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    int door = make_module(&scene, "door");
    struct cl_answer answer;

    CHECK(client_run(client, &(struct run){.number = 1,
                                           .what = "exit",
                                           .module = scene.module,
                                           .limits = {.groups = 1},
                                           .groups = {door}}));
    CHECK(client_answer(client, &answer) && answer.kind == CL_ANSWER_REFUSED);
    CHECK(answer.code == ENOTSUP);
    cl_fd_close(&door);
    CHECK(scene_end(&scene) == 0);
}

/* --- clients ------------------------------------------------------------------------------- */

TEST(the_guests_of_who_is_gone_end)
{
    struct scene scene = begin();
    int client = scene_client(&scene, 0);
    int out[2] = {-1, -1};
    char got[64] = "";
    static const char *const what[] = {"rest", "spin", "copy"};

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    for (uint64_t i = 0; i < 3; i++)
        CHECK(client_run(client, &(struct run){.number = i,
                                               .what = what[i],
                                               .module = scene.module,
                                               .streams = {out[0], out[1], 0}}));
    cl_fd_close(&out[1]);
    cl_fd_close(&client);
    CHECK(wait_until(out[0], POLLHUP) && read(out[0], got, sizeof(got)) == 0);
    cl_fd_close(&out[0]);
    CHECK(scene_end(&scene) == 0);
}

/* They end with it, however that was. */
TEST(the_guests_of_a_worker_that_is_killed_end)
{
    struct scene scene = begin();
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    int out[2] = {-1, -1};
    char got[64] = "";
    int status = 0;

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    CHECK(client_run(client, &(struct run){.number = 1,
                                           .what = "say",
                                           .word = "here",
                                           .module = scene.module,
                                           .streams = {0, out[1], 0}}));
    expect_end(client, 1, CL_ANSWER_EXITED, 0);
    CHECK(client_run(client, &(struct run){.number = 2,
                                           .what = "spin",
                                           .module = scene.module,
                                           .streams = {0, out[1], 0}}));
    CHECK(client_order(client, CL_ORDER_TELL, 2));
    struct cl_answer answer;
    CHECK(client_answer(client, &answer)); /* it is born */
    cl_fd_close(&out[1]);
    CHECK(kill(scene.pid, SIGKILL) == 0 && waitpid(scene.pid, &status, 0) == scene.pid);
    CHECK(read(out[0], got, sizeof(got)) == 4);
    CHECK(wait_until(out[0], POLLHUP) && read(out[0], got, sizeof(got)) == 0);
    cl_fd_close(&out[0]);
    cl_fd_close(&scene.line);
    cl_fd_close(&scene.module);
    CHECK(nftw(scene.path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* --- faults -------------------------------------------------------------------------------- */

/* A day in the life of a worker, with FAULT: whatever it was, nobody waits for ever. */
static int live(enum scene_kind kind, const char *fault)
{
    struct scene scene = scene_begin_as(kind, GUESTS, fault);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    const struct cl_order_run time = {.time_ns = 5 * CL_NS_PER_MS};
    int out[2] = {-1, -1};
    char got[64];
    struct cl_answer answer;

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    (void)client_run(client, &(struct run){.number = 1,
                                           .what = "make",
                                           .module = scene.module,
                                           .limits = time,
                                           .streams = {0, 0, out[1]}});
    (void)client_run(client, &(struct run){.number = 2,
                                           .what = "copy",
                                           .module = scene.module,
                                           .streams = {out[0], 0, out[1]}});
    (void)client_order(client, CL_ORDER_PAUSE, 2);
    (void)client_order(client, CL_ORDER_CONTINUE, 2);
    (void)client_order(client, CL_ORDER_END, 2);
    cl_fd_close(&out[1]);
    CHECK(wait_until(out[0], POLLHUP) && read(out[0], got, sizeof(got)) == 0);
    cl_fd_close(&out[0]);
    for (int i = 0; i < 2 && client_answer(client, &answer); i++)
        ;
    return scene_end(&scene);
}

static void live_with(enum scene_kind scene, const char *kind, int most)
{
    char fault[32];
    int r = STRUCK;
    int last = 0;

    for (int n = 1; r == STRUCK && n < most; n += n < 80 ? 1 : 5) {
        (void)snprintf(fault, sizeof(fault), "%s:%d", kind, n);
        r = live(scene, fault);
        last = n;
        if (r != STRUCK && r != 0)
            printf("# %s: %d\n", fault, r);
    }
    CHECK(r == 0 && last > 10);
}

TEST(each_allocation_may_fail)
{
    live_with(CONFINED, "alloc", 400);
}

TEST(each_call_may_fail)
{
    live_with(CONFINED, "syscall", 1500);
    if (geteuid() == 0)
        live_with(USERS, "syscall", 1500);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_end_is_told),
        ROW(each_limit_ends_a_guest),
        ROW(one_that_is_paused_uses_nothing),
        ROW(there_are_as_many_as_there_may_be),
        ROW(streams_are_the_guests_alone),
        ROW(nothing_else_is_open),
        ROW(no_guest_finds_what_another_left),
        ROW(a_broken_guest_reaches_no_others_files),
        ROW(a_broken_guest_has_no_calls_but_a_workers),
        ROW(a_broken_guest_ends_no_other),
        ROW(what_a_guest_makes_is_the_workers),
        ROW(it_enters_each_cgroup_before_it_runs),
        ROW(who_takes_turns_has_no_cgroup),
        ROW(the_guests_of_who_is_gone_end),
        ROW(the_guests_of_a_worker_that_is_killed_end),
        ROW(each_allocation_may_fail),
        ROW(each_call_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
