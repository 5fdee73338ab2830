/* test_grpc_hostile.c - what a client may send, and leave unread, and a core that sends what is no
 * answer. */
#include "grpc_scene.h"

/* --- bytes --------------------------------------------------------------------------------- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
enum { PREFACE = sizeof(preface) - 1 };

enum { DATA = 0, HEADERS = 1, RST = 3, SETTINGS = 4, PING = 6, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

/* :method POST, :scheme http, :path /s/m, :authority h, content-type application/grpc: RFC 7541,
 * none kept. */
static const char head[] = "\x83\x86\x04\x04/s/m\x01\x01h\x0f\x10\x10"
                           "application/grpc";
enum { HEAD = sizeof(head) - 1 };

struct frame {
    uint8_t type, flags;
    uint32_t stream;
    const void *data;
    size_t size;
    size_t says; /* that it has; 0: as many as it has */
};

static void add_frame(struct cl_buf *buf, const struct frame *frame)
{
    const size_t says = frame->says == 0 ? frame->size : frame->says;
    const uint8_t header[9] = {(uint8_t)(says >> 16),
                               (uint8_t)(says >> 8),
                               (uint8_t)says,
                               frame->type,
                               frame->flags,
                               (uint8_t)(frame->stream >> 24),
                               (uint8_t)(frame->stream >> 16),
                               (uint8_t)(frame->stream >> 8),
                               (uint8_t)frame->stream};

    CHECK(cl_buf_add(buf, header, sizeof(header)) == 0);
    CHECK(cl_buf_add(buf, frame->data, frame->size) == 0);
}
#define ADD(buf, ...) add_frame((buf), &(const struct frame){__VA_ARGS__})

static struct cl_buf start_bytes(void)
{
    struct cl_buf ret = CL_BUF_INIT(64 * MIB);

    CHECK(cl_buf_add(&ret, preface, PREFACE) == 0);
    return ret;
}

/* A raw client that takes all that comes. */
static void drain(void)
{
    static char bytes[1 << 16];

    settle();
    while (recv(scene.client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        settle();
}

/* It sends BYTES and takes what comes, again and again. */
static void send_all(const struct cl_buf *bytes)
{
    enum { PIECE = 1 << 14 };

    for (size_t at = 0; at < bytes->size && !scene.has_ended; at += PIECE) {
        (void)put(scene.client, bytes->data + at, (size_t)cl_min_u64(PIECE, bytes->size - at));
        drain();
    }
}

TEST(what_is_no_http2_is_let_go)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense that is no frame", 50},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\4\0\0\0\0\0", 33}, /* 16 MiB of settings */
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\0\0\0\0\0\1", 33},       /* no settings first */
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        begin_raw();
        (void)put(scene.client, cases[i].bytes, cases[i].size);
        drain();
        CHECK(scene.has_ended && scene.code == 0 && heard() == 0);
        end();
    }
}

TEST(frames_that_break_the_protocol_end_it)
{
    static const char index_0[] = "\x80";
    static const struct frame cases[] = {
        {HEADERS, END_HEADERS, 2, head, HEAD, 0},            /* a server's stream */
        {HEADERS, END_HEADERS, 0, head, HEAD, 0},            /* none */
        {HEADERS, END_HEADERS, 1, index_0, 1, 0},            /* no header has it */
        {HEADERS, END_HEADERS, 1, "\x3f\xff\xff\xff", 4, 0}, /* a number that isn't ended */
        {DATA, 0, 1, "x", 1, 0},                             /* of a stream that isn't open */
        {CONTINUATION, END_HEADERS, 1, head, HEAD, 0},       /* of nothing */
        {DATA, 0, 1, "x", 1, 16385},                         /* larger than frames are */
        {PING, 0, 0, "1234567", 7, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();

        begin_raw();
        add_frame(&bytes, &cases[i]);
        send_all(&bytes);
        if (!scene.has_ended)
            printf("# case %zu\n", i);
        CHECK(scene.has_ended && scene.code == 0 && heard() == 0);
        end();
    }
}

/* Wherever it breaks off. */
TEST(half_a_call_is_nothing)
{
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();

    ADD(&bytes, HEADERS, END_HEADERS, 1, head, HEAD, 0);
    ADD(&bytes, DATA, END_STREAM, 1, "\0\0\0\0\3abc", 8, 0);
    for (size_t size = 0; size <= bytes.size; size++) {
        begin_raw();
        (void)put(scene.client, bytes.data, size);
        drain();
        CHECK(!scene.has_ended);
        cl_fd_close(&scene.client);
        settle();
        CHECK(scene.has_ended && scene.code == 0);
        CHECK((heard() > 0) == (size == bytes.size));
        end();
    }
}

/* --- calls --------------------------------------------------------------------------------- */

/* What nothing else is heard of. */
static void check_refuses(const struct order *order, const char *http, const char *status)
{
    begin();
    const struct made *made = submit(order);
    settle();
    check_refused(made, status);
    CHECK_TEXT(made->http, http);
    check_holds_nothing();
    CHECK(heard() == 0);
    check_works();
    end();
}

TEST(what_is_no_call_is_refused_alone)
{
    static const struct order cases[] = {
        {.path = "/nothing"},
        {.timeout = "1 day"},
        {.name_space = "na\xc3\xafve"},
    };
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(MIB);

    add_message(&body, "x", 1);
    for (int with_body = 0; with_body < 2; with_body++) {
        static const char *const statuses[] = {"12", "13", "3"};

        for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
            struct order order = cases[i];

            order.body = with_body ? &body : NULL;
            check_refuses(&order, "200", statuses[i]);
        }
        check_refuses(&(struct order){.method = "PUT", .body = with_body ? &body : NULL}, "405",
                      "13");
        check_refuses(&(struct order){.type = "text/html", .body = with_body ? &body : NULL}, "415",
                      "13");
    }
    check_refuses(&(struct order){0}, "200", "12"); /* no message */
}

static void check_body(const char *bytes, size_t size, int goes_on, const char *status)
{
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(8 * MIB);

    CHECK(cl_buf_add(&body, bytes, size) == 0);
    check_refuses(&(struct order){.body = &body, .goes_on = goes_on}, "200", status);
}
#define CHECK_BODY(text, goes_on, status) check_body((text), sizeof(text) - 1, (goes_on), (status))

TEST(what_is_no_message_is_refused)
{
    CHECK_BODY("\0\0\0\0\3ab", 0, "13");
    CHECK_BODY("\0\0", 0, "13");
    /* these are not waited for: */
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        CHECK_BODY("\1\0\0\0\3abc", goes_on, "12");
        CHECK_BODY("\0\0\0\0\3abc\0\0\0\0\3abc", goes_on, "12");
        CHECK_BODY("\0\xff\xff\xff\xff", goes_on, "8");
        CHECK_BODY("\0\0\x40\0\1x", goes_on, "8");
    }
}

/* With what is around it, it doesn't fit in a frame of ttrpc's. */
TEST(a_message_of_4_mib_is_too_large)
{
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(8 * MIB);
    static char bytes[CL_TTRPC_MOST];

    add_message(&body, bytes, sizeof(bytes));
    check_refuses(&(struct order){.body = &body}, "200", "8");
}

/* Who sends on is told once that nobody listens. */
TEST(more_data_of_a_refused_call_is_passed_over)
{
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();
    static char data[1 << 14];

    data[0] = 1;
    ADD(&bytes, HEADERS, END_HEADERS, 1, head, HEAD, 0);
    for (int i = 0; i < 16; i++)
        ADD(&bytes, DATA, 0, 1, data, sizeof(data), 0);
    begin_raw();
    send_all(&bytes);
    CHECK(!scene.has_ended && heard() == 0);
    check_holds_nothing();
    end();
}

/* --- floods -------------------------------------------------------------------------------- */

/* One header that is kept, and then a byte for each time that it is meant: 4 KiB of it each. */
TEST(a_bomb_of_headers_is_not_kept)
{
    enum { VALUE = 4000, TIMES = 15000 };
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();
    CL_CLEANUP_BUF struct cl_buf block = CL_BUF_INIT(MIB);
    static char value[VALUE];

    memset(value, 'v', VALUE);
    CHECK(cl_buf_add(&block, head, HEAD) == 0);
    CHECK(cl_buf_add(&block, "\x40\x01x\x7f\xa1\x1e", 6) == 0); /* 127 + 0x21 + (0x1e << 7) */
    CHECK(cl_buf_add(&block, value, VALUE) == 0);
    CHECK(0x7f + 0x21 + (0x1e << 7) == VALUE);
    ADD(&bytes, HEADERS, END_HEADERS | END_STREAM, 1, block.data, block.size, 0);
    block.size = HEAD;
    for (int i = 0; i < TIMES; i++)
        CHECK(cl_buf_add(&block, "\xbe", 1) == 0); /* the newest of the table */
    ADD(&bytes, HEADERS, END_HEADERS, 3, block.data, block.size, 0);
    ADD(&bytes, DATA, END_STREAM, 3, "\0\0\0\0\3abc", 8, 0);
    begin_raw();
    send_all(&bytes);
    CHECK(!scene.has_ended && heard() == 0);
    check_holds_nothing();
    end();
}

TEST(headers_without_end_are_bounded)
{
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();
    static char block[1 << 14]; /* of "x: " */

    for (size_t at = 0; at < sizeof(block); at += 4) {
        block[at + 1] = 1;
        block[at + 2] = 'x';
    }
    ADD(&bytes, HEADERS, 0, 1, head, HEAD, 0);
    for (int i = 0; i < 1000; i++)
        ADD(&bytes, CONTINUATION, 0, 1, block, sizeof(block), 0);
    begin_raw();
    send_all(&bytes);
    CHECK(scene.has_ended && scene.code == 0); /* 16 MiB of it aren't even read */
    end();
}

TEST(calls_that_are_reset_at_once_are_bounded)
{
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();
    const struct cl_grpc_session *session = &scene.relay.session;

    for (uint32_t stream = 1; stream < 8000; stream += 2) {
        ADD(&bytes, HEADERS, END_HEADERS, stream, head, HEAD, 0);
        ADD(&bytes, DATA, END_STREAM, stream, "\0\0\0\0\3abc", 8, 0);
        ADD(&bytes, RST, 0, stream, "\0\0\0\x08", 4, 0);
    }
    begin_raw();
    send_all(&bytes);
    CHECK(scene.has_ended && scene.code == 0);
    CHECK(session->calls.asked_count > 0 && session->calls.asked_count < 2000);
    end();
}

/* Nothing is taken from who takes nothing. */
TEST(who_reads_nothing_is_not_read_from)
{
    enum { PINGS = 1000000 };
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();

    for (int i = 0; i < PINGS; i++)
        ADD(&bytes, PING, 0, 0, "12345678", 8, 0);
    begin_raw();
    CHECK(put(scene.client, bytes.data, bytes.size) < bytes.size);
    CHECK(!scene.has_ended);
    drain();
    CHECK(!scene.has_ended);
    end();
}

TEST(settings_without_end_end_it)
{
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();
    char entries[6 * 100] = {0};

    for (size_t i = 0; i < 100; i++)
        entries[6 * i + 1] = 1; /* SETTINGS_HEADER_TABLE_SIZE: 0 */
    ADD(&bytes, SETTINGS, 0, 0, entries, sizeof(entries), 0);
    begin_raw();
    send_all(&bytes);
    CHECK(scene.has_ended && scene.code == 0);
    end();
}

TEST(more_streams_than_there_may_be_are_refused)
{
    CL_CLEANUP_BUF struct cl_buf bytes = start_bytes();
    size_t count = 0;

    for (uint32_t i = 0; i < CL_GRPC_STREAMS_MOST + 10; i++)
        ADD(&bytes, HEADERS, END_HEADERS, 2 * i + 1, head, HEAD, 0);
    begin_raw();
    send_all(&bytes);
    for (const struct cl_grpc_call *one = scene.relay.session.calls.first; one != NULL;
         one = one->next)
        count++;
    CHECK(!scene.has_ended && count == CL_GRPC_STREAMS_MOST);
    end();
}

/* Messages that go on for ever: what they hold together is bounded, and others are taken when
 * they have gone. */
TEST(messages_that_are_not_complete_are_bounded)
{
    enum { MESSAGES = 12, SIZE = 2 << 20 };
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(8 * MIB);
    const struct made *made[MESSAGES];
    static char data[SIZE];
    size_t refused = 0;

    begin();
    add_message(&body, data, sizeof(data));
    body.data[1 + 3]++; /* one byte will never come */
    for (size_t i = 0; i < MESSAGES; i++)
        made[i] = submit(&(struct order){.body = &body, .goes_on = 1});
    settle();
    for (size_t i = 0; i < MESSAGES; i++) {
        refused += (size_t)made[i]->is_closed;
        if (made[i]->is_closed)
            check_refused(made[i], "8");
    }
    CHECK(refused >= MESSAGES - CL_GRPC_BODIES_MOST / SIZE && refused < MESSAGES);
    CHECK(scene.relay.session.bodies <= CL_GRPC_BODIES_MOST);
    CHECK(heard() == 0);
    for (size_t i = 0; i < MESSAGES; i++) {
        if (!made[i]->is_closed)
            CHECK(nghttp2_submit_rst_stream(scene.h2, 0, made[i]->stream, NGHTTP2_CANCEL) == 0);
    }
    settle();
    check_holds_nothing();
    check_works();
    end();
}

/* --- who waits for whom -------------------------------------------------------------------- */

/* Its windows are shut: the answers wait here, up to a bound, and then at the core; and all come
 * when it opens them. */
TEST(answers_that_are_not_taken_are_bounded)
{
    enum { CALLS = 24, SIZE = 1 << 20 };
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(8 * MIB);
    CL_CLEANUP_BUF struct cl_buf answers = CL_BUF_INIT(64 * MIB);
    static char bytes[SIZE];
    const struct made *made[CALLS];

    CHECK(open_scene() == 0);
    start_client(1);
    for (size_t i = 0; i < 2; i++)
        settle();
    CHECK(nghttp2_session_set_local_window_size(scene.h2, 0, 0, 1) == 0);
    add_message(&body, "x", 1);
    for (size_t i = 0; i < CALLS; i++)
        made[i] = submit(&(struct order){.body = &body});
    for (uint32_t i = 0; i < CALLS; i++) {
        CHECK(heard() == 2 * i + 1);
        CHECK(cl_ttrpc_add(&answers, 2 * i + 1, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape,
                           &(struct cl_ttrpc_response){.payload = {bytes, SIZE}}) == 0);
    }
    nghttp2_session *h2 = scene.h2; /* which doesn't read now */
    scene.h2 = NULL;
    const size_t sent = put(scene.core, answers.data, answers.size);
    CHECK(sent < answers.size && !scene.has_ended);
    CHECK(scene.relay.session.answers >= CL_GRPC_ANSWERS_MOST);
    CHECK(scene.relay.session.answers < CL_GRPC_ANSWERS_MOST + CL_TTRPC_MOST);
    scene.h2 = h2;
    CHECK(nghttp2_session_set_local_window_size(scene.h2, 0, 0, 1 << 30) == 0);
    for (size_t i = 0; i < CALLS; i++)
        CHECK(nghttp2_session_set_local_window_size(scene.h2, 0, made[i]->stream, 8 << 20) == 0);
    (void)put(scene.core, answers.data + sent, answers.size - sent);
    settle();
    for (size_t i = 0; i < CALLS; i++)
        check_answered(made[i], bytes, SIZE);
    check_holds_nothing();
    end();
}

/* A core that doesn't read: the client's data stays with the client, and goes when it does. */
TEST(calls_that_the_core_does_not_take_are_bounded)
{
    enum { CALLS = 18, SIZE = 1 << 20 };
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(8 * MIB);
    static char bytes[SIZE];
    const struct made *made[CALLS];
    const struct cl_grpc_link *link = &scene.relay.link;

    begin();
    const int core = scene.core;
    scene.core = -1; /* it reads nothing */
    add_message(&body, bytes, SIZE);
    for (size_t i = 0; i < CALLS; i++) {
        made[i] = submit(&(struct order){.body = &body});
        settle();
    }
    CHECK(cl_grpc_link_waits(link) >= CL_GRPC_LINK_FULL);
    CHECK(cl_grpc_link_waits(link) + scene.relay.session.bodies <
          CL_GRPC_LINK_FULL + SIZE + 2 * CL_GRPC_WINDOW);
    CHECK(nghttp2_submit_ping(scene.h2, 0, NULL) == 0);
    settle();
    CHECK(scene.pings == 1); /* it is heard all the same */
    scene.core = core;
    for (uint32_t i = 0; i < CALLS; i++) {
        const uint32_t stream = heard();

        CHECK(stream > 0);
        answer_text(stream, "taken");
    }
    for (size_t i = 0; i < CALLS; i++)
        check_answered(made[i], "taken", 5);
    check_holds_nothing();
    end();
}

/* --- the core ------------------------------------------------------------------------------ */

TEST(a_core_that_breaks_ttrpc_is_an_error)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\0\0\0\0\0\0\0\1\1\0", 10},     /* a request */
        {"\0\0\0\0\0\0\0\1\3\0", 10},     /* data */
        {"\0\0\0\0\0\0\0\1\2\1", 10},     /* flags */
        {"\0\x40\0\1\0\0\0\1\2\0", 10},   /* more than 4 MiB */
        {"\0\0\0\0\0\0\0\3\2\0", 10},     /* to what wasn't asked */
        {"\0\0\0\0\0\0\0\0\2\0", 10},     /* nor was that */
        {"\0\0\0\1\0\0\0\1\2\0\xff", 11}, /* no message */
        {"HTTP/1.1 400 Bad Request\r\n", 26},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        begin();
        (void)call("x");
        CHECK(heard() == 1);
        (void)put(scene.core, cases[i].bytes, cases[i].size);
        settle();
        if (!scene.has_ended || scene.code >= 0)
            printf("# case %zu\n", i);
        CHECK(scene.has_ended && scene.code < 0 && scene.err.msg[0] != '\0');
        end();
    }
}

TEST(a_core_answers_once)
{
    begin();
    (void)call("x");
    CHECK(heard() == 1);
    answer_text(1, "answer");
    CHECK(!scene.has_ended);
    answer_text(1, "again");
    CHECK(scene.has_ended && scene.code == -EPROTO);
    end();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_no_http2_is_let_go),
        ROW(frames_that_break_the_protocol_end_it),
        ROW(half_a_call_is_nothing),
        ROW(what_is_no_call_is_refused_alone),
        ROW(what_is_no_message_is_refused),
        ROW(a_message_of_4_mib_is_too_large),
        ROW(more_data_of_a_refused_call_is_passed_over),
        ROW(a_bomb_of_headers_is_not_kept),
        ROW(headers_without_end_are_bounded),
        ROW(calls_that_are_reset_at_once_are_bounded),
        ROW(who_reads_nothing_is_not_read_from),
        ROW(settings_without_end_end_it),
        ROW(more_streams_than_there_may_be_are_refused),
        ROW(messages_that_are_not_complete_are_bounded),
        ROW(answers_that_are_not_taken_are_bounded),
        ROW(calls_that_the_core_does_not_take_are_bounded),
        ROW(a_core_that_breaks_ttrpc_is_an_error),
        ROW(a_core_answers_once),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
