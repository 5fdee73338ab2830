/* test_rpc_hostile.c - what a peer may send to a server, and what it may leave unread. */
#include "rpc_scene.h"

/* --- frames -------------------------------------------------------------------------------- */

TEST(what_breaks_the_framing_is_let_go)
{
    static const char *const frames[] = {
        "\0\0\0\0\0\0\0\x01\x02\0", /* a response */
        "\0\0\0\0\0\0\0\x01\0\0",           "\0\0\0\0\0\0\0\x01\x04\0",
        "\0\0\0\0\0\0\0\x01\xff\xff",       "GET / HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    };

    begin();
    struct client other = come();
    for (size_t i = 0; i < CL_ARRAY_SIZE(frames); i++) {
        struct client client = come();

        REQUEST(&client, 1, "Keep", "x");
        settle();
        CHECK(put(&client, frames[i], CL_TTRPC_HEADER) == CL_TTRPC_HEADER);
        CHECK(has_ended(&client) && scene.gone == (int)i + 1);
        leave(&client);
    }
    check_works(&other, 1);
    leave(&other);
    end();
}

TEST(streams_have_odd_numbers_that_rise)
{
    begin();
    struct client client = come();

    REQUEST(&client, 0, "Echo", "");
    (void)expect(&client, 0, CL_RPC_INVALID_ARGUMENT);
    REQUEST(&client, 2, "Echo", "");
    (void)expect(&client, 2, CL_RPC_INVALID_ARGUMENT);
    check_works(&client, 5);
    REQUEST(&client, 5, "Echo", "again");
    (void)expect(&client, 5, CL_RPC_INVALID_ARGUMENT);
    REQUEST(&client, 3, "Echo", "lower");
    (void)expect(&client, 3, CL_RPC_INVALID_ARGUMENT);
    REQUEST(&client, 0xfffffffe, "Echo", "even");
    (void)expect(&client, 0xfffffffe, CL_RPC_INVALID_ARGUMENT);
    check_works(&client, 7);
    check_works(&client, 0xffffffff); /* the last that there is */
    REQUEST(&client, 1, "Echo", "from the beginning");
    (void)expect(&client, 1, CL_RPC_INVALID_ARGUMENT);
    CHECK(scene.served == 3 && is_quiet(&client));
    leave(&client);
    end();
}

TEST(streams_of_data_are_refused)
{
    begin();
    struct client client = come();

    PUT(&client, "\0\0\0\x03\0\0\0\x01\x03\0abc");
    (void)expect(&client, 1, CL_RPC_INVALID_ARGUMENT);
    PUT(&client, "\0\0\0\0\0\0\0\x01\x03\x05");
    (void)expect(&client, 1, CL_RPC_INVALID_ARGUMENT);
    for (uint8_t flags = 1; flags != 0; flags = (uint8_t)(flags << 1)) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);

        add_request(&buf, &(struct order){.stream = 1, .method = "Echo", .text = "x"});
        buf.data[9] = (char)flags;
        CHECK(put(&client, buf.data, buf.size) == buf.size);
        (void)expect(&client, 1, CL_RPC_UNIMPLEMENTED);
    }
    CHECK(scene.served == 0);
    check_works(&client, 3);
    leave(&client);
    end();
}

static void put_zeros(const struct client *client, uint64_t size)
{
    static char zeros[MIB];

    for (size_t most = sizeof(zeros); size > 0; size -= most) {
        most = (size_t)cl_min_u64(most, size);
        CHECK(put(client, zeros, most) == most);
    }
}

TEST(what_is_too_large_is_told_and_skipped)
{
    begin();
    struct client client = come();

    PUT(&client, "\0\x40\0\x01\0\0\0\x01\x01\0"); /* 4 MiB and one */
    CHECK_HAS(expect(&client, 1, CL_RPC_RESOURCE_EXHAUSTED)->message, "4 MiB");
    put_zeros(&client, 4 * MIB + 1);
    check_works(&client, 3);
    PUT(&client, "\x04\0\0\0\0\0\0\x05\x01\0"); /* 64 MiB */
    put_zeros(&client, 64 * MIB);
    (void)expect(&client, 5, CL_RPC_RESOURCE_EXHAUSTED);
    check_works(&client, 7);
    PUT(&client, "\xff\xff\xff\xff\0\0\0\x09\x03\0"); /* in its midst is no other */
    (void)expect(&client, 9, CL_RPC_RESOURCE_EXHAUSTED);
    REQUEST(&client, 11, "Echo", "unheard");
    put_zeros(&client, 8 * MIB);
    CHECK(is_quiet(&client) && scene.served == 2);
    leave(&client);
    end();
}

TEST(the_largest_that_is_taken)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(5 * MIB);
    CL_CLEANUP_FREE char *text = malloc(4 * MIB);
    const size_t size = 4 * MIB - 5 - 5 - 11 - 6; /* in Ask, which is in Request, with its names */

    begin();
    struct client client = come();
    CL_ASSERT(text != NULL);
    memset(text, 'x', size);
    text[size] = '\0';
    add_request(&buf, &(struct order){.stream = 1, .method = "Keep", .text = text});
    CHECK(buf.size == CL_TTRPC_HEADER + 4 * MIB);
    CHECK(put(&client, buf.data, buf.size) == buf.size);
    CHECK(is_quiet(&client) && scene.kept_count == 1);
    check_works(&client, 3);
    CHECK(answer_kept(text, 0));
    CHECK(expect(&client, 1, CL_RPC_OK)->text[1000] == 'x');
    leave(&client);
    end();
}

TEST(frames_come_in_pieces)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(4096);
    struct got got;

    begin();
    struct client client = come();
    for (uint32_t stream = 1; stream <= 5; stream += 2)
        add_request(&buf, &(struct order){.stream = stream, .method = "Echo", .text = "pieces"});
    const size_t each = buf.size / 3;
    for (size_t i = 0; i < buf.size; i++) {
        CHECK(put(&client, buf.data + i, 1) == 1);
        settle();
        CHECK(scene.served == (int)((i + 1) / each));
    }
    for (uint32_t stream = 1; stream <= 5; stream += 2)
        CHECK(next_answer(&client, &got) && got.stream == stream && got.code == 0);
    for (size_t size = 1; size < each; size++) { /* and some never come to their end */
        struct client half = come();

        CHECK(put(&half, buf.data, size) == size);
        settle();
        leave(&half);
        settle();
    }
    CHECK(scene.served == 3 && scene.server.connection_count == 1);
    leave(&client);
    end();
}

/* --- requests ------------------------------------------------------------------------------ */

TEST(a_request_that_is_none_is_refused)
{
    begin();
    struct client client = come();

    PUT(&client, "\0\0\0\x01\0\0\0\x01\x01\0\xff");
    CHECK_HAS(expect(&client, 1, CL_RPC_INVALID_ARGUMENT)->message, "Request");
    PUT(&client, "\0\0\0\x03\0\0\0\x03\x01\0\x0a\x01\xff");
    (void)expect(&client, 3, CL_RPC_INVALID_ARGUMENT);
    PUT(&client, "\0\0\0\x13\0\0\0\x05\x01\0\x0a\x09test.Test\x12\x04"
                 "Echo\x1a\0");
    (void)expect(&client, 5, CL_RPC_OK); /* without a payload is with an empty one */
    PUT(&client, "\0\0\0\x16\0\0\0\x07\x01\0\x0a\x09test.Test\x12\x04"
                 "Echo\x1a\x03\x0a\x05x");
    CHECK_HAS(expect(&client, 7, CL_RPC_INVALID_ARGUMENT)->message, "Ask");
    PUT(&client, "\0\0\0\0\0\0\0\x09\x01\0"); /* nothing at all */
    (void)expect(&client, 9, CL_RPC_UNIMPLEMENTED);
    check_works(&client, 11);
    CHECK(scene.served == 2);
    leave(&client);
    end();
}

/* 2 bytes each become more than is taken. */
TEST(a_request_that_becomes_too_much_is_refused)
{
    static char bytes[CL_TTRPC_HEADER + 4 * MIB];

    begin();
    struct client client = come();
    memcpy(bytes, "\0\x40\0\0\0\0\0\x01\x01\0", CL_TTRPC_HEADER);
    for (size_t i = CL_TTRPC_HEADER; i < sizeof(bytes); i += 2)
        bytes[i] = 0x2a;
    CHECK(put(&client, bytes, sizeof(bytes)) == sizeof(bytes));
    (void)expect(&client, 1, CL_RPC_RESOURCE_EXHAUSTED);
    check_works(&client, 3);
    leave(&client);
    end();
}

/* --- answers ------------------------------------------------------------------------------- */

TEST(an_answer_that_is_too_large_is_refused)
{
    const uint32_t large[] = {5 * MIB, 4 * MIB, 4 * MIB - 4};
    uint32_t stream = 1;

    begin();
    struct client client = come();
    for (size_t i = 0; i < CL_ARRAY_SIZE(large); i++, stream += 2) {
        REQUEST(&client, stream, "Echo", "", .number = large[i]);
        CHECK_HAS(expect(&client, stream, CL_RPC_RESOURCE_EXHAUSTED)->message, "Echo");
    }
    check_works(&client, stream);
    leave(&client);
    end();
}

/* A key and four bytes for a size stand before it, twice. */
TEST(an_answer_that_is_too_large_for_its_frame_is_refused)
{
    uint32_t stream = 1;

    begin();
    struct client client = come();
    for (uint32_t size = 4 * MIB - 5; size > 4 * MIB - 10; size--, stream += 2) {
        REQUEST(&client, stream, "Echo", "", .number = size);
        (void)expect(&client, stream, CL_RPC_RESOURCE_EXHAUSTED);
    }
    REQUEST(&client, stream, "Echo", "", .number = 4 * MIB - 10);
    CHECK(expect(&client, stream, CL_RPC_OK)->size == 4 * MIB - 10);
    check_works(&client, stream + 2);
    leave(&client);
    end();
}

/* Cut where there is no end of a sequence. */
TEST(a_refusal_is_utf8)
{
    char name[300];

    begin();
    struct client client = come();
    for (size_t i = 0; i < 2; i++) {
        memset(name, 'x', i);
        for (size_t k = i; k < i + 200; k += 2)
            memcpy(name + k, "\xc3\xa9", 3);
        REQUEST(&client, (uint32_t)(4 * i + 1), name, "");
        CHECK_HAS(expect(&client, (uint32_t)(4 * i + 1), CL_RPC_UNIMPLEMENTED)->message,
                  "no such method");
        REQUEST(&client, (uint32_t)(4 * i + 3), "Release", name);
        (void)expect(&client, (uint32_t)(4 * i + 3), CL_RPC_NOT_FOUND);
    }
    leave(&client);
    end();
}

/* Sends calls until no more are taken: how many bytes. */
static size_t fill(const struct client *client, const struct cl_buf *calls)
{
    const size_t sent = put(client, calls->data, calls->size);

    settle();
    CHECK(sent < calls->size);
    return sent + put(client, calls->data + sent, calls->size - sent);
}

TEST(who_reads_no_answers_is_not_read)
{
    enum { MANY = 20000 };
    CL_CLEANUP_BUF struct cl_buf calls = CL_BUF_INIT(64 * MIB);
    static char text[1001];
    struct got got;

    begin();
    struct client client = come();
    struct client other = come();
    memset(text, 'x', sizeof(text) - 1);
    for (uint32_t i = 0; i < MANY; i++)
        add_request(&calls, &(struct order){.stream = 2 * i + 1, .method = "Echo", .text = text});
    size_t sent = fill(&client, &calls);
    CHECK(sent < 2 * MIB && scene.served < 2000);
    const int served = scene.served;
    settle();
    CHECK(scene.served == served);
    check_works(&other, 1);
    uint32_t stream = 1;
    for (; stream < 2 * MANY + 1 && next_answer(&client, &got); stream += 2) {
        CHECK(got.stream == stream && got.code == 0 && strlen(got.text) == 1000);
        sent += put(&client, calls.data + sent, calls.size - sent);
    }
    CHECK(stream == 2 * MANY + 1 && sent == calls.size && is_quiet(&client));
    leave(&client);
    leave(&other);
    end();
}

/* Each larger than what a socket takes. */
TEST(large_answers_come_one_after_the_other)
{
    CL_CLEANUP_BUF struct cl_buf calls = CL_BUF_INIT(MIB);

    begin();
    struct client client = come();
    for (uint32_t i = 0; i < 20; i++)
        add_request(
            &calls,
            &(struct order){.stream = 2 * i + 1, .method = "Echo", .text = "", .number = 3 * MIB});
    CHECK(put(&client, calls.data, calls.size) == calls.size);
    settle();
    CHECK(scene.served == 1); /* the others are for later */
    for (uint32_t i = 0; i < 20; i++)
        CHECK(expect(&client, 2 * i + 1, CL_RPC_OK)->size == 3 * MIB);
    CHECK(is_quiet(&client));
    leave(&client);
    end();
}

/* Its socket takes all again, and before that is seen an answer of another call goes there. */
TEST(what_waits_in_front_of_another_answer_is_served)
{
    CL_CLEANUP_BUF struct cl_buf calls = CL_BUF_INIT(MIB);

    begin();
    struct client client = come();
    struct client other = come();
    settle();
    REQUEST(&client, 1, "Keep", "kept");
    settle();
    add_request(&calls,
                &(struct order){.stream = 3, .method = "Echo", .text = "", .number = MIB / 4});
    add_request(&calls, &(struct order){.stream = 5, .method = "Echo", .text = "waits"});
    CHECK(put(&client, calls.data, calls.size) == calls.size);
    settle();
    CHECK(scene.served == 2); /* the first of them isn't taken yet */
    REQUEST(&other, 1, "Release", "kept");
    while (fetch(&client) > 0)
        ;
    CHECK(expect(&client, 3, CL_RPC_OK)->size == MIB / 4);
    (void)expect(&client, 1, CL_RPC_OK);
    CHECK_TEXT(expect(&client, 5, CL_RPC_OK)->text, "waits");
    (void)expect(&other, 1, CL_RPC_OK);
    leave(&client);
    leave(&other);
    end();
}

/* Of those who keep many calls: what waits for them has an end. */
TEST(who_lets_too_many_answers_wait_is_let_go)
{
    enum { MANY = 6 };
    char text[2] = "0";

    begin();
    struct client client = come();
    struct client other = come();
    for (uint32_t i = 0; i < MANY; i++, text[0]++)
        REQUEST(&client, 2 * i + 1, "Keep", text);
    settle();
    CHECK(scene.kept_count == MANY);
    for (text[0] = '0'; text[0] < '0' + MANY - 1; text[0]++)
        CHECK(answer_kept(text, 3 * MIB));
    CHECK(scene.kept_count == 1 && scene.gone == 0);
    settle();
    CHECK(scene.gone == 1 && scene.server.connection_count == 1);
    struct got got;
    while (next_answer(&client, &got)) /* what was on its way */
        CHECK(got.code == 0);
    check_works(&other, 1);
    leave(&client);
    leave(&other);
    end();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_breaks_the_framing_is_let_go),
        ROW(streams_have_odd_numbers_that_rise),
        ROW(streams_of_data_are_refused),
        ROW(what_is_too_large_is_told_and_skipped),
        ROW(the_largest_that_is_taken),
        ROW(frames_come_in_pieces),
        ROW(a_request_that_is_none_is_refused),
        ROW(a_request_that_becomes_too_much_is_refused),
        ROW(an_answer_that_is_too_large_is_refused),
        ROW(an_answer_that_is_too_large_for_its_frame_is_refused),
        ROW(a_refusal_is_utf8),
        ROW(who_reads_no_answers_is_not_read),
        ROW(large_answers_come_one_after_the_other),
        ROW(what_waits_in_front_of_another_answer_is_served),
        ROW(who_lets_too_many_answers_wait_is_let_go),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
