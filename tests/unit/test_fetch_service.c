/* test_fetch_service.c - the whole of cloister-fetch without its jail, so that the sanitizers see
 * all that it leaves behind: against a server of a few canned answers, with a core that asks for
 * each of them, and with every allocation failing once. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/channel.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "helpers/fetch/service.h"
#include "oci/fetch.h"

enum { HURRY = 200, BLOB_SIZE = 6, MANIFEST_MAX = 1000 };

/* --- the server ------------------------------------------------------------ */

static char server_url[64];

static const struct {
    const char *path;
    const char *header; /* that the request has to have; NULL: none */
    const char *answer; /* %s: the server */
} answers[] = {
    {"/v2/a/manifests/good", NULL,
     "HTTP/1.1 200 OK\r\nContent-Type: a/b;c=d\r\nDocker-Content-Digest: sha256:x\r\n"
     "Content-Length: 4\r\n\r\nbody"},
    {"/v2/a/manifests/moved", NULL,
     "HTTP/1.1 307 Moved\r\nLocation: %s/v2/a/manifests/good\r\nContent-Length: 0\r\n\r\n"},
    {"/v2/a/manifests/loop", NULL,
     "HTTP/1.1 302 Found\r\nLocation: loop\r\nContent-Length: 0\r\n\r\n"},
    {"/v2/a/manifests/busy", NULL,
     "HTTP/1.1 429 Busy\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n"},
    {"/v2/a/manifests/cut", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nbody"},
    {"/v2/a/manifests/locked", "Authorization: Bearer abc\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nopen"},
    {"/v2/a/manifests/locked", NULL,
     "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=a, Bearer "
     "realm=\"%s/token\",service=\"s\"\r\n"
     "Content-Length: 0\r\n\r\n"},
    {"/v2/ ", "Authorization: Basic dXNlcjpzZWNyZXQ=\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
    {"/v2/ ", NULL,
     "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=a\r\nContent-Length: 0\r\n\r\n"},
    {"/token", "Authorization: Basic dXNlcjpzZWNyZXQ=\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"token\":\"abc\"}"},
    {"/token", NULL, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"},
    {"/v2/a/blobs/b", "Range: bytes=3-\r\n",
     "HTTP/1.1 206 Part\r\nContent-Range: bytes 3-5/6\r\nContent-Length: 3\r\n\r\ndef"},
    {"/v2/a/blobs/b", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"},
    {"/v2/a/blobs/long", NULL, "HTTP/1.1 200 OK\r\n\r\nabcdefghi"},
    {"/v2/a/manifests/silent", NULL, ""},
    {"", NULL,
     "HTTP/1.1 404 No\r\nContent-Length: 33\r\n\r\n{\"errors\":[{\"code\":\"X\"}]}        "},
};

static const char *find_answer(const char *request)
{
    size_t i = 0;

    while (strncmp(strchr(request, ' ') + 1, answers[i].path, strlen(answers[i].path)) != 0 ||
           (answers[i].header != NULL && strstr(request, answers[i].header) == NULL))
        i++;
    return answers[i].answer;
}

/* One answer a connection, which then ends; an empty one waits for the client to end it. */
static void serve_one(int fd)
{
    char request[4096];
    char answer[1024];
    size_t size = 0;

    do {
        const ssize_t got = read(fd, request + size, sizeof(request) - 1 - size);

        if (got <= 0)
            return;
        size += (size_t)got;
        request[size] = '\0';
    } while (strstr(request, "\r\n\r\n") == NULL);
    const char *template = find_answer(request);
    const char *mark = strstr(template, "%s");
    const int length = mark == NULL
                           ? snprintf(answer, sizeof(answer), "%s", template)
                           : snprintf(answer, sizeof(answer), "%.*s%s%s", (int)(mark - template),
                                      template, server_url, mark + 2);
    if (length == 0)
        (void)!read(fd, request, sizeof(request));
    (void)cl_write_all(fd, answer, (size_t)length); /* to a client that may have gone */
}

static int listen_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    (void)snprintf(server_url, sizeof(server_url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

/* Each connection has a process, which ends with it. */
static pid_t start_server(int listener)
{
    const pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        const int fd = accept(listener, NULL, NULL);

        if (fork() == 0) {
            serve_one(fd);
            _exit(0);
        }
        (void)close(fd);
    }
}

/* --- the core -------------------------------------------------------------- */

static const struct {
    enum cl_fetch_kind kind;
    const char *reference;
    int has_credentials;
    uint64_t code; /* of the failure; 0: none */
    const char *body;
} wants[] = {
    {CL_FETCH_MANIFEST, "good", 0, 0, "body"},     {CL_FETCH_MANIFEST, "moved", 0, 0, "body"},
    {CL_FETCH_MANIFEST, "loop", 0, ELOOP, ""},     {CL_FETCH_MANIFEST, "busy", 0, EBUSY, ""},
    {CL_FETCH_MANIFEST, "cut", 0, ECONNRESET, ""}, {CL_FETCH_MANIFEST, "gone", 0, ENOENT, ""},
    {CL_FETCH_MANIFEST, "locked", 1, 0, "open"},   {CL_FETCH_MANIFEST, "locked", 1, 0, "open"},
    {CL_FETCH_MANIFEST, "locked", 0, EACCES, ""},  {CL_FETCH_BLOB, "b", 0, 0, "abcdef"},
    {CL_FETCH_BLOB, "long", 0, EFBIG, ""},         {CL_FETCH_LOGIN, "", 1, 0, NULL},
    {CL_FETCH_LOGIN, "", 0, EACCES, NULL},
};

static int bodies[CL_ARRAY_SIZE(wants)];

static int has_body(size_t i)
{
    return wants[i].kind == CL_FETCH_MANIFEST || wants[i].kind == CL_FETCH_BLOB;
}

static int send_request(int channel, uint64_t id, const struct cl_fetch_request *what, int body)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_FETCH_MAX_MESSAGE);
    struct cl_fetch_request request = *what;
    struct cl_error err = {0};

    request.id = id;
    request.set = (1ULL << CL_FETCH_REQUEST_FIELD_COUNT) - 1;
    CHECK(cl_flat_write(&cl_fetch_request_shape, &request, &buf, &err) == 0);
    struct cl_packet packet = {.data = buf.data, .size = buf.size};
    if (body >= 0)
        packet.fds[packet.fd_count++] = body;
    return cl_channel_send(channel, &packet, MSG_NOSIGNAL);
}

static int ask(int channel, size_t i)
{
    const struct cl_fetch_endpoint endpoint = {
        .url = server_url,
        .user = wants[i].has_credentials ? "user" : "",
        .secret = wants[i].has_credentials ? "secret" : "",
        .identity = "",
        .authority = "",
    };
    const struct cl_fetch_request request = {
        .kind = wants[i].kind,
        .endpoints = {&endpoint, 1},
        .repository = "a",
        .reference = wants[i].reference,
        .size_bytes = wants[i].kind == CL_FETCH_BLOB ? BLOB_SIZE : MANIFEST_MAX,
    };

    bodies[i] = has_body(i) ? cl_sys_memfd_create("body", 1) : -1;
    return send_request(channel, i, &request, bodies[i]);
}

static void check_report(const struct cl_fetch_report *report)
{
    const size_t i = report->id;
    char body[64] = "";

    CHECK(i < CL_ARRAY_SIZE(wants));
    CHECK(report->kind == (wants[i].code == 0 ? CL_FETCH_DONE : CL_FETCH_FAILED));
    CHECK(report->code == wants[i].code);
    if (has_body(i))
        CHECK(pread(bodies[i], body, sizeof(body) - 1, 0) >= 0);
    if (wants[i].body != NULL)
        CHECK_TEXT(body, wants[i].body);
    if (report->code != wants[i].code)
        printf("# %s: %s\n", wants[i].reference, report->error);
}

/* 0: a report, and no progress; < 0: cloister-fetch has gone. */
static int hear(int channel, struct cl_fetch_report *ret)
{
    static char bytes[CL_FETCH_MAX_MESSAGE];
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_error err = {0};

    do {
        struct cl_packet packet = {.data = bytes, .size = sizeof(bytes)};

        *ret = (struct cl_fetch_report){0};
        if (cl_channel_receive(channel, &packet, 0) < 0)
            return -EPIPE;
        const struct cl_bytes message = {bytes, packet.size};
        CHECK(cl_flat_read(&cl_fetch_report_shape, &message, &arena, ret, &err) == 0);
    } while (ret->kind == CL_FETCH_PROGRESS);
    return 0;
}

/* The core's part: asks for everything at once and hears of the ends, and leaves while one is
 * still under way. */
static void be_core(int channel, int is_strict)
{
    const struct cl_fetch_endpoint endpoint = {server_url, "", "", "", ""};
    const struct cl_fetch_request last = {
        .kind = CL_FETCH_MANIFEST,
        .endpoints = {&endpoint, 1},
        .repository = "a",
        .reference = "silent",
        .size_bytes = MANIFEST_MAX,
    };
    CL_CLEANUP_FD int body = cl_sys_memfd_create("body", 1);
    size_t left = CL_ARRAY_SIZE(wants);
    struct cl_fetch_report report;

    for (size_t i = 0; i < CL_ARRAY_SIZE(wants); i++)
        CHECK(ask(channel, i) == 0 || !is_strict);
    CHECK(send_request(channel, 99, &last, body) == 0 || !is_strict);
    while (left > 0 && hear(channel, &report) == 0) {
        if (is_strict)
            check_report(&report);
        left--;
    }
    CHECK(left == 0 || !is_strict);
}

/* --- both ------------------------------------------------------------------ */

/* What the service, which is us, came to. */
struct outcome {
    int r;
    int struck;
    struct cl_error err;
};

/* The exit status of a core that talks to it. */
static int run_both(int is_strict, const char *fault, struct outcome *ret)
{
    int ends[2];
    int status = -1;

    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, ends) == 0);
    (void)fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        cl_fd_close(&ends[1]);
        be_core(ends[0], is_strict);
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    cl_fd_close(&ends[0]);
    cl_fault_set(fault);
    ret->r = cl_service_run(ends[1], HURRY, &ret->err);
    ret->struck = cl_fault_struck();
    cl_fault_set(NULL);
    cl_fd_close(&ends[1]);
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

TEST(answers_what_it_is_asked_and_leaves_nothing)
{
    struct outcome outcome = {0};
    const int fds = check_count_fds();

    CHECK(run_both(1, NULL, &outcome) == 0);
    CHECK(outcome.r == 0);
    CHECK_TEXT(outcome.err.msg, "");
    CHECK(check_count_fds() == fds);
}

/* Fails the first, the second, ... of WHAT until there is none left to fail. */
static void fail_one_by_one(const char *what)
{
    const int fds = check_count_fds();
    int n = 0;

    for (int struck = 1; struck && n < 2000;) {
        struct outcome outcome = {0};
        char fault[32];

        n++;
        (void)snprintf(fault, sizeof(fault), "self:%s:%d", what, n);
        CHECK(run_both(0, fault, &outcome) == 0);
        CHECK(outcome.r == 0 || outcome.err.code == ENOMEM || outcome.err.code == EIO);
        struck = outcome.struck;
    }
    CHECK(n > 40 && n < 2000 && check_count_fds() == fds);
}

/* Each is an error of the service, or of the request that met it; none is a crash, or a leak. */
TEST(survives_a_lack_of_memory_at_any_moment)
{
    fail_one_by_one("alloc");
}

TEST(survives_the_failure_of_any_call)
{
    fail_one_by_one("syscall");
}

TEST(says_that_its_socket_is_none)
{
    struct cl_error err = {0};
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    CL_CLEANUP_FD int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(cl_service_run(null, 1, &err) == -ENOTSOCK);
    CHECK(cl_service_run(stream, 1, &err) == -ENOTSOCK);
    CHECK_HAS(err.msg, "cloister");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(answers_what_it_is_asked_and_leaves_nothing),
        ROW(survives_a_lack_of_memory_at_any_moment),
        ROW(survives_the_failure_of_any_call),
        ROW(says_that_its_socket_is_none),
    };
    CL_CLEANUP_FD int listener = listen_tcp();
    const pid_t server = start_server(listener);

    (void)signal(SIGPIPE, SIG_IGN);
    int r = check_run(tests, CL_ARRAY_SIZE(tests));
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    return r;
}
