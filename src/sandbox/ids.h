/* ids.h - root mode's uid ranges: each sandbox has 65,536 uids and gids of its own.
 *
 * The ranges lie from 0x70000000 up to 0x7ffdffff: above what useradd hands out as
 * subordinate ids by default (SUB_UID_MAX 600100000) and what systemd-nspawn takes
 * for itself (up to 0x6fffffff), below systemd's foreign range (0x7ffe0000).
 *
 * Who has range N holds a write lock (F_OFD_SETLK) on byte N of one of the state
 * directory's files `ids.0` to `ids.63`, the one of N's remainder: the kernel goes through
 * all locks of a file whenever a descriptor of it is locked or closed, and there are
 * hundreds with hundreds of sandboxes. The kernel lets go of it when the last copy of the
 * descriptor closes, so a range can't be lost, and is not given again while a process that kept the
 * descriptor lives. The search starts at a random range: one that was just let go of
 * is seldom the next to be given.
 *
 * Whether /etc/subuid or /etc/subgid overlap the ranges is not asked on the start
 * path: only an administrator's hand can bring that about, and `doctor` tells.
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

/* Takes a free range: its first uid, and the descriptor that holds it, owned by the
 * caller. -EUSERS when all are taken. */
int cl_ids_take(struct cl_state *state, uint32_t *ret_base, int *ret_lock_fd, struct cl_error *err);

/* Finds a line of TEXT, which has the form of subuid(5), that overlaps the ranges;
 * the line's text goes to RET (cut). Returns 1 when there is one, else 0. */
int cl_ids_overlap(const char *text, char ret[128]);

#endif
