/* filter_parts.h - what the files that compile a profile share: its words as libseccomp's
 * values, and the program at the end. */
#ifndef CL_HELPERS_PLAN_FILTER_PARTS_H
#define CL_HELPERS_PLAN_FILTER_PARTS_H

#include <seccomp.h>

#include "helpers/plan/filter.h"

/* An action as it stands in a rule, or as the default. */
struct cl_filter_action {
    const char *text;
    const struct cl_decode_number *number; /* of the error */
    const char *name;                      /* the same by its name, or NULL */
};

int cl_filter_parse_action(const struct cl_filter_action *action, enum cl_filter_manner manner,
                           uint32_t *ret, struct cl_error *err);
int cl_filter_parse_arg(const struct cl_profile_arg *arg, struct scmp_arg_cmp *ret,
                        struct cl_error *err);

/* FILTER's program. */
int cl_filter_take_program(scmp_filter_ctx filter, const struct cl_filter_job *job,
                           uint32_t default_action, struct cl_bytes *ret, struct cl_error *err);

#endif
