/* user.h - a user as `-u` names one, looked up in an image's passwd and group files.
 *
 * "NAME", "UID", "NAME:GROUP", "UID:GID" and mixtures. Lines that are not of the
 * files' form (passwd(5), group(5)) never match; the first match counts.
 */
#ifndef CL_HELPERS_PLAN_USER_H
#define CL_HELPERS_PLAN_USER_H

#include "base/arena.h"
#include "base/buf.h"
#include "plan/plan.h"

struct cl_user_files {
    const struct cl_buf *passwd;
    const struct cl_buf *group;
};

/* Sets uid; gid when the group is named or the user has a line in PASSWD; and home, in ARENA, when
 * that line has an absolute path for it. */
int cl_user_resolve(const char *name, const struct cl_user_files *files, struct cl_arena *arena,
                    struct cl_plan *ret, struct cl_error *err);

#endif
