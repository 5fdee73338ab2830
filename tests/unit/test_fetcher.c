/* test_fetcher.c - cloister-fetch as the core sees it: what it is asked, and what it may answer,
 * whoever took it over. */
#include "base/fault.h"
#include "image/fetcher.h"
#include "fetch_scene.h"

static const struct cl_fetch_endpoint endpoint = {"https://registry.test", "user", "secret", "",
                                                  ""};

/* --- this program as cloister-fetch ----------------------------------------------------------- */

/* Says of each request what it was: kind, reference, and what came with it. */
static void echo(void)
{
    struct asked asked;

    while (fetch_take(&asked)) {
        char text[256];
        struct stat status = {0};

        if (asked.body >= 0)
            (void)fstat(asked.body, &status);
        (void)snprintf(text, sizeof(text), "%d %s %s %zu %s%s %d%d", (int)asked.request.kind,
                       asked.request.repository, asked.request.reference,
                       asked.request.endpoints.count, asked.request.endpoints.items[0].url,
                       asked.request.endpoints.items[0].secret, S_ISREG(status.st_mode),
                       asked.ticks >= 0);
        fetch_failed(asked.request.id, 1, text);
        fetch_drop(&asked);
    }
}

static void take_one(void)
{
    struct asked asked;

    (void)fetch_take(&asked);
    fetch_drop(&asked);
}

static void junk(void)
{
    take_one();
    fetch_send("junk", 4);
}

static void flood(void)
{
    static char much[CL_FETCH_MAX_MESSAGE + 1];

    take_one();
    fetch_send(much, sizeof(much));
}

/* What a core has no use for: descriptors. */
static void give_descriptors(void)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    const struct cl_fetch_report report = {.set = 1, .id = 1};
    struct cl_error err = {0};

    take_one();
    (void)cl_flat_write(&cl_fetch_report_shape, &report, &buf, &err);
    struct cl_packet packet = {
        .data = buf.data, .size = buf.size, .fds = {0, 1, 2, 3, 0, 1, 2, 3}, .fd_count = 8};
    (void)cl_channel_send(CL_FETCH_CHANNEL_FD, &packet, 0);
    (void)pause();
}

CL_NORETURN static void act(const char *what, int argc, char *argv[])
{
    (void)alarm(60);
    if (strcmp(what, "echo") == 0)
        echo();
    else if (strcmp(what, "args") == 0)
        _exit(argc == 4 && strcmp(argv[3], "--without-landlock") == 0 ? 5 : argc == 3 ? 6 : 7);
    else if (strcmp(what, "exit") == 0)
        take_one();
    else if (strcmp(what, "crash") == 0)
        (void)raise(SIGKILL);
    else if (strcmp(what, "junk") == 0)
        junk();
    else if (strcmp(what, "flood") == 0)
        flood();
    else if (strcmp(what, "descriptors") == 0)
        give_descriptors();
    else if (strcmp(what, "silent") == 0)
        for (;;)
            (void)pause();
    _exit(9);
}

/* --- the core's side -------------------------------------------------------------------------- */

struct scene {
    struct cl_fetcher fetcher;
    struct cl_buf message;
    struct cl_arena arena;
    struct cl_fetch_report report;
    struct cl_error err;
    int before;
};

static void scene_init(struct scene *scene, const char *what)
{
    *scene = (struct scene){.fetcher = CL_FETCHER_INIT,
                            .message = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE),
                            .arena = CL_ARENA_INIT(1 << 20)};
    scene->before = check_count_fds();
    fetch_fake(what);
    CHECK(cl_fetcher_start(0, &scene->fetcher, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
}

static void scene_done(struct scene *scene)
{
    cl_fetcher_done(&scene->fetcher);
    cl_buf_done(&scene->message);
    cl_arena_done(&scene->arena);
    CHECK(check_count_fds() == scene->before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

static struct cl_fetch_request request_of(enum cl_fetch_kind kind)
{
    return (struct cl_fetch_request){
        .set = ((1ULL << CL_FETCH_REQUEST_FIELD_COUNT) - 1) & ~CL_RECORD_BIT(CL_FETCH_REQUEST_ID),
        .kind = kind,
        .endpoints = {&endpoint, 1},
        .repository = "library/debian",
        .reference = "bookworm",
        .offset_bytes = 5,
        .size_bytes = 10,
    };
}

static int ask(struct scene *scene, int body, int ticks)
{
    struct cl_fetch_request request = request_of(CL_FETCH_BLOB);

    scene->err = (struct cl_error){0};
    return cl_fetcher_ask(&scene->fetcher, &request, body, ticks, &scene->err);
}

static int listen_once(struct scene *scene)
{
    scene->err = (struct cl_error){0};
    scene->report = (struct cl_fetch_report){0};
    return cl_fetcher_listen(&scene->fetcher, &scene->message, &scene->arena, &scene->report,
                             &scene->err);
}

TEST(requests_are_numbered_and_arrive_with_their_descriptors)
{
    CL_CLEANUP_SCENE struct scene scene;
    int ends[2];

    scene_init(&scene, "echo");
    CL_CLEANUP_FD int body = cl_sys_memfd_create("body", 1);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    static const char *const expected[] = {
        "1 library/debian bookworm 1 https://registry.testsecret 00",
        "1 library/debian bookworm 1 https://registry.testsecret 10",
        "1 library/debian bookworm 1 https://registry.testsecret 11",
    };
    for (uint64_t i = 0; i < 3; i++) {
        CHECK(ask(&scene, i > 0 ? body : -1, i > 1 ? ends[1] : -1) == 0);
        CHECK(listen_once(&scene) == 0);
        CHECK(scene.report.id == i + 1 && scene.report.kind == CL_FETCH_FAILED);
        CHECK_TEXT(scene.report.error, expected[i]);
    }
    CHECK(fcntl(body, F_GETFD) >= 0 && fcntl(ends[1], F_GETFD) >= 0); /* the caller's still */
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
    cl_fd_close(&body);
}

TEST(several_are_asked_for_at_once)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "echo");
    for (int i = 0; i < 5; i++)
        CHECK(ask(&scene, -1, -1) == 0);
    for (uint64_t i = 1; i <= 5; i++)
        CHECK(listen_once(&scene) == 0 && scene.report.id == i);
}

/* As many authorities and endpoints as a message can have. */
TEST(a_large_request_arrives)
{
    CL_CLEANUP_SCENE struct scene scene;
    CL_CLEANUP_FREE char *authority = calloc(1, CL_FETCH_MAX_MESSAGE);
    struct cl_fetch_endpoint large = endpoint;
    struct cl_fetch_request request = request_of(CL_FETCH_LOGIN);

    scene_init(&scene, "echo");
    memset(authority, 'x', CL_FETCH_MAX_MESSAGE - 1);
    large.authority = authority;
    request.endpoints = (struct cl_fetch_endpoints){&large, 1};
    CHECK(cl_fetcher_ask(&scene.fetcher, &request, -1, -1, &scene.err) == -E2BIG);
    authority[CL_FETCH_MAX_MESSAGE - 1024] = '\0';
    CHECK(cl_fetcher_ask(&scene.fetcher, &request, -1, -1, &scene.err) == 0);
    CHECK(listen_once(&scene) == 0);
    CHECK_HAS(scene.report.error, "2 library/debian bookworm 1 https://registry.test");
}

TEST(it_is_told_that_landlock_is_missing)
{
    for (int without = 0; without <= 1; without++) {
        struct cl_fetcher fetcher = CL_FETCHER_INIT;
        struct cl_error err = {0};
        siginfo_t info = {0};

        fetch_fake("args");
        CHECK(cl_fetcher_start(without, &fetcher, &err) == 0);
        CHECK(cl_child_wait(&fetcher.child, &info, &err) == 0);
        CHECK(info.si_code == CLD_EXITED && info.si_status == (without ? 5 : 6));
        cl_fetcher_done(&fetcher);
    }
}

TEST(it_gets_a_channel_and_nothing_of_ours)
{
    struct cl_fetcher fetcher = CL_FETCHER_INIT;
    struct cl_error err = {0};
    siginfo_t info = {0};

    program_fake("cloister-fetch", "*",
                 "for i in 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$i ] || exit 1; done\n"
                 "[ -S /proc/$$/fd/3 ] && [ -z \"$HOME$USER$CLOISTER_STORE\" ] || exit 2; exit 5");
    CHECK(setenv("HOME", "/root", 1) == 0);
    CHECK(cl_fetcher_start(0, &fetcher, &err) == 0);
    CHECK(cl_child_wait(&fetcher.child, &info, &err) == 0);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 5);
    cl_fetcher_done(&fetcher);
}

TEST(why_it_ended_is_told)
{
    static const struct {
        const char *what;
        const char *message;
    } rows[] = {{"exit", "cloister-fetch ended early, with status 9"},
                {"crash", "cloister-fetch was ended by signal 9"}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene, rows[i].what);
        (void)ask(&scene, -1, -1);
        CHECK(listen_once(&scene) == -EIO);
        CHECK_TEXT(scene.err.msg, rows[i].message);
        CHECK(ask(&scene, -1, -1) < 0); /* and no SIGPIPE ends us */
        CHECK_HAS(scene.err.msg, "ask cloister-fetch");
    }
}

TEST(what_is_no_report_is_refused)
{
    static const struct {
        const char *what;
        int code;
    } rows[] = {{"junk", EBADMSG}, {"flood", EPROTO}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_SCENE struct scene scene;

        scene_init(&scene, rows[i].what);
        CHECK(ask(&scene, -1, -1) == 0);
        CHECK(listen_once(&scene) == -rows[i].code);
        CHECK(scene.err.msg[0] != '\0' && scene.report.set == 0);
    }
}

/* scene_done counts. */
TEST(descriptors_that_it_sends_are_closed)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "descriptors");
    CHECK(ask(&scene, -1, -1) == 0);
    CHECK(listen_once(&scene) == 0 && scene.report.id == 1);
}

TEST(it_ends_with_its_owner)
{
    CL_CLEANUP_SCENE struct scene scene;

    scene_init(&scene, "silent");
    const pid_t pid = scene.fetcher.child.pid;
    cl_fetcher_done(&scene.fetcher);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
    cl_fetcher_done(&scene.fetcher); /* twice is as once */
}

TEST(a_missing_program_is_told)
{
    struct cl_fetcher fetcher = CL_FETCHER_INIT;
    struct cl_error err = {0};

    (void)unlink(program_path("cloister-fetch"));
    CHECK(cl_fetcher_start(0, &fetcher, &err) == -ENOENT);
    CHECK_HAS(err.msg, "cloister-fetch is missing");
    CHECK(fetcher.channel == -1);
}

TEST(whatever_fails_is_told_and_leaves_nothing)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    const int before = check_count_fds();

    fetch_fake("silent");
    for (int nth = 1, struck = 1; struck; nth++) {
        struct cl_fetcher fetcher = CL_FETCHER_INIT;
        struct cl_error err = {0};
        char text[32];

        (void)snprintf(text, sizeof(text), "self:syscall:%d", nth);
        cl_fault_set(text);
        int r = cl_fetcher_start(0, &fetcher, &err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == 0 || err.msg[0] != '\0');
        CHECK(r == 0 || fetcher.channel == -1);
        cl_fetcher_done(&fetcher);
        CHECK(check_count_fds() == before);
        CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    }
    CL_CLEANUP_SCENE struct scene scene;
    scene_init(&scene, "echo");
    cl_fault_set("self:syscall:1:12");
    CHECK(ask(&scene, -1, -1) == -ENOMEM);
    cl_fault_set(NULL);
    CHECK(ask(&scene, -1, -1) == 0);
    cl_fault_set("self:syscall:1:12");
    CHECK(listen_once(&scene) == -ENOMEM);
    cl_fault_set(NULL);
    CHECK(listen_once(&scene) == 0);
#endif
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(requests_are_numbered_and_arrive_with_their_descriptors),
        ROW(several_are_asked_for_at_once),
        ROW(a_large_request_arrives),
        ROW(it_is_told_that_landlock_is_missing),
        ROW(it_gets_a_channel_and_nothing_of_ours),
        ROW(why_it_ended_is_told),
        ROW(what_is_no_report_is_refused),
        ROW(descriptors_that_it_sends_are_closed),
        ROW(it_ends_with_its_owner),
        ROW(a_missing_program_is_told),
        ROW(whatever_fails_is_told_and_leaves_nothing),
    };

    if (argc >= 3 && strcmp(argv[1], "act") == 0)
        act(argv[2], argc, argv);
    programs_enter(argc, argv);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    programs_leave();
    return r;
}
