/* test_clients.c - those who come to a worker for many: handed on, or waiting until there is room.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "sandbox/clients.h"
#include "check.h"

static char base[] = "/tmp/cloister-test-clients-XXXXXX";

/* A supervisor that has nothing but its loop, a line to a worker and a socket to listen at. */
static struct scene {
    struct cl_supervisor supervisor;
    struct cl_wall wall;
    struct cl_wall_process process;
    struct cl_plan plan;
    struct cl_entry entry;
    struct cl_error err;
    int worker; /* the other end of the line */
    int answer; /* to whoever is to be let in; 0: they are */
    int asked;  /* how often somebody was to be */
} scene;

static int admit(struct cl_wall_process *process, int connection, CL_UNUSED struct cl_error *err)
{
    char word = 0;
    const struct cl_packet packet = {
        .data = &word, .size = sizeof(word), .fds = {connection}, .fd_count = 1};

    scene.asked++;
    return scene.answer < 0 ? scene.answer
                            : cl_channel_send(process->line, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void set_up(void)
{
    int line[2] = {-1, -1};

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, line) == 0);
    scene = (struct scene){.wall = {.name = "test", .admit = admit},
                           .process = {.line = line[0]},
                           .plan = {.tenant = "alice"},
                           .entry = CL_ENTRY_INIT,
                           .worker = line[1]};
    scene.entry.dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    memcpy(scene.entry.id, "0123456789abcdef", CL_ID_SIZE);
    scene.supervisor = (struct cl_supervisor){
        .plan = &scene.plan,
        .wall = &scene.wall,
        .process = &scene.process,
        .entry = &scene.entry,
        .admits.fd = -1,
        .held = -1,
    };
    CHECK(cl_loop_init(&scene.supervisor.loop, &scene.err) == 0);
    const int listener = cl_clients_listen(&scene.supervisor, &scene.err);
    CHECK(listener >= 0);
    scene.supervisor.clients = (struct cl_source){.fd = listener,
                                                  .events = EPOLLIN,
                                                  .on_event = cl_clients_accept,
                                                  .context = &scene.supervisor};
    CHECK(cl_loop_add(&scene.supervisor.loop, &scene.supervisor.clients, &scene.err) == 0);
}

static void tear_down(void)
{
    cl_clients_stop(&scene.supervisor);
    cl_fd_close(&scene.supervisor.clients.fd);
    cl_fd_close(&scene.supervisor.admits.fd);
    cl_fd_close(&scene.supervisor.held);
    cl_loop_done(&scene.supervisor.loop);
    cl_fd_close(&scene.process.line);
    cl_fd_close(&scene.worker);
    cl_fd_close(&scene.entry.dir);
}

static int connect_to(const char *tenant)
{
    const struct cl_plan plan = {.tenant = tenant}; /* whose model is coroutine */

    return cl_clients_connect(scene.entry.dir, &plan);
}

static int come(void)
{
    const int fd = connect_to("alice");

    CHECK(fd >= 0);
    return fd;
}

/* Has the loop do all that there is to be done: how much that was. */
static int work(void)
{
    int done = 0;

    while (done < 1000 && cl_loop_dispatch(&scene.supervisor.loop, 0, &scene.err) > 0)
        done++;
    CHECK(done < 1000); /* it isn't busy for ever */
    return done;
}

/* Takes all that lies on the line: so many descriptors of clients. */
static int take(void)
{
    int taken = 0;

    for (;;) {
        char word;
        struct cl_packet packet = {.data = &word, .size = sizeof(word), .fd_count = 1};

        if (cl_channel_receive(scene.worker, &packet, MSG_DONTWAIT) < 0)
            return taken;
        taken += packet.fd_count == 1;
        for (size_t i = 0; i < packet.fd_count; i++)
            cl_fd_close(&packet.fds[i]);
    }
}

/* Fills the line with what is no client. */
static int fill(void)
{
    int filled = 0;

    while (write(scene.process.line, "", 1) == 1)
        filled++;
    CHECK(filled > 0 && errno == EAGAIN);
    return filled;
}

static int has_ended(int client)
{
    char word;

    return recv(client, &word, sizeof(word), MSG_DONTWAIT) == 0;
}

TEST(who_comes_is_handed_on)
{
    set_up();
    int clients[3];

    for (int i = 0; i < 3; i++)
        clients[i] = come();
    CHECK(work() == 3 && scene.supervisor.held < 0 && scene.supervisor.admits.fd < 0);
    CHECK(take() == 3);
    for (int i = 0; i < 3; i++)
        cl_fd_close(&clients[i]);
    tear_down();
}

TEST(who_comes_while_the_line_is_full_waits)
{
    enum { MANY = 200 };
    int clients[MANY];

    set_up();
    fill();
    const int before = check_count_fds();
    for (int i = 0; i < MANY; i++)
        clients[i] = come();
    CHECK(work() == 1 && scene.asked == 1 && scene.supervisor.held >= 0);
    CHECK(work() == 0 && scene.asked == 1);
    CHECK(check_count_fds() == before + MANY + 2); /* the one who is held, and what tells of room */
    CHECK(take() == 0);                            /* of all that there was nothing was a client */
    for (int taken = 0; taken < MANY;) {
        CHECK(work() > 0);
        const int more = take();

        CHECK(more > 0);
        taken = more > 0 ? taken + more : MANY;
    }
    CHECK(work() == 0 && scene.supervisor.held < 0 && check_count_fds() == before + MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK(has_ended(clients[i])); /* the worker's copy is closed: there was no other */
        cl_fd_close(&clients[i]);
    }
    tear_down();
}

TEST(nothing_tells_of_some_room_which_is_looked_for)
{
    int client;

    set_up();
    client = come();
    scene.answer = -ETOOMANYREFS;
    CHECK(work() == 1 && scene.supervisor.held >= 0);
    for (int i = 0; i < 3; i++)
        CHECK(cl_loop_dispatch(&scene.supervisor.loop, 20 * CL_NS_PER_S, &scene.err) == 1);
    CHECK(scene.asked == 4 && scene.supervisor.held >= 0 && !has_ended(client));
    fill(); /* and then the other room is wanting, too */
    scene.answer = 0;
    CHECK(cl_loop_dispatch(&scene.supervisor.loop, 20 * CL_NS_PER_S, &scene.err) == 1);
    CHECK(scene.supervisor.held >= 0 && work() == 0);
    CHECK(take() == 0 && work() > 0 && take() == 1 && scene.supervisor.held < 0);
    cl_fd_close(&client);
    tear_down();
}

TEST(some_room_is_not_looked_for_for_ever)
{
    int clients[2];

    set_up();
    for (int i = 0; i < 2; i++)
        clients[i] = come();
    scene.answer = -ETOOMANYREFS;
    CHECK(work() == 1);
    scene.supervisor.held_ns -= 60 * CL_NS_PER_S;
    CHECK(cl_loop_dispatch(&scene.supervisor.loop, 20 * CL_NS_PER_S, &scene.err) == 1);
    CHECK(has_ended(clients[0]) && scene.supervisor.held < 0);
    scene.answer = 0;
    CHECK(work() == 1 && take() == 1);
    for (int i = 0; i < 2; i++)
        cl_fd_close(&clients[i]);
    tear_down();
}

TEST(an_end_of_the_worker_holds_nobody)
{
    int clients[2];

    set_up();
    fill();
    for (int i = 0; i < 2; i++)
        clients[i] = come();
    CHECK(work() == 1 && scene.supervisor.held >= 0);
    cl_fd_close(&scene.worker);
    CHECK(work() == 2 && scene.supervisor.held < 0); /* the one who was held, and the next */
    for (int i = 0; i < 2; i++) {
        CHECK(has_ended(clients[i]));
        cl_fd_close(&clients[i]);
    }
    tear_down();
}

/* Whoever can't be held is gone, and the next one may come. */
TEST(what_fails_loses_one_client_at_most)
{
    char fault[32];
    int struck = 1;

    for (int i = 1; struck; i++) {
        set_up();
        fill();
        int first = come();
        const int before = check_count_fds();

        (void)snprintf(fault, sizeof(fault), "syscall:%d:%d", i, ENOMEM);
        cl_fault_set(fault);
        const int r = cl_clients_accept(&scene.supervisor.clients, EPOLLIN, &scene.err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(r == 0 && i < 50 && (struck || scene.supervisor.held >= 0));
        CHECK(check_count_fds() == before + (scene.supervisor.held >= 0 ? 2 : 0));
        CHECK(take() == 0);
        int second = come();
        CHECK(work() > 0 && take() >= 1 && scene.supervisor.held < 0);
        cl_fd_close(&first);
        cl_fd_close(&second);
        tear_down();
    }
}

TEST(too_many_who_wait_are_told)
{
    char fault[64];

    set_up();
    (void)snprintf(fault, sizeof(fault), "lacks:%d=%d", SYS_connect, EAGAIN);
    cl_fault_set(fault);
    CHECK(connect_to("alice") == -EAGAIN);
    cl_fault_set(NULL);
    CHECK(connect_to("bob") == -ENOENT);
    cl_fd_close(&scene.supervisor.clients.fd);
    CHECK(connect_to("alice") == -ENOENT); /* a dead one's */
    tear_down();
}

TEST(who_joins_has_the_layers_of_the_seat_that_is_noted)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_report report = {0};
    struct cl_wall_process process = {.is_joined = 1, .report = &report, .plan = &scene.plan};
    struct cl_status status = {.layers =
                                   CL_LAYER_BIT(CL_LAYER_STDIO) | CL_LAYER_BIT(CL_LAYER_SECCOMP)};
    struct cl_plan plan = {0};

    set_up();
    cl_clients_note_layers(&process, scene.entry.dir);
    CHECK(report.layers == 0); /* there is no such seat */
    const struct cl_state state = {.dir = scene.entry.dir};
    struct cl_state owned = {.dir = fcntl(state.dir, F_DUPFD_CLOEXEC, 3)};
    struct cl_entry entry = CL_ENTRY_INIT;
    CHECK(cl_plan_set_text(&plan, CL_FIELD_IMAGE, "modules", &arena, &scene.err) == 0);
    CHECK(cl_id_make(status.id, &scene.err) == 0);
    CHECK(cl_state_create(&owned, &status, &plan, &entry, &scene.err) == 0);
    scene.supervisor.entry = &entry;
    int listener = cl_clients_listen(&scene.supervisor, &scene.err);
    CHECK(listener >= 0);
    cl_clients_note_layers(&process, scene.entry.dir);
    CHECK(report.layers == status.layers);
    report.layers = 0;
    scene.plan.without = CL_LAYER_BIT(CL_LAYER_STDIO) | CL_LAYER_BIT(CL_LAYER_LANDLOCK);
    cl_clients_note_layers(&process, scene.entry.dir);
    CHECK(report.layers == CL_LAYER_BIT(CL_LAYER_SECCOMP));
    report.layers = 0;
    process.is_joined = 0;
    cl_clients_note_layers(&process, scene.entry.dir);
    CHECK(report.layers == 0);
    process.is_joined = 1;
    cl_entry_remove(&owned, &entry); /* and now it is nobody's */
    cl_clients_note_layers(&process, scene.entry.dir);
    CHECK(report.layers == 0);
    scene.supervisor.entry = &scene.entry;
    cl_fd_close(&listener);
    cl_state_done(&owned);
    CHECK(unlinkat(scene.entry.dir, "table", 0) == 0);
    tear_down();
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(who_comes_is_handed_on),
        ROW(who_comes_while_the_line_is_full_waits),
        ROW(nothing_tells_of_some_room_which_is_looked_for),
        ROW(some_room_is_not_looked_for_for_ever),
        ROW(an_end_of_the_worker_holds_nobody),
        ROW(what_fails_loses_one_client_at_most),
        ROW(too_many_who_wait_are_told),
        ROW(who_joins_has_the_layers_of_the_seat_that_is_noted),
    };
    char path[sizeof(base) + sizeof("/workers")];

    if (mkdtemp(base) == NULL)
        return 99;
    const int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    (void)snprintf(path, sizeof(path), "%s/workers", base);
    (void)rmdir(path);
    (void)snprintf(path, sizeof(path), "%s/served", base);
    (void)rmdir(path);
    if (rmdir(base) < 0)
        printf("# left: %s\n", base);
    return failed;
}
