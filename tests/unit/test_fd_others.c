/* test_fd_others.c - which descriptors a process keeps when it closes all others, and how many it
 * may have. */
#include <sys/resource.h>

#include "base/fd.h"
#include "check.h"

/* In a child, whose own descriptors they are. 0 when those stay that are held, in any order. */
static int close_some(void)
{
    const int held[] = {27, -1, 22, 1, 21};
    int is_right = 1;

    for (int fd = 20; fd < 30; fd++)
        is_right &= dup2(0, fd) == fd;
    is_right &= cl_fd_close_others(held, CL_ARRAY_SIZE(held)) == 0;
    for (int fd = 0; fd < 40; fd++) {
        const int stays = fd < 3 || fd == 21 || fd == 22 || fd == 27;

        is_right &= (fcntl(fd, F_GETFD) >= 0) == stays;
    }
    return !is_right;
}

static int close_all(void)
{
    return !(dup2(0, 3) == 3 && cl_fd_close_others(NULL, 0) == 0 && fcntl(3, F_GETFD) < 0 &&
             fcntl(0, F_GETFD) >= 0);
}

static int in_child(int (*body)(void))
{
    int status = -1;

    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(body());
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

TEST(what_is_held_stays)
{
    CHECK(in_child(close_some) == 0);
}

TEST(nothing_held_is_all_closed)
{
    CHECK(in_child(close_all) == 0);
}

/* Its own limit is given back. */
TEST(as_many_as_may_be)
{
    struct rlimit before = {0};
    struct rlimit after = {0};

    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, before.rlim_max}) == 0);
    cl_fd_raise_limit();
    CHECK(getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_max && after.rlim_max == before.rlim_max);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_held_stays),
        ROW(nothing_held_is_all_closed),
        ROW(as_many_as_may_be),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
