/* memo.h - the digest that a file had when it was as it is now: a module that nobody changed since
 * is not read again to be found in the cache.
 *
 * "As it is" are device, inode, size and both times of change. The second can't be set by anybody,
 * so another's file is never taken for this one. Who goes on writing by a mapping may change bytes
 * without a trace in them: what is run then is what the file was, in place of what it is, and its
 * digest is the record's; both were the same writer's. A file that changed in the last two seconds
 * is not remembered: its times may be those of two contents.
 */
#ifndef CL_MODULE_MEMO_H
#define CL_MODULE_MEMO_H

#include <sys/stat.h>

#include "oci/digest.h"

/* In CACHE (module/cache.h), what FILE was; -errno when nothing that can be trusted is known. */
int cl_module_memo_find(int cache, const struct stat *file, struct cl_digest *ret);
/* For next time, unless it changed too lately; NOW_NS is by the clock of files. Whether it was
 * kept: a failure is none to be told, it is only looked for again. */
int cl_module_memo_keep(int cache, const struct stat *file, const struct cl_digest *digest,
                        uint64_t now_ns);
/* Whether A and B are one file that nobody changed in between. */
int cl_module_memo_is_same(const struct stat *a, const struct stat *b);

#endif
