/* test_visitors.c - what the supervisor passes on to the wall, and what it sends away. */
#include <errno.h>
#include <sys/socket.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/visitors.h"
#include "check.h"

/* One descriptor of each kind. */
static struct {
    int socket;
    int file;
    int pipe;
} kinds;

static void open_kinds(void)
{
    int ends[2];

    kinds.socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    kinds.file = cl_sys_memfd_create("file", 1);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    kinds.pipe = ends[0];
    cl_fd_close(&ends[1]);
    CHECK(kinds.socket >= 0 && kinds.file >= 0);
}

static void close_kinds(void)
{
    cl_fd_close(&kinds.socket);
    cl_fd_close(&kinds.file);
    cl_fd_close(&kinds.pipe);
}

TEST(what_does_not_make_sense_is_refused)
{
    open_kinds();
    const int s = kinds.socket, f = kinds.file, p = kinds.pipe;
    const struct {
        struct cl_exec_request request;
        int fds[CL_EXEC_MAX_FDS];
        size_t count;
        int answer;
    } rows[] = {
        {{.version = CL_EXEC_VERSION}, {s, f}, 2, 0},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_STREAMS}, {s, f, p, p, p}, 5, 0},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_STDOUT}, {s, f, p}, 3, 0},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_TTY, .rows = 9}, {s, f}, 2, 0},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_DETACH}, {s, f}, 2, 0},
        {{.version = 0}, {s, f}, 2, -EPROTONOSUPPORT},
        {{.version = CL_EXEC_VERSION + 1}, {s, f}, 2, -EPROTONOSUPPORT},
        {{.version = CL_EXEC_VERSION, .flags = 1 << 7}, {s, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = 1U << 31}, {s, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION, .reserved = 1}, {s, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_TTY | CL_EXEC_STDIN}, {s, f, p}, 3, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {s, f, p}, 3, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {s}, 1, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {-1}, 0, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_STDIN}, {s, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {f, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {s, s}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {s, p}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_STDIN}, {s, f, f}, 3, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_STDIN}, {s, f, s}, 3, -EINVAL},
        {{.version = CL_EXEC_VERSION}, {-1, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_SEND | CL_EXEC_STDOUT}, {s, f, p}, 3, 0},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_TAKE | CL_EXEC_STDIN}, {s, f, p}, 3, 0},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_SEND}, {s, f}, 2, -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_SEND | CL_EXEC_STDIN},
         {s, f, p},
         3,
         -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_TAKE | CL_EXEC_STDOUT},
         {s, f, p},
         3,
         -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_COPY | CL_EXEC_STDOUT},
         {s, f, p},
         3,
         -EINVAL},
        {{.version = CL_EXEC_VERSION, .flags = CL_EXEC_SEND | CL_EXEC_STDOUT | CL_EXEC_DETACH},
         {s, f, p},
         3,
         -EINVAL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        int answer = cl_visitor_check(&rows[i].request, rows[i].fds, rows[i].count);

        if (answer != rows[i].answer)
            printf("# row %zu gave %d\n", i, answer);
        CHECK(answer == rows[i].answer);
    }
    close_kinds();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_does_not_make_sense_is_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
