/* test_state.c - the state directory: its table, records, plan files, names and finding,
 * in a directory of the test's own. Sweeping and ringing: test_sweep.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/state.h"
#include "sandbox/sweep.h"
#include "sandbox/table.h"
#include "check.h"

enum { ARENA_MAX = 32 << 20 };

static char base[] = "/tmp/cloister-test-state-XXXXXX";

static struct cl_state open_base(void)
{
    return (struct cl_state){open(base, O_PATH | O_DIRECTORY | O_CLOEXEC)};
}

static int create(struct cl_state *state, const char *name, struct cl_entry *ret,
                  struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_status status = {.phase = CL_PHASE_CREATING, .created_ns = cl_clock_wall_ns()};
    struct cl_plan plan = {0};

    CHECK(cl_plan_set_text(&plan, CL_FIELD_IMAGE, "host", &arena, err) == 0);
    CHECK(cl_plan_add_str(&plan, CL_FIELD_COMMAND, "true", &arena, err) == 0);
    if (name != NULL)
        CHECK(cl_plan_set_text(&plan, CL_FIELD_NAME, name, &arena, err) == 0);
    CHECK(cl_id_make(status.id, err) == 0);
    return cl_state_create(state, &status, &plan, ret, err);
}

static int find(struct cl_state *state, const char *wanted, char ret_id[CL_ID_SIZE],
                struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_FOUND struct cl_found found = CL_FOUND_INIT;
    int r = cl_state_find(state, wanted, &arena, &found, err);

    if (r == 0) {
        memcpy(ret_id, found.status.id, CL_ID_SIZE);
        CHECK(found.entry.dir >= 0 && found.entry.table >= 0 && found.entry.seat >= 0);
        CHECK_TEXT(found.plan.image, "host");
    }
    return r;
}

static int count_visit(void *context, struct cl_visit *visit, struct cl_error *err)
{
    int *counts = context;

    (void)err;
    counts[visit->alive != 0]++;
    counts[2] += visit->plan == NULL;
    return 0;
}

/* counts[0] dead, [1] alive, [2] without a plan */
static void count(struct cl_state *state, int counts[3])
{
    struct cl_error err = {0};

    memset(counts, 0, 3 * sizeof(counts[0]));
    CHECK(cl_state_walk(state, count_visit, counts, &err) == 0);
}

TEST(a_sandbox_is_there_until_it_is_removed)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_status status;
    struct cl_error err = {0};
    char id[CL_ID_SIZE];
    char prefix[5] = "";
    int counts[3];

    CHECK(create(&state, "one", &entry, &err) == 0);
    CHECK(cl_status_read(entry.table, entry.seat, &status) == 0);
    CHECK(status.phase == CL_PHASE_CREATING && status.has_limits == 1);
    status.phase = CL_PHASE_RUNNING;
    status.main = 42;
    CHECK(cl_entry_update(&entry, &status, &err) == 0);
    CHECK(cl_status_read(entry.table, entry.seat, &status) == 0 && status.main == 42);
    memcpy(prefix, entry.id, 4);
    CHECK(find(&state, "one", id, &err) == 0 && strcmp(id, entry.id) == 0);
    CHECK(find(&state, entry.id, id, &err) == 0);
    CHECK(find(&state, prefix, id, &err) == 0);
    prefix[3] = '\0';
    CHECK(find(&state, prefix, id, &err) == -ESRCH);
    count(&state, counts);
    CHECK(counts[0] == 0 && counts[1] == 1 && counts[2] == 0);
    cl_entry_remove(&state, &entry);
    CHECK(entry.dir == -1 && entry.table == -1);
    count(&state, counts);
    CHECK(counts[0] == 0 && counts[1] == 0);
    CHECK(find(&state, "one", id, &err) == -ESRCH);
    CHECK_HAS(err.msg, "one");
}

struct meeting {
    struct cl_state *state;
    struct cl_entry *next;
    int alive;
    int dead;
};

/* Where the first is visited, the second gets up. */
static int end_next(void *context, struct cl_visit *visit, CL_UNUSED struct cl_error *err)
{
    struct meeting *meeting = context;

    *(visit->alive ? &meeting->alive : &meeting->dead) += 1;
    cl_entry_remove(meeting->state, meeting->next);
    return 0;
}

TEST(who_gets_up_meanwhile_is_not_taken_for_dead)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entries[2] = {CL_ENTRY_INIT, CL_ENTRY_INIT};
    struct meeting meeting = {.state = &state, .next = &entries[1]};
    struct cl_error err = {0};

    for (int i = 0; i < 2; i++)
        CHECK(create(&state, NULL, &entries[i], &err) == 0 && entries[i].seat == i);
    CHECK(cl_state_walk(&state, end_next, &meeting, &err) == 0);
    CHECK(meeting.alive == 1 && meeting.dead == 0);
    cl_entry_remove(&state, &entries[0]);
}

TEST(a_name_belongs_to_one)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_ENTRY struct cl_entry first = CL_ENTRY_INIT;
    struct cl_entry second = CL_ENTRY_INIT;
    struct cl_error err = {0};
    int counts[3];

    CHECK(create(&state, "same", &first, &err) == 0);
    CHECK(create(&state, "same", &second, &err) == -EEXIST);
    CHECK(second.dir == -1);
    CHECK_HAS(err.msg, "same");
    count(&state, counts);
    CHECK(counts[0] + counts[1] == 1);
    cl_entry_remove(&state, &first);
    CHECK(create(&state, "same", &second, &err) == 0);
    cl_entry_remove(&state, &second);
}

/* What is left of a supervisor that was killed. */
static void leave_one(const char *name)
{
    pid_t child = fork();

    if (child == 0) {
        CL_CLEANUP_STATE struct cl_state state = open_base();
        struct cl_entry entry = CL_ENTRY_INIT;
        struct cl_error err = {0};

        if (create(&state, name, &entry, &err) < 0)
            _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

TEST(a_dead_ones_name_is_free)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_error err = {0};

    leave_one("again");
    CHECK(create(&state, "again", &entry, &err) == 0);
    cl_entry_remove(&state, &entry);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 1);
}

/* Where the size of a record's head is cut, or its words are none. */
TEST(damaged_records_are_not_read)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};

    for (size_t cut = 0; cut <= sizeof(struct cl_status); cut += 8) {
        struct cl_entry entry = CL_ENTRY_INIT;
        struct cl_status status;
        char id[CL_ID_SIZE];
        int counts[3];

        CHECK(create(&state, "broken", &entry, &err) == 0);
        CHECK(entry.seat == 0);
        CHECK(ftruncate(entry.table, cl_seat_offset(entry.seat) + (off_t)cut) == 0);
        count(&state, counts);
        CHECK(counts[1] == 1 && counts[2] == 1);
        CHECK(find(&state, entry.id, id, &err) == -ESRCH);
        CHECK(cut == sizeof(status) || cl_status_read(entry.table, 0, &status) == -EBADMSG);
        cl_entry_remove(&state, &entry);
        count(&state, counts);
        CHECK(counts[0] + counts[1] == 0);
    }
}

/* Each byte of a record changed once: read or refused, never worse. */
TEST(changed_records_do_no_harm)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_status status;
    struct cl_error err = {0};

    CHECK(create(&state, "changed", &entry, &err) == 0);
    CHECK(cl_status_read(entry.table, entry.seat, &status) == 0);
    const off_t start = cl_seat_offset(entry.seat);
    const off_t end = start + (off_t)sizeof(status) + (off_t)status.plan_size;
    for (off_t at = start; at < end; at++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        struct cl_plan plan = {0};
        unsigned char byte = 0;
        unsigned char changed;

        CHECK(pread(entry.table, &byte, 1, at) == 1);
        changed = (unsigned char)(byte ^ 0xff);
        CHECK(pwrite(entry.table, &changed, 1, at) == 1);
        err.msg[0] = '\0';
        int r = cl_entry_read(&entry, &arena, &status, &plan, &err);
        CHECK(r == 0 || (r < 0 && err.msg[0] != '\0'));
        CHECK(pwrite(entry.table, &byte, 1, at) == 1);
    }
    cl_entry_remove(&state, &entry);
}

/* The file is one of ours or of nobody: marks, locks and sizes of any kind. */
TEST(a_table_of_rubbish_does_no_harm)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_error err = {0};
    char id[CL_ID_SIZE];
    int counts[3];

    for (unsigned int seed = 1; seed < 6; seed++) {
        CL_CLEANUP_FD int table = cl_table_open(state.dir, O_CREAT | O_TRUNC);
        unsigned char bytes[3000];

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (unsigned char)((i * 2654435761U * seed) >> 13);
        for (int i = 0; i < 10; i++)
            CHECK(write(table, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
        count(&state, counts);
        CHECK(counts[0] > 1000 && counts[1] == 0 && counts[2] == counts[0]);
        CHECK(find(&state, "x", id, &err) == -ESRCH);
        CHECK(create(&state, "amid", &entry, &err) == 0);
        CHECK(find(&state, "amid", id, &err) == 0);
        cl_entry_remove(&state, &entry);
        CHECK(cl_sweep(&state, NULL, NULL, &err) == counts[0]);
        count(&state, counts);
        CHECK(counts[0] + counts[1] == 0);
    }
    CHECK(unlinkat(state.dir, "table", 0) == 0);
}

TEST(a_table_that_is_none_is_told)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_error err = {0};
    int counts[3] = {0};

    (void)unlinkat(state.dir, "table", 0);
    CHECK(mkdirat(state.dir, "table", 0700) == 0);
    CHECK(create(&state, NULL, &entry, &err) == -EISDIR);
    CHECK(cl_state_walk(&state, count_visit, counts, &err) == -EISDIR);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == -EISDIR);
    CHECK(unlinkat(state.dir, "table", AT_REMOVEDIR) == 0);
    CHECK(mkfifoat(state.dir, "table", 0600) == 0);
    CHECK(create(&state, NULL, &entry, &err) == -ESPIPE);
    CHECK(unlinkat(state.dir, "table", 0) == 0);
    CHECK(symlinkat("/etc/passwd", state.dir, "table") == 0);
    CHECK(create(&state, NULL, &entry, &err) == -ELOOP);
    CHECK_HAS(err.msg, "table of sandboxes");
    CHECK(entry.dir == -1);
    CHECK(unlinkat(state.dir, "table", 0) == 0);
    CHECK(cl_state_walk(&state, count_visit, counts, &err) == 0 && counts[0] + counts[1] == 0);
    CHECK(cl_sweep_seldom(&state, &err) == 0);
}

/* Many at once, each with a seat of its own, and a seat that is left is taken again. */
TEST(seats_are_one_each_and_used_again)
{
    enum { MANY = 300 };
    static struct cl_entry entries[MANY];
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    int counts[3];

    for (int i = 0; i < MANY; i++) {
        CHECK(create(&state, NULL, &entries[i], &err) == 0);
        CHECK(entries[i].seat == i);
    }
    count(&state, counts);
    CHECK(counts[0] == 0 && counts[1] == MANY);
    cl_entry_remove(&state, &entries[7]);
    CHECK(create(&state, NULL, &entries[7], &err) == 0 && entries[7].seat == 7);
    CHECK(cl_sweep(&state, NULL, NULL, &err) == 0);
    for (int i = 0; i < MANY; i++)
        cl_entry_remove(&state, &entries[i]);
    count(&state, counts);
    CHECK(counts[0] + counts[1] == 0);
}

TEST(a_full_table_is_told)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_FD int table = cl_table_open(state.dir, O_CREAT);
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_table seats = {0};
    struct cl_error err = {0};

    memset(seats.marks, CL_SEAT_TAKEN, sizeof(seats.marks));
    CHECK(pwrite(table, &seats, sizeof(seats), 0) == (ssize_t)sizeof(seats));
    CHECK(create(&state, NULL, &entry, &err) == -EUSERS);
    CHECK_HAS(err.msg, "4032");
    CHECK(cl_seat_set_mark(table, CL_SEATS - 1, CL_SEAT_FREE) == 0);
    CHECK(create(&state, NULL, &entry, &err) == 0 && entry.seat == CL_SEATS - 1);
    cl_entry_remove(&state, &entry);
    CHECK(unlinkat(state.dir, "table", 0) == 0);
}

/* A plan of more than a seat holds. */
static int create_large(struct cl_state *state, struct cl_entry *ret, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_status status = {.created_ns = cl_clock_wall_ns()};
    struct cl_plan plan = {0};
    char text[64];

    CHECK(cl_plan_set_text(&plan, CL_FIELD_IMAGE, "host", &arena, err) == 0);
    CHECK(cl_plan_add_str(&plan, CL_FIELD_COMMAND, "true", &arena, err) == 0);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(text, sizeof(text), "VARIABLE_%d=of some length", i);
        CHECK(cl_plan_add_str(&plan, CL_FIELD_ENV, text, &arena, err) == 0);
    }
    CHECK(cl_id_make(status.id, err) == 0);
    return cl_state_create(state, &status, &plan, ret, err);
}

static int has_plan_file(const struct cl_state *state, const char *id)
{
    char path[32];
    struct stat st;

    (void)snprintf(path, sizeof(path), "plans/%s", id);
    return fstatat(state->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

TEST(a_large_plan_has_a_file_of_its_own)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_status status;
    struct cl_plan plan = {0};
    struct cl_error err = {0};
    char path[32];
    char id[CL_ID_SIZE];

    CHECK(create_large(&state, &entry, &err) == 0);
    memcpy(id, entry.id, sizeof(id));
    CHECK(has_plan_file(&state, id));
    CHECK(cl_entry_read(&entry, &arena, &status, &plan, &err) == 0 && plan.env.count == 2000);
    CHECK_TEXT(plan.env.items[1999], "VARIABLE_1999=of some length");
    (void)snprintf(path, sizeof(path), "plans/%s", id);
    CL_CLEANUP_FD int fd = openat(state.dir, path, O_WRONLY | O_CLOEXEC);
    CHECK(ftruncate(fd, 5000) == 0);
    CHECK(cl_entry_read(&entry, &arena, &status, &plan, &err) == -EBADMSG);
    CHECK(unlinkat(state.dir, path, 0) == 0);
    CHECK(cl_entry_read(&entry, &arena, &status, &plan, &err) == -ENOENT);
    CHECK(mkfifoat(state.dir, path, 0600) == 0);
    CHECK(cl_entry_read(&entry, &arena, &status, &plan, &err) == -ESPIPE);
    cl_entry_remove(&state, &entry);
    CHECK(!has_plan_file(&state, id));
    CHECK(create_large(&state, &entry, &err) == 0);
    memcpy(id, entry.id, sizeof(id));
    cl_entry_done(&entry);
    CHECK(cl_sweep_seldom(&state, &err) == 1);
    CHECK(!has_plan_file(&state, id));
}

/* A reader that is slower than the sandbox: the seat has another by then. */
TEST(a_seat_with_another_in_it_is_no_answer)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_entry first = CL_ENTRY_INIT;
    struct cl_entry second = CL_ENTRY_INIT;
    struct cl_status status;
    struct cl_plan plan;
    struct cl_error err = {0};
    CL_CLEANUP_FOUND struct cl_found seen = CL_FOUND_INIT;

    CHECK(create(&state, "first", &first, &err) == 0);
    CHECK(cl_state_find(&state, "first", &arena, &seen, &err) == 0);
    cl_entry_remove(&state, &first);
    CHECK(create(&state, "second", &second, &err) == 0 && second.seat == seen.entry.seat);
    CHECK(cl_entry_read(&seen.entry, &arena, &status, &plan, &err) == -ESRCH);
    CHECK_HAS(err.msg, "has ended");
    cl_entry_remove(&state, &second);
}

TEST(no_room_for_a_record_is_told_before_it_kills)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        CL_CLEANUP_STATE struct cl_state state = open_base();
        const struct rlimit limit = {.rlim_cur = 6000, .rlim_max = 6000};
        struct cl_entry entry = CL_ENTRY_INIT;
        struct cl_error err = {0};

        if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
            _exit(2);
        _exit(create(&state, NULL, &entry, &err) == -EFBIG && strstr(err.msg, "ulimit -f") != NULL
                  ? 0
                  : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* As an ordinary user: the child of a root that tests becomes one. */
static int open_as_user(const char *runtime, struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;

    (void)setenv("XDG_RUNTIME_DIR", runtime, 1);
    if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
        return -EPERM;
    return cl_state_open(&state, err);
}

static int expect_open(const char *runtime, const char *needle)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct cl_error err = {0};
        int r = open_as_user(runtime, &err);

        if ((r < 0) != (needle != NULL) || (needle != NULL && strstr(err.msg, needle) == NULL)) {
            printf("# %d: %s\n", r, err.msg);
            (void)fflush(stdout);
            _exit(1);
        }
        _exit(0);
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

TEST(the_directory_must_be_ours_and_closed)
{
    char runtime[] = "/tmp/cloister-test-runtime-XXXXXX";
    char path[64];

    CHECK(mkdtemp(runtime) != NULL);
    CHECK(expect_open("/nonexistent/directory", "No such file"));
    if (geteuid() == 0)
        CHECK(chown(runtime, 65534, 65534) == 0);
    CHECK(expect_open(runtime, NULL));
    (void)snprintf(path, sizeof(path), "%s/cloister", runtime);
    CHECK(chmod(path, 0755) == 0);
    CHECK(expect_open(runtime, "chmod 700"));
    (void)snprintf(path, sizeof(path), "%s/cloister", runtime);
    CHECK(rmdir(path) == 0);
    CHECK(symlink("/tmp", path) == 0);
    CHECK(expect_open(runtime, "open the state directory"));
    CHECK(unlink(path) == 0);
    if (geteuid() == 0) {
        CHECK(mkdir(path, 0700) == 0);
        CHECK(expect_open(runtime, "belongs to uid 0"));
        CHECK(rmdir(path) == 0);
    }
    CHECK(rmdir(runtime) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(a_sandbox_is_there_until_it_is_removed),
        ROW(who_gets_up_meanwhile_is_not_taken_for_dead),
        ROW(a_name_belongs_to_one),
        ROW(a_dead_ones_name_is_free),
        ROW(damaged_records_are_not_read),
        ROW(changed_records_do_no_harm),
        ROW(a_table_of_rubbish_does_no_harm),
        ROW(a_table_that_is_none_is_told),
        ROW(seats_are_one_each_and_used_again),
        ROW(a_full_table_is_told),
        ROW(a_large_plan_has_a_file_of_its_own),
        ROW(a_seat_with_another_in_it_is_no_answer),
        ROW(no_room_for_a_record_is_told_before_it_kills),
        ROW(the_directory_must_be_ours_and_closed),
    };

    if (mkdtemp(base) == NULL)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    struct cl_state state = open_base();
    (void)unlinkat(state.dir, "table", 0);
    (void)unlinkat(state.dir, "plans", AT_REMOVEDIR);
    cl_state_done(&state);
    (void)rmdir(base);
    return failed;
}
