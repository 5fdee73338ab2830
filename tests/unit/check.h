/* check.h - TAP (testanything.org) from a table of tests; each test is a function and
 * goes on after a failed CHECK, so that cleanup attributes run. */
#ifndef CL_TESTS_UNIT_CHECK_H
#define CL_TESTS_UNIT_CHECK_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct check_test {
    const char *name;
    void (*run)(void);
};

static int check_failures;
static const char *check_skipped; /* why, or NULL */

#define TEST(name) static void name(void)
#define ROW(name)                                                                                  \
    {                                                                                              \
#name, name                                                                                \
    }
/* Leaves the test, whose need this host can't meet. */
#define SKIP_TEST(why)                                                                             \
    do {                                                                                           \
        check_skipped = (why);                                                                     \
        return;                                                                                    \
    } while (0)
#define CHECK(condition) check_that((condition) != 0, __FILE__, __LINE__, #condition)
#define CHECK_TEXT(got, expected) check_text(got, expected, __FILE__, __LINE__)
/* What a message must have in it. */
#define CHECK_HAS(text, needle) check_has(text, needle, __FILE__, __LINE__)

static inline void check_that(int holds, const char *file, int line, const char *condition)
{
    if (holds)
        return;
    printf("# %s:%d: %s\n", file, line, condition);
    check_failures++;
}

static inline void check_text(const char *got, const char *expected, const char *file, int line)
{
    if (got != NULL && strcmp(got, expected) == 0)
        return;
    printf("# %s:%d: got \"%s\", expected \"%s\"\n", file, line, got == NULL ? "(null)" : got,
           expected);
    check_failures++;
}

static inline void check_has(const char *text, const char *needle, const char *file, int line)
{
    if (text != NULL && strstr(text, needle) != NULL)
        return;
    printf("# %s:%d: \"%s\" lacks \"%s\"\n", file, line, text == NULL ? "(null)" : text, needle);
    check_failures++;
}

/* BODY's checks are those of a process of its own, which it may spoil. */
static inline void check_apart(void (*body)(void))
{
    int status = -1;

    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        body();
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static inline int check_count_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* What lies in the directory PATH, but "." and "..". */
static inline int check_count_entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);

    CHECK(dir != NULL);
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        (void)closedir(dir);
    return count - 2;
}

/* What nohup and a shell's `&` ignore. */
__attribute__((constructor)) static void check_take_back_signals(void)
{
    static const int inherited[] = {SIGHUP, SIGINT, SIGQUIT};

    for (size_t i = 0; i < sizeof(inherited) / sizeof(inherited[0]); i++)
        (void)signal(inherited[i], SIG_DFL); /* fails for no such signal */
}

static int check_run(const struct check_test *tests, size_t count)
{
    int failed = 0;

    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        check_failures = 0;
        check_skipped = NULL;
        tests[i].run();
        failed += check_failures > 0;
        printf("%sok %zu - %s%s%s\n", check_failures > 0 ? "not " : "", i + 1, tests[i].name,
               check_skipped == NULL ? "" : " # SKIP ", check_skipped == NULL ? "" : check_skipped);
        (void)fflush(stdout);
    }
    return failed > 0;
}

#endif
