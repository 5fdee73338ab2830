/* import_change.h - import's --change: what an image's config says, in a Dockerfile's words.
 *
 *   CMD ["WORD", ...] | CMD LINE      ENTRYPOINT likewise; a LINE is for /bin/sh -c
 *   ENV NAME=VALUE [NAME=VALUE ...]   quotes and backslashes as in a Dockerfile
 *   USER NAME[:GROUP]                 WORKDIR PATH      STOPSIGNAL SIGNAL
 *
 * Stricter than Docker: an array that is no JSON is not taken for a line, variables are not put
 * in, and a directory is absolute.
 */
#ifndef CL_CMD_CLOISTER_IMPORT_CHANGE_H
#define CL_CMD_CLOISTER_IMPORT_CHANGE_H

#include "plan/plan.h"

/* Lays what TEXT says over CONFIG: entrypoint, command, env, user, workdir, stop_signal. Memory is
 * ARENA's. -EINVAL, -ENOMEM. */
int cl_import_change(const char *text, struct cl_arena *arena, struct cl_plan *config,
                     struct cl_error *err);

#endif
