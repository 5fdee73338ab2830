/* env_file.h - variables from --env and --env-file.
 *
 * The file: lines NAME=VALUE, or NAME for the caller's value (none: the line counts for
 * nothing). Lines that are empty or start with "#" are skipped. No quotes, no
 * continuation; blanks are part of the value. At most 1 MiB.
 */
#ifndef CL_CMD_CLOISTER_ENV_FILE_H
#define CL_CMD_CLOISTER_ENV_FILE_H

#include "plan/plan.h"

/* Adds "NAME=VALUE", or NAME with the caller's value. */
int cl_env_add(struct cl_plan *plan, const char *text, struct cl_arena *arena,
               struct cl_error *err);

int cl_env_file_read(struct cl_plan *plan, const char *path, struct cl_arena *arena,
                     struct cl_error *err);

/* The part of it that reads no file. TEXT is followed by a NUL byte, SIZE doesn't
 * count it; it is changed. */
int cl_env_file_parse(struct cl_plan *plan, char *text, size_t size, struct cl_arena *arena,
                      struct cl_error *err);

#endif
