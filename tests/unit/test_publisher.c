/* test_publisher.c - events on their way to containerd, which the test stands in for: it takes
 * them, refuses them, goes away and comes back. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "each_fault.h"
#include "rpc/event_messages.h"
#include "rpc/publisher.h"
#include "rpc/ttrpc.h"

enum { ROUNDS = 400, TAKEN_MOST = 64, FRAME_MOST = 4096 };

static struct scene {
    char dir[64];
    char path[108];
    int listener;   /* -1: containerd is away */
    int connection; /* -1 */
    struct cl_loop loop;
    struct cl_publisher publisher;
    unsigned int idle; /* how often it was */
    char taken[TAKEN_MOST][32];
    size_t count;
    unsigned int refusals; /* that are still to come */
} scene;

static void be_there(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)unlink(scene.path);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene.path);
    scene.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(scene.listener, (const struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(scene.listener, 4) == 0);
}

static void be_away(void)
{
    cl_fd_close(&scene.connection);
    cl_fd_close(&scene.listener);
}

static void on_idle(void *context)
{
    ((struct scene *)context)->idle++;
}

static int begin(const char *fault)
{
    struct cl_error err = {0};

    scene = (struct scene){
        .dir = "/var/tmp/cloister-test-publisher-XXXXXX", .listener = -1, .connection = -1};
    CL_ASSERT(mkdtemp(scene.dir) != NULL);
    (void)snprintf(scene.path, sizeof(scene.path), "%s/events", scene.dir);
    CHECK(cl_loop_init(&scene.loop, &err) == 0);
    cl_fault_set(fault);
    int r = cl_publisher_init(&scene.publisher, &scene.loop, scene.path, "there", &err);
    scene.publisher.on_idle = on_idle;
    scene.publisher.context = &scene;
    return r;
}

static void end(void)
{
    cl_fault_set(NULL);
    cl_publisher_done(&scene.publisher);
    cl_loop_done(&scene.loop);
    be_away();
    (void)unlink(scene.path);
    CHECK(rmdir(scene.dir) == 0);
}

static int publish(unsigned int number)
{
    char id[16];
    const struct cl_msg_task_start event = {id, number};

    (void)snprintf(id, sizeof(id), "%u", number);
    return cl_publish(&scene.publisher, "/tasks/start", "containerd.events.TaskStart",
                      &cl_msg_task_start_shape, &event);
}

/* What of a request says which one it is: the envelope, as it has to be. */
static void note(const char *bytes, size_t size)
{
    struct cl_arena_storage storage; /* no allocation that a fault could strike */
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT_IN(sizeof(storage), &storage);
    struct cl_ttrpc_request request = {0};
    struct cl_msg_forward forward = {0};
    struct cl_msg_task_start event = {0};
    struct cl_error err = {0};

    CHECK(cl_wire_read(&cl_ttrpc_request_shape, &(struct cl_bytes){bytes, size}, &arena, &request,
                       &err) == 0);
    CHECK_TEXT(request.service, "containerd.services.events.ttrpc.v1.Events");
    CHECK_TEXT(request.method, "Forward");
    CHECK(cl_wire_read(&cl_msg_forward_shape, &request.payload, &arena, &forward, &err) == 0);
    CHECK_TEXT(forward.envelope->space, "there");
    CHECK_TEXT(forward.envelope->topic, "/tasks/start");
    CHECK_TEXT(forward.envelope->event->type_url, "containerd.events.TaskStart");
    CHECK(forward.envelope->at->seconds > 1700000000);
    CHECK(cl_wire_read(&cl_msg_task_start_shape, &forward.envelope->event->value, &arena, &event,
                       &err) == 0);
    if (scene.count < TAKEN_MOST)
        (void)snprintf(scene.taken[scene.count++], 32, "%s", event.container_id);
}

static void answer(uint32_t stream)
{
    static const struct cl_msg_status status = {.code = 14, .message = "not now"};
    char storage[FRAME_MOST];
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT_IN(FRAME_MOST, storage);
    const struct cl_ttrpc_response response = {.status = scene.refusals > 0 ? &status : NULL};

    scene.refusals -= scene.refusals > 0;
    CHECK(cl_ttrpc_add(&out, stream, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape, &response) == 0);
    (void)!write(scene.connection, out.data, out.size); /* or the publisher has gone */
}

/* Takes what has come, and answers it. */
static void serve(void)
{
    static char bytes[FRAME_MOST];
    struct cl_ttrpc_header header;

    if (scene.connection < 0 && scene.listener >= 0)
        scene.connection = accept4(scene.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (scene.connection < 0)
        return;
    ssize_t size = recv(scene.connection, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size == 0)
        cl_fd_close(&scene.connection);
    for (ssize_t at = 0; at < size; at += CL_TTRPC_HEADER + (ssize_t)header.size) {
        cl_ttrpc_take_header((const uint8_t *)bytes + at, &header);
        CHECK(header.type == CL_TTRPC_REQUEST && header.stream % 2 == 1);
        CHECK(at + CL_TTRPC_HEADER + (ssize_t)header.size <= size); /* events are small */
        note(bytes + at + CL_TTRPC_HEADER, header.size);
        answer(header.stream);
    }
}

/* Until COUNT have come, or, with UINT_MAX, nothing waits. */
static void settle(size_t count)
{
    struct cl_error err = {0};

    for (int i = 0; i < ROUNDS && scene.count < count; i++) {
        if (count == UINT32_MAX && cl_publisher_is_idle(&scene.publisher))
            return;
        CHECK(cl_loop_dispatch(&scene.loop, 20 * 1000 * 1000, &err) >= 0);
        serve();
    }
}

TEST(they_arrive_in_their_order)
{
    CHECK(begin(NULL) == 0);
    be_there();
    for (unsigned int i = 0; i < 10; i++)
        CHECK(publish(i) == 0);
    settle(UINT32_MAX);
    CHECK(scene.count == 10 && scene.idle > 0);
    for (unsigned int i = 0; i < 10; i++)
        CHECK(atoi(scene.taken[i]) == (int)i);
    end();
}

TEST(they_wait_for_who_is_away)
{
    CHECK(begin(NULL) == 0);
    CHECK(publish(1) == 0 && publish(2) == 0); /* nobody has been there yet */
    CHECK(scene.publisher.count == 2);
    be_there();
    settle(UINT32_MAX);
    be_away();
    CHECK(publish(3) == 0 && publish(4) == 0);
    be_there();
    settle(UINT32_MAX);
    be_away();
    CHECK(scene.count >= 4 && scene.count <= 5); /* one may have been on its way */
    CHECK_TEXT(scene.taken[0], "1");
    CHECK_TEXT(scene.taken[scene.count - 1], "4");
    end();
}

TEST(one_that_is_refused_goes_again)
{
    CHECK(begin(NULL) == 0);
    be_there();
    scene.refusals = 2;
    CHECK(publish(1) == 0 && publish(2) == 0);
    settle(UINT32_MAX);
    CHECK(scene.count == 4);
    CHECK_TEXT(scene.taken[2], "1");
    CHECK_TEXT(scene.taken[3], "2");
    end();
}

TEST(one_that_is_always_refused_is_given_up)
{
    CHECK(begin(NULL) == 0);
    be_there();
    scene.refusals = 5;
    CHECK(publish(1) == 0 && publish(2) == 0);
    settle(UINT32_MAX);
    CHECK(scene.count == 6);
    CHECK_TEXT(scene.taken[4], "1");
    CHECK_TEXT(scene.taken[5], "2");
    end();
}

TEST(the_oldest_are_given_up_when_there_are_too_many)
{
    CHECK(begin(NULL) == 0);
    for (unsigned int i = 0; i < CL_PUBLISHER_MOST + 3; i++)
        CHECK(publish(i) == 0);
    CHECK(scene.publisher.count == CL_PUBLISHER_MOST);
    be_there();
    settle(2);
    CHECK_TEXT(scene.taken[0], "3");
    CHECK_TEXT(scene.taken[1], "4");
    end();
}

TEST(nobody_is_told_where_nobody_listens)
{
    struct cl_error err = {0};

    CHECK(begin(NULL) == 0);
    cl_publisher_done(&scene.publisher);
    CHECK(cl_publisher_init(&scene.publisher, &scene.loop, "", "there", &err) == 0);
    CHECK(publish(1) == 0 && cl_publisher_is_idle(&scene.publisher));
    end();
}

/* Whatever containerd says, it is the publisher's alone to go on. */
TEST(answers_that_are_none)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {"\0\0\0\0\0\0\0\1\1\0", 10},                 /* a request */
        {"\0\0\0\0\0\0\0\2\2\0", 10},                 /* of another stream */
        {"\377\377\377\377\0\0\0\1\2\0", 10},         /* endless */
        {"\0\0\0\2\0\0\0\1\2\0\377\377", 12},         /* no message */
        {"\0\0\0\0\0\0\0\1\2\0\0\0\0\0\0\0\0\1", 18}, /* an answer, and the beginning of one */
    };
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(begin(NULL) == 0);
        be_there();
        CHECK(publish(1) == 0);
        scene.connection = accept4(scene.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        CHECK(write(scene.connection, rows[i].bytes, rows[i].size) == (ssize_t)rows[i].size);
        CHECK(cl_loop_dispatch(&scene.loop, 1000 * 1000 * 1000, &err) == 1);
        cl_fd_close(&scene.connection);
        CHECK(publish(2) == 0);
        settle(UINT32_MAX);
        CHECK(scene.count > 0);
        CHECK_TEXT(scene.taken[scene.count - 1], "2");
        end();
    }
}

static int live_with(const char *fault)
{
    if (begin(fault) == 0) {
        be_there();
        (void)publish(1);
        (void)publish(2);
        for (int i = 0; i < 20 && !cl_publisher_is_idle(&scene.publisher); i++) {
            struct cl_error err = {0};

            (void)cl_loop_dispatch(&scene.loop, 10 * 1000 * 1000, &err);
            serve();
        }
    }
    const int struck = cl_fault_struck();
    end();
    return struck;
}

TEST(each_call_and_allocation_may_fail)
{
    static const struct each_fault each = {.run = live_with, .most = 100};

    each_fault_try(&each, "syscall", "");
    each_fault_try(&each, "alloc", "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(they_arrive_in_their_order),
        ROW(they_wait_for_who_is_away),
        ROW(one_that_is_refused_goes_again),
        ROW(one_that_is_always_refused_is_given_up),
        ROW(the_oldest_are_given_up_when_there_are_too_many),
        ROW(nobody_is_told_where_nobody_listens),
        ROW(answers_that_are_none),
        ROW(each_call_and_allocation_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
