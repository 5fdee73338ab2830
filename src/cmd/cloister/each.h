/* each.h - commands that take sandboxes: all that are named are tried, and what went well is
 * printed. */
#ifndef CL_CMD_CLOISTER_EACH_H
#define CL_CMD_CLOISTER_EACH_H

#include "base/buf.h"
#include "sandbox/known.h"

struct cl_each {
    /* What is done with one; adds to OUT what is to be printed of it. */
    int (*act)(void *context, struct cl_state *state, const char *name, struct cl_buf *out,
               struct cl_error *err);
    void *context;
};

/* Calls EACH's act with each of NAMES, and sweeps a little. Returns 0, or the first failure. */
int cl_each_sandbox(const struct cl_each *each, int count, char *const names[],
                    struct cl_error *err);

/* The one called NAME whose files are there: it lives, or is kept (run --keep). */
int cl_find_standing(struct cl_state *state, const char *name, struct cl_arena *arena,
                     struct cl_known *ret, struct cl_error *err);

/* The living one called NAME; another that is known is refused as ended. */
int cl_find_living(struct cl_state *state, const char *name, struct cl_arena *arena,
                   struct cl_known *ret, struct cl_error *err);

#endif
