/* test_control.c - ringing for a supervisor: requests, answers, silence and rubbish. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/sys.h"
#include "sandbox/told.h"
#include "control_scene.h"

/* Another process that asks for ENTRY; its exit status is the -errno of the answer. It has
 * none of the supervisor's bell. */
static pid_t ask_entry(const struct supervisor *supervisor, const struct cl_entry *entry,
                       int signal)
{
    pid_t child = fork();

    if (child == 0) {
        struct cl_error err = {0};

        (void)close(supervisor->bell);
        _exit(-cl_control_signal(entry, signal, &err));
    }
    return child;
}

static pid_t ask(struct supervisor *supervisor, int signal)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = find(supervisor);

    return ask_entry(supervisor, &entry, signal);
}

TEST(a_request_is_answered)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};

    create(&supervisor);
    listen_to(&supervisor);
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EAGAIN);
    for (int answer = 0; answer >= -EINVAL; answer -= EINVAL) {
        pid_t child = ask(&supervisor, SIGUSR1);

        CHECK(wait_for_ring(&supervisor));
        CL_CLEANUP_FD int client = cl_control_accept(supervisor.bell, &supervisor.entry, &request);
        CHECK(client >= 0 && request.command == CL_CONTROL_SIGNAL && request.signal == SIGUSR1);
        cl_control_answer(client, answer);
        CHECK(answer_of(child) == answer);
    }
    CHECK(count_clients() == 0);
    done(&supervisor);
}

TEST(several_are_answered_in_turn)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};
    pid_t children[8];

    create(&supervisor);
    listen_to(&supervisor);
    for (int i = 0; i < 8; i++)
        children[i] = ask(&supervisor, SIGUSR1 + i);
    for (int i = 0; i < 8; i++) {
        CHECK(wait_for_ring(&supervisor));
        CL_CLEANUP_FD int client = cl_control_accept(supervisor.bell, &supervisor.entry, &request);
        CHECK(client >= 0);
        cl_control_answer(client, -request.signal);
    }
    for (int i = 0; i < 8; i++)
        CHECK(answer_of(children[i]) == -(SIGUSR1 + i));
    done(&supervisor);
}

TEST(nobody_there_is_told)
{
    struct supervisor supervisor;
    struct cl_error err = {0};

    create(&supervisor);
    CL_CLEANUP_ENTRY struct cl_entry seen = find(&supervisor);
    CHECK(cl_control_signal(&seen, SIGTERM, &err) == -EAGAIN); /* not yet */
    CHECK_HAS(err.msg, "still being made");
    listen_to(&supervisor);
    cl_fd_close(&supervisor.bell);
    CHECK(cl_control_signal(&seen, SIGTERM, &err) == -EAGAIN); /* ending */
    cl_entry_remove(&supervisor.state, &supervisor.entry);
    CHECK(cl_control_signal(&seen, SIGTERM, &err) == -ESRCH);
    CHECK_HAS(err.msg, "has ended");
    done(&supervisor);
}

/* The client hears of an end in the middle, and that it isn't its own (SIGPIPE). */
TEST(an_end_before_the_answer_is_told_at_once)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};
    uint64_t began_ns = cl_clock_boot_ns();

    create(&supervisor);
    for (int accepted = 0; accepted < 2; accepted++) {
        listen_to(&supervisor);
        pid_t child = ask(&supervisor, SIGUSR1);

        CHECK(wait_for_ring(&supervisor));
        if (accepted) {
            CL_CLEANUP_FD int client =
                cl_control_accept(supervisor.bell, &supervisor.entry, &request);
            CHECK(client >= 0);
        }
        cl_fd_close(&supervisor.bell);
        CHECK(answer_of(child) == -ESRCH);
    }
    CHECK(cl_clock_boot_ns() - began_ns < 5 * CL_NS_PER_S);
    done(&supervisor);
}

/* Rung for one that has ended since, heard by the next in its seat. */
TEST(a_successor_says_that_it_is_another)
{
    struct supervisor first;
    struct supervisor second;
    struct cl_control_request request = {0};

    create(&first);
    CL_CLEANUP_ENTRY struct cl_entry seen = find(&first);
    done(&first);
    create(&second);
    CHECK(second.entry.seat == seen.seat);
    listen_to(&second);
    seen.dir = second.state.dir;
    pid_t child = ask_entry(&second, &seen, SIGKILL);
    CHECK(wait_for_ring(&second));
    CHECK(cl_control_accept(second.bell, &second.entry, &request) == -ESRCH);
    CHECK(answer_of(child) == -ESRCH);
    done(&second);
}

static int open_bell(const struct supervisor *supervisor)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "bells/%d", supervisor->entry.seat);
    return openat(supervisor->state.dir, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

static struct cl_control_ring good_ring(const struct supervisor *supervisor)
{
    struct cl_control_ring ring = {
        .request = {.version = 2, .command = CL_CONTROL_SIGNAL, .signal = SIGTERM},
        .client = "0123456789abcdef",
    };

    memcpy(ring.id, supervisor->entry.id, CL_ID_SIZE);
    return ring;
}

/* After each the next request is heard as ever. */
TEST(rubbish_is_forgotten)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};

    create(&supervisor);
    listen_to(&supervisor);
    CL_CLEANUP_FD int bell = open_bell(&supervisor);
    const struct cl_control_ring good = good_ring(&supervisor);
    for (size_t size = 1; size < 200; size += 7) { /* too short, too long */
        char text[200];

        memset(text, 'x', sizeof(text));
        CHECK(write(bell, text, size) == (ssize_t)size);
        CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EPROTO);
        CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EAGAIN);
    }
    for (size_t at = 0; at < sizeof(good); at++) { /* each byte wrong once */
        struct cl_control_ring ring = good;

        ((unsigned char *)&ring)[at] ^= 0xff;
        CHECK(write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
        CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) < 0);
        CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EAGAIN);
    }
    struct cl_control_ring graceful = good; /* which only STOP may be */
    graceful.request.grace_ms = 1;
    CHECK(write(bell, &graceful, sizeof(graceful)) == (ssize_t)sizeof(graceful));
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EPROTO);
    pid_t child = ask(&supervisor, SIGUSR2);
    CHECK(wait_for_ring(&supervisor));
    CL_CLEANUP_FD int client = cl_control_accept(supervisor.bell, &supervisor.entry, &request);
    CHECK(client >= 0 && request.signal == SIGUSR2);
    cl_control_answer(client, 0);
    CHECK(answer_of(child) == 0);
    done(&supervisor);
}

static void make_client(const struct supervisor *supervisor, const struct cl_control_ring *ring,
                        char path[64])
{
    (void)snprintf(path, 64, "bells/client-%s", ring->client);
    CHECK(mkfifoat(supervisor->state.dir, path, 0600) == 0);
}

/* A FIFO that nobody reads, or that is full or gone at the answer, and names that lead
 * elsewhere. */
TEST(a_client_can_not_hold_the_supervisor)
{
    const struct timespec now = {0};
    struct supervisor supervisor;
    struct cl_control_request request = {0};
    char path[64];
    sigset_t pipe_set;

    (void)sigemptyset(&pipe_set);
    (void)sigaddset(&pipe_set, SIGPIPE);
    CHECK(sigprocmask(SIG_BLOCK, &pipe_set, NULL) == 0); /* as supervisors do */
    create(&supervisor);
    listen_to(&supervisor);
    CL_CLEANUP_FD int bell = open_bell(&supervisor);
    struct cl_control_ring ring = good_ring(&supervisor);
    make_client(&supervisor, &ring, path);
    CHECK(write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -ENXIO);
    CL_CLEANUP_FD int reader =
        openat(supervisor.state.dir, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
    CL_CLEANUP_FD int client = cl_control_accept(supervisor.bell, &supervisor.entry, &request);
    CHECK(client >= 0);
    for (int i = 0; i < 10000; i++)
        cl_control_answer(client, 0);
    cl_fd_close(&reader);
    cl_control_answer(client, 0);
    CHECK(unlinkat(supervisor.state.dir, path, 0) == 0);
    CHECK(symlinkat("/dev/null", supervisor.state.dir, path) == 0);
    CHECK(write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -ELOOP);
    CHECK(unlinkat(supervisor.state.dir, path, 0) == 0);
    CL_CLEANUP_FD int file =
        openat(supervisor.state.dir, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(file >= 0 && write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -ENOTSUP);
    CHECK(unlinkat(supervisor.state.dir, path, 0) == 0);
    memcpy(ring.client, "../../../../tmp/", sizeof(ring.client));
    CHECK(write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EPROTO);
    CHECK(sigtimedwait(&pipe_set, NULL, &now) == SIGPIPE);
    CHECK(sigprocmask(SIG_UNBLOCK, &pipe_set, NULL) == 0);
    done(&supervisor);
}

/* Were the directory ever open to others: whose FIFO it is still counts. */
TEST(a_stranger_is_not_answered)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};
    struct cl_error err = {0};
    char path[64];

    if (geteuid() != 0)
        SKIP_TEST("needs root, to be somebody else too");
    create(&supervisor);
    listen_to(&supervisor);
    CL_CLEANUP_FD int bell = open_bell(&supervisor);
    const struct cl_control_ring ring = good_ring(&supervisor);
    make_client(&supervisor, &ring, path);
    CHECK(fchownat(supervisor.state.dir, path, 65534, 65534, 0) == 0);
    CL_CLEANUP_FD int reader =
        openat(supervisor.state.dir, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(reader >= 0 && write(bell, &ring, sizeof(ring)) == (ssize_t)sizeof(ring));
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EPERM);
    CHECK(unlinkat(supervisor.state.dir, path, 0) == 0);
    (void)snprintf(path, sizeof(path), "bells/%d", supervisor.entry.seat);
    CHECK(fchownat(supervisor.state.dir, path, 65534, 65534, 0) == 0);
    CL_CLEANUP_ENTRY struct cl_entry seen = find(&supervisor);
    CHECK(cl_control_signal(&seen, SIGTERM, &err) == -EPERM); /* nor rung for */
    cl_fd_close(&supervisor.bell);
    listen_to(&supervisor); /* a new one */
    CHECK(cl_control_accept(supervisor.bell, &supervisor.entry, &request) == -EAGAIN);
    done(&supervisor);
}

/* Of our own user's making, by mistake: put right. */
TEST(what_is_no_bell_is_replaced)
{
    struct supervisor supervisor;
    char path[64];
    struct stat st;

    create(&supervisor);
    (void)snprintf(path, sizeof(path), "bells/%d", supervisor.entry.seat);
    (void)unlinkat(supervisor.state.dir, path, 0);
    CHECK(symlinkat("/etc/passwd", supervisor.state.dir, path) == 0);
    listen_to(&supervisor);
    cl_fd_close(&supervisor.bell);
    CHECK(unlinkat(supervisor.state.dir, path, 0) == 0);
    CL_CLEANUP_FD int file =
        openat(supervisor.state.dir, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    listen_to(&supervisor);
    CHECK(fstatat(supervisor.state.dir, path, &st, 0) == 0 && S_ISFIFO(st.st_mode));
    CHECK((st.st_mode & 0777) == 0600);
    done(&supervisor);
}

/* Another process that asks to be called back: its exit status says how far it came. */
static pid_t ask_to_connect(struct supervisor *supervisor)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = find(supervisor);
    pid_t child = fork();

    if (child == 0) {
        struct cl_error err = {0};
        char byte = 0;
        struct pollfd wait = {.events = POLLIN};

        (void)close(supervisor->bell);
        int connection = cl_control_connect(&entry, NULL, &err);
        if (connection < 0)
            _exit(-connection);
        wait.fd = connection;
        _exit(poll(&wait, 1, 5000) == 1 && read(connection, &byte, 1) == 1 && byte == 'x' ? 0 : 99);
    }
    return child;
}

/* Takes the ring of a client who wants to be called back; NAME is his. */
static int accept_ring(const struct supervisor *supervisor, char name[CL_ID_SIZE])
{
    struct cl_control_request request = {0};

    CHECK(wait_for_ring(supervisor));
    int client = cl_control_accept_from(supervisor->bell, &supervisor->entry, &request, name);
    CHECK(client >= 0 && request.command == CL_CONTROL_CONNECT && cl_id_is(name));
    return client;
}

TEST(a_client_is_called_back)
{
    struct supervisor supervisor;
    char name[CL_ID_SIZE] = "";

    create(&supervisor);
    listen_to(&supervisor);
    pid_t child = ask_to_connect(&supervisor);
    CL_CLEANUP_FD int client = accept_ring(&supervisor, name);
    CL_CLEANUP_FD int connection = cl_control_call_back(&supervisor.entry, name);
    CHECK(connection >= 0);
    CHECK((fcntl(connection, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(write(connection, "x", 1) == 1);
    cl_control_answer(client, 0);
    CHECK(answer_of(child) == 0);
    CHECK(count_names("exec-") == 0 && count_clients() == 0);
    CHECK(cl_control_call_back(&supervisor.entry, name) == -ENOENT); /* it is gone */
    done(&supervisor);
}

/* The answer is the supervisor's: one who can't connect says why. */
TEST(a_client_that_can_not_be_called_back_hears_why)
{
    struct supervisor supervisor;
    char name[CL_ID_SIZE] = "";

    create(&supervisor);
    listen_to(&supervisor);
    pid_t child = ask_to_connect(&supervisor);
    CL_CLEANUP_FD int client = accept_ring(&supervisor, name);
    cl_control_answer(client, -EMFILE);
    CHECK(answer_of(child) == -EMFILE);
    CHECK(count_names("exec-") == 0);
    done(&supervisor);
}

/* Whoever sweeps while it asks leaves it what it has made, and takes that when it has died. */
TEST(what_a_client_has_made_goes_with_it)
{
    struct supervisor supervisor;
    char name[CL_ID_SIZE] = "";

    create(&supervisor);
    listen_to(&supervisor);
    pid_t child = ask_to_connect(&supervisor);
    CL_CLEANUP_FD int client = accept_ring(&supervisor, name);
    cl_control_sweep(&supervisor.state);
    CHECK(count_names("exec-") == 1 && count_clients() == 1);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    CHECK(count_names("exec-") == 1 && count_clients() == 1);
    cl_control_sweep(&supervisor.state);
    CHECK(count_names("exec-") == 0 && count_clients() == 0);
    done(&supervisor);
}

/* Who sweeps comes between a FIFO's making and its lock: another is made. */
TEST(a_client_that_a_sweep_takes_for_dead_begins_again)
{
    struct supervisor supervisor;
    struct cl_control_request request = {0};
    char fault[64];

    create(&supervisor);
    listen_to(&supervisor);
    (void)snprintf(fault, sizeof(fault), "lacks:%d#1=%d", (int)SYS_flock, EWOULDBLOCK);
    cl_fault_set(fault);
    pid_t child = ask(&supervisor, SIGUSR1);
    cl_fault_set(NULL);
    CHECK(wait_for_ring(&supervisor));
    CL_CLEANUP_FD int client = cl_control_accept(supervisor.bell, &supervisor.entry, &request);
    CHECK(client >= 0 && count_clients() == 2);
    cl_control_sweep(&supervisor.state); /* as the first one's sweeper does */
    CHECK(count_clients() == 1);
    cl_control_answer(client, 0);
    CHECK(answer_of(child) == 0 && count_clients() == 0);
    done(&supervisor);
}

/* One who has rung, and has been heard: the server's end of where the answer goes. */
static int heard(struct supervisor *supervisor, struct cl_control_asked *ret)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = find(supervisor);
    struct cl_control_request request = {0};
    struct cl_error err = {0};

    entry.dir = supervisor->state.dir;
    CHECK(cl_control_ask(&entry, CL_CONTROL_TELL, ret, &err) == 0);
    const int client = cl_control_accept(supervisor->bell, &supervisor->entry, &request);
    CHECK(client >= 0 && request.command == CL_CONTROL_TELL);
    return client;
}

TEST(who_asks_looks_for_the_answer_later)
{
    const struct cl_wall_told sent = {1, 2, 3, 4};
    struct cl_control_asked asked[3];
    struct supervisor supervisor;
    struct cl_wall_told told = {0};
    int clients[3];

    create(&supervisor);
    listen_to(&supervisor);
    for (int i = 0; i < 3; i++)
        clients[i] = heard(&supervisor, &asked[i]);
    const uint64_t until_ns = cl_clock_boot_ns() + 20 * CL_NS_PER_S;
    CHECK(write(clients[0], &sent, sizeof(sent)) == (ssize_t)sizeof(sent));
    cl_control_answer(clients[1], -ENOTSUP); /* a refusal, and the third's is no answer at all */
    for (int i = 0; i < 3; i++)
        cl_fd_close(&clients[i]);
    CHECK(cl_told_take(&asked[2], until_ns, &told) == 0);
    CHECK(cl_told_take(&asked[1], until_ns, &told) == 0 && told.cpu_ns == 0);
    CHECK(cl_told_take(&asked[0], until_ns, &told) == 1);
    CHECK(memcmp(&told, &sent, sizeof(sent)) == 0);
    CHECK(cl_clock_boot_ns() < until_ns && count_clients() == 0);
    done(&supervisor);
}

TEST(who_asks_waits_no_longer_than_he_wants)
{
    struct cl_control_asked asked;
    struct supervisor supervisor;
    struct cl_wall_told told;

    create(&supervisor);
    CL_CLEANUP_ENTRY struct cl_entry seen = find(&supervisor);
    cl_told_ask(&seen, &asked); /* nobody listens */
    CHECK(asked.dir < 0 && cl_told_take(&asked, UINT64_MAX, &told) == 0);
    listen_to(&supervisor);
    const int before = check_count_fds();
    int client = heard(&supervisor, &asked);
    CHECK(cl_told_take(&asked, cl_clock_boot_ns(), &told) == 0);
    cl_fd_close(&client);
    client = heard(&supervisor, &asked);
    cl_fd_close(
        &supervisor.bell); /* it has ended, and whoever else has the answer's end says none */
    CHECK(cl_told_take(&asked, cl_clock_boot_ns() + 20 * CL_NS_PER_S, &told) == 0);
    cl_fd_close(&client);
    CHECK(check_count_fds() == before - 1 && count_clients() == 0);
    done(&supervisor);
}

TEST(what_fails_leaves_nothing)
{
    struct cl_control_asked asked;
    struct supervisor supervisor;
    struct cl_wall_told told;
    char fault[32];
    int struck = 1;

    create(&supervisor);
    listen_to(&supervisor);
    CL_CLEANUP_ENTRY struct cl_entry seen = find(&supervisor);
    const int before = check_count_fds();
    for (int i = 1; struck; i++) {
        (void)snprintf(fault, sizeof(fault), "syscall:%d", i);
        cl_fault_set(fault);
        cl_told_ask(&seen, &asked);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        CHECK(struck == (asked.dir < 0) && i < 50);
        CHECK(cl_told_take(&asked, 0, &told) == 0);
        CHECK(check_count_fds() == before && count_clients() == 0);
    }
    done(&supervisor);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_request_is_answered),
        ROW(a_client_is_called_back),
        ROW(a_client_that_can_not_be_called_back_hears_why),
        ROW(what_a_client_has_made_goes_with_it),
        ROW(a_client_that_a_sweep_takes_for_dead_begins_again),
        ROW(several_are_answered_in_turn),
        ROW(nobody_there_is_told),
        ROW(an_end_before_the_answer_is_told_at_once),
        ROW(a_successor_says_that_it_is_another),
        ROW(rubbish_is_forgotten),
        ROW(a_client_can_not_hold_the_supervisor),
        ROW(a_stranger_is_not_answered),
        ROW(what_is_no_bell_is_replaced),
        ROW(who_asks_looks_for_the_answer_later),
        ROW(who_asks_waits_no_longer_than_he_wants),
        ROW(what_fails_leaves_nothing),
    };

    return run_in_base(tests, CL_ARRAY_SIZE(tests));
}
