/* test_state.c - the state directory, control sockets and sweeping, in a directory of
 * the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "sandbox/control.h"
#include "sandbox/state.h"
#include "sandbox/sweep.h"
#include "check.h"

enum { ARENA_MAX = 32 << 20 };

static char base[] = "/tmp/cloister-test-state-XXXXXX";

static struct cl_state open_base(void)
{
    struct cl_state state = {open(base, O_PATH | O_DIRECTORY | O_CLOEXEC), -1};

    (void)mkdirat(state.dir, "sandboxes", 0700);
    state.sandboxes = openat(state.dir, "sandboxes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return state;
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
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_status status;
    struct cl_plan plan;
    int r = cl_state_find(state, wanted, &arena, &entry, &status, &plan, err);

    if (r == 0) {
        memcpy(ret_id, status.id, CL_ID_SIZE);
        CHECK(entry.dir >= 0 && entry.record >= 0);
        CHECK_TEXT(plan.image, "host");
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
    struct cl_status status = {.version = 1, .phase = CL_PHASE_RUNNING, .main = 42};
    struct cl_error err = {0};
    char id[CL_ID_SIZE];
    char prefix[5] = "";
    int counts[3];

    CHECK(create(&state, "one", &entry, &err) == 0);
    memcpy(status.id, entry.id, CL_ID_SIZE);
    CHECK(cl_entry_update(&entry, &status, &err) == 0);
    memcpy(prefix, entry.id, 4);
    CHECK(find(&state, "one", id, &err) == 0 && strcmp(id, entry.id) == 0);
    CHECK(find(&state, entry.id, id, &err) == 0);
    CHECK(find(&state, prefix, id, &err) == 0);
    prefix[3] = '\0';
    CHECK(find(&state, prefix, id, &err) == -ESRCH);
    count(&state, counts);
    CHECK(counts[0] == 0 && counts[1] == 1 && counts[2] == 0);
    cl_entry_remove(&state, &entry);
    CHECK(entry.dir == -1 && entry.record == -1);
    count(&state, counts);
    CHECK(counts[0] == 0 && counts[1] == 0);
    CHECK(find(&state, "one", id, &err) == -ESRCH);
    CHECK_HAS(err.msg, "one");
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

        if (create(&state, name, &entry, &err) < 0 || cl_control_listen(&entry, &err) < 0)
            _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
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
    int counts[3];
    int told = 0;

    CHECK(create(&state, "living", &entry, &err) == 0);
    leave_one("dead");
    leave_one(NULL);
    CHECK(mkdirat(state.sandboxes, "00000000000000aa", 0700) == 0);
    count(&state, counts);
    CHECK(counts[0] == 3 && counts[1] == 1 && counts[2] == 1);
    CHECK(find(&state, "dead", id, &err) == -ESRCH);
    CHECK(cl_sweep(&state, note_swept, &told, &err) == 3 && told == 3);
    count(&state, counts);
    CHECK(counts[0] == 0 && counts[1] == 1);
    CHECK(cl_sweep(&state, note_swept, &told, &err) == 0 && told == 3);
    cl_entry_remove(&state, &entry);
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

TEST(sweeping_follows_nothing)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    struct stat st;

    CHECK(mkdirat(state.dir, "precious", 0700) == 0);
    CHECK(mkdirat(state.dir, "precious/file", 0700) == 0);
    CHECK(mkdirat(state.sandboxes, "00000000000000bb", 0700) == 0);
    CHECK(mkdirat(state.sandboxes, "00000000000000bb/deep", 0700) == 0);
    CHECK(symlinkat("../../precious", state.sandboxes, "00000000000000bb/link") == 0);
    CHECK(symlinkat("../../../precious", state.sandboxes, "00000000000000bb/deep/link") == 0);
    CHECK(mkfifoat(state.sandboxes, "00000000000000bb/record", 0600) == 0);
    /* A link in place of a sandbox's directory is no sandbox. */
    CHECK(symlinkat("../precious", state.sandboxes, "00000000000000cc") == 0);
    (void)cl_sweep(&state, NULL, NULL, &err);
    CHECK(fstatat(state.dir, "precious/file", &st, 0) == 0);
    CHECK(fstatat(state.sandboxes, "00000000000000cc", &st, AT_SYMLINK_NOFOLLOW) == 0);
    (void)unlinkat(state.sandboxes, "00000000000000bb/record", 0);
    CHECK(cl_sweep(&state, NULL, NULL, &err) >= 0);
    CHECK(fstatat(state.sandboxes, "00000000000000bb", &st, AT_SYMLINK_NOFOLLOW) < 0);
    CHECK(fstatat(state.dir, "precious/file", &st, 0) == 0);
    (void)unlinkat(state.sandboxes, "00000000000000cc", 0);
    (void)unlinkat(state.dir, "precious/file", AT_REMOVEDIR);
    (void)unlinkat(state.dir, "precious", AT_REMOVEDIR);
}

TEST(a_half_made_sandbox_is_not_swept)
{
    CL_CLEANUP_STATE struct cl_state creator = open_base();
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};
    struct stat st;

    CHECK(cl_state_gate(&creator, LOCK_SH) == 0);
    CHECK(mkdirat(creator.sandboxes, "00000000000000dd", 0700) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(cl_sweep(&state, NULL, NULL, &err) < 0);
    (void)usleep(50000);
    CHECK(fstatat(state.sandboxes, "00000000000000dd", &st, 0) == 0);
    cl_state_ungate(&creator);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(fstatat(state.sandboxes, "00000000000000dd", &st, 0) < 0);
}

TEST(damaged_records_are_not_read)
{
    static const size_t sizes[] = {0, 1, 111, 112, 200};
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(sizes); i++) {
        struct cl_entry entry = CL_ENTRY_INIT;
        char id[CL_ID_SIZE];
        int counts[3];

        CHECK(create(&state, "broken", &entry, &err) == 0);
        CHECK(ftruncate(entry.record, (off_t)sizes[i]) == 0);
        count(&state, counts);
        CHECK(counts[1] == 1 && counts[2] == 1);
        CHECK(find(&state, entry.id, id, &err) == -ESRCH);
        cl_entry_remove(&state, &entry);
    }
}

/* Each byte of a record changed once: read or refused, never worse. */
TEST(changed_records_do_no_harm)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_error err = {0};
    struct stat st;

    CHECK(create(&state, "changed", &entry, &err) == 0 && fstat(entry.record, &st) == 0);
    for (off_t at = 0; at < st.st_size; at++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
        struct cl_status status;
        struct cl_plan plan = {0};
        unsigned char byte = 0;
        unsigned char changed;

        CHECK(pread(entry.record, &byte, 1, at) == 1);
        changed = (unsigned char)(byte ^ 0xff);
        CHECK(pwrite(entry.record, &changed, 1, at) == 1);
        int r = cl_entry_read(&entry, &arena, &status, &plan, &err);
        CHECK(r == 0 || (r < 0 && err.msg[0] != '\0'));
        CHECK(pwrite(entry.record, &byte, 1, at) == 1);
    }
    cl_entry_remove(&state, &entry);
}

TEST(a_signal_reaches_the_supervisor)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_control_request request = {0};
    struct cl_error err = {0};

    CHECK(create(&state, NULL, &entry, &err) == 0);
    CHECK(cl_control_signal(&entry, SIGTERM, &err) == -EAGAIN);
    CL_CLEANUP_FD int listener = cl_control_listen(&entry, &err);
    CHECK(listener >= 0);
    CHECK(cl_control_accept(listener, &request) == -EAGAIN);
    for (int answer = 0; answer >= -EINVAL; answer -= EINVAL) {
        pid_t child = fork();

        if (child == 0)
            _exit(-cl_control_signal(&entry, SIGUSR1, &err));
        int client = -EAGAIN;
        while (client == -EAGAIN)
            client = cl_control_accept(listener, &request);
        CHECK(client >= 0 && request.command == CL_CONTROL_SIGNAL && request.signal == SIGUSR1);
        cl_control_answer(client, answer);
        cl_fd_close(&client);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == -answer);
    }
    cl_fd_close(&listener);
    CHECK(cl_control_signal(&entry, SIGTERM, &err) == -ESRCH);
    CHECK_HAS(err.msg, "has ended");
    cl_entry_remove(&state, &entry);
}

/* Says nothing for as long as it pleases. */
TEST(a_silent_client_does_not_hold_the_supervisor)
{
    CL_CLEANUP_STATE struct cl_state state = open_base();
    struct cl_entry entry = CL_ENTRY_INIT;
    struct cl_control_request request = {0};
    struct cl_error err = {0};

    CHECK(create(&state, NULL, &entry, &err) == 0);
    CL_CLEANUP_FD int listener = cl_control_listen(&entry, &err);
    pid_t child = fork();
    if (child == 0) {
        (void)cl_control_signal(&entry, SIGUSR1, &err);
        _exit(0);
    }
    (void)usleep(20000);
    (void)kill(child, SIGSTOP); /* it has sent: this one is answered */
    CHECK(cl_control_accept(listener, &request) >= 0);
    (void)kill(child, SIGKILL);
    CHECK(waitpid(child, NULL, 0) == child);
    cl_entry_remove(&state, &entry);
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
    (void)snprintf(path, sizeof(path), "%s/cloister/sandboxes", runtime);
    CHECK(rmdir(path) == 0);
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
        ROW(a_name_belongs_to_one),
        ROW(the_dead_are_swept_and_the_living_stay),
        ROW(a_dead_ones_name_is_free),
        ROW(sweeping_follows_nothing),
        ROW(a_half_made_sandbox_is_not_swept),
        ROW(damaged_records_are_not_read),
        ROW(changed_records_do_no_harm),
        ROW(a_signal_reaches_the_supervisor),
        ROW(a_silent_client_does_not_hold_the_supervisor),
        ROW(the_directory_must_be_ours_and_closed),
    };

    if (mkdtemp(base) == NULL)
        return 99;
    int failed = check_run(tests, CL_ARRAY_SIZE(tests));
    struct cl_state state = open_base();
    (void)unlinkat(state.dir, "swept", 0);
    (void)unlinkat(state.dir, "sandboxes", AT_REMOVEDIR);
    cl_state_done(&state);
    (void)rmdir(base);
    return failed;
}
