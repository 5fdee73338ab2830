/* test_errands.c - the child that copies for a run: its messages and its ends, without a sandbox.
 * What it copies: tests/integration/test_copies.py. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/control.h"
#include "sandbox/errands.h"
#include "check.h"

static const struct cl_errand one = {"/etc/hostname", "/tmp"};
static const struct cl_errand_plan both = {.in = {&one, 1}, .out = {&one, 1}};

static const struct cl_entry entry = {
    .dir = AT_FDCWD, .table = -1, .seat = -1, .id = "0123456789abcdef"};

static int count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int hear(struct cl_errands *errands, struct cl_error *err)
{
    struct pollfd polled = {.fd = errands->channel, .events = POLLIN};

    CHECK(poll(&polled, 1, 10000) == 1);
    return cl_errands_hear(errands, err);
}

TEST(nothing_to_copy_is_no_process)
{
    const struct cl_errand_plan empty = {0};
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};

    CHECK(cl_errands_make(NULL, &entry, &errands, &err) == 0 && errands.pid == 0);
    CHECK(cl_errands_make(&empty, &entry, &errands, &err) == 0 && errands.pid == 0);
    cl_errands_done(&errands);
}

TEST(what_fails_is_told_with_its_way)
{
    const int before = count_fds();
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};

    CHECK(cl_errands_make(&both, &entry, &errands, &err) == 0);
    CHECK(errands.pid > 0 && errands.has_in && errands.has_out);
    CHECK(cl_errands_hear(&errands, &err) == -EAGAIN);
    CHECK(cl_errands_send(&errands, CL_COPY_IN, &err) == 0);
    CHECK(hear(&errands, &err) == -ESRCH);
    CHECK_HAS(err.msg, "copy-in: ");
    CHECK(cl_errands_send(&errands, CL_COPY_OUT, &err) == 0);
    CHECK(hear(&errands, &err) == -ESRCH);
    const pid_t pid = errands.pid;
    cl_errands_done(&errands);
    CHECK(errands.pid == 0 && errands.channel == -1 && kill(pid, 0) < 0);
    CHECK(count_fds() == before);
}

TEST(a_killed_child_is_told)
{
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};

    CHECK(cl_errands_make(&both, &entry, &errands, &err) == 0);
    CHECK(kill(errands.pid, SIGKILL) == 0);
    CHECK(hear(&errands, &err) == -ECHILD);
    CHECK_TEXT(err.msg, "copy-in: the process that copies files was ended");
    CHECK(cl_errands_send(&errands, CL_COPY_OUT, &err) == 0); /* who is gone is heard */
    CHECK(hear(&errands, &err) == -ECHILD);
    CHECK_TEXT(err.msg, "copy-out: the process that copies files was ended");
    cl_errands_done(&errands);
}

/* It ends with who made it, whatever ends that. */
TEST(it_ends_with_its_supervisor)
{
    int ends[2];
    pid_t child = -1;

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    (void)fflush(stdout);
    pid_t maker = fork();
    if (maker == 0) {
        struct cl_errands errands = CL_ERRANDS_INIT;
        struct cl_error err = {0};

        if (cl_errands_make(&both, &entry, &errands, &err) < 0 ||
            write(ends[1], &errands.pid, sizeof(errands.pid)) != (ssize_t)sizeof(errands.pid))
            _exit(1);
        (void)pause();
        _exit(0);
    }
    CHECK(read(ends[0], &child, sizeof(child)) == (ssize_t)sizeof(child) && child > 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    struct pollfd gone = {.fd = cl_sys_pidfd_open(child), .events = POLLIN};
    CHECK(gone.fd >= 0 && poll(&gone, 1, 0) == 0);
    CHECK(kill(maker, SIGKILL) == 0 && waitpid(maker, NULL, 0) == maker);
    CHECK(poll(&gone, 1, 10000) == 1);
    (void)close(gone.fd);
}

/* --- with a supervisor to ring for ------------------------------------------------------- */

/* As root's state directory is the host's, root is nobody as long as it takes. */
struct scene {
    char base[64];
    uid_t uid;
    struct cl_state state;
    struct cl_entry entry;
    struct cl_plan plan;
    struct cl_arena arena;
    int bell;
};

static void set_up(struct scene *ret)
{
    enum { NOBODY = 65534 };
    struct cl_status status = {.created_ns = cl_clock_wall_ns(), .supervisor = getpid()};
    struct cl_error err = {0};

    *ret = (struct scene){.base = "/tmp/cloister-test-errands-XXXXXX",
                          .uid = geteuid(),
                          .entry = CL_ENTRY_INIT,
                          .arena = CL_ARENA_INIT(1 << 20)};
    CHECK(mkdtemp(ret->base) != NULL);
    if (ret->uid == 0)
        CHECK(chown(ret->base, NOBODY, NOBODY) == 0 && seteuid(NOBODY) == 0);
    CHECK(setenv("XDG_RUNTIME_DIR", ret->base, 1) == 0);
    CHECK(cl_state_open(&ret->state, &err) == 0);
    CHECK(cl_plan_set_text(&ret->plan, CL_FIELD_IMAGE, "host", &ret->arena, &err) == 0);
    CHECK(cl_plan_set_text(&ret->plan, CL_FIELD_WORKDIR, "/", &ret->arena, &err) == 0);
    CHECK(cl_id_make(status.id, &err) == 0);
    CHECK(cl_state_create(&ret->state, &status, &ret->plan, &ret->entry, &err) == 0);
    ret->bell = cl_control_listen(&ret->entry, &err);
    CHECK(ret->bell >= 0);
    CHECK_TEXT(err.msg, "");
}

/* What clients have in bells/. */
static int count_clients(const struct scene *scene)
{
    CL_CLEANUP_FD int bells = openat(scene->state.dir, "bells", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cl_dir entries;
    const char *name;
    int count = 0;

    cl_dir_start(&entries, bells);
    while (cl_dir_next(&entries, &name, NULL) > 0)
        count += strchr(name, '-') != NULL;
    return count;
}

/* The request that comes is of who holds a FIFO and a socket, and waits. */
static void wait_for_ring(const struct scene *scene)
{
    struct pollfd wait = {.fd = scene->bell, .events = POLLIN};

    CHECK(poll(&wait, 1, 10000) == 1);
    CHECK(count_clients(scene) == 2);
}

static void tear_down(struct scene *scene)
{
    char inside[80];

    (void)close(scene->bell);
    cl_entry_remove(&scene->state, &scene->entry);
    (void)unlinkat(scene->state.dir, "bells/0", 0);
    (void)unlinkat(scene->state.dir, "bells", AT_REMOVEDIR);
    (void)unlinkat(scene->state.dir, "table", 0);
    cl_state_done(&scene->state);
    cl_arena_done(&scene->arena);
    (void)snprintf(inside, sizeof(inside), "%s/cloister", scene->base);
    CHECK(rmdir(inside) == 0);
    CHECK(seteuid(scene->uid) == 0 && rmdir(scene->base) == 0);
    CHECK(unsetenv("XDG_RUNTIME_DIR") == 0);
}

TEST(who_is_ended_while_it_rings_leaves_nothing)
{
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};
    struct scene scene;

    set_up(&scene);
    CHECK(cl_errands_make(&both, &scene.entry, &errands, &err) == 0);
    CHECK(cl_errands_send(&errands, CL_COPY_IN, &err) == 0);
    wait_for_ring(&scene);
    cl_errands_done(&errands);
    CHECK(count_clients(&scene) == 0);
    tear_down(&scene);
}

/* The child that has copies made, and, behind it, its own child that makes them. */
TEST(who_is_killed_while_it_rings_leaves_nothing)
{
    struct cl_errands errands = CL_ERRANDS_INIT;
    struct cl_error err = {0};
    struct scene scene;

    set_up(&scene);
    CHECK(cl_errands_make(&both, &scene.entry, &errands, &err) == 0);
    CHECK(cl_errands_send(&errands, CL_COPY_OUT, &err) == 0);
    wait_for_ring(&scene);
    CHECK(kill(errands.pid, SIGKILL) == 0);
    CHECK(hear(&errands, &err) == -ECHILD);
    cl_errands_done(&errands);
    CHECK(count_clients(&scene) == 0);
    tear_down(&scene);
}

TEST(a_copy_that_is_ended_while_it_rings_leaves_nothing)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_copy_apart apart = CL_COPY_APART_INIT;
    struct cl_found found = CL_FOUND_INIT;
    struct cl_error err = {0};
    struct scene scene;

    set_up(&scene);
    CHECK(cl_state_find(&scene.state, scene.entry.id, &arena, &found, &err) == 0);
    const struct cl_copy_job job = {
        .found = &found, .source = "/etc/hostname", .target = "/tmp", .most_bytes = 1};
    CHECK(cl_copy_apart_start(&job, CL_COPY_IN, &apart, &err) == 0);
    wait_for_ring(&scene);
    cl_copy_apart_done(&apart);
    CHECK(count_clients(&scene) == 0);
    cl_found_done(&found);
    tear_down(&scene);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(nothing_to_copy_is_no_process),
        ROW(what_fails_is_told_with_its_way),
        ROW(a_killed_child_is_told),
        ROW(it_ends_with_its_supervisor),
        ROW(who_is_ended_while_it_rings_leaves_nothing),
        ROW(who_is_killed_while_it_rings_leaves_nothing),
        ROW(a_copy_that_is_ended_while_it_rings_leaves_nothing),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
