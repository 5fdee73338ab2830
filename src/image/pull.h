/* pull.h - an image from its origin into the store: manifest, config, layers, launch record.
 *
 * Theory of operation. The manifest says which layers, the config their diffIDs, and from
 * these come the chain IDs under which the store has layers. What is missing is begun (one
 * worker a chain, by its lock), a few at a time: its download starts, and an
 * unpacker (unpacker.h) works on it while it arrives. A layer whose digests and sizes agree is
 * committed; when all are there the file system is synced, once, and the image gets its
 * records and its name. Whatever happens before that leaves layers that are whole, downloads
 * that can go on, and directories that the next sweep removes.
 *
 * A chain that another pull is at is waited for, after all own work is done and let go of, so
 * that two that wait for each other can't be.
 *
 * Context: the core, single-threaded, no signal handlers: a signal may end it anywhere. Its
 * children die with it.
 */
#ifndef CL_IMAGE_PULL_H
#define CL_IMAGE_PULL_H

#include "image/origin.h"
#include "image/store.h"
#include "plan/plan.h"

enum cl_pull_state {
    CL_PULL_QUEUED,
    CL_PULL_PRESENT, /* was there already */
    CL_PULL_RUNNING,
    CL_PULL_WAITING, /* another pull is at it */
    CL_PULL_DONE,
};

/* A layer for people to look at. */
struct cl_pull_layer {
    const char *digest; /* of the blob, or, where that has none, of the plain layer */
    enum cl_pull_state state;
    uint64_t size_bytes;
    uint64_t came_bytes;     /* of the blob */
    uint64_t unpacked_bytes; /* of content */
};

struct cl_pull_view {
    const struct cl_pull_layer *layers;
    size_t count;
    int downloads; /* they come from elsewhere */
};

struct cl_pull_how {
    struct cl_origin *origin;
    struct cl_strlist names; /* whole names to give it */
    const char *digest;      /* the manifest must have it; NULL: any */
    const char *platform;    /* "linux/amd64" */
    uint32_t uid_base;       /* root mode: who unpacks; 0: an ordinary user */
    uint64_t max_bytes;      /* of all its content */
    uint64_t max_entries;
    /* Something has changed, or a tenth of a second has passed. May be NULL. */
    void (*show)(void *context, const struct cl_pull_view *view);
    void *show_context;
    /* Looks up PLAN's user in its tree (as cl_find_user of plan/decide.h); a failure is `run`'s to
     * tell. May be NULL. */
    int (*find_user)(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                     struct cl_error *err);
    void *user_context;
};

struct cl_pulled {
    struct cl_digest digest; /* of the image's manifest */
    int was_there;           /* nothing had to be done but to name it */
};

int cl_pull(const struct cl_store *store, const struct cl_pull_how *how, struct cl_pulled *ret,
            struct cl_error *err);

#endif
