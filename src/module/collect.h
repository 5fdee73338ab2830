/* collect.h - the cache of compiled modules stays within a budget.
 *
 * It is that of the whole cache, of all tenants together; what was used longest ago goes first. A
 * use is noted in the file's time of change, once an hour at most (cache.c), so that a hit costs
 * nothing. An entry is only unlinked: who has it open, or mapped, goes on with it.
 *
 * Nobody counts what is kept, so nothing can be counted wrong when somebody is killed. Whoever adds
 * something looks at all of the cache, but only by chance: the more it has added of the budget, the
 * likelier. So a look costs many additions little, and the cache is larger than its budget by some
 * parts in a hundred at most, and that seldom. No locks: two that look at once choose the same
 * entries, and one finds that they have gone.
 */
#ifndef CL_MODULE_COLLECT_H
#define CL_MODULE_COLLECT_H

#include "base/error.h"
#include "module/key.h"

/* The user's: CLOISTER_MODULES_BUDGET, a size, or the usual. */
int cl_module_budget(uint64_t *ret_bytes, struct cl_error *err);

struct cl_module_collect_how {
    uint64_t budget_bytes;             /* 0: all goes */
    const char *tenant;                /* whose alone, "_": who has none; NULL: everybody's */
    const struct cl_module_key *spare; /* one that stays, or NULL */
};

struct cl_module_collected {
    uint64_t modules; /* that went, without what is remembered of files (memo.h) */
    uint64_t bytes;   /* and what all that went took */
};

/* DIR as in cl_plan_cache_open. A cache that isn't there is an empty one. What is no file of ours
 * stays. */
int cl_module_collect(const char *dir, const struct cl_module_collect_how *how,
                      struct cl_module_collected *ret, struct cl_error *err);

/* The entry KEY of SIZE bytes was added: by chance, as said above. A failure is none to be told. */
void cl_module_collect_for(const char *dir, uint64_t budget_bytes, const struct cl_module_key *key,
                           uint64_t size);

#endif
