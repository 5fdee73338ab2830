/* volume.h - --volume, --mount and --tmpfs: text to an entry of the plan's files.
 *
 * Borrowed text, copied into ARENA. The paths are not looked at: that is for whoever
 * opens them, once. -EINVAL with what was expected.
 */
#ifndef CL_CMD_CLOISTER_VOLUME_H
#define CL_CMD_CLOISTER_VOLUME_H

#include "plan/plan.h"

/* SRC:DST[:ro|rw|copy]; neither path holds a colon. Docker's other words behind them are
 * taken where they hold in any case, and else refused with the reason; below as well. */
int cl_volume_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
                  struct cl_error *err);

/* KEY=VALUE,... as CSV (RFC 4180): a part that holds a comma stands in double quotes,
 * a double quote in it is doubled. */
int cl_mount_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
                 struct cl_error *err);

/* DST[:size=SIZE,mode=OCTAL] */
int cl_tmpfs_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
                 struct cl_error *err);

#endif
