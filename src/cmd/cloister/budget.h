/* budget.h - the store kept within what registries.yaml lets it take, after a pull. */
#ifndef CL_CMD_CLOISTER_BUDGET_H
#define CL_CMD_CLOISTER_BUDGET_H

#include "image/pull.h"

struct cl_budget {
    const struct cl_store *store;
    uint64_t bytes;
    uint32_t uid_base;             /* as in jailed.h */
    const struct cl_pulled *image; /* that is kept, whatever it takes */
    const char *called;            /* what people call it */
    const char *fallback;          /* image_name.h */
    int is_quiet;                  /* failures alone are told */
};

/* Removes images, the least recently used first, and says on standard error which, and why the
 * rest still takes too much where it does. The image is there, so that nothing of this fails it. */
void cl_budget_keep(const struct cl_budget *budget);

/* Layers that a pull had finished when it failed stay for the next one, where the budget lets
 * them. Says nothing: the pull's own error is told. */
void cl_budget_keep_after_failure(const struct cl_store *store, uint64_t bytes, uint32_t uid_base);

#endif
