/* seal.h - a program file that the sandboxed code can't write.
 *
 * The first process of a sandbox runs our own program file, and a command such as
 * "#!/proc/self/exe" can be made to open it from inside (CVE-2019-5736). Root's
 * sandboxes run as uids that own nothing; an ordinary user's run as that user, who may
 * own the program. Then it runs from a sealed copy in memory instead.
 */
#ifndef CL_BASE_SEAL_H
#define CL_BASE_SEAL_H

#include "base/error.h"

/* Returns 0 when the running program can't be written by its user. Otherwise executes a
 * sealed copy with ARGV, whose first string then is the program's path, and doesn't
 * return; or -errno. Source: memfd_create(2), fcntl(2) on seals. */
int cl_seal_self(char *const argv[], struct cl_error *err);

/* Another program of ours, which is to run in a sandbox: a descriptor of the file at PATH, or of a
 * sealed copy where its user could write that. */
int cl_seal_open(const char *path, struct cl_error *err);

/* The same for who has what it takes to mount, as the runtime of containers whose root is the
 * host's: the copy of its mount from which it runs is read-only, and in no namespace, so that
 * nobody can change that. Where mounting is refused it is cl_seal_self's affair. Source:
 * open_tree(2). */
int cl_seal_mount(char *const argv[], struct cl_error *err);

#endif
