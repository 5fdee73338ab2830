/* ids.h - root mode's uid ranges: each sandbox has 65,536 uids and gids of its own.
 *
 * They lie where a line of `cloister` in /etc/subuid, and the same in /etc/subgid, says;
 * only whole multiples of 65,536 in it are used. Without a line they lie from 0x70000000
 * up to 0x7ffdffff: above what useradd hands out as subordinate ids by default
 * (SUB_UID_MAX 600100000) and what systemd-nspawn takes for itself (up to 0x6fffffff),
 * below systemd's foreign range (0x7ffe0000). Both files are read at each start (4 us):
 * where somebody else's line overlaps, nothing starts.
 *
 * Who has a range holds a write lock (F_OFD_SETLK) on its byte of one of the state
 * directory's files `ids.0` to `ids.63`, the one of the number's remainder: the kernel goes
 * through all locks of a file whenever a descriptor of it is locked or closed, and there are
 * hundreds with hundreds of sandboxes. The kernel lets go of it when the last copy of the
 * descriptor closes, so a range can't be lost, and is not given again while a process that
 * kept the descriptor lives. The search starts at a random range: one that was just let go
 * of is seldom the next to be given.
 */
#ifndef CL_SANDBOX_IDS_H
#define CL_SANDBOX_IDS_H

#include "base/error.h"
#include "sandbox/state.h"

#define CL_IDS_FIRST 0x70000000U
#define CL_IDS_LAST 0x7ffdffffU
#define CL_IDS_SIZE 65536U
#define CL_IDS_SHARDS 64U
#define CL_IDS_COUNT ((CL_IDS_LAST - CL_IDS_FIRST + 1) / CL_IDS_SIZE)
#define CL_IDS_SLOTS 65536U /* in all of the 32 bits */

/* COUNT ranges of CL_IDS_SIZE from FIRST on, a multiple of that. */
struct cl_ids_range {
    uint32_t first;
    uint32_t count;
};
#define CL_IDS_DEFAULT ((struct cl_ids_range){CL_IDS_FIRST, CL_IDS_COUNT})

/* What this host gives to sandboxes. -EEXIST: to others as well; -EINVAL: the line of
 * cloister can't be used. The messages name the line and the cure. */
int cl_ids_range_read(struct cl_ids_range *ret, struct cl_error *err);
/* The same of the TEXTS of /etc/subuid and /etc/subgid (subuid(5)). */
int cl_ids_range_parse(const char *const texts[2], struct cl_ids_range *ret, struct cl_error *err);

/* Takes a free one of RANGE: its first uid, and the descriptor that holds it, owned by the
 * caller. -EUSERS when all are taken. */
int cl_ids_take(struct cl_state *state, const struct cl_ids_range *range, uint32_t *ret_base,
                int *ret_lock_fd, struct cl_error *err);

#endif
