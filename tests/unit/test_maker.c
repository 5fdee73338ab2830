/* test_maker.c - the maker's side of the wall: each of its steps fails, says so, and is
 * undone; and what a running wall answers. */
#include <sched.h>
#include <signal.h>

#include "walls/container/container.h"
#include "wall_scene.h"

/* --- check ------------------------------------------------------------------------- */

static void check_refused(int errnum, const char *message)
{
    CHECK(cl_wall_container.check(&wall.plan, &wall.err) == -errnum);
    check_error(&wall.err, errnum, message);
}

TEST(what_the_wall_can_not_do_is_refused_first)
{
    static struct cl_plan_file files[257];

    wall_set_up("");
    wall.plan.without |= CL_LAYER_BIT(CL_LAYER_SELINUX);
    CHECK(cl_wall_container.check(&wall.plan, &wall.err) == 0);
    wall.plan.uid = wall.plan.gid = 65535;
    CHECK(cl_wall_container.check(&wall.plan, &wall.err) == 0);
    wall.plan.gid = 65536;
    check_refused(EINVAL, "user: 65536 is no id of a sandbox, where they end at 65535");
    wall.plan.gid = 0;
    wall.plan.uid = 70000;
    check_refused(EINVAL, "user: 70000 is no id of a sandbox, where they end at 65535");
    wall.plan.uid = 0;
    wall.plan.network = CL_NETWORK_OUTBOUND;
    CHECK(cl_wall_container.check(&wall.plan, &wall.err) == 0);
    wall.plan.network = CL_NETWORK_NONE;
    wall.plan.files = (struct cl_files){files, 256};
    CHECK(cl_wall_container.check(&wall.plan, &wall.err) == 0);
    wall.plan.files.count++;
    check_refused(E2BIG, "more than 256 volumes");
    wall.plan.files.count = 1;
    files[0] = (struct cl_plan_file){
        .kind = CL_FILE_TMPFS, .target = "/t", .size_bytes = wall.plan.limits.disk_bytes};
    check_refused(EINVAL, "the sizes of --tmpfs and --shm-size use up all scratch (--disk)");
}

TEST(an_image_has_layers_with_names_of_theirs)
{
    static const char *layers[] = {"12", "../../etc"};

    wall_set_up("");
    wall.plan.image_kind = CL_IMAGE_STORE;
    wall.plan.image = "debian:12";
    check_refused(EINVAL, "the image debian:12 has no layers");
    wall.plan.image_layers = (struct cl_strlist){layers, 2};
    check_refused(EINVAL, "\"../../etc\" is no layer of the image debian:12");
    wall.plan.image_layers.count = 1;
    CHECK(cl_wall_container.check(&wall.plan, &wall.err) == 0);
}

TEST(the_walls_that_are_built_are_found)
{
    CHECK(cl_wall_get(CL_WALL_CONTAINER) == &cl_wall_container);
    CHECK_TEXT(cl_wall_container.name, "container");
    CHECK(cl_wall_get(CL_WALL_VM) == NULL && cl_wall_get(CL_WALL_KERNEL) == NULL);
    CHECK(cl_wall_get(CL_WALL_COUNT) == NULL);
}

/* --- start ------------------------------------------------------------------------- */

static void check_start_fails(const char *fault, int errnum, const char *message)
{
    const struct cl_wall_process untouched = {.pidfd = -2, .pid = -2};
    const int before = count_holdings();

    wall.process = untouched;
    CHECK(wall_start(fault) == -errnum);
    check_error(&wall.err, errnum, message);
    CHECK(wall.process.pidfd == -2 && wall.process.pid == -2 && wall.process.report == NULL);
    CHECK(count_holdings() == before && !has_child());
}

/* More than there is room for without an allocation. */
static void use_many_words(void)
{
    static const char *env[CL_WORDS_USUAL];

    for (size_t i = 0; i < CL_ARRAY_SIZE(env); i++)
        env[i] = "A=b";
    env[0] = "PATH=/usr/bin:/bin";
    wall.plan.env = (struct cl_strlist){env, CL_ARRAY_SIZE(env)};
}

TEST(a_step_that_fails_is_named_and_those_before_it_are_undone)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault rows[] = {
        {SYS_socketpair, 0, EMFILE, "make the channel: socketpair: Too many open files"},
        {SYS_clone3, 0, EINVAL, "make the namespaces: clone into new namespaces: Invalid argument"},
        {SYS_clone3, 0, ENOSPC,
         "make the namespaces: clone into new namespaces: No space left on device; a limit in "
         "/proc/sys/user (max_user_namespaces and its like) is reached"},
        {SYS_sendmsg, 0, ENOBUFS,
         "let init go: send to the sandbox's init: No buffer space available"},
    };

    wall_set_up("");
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        check_start_fails(fault_text("self", &rows[i]), rows[i].errnum, rows[i].message);
    use_many_words();
    check_start_fails("self:alloc:1", ENOMEM, "lay out the command: out of memory");
}

/* An ordinary command and its environment need no memory but the stack's. */
TEST(few_words_are_not_allocated)
{
    wall_set_up("exit 3");
    wall_run("self:alloc:1");
    CHECK(wall_exit_status() == 3);
    use_many_words();
    wall_run(NULL);
    CHECK(wall_exit_status() == 3);
}

TEST(a_start_has_no_call_whose_failure_leaves_anything)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    const int before = count_holdings();
    int failures = 0;

    wall_set_up("");
    for (int n = 1, struck = 1; struck; n++) {
        char fault[32];

        (void)snprintf(fault, sizeof(fault), "self:syscall:%d", n);
        cl_fault_set(fault);
        int r = cl_wall_container.start(&wall.start, &wall.process, &wall.err);
        struck = cl_fault_struck();
        cl_fault_set(NULL);
        if (r == 0)
            cl_wall_container.done(&wall.process);
        else
            CHECK(wall.err.code == -r && strchr(wall.err.msg, ':') != NULL);
        failures += r < 0;
        CHECK(count_holdings() == before && !has_child());
        CHECK(n < 1000);
    }
    CHECK(failures > 3);
}

TEST(refused_namespaces_have_a_hint)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    static const struct wall_fault fault = {SYS_clone3, 0, EPERM, ""};

    wall_set_up("");
    CHECK(wall_start(fault_text("self", &fault)) == -EPERM);
    CHECK_HAS(wall.err.msg, "clone into new namespaces: Operation not permitted; this host");
    CHECK_HAS(wall.err.msg, "`cloister doctor`");
}

/* What init could not do ends the start too, and its words are those that count. */
TEST(init_that_fails_first_is_heard)
{
    const int before = count_holdings();

    wall_set_up("");
    wall.plan.image_kind = CL_IMAGE_ROOTFS;
    wall.plan.image_path = "/nowhere/at/all";
    wall_run(NULL);
    CHECK(wall.report.stage == CL_REPORT_FAILED);
    check_error(&wall.report.error, ENOENT,
                "image and volumes: open the image /nowhere/at/all: No such file or directory");
    CHECK(count_holdings() == before && !has_child());
}

/* --- start in root mode: by somebody who is no more than called root ---------------- */

/* Other uids don't exist there: what comes before them is undone all the same. */
static void fail_to_take_a_uid(void)
{
    const struct wall_fault fault = {SYS_socketpair, 0, EMFILE, ""};
    struct cl_plan_file files[] = {
        {.kind = CL_FILE_BIND, .mode = CL_FILE_COPY, .source = "/usr", .target = "/a"},
        {.kind = CL_FILE_BIND, .mode = CL_FILE_COPY, .source = "/nowhere", .target = "/b"},
    };

    wall_set_up("");
    wall.start.uid_base = 0x70000000;
    wall.plan.image_kind = CL_IMAGE_ROOTFS;
    wall.plan.image_path = "/usr";
    check_start_fails(NULL, EINVAL,
                      "make the namespaces: take the sandbox's uid 1879113727: Invalid argument");
    CHECK(geteuid() == 0);
    check_start_fails(fault_text("self", &fault), EMFILE,
                      "make the channel: socketpair: Too many open files");
    wall.plan.files = (struct cl_files){files + 1, 1};
    check_start_fails(NULL, ENOENT,
                      "open the image and volumes: open the volume /nowhere: No such file or "
                      "directory");
}

TEST(root_mode_gives_back_what_it_opened)
{
    int status = -1;
    const uid_t uid = geteuid();

    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char map[32];

        (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
        CHECK(cl_sys_unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
        CHECK(cl_write_file(AT_FDCWD, "/proc/self/uid_map", map) == 0);
        fail_to_take_a_uid();
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* As the sandbox's own uid it makes the namespaces, and as root it goes on. */
TEST(root_is_root_again_afterwards)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#endif
    const struct wall_fault fault = {SYS_clone3, 0, EINVAL, ""};

    if (geteuid() != 0)
        SKIP_TEST("needs root, to be somebody else meanwhile");
    wall_set_up("");
    wall.start.uid_base = 0x70000000;
    check_start_fails(fault_text("self", &fault), EINVAL,
                      "make the namespaces: clone into new namespaces: Invalid argument");
    CHECK(geteuid() == 0);
}

/* --- a running wall ------------------------------------------------------------------ */

TEST(what_stands_is_taken_down_at_any_time)
{
    const int before = count_holdings();

    wall_set_up("sleep 1000");
    CHECK(wall_start(NULL) == 0);
    CHECK(wall.process.pid > 0 && wall.process.report->stage <= CL_REPORT_BORN);
    CHECK(fcntl(wall.process.pidfd, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(wall.process.channel, F_GETFD) == FD_CLOEXEC);
    CHECK(count_holdings() == before + 3);
    const pid_t pid = wall.process.pid;
    cl_wall_container.done(&wall.process);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
    CHECK(count_holdings() == before && !has_child());
    CHECK(wall.process.report == NULL && wall.process.pid == 0);
    cl_wall_container.done(&wall.process); /* of nothing, nothing */
}

TEST(scratch_comes_over_the_channel)
{
    struct statfs fs;
    const int before = count_holdings();

    wall_set_up("exit 3");
    CHECK(wall_start(NULL) == 0);
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    wall_await_end();
    CHECK(wall_exit_status() == 3);
    CHECK(wall.process.scratch == -1);
    CHECK(cl_wall_container.receive(&wall.process, &wall.err) == 0);
    CHECK(wall.process.scratch >= 0 && wall.process.terminal == -1);
    CHECK(fstatfs(wall.process.scratch, &fs) == 0);
    CHECK((uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize == wall.plan.limits.disk_bytes);
    cl_wall_container.done(&wall.process);
    CHECK(count_holdings() == before);
}

TEST(messages_that_can_not_be_sent_are_told)
{
    int ends[2];

    wall_set_up("");
    wall.process = (struct cl_wall_process){
        .pidfd = -1, .channel = -1, .userns = -1, .scratch = -1, .terminal = -1};
    CHECK(cl_wall_container.signal(&wall.process, SIGTERM, &wall.err) == -EBADF);
    check_error(&wall.err, EBADF, "send signal 15 to the sandbox: Bad file descriptor");
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == -EBADF);
    check_error(&wall.err, EBADF, "release the sandbox: Bad file descriptor");
    CHECK(cl_wall_container.receive(&wall.process, &wall.err) == -EBADF);
    check_error(&wall.err, EBADF, "receive from the sandbox's init: Bad file descriptor");
    /* An init that is gone has said why in the report. */
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, ends) == 0);
    wall.process.channel = ends[0];
    cl_fd_close(&ends[1]);
    CHECK(cl_wall_container.release(&wall.process, NULL, &wall.err) == 0);
    CHECK(cl_wall_container.receive(&wall.process, &wall.err) == 0);
    CHECK(cl_wall_container.signal(&wall.process, SIGTERM, &wall.err) == -EPIPE);
    cl_fd_close(&wall.process.channel);
}

/* The supervisor's own: in a child, since it is for good. */
static void shrink_and_look(void)
{
    char text[4096];
    CL_CLEANUP_FD int fd = -1;

    CHECK(cl_wall_container.shrink(&wall.plan, &wall.err) == 0);
    fd = cl_sys_openat(AT_FDCWD, "/proc/self/status", O_RDONLY, 0);
    ssize_t size = cl_sys_read(fd, text, sizeof(text) - 1);
    text[size < 0 ? 0 : size] = '\0';
    CHECK_HAS(text, "NoNewPrivs:\t1\n");
    CHECK_HAS(text, "CapInh:\t0000000000000000\n");
    if (geteuid() == 0)
        CHECK_HAS(text, "CapEff:\t0000000000000022\n"); /* KILL, DAC_OVERRIDE */
    else
        CHECK_HAS(text, "CapEff:\t0000000000000000\n");
}

TEST(a_supervisor_gives_up_what_it_needs_no_more)
{
    int status = -1;

    wall_set_up("");
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        shrink_and_look();
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_the_wall_can_not_do_is_refused_first),
        ROW(an_image_has_layers_with_names_of_theirs),
        ROW(the_walls_that_are_built_are_found),
        ROW(a_step_that_fails_is_named_and_those_before_it_are_undone),
        ROW(few_words_are_not_allocated),
        ROW(a_start_has_no_call_whose_failure_leaves_anything),
        ROW(refused_namespaces_have_a_hint),
        ROW(init_that_fails_first_is_heard),
        ROW(root_mode_gives_back_what_it_opened),
        ROW(root_is_root_again_afterwards),
        ROW(what_stands_is_taken_down_at_any_time),
        ROW(scratch_comes_over_the_channel),
        ROW(messages_that_can_not_be_sent_are_told),
        ROW(a_supervisor_gives_up_what_it_needs_no_more),
    };

    return run_wall_tests(tests, CL_ARRAY_SIZE(tests));
}
