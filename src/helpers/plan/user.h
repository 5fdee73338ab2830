/* user.h - a user as `-u` names one, looked up in an image's passwd and group files.
 *
 * "NAME", "UID", "NAME:GROUP", "UID:GID" and mixtures. Lines that are not of the
 * files' form (passwd(5), group(5)) never match; the first match counts.
 */
#ifndef CL_HELPERS_PLAN_USER_H
#define CL_HELPERS_PLAN_USER_H

#include "base/buf.h"
#include "plan/plan.h"

/* Sets uid, and gid when the group is named or the user has a line in PASSWD. */
int cl_user_resolve(const char *name, const struct cl_buf *passwd, const struct cl_buf *group,
                    struct cl_plan *ret, struct cl_error *err);

#endif
