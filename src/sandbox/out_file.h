/* out_file.h - files of the caller's that something of a sandbox is written to. */
#ifndef CL_SANDBOX_OUT_FILE_H
#define CL_SANDBOX_OUT_FILE_H

#include "base/error.h"

/* Opens PATH for writing, made or emptied. A symbolic link on the way is -ELOOP, as anybody may
 * have made it; but the names of the caller's own descriptors. OPTION ("--result") and WHAT ("the
 * result file") are for messages. */
int cl_out_file_open(const char *path, const char *option, const char *what, struct cl_error *err);

#endif
