/* test_scope_bus.c - what cloister-systemd says to systemd, heard by a peer that passes for it: the
 * message as its types have it, and what is made of each answer. */
#include "helpers/systemd/scope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/fd.h"
#include "check.h"

#define MANAGER "org.freedesktop.systemd1.Manager"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define JOB "/org/freedesktop/systemd1/job/7"

/* --- the peer ---------------------------------------------------------------------- */

struct peer {
    const char *result; /* of the job; NULL: the call is refused */
    int ends_first;     /* the job, before the call is answered */
    struct cl_buf heard;
    int has_answered;
};

static int say(struct peer *peer, const char *text)
{
    return cl_buf_add_str(&peer->heard, text);
}

static int hear_item(struct peer *peer, sd_bus_message *message, char type)
{
    union {
        const char *text;
        int boolean;
        uint8_t byte;
        int16_t half;
        int32_t word;
        uint64_t number;
    } value = {.number = 0};
    int r = sd_bus_message_read_basic(message, type, &value);

    if (r <= 0)
        return r;
    switch (type) {
    case 's':
    case 'o':
        r = cl_buf_printf(&peer->heard, " %s", value.text);
        break;
    case 'y':
        r = cl_buf_printf(&peer->heard, " %u", (unsigned int)value.byte);
        break;
    case 'n':
        r = cl_buf_printf(&peer->heard, " %d", (int)value.half);
        break;
    case 'b':
    case 'i':
    case 'u':
        r = cl_buf_printf(&peer->heard, " %" PRId32, value.word);
        break;
    default:
        r = cl_buf_printf(&peer->heard, " %" PRIu64, value.number);
        break;
    }
    return r < 0 ? r : 1;
}

/* " t 5", " as a b" */
static int hear_value(struct peer *peer, sd_bus_message *message)
{
    const char *contents;
    char type;
    int r = sd_bus_message_peek_type(message, NULL, &contents);

    if (r < 0 || cl_buf_printf(&peer->heard, " %s", contents) < 0)
        return -1;
    r = sd_bus_message_enter_container(message, 'v', contents);
    if (r >= 0 && contents[0] == 'a') {
        char item[2] = {contents[1], '\0'};

        r = sd_bus_message_enter_container(message, 'a', item);
        while (r >= 0 && (r = hear_item(peer, message, item[0])) > 0)
            ;
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    } else if (r >= 0) {
        type = contents[0];
        r = hear_item(peer, message, type);
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int hear_properties(struct peer *peer, sd_bus_message *message)
{
    int r = sd_bus_message_enter_container(message, 'a', "(sv)");

    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'r', "sv")) > 0) {
        const char *name;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0 || say(peer, name) < 0 || hear_value(peer, message) < 0 || say(peer, "\n") < 0)
            return -1;
        r = sd_bus_message_exit_container(message);
    }
    return r;
}

/* As the bus sends it on: with its sender's name. */
static int signal_removed(sd_bus *bus, uint32_t id, const char *path, const char *result)
{
    sd_bus_message *message = NULL;
    int r = sd_bus_message_new_signal(bus, &message, MANAGER_PATH, MANAGER, "JobRemoved");

    if (r >= 0)
        r = sd_bus_message_append(message, "uoss", id, path, "x.scope", result);
    if (r >= 0)
        r = sd_bus_message_set_sender(message, "org.freedesktop.systemd1");
    if (r >= 0)
        r = sd_bus_send(bus, message, NULL);
    sd_bus_message_unref(message);
    return r;
}

static int end_job(struct peer *peer, sd_bus *bus)
{
    int r = signal_removed(bus, 71, JOB "1", "canceled"); /* another's */

    return r < 0 ? r : signal_removed(bus, 7, JOB, peer->result);
}

static int answer_start(struct peer *peer, sd_bus_message *message)
{
    const char *unit;
    const char *mode;
    int r = sd_bus_message_read(message, "ss", &unit, &mode);

    if (r < 0 || cl_buf_printf(&peer->heard, "start %s %s\n", unit, mode) < 0 ||
        hear_properties(peer, message) < 0)
        return -1;
    peer->has_answered = 1;
    if (peer->result == NULL)
        return sd_bus_reply_method_errorf(message, "org.freedesktop.systemd1.UnitExists",
                                          "Unit %s was already loaded.", unit);
    if (peer->ends_first && end_job(peer, sd_bus_message_get_bus(message)) < 0)
        return -1;
    r = sd_bus_reply_method_return(message, "o", JOB);
    return r < 0 || peer->ends_first ? r : end_job(peer, sd_bus_message_get_bus(message));
}

static int answer_set(struct peer *peer, sd_bus_message *message)
{
    const char *unit;
    int runtime;
    int r = sd_bus_message_read(message, "sb", &unit, &runtime);

    if (r < 0 || cl_buf_printf(&peer->heard, "set %s %d\n", unit, runtime) < 0 ||
        hear_properties(peer, message) < 0)
        return -1;
    peer->has_answered = 1;
    if (peer->result == NULL)
        return sd_bus_reply_method_errorf(message, "org.freedesktop.systemd1.NoSuchUnit",
                                          "Unit %s not loaded.", unit);
    return sd_bus_reply_method_return(message, "");
}

static int on_message(sd_bus_message *message, void *context, sd_bus_error *error)
{
    struct peer *peer = context;

    (void)error;
    if (sd_bus_message_is_method_call(message, MANAGER, "Subscribe"))
        return sd_bus_reply_method_return(message, "") < 0 ? -1 : 1;
    if (sd_bus_message_is_method_call(message, MANAGER, "StartTransientUnit"))
        return answer_start(peer, message) < 0 ? -1 : 1;
    if (sd_bus_message_is_method_call(message, MANAGER, "SetUnitProperties"))
        return answer_set(peer, message) < 0 ? -1 : 1;
    return 0;
}

/* Answers until the other side is gone, and writes what it heard to OUT. */
static void be_peer(struct peer *peer, int fd, int out)
{
    sd_bus *bus = NULL;
    sd_id128_t id = {.bytes = {1}};
    int r = sd_bus_new(&bus);

    peer->heard = CL_BUF_INIT(65536);
    if (r < 0 || sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_set_server(bus, 1, id) < 0 ||
        sd_bus_set_anonymous(bus, 1) < 0 || sd_bus_add_filter(bus, NULL, on_message, peer) < 0 ||
        sd_bus_start(bus) < 0)
        _exit(2);
    while (r >= 0) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
    }
    (void)alarm(10);
    r = cl_write_all(out, cl_buf_text(&peer->heard), peer->heard.size);
    _exit(r < 0 ? 3 : 0);
}

/* --- our side ----------------------------------------------------------------------- */

struct talk {
    int r;
    struct cl_error err;
    char heard[4096];
};

typedef int ask_fn(sd_bus *bus, struct cl_scope *scope, struct cl_error *err);

/* ASKs PEER for SCOPE. */
static void talk(struct peer *peer, ask_fn *ask, struct cl_scope *scope, struct talk *ret)
{
    int ends[2];
    int out[2];
    sd_bus *bus = NULL;
    int status = -1;

    *ret = (struct talk){.r = -1};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    (void)fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        be_peer(peer, ends[1], out[1]);
    }
    (void)close(ends[1]);
    (void)close(out[1]);
    CHECK(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, ends[0], ends[0]) >= 0);
    CHECK(sd_bus_set_anonymous(bus, 1) >= 0 && sd_bus_start(bus) >= 0);
    ret->r = ask(bus, scope, &ret->err);
    sd_bus_flush_close_unref(bus);
    ssize_t got = 0;
    for (size_t used = 0;
         (got = read(out[0], ret->heard + used, sizeof(ret->heard) - 1 - used)) > 0;)
        used += (size_t)got;
    (void)close(out[0]);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static struct cl_scope *make_scope(const char *const pairs[][2], size_t count)
{
    static struct cl_scope scope;
    static char names[16][64];
    static char texts[16][128];

    scope = (struct cl_scope){
        .unit = "x.scope", .slice = "a-b.slice", .description = "A container", .pid = 4711};
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%s", pairs[i][0]);
        (void)snprintf(texts[i], sizeof(texts[i]), "%s", pairs[i][1]);
        scope.properties[scope.property_count++] = (struct cl_property){names[i], texts[i]};
    }
    return &scope;
}

#define BEGIN                                                                                      \
    "start x.scope fail\nDescription s A container\nSlice s a-b.slice\nDefaultDependencies b 0\n"  \
    "PIDs au 4711\nDelegate b 1\nTasksMax t 18446744073709551615\n"                                \
    "CollectMode s inactive-or-failed\n"

static const char *const pairs[][2] = {
    {"MemoryMax", "uint64 4096"},
    {"CPUAccounting", "true"},
    {"After", "['a.service', 'b.service']"},
    {"AllowedCPUs", "[byte 7, 2]"},
    {"TimeoutStopSec", "5"},
    {"CollectMode", "'inactive'"},
    {"Wants", "@as []"},
    {"Nice", "-5"},
    {"Short", "int16 -3"},
};
static const char said[] = "MemoryMax t 4096\nCPUAccounting b 1\nAfter as a.service b.service\n"
                           "AllowedCPUs ay 7 2\nTimeoutStopUSec t 5000000\nCollectMode s inactive\n"
                           "Wants as\nNice i -5\nShort n -3\n";

TEST(a_scope_is_asked_for_with_all_its_properties)
{
    for (int ends_first = 0; ends_first < 2; ends_first++) {
        struct peer peer = {.result = "done", .ends_first = ends_first};
        struct talk heard;
        char expected[2048];

        talk(&peer, cl_scope_start, make_scope(pairs, CL_ARRAY_SIZE(pairs)), &heard);
        CHECK(heard.r == 0);
        CHECK_TEXT(heard.err.msg, "");
        (void)snprintf(expected, sizeof(expected), "%s%s", BEGIN, said);
        CHECK_TEXT(heard.heard, expected);
    }
}

TEST(a_sandboxs_scope_has_no_slice)
{
    struct peer peer = {.result = "done"};
    struct cl_scope *scope = make_scope(NULL, 0);
    struct talk heard;

    scope->slice = NULL;
    talk(&peer, cl_scope_start, scope, &heard);
    CHECK(heard.r == 0);
    CHECK_TEXT(heard.heard, "start x.scope fail\nDescription s A container\nPIDs au 4711\n"
                            "Delegate b 1\nTasksMax t 18446744073709551615\n"
                            "CollectMode s inactive-or-failed\n");
}

TEST(properties_are_set)
{
    struct peer peer = {.result = "done"};
    struct talk heard;

    talk(&peer, cl_scope_set, make_scope(pairs, 2), &heard);
    CHECK(heard.r == 0);
    CHECK_TEXT(heard.heard, "set x.scope 1\nMemoryMax t 4096\nCPUAccounting b 1\n");
}

TEST(what_systemd_refuses_is_told)
{
    struct peer refuses = {.result = NULL};
    struct peer fails = {.result = "failed"};
    struct talk heard;

    talk(&refuses, cl_scope_start, make_scope(pairs, 1), &heard);
    CHECK(heard.r < 0);
    CHECK_TEXT(heard.err.msg, "x.scope: systemd says: Unit x.scope was already loaded.");
    talk(&refuses, cl_scope_set, make_scope(pairs, 1), &heard);
    CHECK(heard.r < 0);
    CHECK_TEXT(heard.err.msg, "x.scope: systemd says: Unit x.scope not loaded.");
    talk(&fails, cl_scope_start, make_scope(pairs, 1), &heard);
    CHECK(heard.r == -EIO);
    CHECK_HAS(heard.err.msg, "systemd's job ended as \"failed\"");
}

TEST(what_is_no_property_is_not_sent)
{
    static const char *const wrong[][2] = {
        {"Memory-Max", "uint64 1"}, {"", "uint64 1"}, {"MemoryMax", "1 2"}, {"StopSec", "'a'"}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        struct peer peer = {.result = "done"};
        struct talk heard;

        talk(&peer, cl_scope_start, make_scope(&wrong[i], 1), &heard);
        CHECK(heard.r == -EINVAL);
        CHECK_HAS(heard.err.msg, "org.systemd.property.");
        CHECK_TEXT(heard.heard, "");
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_scope_is_asked_for_with_all_its_properties),
        ROW(a_sandboxs_scope_has_no_slice),
        ROW(properties_are_set),
        ROW(what_systemd_refuses_is_told),
        ROW(what_is_no_property_is_not_sent),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
