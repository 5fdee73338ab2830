/* cache.h - compiled modules that are kept: machine code, which whoever loads it believes.
 *
 *   /var/cache/cloister/modules/TENANT/KEY     (root; others: as in plan/compile_cache.h)
 *
 * Who could write there could run code in every sandbox of that tenant. So directories and files
 * are ours alone: the owner and the modes (0700 and 0400, one name) are checked before an entry is
 * used, links are followed nowhere below `modules`, and a file has its name only when all of it is
 * on the disk. A tenant's entries are never another's: the compiler that made them had met that
 * tenant's bytes. "_" is everybody's who has no tenant, and the caller's user's alone, as the whole
 * cache is.
 *
 * Nothing is ever changed but the time of a file's last use. All of it has a budget (collect.h).
 */
#ifndef CL_MODULE_CACHE_H
#define CL_MODULE_CACHE_H

#include "base/error.h"
#include "module/key.h"

#define CL_MODULE_CACHE "modules" /* the directory, for cl_plan_cache_open */

/* Opens a tenant's directory of that NAME, a name alone ("_": who has no tenant), in ALL that
 * directory; -errno when it isn't there, or not ours alone. */
int cl_module_cache_enter(int all, const char *name);

/* The TENANT's directory, made where it is missing; NULL: who has none. -errno when it can't be
 * used. DIR as in cl_plan_cache_open. */
int cl_module_cache_open(const char *dir, const char *tenant);

/* The entry, for reading; -errno when there is none that can be trusted. Once an hour at most its
 * time of change becomes now: that it was used. */
int cl_module_cache_find(int cache, const struct cl_module_key *key);

/* Keeps a copy of the SIZE bytes of the file CODE. A failure leaves the cache as it was. */
int cl_module_cache_keep(int cache, const struct cl_module_key *key, int code, uint64_t size);

#endif
