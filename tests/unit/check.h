/* check.h - TAP (testanything.org) from a table of tests; each test is a function and
 * goes on after a failed CHECK, so that cleanup attributes run. */
#ifndef CL_TESTS_UNIT_CHECK_H
#define CL_TESTS_UNIT_CHECK_H

#include <stdio.h>
#include <string.h>

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
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                               \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)
#define CHECK_TEXT(got, expected)                                                                  \
    do {                                                                                           \
        const char *check_got = (got);                                                             \
        if (check_got == NULL || strcmp(check_got, (expected)) != 0) {                             \
            printf("# %s:%d: got \"%s\", expected \"%s\"\n", __FILE__, __LINE__,                    \
                   check_got == NULL ? "(null)" : check_got, (expected));                          \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)
/* What a message must have in it. */
#define CHECK_HAS(text, needle)                                                                    \
    do {                                                                                           \
        if (strstr((text), (needle)) == NULL) {                                                    \
            printf("# %s:%d: \"%s\" lacks \"%s\"\n", __FILE__, __LINE__, (text), (needle));         \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

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
