/* test_rpc_faults.c - a server of calls whose system calls and allocations fail. */
#include "each_fault.h"
#include "rpc_scene.h"

/* What a client sends in a life: made before anything fails. */
static struct cl_buf calls;
enum { ANSWERS = 7 }; /* to all but one; where no timer can be set another waits for its time */

static void make_calls(void)
{
    calls = CL_BUF_INIT(MIB);
    add_request(&calls, &(struct order){.stream = 1, .method = "Echo", .text = "first"});
    add_request(&calls, &(struct order){.stream = 3, .method = "Keep", .text = "kept"});
    add_request(
        &calls,
        &(struct order){.stream = 5, .method = "Keep", .text = "late", .timeout_ns = (uint64_t)-1});
    add_request(&calls, &(struct order){.stream = 7, .method = "Keep", .text = "lost"});
    add_request(&calls,
                &(struct order){.stream = 9, .method = "Refuse", .text = "no", .number = ENOENT});
    add_request(&calls, &(struct order){.stream = 11, .method = "Release", .text = "kept"});
    add_request(&calls,
                &(struct order){.stream = 13, .method = "Echo", .text = "large", .number = MIB});
    add_request(&calls, &(struct order){.stream = 15, .method = "Echo", .text = "last"});
}

/* A loop that fails is its owner's to end. */
static int work(void)
{
    int r = 1;

    for (int i = 0; r > 0; i++) {
        CHECK(i < MANY_EVENTS);
        r = i < MANY_EVENTS ? cl_loop_dispatch(&scene.loop, 0, &scene.err) : -ELOOP;
    }
    return r;
}

static struct {
    char bytes[2 * MIB];
    size_t size;
    int has_ended; /* or the loop has */
} answers;

/* All that comes, up to its end or until nothing more is to be done. */
static void take_answers(int fd)
{
    int idle = 0; /* how often the loop had nothing to do; once may be a signal */

    while (!answers.has_ended) {
        const ssize_t got = recv(fd, answers.bytes + answers.size,
                                 sizeof(answers.bytes) - answers.size, MSG_DONTWAIT);

        if (got > 0) {
            answers.size += (size_t)got;
            idle = 0;
        } else if (got == 0 || errno != EAGAIN) {
            answers.has_ended = 1;
        } else if (idle == 2) {
            if (scene.server.listener.added) /* or it will be, by the timer */
                return;
            idle = 0;
            CHECK(cl_loop_dispatch(&scene.loop, 5 * CL_NS_PER_S, &scene.err) == 1);
        } else {
            answers.has_ended = work() < 0;
            idle++;
        }
    }
}

static int count_answers(void)
{
    int count = 0;

    for (size_t at = 0; at + CL_TTRPC_HEADER <= answers.size; count++) {
        struct cl_ttrpc_header header;

        cl_ttrpc_take_header((const uint8_t *)answers.bytes + at, &header);
        at += CL_TTRPC_HEADER + (size_t)header.size;
        if (at > answers.size)
            break;
    }
    return count;
}

/* Whoever calls has answers, or is at an end. */
static void live(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    CHECK(connect(fd, (struct sockaddr *)&scene.address, scene.address_size) == 0);
    CHECK(send(fd, calls.data, calls.size, MSG_NOSIGNAL) == (ssize_t)calls.size);
    take_answers(fd);
    cl_fd_close(&fd);
    for (int i = 0; i < 2; i++)
        (void)work();
}

/* With FAULT: whether it struck. */
static int try(const char *fault)
{
    answers.size = 0;
    answers.has_ended = 0;
    scene = (struct scene){.before = check_count_fds()};
    CHECK(cl_loop_init(&scene.loop, &scene.err) == 0);
    const int listener = make_listener();
    cl_fault_set(fault);
    const int r = cl_rpc_server_init(&scene.server, &scene.loop, &service, listener, &scene.err);
    if (r == 0) {
        live();
        cl_rpc_server_done(&scene.server);
    }
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(r == 0 || (struck && scene.err.code == -r));
    CHECK(r < 0 || answers.has_ended || count_answers() >= (struck ? ANSWERS - 1 : ANSWERS));
    CHECK(scene.kept == NULL && scene.server.call_count == 0);
    CHECK(scene.server.connection_count == 0);
    cl_loop_done(&scene.loop);
    CHECK(check_count_fds() == scene.before);
    return struck;
}

static const struct each_fault each = {.run = try, .least = 10, .most = 500};

TEST(each_call_may_fail)
{
    static const int errnums[] = {EIO, EINTR, EAGAIN, ENOMEM, EMFILE, ECONNRESET};

    each_fault_calls(&each, errnums, CL_ARRAY_SIZE(errnums));
}

TEST(each_allocation_may_fail)
{
    each_fault_try(&each, "alloc", "");
}

static void lack(long nr, int errnum, const char *at)
{
    char fault[64];

    (void)snprintf(fault, sizeof(fault), "lacks:%ld%s=%d", nr, at, errnum);
    cl_fault_set(fault);
}

/* Only the call that it was for has no end of its own then. */
TEST(a_timer_that_can_not_be_set_is_set_for_the_next)
{
    begin();
    struct client client = come();

    lack(SYS_timerfd_settime, EIO, "#1");
    REQUEST(&client, 1, "Keep", "first", .timeout_ns = CL_NS_PER_MS);
    CHECK(is_quiet(&client) && scene.kept_count == 1 && cl_fault_struck());
    cl_fault_set(NULL);
    REQUEST(&client, 3, "Keep", "second", .timeout_ns = 2 * CL_NS_PER_MS);
    (void)expect(&client, 3, CL_RPC_DEADLINE_EXCEEDED);
    (void)expect(&client, 1, CL_RPC_DEADLINE_EXCEEDED);
    CHECK(scene.gone == 2);
    leave(&client);
    end();
}

/* It isn't told of them without end meanwhile. */
TEST(who_can_not_be_accepted_now_is_later)
{
    static const int errnums[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};

    for (size_t i = 0; i < CL_ARRAY_SIZE(errnums); i++) {
        begin();
        struct client first = come();
        check_works(&first, 1);
        lack(SYS_accept4, errnums[i], "");
        struct client second = come();
        settle();
        check_works(&first, 3);
        REQUEST(&first, 5, "Keep", "late", .timeout_ns = 1); /* the timer is that of both */
        (void)expect(&first, 5, CL_RPC_DEADLINE_EXCEEDED);
        settle();
        cl_fault_set(NULL);
        check_works(&second, 1);
        struct client third = come();
        check_works(&third, 1);
        leave(&first);
        leave(&second);
        leave(&third);
        end();
    }
}

/* And a server that ends while it waits is as any other. */
TEST(who_waits_to_be_accepted_is_at_the_servers_end)
{
    begin();
    lack(SYS_accept4, EMFILE, "");
    struct client client = come();
    settle();
    cl_fault_set(NULL);
    cl_rpc_server_done(&scene.server);
    CHECK(has_ended(&client));
    leave(&client);
    scene.server =
        (struct cl_rpc_server){.loop = &scene.loop, .listener = {.fd = -1}, .timer = {.fd = -1}};
    end();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_call_may_fail),
        ROW(each_allocation_may_fail),
        ROW(a_timer_that_can_not_be_set_is_set_for_the_next),
        ROW(who_can_not_be_accepted_now_is_later),
        ROW(who_waits_to_be_accepted_is_at_the_servers_end),
    };

    make_calls();
    const int r = check_run(tests, CL_ARRAY_SIZE(tests));
    cl_buf_done(&calls);
    return r;
}
