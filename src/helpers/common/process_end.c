#include "helpers/common/process_end.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit wants processes and ptrace, which the jail forbids; the
 * fuzz targets and unit tests look for leaks in the same parsers. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

void cl_process_end(int r, const struct cl_error *err)
{
    char line[CL_ERROR_MSG_SIZE + 1];

    if (r >= 0)
        _exit(CL_HELPER_DONE);
    int size = snprintf(line, sizeof(line), "%s\n", err->msg);
    (void)cl_write_all(STDERR_FILENO, line, (size_t)size); /* nobody to tell if that fails */
    _exit(err->code == ENOSPC || err->code == EDQUOT ? CL_HELPER_NO_ROOM : CL_HELPER_FAILED);
}
