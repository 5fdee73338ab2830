/* warnings.h - what a document has that is passed over, as lines for its user.
 *
 * There are at most `max`: the last one counts what found no room. A line is short, and can be
 * shown on a terminal.
 */
#ifndef CL_HELPERS_COMMON_WARNINGS_H
#define CL_HELPERS_COMMON_WARNINGS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/flat.h"

struct cl_warnings {
    struct cl_arena *arena; /* its lines live there */
    size_t max;
    const char **lines;
    size_t count;
    size_t more;
    int failed; /* no memory: cl_warnings_take says so */
};

#define CL_WARNINGS_INIT(arena_, max_) ((struct cl_warnings){.arena = (arena_), .max = (max_)})

void cl_warnings_add(struct cl_warnings *warnings, const char *fmt, ...) CL_PRINTF(2, 3);

/* The lines that there are. */
int cl_warnings_take(struct cl_warnings *warnings, struct cl_strlist *ret, struct cl_error *err);

#endif
