/* test_children.c - who is whose first child. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/children.h"
#include "check.h"

TEST(the_first_child_is_found)
{
    pid_t pids[2];

    CHECK(cl_first_child(getpid()) == 0);
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            (void)pause();
            _exit(0);
        }
    }
    CHECK(cl_first_child(getpid()) == pids[0]);
    CHECK(cl_first_child(pids[0]) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(kill(pids[i], SIGKILL) == 0);
        CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
    }
    CHECK(cl_first_child(pids[0]) == 0); /* nobody */
    CHECK(cl_first_child(0) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_first_child_is_found),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
