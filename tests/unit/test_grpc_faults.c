/* test_grpc_faults.c - a relay whose system calls and allocations fail: whoever calls has his
 * answer, is told why not, or is cut off. */
#include "each_fault.h"
#include "grpc_scene.h"

/* Of a size with which memory grows, and that needs some frames. */
enum { SIZE = 100 << 10, CALLS = 3 };

static struct cl_buf body;
/* A ttrpc Response: field 2, the payload. */
static const char answer_data[] = "\x12\x06"
                                  "answer";

/* The test's own memory is there before anything may fail. */
static void make_room(struct cl_buf *buf, size_t size)
{
    CHECK(cl_buf_grow(buf, size) == 0);
    buf->size = 0;
}

/* The core answers all that it has heard. */
static void answer_all(void)
{
    struct cl_ttrpc_header header;

    while (scene.heard.size - scene.heard_at >= CL_TTRPC_HEADER) {
        uint8_t bytes[CL_TTRPC_HEADER];

        cl_ttrpc_take_header((const uint8_t *)scene.heard.data + scene.heard_at, &header);
        if (scene.heard.size - scene.heard_at - CL_TTRPC_HEADER < header.size)
            break;
        scene.heard_at += CL_TTRPC_HEADER + (size_t)header.size;
        header.type = CL_TTRPC_RESPONSE;
        header.size = sizeof(answer_data) - 1;
        cl_ttrpc_put_header(&header, bytes);
        (void)put(scene.core, bytes, sizeof(bytes));
        (void)put(scene.core, answer_data, sizeof(answer_data) - 1);
        settle();
    }
}

static void check_call(const struct made *made, int struck)
{
    if (!struck || strcmp(made->status, "0") == 0) {
        if (made->is_closed || !scene.has_ended)
            check_answered(made, "answer", 6);
        return;
    }
    CHECK(scene.has_ended || (made->is_closed && (made->reset != 0 || made->status[0] != '\0')));
}

/* Sessions that aren't to be freed. */
enum { BROKEN_MOST = 1000 };
static nghttp2_session *broken[BROKEN_MOST];
static size_t broken_count;

/* With FAULT: whether it struck. */
static int try(const char *fault)
{
    make_sockets();
    start_client(0);
    make_room(&scene.heard, (size_t)(CALLS + 1) * SIZE);
    for (size_t i = 0; i < CALLS; i++) {
        struct made *made =
            submit(&(struct order){.body = &body, .name_space = "k8s.io", .timeout = "1H"});

        make_room(&made->body, 64);
    }
    cl_fault_set(fault);
    const int r = cl_grpc_relay_init(&scene.relay, scene.inner[0], scene.inner[1], &scene.err);
    if (r == 0) {
        settle();
        answer_all();
    }
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(r == 0 || (struck && scene.err.code == -r));
    CHECK(struck || !scene.has_ended);
    for (size_t i = 0; r == 0 && i < CALLS; i++)
        check_call(&scene.made[i], struck);
    if (r == 0 && !scene.has_ended)
        check_holds_nothing();
    if (scene.relay.session.is_broken) { /* it stays, and is no leak */
        CHECK(broken_count < BROKEN_MOST);
        broken[broken_count++ % BROKEN_MOST] = scene.relay.session.h2;
    }
    end();
    return struck;
}

static const struct each_fault each = {.run = try, .least = 20, .most = 1000};

TEST(each_call_may_fail)
{
    static const int errnums[] = {EIO, EINTR, EAGAIN, ENOMEM, ECONNRESET, EPIPE};

    each_fault_calls(&each, errnums, CL_ARRAY_SIZE(errnums));
}

TEST(each_allocation_may_fail)
{
    each_fault_try(&each, "alloc", "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(each_call_may_fail),
        ROW(each_allocation_may_fail),
    };
    static char bytes[SIZE];

    body = CL_BUF_INIT(MIB);
    add_message(&body, bytes, SIZE);
    const int r = check_run(tests, CL_ARRAY_SIZE(tests));
    cl_buf_done(&body);
    return r;
}
