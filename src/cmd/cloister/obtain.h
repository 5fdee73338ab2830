/* obtain.h - an image into the store, for `pull` and for `run` of one that isn't there. */
#ifndef CL_CMD_CLOISTER_OBTAIN_H
#define CL_CMD_CLOISTER_OBTAIN_H

#include "cmd/cloister/progress.h"
#include "image/pull.h"

#define CL_OBTAIN_MAX_BYTES (32ULL << 30)
enum { CL_OBTAIN_MAX_ENTRIES = 500000 };

struct cl_obtain {
    const char *platform; /* NULL: this machine's */
    uint64_t max_bytes;
    uint64_t max_entries;
    int without_landlock;
    enum cl_progress_how progress;
};
#define CL_OBTAIN_INIT                                                                             \
    ((struct cl_obtain){.max_bytes = CL_OBTAIN_MAX_BYTES,                                          \
                        .max_entries = CL_OBTAIN_MAX_ENTRIES,                                      \
                        .progress = CL_PROGRESS_AUTO})

/* Pulls what TEXT names into STORE: a name, or oci:, oci-archive:, docker-archive:. *RET_NAME
 * (may be NULL) is the whole name, in ARENA. */
int cl_obtain(const struct cl_store *store, const char *text, const struct cl_obtain *how,
              struct cl_arena *arena, struct cl_pulled *ret, const char **ret_name,
              struct cl_error *err);

#endif
