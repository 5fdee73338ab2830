/* test_relay_input.c - what carries the standard streams: input. */
#include "relay_scene.h"

TEST(input_comes_from_a_pipe)
{
    struct scene scene;
    size_t fed = 0;
    size_t eaten = 0;

    set_up(&scene, 1);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(scene.relay.in_manner == CL_MANNER_OURS);
    spin(&scene);
    CHECK(scene.relay.active);
    feed(scene.fds[1], &fed, 1000);
    cl_fd_close(&scene.fds[1]);
    spin(&scene);
    CHECK(!scene.relay.active && scene.ends == 1);
    CHECK(eat(scene.near, &eaten) == 1 && eaten == 1000);
    CHECK(is_open(scene.fds[0]) && (fcntl(scene.fds[0], F_GETFL) & O_NONBLOCK) == 0);
    done(&scene);
}

/* What a caller can still read is left to them: at most a buffer is taken ahead. */
static void draw(struct scene *scene, size_t *fed)
{
    size_t eaten = 0;
    int ended = 0;

    spin(scene);
    CHECK(scene->relay.active);
    for (int i = 0; i < TURNS_MOST && !ended; i++) {
        ended = eat(scene->near, &eaten);
        if (scene->fds[1] >= 0)
            feed(scene->fds[1], fed, BIG);
        if (*fed == BIG)
            cl_fd_close(&scene->fds[1]);
        spin(scene);
    }
    CHECK(ended && eaten == BIG && !scene->relay.active && scene->relay.failed == 0);
}

TEST(input_comes_from_a_pipe_of_another_user)
{
    struct scene scene;
    size_t fed = 0;

    set_up(&scene, 1);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    int fsuid = estrange(scene.fds[0]);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    (void)setfsuid((uid_t)fsuid);
    CHECK(scene.relay.in_manner == CL_MANNER_BORROWED);
    CHECK(fcntl(scene.fds[1], F_SETFL, O_NONBLOCK) == 0);
    spin(&scene); /* nothing is there: nothing waits */
    feed(scene.fds[1], &fed, BIG);
    draw(&scene, &fed);
    CHECK((fcntl(scene.fds[0], F_GETFL) & O_NONBLOCK) == 0);
    done(&scene);
}

TEST(input_ends_at_a_pipe_that_can_not_be_asked)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    struct scene scene;
    size_t fed = 0;

    set_up(&scene, 1);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    int fsuid = estrange(scene.fds[0]);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    (void)setfsuid((uid_t)fsuid);
    feed(scene.fds[1], &fed, PAGE);
    spin_unanswered(&scene);
    done(&scene);
}

TEST(input_comes_from_a_socket)
{
    struct scene scene;
    size_t fed = 0;

    set_up(&scene, 1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, scene.fds) == 0);
    CHECK(fcntl(scene.fds[1], F_SETFL, O_NONBLOCK) == 0);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(scene.relay.in_manner == CL_MANNER_SOCKET);
    feed(scene.fds[1], &fed, BIG);
    draw(&scene, &fed);
    done(&scene);
}

TEST(input_comes_from_a_file)
{
    struct scene scene;
    size_t fed = 0;

    set_up(&scene, 1);
    scene.fds[0] = make_file("");
    feed(scene.fds[0], &fed, BIG);
    CHECK(lseek(scene.fds[0], 0, SEEK_SET) == 0);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(scene.relay.in_manner == CL_MANNER_FILE);
    draw(&scene, &fed);
    done(&scene);
}

TEST(input_comes_from_devices)
{
    struct scene scene;
    char data[PAGE];

    set_up(&scene, 1);
    scene.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(!scene.relay.active && scene.ends == 1 && scene.relay.failed == 0);
    CHECK(read(scene.near, data, sizeof(data)) == 0);
    done(&scene);

    set_up(&scene, 1);
    scene.fds[0] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK(fcntl(scene.near, F_SETPIPE_SZ, 1 << 20) == 1 << 20); /* more than some turns fill */
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    spin(&scene);
    CHECK(scene.relay.active && scene.relay.total >= 1 << 20);
    uint64_t before = scene.relay.total;
    CHECK(read(scene.near, data, sizeof(data)) == PAGE && data[PAGE - 1] == '\0');
    spin(&scene);
    CHECK(scene.relay.active && scene.relay.total > before);
    cl_fd_close(&scene.near); /* the program has had enough */
    spin(&scene);
    CHECK(!scene.relay.active && scene.ends == 1 && scene.relay.failed == 0);
    done(&scene);
}

/* A program that reads as fast as we write must not keep us from signals and timers: the
 * loop sees what else is ready after each of our turns. */
static void check_input_is_in_turns(int in)
{
    struct scene scene;
    struct cl_source other = {.fd = -1};
    struct epoll_event events[4];
    int pipe_fds[2];
    uint64_t before;

    set_up(&scene, 1);
    scene.fds[0] = in;
    CHECK(cl_sys_pipe2(pipe_fds, 0) == 0 && write(pipe_fds[1], "x", 1) == 1);
    other = (struct cl_source){.fd = pipe_fds[0], .events = EPOLLIN};
    CHECK(cl_loop_add(&scene.loop, &other, &scene.err) == 0);
    CHECK(fcntl(scene.near, F_SETPIPE_SZ, 1 << 20) == 1 << 20); /* never full here */
    CHECK(start_input(&scene, in) == 0);
    CHECK(scene.relay.in_manner == CL_MANNER_FILE);
    for (uint64_t i = 0; i < 3; i++) {
        before = scene.relay.total;
        CHECK(scene.relay.active && before > 0 && before <= (i + 1) << 18);
        CHECK(cl_sys_epoll_wait(scene.loop.epfd, events, 4, 0) == 2); /* both are ready */
        CHECK(scene.relay.out.on_event(&scene.relay.out, EPOLLOUT, &scene.err) == 0);
        CHECK(scene.relay.total > before);
    }
    cl_loop_remove(&scene.loop, &other);
    cl_fd_close(&pipe_fds[0]);
    cl_fd_close(&pipe_fds[1]);
    done(&scene);
}

TEST(input_that_never_ends_leaves_the_loop_its_turn)
{
    check_input_is_in_turns(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    int file = make_file("");
    CHECK(ftruncate(file, 1 << 30) == 0); /* a hole */
    check_input_is_in_turns(file);
}

/* Puts a mark before what comes; a full stop takes all away. */
static size_t mark(struct cl_relay *relay, char *bytes, size_t size)
{
    (void)relay;
    if (memchr(bytes, '.', size) != NULL)
        return 0;
    memmove(bytes + CL_RELAY_SPARE, bytes, size);
    memset(bytes, '-', CL_RELAY_SPARE);
    return size + CL_RELAY_SPARE;
}

TEST(a_filter_changes_what_is_carried)
{
    struct scene scene;
    char got[64] = "";

    set_up(&scene, 1);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    scene.relay.filter = mark;
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(write(scene.fds[1], "ab", 2) == 2);
    spin(&scene);
    CHECK(write(scene.fds[1], ".gone", 5) == 5); /* nothing of it remains, and that is no end */
    spin(&scene);
    CHECK(scene.relay.active);
    CHECK(write(scene.fds[1], "c", 1) == 1);
    spin(&scene);
    CHECK(read(scene.near, got, sizeof(got) - 1) == 3 + 2 * CL_RELAY_SPARE);
    CHECK_TEXT(got, "----------------ab----------------c");
    done(&scene);

    /* A full buffer has room for it. */
    set_up(&scene, 1);
    scene.fds[0] = make_file("");
    CHECK(ftruncate(scene.fds[0], (off_t)2 * CL_RELAY_BUFFER) == 0);
    scene.relay.filter = mark;
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(scene.relay.total == 2 * CL_RELAY_BUFFER + 3 * CL_RELAY_SPARE);
    done(&scene);
}

TEST(input_that_can_not_be_read_is_known)
{
    struct scene scene;

    set_up(&scene, 1);
    scene.fds[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(start_input(&scene, scene.fds[0]) == 0);
    CHECK(!scene.relay.active && scene.relay.failed == -EISDIR);
    done(&scene);
}

TEST(stopping_early_closes_and_tells_nobody)
{
    struct scene scene;

    set_up(&scene, 0);
    CHECK(cl_sys_pipe2(scene.fds, 0) == 0);
    CHECK(start_output(&scene, scene.fds[1]) == 0);
    int own = scene.relay.out.fd;
    CHECK(own != scene.fds[1] && is_open(own));
    cl_relay_done(&scene.relay);
    CHECK(scene.ends == 0 && !is_open(scene.ours) && !is_open(own) && is_open(scene.fds[1]));
    cl_relay_done(&scene.relay);
    done(&scene);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(input_comes_from_a_pipe),
        ROW(input_comes_from_a_pipe_of_another_user),
        ROW(input_ends_at_a_pipe_that_can_not_be_asked),
        ROW(input_comes_from_a_socket),
        ROW(input_comes_from_a_file),
        ROW(input_comes_from_devices),
        ROW(input_that_never_ends_leaves_the_loop_its_turn),
        ROW(a_filter_changes_what_is_carried),
        ROW(input_that_can_not_be_read_is_known),
        ROW(stopping_early_closes_and_tells_nobody),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* a supervisor has it blocked */
    (void)alarm(ALARM_S);
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
