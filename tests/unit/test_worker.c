/* test_worker.c - a worker for many guests as its clients see it, with guests that only look like
 * some (worker_scene.h), and each of its calls failing. */
#include <sys/resource.h>
#include <sys/syscall.h>

#include "worker_scene.h"

enum { SOME = 12 };

/* The next answer is that GUEST has ended like this. */
static void expect_end(int client, uint64_t guest, uint32_t status, uint32_t code)
{
    struct cl_answer answer;

    CHECK(client_answer(client, &answer));
    CHECK(answer.kind == CL_ANSWER_ENDED && answer.guest == guest);
    CHECK(answer.status == status && answer.code == code);
}

static void expect_refusal(int client, uint64_t guest, int code, const char *why)
{
    struct cl_answer answer;

    CHECK(client_answer(client, &answer));
    CHECK(answer.kind == CL_ANSWER_REFUSED && answer.guest == guest);
    CHECK(answer.code == (uint32_t)code);
    CHECK_HAS(answer.message, why);
}

/* All that comes from FD, up to its end. */
static size_t read_rest(int fd, char *ret, size_t size)
{
    size_t got = 0;

    while (got < size && wait_until(fd, POLLIN | POLLHUP)) {
        const ssize_t more = read(fd, ret + got, size - got);

        if (more <= 0)
            break;
        got += (size_t)more;
    }
    return got;
}

/* --- one client ---------------------------------------------------------------------------- */

TEST(each_end_is_told)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);

    CHECK(client_run_plain(&scene, client, 1, "exit", "M"));
    expect_end(client, 1, CL_ANSWER_EXITED, 'M');
    CHECK(client_run_plain(&scene, client, 2, "trap", NULL));
    struct cl_answer answer;
    CHECK(client_answer(client, &answer) && answer.status == CL_ANSWER_TRAPPED);
    CHECK_TEXT(answer.message, "it trapped");
    CHECK(client_run_plain(&scene, client, 3, "fail", NULL));
    expect_refusal(client, 3, EINVAL, "can't begin");
    CHECK(client_run_plain(&scene, client, UINT64_MAX, "rest", NULL));
    CHECK(client_order(client, CL_ORDER_END, UINT64_MAX));
    expect_end(client, UINT64_MAX, CL_ANSWER_KILLED, 0);
    CHECK(client_run_plain(&scene, client, 1, "exit", "N")); /* again */
    expect_end(client, 1, CL_ANSWER_EXITED, 'N');
    CHECK(scene_end(&scene) == 0);
}

TEST(each_limit_ends_a_guest)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    const struct cl_order_run time = {.time_ns = 20 * CL_NS_PER_MS};
    const struct cl_order_run cpu_time = {.cpu_time_ns = 20 * CL_NS_PER_MS};
    const struct cl_order_run output = {.output_bytes = 3};

    CHECK(client_run(
        client,
        &(struct run){.number = 1, .what = "rest", .module = scene.module, .limits = time}));
    expect_end(client, 1, CL_ANSWER_TIME, 0);
    CHECK(client_run(
        client,
        &(struct run){.number = 2, .what = "spin", .module = scene.module, .limits = time}));
    expect_end(client, 2, CL_ANSWER_TIME, 0);
    CHECK(client_run(
        client,
        &(struct run){.number = 3, .what = "spin", .module = scene.module, .limits = cpu_time}));
    expect_end(client, 3, CL_ANSWER_CPU_TIME, 0);
    CHECK(client_run(
        client,
        &(struct run){
            .number = 4, .what = "say", .module = scene.module, .word = "abcd", .limits = output}));
    struct cl_answer answer;
    CHECK(client_answer(client, &answer) && answer.status == CL_ANSWER_OUTPUT);
    CHECK(answer.guest == 4 && answer.output_bytes == 3);
    CHECK(scene_end(&scene) == 0);
}

TEST(memory_is_the_less_of_both_limits)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    static const uint64_t wanted[] = {0, 1 << 16, 1 << 20, (1 << 20) + 1, UINT64_MAX};
    struct cl_answer answer;

    for (uint64_t i = 0; i < CL_ARRAY_SIZE(wanted); i++) {
        const struct cl_order_run limits = {.memory_bytes = wanted[i]};

        CHECK(client_run(
            client,
            &(struct run){.number = i, .what = "exit", .module = scene.module, .limits = limits}));
        CHECK(client_answer(client, &answer));
        CHECK(answer.memory_bytes == (i == 1 ? 1 << 16 : 1 << 20));
    }
    CHECK(scene_end(&scene) == 0);
}

TEST(streams_are_the_guests)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    char got[64] = "";
    struct cl_answer answer;

    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK(client_run(client, &(struct run){.number = 1,
                                           .what = "copy",
                                           .module = scene.module,
                                           .streams = {in[0], out[1], 0}}));
    cl_fd_close(&in[0]);
    cl_fd_close(&out[1]);
    CHECK(client_order(client, CL_ORDER_TELL, 1));
    CHECK(client_answer(client, &answer) && answer.kind == CL_ANSWER_TOLD && answer.guest == 1);
    CHECK(answer.output_bytes == 0 && answer.memory_bytes == 1 << 20);
    CHECK(write(in[1], "late words", 10) == 10);
    cl_fd_close(&in[1]);
    CHECK(read_rest(out[0], got, sizeof(got)) == 10);
    CHECK_TEXT(got, "late words");
    CHECK(client_answer(client, &answer) && answer.status == CL_ANSWER_EXITED);
    CHECK(answer.output_bytes == 10 && answer.error_bytes == 0);
    cl_fd_close(&out[0]);
    CHECK(scene_end(&scene) == 0);
}

TEST(where_a_guest_trapped_is_on_its_standard_error)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    int out[2] = {-1, -1};
    char got[64] = "";

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    CHECK(client_run(client, &(struct run){.number = 1,
                                           .what = "trap",
                                           .module = scene.module,
                                           .streams = {0, 0, out[1]}}));
    cl_fd_close(&out[1]);
    CHECK(read_rest(out[0], got, sizeof(got)) == 13);
    CHECK_TEXT(got, "where it was\n");
    expect_end(client, 1, CL_ANSWER_TRAPPED, 0);
    cl_fd_close(&out[0]);
    CHECK(scene_end(&scene) == 0);
}

TEST(no_guest_has_anothers_directory)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);

    for (uint64_t i = 0; i < SOME; i++) {
        CHECK(client_run_plain(&scene, client, i, "make", NULL));
        expect_end(client, i, CL_ANSWER_EXITED, CL_WASI_SUCCESS);
    }
    CHECK(scene_end(&scene) == 0);
}

/* --- refusals ------------------------------------------------------------------------------ */

TEST(there_are_as_many_guests_as_there_may_be)
{
    struct scene scene = scene_begin(2, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);

    CHECK(client_run_plain(&scene, client, 1, "rest", NULL));
    CHECK(client_run_plain(&scene, client, 1, "rest", NULL));
    expect_refusal(client, 1, EEXIST, "of this number");
    CHECK(client_run_plain(&scene, client, 2, "spin", NULL));
    CHECK(client_run_plain(&scene, client, 3, "rest", NULL));
    expect_refusal(client, 3, EBUSY, "has 2 guests");
    CHECK(client_run_plain(&scene, other, 1, "rest", NULL));
    expect_refusal(other, 1, EBUSY, "has 2 guests"); /* both clients' together */
    CHECK(client_order(client, CL_ORDER_END, 2));
    expect_end(client, 2, CL_ANSWER_KILLED, 0);
    CHECK(client_run_plain(&scene, other, 1, "exit", ""));
    expect_end(other, 1, CL_ANSWER_EXITED, 0);
    CHECK(scene_end(&scene) == 0);
}

/* As many descriptors as the worker may have are taken: the next guest is refused, and nobody else
 * is the worse for it. */
TEST(without_descriptors_a_guest_is_refused)
{
    struct rlimit before = {0};
    struct cl_answer answer = {.kind = CL_ANSWER_TOLD};
    uint64_t running = 0;

    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const struct rlimit few = {.rlim_cur = 40, .rlim_max = before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    struct scene scene = scene_begin(GUESTS, NULL);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);

    while (running < GUESTS && answer.kind == CL_ANSWER_TOLD) {
        CHECK(client_run_plain(&scene, client, ++running, "rest", NULL));
        CHECK(client_order(client, CL_ORDER_TELL, running));
        CHECK(client_answer(client, &answer) && answer.guest == running);
    }
    CHECK(running > 4 && running < GUESTS);
    CHECK(answer.kind == CL_ANSWER_REFUSED && answer.code == EMFILE);
    for (uint64_t i = 1; i < running; i++) {
        CHECK(client_order(client, CL_ORDER_END, i));
        expect_end(client, i, CL_ANSWER_KILLED, 0);
    }
    CHECK(client_run_plain(&scene, client, 1, "make", NULL));
    expect_end(client, 1, CL_ANSWER_EXITED, CL_WASI_SUCCESS);
    CHECK(scene_end(&scene) == 0);
}

TEST(what_is_no_module_is_refused)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    CL_CLEANUP_FD int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CL_CLEANUP_FD int junk = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    CHECK(client_run(client, &(struct run){.number = 1, .what = "exit", .module = empty}));
    expect_refusal(client, 1, ENOEXEC, "no file");
    CHECK(client_run(client, &(struct run){.number = 2, .what = "exit", .module = junk}));
    expect_refusal(client, 2, ENOEXEC, "no program");
    CHECK(client_run_plain(&scene, client, 3, "exit", ""));
    expect_end(client, 3, CL_ANSWER_EXITED, 0);
    CHECK(scene_end(&scene) == 0);
}

/* Those that run stay, the others go when there is no room. */
TEST(modules_come_and_go)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    char name[16];

    CHECK(client_run_plain(&scene, client, 0, "rest", NULL));
    for (int i = 1; i <= CL_PROGRAMS_MOST + 20; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        CL_CLEANUP_FD int module = make_module(&scene, name);
        CHECK(client_run(client,
                         &(struct run){.number = (uint64_t)i, .what = "exit", .module = module}));
        expect_end(client, (uint64_t)i, CL_ANSWER_EXITED, 0);
    }
    CHECK(client_order(client, CL_ORDER_END, 0));
    expect_end(client, 0, CL_ANSWER_KILLED, 0);
    CHECK(scene_end(&scene) == 0);
}

TEST(there_are_as_many_modules_as_there_may_be)
{
    struct scene scene = scene_begin(CL_PROGRAMS_MOST + 1, NULL);
    CL_CLEANUP_FD int client = scene_client(&scene, 0);
    char name[16];

    for (uint64_t i = 0; i <= CL_PROGRAMS_MOST; i++) {
        (void)snprintf(name, sizeof(name), "m%d", (int)i);
        CL_CLEANUP_FD int module = make_module(&scene, name);
        CHECK(client_run(client, &(struct run){.number = i, .what = "rest", .module = module}));
    }
    expect_refusal(client, CL_PROGRAMS_MOST, EBUSY, "256 modules already");
    CHECK(scene_end(&scene) == 0);
}

TEST(what_is_no_order_ends_its_client)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int bad = scene_client(&scene, 0);
    CL_CLEANUP_FD int good = scene_client(&scene, 0);
    struct cl_answer answer;

    CHECK(client_run_plain(&scene, bad, 1, "rest", NULL));
    CHECK(client_run_plain(&scene, good, 1, "rest", NULL));
    CHECK(client_order(bad, 99, 1));
    expect_refusal(bad, 0, EPROTO, "kind 99");
    CHECK(!client_answer(bad, &answer));
    CHECK(client_order(good, CL_ORDER_END, 1));
    expect_end(good, 1, CL_ANSWER_KILLED, 0);
    CHECK(scene_end(&scene) == 0);
}

/* --- volumes ------------------------------------------------------------------------------- */

/* A worker that was told of COUNT volumes, of which the line has one, of SIZE bytes. */
static int make_with_volume(const struct cl_worker_volume *volume, size_t size, uint32_t count,
                            struct cl_error *err)
{
    const struct cl_worker_orders orders = {.version = CL_WORKER_VERSION,
                                            .max_descriptors = 20,
                                            .memory_bytes = 1,
                                            .table_elements = 1,
                                            .guests = 1,
                                            .volumes = count};
    struct cl_worker *worker = NULL;
    char path[] = "/var/tmp/cloister-test-worker-XXXXXX";
    int line[2] = {-1, -1};

    CL_ASSERT(mkdtemp(path) != NULL);
    CL_CLEANUP_FD int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(mkdirat(root, "there", 0700) == 0 && symlinkat("there", root, "link") == 0);
    CHECK(mknodat(root, "file", S_IFREG | 0600, 0) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) == 0);
    CHECK(send(line[0], volume, size, 0) == (ssize_t)size);
    cl_fd_close(&line[0]);
    int r = cl_worker_new(&orders, line[1], root, &worker, err);
    if (r == 0)
        CHECK(worker->volumes.count == 1 && worker->volumes.items[0].is_read_only);
    cl_worker_free(worker);
    cl_fd_close(&line[1]);
    CHECK(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return r;
}

TEST(volumes_are_directories_of_the_root)
{
    static const struct {
        const char *path;
        int error;
    } rows[] = {
        {"/there", 0},      {"/none", -ENOENT}, {"/link", -ENOTDIR}, {"/file", -ENOTDIR},
        {"there", -EPROTO}, {"", -EPROTO},      {"/", -ENOENT},
    };
    struct cl_error err = {0};
    const size_t head = offsetof(struct cl_worker_volume, path);

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_worker_volume volume = {.is_read_only = 1};
        const int before = check_count_fds();

        (void)snprintf(volume.path, sizeof(volume.path), "%s", rows[i].path);
        CHECK(make_with_volume(&volume, head + strlen(volume.path) + 1, 1, &err) == rows[i].error);
        CHECK(make_with_volume(&volume, sizeof(volume), 1, &err) == rows[i].error);
        CHECK(check_count_fds() == before);
    }
}

TEST(what_is_no_volume_is_refused)
{
    struct cl_worker_volume volume = {.is_read_only = 1};
    struct cl_error err = {0};

    memset(volume.path, '/', sizeof(volume.path)); /* and no NUL */
    CHECK(make_with_volume(&volume, sizeof(volume), 1, &err) == -EPROTO);
    CHECK(make_with_volume(&volume, offsetof(struct cl_worker_volume, path), 1, &err) == -EPROTO);
    CHECK(make_with_volume(&volume, 1, 1, &err) == -EPROTO);
    (void)snprintf(volume.path, sizeof(volume.path), "/there");
    CHECK(make_with_volume(&volume, sizeof(volume), 2, &err) == -EPROTO); /* the line has ended */
    CHECK(make_with_volume(&volume, sizeof(volume), CL_WORKER_VOLUMES_MOST + 1, &err) == -EPROTO);
    CHECK_HAS(err.msg, "256 volumes at most");
}

/* --- clients ------------------------------------------------------------------------------- */

TEST(the_guests_of_who_is_gone_end)
{
    struct scene scene = scene_begin(GUESTS, NULL);
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
    CHECK(read_rest(out[0], got, sizeof(got)) == 0);
    cl_fd_close(&out[0]);
    CHECK(scene_end(&scene) == 0);
}

TEST(no_client_has_anothers_guest)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int one = scene_client(&scene, 0);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);

    CHECK(client_run_plain(&scene, one, 5, "rest", NULL));
    for (uint32_t kind = CL_ORDER_END; kind <= CL_ORDER_TELL; kind++)
        CHECK(client_order(other, kind, 5));
    CHECK(client_run_plain(&scene, other, 6, "exit", ""));
    expect_end(other, 6, CL_ANSWER_EXITED, 0); /* the first answer of all */
    CHECK(client_order(one, CL_ORDER_END, 5));
    expect_end(one, 5, CL_ANSWER_KILLED, 0);
    CHECK(scene_end(&scene) == 0);
}

TEST(answers_wait_for_who_does_not_read)
{
    struct scene scene = scene_begin(GUESTS, NULL);
    CL_CLEANUP_FD int slow = scene_client(&scene, 1);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);

    for (uint64_t i = 0; i < SOME; i++)
        CHECK(client_run_plain(&scene, slow, i, "rest", ""));
    for (uint64_t i = 0; i < SOME; i++)
        CHECK(client_order(slow, CL_ORDER_END, i));
    CHECK(client_run_plain(&scene, other, 1, "exit", ""));
    expect_end(other, 1, CL_ANSWER_EXITED, 0);
    for (uint64_t i = 0; i < SOME; i++)
        expect_end(slow, i, CL_ANSWER_KILLED, 0); /* in their order */
    CHECK(scene_end(&scene) == 0);
}

/* --- faults -------------------------------------------------------------------------------- */

static int count_answers(int client, int most)
{
    struct cl_answer answer;
    int count = 0;

    while (count < most && client_answer(client, &answer))
        count++;
    return count;
}

/* A day in the life of a worker, with FAULT: whatever it was, nobody waits for ever. Guests that
 * end by themselves while their client doesn't read, one that is ended, one that copies. */
static int live(const char *fault)
{
    struct scene scene = scene_begin(GUESTS, fault);
    CL_CLEANUP_FD int slow = scene_client(&scene, 1);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);
    const struct cl_order_run time = {.time_ns = CL_NS_PER_MS};
    int out[2] = {-1, -1};
    char got[64] = "";

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    for (uint64_t i = 0; i < SOME; i++)
        (void)client_run(slow, &(struct run){.number = i,
                                             .what = i % 2 ? "make" : "rest",
                                             .module = scene.module,
                                             .limits = time});
    (void)client_run(other, &(struct run){.number = 1,
                                          .what = "copy",
                                          .module = scene.module,
                                          .streams = {out[0], 0, out[1]}});
    (void)client_order(other, CL_ORDER_PAUSE, 1);
    (void)client_order(other, CL_ORDER_CONTINUE, 1);
    (void)client_order(other, CL_ORDER_END, 1);
    cl_fd_close(&out[1]);
    CHECK(read_rest(out[0], got, sizeof(got)) == 0);
    cl_fd_close(&out[0]);
    (void)count_answers(slow, SOME);
    (void)count_answers(other, 1);
    return scene_end(&scene);
}

/* How many answers a slow client's socket takes. */
static uint64_t count_room(void)
{
    const struct cl_answer answer = {0};
    const int size = 1;
    int pair[2] = {-1, -1};
    uint64_t count = 0;

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    while (count < 1000 && send(pair[1], &answer, sizeof(answer), 0) > 0)
        count++;
    cl_fd_close(&pair[0]);
    cl_fd_close(&pair[1]);
    return count;
}

/* COUNT answers, of which one has to be kept, and the Nth change of what is listened for fails. */
static int fail_to_listen(uint64_t count, int n)
{
    char fault[32];

    (void)snprintf(fault, sizeof(fault), "lacks:%d#%d=%d", SYS_epoll_ctl, n, ENOMEM);
    struct scene scene = scene_begin(GUESTS, fault);
    CL_CLEANUP_FD int client = scene_client(&scene, 1);
    CL_CLEANUP_FD int other = scene_client(&scene, 0);
    struct cl_answer answer;

    for (uint64_t i = 0; i < count; i++)
        (void)client_run_plain(&scene, client, i, "exit", "");
    if (client_run_plain(&scene, other, 1, "exit", "")) /* when all of those have ended */
        (void)client_answer(other, &answer);
    (void)count_answers(client, (int)count);
    return scene_end(&scene);
}

/* Or it would wait for an answer that never comes. */
TEST(who_can_not_be_listened_to_is_let_go)
{
    const uint64_t count = count_room() + 1;
    int r = STRUCK;

    CHECK(count > 2 && count < GUESTS);
    for (int n = 1; r == STRUCK && n < 100; n++)
        r = fail_to_listen(count, n);
    CHECK(r == 0);
}

/* Each of the first, by which a worker is made, and then some: a process each takes its time. */
static void live_with(const char *kind, int most)
{
    char fault[32];
    int r = STRUCK;
    int last = 0;

    for (int n = 1; r == STRUCK && n < most; n += n < 80 ? 1 : 5) {
        (void)snprintf(fault, sizeof(fault), "%s:%d", kind, n);
        r = live(fault);
        last = n;
        if (r != STRUCK && r != 0)
            printf("# %s: %d\n", fault, r);
    }
    CHECK(r == 0 && last > 20);
}

TEST(each_allocation_may_fail)
{
    live_with("alloc", 400);
}

TEST(each_call_may_fail)
{
    live_with("syscall", 1500);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_end_is_told),
        ROW(each_limit_ends_a_guest),
        ROW(memory_is_the_less_of_both_limits),
        ROW(streams_are_the_guests),
        ROW(where_a_guest_trapped_is_on_its_standard_error),
        ROW(no_guest_has_anothers_directory),
        ROW(there_are_as_many_guests_as_there_may_be),
        ROW(without_descriptors_a_guest_is_refused),
        ROW(what_is_no_module_is_refused),
        ROW(modules_come_and_go),
        ROW(there_are_as_many_modules_as_there_may_be),
        ROW(what_is_no_order_ends_its_client),
        ROW(volumes_are_directories_of_the_root),
        ROW(what_is_no_volume_is_refused),
        ROW(the_guests_of_who_is_gone_end),
        ROW(no_client_has_anothers_guest),
        ROW(answers_wait_for_who_does_not_read),
        ROW(who_can_not_be_listened_to_is_let_go),
        ROW(each_allocation_may_fail),
        ROW(each_call_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
