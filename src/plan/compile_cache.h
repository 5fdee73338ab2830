/* compile_cache.h - the cache of what compile.c has made: plans in files named by a digest. */
#ifndef CL_PLAN_COMPILE_CACHE_H
#define CL_PLAN_COMPILE_CACHE_H

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

/* The cache's directory, made where it is missing; -errno when it can't be used: no
 * place for it, or one that others may write. DIR as in cl_compile_context. */
int cl_plan_cache_open(const char *dir);
/* The entry's bytes in ARENA; -errno when there is none. */
int cl_plan_cache_load(int cache, const char *key, struct cl_arena *arena, struct cl_bytes *ret);
/* Keeps BYTES; a failure leaves the cache as it was. */
int cl_plan_cache_store(int cache, const char *key, const struct cl_bytes *bytes);

#endif
