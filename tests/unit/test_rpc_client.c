/* test_rpc_client.c - calls of another's service: answered, refused, broken off, and by a server
 * that is hostile. */
#include "rpc/client.h"
#include "each_fault.h"
#include "rpc_scene.h"

static char place[] = "/var/tmp/cloister-test-client-XXXXXX";
static char path[64];

/* What came of one question. */
struct outcome {
    int count;
    int errnum; /* 0: an answer */
    char text[512];
    size_t size;                 /* of its bytes */
    struct cl_rpc_client *frees; /* when it comes */
};

static int listen_at_path(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)unlink(path);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
    return fd;
}

static void begin_client(struct cl_rpc_client **ret)
{
    scene = (struct scene){.before = check_count_fds()};
    (void)snprintf(place, sizeof(place), "/var/tmp/cloister-test-client-XXXXXX");
    CHECK(mkdtemp(place) != NULL);
    (void)snprintf(path, sizeof(path), "%s/s", place);
    CHECK(cl_loop_init(&scene.loop, &scene.err) == 0);
    CHECK(cl_rpc_server_init(&scene.server, &scene.loop, &service, listen_at_path(), &scene.err) ==
          0);
    if (ret != NULL)
        CHECK(cl_rpc_client_new(&scene.loop, path, ret, &scene.err) == 0);
}

static void end_client(void)
{
    CHECK(unlink(path) == 0 && rmdir(place) == 0);
    end();
}

static void on_answer(void *context, const void *response, const struct cl_error *why)
{
    struct outcome *outcome = context;
    const struct reply *reply = response;

    outcome->count++;
    outcome->errnum = response == NULL ? why->code : 0;
    (void)snprintf(outcome->text, sizeof(outcome->text), "%s",
                   response == NULL ? why->msg : reply->text);
    outcome->size = response == NULL ? 0 : reply->bytes.size;
    cl_rpc_client_free(outcome->frees);
}

static int ask_for(struct cl_rpc_client *client, const char *method, const struct ask *ask,
                   struct outcome *outcome)
{
    const struct cl_rpc_question question = {.service = "test.Test",
                                             .method = method,
                                             .space = "space",
                                             .request_shape = &ask_shape,
                                             .request = ask,
                                             .response_shape = &reply_shape,
                                             .on_answer = on_answer,
                                             .context = outcome};

    return cl_rpc_client_ask(client, &question, &scene.err);
}

TEST(a_question_is_answered)
{
    struct outcome one = {0}, two = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    CHECK(ask_for(client, "Echo", &(struct ask){.text = "one", .number = 3}, &one) == 0);
    CHECK(ask_for(client, "Echo", &(struct ask){.text = "two"}, &two) == 0);
    CHECK(one.count == 0 && two.count == 0); /* not from within */
    settle();
    CHECK(one.count == 1 && one.errnum == 0 && one.size == 3);
    CHECK_TEXT(one.text, "one");
    CHECK(two.count == 1 && two.errnum == 0);
    CHECK_TEXT(two.text, "two");
    cl_rpc_client_free(client);
    settle();
    end_client();
}

TEST(a_namespace_comes_with_it)
{
    struct outcome one = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    CHECK(ask_for(client, "Keep", &(struct ask){.text = "one"}, &one) == 0);
    settle();
    CHECK(scene.kept_count == 1 && one.count == 0);
    CHECK_TEXT(scene.kept->space, "space");
    CHECK(answer_kept("one", 0));
    settle();
    CHECK(one.count == 1 && one.errnum == 0);
    cl_rpc_client_free(client);
    settle();
    end_client();
}

TEST(answers_come_in_any_order)
{
    struct outcome outcomes[3] = {{0}, {0}, {0}};
    static const char *const names[] = {"a", "b", "c"};
    struct cl_rpc_client *client;

    begin_client(&client);
    for (size_t i = 0; i < 3; i++)
        CHECK(ask_for(client, "Keep", &(struct ask){.text = names[i]}, &outcomes[i]) == 0);
    settle();
    CHECK(answer_kept("c", 0) && answer_kept("a", 0) && answer_kept("b", 0));
    settle();
    for (size_t i = 0; i < 3; i++) {
        CHECK(outcomes[i].count == 1);
        CHECK_TEXT(outcomes[i].text, names[i]);
    }
    cl_rpc_client_free(client);
    settle();
    end_client();
}

TEST(a_refusal_is_an_error)
{
    static const int errnums[] = {EINVAL, ETIMEDOUT, ENOENT, EEXIST, EPERM, E2BIG, EBUSY, ENOSYS};
    struct cl_rpc_client *client;

    begin_client(&client);
    for (size_t i = 0; i < CL_ARRAY_SIZE(errnums); i++) {
        struct outcome one = {0};
        const struct ask ask = {.text = "no such thing", .number = (uint32_t)errnums[i]};

        CHECK(ask_for(client, "Refuse", &ask, &one) == 0);
        settle();
        CHECK(one.count == 1 && one.errnum == errnums[i]);
        CHECK_TEXT(one.text, "no such thing");
    }
    cl_rpc_client_free(client);
    settle();
    end_client();
}

TEST(a_large_answer_and_a_large_question)
{
    static char bytes[3 * MIB];
    struct outcome one = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    CHECK(ask_for(client, "Echo",
                  &(struct ask){.text = "x", .number = 3 * MIB, .note = {bytes, sizeof(bytes)}},
                  &one) == 0);
    settle();
    CHECK(one.count == 1 && one.errnum == 0 && one.size == 3 * MIB);
    cl_rpc_client_free(client);
    settle();
    end_client();
}

TEST(who_waits_when_the_server_goes_is_told)
{
    struct outcome one = {0}, two = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    CHECK(ask_for(client, "Keep", &(struct ask){.text = "one"}, &one) == 0);
    CHECK(ask_for(client, "Keep", &(struct ask){.text = "two"}, &two) == 0);
    settle();
    cl_rpc_server_done(&scene.server);
    settle();
    CHECK(one.count == 1 && one.errnum == EAGAIN && two.count == 1 && two.errnum == EAGAIN);
    CHECK(!cl_rpc_client_is_there(client));
    CHECK(ask_for(client, "Keep", &(struct ask){.text = "three"}, &one) == -EAGAIN);
    cl_rpc_client_free(client);
    CHECK(cl_rpc_server_init(&scene.server, &scene.loop, &service, listen_at_path(), &scene.err) ==
          0);
    end_client();
}

TEST(who_is_told_may_free_it)
{
    struct outcome one = {0}, two = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    one.frees = client;
    CHECK(ask_for(client, "Echo", &(struct ask){.text = "one"}, &one) == 0);
    CHECK(ask_for(client, "Echo", &(struct ask){.text = "two"}, &two) == 0);
    settle();
    CHECK(one.count == 1 && two.count == 0);
    end_client();
}

TEST(who_is_told_of_the_end_may_free_it)
{
    struct outcome one = {0}, two = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    one.frees = client;
    two.frees = NULL;
    CHECK(ask_for(client, "Keep", &(struct ask){.text = "two"}, &two) == 0);
    CHECK(ask_for(client, "Keep", &(struct ask){.text = "one"}, &one) == 0);
    settle();
    cl_rpc_server_done(&scene.server);
    settle();
    CHECK(one.count == 1 && one.errnum == EAGAIN && two.count == 0);
    CHECK(cl_rpc_server_init(&scene.server, &scene.loop, &service, listen_at_path(), &scene.err) ==
          0);
    end_client();
}

/* Who is told asks whether he may put another in its place. */
static struct cl_rpc_client *looked_at;
static int was_telling;

static void on_end(void *context, const void *response, const struct cl_error *why)
{
    was_telling += cl_rpc_client_is_telling(looked_at);
    on_answer(context, response, why);
}

TEST(it_is_telling_until_all_are_told)
{
    struct outcome one = {0}, two = {0};
    struct cl_rpc_question question = {.service = "test.Test",
                                       .method = "Keep",
                                       .space = "space",
                                       .request_shape = &ask_shape,
                                       .request = &(struct ask){.text = "one"},
                                       .response_shape = &reply_shape,
                                       .on_answer = on_end};

    begin_client(&looked_at);
    was_telling = 0;
    question.context = &one;
    CHECK(cl_rpc_client_ask(looked_at, &question, &scene.err) == 0);
    question.context = &two;
    CHECK(cl_rpc_client_ask(looked_at, &question, &scene.err) == 0);
    settle();
    CHECK(!cl_rpc_client_is_telling(looked_at));
    cl_rpc_server_done(&scene.server);
    settle();
    CHECK(one.count == 1 && two.count == 1 && was_telling == 2);
    CHECK(!cl_rpc_client_is_telling(looked_at) && !cl_rpc_client_is_telling(NULL));
    cl_rpc_client_free(looked_at);
    CHECK(cl_rpc_server_init(&scene.server, &scene.loop, &service, listen_at_path(), &scene.err) ==
          0);
    end_client();
}

TEST(who_goes_is_not_told)
{
    struct outcome one = {0};
    struct cl_rpc_client *client;

    begin_client(&client);
    CHECK(ask_for(client, "Echo", &(struct ask){.text = "one"}, &one) == 0);
    cl_rpc_client_forget(client, &one);
    settle();
    CHECK(one.count == 0);
    cl_rpc_client_free(client);
    cl_rpc_client_free(NULL);
    settle();
    end_client();
}

TEST(nobody_at_the_address)
{
    struct cl_rpc_client *client = NULL;
    char long_path[200];

    begin_client(NULL);
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    CHECK(cl_rpc_client_new(&scene.loop, long_path, &client, &scene.err) == -ENAMETOOLONG);
    CHECK(cl_rpc_client_new(&scene.loop, "/var/tmp/no/such/socket", &client, &scene.err) ==
          -ENOENT);
    CHECK(client == NULL && !cl_rpc_client_is_there(client));
    end_client();
}

/* --- a hostile server ------------------------------------------------------------------------ */

/* Takes the client's connection, and says DATA. */
static void say_to(struct cl_rpc_client **client, const void *data, size_t size,
                   struct outcome *outcome)
{
    struct cl_rpc_client *one;

    scene = (struct scene){.before = check_count_fds()};
    (void)snprintf(place, sizeof(place), "/var/tmp/cloister-test-client-XXXXXX");
    CHECK(mkdtemp(place) != NULL);
    (void)snprintf(path, sizeof(path), "%s/s", place);
    CHECK(cl_loop_init(&scene.loop, &scene.err) == 0);
    const int listener = listen_at_path();
    CHECK(cl_rpc_client_new(&scene.loop, path, &one, &scene.err) == 0);
    CHECK(ask_for(one, "Keep", &(struct ask){.text = "one"}, outcome) == 0);
    settle();
    const int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    settle();
    *client = one;
    (void)close(fd);
    (void)close(listener);
}

static void check_hostile(const void *data, size_t size, int errnum)
{
    struct outcome one = {0};
    struct cl_rpc_client *client;

    say_to(&client, data, size, &one);
    CHECK(one.count == 1 && one.errnum == errnum);
    cl_rpc_client_free(client);
    CHECK(unlink(path) == 0 && rmdir(place) == 0);
    cl_loop_done(&scene.loop);
    CHECK(check_count_fds() == scene.before);
}

TEST(what_is_no_answer_breaks_it_off)
{
    static const uint8_t unknown[] = {0, 0, 0, 0, 0, 0, 0, 9, 2, 0};
    static const uint8_t request[] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 0};
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 2, 0};

    check_hostile("GET / HTTP/1.1\r\n\r\n", 18, EAGAIN);
    check_hostile(unknown, sizeof(unknown), EAGAIN);
    check_hostile(request, sizeof(request), EAGAIN);
    check_hostile(huge, sizeof(huge), EAGAIN);
}

TEST(what_is_no_message_is_its_questions_error)
{
    static const uint8_t garbage[] = {0, 0, 0, 3, 0, 0, 0, 1, 2, 0, 0xff, 0xff, 0xff};
    static const uint8_t no_reply[] = {0, 0, 0, 5, 0, 0, 0, 1, 2, 0, 0x12, 3, 0x0a, 9, 'x'};
    static const uint8_t empty[] = {0, 0, 0, 0, 0, 0, 0, 1, 2, 0};

    check_hostile(garbage, sizeof(garbage), EBADMSG);
    check_hostile(no_reply, sizeof(no_reply), EBADMSG);
    check_hostile(empty, sizeof(empty), 0);
}

/* --- each call and allocation failing -------------------------------------------------------- */

static int try(const char *fault)
{
    struct outcome one = {0}, two = {0};
    struct cl_rpc_client *client = NULL;

    begin_client(NULL);
    cl_fault_set(fault);
    int r = cl_rpc_client_new(&scene.loop, path, &client, &scene.err);
    const int first =
        r < 0 ? r : ask_for(client, "Echo", &(struct ask){.text = "one", .number = 70000}, &one);
    const int second = r < 0 ? r : ask_for(client, "Keep", &(struct ask){.text = "two"}, &two);
    int done = 0;
    while (done < MANY_EVENTS && cl_loop_dispatch(&scene.loop, 0, &scene.err) != 0)
        done++;
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    settle();
    CHECK(first < 0 || one.count == 1 || (two.count == 0 && cl_rpc_client_is_there(client)));
    CHECK(second == 0 || two.count == 0);
    cl_rpc_client_free(client);
    settle();
    end_client();
    return struck;
}

static const struct each_fault each = {.run = try, .least = 10, .most = 2000};

TEST(each_call_may_fail)
{
    static const int errnums[] = {EIO, EINTR, EAGAIN, ENOMEM, EMFILE, ECONNRESET};

    each_fault_calls(&each, errnums, CL_ARRAY_SIZE(errnums));
}

TEST(each_allocation_may_fail)
{
    each_fault_try(&each, "alloc", "");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_question_is_answered),
        ROW(a_namespace_comes_with_it),
        ROW(answers_come_in_any_order),
        ROW(a_refusal_is_an_error),
        ROW(a_large_answer_and_a_large_question),
        ROW(who_waits_when_the_server_goes_is_told),
        ROW(who_is_told_may_free_it),
        ROW(who_is_told_of_the_end_may_free_it),
        ROW(it_is_telling_until_all_are_told),
        ROW(who_goes_is_not_told),
        ROW(nobody_at_the_address),
        ROW(what_is_no_answer_breaks_it_off),
        ROW(what_is_no_message_is_its_questions_error),
        ROW(each_call_may_fail),
        ROW(each_allocation_may_fail),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
