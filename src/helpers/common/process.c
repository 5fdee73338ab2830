#include "helpers/common/process.h"

#include <errno.h>
#include <jansson.h>

#include "base/sys.h"

int cl_process_begin(unsigned int first_free, struct cl_error *err)
{
    size_t seed = 0;
    int r = cl_sys_close_range(first_free, ~0U, 0);

    if (r < 0)
        return cl_fail(err, r, "close_range");
    if (cl_sys_getrandom(&seed, sizeof(seed)) < 0)
        return cl_fail(err, EIO, "getrandom");
    json_object_seed(seed | 1); /* 0 would mean: choose one */
    return 0;
}
