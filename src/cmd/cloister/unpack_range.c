#include "cmd/cloister/unpack_range.h"

#include <unistd.h>

#include "base/fd.h"
#include "sandbox/ids.h"

void cl_unpack_range_done(struct cl_unpack_range *range)
{
    cl_fd_close(&range->lock);
    cl_state_done(&range->state);
}

int cl_unpack_range_take(struct cl_unpack_range *ret, struct cl_error *err)
{
    CL_CLEANUP_UNPACK_RANGE struct cl_unpack_range range = CL_UNPACK_RANGE_INIT;
    struct cl_ids_range whole;
    int r = 0;

    if (geteuid() == 0) {
        r = cl_state_open(&range.state, err);
        if (r == 0)
            r = cl_ids_range_read(&whole, err);
        if (r == 0)
            r = cl_ids_take(&range.state, &whole, &range.base, &range.lock, err);
    }
    if (r < 0)
        return r;
    *ret = range;
    range.state = CL_STATE_INIT;
    range.lock = -1;
    return 0;
}
