/* unpack_range.h - who works on the trees of the store: as root, uids that nobody else has, as
 * long as they are held; for others nothing is taken (image/jailed.h).
 */
#ifndef CL_CMD_CLOISTER_UNPACK_RANGE_H
#define CL_CMD_CLOISTER_UNPACK_RANGE_H

#include "sandbox/state.h"

struct cl_unpack_range {
    struct cl_state state;
    int lock;
    uint32_t base; /* the first; 0: an ordinary user's */
};
#define CL_UNPACK_RANGE_INIT ((struct cl_unpack_range){.state = CL_STATE_INIT, .lock = -1})

void cl_unpack_range_done(struct cl_unpack_range *range);
#define CL_CLEANUP_UNPACK_RANGE CL_CLEANUP(cl_unpack_range_done)

int cl_unpack_range_take(struct cl_unpack_range *ret, struct cl_error *err);

#endif
