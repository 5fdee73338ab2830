/* obtain.h - an image into the store, for `pull`, for `import`, and for `run` of one that isn't
 * there.
 */
#ifndef CL_CMD_CLOISTER_OBTAIN_H
#define CL_CMD_CLOISTER_OBTAIN_H

#include "cmd/cloister/progress.h"
#include "image/pull.h"

#define CL_OBTAIN_MAX_BYTES (32ULL << 30)
enum { CL_OBTAIN_MAX_ENTRIES = 500000 };

struct cl_obtain {
    const struct cl_store *store;
    const char *text;       /* a name, or oci:, oci-archive:, docker-archive: */
    struct cl_arena *arena; /* for what is made on the way */

    const char *platform; /* NULL: this machine's */
    uint64_t max_bytes;
    uint64_t max_entries;
    int without_landlock;
    enum cl_progress_how progress;
    int only_news; /* progress.h */

    /* Of what is on this host already; an image of a registry has its name from there. */
    const char *name; /* to give it, as the user wrote it; NULL: none */
    int own_names;    /* without a name it gets those that its archive says */
    /* The text names a root file system in a tar archive, "-" standard input, whose image's config
     * says this; NULL: an image. */
    const struct cl_plan *rootfs;
};
#define CL_OBTAIN_INIT                                                                             \
    ((struct cl_obtain){.max_bytes = CL_OBTAIN_MAX_BYTES,                                          \
                        .max_entries = CL_OBTAIN_MAX_ENTRIES,                                      \
                        .progress = CL_PROGRESS_AUTO})

/* Pulls what the text names into the store. The store's budget is kept to afterwards. */
int cl_obtain(const struct cl_obtain *how, struct cl_pulled *ret, struct cl_error *err);

/* The digest on standard output, where no events say it. */
int cl_print_pulled(const struct cl_obtain *how, const struct cl_pulled *pulled,
                    struct cl_error *err);

#endif
