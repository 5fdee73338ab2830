/* test_jail_tree_files.c - more of test_jail_tree.c, by the same scene. */
#include "jail_tree_scene.h"

TEST(it_ends_with_who_started_it)
{
    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        if (!can_be(who))
            continue;
        CL_CLEANUP_SCENE struct scene scene;
        int ends[2];
        char word = '\0';

        scene_init(&scene, who);
        CHECK(cl_sys_pipe2(ends, 0) == 0);
        pid_t pid = start_starter(&scene, ends[1]);
        cl_fd_close(&ends[1]);
        CHECK(read(ends[0], &word, 1) == 1 && word == 'x');
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        struct pollfd closed = {.fd = ends[0], .events = POLLIN};
        CHECK(poll(&closed, 1, 10000) == 1 && read(ends[0], &word, 1) == 0);
        cl_fd_close(&ends[0]);
    }
}

/* Whatever fails of the jail, no byte is read: it is entered, or told. */
TEST(half_a_jail_is_none)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    NEED_NAMESPACES();
    for (enum who who = ROOT; who <= USER; who++) {
        if (!can_be(who))
            continue;
        CL_CLEANUP_SCENE struct scene scene;
        int r = -1;

        scene_init(&scene, who);
        for (int nth = 1; r != 0 && nth < 200; nth++) {
            char fault[32];

            (void)snprintf(fault, sizeof(fault), "self:syscall:%d", nth);
            scene.fault = fault;
            r = run(&scene, UNFILTERED, "deed", FLAGS);
            CHECK(r == 0 || r == NO_JAIL || r < 0);
            if (r > 0 && r != NO_JAIL)
                printf("# call %d of %s: %d\n", nth, people[who], r);
        }
        CHECK(r == 0);
    }
#endif
}

/* What it says of that reaches who started it as a line of its own (image/unpacker.h). */
TEST(a_host_without_user_namespaces_is_told)
{
#ifndef CL_FAULTS
    SKIP_TEST("needs a build with faults");
#else
    CL_CLEANUP_SCENE struct scene scene;
    char fault[32];

    scene_init(&scene, can_be(ROOT) ? ROOT : USER);
    (void)snprintf(fault, sizeof(fault), "self:lacks:%d=%d", SYS_unshare, EPERM);
    scene.fault = fault;
    CHECK(run(&scene, UNFILTERED, "deed", FLAGS) == -EPIPE); /* it ends before it is ready */
    CHECK_HAS(scene.err.msg, "cloister-image's user namespace");
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
#endif
}

/* One that never says that it is ready, or something else, is ended. */
TEST(a_starter_that_is_gone_ends_it)
{
    struct cl_jail jail = {.keep_fds = 64, .root = CL_JAIL_TREE};
    int ends[2];
    int status = -1;

    NEED_NAMESPACES();
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, ends) == 0);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct cl_error err = {0};

        cl_fd_close(&ends[0]);
        jail.channel = ends[1];
        int r = cl_jail_enter_unfiltered(&jail, &err);
        _exit(r == -EPIPE && strstr(err.msg, "maps") != NULL ? 0 : 1);
    }
    cl_fd_close(&ends[1]);
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1);
    cl_fd_close(&ends[0]);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char *argv[])
{
    static const struct check_test tests[] = {
        ROW(it_ends_with_who_started_it),
        ROW(half_a_jail_is_none),
        ROW(a_host_without_user_namespaces_is_told),
        ROW(a_starter_that_is_gone_ends_it),
    };

    if (argc >= 5 && strcmp(argv[1], "act") == 0)
        act(argv);
    return check_run(tests, CL_ARRAY_SIZE(tests));
}
