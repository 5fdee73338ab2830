/* compile_cache.h - the cache of what helpers have made: records in files named by a digest. */
#ifndef CL_PLAN_COMPILE_CACHE_H
#define CL_PLAN_COMPILE_CACHE_H

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

/* Its directories: each forgets all that it has when it is full, so what comes anew with each
 * container has one of its own. */
#define CL_CACHE_PLANS "plans"
#define CL_CACHE_SPECS "specs"

enum cl_cache_life {
    CL_CACHE_LASTING,   /* synced to the disk */
    CL_CACHE_THIS_BOOT, /* not synced: the boot's id has to be in the name (base/boot.h) */
};

/* The directory NAME of the cache, made where it is missing; -errno when it can't be used: no place
 * for it, or one that others may write. The cache lies in DIR; NULL: in the usual place, "": there
 * is none. */
int cl_plan_cache_open(const char *dir, const char *name);
/* The entry's bytes in ARENA; -errno when there is none. */
int cl_plan_cache_load(int cache, const char *key, struct cl_arena *arena, struct cl_bytes *ret);
/* Keeps BYTES; a failure leaves the cache as it was. */
int cl_plan_cache_store(int cache, const char *key, const struct cl_bytes *bytes,
                        enum cl_cache_life life);

#endif
