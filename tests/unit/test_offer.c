/* test_offer.c - what a supervisor gives to who attaches, and what is refused. */
#include "base/channel.h"
#include "control_scene.h"
#include "sandbox/offer.h"

/* Another process that attaches: whether what it is given are FLAGS with a descriptor by which "x"
 * comes to us, or none; or the error's number. */
static pid_t ask_for_offer(struct supervisor *supervisor, uint32_t flags)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = find(supervisor);
    pid_t child = fork();

    if (child == 0) {
        struct cl_offer offer = CL_OFFER_INIT;
        struct cl_error err = {0};

        (void)close(supervisor->bell);
        int r = cl_offer_take(&entry, &offer, &err);
        if (r < 0)
            _exit(-r);
        _exit(offer.flags == flags && (flags == 0 ? offer.fd == -1 : write(offer.fd, "x", 1) == 1)
                  ? 0
                  : 99);
    }
    return child;
}

/* What a supervisor sends who is not ours. */
static int send_message(const struct supervisor *supervisor, const char *name, uint32_t flags,
                        int fd)
{
    CL_CLEANUP_FD int connection = cl_control_call_back(&supervisor->entry, name);
    uint32_t message[2] = {1, flags};
    const struct cl_packet packet = {
        .data = message, .size = sizeof(message), .fds = {fd}, .fd_count = fd < 0 ? 0 : 1};

    CHECK(connection >= 0);
    return cl_channel_send(connection, &packet, 0);
}

/* Rings, is offered FD by PLAN, or with FLAGS where there is none, and exits with STATUS. */
static void check_offer(const struct cl_plan *plan, uint32_t flags, int fd, int status)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};
    char name[CL_ID_SIZE] = "";

    create(&supervisor);
    listen_to(&supervisor);
    pid_t child = ask_for_offer(&supervisor, flags);
    CHECK(wait_for_ring(&supervisor));
    CL_CLEANUP_FD int client =
        cl_control_accept_from(supervisor.bell, &supervisor.entry, &request, name);
    CHECK(client >= 0 && request.command == CL_CONTROL_ATTACH);
    CHECK((plan != NULL ? cl_offer_give(&supervisor.entry, name, plan, fd)
                        : send_message(&supervisor, name, flags, fd)) == 0);
    cl_control_answer(client, 0);
    CHECK(answer_of(child) == status);
    CHECK(count_names("exec-") == 0 && count_clients() == 0);
    done(&supervisor);
}

TEST(what_is_offered_is_taken)
{
    struct cl_plan plan = {.interactive = 1};
    char byte = 0;
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    check_offer(&plan, 0, -1, 0); /* it has been closed */
    check_offer(&plan, CL_OFFER_INPUT, ends[1], 0);
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
    CL_CLEANUP_FD int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(master >= 0);
    plan.tty = 1;
    check_offer(&plan, CL_OFFER_TTY | CL_OFFER_INPUT, master, 0);
    plan.interactive = 0;
    check_offer(&plan, CL_OFFER_TTY, master, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

TEST(an_offer_of_something_else_is_refused)
{
    CL_CLEANUP_FD int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    int ends[2];

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    check_offer(NULL, CL_OFFER_INPUT, -1, -EPROTO);
    check_offer(NULL, 0, ends[1], -EPROTO);
    check_offer(NULL, 1 << 2, ends[1], -EPROTO);
    check_offer(NULL, CL_OFFER_INPUT, file, -EPROTO);
    check_offer(NULL, CL_OFFER_TTY, ends[1], -EPROTO);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* What a supervisor says who knows no such request. */
TEST(an_older_supervisor_is_told_apart)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};

    create(&supervisor);
    listen_to(&supervisor);
    pid_t child = ask_for_offer(&supervisor, 0);
    CHECK(wait_for_ring(&supervisor));
    CL_CLEANUP_FD int client = cl_control_accept(supervisor.bell, &supervisor.entry, &request);
    cl_control_answer(client, -EINVAL);
    CHECK(answer_of(child) == -EPROTO);
    done(&supervisor);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_offered_is_taken),
        ROW(an_offer_of_something_else_is_refused),
        ROW(an_older_supervisor_is_told_apart),
    };

    return run_in_base(tests, CL_ARRAY_SIZE(tests));
}
