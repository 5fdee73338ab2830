/* test_sweep.c - what dead supervisors left, and what is of the living, in a state
 * directory of the test's own; with cgroups where they can be made. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "limits/cgroup.h"
#include "sandbox/state.h"
#include "sandbox/sweep.h"
#include "sandbox/table.h"
#include "check.h"

static char base[] = "/tmp/cloister-test-sweep-XXXXXX";

static struct cl_state open_base(void)
{
    return (struct cl_state){open(base, O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

/* LIMITED: with the cgroups that its record asks for. */
static int create(struct cl_state *state, int limited, struct cl_entry *ret)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_limits limits = CL_LIMITS_INIT;
    struct cl_status status = {.created_ns = cl_clock_wall_ns(), .supervisor = getpid()};
    struct cl_plan plan = {.limits = {.memory_bytes = 32 << 20, .tasks = 8}};
    struct cl_error err = {0};

    CHECK(cl_plan_set_text(&plan, CL_FIELD_IMAGE, "host", &arena, &err) == 0);
    cl_plan_mark(&plan, CL_FIELD_MEMORY);
    cl_plan_mark(&plan, CL_FIELD_TASKS);
    if (!limited) {
        cl_plan_mark(&plan, CL_FIELD_WITHOUT);
        plan.without = CL_LAYER_BIT(CL_LAYER_LIMITS);
    }
    CHECK(cl_id_make(status.id, &err) == 0);
    CHECK(cl_state_create(state, &status, &plan, ret, &err) == 0);
    if (!limited)
        return 0;
    int r = cl_limits_create(&limits, &plan, status.id, &err);
    if (r < 0)
        printf("# %s\n", err.msg);
    cl_limits_close(&limits);
    return r;
}

/* What is left of a supervisor that was killed. Its id goes to RET. */
static void leave_one(int limited, char ret[CL_ID_SIZE])
{
    int ends[2];
    int status = 0;

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        CL_CLEANUP_STATE struct cl_state state = open_base();
        struct cl_entry entry = CL_ENTRY_INIT;

        if (create(&state, limited, &entry) < 0)
            _exit(1);
        (void)write(ends[1], entry.id, CL_ID_SIZE);
        (void)kill(getpid(), SIGKILL);
    }
    CHECK(read(ends[0], ret, CL_ID_SIZE) == CL_ID_SIZE);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

struct counts {
    int dead;
    int alive;
};

static int count_visit(void *context, struct cl_visit *visit, struct cl_error *err)
{
    struct counts *counts = context;

    (void)err;
    *(visit->alive ? &counts->alive : &counts->dead) += 1;
    return 0;
}

static struct counts count(struct cl_state *state)
{
    struct counts counts = {0};
    struct cl_error err = {0};

    CHECK(cl_state_walk(state, count_visit, &counts, &err) == 0);
    return counts;
}

static int has_cgroups(void)
{
    static struct cl_limits_probe probe;

    if (probe.where[0] == '\0')
        cl_limits_probe(&probe);
    return probe.usable != 0;
}

/* v1: a cgroup of our own in each hierarchy, so that no sweep of ours comes upon what
 * others have made in the caller's. BACK: out of it again. */
static void move(int back)
{
    char path[CL_CGROUP_PATH_SIZE + 64];
    char own_path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    struct cl_error err = {0};

    if (!has_cgroups() || cl_cgroup_layout(0, &err) != CL_CGROUP_V1 ||
        cl_own_cgroups_read(&own, &err) < 0)
        return;
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if (!cl_own_is_first(&own, i) || cl_v1_path(own_path, i, &own, &err) < 0)
            continue;
        if (back) {
            (void)snprintf(path, sizeof(path), "%s/../tasks", own_path);
            (void)cl_write_file(AT_FDCWD, path, "0");
            (void)rmdir(own_path);
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/cltest-sweep-%d", own_path, (int)getpid());
        CHECK(mkdir(path, 0755) == 0);
        (void)snprintf(path, sizeof(path), "%s/cltest-sweep-%d/tasks", own_path, (int)getpid());
        CHECK(cl_write_file(AT_FDCWD, path, "0") == 0);
    }
}

/* Hierarchies (of v1; the one of v2) in which ID has a directory below our own. */
static int count_cgroups(const char *id)
{
    char path[CL_CGROUP_PATH_SIZE + CL_CGROUP_NAME_SIZE];
    char own_path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    struct cl_error err = {0};
    struct stat st;
    int found = 0;

    CHECK(cl_own_cgroups_read(&own, &err) == 0);
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if (!cl_own_is_first(&own, i) || cl_v1_path(own_path, i, &own, &err) < 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/cloister-%s", own_path, id);
        found += stat(path, &st) == 0;
    }
    return found;
}

static void note_swept(void *context, const char *id)
{
    (void)id;
    ++*(int *)context;
}

TEST(the_dead_are_swept_and_the_living_stay)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_error err = {0};
    char id[CL_ID_SIZE];
    int told = 0;

    CHECK(create(&state, 0, &entry) == 0);
    leave_one(0, id);
    leave_one(0, id);
    CHECK(count(&state).dead == 2 && count(&state).alive == 1);
    CHECK(cl_sweep(&state, note_swept, &told, &err) == 2 && told == 2);
    CHECK(count(&state).dead == 0 && count(&state).alive == 1);
    CHECK(cl_sweep(&state, note_swept, &told, &err) == 0 && told == 2);
    cl_entry_remove(&state, &entry);
}

/* The next run, however soon it is. */
TEST(a_run_sweeps_at_once_what_the_last_one_left)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_error err = {0};
    char id[CL_ID_SIZE];

    CHECK(cl_sweep_seldom(&state, &err) == 0);
    for (int i = 0; i < 20; i++) {
        leave_one(0, id);
        CHECK(create(&state, 0, &entry) == 0);
        CHECK(cl_sweep_beside(&state, i % 2 == 0 ? NULL : &entry, &err) == 1);
        CHECK(count(&state).dead == 0 && count(&state).alive == 1);
        cl_entry_remove(&state, &entry);
    }
}

/* One that was killed this moment: it takes its time to give back its memory, and only
 * then closes its files. */
TEST(who_is_dying_is_waited_for)
{
    enum { SIZE = 64 << 20 };
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    char byte;

    for (int i = 0; i < 10; i++) {
        int ends[2];

        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        pid_t child = fork();
        if (child == 0) {
            struct cl_entry entry = CL_ENTRY_INIT;
            char *memory = malloc(SIZE);

            (void)close(ends[0]);
            if (memory == NULL || create(&state, 0, &entry) < 0)
                _exit(1);
            memset(memory, 1, SIZE);
            (void)write(ends[1], memory, 1);
            for (;;)
                (void)pause();
        }
        (void)close(ends[1]);
        CHECK(read(ends[0], &byte, 1) == 1);
        CHECK(cl_sweep(&state, NULL, NULL, &err) == 0);
        CHECK(kill(child, SIGKILL) == 0);
        CHECK(cl_sweep(&state, NULL, NULL, &err) == 1);
        CHECK(waitpid(child, NULL, 0) == child);
        CHECK(count(&state).dead == 0 && count(&state).alive == 0);
        (void)close(ends[0]);
    }
}

TEST(cgroups_go_from_every_hierarchy)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    char ids[5][CL_ID_SIZE];

    if (!has_cgroups())
        SKIP_TEST("needs to make cgroups");
    for (int i = 0; i < 5; i++) {
        leave_one(1, ids[i]);
        CHECK(count_cgroups(ids[i]) == 0 || count_cgroups(ids[i]) >= 2);
    }
    CHECK(cl_sweep_seldom(&state, &err) == 5);
    for (int i = 0; i < 5; i++)
        CHECK(count_cgroups(ids[i]) == 0);
}

/* Killed between two hierarchies, at each place: what is there of them goes. */
TEST(half_made_cgroups_go)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    char path[CL_CGROUP_PATH_SIZE + CL_CGROUP_NAME_SIZE];
    char own_path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    struct cl_error err = {0};
    char id[CL_ID_SIZE];

    if (!has_cgroups() || cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1, and to make some");
    CHECK(cl_own_cgroups_read(&own, &err) == 0);
    for (unsigned int missing = 0; missing < 1U << CL_CONTROLLER_COUNT; missing++) {
        leave_one(1, id);
        for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
            if ((missing & CL_CONTROLLER_BIT(i)) == 0 || cl_v1_path(own_path, i, &own, &err) < 0)
                continue;
            (void)snprintf(path, sizeof(path), "%s/cloister-%s", own_path, id);
            (void)rmdir(path); /* not every one is made */
        }
        CHECK(cl_sweep(&state, NULL, NULL, &err) == 1);
        CHECK(count_cgroups(id) == 0);
        CHECK(count(&state).dead == 0);
    }
}

/* A process in ID's cgroup of CONTROLLER. */
static pid_t live_in(const char *id, enum cl_controller controller)
{
    char path[CL_CGROUP_PATH_SIZE + CL_CGROUP_NAME_SIZE + 8];
    char own_path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    struct cl_error err = {0};
    int ready[2];
    char byte;

    CHECK(cl_own_cgroups_read(&own, &err) == 0);
    CHECK(cl_v1_path(own_path, controller, &own, &err) == 0);
    (void)snprintf(path, sizeof(path), "%s/cloister-%s/tasks", own_path, id);
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (write(fd, "0", 1) != 1 || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return child;
}

/* A process that still dies: a run doesn't wait for it, a later command finds it gone. */
TEST(what_is_busy_is_left_for_the_next)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    char id[CL_ID_SIZE];

    if (!has_cgroups() || cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1, and to make some");
    leave_one(1, id);
    const pid_t child = live_in(id, CL_CONTROLLER_PIDS);
    uint64_t began_ns = cl_clock_boot_ns();
    CHECK(cl_sweep_seldom(&state, &err) == -EBUSY);
    CHECK(cl_clock_boot_ns() - began_ns < 200 * CL_NS_PER_MS);
    CHECK_HAS(err.msg, id);
    CHECK(count(&state).dead == 1);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    int r = cl_sweep_seldom(&state, &err); /* it may take a moment after its death */
    CHECK(r == 1 || r == -EBUSY);
    CHECK(r == 1 || cl_sweep(&state, NULL, NULL, &err) == 1);
    CHECK(count_cgroups(id) == 0);
}

/* With very many alive a run looks at a few only, but a while later at all. */
TEST(among_many_the_dead_are_found_in_time)
{
    enum { MANY = 200 };
    static struct cl_entry entries[MANY];
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_FD int table = cl_table_open(state.dir, O_CREAT);
    struct cl_error err = {0};
    char id[CL_ID_SIZE];
    uint64_t never = 0;
    int tries = 0;

    for (int i = 0; i < MANY; i++)
        CHECK(create(&state, 0, &entries[i]) == 0);
    CHECK(cl_sweep_seldom(&state, &err) == 0); /* all are looked at: the stamp is fresh */
    leave_one(0, id);
    CHECK(cl_sys_pwrite(table, &never, sizeof(never), 0) == (ssize_t)sizeof(never));
    CHECK(cl_sweep_seldom(&state, &err) == 1);
    leave_one(0, id);
    while (cl_sweep_seldom(&state, &err) == 0)
        CHECK(++tries < 1000);
    CHECK(count(&state).dead == 0 && count(&state).alive == MANY);
    for (int i = 0; i < MANY; i++)
        cl_entry_remove(&state, &entries[i]);
}

/* A cgroup that can't be removed for good: each run would try again otherwise. */
TEST(what_is_stuck_costs_no_further_run_anything)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_FD int table = cl_table_open(state.dir, O_CREAT);
    struct cl_error err = {0};
    char id[CL_ID_SIZE];

    leave_one(0, id);
    CHECK(cl_seat_set_mark(table, 0, CL_SEAT_STUCK) == 0);
    CHECK(cl_sweep_seldom(&state, &err) == 0);
    CHECK(count(&state).dead == 1);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 1);
    CHECK(count(&state).dead == 0);
}

TEST(two_sweepers_do_not_meet)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_FD int table = cl_table_open(state.dir, O_CREAT);
    struct cl_error err = {0};
    char id[CL_ID_SIZE];

    leave_one(0, id);
    CHECK(cl_seat_lock(table, 0) == 0);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 0); /* the other has it */
    cl_seat_unlock(table, 0);
    CHECK(cl_seat_begin_sweep(table, 0) == 0);
    CHECK(count(&state).dead == 1 && count(&state).alive == 0);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 0); /* the other sweeps it */
    cl_seat_end_sweep(table, 0);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 1);
}

/* A sweeper that waits for a cgroup to be left: whoever looks sees that the sandbox is dead. */
TEST(the_dead_are_dead_while_they_are_swept)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    char id[CL_ID_SIZE];
    int all;

    if (!has_cgroups() || cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1, and to make some");
    leave_one(1, id);
    all = count_cgroups(id);
    const pid_t lives = live_in(id, CL_CONTROLLER_PIDS);
    (void)fflush(stdout);
    const pid_t sweeper = fork();
    if (sweeper == 0)
        _exit(cl_sweep(&state, NULL, NULL, &err) != -EBUSY);
    while (count_cgroups(id) == all && waitpid(sweeper, NULL, WNOHANG) == 0)
        (void)sched_yield(); /* until it waits for that one */
    CHECK(count_cgroups(id) >= 1);
    CHECK(count(&state).dead == 1 && count(&state).alive == 0);
    CHECK(kill(lives, SIGKILL) == 0 && waitpid(lives, NULL, 0) == lives);
    (void)waitpid(sweeper, NULL, 0);
    (void)cl_sweep(&state, NULL, NULL, &err); /* where the sweeper gave up before */
    CHECK(count(&state).dead == 0 && count_cgroups(id) == 0);
}

/* --- without a record ------------------------------------------------------- */

static int make_cgroup(const char *parent, const char *name, int age_s, char path[PATH_MAX])
{
    struct timespec now;

    (void)snprintf(path, PATH_MAX, "%s/%s", parent, name);
    if (mkdir(path, 0755) < 0)
        return -errno;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const struct timespec times[2] = {{.tv_sec = now.tv_sec - age_s},
                                      {.tv_sec = now.tv_sec - age_s}};
    return utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

/* Ours by its name, old and unknown: those go, and nothing else. */
TEST(cgroups_without_a_record_go)
{
    static const struct {
        const char *name;
        int age_s;
        int goes;
    } rows[] = {
        {"cloister-00c0ffee00c0ffee", 100, 1}, {"cloister-00c0ffee00c0ffef", 0, 0},
        {"cloister-probe0000", 100, 1},        {"cloister-self", 100, 0},
        {"cloister-00c0ffee00c0ffe", 100, 0},  {"cloister-00C0FFEE00C0FFEE", 100, 0},
        {"other-00c0ffee00c0ffee", 100, 0},    {"cloister-probe", 100, 0},
        {"cloister-probe12x", 100, 0},
    };
    CL_CLEANUP_STATE struct cl_state state = open_base();
    char own_path[CL_CGROUP_PATH_SIZE];
    struct cl_own_cgroups own;
    struct cl_error err = {0};
    char path[PATH_MAX];
    struct stat st;

    if (!has_cgroups() || cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1, and to make some");
    CHECK(cl_own_cgroups_read(&own, &err) == 0);
    for (enum cl_controller i = 0; i < CL_CONTROLLER_COUNT; i++) {
        if (!cl_own_is_first(&own, i) || cl_v1_path(own_path, i, &own, &err) < 0)
            continue;
        for (size_t row = 0; row < CL_ARRAY_SIZE(rows); row++)
            CHECK(make_cgroup(own_path, rows[row].name, rows[row].age_s, path) == 0);
        CHECK(cl_sweep(&state, NULL, NULL, &err) == 0);
        for (size_t row = 0; row < CL_ARRAY_SIZE(rows); row++) {
            (void)snprintf(path, sizeof(path), "%s/%s", own_path, rows[row].name);
            CHECK((stat(path, &st) < 0) == rows[row].goes);
            (void)rmdir(path);
        }
    }
}

TEST(an_old_sandboxs_cgroups_are_its_own)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    char own_path[CL_CGROUP_PATH_SIZE];
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_own_cgroups own;
    struct cl_error err = {0};
    char path[PATH_MAX];
    char name[CL_CGROUP_NAME_SIZE];
    struct stat st;

    if (!has_cgroups() || cl_cgroup_layout(0, &err) != CL_CGROUP_V1)
        SKIP_TEST("needs cgroup v1, and to make some");
    CHECK(cl_own_cgroups_read(&own, &err) == 0);
    CHECK(cl_v1_path(own_path, CL_CONTROLLER_MEMORY, &own, &err) == 0);
    CHECK(create(&state, 0, &entry) == 0);
    CHECK(cl_cgroup_name(name, entry.id, &err) == 0);
    CHECK(make_cgroup(own_path, name, 1000, path) == 0);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 0);
    CHECK(stat(path, &st) == 0);
    cl_entry_remove(&state, &entry);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 0);
    CHECK(stat(path, &st) < 0);
}

/* Who lives holds a lock; where there is no such sign, age is one. */
TEST(fifos_of_dead_clients_go)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    static const struct {
        const char *path;
        int is_old;
        int is_held;
        int goes;
    } rows[] = {
        {"bells/client-0123456789abcdef", 0, 0, 1}, {"bells/client-1123456789abcdef", 0, 1, 0},
        {"bells/client-2123456789abcdef", 1, 1, 0}, {"bells/exec-0123456789abcdef", 0, 0, 1},
        {"bells/exec-1123456789abcdef", 0, 0, 0},   {"bells/exec-3123456789abcdef", 1, 0, 1},
        {"bells/exec-4123456789abcdef", 0, 0, 0},   {"bells/3", 1, 0, 0},
    };
    int held[CL_ARRAY_SIZE(rows)];
    struct cl_error err = {0};
    struct stat st;

    (void)mkdirat(state.dir, "bells", 0700);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(mkfifoat(state.dir, rows[i].path, 0600) == 0);
        CHECK(!rows[i].is_old || utimensat(state.dir, rows[i].path, old, 0) == 0);
        held[i] = openat(state.dir, rows[i].path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(held[i] >= 0);
        CHECK(!rows[i].is_held || flock(held[i], LOCK_EX) == 0);
    }
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 0);
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK((fstatat(state.dir, rows[i].path, &st, 0) < 0) == rows[i].goes);
        (void)unlinkat(state.dir, rows[i].path, 0);
        (void)close(held[i]);
    }
    (void)unlinkat(state.dir, "bells", AT_REMOVEDIR);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_dead_are_swept_and_the_living_stay),
        ROW(a_run_sweeps_at_once_what_the_last_one_left),
        ROW(who_is_dying_is_waited_for),
        ROW(cgroups_go_from_every_hierarchy),
        ROW(half_made_cgroups_go),
        ROW(what_is_busy_is_left_for_the_next),
        ROW(among_many_the_dead_are_found_in_time),
        ROW(what_is_stuck_costs_no_further_run_anything),
        ROW(two_sweepers_do_not_meet),
        ROW(the_dead_are_dead_while_they_are_swept),
        ROW(cgroups_without_a_record_go),
        ROW(an_old_sandboxs_cgroups_are_its_own),
        ROW(fifos_of_dead_clients_go),
    };

    if (mkdtemp(base) == NULL)
        return 99;
    move(0);
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    move(1);
    struct cl_state state = open_base();
    (void)unlinkat(state.dir, "table", 0);
    cl_state_done(&state);
    (void)rmdir(base);
    return failed;
}
