/* test_fault.c - the shims that tests of failures stand on. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

static int look(void)
{
    struct stat st;

    return cl_sys_fstatat(AT_FDCWD, "/", &st, 0);
}

static int looks(int first, int second)
{
    return look() == first && look() == second;
}

TEST(one_call_fails_with_the_number_that_was_asked)
{
    cl_fault_set("syscall:2:28");
    CHECK(looks(0, -ENOSPC) && cl_fault_struck() && look() == 0);
    cl_fault_set("syscall:1");
    CHECK(looks(-EIO, 0));
    cl_fault_set(NULL);
    CHECK(look() == 0 && !cl_fault_struck());
}

TEST(one_allocation_fails)
{
    cl_fault_set("alloc:2");
    CL_CLEANUP_FREE void *first = cl_calloc(1, 1);
    CL_CLEANUP_FREE void *second = cl_calloc(1, 1);
    CL_CLEANUP_FREE void *third = cl_calloc(1, 1);
    CHECK(first != NULL && second == NULL && third != NULL);
    cl_fault_set(NULL);
}

TEST(a_call_that_the_host_lacks_is_lacking_each_time)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "lacks:%d=%d", SYS_newfstatat, EPERM);
    cl_fault_set(text);
    CHECK(looks(-EPERM, -EPERM) && cl_sys_umask(022) != (mode_t)-1);
    (void)snprintf(text, sizeof(text), "lacks:%d#2", SYS_newfstatat);
    cl_fault_set(text);
    CHECK(looks(0, -ENOSYS) && look() == 0);
    (void)snprintf(text, sizeof(text), "answers:%d=7", SYS_newfstatat);
    cl_fault_set(text);
    CHECK(look() == 7);
    cl_fault_set(NULL);
}

/* How a child ends that is told TEXT and makes two calls. */
static int end_of_child(const char *text, int in_child)
{
    int status = -1;
    pid_t pid;

    if (!in_child)
        cl_fault_set(text);
    pid = fork();
    if (pid == 0) {
        if (in_child)
            cl_fault_set(text);
        _exit(looks(0, 0) ? 4 : 3);
    }
    cl_fault_set(NULL);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

TEST(sides_are_told_apart)
{
    CHECK(WEXITSTATUS(end_of_child("self:syscall:2", 0)) == 4);
    CHECK(WEXITSTATUS(end_of_child("children:syscall:2", 0)) == 3);
    CHECK(WEXITSTATUS(end_of_child("syscall:2", 0)) == 3);
    CHECK(WEXITSTATUS(end_of_child("self:syscall:2", 1)) == 3);
}

TEST(who_dies_is_killed_before_the_call)
{
    int status = end_of_child("dies:2", 1);

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = end_of_child("dies:3", 1);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
    status = end_of_child("children:dies:1", 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    status = end_of_child("self:dies:1", 0); /* ours, which makes none there */
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(one_call_fails_with_the_number_that_was_asked),
        ROW(one_allocation_fails),
        ROW(a_call_that_the_host_lacks_is_lacking_each_time),
        ROW(sides_are_told_apart),
        ROW(who_dies_is_killed_before_the_call),
    };

    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
