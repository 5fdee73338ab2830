/* filter.h - which sandboxes a list is to have: --filter KEY=VALUE, as Docker has it.
 *
 * Filters of the same key are alternatives; those of different keys must all hold.
 */
#ifndef CL_CMD_CLOISTER_FILTER_H
#define CL_CMD_CLOISTER_FILTER_H

#include "sandbox/state.h"

enum { CL_FILTERS_MOST = 64 };

struct cl_filters {
    const char *words[CL_FILTERS_MOST]; /* "label=a=b", of the command line */
    size_t count;
};

/* Takes "id=", "name=", "label=", "status=", "tenant=" or "image=" with a value. */
int cl_filters_add(struct cl_filters *filters, const char *word, struct cl_error *err);

/* Whether VISIT is one of those that are wanted. */
int cl_filters_match(const struct cl_filters *filters, const struct cl_visit *visit);

#endif
