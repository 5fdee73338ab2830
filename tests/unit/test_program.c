/* test_program.c - from a command's first word to a program that can be executed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"
#include "check.h"

static char place[] = "/tmp/cloister-test-program-XXXXXX";

static void make(const char *path, mode_t mode)
{
    char full[256];

    (void)snprintf(full, sizeof(full), "%s/%s", place, path);
    CL_CLEANUP_FD int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    CHECK(fd >= 0 && fchmod(fd, mode) == 0);
}

static void make_dir(const char *path)
{
    char full[256];

    (void)snprintf(full, sizeof(full), "%s/%s", place, path);
    CHECK(mkdir(full, 0755) == 0);
}

static void set_up(void)
{
    CHECK(mkdtemp(place) != NULL);
    make_dir("a");
    make_dir("b");
    make_dir("a/directory");
    make("a/closed", 0644);
    make("a/both", 0644);
    make("b/both", 0755);
    make("b/open", 0755);
    make("a/file", 0644);
}

/* PATH is the two directories, something that is no directory in front, and empty entries. */
static int check_name(const char *name)
{
    char path[600];
    const char *items[] = {"HOME=/", path};
    const struct cl_strlist env = {items, 2};

    (void)snprintf(path, sizeof(path), "PATH=::%s/none:%s/a/file:%s/a::%s/b:", place, place, place,
                   place);
    return cl_program_check(name, &env);
}

TEST(the_first_that_can_be_executed_is_found)
{
    CHECK(check_name("open") == 0);
    CHECK(check_name("both") == 0); /* the first of that name is not executable */
}

TEST(what_is_not_executable_is_told_from_what_is_not_there)
{
    CHECK(check_name("closed") == -EACCES);
    CHECK(check_name("directory") == -EACCES);
    CHECK(check_name("missing") == -ENOENT);
    CHECK(check_name("") == -ENOENT);
}

TEST(a_name_with_a_slash_is_a_path)
{
    char name[256];

    (void)snprintf(name, sizeof(name), "%s/b/open", place);
    CHECK(check_name(name) == 0);
    (void)snprintf(name, sizeof(name), "%s/a/closed", place);
    CHECK(check_name(name) == -EACCES);
    (void)snprintf(name, sizeof(name), "%s/a/file/x", place);
    CHECK(check_name(name) == -ENOTDIR);
}

TEST(without_path_there_is_nothing)
{
    const char *items[] = {"PATHS=/bin", "HOME=/bin"};
    const struct cl_strlist env = {items, 2};

    CHECK(cl_program_check("sh", &env) == -ENOENT);
    CHECK(cl_program_check("/bin/sh", &env) == 0);
}

/* A disk that can't be read is no program that isn't there. */
TEST(what_cant_be_looked_at_is_an_error)
{
    cl_fault_set("syscall:4:5");
    CHECK(check_name("open") == -EIO && cl_fault_struck());
    cl_fault_set(NULL);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_first_that_can_be_executed_is_found),
        ROW(what_is_not_executable_is_told_from_what_is_not_there),
        ROW(a_name_with_a_slash_is_a_path),
        ROW(without_path_there_is_nothing),
        ROW(what_cant_be_looked_at_is_an_error),
    };

    set_up();
    int failed = check_run(tests, sizeof(tests) / sizeof(tests[0]));
    char line[300];
    (void)snprintf(line, sizeof(line), "rm -r %s", place);
    return system(line) != 0 || failed; // NOLINT(cert-env33-c): of a test's own directory
}
