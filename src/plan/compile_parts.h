/* compile_parts.h - what compile.c is put together from: the cache and the helper. */
#ifndef CL_PLAN_COMPILE_PARTS_H
#define CL_PLAN_COMPILE_PARTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "plan/plan.h"

/* --- compile_cache.c: plans in files named by a digest ------------------- */

/* The cache's directory, made where it is missing; -errno when it can't be used: no
 * place for it, or one that others may write. DIR as in cl_compile_context. */
int cl_plan_cache_open(const char *dir);
/* The entry's bytes in ARENA; -errno when there is none. */
int cl_plan_cache_load(int cache, const char *key, struct cl_arena *arena, struct cl_bytes *ret);
/* Keeps BYTES; a failure leaves the cache as it was. */
int cl_plan_cache_store(int cache, const char *key, const struct cl_bytes *bytes);

/* --- compile_helper.c: one call of cloister-plan ------------------------- */

enum { CL_HELPER_PATH_SIZE = 4200 };

struct cl_helper {
    char path[CL_HELPER_PATH_SIZE];
    /* Which build it is: a new one makes cached plans stale. */
    uint64_t size;
    int64_t mtime_s;
    int64_t mtime_ns;
};

struct cl_helper_call {
    const char *verb; /* "policy" */
    const char *name;
    const struct cl_buf *input; /* descriptor 0 */
    const struct cl_buf *group; /* descriptor 3, or NULL */
    uint64_t timeout_ns;
};

/* Finds the helper; DIR as in cl_compile_context. */
int cl_helper_find(const char *dir, struct cl_helper *ret, struct cl_error *err);
/* Runs it to its end and adds its answer to OUTPUT. Its complaint becomes the error. */
int cl_helper_run(const struct cl_helper *helper, const struct cl_helper_call *call,
                  struct cl_buf *output, struct cl_error *err);

#endif
