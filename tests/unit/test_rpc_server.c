/* test_rpc_server.c - calls that are answered, refused, kept, late and lost. */
#include <sys/resource.h>

#include "rpc_scene.h"

/* --- answers ------------------------------------------------------------------------------- */

TEST(a_call_is_answered)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Echo", "hello", .number = 3);
    const struct got *got = expect(&client, 1, CL_RPC_OK);
    CHECK_TEXT(got->text, "hello");
    CHECK(got->size == 3 && scene.served == 1 && is_quiet(&client));
    check_works(&client, 3);
    check_works(&client, 0x7fffffff); /* numbers may be left out */
    check_works(&client, 0xffffffff);
    CHECK(scene.server.connection_count == 1);
    leave(&client);
    settle();
    CHECK(scene.server.connection_count == 0);
    end();
}

TEST(many_calls_come_at_once)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(MIB);
    char text[16];

    begin();
    struct client client = come();
    for (uint32_t i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        add_request(&buf, &(struct order){.stream = 2 * i + 1, .method = "Echo", .text = text});
    }
    CHECK(put(&client, buf.data, buf.size) == buf.size);
    for (uint32_t i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        CHECK_TEXT(expect(&client, 2 * i + 1, CL_RPC_OK)->text, text);
    }
    CHECK(is_quiet(&client));
    leave(&client);
    end();
}

TEST(those_that_are_kept_are_answered_in_any_order)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Keep", "one");
    REQUEST(&client, 3, "Keep", "two");
    REQUEST(&client, 5, "Keep", "three");
    CHECK(is_quiet(&client) && scene.kept_count == 3 && scene.server.call_count == 3);
    check_works(&client, 7);
    CHECK(answer_kept("two", 0));
    CHECK_TEXT(expect(&client, 3, CL_RPC_OK)->text, "two");
    REQUEST(&client, 9, "Release", "three"); /* by another call */
    CHECK_TEXT(expect(&client, 5, CL_RPC_OK)->text, "three");
    (void)expect(&client, 9, CL_RPC_OK);
    CHECK(answer_kept("one", 0));
    CHECK_TEXT(expect(&client, 1, CL_RPC_OK)->text, "one");
    CHECK(scene.gone == 0 && scene.server.call_count == 0);
    leave(&client);
    end();
}

/* There is no call any more when its method says that it is kept. */
TEST(one_that_is_kept_may_be_answered_before_its_method_returns)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "KeepShortly", "one");
    CHECK_TEXT(expect(&client, 1, CL_RPC_OK)->text, "one");
    CHECK(scene.kept_count == 0 && scene.server.call_count == 0 && is_quiet(&client));
    check_works(&client, 3);
    leave(&client);
    end();
}

/* Bytes, too, which are no copies of their own. */
TEST(a_request_that_is_kept_stays_as_it_is)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Keep", "one", .note = {"\0x\xffy", 4});
    settle();
    for (uint32_t stream = 3; stream < 20; stream += 2)
        check_works(&client, stream);
    CHECK(answer_kept("one", 0));
    const struct got *got = expect(&client, 1, CL_RPC_OK);
    CHECK(got->size == 4 && memcmp(got->first, "\0x\xffy", 4) == 0);
    leave(&client);
    end();
}

TEST(connections_are_strangers_to_each_other)
{
    begin();
    struct client first = come();
    struct client second = come();

    REQUEST(&first, 1, "Keep", "first");
    REQUEST(&second, 1, "Keep", "second");
    settle();
    REQUEST(&second, 3, "Release", "first"); /* the service's business, who it is */
    (void)expect(&second, 3, CL_RPC_OK);
    CHECK_TEXT(expect(&first, 1, CL_RPC_OK)->text, "first");
    leave(&first);
    settle();
    CHECK(scene.gone == 0 && scene.kept_count == 1);
    CHECK(answer_kept("second", 0));
    CHECK_TEXT(expect(&second, 1, CL_RPC_OK)->text, "second");
    leave(&second);
    end();
}

TEST(a_refusal_has_a_code_and_a_reason)
{
    static const struct {
        uint32_t errnum;
        enum cl_rpc_code code;
    } reasons[] = {
        {ENOENT, CL_RPC_NOT_FOUND},
        {EEXIST, CL_RPC_ALREADY_EXISTS},
        {EINVAL, CL_RPC_INVALID_ARGUMENT},
        {EBUSY, CL_RPC_FAILED_PRECONDITION},
        {ENOSPC, CL_RPC_RESOURCE_EXHAUSTED},
        {EDQUOT, CL_RPC_RESOURCE_EXHAUSTED},
        {EIO, CL_RPC_UNKNOWN},
    };
    uint32_t stream = 1;

    begin();
    struct client client = come();
    for (size_t i = 0; i < CL_ARRAY_SIZE(reasons); i++, stream += 2) {
        REQUEST(&client, stream, "Refuse", "as it is", .number = reasons[i].errnum);
        CHECK_TEXT(expect(&client, stream, reasons[i].code)->message, "as it is");
    }
    check_works(&client, stream);
    leave(&client);
    end();
}

TEST(what_there_is_not_is_told)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Nothing", "");
    CHECK_HAS(expect(&client, 1, CL_RPC_UNIMPLEMENTED)->message, "test.Test/Nothing");
    REQUEST(&client, 3, "", "");
    (void)expect(&client, 3, CL_RPC_UNIMPLEMENTED);
    PUT(&client, "\0\0\0\x0a\0\0\0\x05\x01\0\x0a\x02no\x12\x04"
                 "Echo");
    CHECK_HAS(expect(&client, 5, CL_RPC_UNIMPLEMENTED)->message, "no/Echo");
    check_works(&client, 7);
    CHECK(scene.served == 1);
    leave(&client);
    end();
}

/* --- deadlines ----------------------------------------------------------------------------- */

TEST(a_call_that_is_kept_ends_at_its_deadline)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Keep", "for ever");
    REQUEST(&client, 3, "Keep", "long", .timeout_ns = 3600 * CL_NS_PER_S);
    REQUEST(&client, 5, "Keep", "short", .timeout_ns = 20 * CL_NS_PER_MS);
    REQUEST(&client, 7, "Keep", "shorter", .timeout_ns = CL_NS_PER_MS);
    (void)expect(&client, 7, CL_RPC_DEADLINE_EXCEEDED);
    CHECK(scene.gone >= 1 && scene.kept_count >= 2); /* a slow machine is at the next one */
    (void)expect(&client, 5, CL_RPC_DEADLINE_EXCEEDED);
    CHECK(scene.gone == 2 && scene.kept_count == 2);
    CHECK(!answer_kept("short", 0) && answer_kept("long", 0));
    (void)expect(&client, 3, CL_RPC_OK);
    CHECK(is_quiet(&client) && scene.gone == 2);
    check_works(&client, 9);
    leave(&client);
    settle();
    CHECK(scene.gone == 3);
    end();
}

/* int64, and so below 0: and the most that there is. */
TEST(a_deadline_may_be_over_or_far_away)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Keep", "over", .timeout_ns = (uint64_t)INT64_MIN);
    (void)expect(&client, 1, CL_RPC_DEADLINE_EXCEEDED);
    REQUEST(&client, 3, "Keep", "just over", .timeout_ns = (uint64_t)-1);
    (void)expect(&client, 3, CL_RPC_DEADLINE_EXCEEDED);
    CHECK(scene.gone == 2);
    REQUEST(&client, 5, "Keep", "far", .timeout_ns = INT64_MAX);
    CHECK(is_quiet(&client) && scene.kept_count == 1 && scene.server.first_ns > INT64_MAX);
    REQUEST(&client, 7, "Keep", "near", .timeout_ns = 1);
    (void)expect(&client, 7, CL_RPC_DEADLINE_EXCEEDED);
    CHECK(answer_kept("far", 0));
    (void)expect(&client, 5, CL_RPC_OK);
    REQUEST(&client, 9, "Echo", "at once", .timeout_ns = (uint64_t)-1); /* it is there already */
    (void)expect(&client, 9, CL_RPC_OK);
    leave(&client);
    end();
}

TEST(deadlines_are_those_of_all_connections)
{
    static const uint64_t timeouts_ns[] = {3 * CL_NS_PER_MS, 2 * CL_NS_PER_MS, CL_NS_PER_MS};

    begin();
    struct client clients[3];

    for (int i = 0; i < 3; i++) {
        clients[i] = come();
        REQUEST(&clients[i], 1, "Keep", "x", .timeout_ns = timeouts_ns[i]);
        settle();
    }
    for (int i = 2; i >= 0; i--)
        (void)expect(&clients[i], 1, CL_RPC_DEADLINE_EXCEEDED);
    CHECK(scene.gone == 3);
    for (int i = 0; i < 3; i++)
        leave(&clients[i]);
    end();
}

/* --- ends ---------------------------------------------------------------------------------- */

TEST(who_goes_away_loses_the_calls)
{
    begin();
    struct client client = come();
    struct client other = come();

    for (uint32_t i = 0; i < 10; i++)
        REQUEST(&client, 2 * i + 1, "Keep", "mine", .timeout_ns = i == 0 ? 0 : i * CL_NS_PER_S);
    REQUEST(&other, 1, "Keep", "other");
    settle();
    CHECK(scene.kept_count == 11);
    leave(&client);
    settle();
    CHECK(scene.gone == 10 && scene.kept_count == 1 && scene.server.connection_count == 1);
    CHECK(answer_kept("other", 0));
    (void)expect(&other, 1, CL_RPC_OK);
    leave(&other);
    end();
}

TEST(who_sends_no_more_has_the_answers_that_are_there)
{
    begin();
    struct client client = come();

    REQUEST(&client, 1, "Echo", "large", .number = 2 * MIB);
    REQUEST(&client, 3, "Keep", "kept");
    CHECK(shutdown(client.fd, SHUT_WR) == 0);
    CHECK(expect(&client, 1, CL_RPC_OK)->size == 2 * MIB);
    CHECK(has_ended(&client) && scene.gone == scene.served - 1);
    leave(&client);
    end();
}

TEST(the_servers_end_is_that_of_all_calls)
{
    begin();
    struct client clients[3];

    for (int i = 0; i < 3; i++) {
        clients[i] = come();
        REQUEST(&clients[i], 1, "Keep", "x", .timeout_ns = (uint64_t)i * 3600 * CL_NS_PER_S);
        REQUEST(&clients[i], 3, "Keep", "y");
    }
    settle();
    CHECK(scene.kept_count == 6);
    cl_rpc_server_done(&scene.server);
    CHECK(scene.gone == 6 && scene.kept_count == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(has_ended(&clients[i]));
        leave(&clients[i]);
    }
    scene.server =
        (struct cl_rpc_server){.loop = &scene.loop, .listener = {.fd = -1}, .timer = {.fd = -1}};
    end();
}

/* --- how many ------------------------------------------------------------------------------ */

TEST(there_are_as_many_connections_as_there_may_be)
{
    static struct client clients[CL_RPC_CONNECTIONS_MOST + 1];
    struct rlimit files;

    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_max < 2 * CL_RPC_CONNECTIONS_MOST + 64)
        SKIP_TEST("needs two descriptors for each connection");
    begin();
    for (size_t i = 0; i < CL_RPC_CONNECTIONS_MOST; i++) {
        clients[i] = come();
        settle();
    }
    CHECK(scene.server.connection_count == CL_RPC_CONNECTIONS_MOST);
    clients[CL_RPC_CONNECTIONS_MOST] = come();
    CHECK(has_ended(&clients[CL_RPC_CONNECTIONS_MOST]));
    check_works(&clients[0], 1);
    check_works(&clients[CL_RPC_CONNECTIONS_MOST - 1], 1);
    leave(&clients[CL_RPC_CONNECTIONS_MOST]);
    leave(&clients[500]);
    settle();
    clients[500] = come();
    check_works(&clients[500], 1);
    for (size_t i = 0; i < CL_RPC_CONNECTIONS_MOST; i++)
        leave(&clients[i]);
    settle();
    CHECK(scene.server.connection_count == 0);
    end();
}

TEST(there_are_as_many_calls_as_there_may_be)
{
    begin();
    struct client client = come();

    check_works(&client, 1);
    scene.server.call_count += CL_RPC_CALLS_MOST - 1; /* of others, say */
    REQUEST(&client, 3, "Keep", "the last");
    CHECK(is_quiet(&client) && scene.kept_count == 1);
    REQUEST(&client, 5, "Echo", "one more");
    CHECK_HAS(expect(&client, 5, CL_RPC_RESOURCE_EXHAUSTED)->message, "too many");
    CHECK(answer_kept("the last", 0));
    (void)expect(&client, 3, CL_RPC_OK);
    check_works(&client, 7);
    scene.server.call_count -= CL_RPC_CALLS_MOST - 1;
    leave(&client);
    end();
}

/* Says that it has called, and whether it has been answered. */
CL_NORETURN static void be_a_stranger(int say)
{
    char word;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int is_let_go = setresuid(65534, 65534, 65534) == 0 &&
                    connect(fd, (struct sockaddr *)&scene.address, scene.address_size) == 0 &&
                    send(fd, "\0\0\0\0\0\0\0\x01\x01\0", 10, MSG_NOSIGNAL) == 10 &&
                    write(say, "", 1) == 1;

    if (is_let_go) {
        const ssize_t r = recv(fd, &word, 1, 0);
        is_let_go = r == 0 || (r < 0 && errno == ECONNRESET);
    }
    _exit(!is_let_go);
}

TEST(another_user_is_not_answered)
{
    int line[2] = {-1, -1};
    int status = -1;
    char word;

    if (geteuid() != 0)
        SKIP_TEST("needs root, who becomes another user");
    begin();
    CHECK(pipe2(line, O_CLOEXEC) == 0);
    (void)fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0)
        be_a_stranger(line[1]);
    cl_fd_close(&line[1]);
    CHECK(read(line[0], &word, 1) == 1);
    settle();
    CHECK(scene.server.connection_count == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    cl_fd_close(&line[0]);
    struct client client = come(); /* and who is none is */
    check_works(&client, 1);
    leave(&client);
    end();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_call_is_answered),
        ROW(many_calls_come_at_once),
        ROW(those_that_are_kept_are_answered_in_any_order),
        ROW(one_that_is_kept_may_be_answered_before_its_method_returns),
    ROW(one_that_is_kept_may_be_answered_before_its_method_returns),
        ROW(a_request_that_is_kept_stays_as_it_is),
        ROW(connections_are_strangers_to_each_other),
        ROW(a_refusal_has_a_code_and_a_reason),
        ROW(what_there_is_not_is_told),
        ROW(a_call_that_is_kept_ends_at_its_deadline),
        ROW(a_deadline_may_be_over_or_far_away),
        ROW(deadlines_are_those_of_all_connections),
        ROW(who_goes_away_loses_the_calls),
        ROW(who_sends_no_more_has_the_answers_that_are_there),
        ROW(the_servers_end_is_that_of_all_calls),
        ROW(there_are_as_many_connections_as_there_may_be),
        ROW(there_are_as_many_calls_as_there_may_be),
        ROW(another_user_is_not_answered),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
