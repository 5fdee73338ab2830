/* test_wasi_socket.c - sockets that a guest was given as its streams. */
#include <poll.h>
#include <stddef.h>
#include <sys/un.h>

#include "base/fault.h"
#include "wasi_scene.h"

/* A guest whose stream 0 is one end of a pair of sockets; the other is streams[0]. */
static struct scene make(int type)
{
    struct scene scene = scene_bare();
    int pair[2];

    CHECK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0);
    scene.streams[0] = pair[1];
    scene_start(&scene, (const int[3]){pair[0], -1, -1}, 0);
    return scene;
}

static uint32_t receive(struct scene *scene, uint32_t size, uint32_t flags)
{
    memset(scene->memory.base + DATA, 0, 64);
    scene_list(scene, 0, DATA, size);
    return CALL(scene, "sock_recv", 0, LIST, 1, flags, RET, RET2);
}

static uint32_t transmit(struct scene *scene, const char *text)
{
    scene_list(scene, 0, DATA, scene_text(scene, DATA, text));
    return CALL(scene, "sock_send", 0, LIST, 1, 0, RET);
}

static int host_sends(const struct scene *scene, const char *text)
{
    return send(scene->streams[0], text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

TEST(messages_go_both_ways)
{
    CLEANUP_SCENE struct scene scene = make(SOCK_STREAM);
    char data[16] = "";

    CHECK(CALL(&scene, "fd_fdstat_get", 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene.memory.base[RET] == CL_WASI_TYPE_SOCKET_STREAM);
    CHECK(receive(&scene, 16, 0) == CL_WASI_WAITS);
    CHECK(cl_wasi_waits_for(scene.wasi)->fds[0].events == POLLIN);
    CHECK(host_sends(&scene, "hello"));
    CHECK(receive(&scene, 16, CL_WASI_RECV_PEEK) == CL_WASI_SUCCESS && scene_ret(&scene) == 5);
    CHECK(receive(&scene, 16, 0) == CL_WASI_SUCCESS && scene_ret(&scene) == 5);
    CHECK_TEXT(scene_data(&scene), "hello");
    CHECK(transmit(&scene, "back") == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK(scene_write(&scene, 0, " again") == CL_WASI_SUCCESS);
    CHECK(read(scene.streams[0], data, sizeof(data)) == 10);
    CHECK_TEXT(data, "back again");
    CHECK(host_sends(&scene, "x") && scene_read(&scene, 0, 4) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_seek", 0, 0, 0, RET) == CL_WASI_SPIPE);
    cl_fd_close(&scene.streams[0]);
    CHECK(receive(&scene, 16, 0) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
    CHECK(transmit(&scene, "x") == CL_WASI_PIPE); /* and no signal */
    CHECK(scene_write(&scene, 0, "x") == CL_WASI_PIPE);
}

TEST(all_of_it_is_waited_for)
{
    CLEANUP_SCENE struct scene scene = make(SOCK_STREAM);

    CHECK(receive(&scene, 6, CL_WASI_RECV_WAITALL) == CL_WASI_WAITS);
    CHECK(host_sends(&scene, "ab"));
    CHECK(CALL(&scene, "sock_recv", 0, LIST, 1, CL_WASI_RECV_WAITALL, RET, RET2) == CL_WASI_WAITS);
    CHECK(host_sends(&scene, "cd"));
    CHECK(CALL(&scene, "sock_recv", 0, LIST, 1, CL_WASI_RECV_WAITALL, RET, RET2) == CL_WASI_WAITS);
    CHECK(host_sends(&scene, "efgh"));
    CHECK(CALL(&scene, "sock_recv", 0, LIST, 1, CL_WASI_RECV_WAITALL, RET, RET2) ==
          CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 6);
    CHECK_TEXT(scene_data(&scene), "abcdef");
    CHECK(receive(&scene, 6, CL_WASI_RECV_WAITALL) == CL_WASI_WAITS); /* two of them are here */
    cl_fd_close(&scene.streams[0]);
    CHECK(CALL(&scene, "sock_recv", 0, LIST, 1, CL_WASI_RECV_WAITALL, RET, RET2) ==
          CL_WASI_SUCCESS);
    CHECK(scene_ret(&scene) == 2);
    CHECK_TEXT(scene_data(&scene), "gh");
    CHECK(receive(&scene, 6, CL_WASI_RECV_WAITALL) == CL_WASI_SUCCESS && scene_ret(&scene) == 0);
}

TEST(a_message_that_is_cut_is_told)
{
    CLEANUP_SCENE struct scene scene = make(SOCK_DGRAM);

    CHECK(CALL(&scene, "fd_fdstat_get", 0, RET) == CL_WASI_SUCCESS);
    CHECK(scene.memory.base[RET] == CL_WASI_TYPE_SOCKET_DGRAM);
    CHECK(host_sends(&scene, "message") && host_sends(&scene, "two"));
    CHECK(receive(&scene, 4, 0) == CL_WASI_SUCCESS && scene_ret(&scene) == 4);
    CHECK(cl_wasi_load16(scene.memory.base + RET2) == CL_WASI_RECV_DATA_TRUNCATED);
    CHECK(receive(&scene, 4, CL_WASI_RECV_WAITALL) == CL_WASI_SUCCESS && scene_ret(&scene) == 3);
    CHECK(cl_wasi_load16(scene.memory.base + RET2) == 0);
}

TEST(a_full_socket_waits)
{
    CLEANUP_SCENE struct scene scene = make(SOCK_STREAM);
    uint32_t r = CL_WASI_SUCCESS;

    scene_list(&scene, 0, DATA, MEMORY - DATA);
    for (int i = 0; i < 1000 && r == CL_WASI_SUCCESS; i++)
        r = CALL(&scene, "sock_send", 0, LIST, 1, 0, RET);
    CHECK(r == CL_WASI_WAITS && cl_wasi_waits_for(scene.wasi)->fds[0].events == POLLOUT);
    CHECK(CALL(&scene, "fd_write", 0, LIST, 1, RET) == CL_WASI_WAITS);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", 0, CL_WASI_NONBLOCK) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "sock_send", 0, LIST, 1, 0, RET) == CL_WASI_AGAIN);
    CHECK(receive(&scene, 4, 0) == CL_WASI_AGAIN);
    CHECK(receive(&scene, 4, CL_WASI_RECV_WAITALL) == CL_WASI_AGAIN);
}

TEST(sides_are_shut)
{
    CLEANUP_SCENE struct scene scene = make(SOCK_STREAM);
    char data;

    CHECK(CALL(&scene, "sock_shutdown", 0, 0) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "sock_shutdown", 0, 4) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "sock_shutdown", 0, CL_WASI_SHUT_WR) == CL_WASI_SUCCESS);
    CHECK(read(scene.streams[0], &data, 1) == 0);
    CHECK(transmit(&scene, "x") == CL_WASI_PIPE);
    CHECK(host_sends(&scene, "x") && receive(&scene, 4, 0) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "sock_shutdown", 0, CL_WASI_SHUT_RD | CL_WASI_SHUT_WR) == CL_WASI_SUCCESS);
}

TEST(what_is_no_socket_is_told)
{
    CLEANUP_SCENE struct scene scene = scene_make();

    CHECK(receive(&scene, 4, 0) == CL_WASI_NOTSOCK && transmit(&scene, "x") == CL_WASI_NOTSOCK);
    CHECK(CALL(&scene, "sock_shutdown", ROOT, 1) == CL_WASI_NOTSOCK);
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_NOTSOCK);
    CHECK(CALL(&scene, "sock_shutdown", 99, 1) == CL_WASI_BADF);
    CHECK(CALL(&scene, "sock_accept", 99, 0, RET) == CL_WASI_BADF);
    CHECK(CALL(&scene, "sock_recv", 99, LIST, 1, 0, RET, RET2) == CL_WASI_BADF);
    CHECK(CALL(&scene, "sock_send", 99, LIST, 1, 0, RET) == CL_WASI_BADF);
}

TEST(flags_and_rights_are_looked_at)
{
    CLEANUP_SCENE struct scene scene = make(SOCK_STREAM);

    CHECK(receive(&scene, 4, 4) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "sock_send", 0, LIST, 1, 1, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "sock_accept", 0, CL_WASI_APPEND, RET) == CL_WASI_INVAL);
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_INVAL); /* it doesn't listen */
    CHECK(CALL(&scene, "fd_fdstat_set_rights", 0, 0, 0) == CL_WASI_SUCCESS);
    CHECK(receive(&scene, 4, 0) == CL_WASI_NOTCAPABLE);
    CHECK(transmit(&scene, "x") == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "sock_shutdown", 0, 1) == CL_WASI_NOTCAPABLE);
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_NOTCAPABLE);
}

TEST(who_connects_is_accepted)
{
    CLEANUP_SCENE struct scene scene = scene_bare();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const socklen_t size = sizeof(address);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", scene.path);
    CHECK(bind(listener, (const void *)&address, size) == 0 && listen(listener, 4) == 0);
    scene_start(&scene, (const int[3]){listener, -1, -1}, 0);
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_WAITS);
    struct cl_wasi_wait wait = *cl_wasi_waits_for(scene.wasi);
    scene.streams[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(scene.streams[0], (const void *)&address, size) == 0);
    CHECK(wait.count == 1 && poll(wait.fds, wait.count, 0) == 1);
    cl_fault_set("syscall:2"); /* its type */
    const int before = check_count_fds();
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_IO && cl_fault_struck());
    cl_fault_set(NULL);
    CHECK(check_count_fds() == before);
    cl_fd_close(&scene.streams[0]);
    scene.streams[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(scene.streams[0], (const void *)&address, size) == 0);
    CHECK(CALL(&scene, "sock_accept", 0, CL_WASI_NONBLOCK, RET) == CL_WASI_SUCCESS);
    const uint32_t fd = scene_ret(&scene);
    CHECK(fd == 4 && scene_read(&scene, fd, 4) == CL_WASI_AGAIN);
    CHECK(host_sends(&scene, "hey") && scene_read(&scene, fd, 4) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "fd_fdstat_get", fd, RET) == CL_WASI_SUCCESS);
    CHECK(scene.memory.base[RET] == CL_WASI_TYPE_SOCKET_STREAM);
    CHECK(cl_wasi_load16(scene.memory.base + RET + 2) == CL_WASI_NONBLOCK);
    CHECK(CALL(&scene, "fd_fdstat_set_flags", 0, CL_WASI_NONBLOCK) == CL_WASI_SUCCESS);
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_AGAIN);
    while (scene_try_open(&scene, ROOT, ".", 0, READS) == CL_WASI_SUCCESS)
        continue;
    CHECK(CALL(&scene, "sock_accept", 0, 0, RET) == CL_WASI_NFILE);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(messages_go_both_ways),
        ROW(all_of_it_is_waited_for),
        ROW(a_message_that_is_cut_is_told),
        ROW(a_full_socket_waits),
        ROW(sides_are_shut),
        ROW(what_is_no_socket_is_told),
        ROW(flags_and_rights_are_looked_at),
        ROW(who_connects_is_accepted),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
