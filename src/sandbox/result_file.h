/* result_file.h - the file that --result names: opened before anything runs, written when
 * all is over.
 *
 * It is emptied when it is opened, so that nobody takes an earlier run's record for this
 * one's: who is killed leaves it empty.
 */
#ifndef CL_SANDBOX_RESULT_FILE_H
#define CL_SANDBOX_RESULT_FILE_H

#include "sandbox/result.h"

/* Opens PATH for writing. A symbolic link on the way is -ELOOP, as anybody may have made it;
 * but the names of the caller's own descriptors. */
int cl_result_file_open(const char *path, struct cl_error *err);

/* Writes the record of RESULT to FD. */
int cl_result_file_write(int fd, const struct cl_result *result, struct cl_error *err);

/* Writes TEXT, a record, to FD; signals are no longer held back from ending us then. */
int cl_result_file_write_text(int fd, const struct cl_buf *text, struct cl_error *err);

/* The record of a run that WHY has ended before there was a sandbox; of PLAN what is known so
 * far. Says nothing when it fails itself. */
void cl_result_file_refuse(const char *path, const struct cl_plan *plan,
                           const struct cl_error *why);

#endif
