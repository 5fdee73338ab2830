/* jail.h - what a helper takes from itself before it reads the first foreign byte.
 *
 * After cl_jail_enter the process has descriptors 0 to KEEP_FDS - 1 and memory, and can read,
 * write, seek, allocate and end; and what `calls` adds. It can't be undone.
 *
 * One that makes files (TREE) gets a directory tree as its root, in a user namespace whose ids
 * are not its own affair: it sends one byte over `channel` when the namespace is there, and
 * waits for one byte back, sent when the maps are written. With that may come a descriptor:
 * the detached mount that becomes the root (root's, id-mapped). Without one it is the
 * directory that the helper was started in. It is root inside, with the capabilities that
 * unpacking takes. The channel is closed afterwards.
 *
 * One that needs threads starts them in START_THREADS, when all but the filter of calls stands;
 * the filter is put on all of them, and lets none be made any more.
 */
#ifndef CL_HELPERS_COMMON_JAIL_H
#define CL_HELPERS_COMMON_JAIL_H

#include "base/error.h"

enum cl_jail_root {
    CL_JAIL_EMPTY, /* nothing, read-only */
    CL_JAIL_TREE,
};

/* What a helper that is no parser may use; 0: what a parser may. */
struct cl_jail_bounds {
    uint64_t memory; /* address space, in bytes */
    uint64_t cpu_seconds;
    uint64_t file_size; /* of what it writes, in bytes */
};

struct cl_jail {
    unsigned int keep_fds; /* descriptors from this one on are closed */
    enum cl_jail_root root;
    int streams;      /* its work is as long as its input: no limit of CPU time */
    int channel;      /* TREE */
    const int *calls; /* libseccomp's numbers */
    size_t call_count;
    struct cl_jail_bounds bounds;
    int (*start_threads)(void *context, struct cl_error *err);
    void *context; /* start_threads' */
    int tree;      /* kept by the jail: the mount on its way to be the root */
};

int cl_jail_enter(struct cl_jail *jail, struct cl_error *err);

/* All of it but the filter of calls, which would hide the layers below it from a test. */
int cl_jail_enter_unfiltered(struct cl_jail *jail, struct cl_error *err);

#endif
