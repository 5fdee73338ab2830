/* ask.h - cloister-plan's answers: how one is asked for, and what it is called in the cache.
 *
 * An answer's name there is the digest of everything that it depends on: which record of which
 * version, the helper that makes it, the bytes that it is made of.
 */
#ifndef CL_PLAN_ASK_H
#define CL_PLAN_ASK_H

#include "base/arena.h"
#include "base/flat.h"
#include "base/helper.h"
#include "base/sha256.h"

/* Which record; each version of each has a number of its own. */
#define CL_ASK_PLAN(version) ((uint64_t)(version))
#define CL_ASK_REGISTRIES(version) (1ULL << 32 | (version))
#define CL_ASK_SPEC(version) (2ULL << 32 | (version))

enum { CL_ASK_SECONDS = 10 }; /* that a helper has for one */

/* A name begins with the RECORD, its KIND and the HELPER. */
void cl_ask_name(struct cl_sha256 *hash, uint64_t record, uint64_t kind,
                 const struct cl_helper *helper);
/* With its size, so that no two lists of texts look the same. */
void cl_ask_add(struct cl_sha256 *hash, const void *data, size_t size);
/* The kernel's version and its architecture's. */
int cl_ask_add_machine(struct cl_sha256 *hash, struct cl_error *err);

struct cl_answer {
    struct cl_arena *arena; /* for the bytes */
    size_t max_size;
    struct cl_bytes bytes;
};

/* Runs HELPER with CALL; what it says is ANSWER's bytes, unchecked. */
int cl_ask(const struct cl_helper *helper, const struct cl_helper_call *call,
           struct cl_answer *answer, struct cl_error *err);

#endif
