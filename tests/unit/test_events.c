/* test_events.c - events as bytes, and on their way from who tells them to who listens. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/listener.h"
#include "check.h"

static const char id[] = "0123456789abcdef";
static char base[] = "/tmp/cloister-test-events-XXXXXX";
static struct cl_state state;
static struct cl_listener listeners[2]; /* 64 KiB each */

static int exists(const char *name)
{
    return cl_sys_faccessat(state.dir, name, F_OK) == 0;
}

static void listen_as(int i)
{
    struct cl_error err = {0};

    CHECK(cl_listener_open(&state, &listeners[i], &err) == 0);
    CHECK_TEXT(err.msg, "");
}

/* What LISTENER hears next, or CL_EVENT_COUNT. */
static enum cl_event_kind hear(int i)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    struct cl_event event;
    struct cl_error err = {0};
    int r = cl_listener_next(&listeners[i], &arena, &event, &err);

    CHECK(r >= 0);
    if (r <= 0)
        return CL_EVENT_COUNT;
    CHECK_TEXT(event.id, id);
    CHECK(event.time_wall_ns > 0);
    return (enum cl_event_kind)event.kind;
}

static void say(enum cl_event_kind kind)
{
    cl_events_say(state.dir, kind, id, NULL);
}

TEST(without_listeners_there_is_nothing)
{
    CHECK(!cl_events_are_heard(state.dir));
    say(CL_EVENT_START);
    CHECK(!exists("events"));
}

TEST(all_who_listen_hear_it)
{
    listen_as(0);
    CHECK(cl_events_are_heard(state.dir));
    say(CL_EVENT_START);
    listen_as(1);
    say(CL_EVENT_PAUSE);
    CHECK(hear(0) == CL_EVENT_START);
    CHECK(hear(0) == CL_EVENT_PAUSE);
    CHECK(hear(0) == CL_EVENT_COUNT);
    CHECK(hear(1) == CL_EVENT_PAUSE);
    CHECK(hear(1) == CL_EVENT_COUNT);
    cl_listener_done(&listeners[0]);
    CHECK(exists("events"));
    say(CL_EVENT_REMOVE);
    CHECK(hear(1) == CL_EVENT_REMOVE);
    cl_listener_done(&listeners[1]);
    CHECK(!exists("events"));
}

TEST(what_finds_no_room_is_counted)
{
    uint64_t heard = 0;
    uint64_t told = 0;

    listen_as(0);
    CHECK(fcntl(listeners[0].fifo, F_SETPIPE_SZ, 4096) >= 4096);
    CHECK(cl_listener_lost(&listeners[0]) == 0);
    for (; told < 1000; told++)
        say(CL_EVENT_KILL);
    while (hear(0) == CL_EVENT_KILL)
        heard++;
    const uint64_t lost = cl_listener_lost(&listeners[0]);
    CHECK(lost > 0 && heard > 0 && heard + lost == told);
    CHECK(cl_listener_lost(&listeners[0]) == 0);
    say(CL_EVENT_STOP);
    CHECK(hear(0) == CL_EVENT_STOP && cl_listener_lost(&listeners[0]) == 0);
    cl_listener_done(&listeners[0]);
    CHECK(!exists("events"));
}

TEST(a_dead_ones_are_removed)
{
    char lost[CL_EVENTS_NAME_SIZE];

    listen_as(0);
    listen_as(1);
    cl_events_lost_name(listeners[0].name, lost);
    CL_CLEANUP_FD int file = cl_sys_openat(listeners[0].events, lost, O_CREAT | O_WRONLY, 0600);
    CHECK(file >= 0);
    cl_fd_close(&listeners[0].fifo); /* as if it had been killed */
    say(CL_EVENT_START);
    CHECK(cl_sys_faccessat(listeners[1].events, listeners[0].name, F_OK) == -ENOENT);
    CHECK(cl_sys_faccessat(listeners[1].events, lost, F_OK) == -ENOENT);
    CHECK(hear(1) == CL_EVENT_START);
    cl_fd_close(&listeners[1].fifo);
    say(CL_EVENT_START);
    CHECK(!exists("events"));
    for (int i = 0; i < 2; i++)
        cl_fd_close(&listeners[i].events);
}

/* What a listener leaves that was killed on its way, while it listened, or when an event had found
 * it full and was a moment late to say so. */
TEST(a_sweep_takes_what_dead_ones_left)
{
    static const struct {
        const char *name;
        int age_s;
        int goes;
    } rows[] = {
        {"new-0000000000000001", 100, 1},
        {"new-0000000000000002", 0, 0},
        {"0000000000000003.lost", 0, 1},
        {"0000000000000004.lost", 0, 1},
        {"0000000000000004", 0, 1},
        {"other.lost", 100, 0},
        {"other", 100, 0},
        {"0000000000000005.lost.x", 100, 0},
    };
    char lost[CL_EVENTS_NAME_SIZE];

    listen_as(0);
    CL_CLEANUP_FD int dir = fcntl(listeners[0].events, F_DUPFD_CLOEXEC, 3);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        const struct timespec old = {.tv_sec = (time_t)(cl_clock_wall_ns() / CL_NS_PER_S) -
                                               rows[i].age_s};
        const struct timespec times[2] = {old, old};

        CHECK(mkfifoat(dir, rows[i].name, 0600) == 0);
        CHECK(utimensat(dir, rows[i].name, times, 0) == 0);
    }
    cl_events_lost_name(listeners[0].name, lost);
    CHECK(mkfifoat(dir, lost, 0600) == 0);
    cl_listeners_sweep(&state);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK((cl_sys_faccessat(dir, rows[i].name, F_OK) == -ENOENT) == rows[i].goes);
        (void)unlinkat(dir, rows[i].name, 0);
    }
    CHECK(cl_sys_faccessat(dir, lost, F_OK) == 0);
    say(CL_EVENT_END);
    CHECK(hear(0) == CL_EVENT_END);
    cl_fd_close(&listeners[0].fifo); /* as if it had been killed */
    cl_listeners_sweep(&state);
    CHECK(!exists("events"));
    cl_fd_close(&listeners[0].events);
}

TEST(what_is_no_fifo_is_left_alone)
{
    listen_as(0);
    const int dir = listeners[0].events;
    struct stat st;

    CHECK(symlinkat(base, dir, "0000000000000000") == 0);
    CHECK(cl_sys_mkdirat(dir, "0000000000000001", 0700) == 0);
    CL_CLEANUP_FD int file = cl_sys_openat(dir, "0000000000000002", O_CREAT | O_WRONLY, 0600);
    CHECK(cl_sys_mknodat(dir, "other", S_IFIFO | 0600, 0) == 0); /* nobody's: its name is none */
    say(CL_EVENT_END);
    CHECK(hear(0) == CL_EVENT_END);
    CHECK(cl_sys_fstat(file, &st) == 0 && st.st_size == 0);
    CHECK(unlinkat(dir, "0000000000000000", 0) == 0 && unlinkat(dir, "0000000000000002", 0) == 0);
    CHECK(unlinkat(dir, "0000000000000001", AT_REMOVEDIR) == 0 && unlinkat(dir, "other", 0) == 0);
    cl_listener_done(&listeners[0]);
}

static struct cl_event full_event(const struct cl_plan *plan)
{
    const struct cl_result result = {.plan = plan,
                                     .id = id,
                                     .status = CL_STATUS_SIGNALED,
                                     .exit_code = -1,
                                     .signal = 9,
                                     .error = "why"};
    struct cl_event event = cl_event_of_end(&result);

    event.time_wall_ns = 5;
    event.set |= CL_EVENT_BIT(TIME);
    return event;
}

static struct cl_plan make_plan(const char *const *labels, size_t count)
{
    struct cl_plan plan = {.name = "n", .tenant = "t", .image = "i", .labels = {labels, count}};

    cl_plan_mark(&plan, CL_FIELD_NAME);
    cl_plan_mark(&plan, CL_FIELD_TENANT);
    cl_plan_mark(&plan, CL_FIELD_IMAGE);
    return plan;
}

TEST(an_event_comes_back_as_it_was)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_EVENT_SIZE_MAX);
    const char *labels[] = {"a=b", "c="};
    const struct cl_plan plan = make_plan(labels, 2);
    const struct cl_event event = full_event(&plan);
    struct cl_event back;
    struct cl_error err;

    CHECK(cl_event_write(&event, &buf, &err) == 0);
    for (size_t size = 0; size < buf.size; size++)
        CHECK(cl_event_size(buf.data, size) == 0);
    CHECK(cl_event_size(buf.data, buf.size) == (int)buf.size);
    CHECK(cl_event_read(buf.data, buf.size, &arena, &back, &err) == 0);
    CHECK(back.set == event.set && back.kind == CL_EVENT_END && back.time_wall_ns == 5);
    CHECK(back.signal == 9 && back.status == CL_STATUS_SIGNALED);
    CHECK(!cl_event_has(&back, CL_EVENT_FIELD_EXIT_CODE));
    CHECK_TEXT(back.name, "n");
    CHECK_TEXT(back.error, "why");
    CHECK(back.labels.count == 2);
    CHECK_TEXT(back.labels.items[1], "c=");
    CHECK_TEXT(cl_event_name(CL_EVENT_UNPAUSE), "unpause");
}

TEST(a_large_one_is_cut)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_EVENT_SIZE_MAX);
    static char large[5000];
    const char *labels[] = {large};
    struct cl_error err;
    struct cl_event back;

    memset(large, 'x', sizeof(large) - 1);
    const struct cl_plan plan = make_plan(labels, 1);
    const struct cl_event event = full_event(&plan);
    CHECK(cl_event_write(&event, &buf, &err) == 0 && buf.size <= CL_EVENT_SIZE_MAX);
    CHECK(cl_event_read(buf.data, buf.size, &arena, &back, &err) == 0);
    CHECK(back.cut == 1 && !cl_event_has(&back, CL_EVENT_FIELD_LABELS) && back.image == NULL);
    CHECK_TEXT(back.name, "n");
    CHECK_TEXT(back.error, "why");
}

TEST(what_is_none_is_refused)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 16);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_EVENT_SIZE_MAX);
    struct cl_event event = cl_event_of(CL_EVENT_EXEC, id, NULL);
    struct cl_error err;
    struct cl_event back;

    CHECK(cl_event_size("this is something else altogether", 33) == -EBADMSG);
    CHECK(cl_event_write(&event, &buf, &err) == 0); /* without its time */
    CHECK(cl_event_read(buf.data, buf.size, &arena, &back, &err) == -EBADMSG);
    buf.size = 0;
    event.time_wall_ns = 1;
    event.set |= CL_EVENT_BIT(TIME);
    event.id = "no id";
    CHECK(cl_event_write(&event, &buf, &err) == 0);
    CHECK(cl_event_read(buf.data, buf.size, &arena, &back, &err) == -EBADMSG);
    listen_as(0);
    CHECK(cl_sys_write(listeners[0].fifo, base, sizeof(base)) == (ssize_t)sizeof(base));
    CHECK(cl_listener_next(&listeners[0], &arena, &back, &err) == -EBADMSG);
    cl_listener_done(&listeners[0]);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(without_listeners_there_is_nothing),
        ROW(all_who_listen_hear_it),
        ROW(what_finds_no_room_is_counted),
        ROW(a_dead_ones_are_removed),
        ROW(a_sweep_takes_what_dead_ones_left),
        ROW(what_is_no_fifo_is_left_alone),
        ROW(an_event_comes_back_as_it_was),
        ROW(a_large_one_is_cut),
        ROW(what_is_none_is_refused),
    };

    if (mkdtemp(base) == NULL)
        return 1;
    state.dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int status = check_run(tests, CL_ARRAY_SIZE(tests));
    cl_state_done(&state);
    if (rmdir(base) < 0)
        printf("# left: %s\n", base);
    return status;
}
