/* test_remove.c - removing a tree that somebody is still at. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/defs.h"
#include "check.h"
#include "helpers/image/remove.h"

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* As an unpacker does whose parent was killed. */
CL_NORETURN static void fill(int dir, double until)
{
    char name[32];

    for (unsigned int i = 0; seconds() < until; i++) {
        (void)snprintf(name, sizeof(name), "tree/%u", i);
        int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        if (fd < 0)
            break; /* the tree is gone */
        (void)close(fd);
    }
    _exit(0);
}

static void remove_while_it_fills(int dir)
{
    enum { FILLERS = 3 };
    struct cl_tally tally = {0};
    struct cl_error err = {0};
    struct stat status;

    CHECK(mkdirat(dir, "tree", 0700) == 0);
    const double until = seconds() + 0.03;
    for (int i = 0; i < FILLERS; i++) {
        if (fork() == 0)
            fill(dir, until);
    }
    while (fstatat(dir, "tree/0", &status, 0) < 0 && seconds() < until) /* they have begun */
        ;
    CHECK(fstatat(dir, "tree", &status, 0) == 0);
    CHECK(cl_remove(dir, "tree", &status, &tally, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(fstatat(dir, "tree", &status, 0) < 0);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

TEST(what_is_filled_meanwhile_is_removed)
{
    enum { ROUNDS = 30 }; /* it takes luck to fill what has just been emptied */
    char place[] = "/tmp/cloister-remove-XXXXXX";

    CHECK(mkdtemp(place) != NULL);
    int dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir >= 0);
    for (int i = 0; i < ROUNDS; i++)
        remove_while_it_fills(dir);
    CHECK(close(dir) == 0 && rmdir(place) == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_is_filled_meanwhile_is_removed),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
