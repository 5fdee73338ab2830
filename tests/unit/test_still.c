/* test_still.c - whether what is below a process stands still. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "sandbox/still.h"
#include "check.h"

static void wait_for_ever(void)
{
    for (;;)
        (void)pause();
}

/* An init with a child, which has one too. */
static pid_t start_three(pid_t *ret_child, pid_t *ret_grandchild)
{
    int ends[2];
    pid_t pids[2] = {0};

    CHECK(cl_sys_pipe2(ends, 0) == 0);
    pid_t init = fork();
    if (init == 0) {
        pids[0] = fork();
        if (pids[0] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            pids[1] = fork();
            if (pids[1] == 0)
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            pids[0] = getpid();
            if (pids[1] != 0 && write(ends[1], pids, sizeof(pids)) != (ssize_t)sizeof(pids))
                _exit(1);
        }
        wait_for_ever();
    }
    CHECK(read(ends[0], pids, sizeof(pids)) == (ssize_t)sizeof(pids));
    (void)close(ends[0]);
    (void)close(ends[1]);
    *ret_child = pids[0];
    *ret_grandchild = pids[1];
    return init;
}

/* Stopped is a matter of a moment. */
static int look_until(pid_t init, int wanted)
{
    for (int i = 0; i < 10000; i++) {
        if (cl_still_look(init) == wanted)
            return 1;
        (void)cl_sys_poll(NULL, 0, 1);
    }
    return 0;
}

TEST(all_have_to_stand_still)
{
    pid_t child;
    pid_t grandchild;
    pid_t init = start_three(&child, &grandchild);

    CHECK(cl_still_look(init) == 0);
    CHECK(kill(child, SIGSTOP) == 0);
    CHECK(look_until(grandchild, 1)); /* whose children are none */
    CHECK(look_until(init, 0));
    CHECK(kill(grandchild, SIGSTOP) == 0);
    CHECK(look_until(init, 1)); /* init itself runs on */
    CHECK(kill(child, SIGCONT) == 0);
    CHECK(look_until(init, 0));
    CHECK(kill(grandchild, SIGKILL) == 0 && kill(child, SIGKILL) == 0);
    CHECK(look_until(init, 1)); /* a zombie runs no more */
    CHECK(kill(init, SIGKILL) == 0 && waitpid(init, NULL, 0) == init);
    CHECK(cl_still_look(init) == -ENOENT);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(all_have_to_stand_still),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
