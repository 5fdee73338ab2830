#include "image/complaint.h"

#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "base/utf8.h"

int cl_complaint_file(struct cl_error *err)
{
    return cl_memory_file("complaint", CL_COMPLAINT_SIZE, F_SEAL_SHRINK, err);
}

void cl_complaint_read(int file, char ret[CL_COMPLAINT_SIZE])
{
    ssize_t got = cl_sys_pread(file, ret, CL_COMPLAINT_SIZE - 1, 0);

    ret[got < 0 ? 0 : got] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    cl_utf8_make_printable(ret);
}
