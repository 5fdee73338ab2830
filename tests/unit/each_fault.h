/* each_fault.h - something is done once for each call, or allocation, of it that may fail. */
#ifndef CL_TESTS_UNIT_EACH_FAULT_H
#define CL_TESTS_UNIT_EACH_FAULT_H

#include <stdio.h>

#include "check.h"

struct each_fault {
    int (*run)(const char *fault); /* as cl_fault_set has it: whether it struck */
    int least;                     /* that many can fail, */
    int most;                      /* and fewer than that */
};

/* KIND and RESULT are those of a fault's text. Ends with the first that fails a check, named. */
static inline void each_fault_try(const struct each_fault *each, const char *kind,
                                  const char *result)
{
    char fault[64];
    int struck = 1;
    int last = 0;

    for (int n = 1; struck && n < each->most; n++) {
        (void)snprintf(fault, sizeof(fault), "%s:%d%s", kind, n, result);
        struck = each->run(fault);
        last = n;
        if (check_failures > 0) {
            printf("# %s\n", fault);
            return;
        }
    }
    CHECK(!struck && last > each->least);
}

/* Each call by each of COUNT errors. */
static inline void each_fault_calls(const struct each_fault *each, const int *errnums, size_t count)
{
    char result[16];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(result, sizeof(result), ":%d", errnums[i]);
        each_fault_try(each, "syscall", result);
    }
}

#endif
