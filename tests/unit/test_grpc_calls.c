/* test_grpc_calls.c - calls of gRPC become ttrpc's, and the core's answers come back. */
#include "grpc_scene.h"

TEST(a_call_has_its_answer)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(MIB);
    struct cl_ttrpc_request request;

    begin();
    const struct made *made = call("question");
    CHECK(hear(&request, &arena) == 1);
    CHECK_TEXT(request.service, "test.Test");
    CHECK_TEXT(request.method, "Do");
    CHECK(request.payload.size == 8 && memcmp(request.payload.data, "question", 8) == 0);
    CHECK(request.timeout_ns == 0 && request.metadata.count == 0);
    CHECK(!made->is_closed);
    answer_text(1, "answer");
    check_answered(made, "answer", 6);
    check_holds_nothing();
    check_works();
    check_holds_nothing();
    end();
}

TEST(messages_may_be_empty)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(MIB);
    struct cl_ttrpc_request request;

    begin();
    const struct made *made = call("");
    CHECK(hear(&request, &arena) == 1 && request.payload.size == 0);
    answer_text(1, "");
    check_answered(made, "", 0);
    check_holds_nothing();
    end();
}

static const char *metadata_of(const struct cl_ttrpc_request *request)
{
    const struct cl_msg_pair *pairs = request->metadata.items;

    CHECK(request->metadata.count == 1);
    if (request->metadata.count != 1)
        return "";
    CHECK_TEXT(pairs[0].key, "containerd-namespace-ttrpc");
    return pairs[0].value;
}

TEST(the_namespace_and_the_timeout_go_along)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(MIB);
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(MIB);
    const nghttp2_nv more[] = {nv("x-more", "nobody asked"), nv("grpc-encoding", "identity")};
    struct cl_ttrpc_request request;

    begin();
    add_message(&body, "x", 1);
    (void)submit(&(struct order){.path = "/a.b/with/Slash",
                                 .type = "application/grpc+proto",
                                 .name_space = "k8s.io",
                                 .timeout = "1500m",
                                 .more = more,
                                 .more_count = 2,
                                 .body = &body});
    CHECK(hear(&request, &arena) == 1);
    CHECK_TEXT(request.service, "a.b/with");
    CHECK_TEXT(request.method, "Slash");
    CHECK_TEXT(metadata_of(&request), "k8s.io");
    CHECK(request.timeout_ns == 1500000000);
    end();
}

/* The last one's is the first answer. */
TEST(many_calls_wait_at_once)
{
    enum { CALLS = CL_GRPC_STREAMS_MOST };
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(MIB);
    const struct made *made[CALLS];
    char text[16];

    begin();
    settle(); /* its settings are known */
    add_message(&body, "x", 1);
    for (size_t i = 0; i < CALLS; i++)
        made[i] = submit(&(struct order){.body = &body});
    for (uint32_t i = 0; i < CALLS; i++)
        CHECK(heard() == 2 * i + 1);
    CHECK(heard() == 0);
    for (uint32_t i = CALLS; i-- > 0;) {
        (void)snprintf(text, sizeof(text), "%u", i);
        CHECK(!made[i]->is_closed);
        answer_text(2 * i + 1, text);
        check_answered(made[i], text, strlen(text));
    }
    check_holds_nothing();
    end();
}

static void fill(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 >> 3);
}

/* As large as a frame of ttrpc lets it be. */
TEST(an_answer_of_4_mib_goes_through_small_windows)
{
    enum { SIZE = CL_TTRPC_MOST - 5 };
    static char bytes[SIZE];

    fill(bytes, SIZE);
    CHECK(open_scene() == 0);
    start_client(1000);
    const struct made *made = call("much");
    answer(heard(), &(struct cl_ttrpc_response){.payload = {bytes, SIZE}});
    check_answered(made, bytes, SIZE);
    check_holds_nothing();
    check_works();
    end();
}

TEST(a_message_of_almost_4_mib_is_taken)
{
    enum { SIZE = CL_TTRPC_MOST - 100 };
    static char bytes[SIZE];
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(MIB);
    CL_CLEANUP_BUF struct cl_buf body = CL_BUF_INIT(8 * MIB);
    struct cl_ttrpc_request request;

    fill(bytes, SIZE);
    begin();
    add_message(&body, bytes, SIZE);
    const struct made *made = submit(&(struct order){.body = &body});
    CHECK(hear(&request, &arena) == 1 && request.payload.size == SIZE &&
          memcmp(request.payload.data, bytes, SIZE) == 0);
    answer_text(1, "taken");
    check_answered(made, "taken", 5);
    check_holds_nothing();
    end();
}

TEST(the_cores_errors_are_the_clients)
{
    static const struct {
        uint32_t code;
        const char *message, *status, *encoded;
    } cases[] = {
        {CL_RPC_NOT_FOUND, "no sandbox \"x\"", "5", "no sandbox \"x\""},
        {CL_RPC_UNKNOWN, "", "2", ""},
        {CL_RPC_INTERNAL, "100 % wrong\n", "13", "100 %25 wrong%0A"},
        {CL_RPC_UNAVAILABLE, "na\xc3\xafve \xe2\x82\xac", "14", "na%C3%AFve %E2%82%AC"},
        {4000000000U, "what?", "4000000000", "what?"},
    };

    begin();
    for (size_t i = 0; i < CL_ARRAY_SIZE(cases); i++) {
        const struct made *made = call("x");

        answer_status(heard(), cases[i].code, cases[i].message);
        CHECK(made->is_closed && made->body.size == 0);
        CHECK_TEXT(made->http, "200");
        CHECK_TEXT(made->status, cases[i].status);
        CHECK_TEXT(made->message, cases[i].encoded);
    }
    check_holds_nothing();
    check_works();
    end();
}

/* It is cut at a character: of the last one there would be one byte of two. */
TEST(a_long_message_is_cut)
{
    char text[2 * CL_GRPC_MESSAGE_MOST] = "x";
    const size_t whole = (CL_GRPC_MESSAGE_MOST - 1) / 2;

    for (size_t i = 1; i + 2 < sizeof(text); i += 2) {
        text[i] = (char)0xc3;
        text[i + 1] = (char)0xa9;
    }
    begin();
    const struct made *made = call("x");
    answer_status(heard(), CL_RPC_INTERNAL, text);
    check_refused(made, "13");
    CHECK(strlen(made->message) == 1 + 6 * whole);
    CHECK_TEXT(made->message + strlen(made->message) - 6, "%C3%A9");
    end();
}

/* Of a status that says that all is well. */
TEST(a_status_of_0_is_none)
{
    const struct cl_msg_status status = {0, "fine"};

    begin();
    const struct made *made = call("x");
    answer(heard(), &(struct cl_ttrpc_response){&status, {"answer", 6}});
    check_answered(made, "answer", 6);
    end();
}

TEST(an_answer_that_comes_late_is_dropped)
{
    begin();
    const struct made *made = call("x");
    const uint32_t stream = heard();
    CHECK(nghttp2_submit_rst_stream(scene.h2, 0, made->stream, NGHTTP2_CANCEL) == 0);
    settle();
    CHECK(scene.relay.session.calls.asked_count == 1);
    check_works();
    answer_text(stream, "late");
    CHECK(made->is_closed && made->body.size == 0);
    check_holds_nothing();
    check_works();
    end();
}

/* It is on its way to a client whose window is shut. */
TEST(a_call_is_reset_in_the_middle_of_its_answer)
{
    static char bytes[MIB];

    CHECK(open_scene() == 0);
    start_client(1);
    nghttp2_session_set_local_window_size(scene.h2, 0, 0, 1);
    const struct made *made = call("x");
    const uint32_t stream = heard();
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(8 * MIB);
    CHECK(cl_ttrpc_add(&buf, stream, CL_TTRPC_RESPONSE, &cl_ttrpc_response_shape,
                       &(struct cl_ttrpc_response){.payload = {bytes, MIB}}) == 0);
    while (scene.relay.session.answers == 0 && put(scene.core, buf.data, buf.size) == buf.size)
        (void)work_relay();
    CHECK(scene.relay.session.answers > MIB && !made->is_closed);
    CHECK(nghttp2_submit_rst_stream(scene.h2, 0, made->stream, NGHTTP2_CANCEL) == 0);
    settle();
    check_holds_nothing();
    end();
}

/* With those whose clients are gone, as resets are bounded by time alone. */
TEST(the_core_has_so_many_calls_at_most)
{
    struct cl_grpc_calls *calls = &scene.relay.session.calls;

    begin();
    for (size_t i = 0; i < CL_GRPC_CALLS_MOST; i++) {
        struct cl_grpc_call *one = cl_grpc_call_new(calls, 1);

        CHECK(one != NULL && cl_grpc_call_number(calls, one) == 0 && one->id == 2 * i + 1);
        if (one != NULL)
            cl_grpc_call_leave(calls, one);
    }
    const struct made *made = call("one more");
    CHECK(heard() == 0);
    check_refused(made, "8");
    answer_text(2 * 4000 + 1, "at last");
    CHECK(!scene.has_ended && calls->asked_count == CL_GRPC_CALLS_MOST - 1);
    check_works();
    end();
}

TEST(pings_are_answered)
{
    begin();
    CHECK(nghttp2_submit_ping(scene.h2, 0, NULL) == 0);
    settle();
    CHECK(scene.pings == 1);
    end();
}

TEST(either_end_is_the_end)
{
    for (int which = 0; which < 2; which++) {
        begin();
        (void)call("x");
        CHECK(heard() == 1 && !scene.has_ended);
        cl_fd_close(which == 0 ? &scene.client : &scene.core);
        settle();
        CHECK(scene.has_ended && scene.code == 0);
        end();
    }
}

/* Who says that he goes has the answers that he waits for. */
TEST(after_goaway_it_ends_with_the_last_call)
{
    begin();
    const struct made *made = call("x");
    const uint32_t stream = heard();
    CHECK(nghttp2_submit_goaway(scene.h2, 0, 0, NGHTTP2_NO_ERROR, NULL, 0) == 0);
    settle();
    CHECK(!scene.has_ended);
    answer_text(stream, "answer");
    check_answered(made, "answer", 6);
    CHECK(scene.has_ended && scene.code == 0);
    end();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_call_has_its_answer),
        ROW(messages_may_be_empty),
        ROW(the_namespace_and_the_timeout_go_along),
        ROW(many_calls_wait_at_once),
        ROW(an_answer_of_4_mib_goes_through_small_windows),
        ROW(a_message_of_almost_4_mib_is_taken),
        ROW(the_cores_errors_are_the_clients),
        ROW(a_long_message_is_cut),
        ROW(a_status_of_0_is_none),
        ROW(an_answer_that_comes_late_is_dropped),
        ROW(a_call_is_reset_in_the_middle_of_its_answer),
        ROW(the_core_has_so_many_calls_at_most),
        ROW(pings_are_answered),
        ROW(either_end_is_the_end),
        ROW(after_goaway_it_ends_with_the_last_call),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
