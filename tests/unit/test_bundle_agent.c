/* test_bundle_agent.c - who is asked about system calls gets the descriptor on which that is done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/channel.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/bundle.h"
#include "check.h"

static char place[] = "/tmp/cloister-test-agent-XXXXXX";

static struct cl_spec make_spec(const char *path)
{
    struct cl_spec spec = {.seccomp_listener = path, .seccomp_metadata = "cookie"};

    cl_spec_mark(&spec, CL_SPEC_SECCOMP_LISTENER);
    cl_spec_mark(&spec, CL_SPEC_SECCOMP_METADATA);
    return spec;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(fd, 1) == 0);
    return fd;
}

/* A process that has /dev/full as what its filter gave it, and says so. */
static pid_t start_filtered(const struct cl_agent *agent)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct cl_agent_memory *memory = NULL;
        struct cl_error err = {0};
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        if (cl_agent_map(agent->file, &memory, &err) < 0)
            _exit(1);
        cl_agent_tell(memory, fd);
        _exit(0); /* it was let go */
    }
    CHECK(pid > 0);
    return pid;
}

TEST(the_descriptor_goes_to_who_listens_with_the_state)
{
    CL_CLEANUP_AGENT struct cl_agent agent = CL_AGENT_INIT;
    char path[64];
    char text[4096] = "";
    int ends[2] = {-1, -1};
    int status = -1;
    struct stat full = {0};
    struct stat got = {0};
    struct cl_error err = {0};

    (void)snprintf(path, sizeof(path), "%s/socket", place);
    const struct cl_spec spec = make_spec(path);
    CL_CLEANUP_FD int listener = listen_at(path);
    CHECK(cl_agent_open(&spec, &agent, &err) == 0);
    CL_CLEANUP_FD int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(peer >= 0 && cl_sys_socketpair(SOCK_SEQPACKET, ends) == 0);
    pid_t pid = start_filtered(&agent);
    CL_CLEANUP_FD int pidfd = cl_sys_pidfd_open(pid);
    const struct cl_bundle_process process = {pid, pidfd, -1};
    const struct cl_bundle_state state = {
        .spec = &spec, .id = "asked", .status = "creating", .path = "/b", .pid = 7};
    CHECK(cl_agent_serve(&agent, ends[0], &state, &process, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    struct cl_packet packet = {.data = text, .size = sizeof(text) - 1, .fd_count = 1};
    CHECK(cl_channel_receive(peer, &packet, 0) == 0 && packet.fd_count == 1);
    CHECK_HAS(text, "\"fds\":[\"seccompFd\"]");
    CHECK_HAS(text, "\"metadata\":\"cookie\"");
    CHECK_HAS(text, "\"state\":{\"ociVersion\":\"" CL_SPEC_OURS "\",\"id\":\"asked\"");
    CHECK(stat("/dev/full", &full) == 0 && fstat(packet.fds[0], &got) == 0);
    CHECK(full.st_rdev == got.st_rdev);
    cl_fd_close(&packet.fds[0]);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
    CHECK(unlink(path) == 0);
}

/* What a process says on its channel first is that it failed: nobody waits for a number then. */
TEST(a_process_that_fails_is_not_waited_for)
{
    CL_CLEANUP_AGENT struct cl_agent agent = CL_AGENT_INIT;
    const struct cl_bundle_process process = CL_BUNDLE_PROCESS_INIT;
    char path[64];
    int ends[2] = {-1, -1};
    struct cl_error err = {0};

    (void)snprintf(path, sizeof(path), "%s/socket", place);
    const struct cl_spec spec = make_spec(path);
    const struct cl_bundle_state state = {.spec = &spec, .id = "x", .status = "", .path = ""};
    CL_CLEANUP_FD int listener = listen_at(path);
    CHECK(cl_agent_open(&spec, &agent, &err) == 0);
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, ends) == 0);
    CHECK(cl_bundle_send(ends[1], CL_BUNDLE_FAILED, &(struct cl_error){.code = EPERM}) == 0);
    CHECK(cl_agent_serve(&agent, ends[0], &state, &process, &err) == 0);
    cl_fd_close(&ends[0]);
    cl_fd_close(&ends[1]);
    CHECK(unlink(path) == 0);
}

TEST(without_a_path_nobody_is_asked)
{
    CL_CLEANUP_AGENT struct cl_agent agent = CL_AGENT_INIT;
    const struct cl_spec spec = {.set = 0};
    const int fds = check_count_fds();
    struct cl_error err = {0};

    CHECK(cl_agent_open(&spec, &agent, &err) == 0);
    CHECK(agent.socket == -1 && agent.file == -1 && agent.memory == NULL);
    CHECK(cl_agent_serve(&agent, -1, NULL, NULL, &err) == 0);
    CHECK(check_count_fds() == fds);
}

TEST(a_path_where_nobody_listens_is_an_error)
{
    CL_CLEANUP_AGENT struct cl_agent agent = CL_AGENT_INIT;
    char path[300];
    struct cl_error err = {0};

    (void)snprintf(path, sizeof(path), "%s/nobody", place);
    struct cl_spec spec = make_spec(path);
    CHECK(cl_agent_open(&spec, &agent, &err) == -ENOENT);
    CHECK_HAS(err.msg, "linux.seccomp.listenerPath: connect to ");
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK(cl_agent_open(&spec, &agent, &err) == -ENAMETOOLONG);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_descriptor_goes_to_who_listens_with_the_state),
        ROW(a_process_that_fails_is_not_waited_for),
        ROW(without_a_path_nobody_is_asked),
        ROW(a_path_where_nobody_listens_is_an_error),
    };

    CHECK(mkdtemp(place) != NULL);
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    return rmdir(place) < 0 || failed;
}
