/* layers.h - unpacked layers in the store, by chain ID: found, begun, committed, thrown away.
 *
 * A layer is made in work/<n> by whoever holds its chain's lock, and becomes layers/<n> by one
 * rename; the link chains/<hex> makes it known. Until the file system has been synced (by the
 * pull, once, at its end) it carries a mark with the boot's id: one of an earlier boot means
 * that power was lost meanwhile, and such a layer is as good as none.
 */
#ifndef CL_IMAGE_LAYERS_H
#define CL_IMAGE_LAYERS_H

#include "image/layer_name.h"
#include "image/store.h"
#include "oci/records.h"

/* A layer that is being made. */
struct cl_layer_work {
    struct cl_digest chain;
    char name[CL_LAYER_NAME_SIZE]; /* "12" */
    int lock;                      /* of the chain */
    int tree;                      /* the directory that becomes the layer's tree */
};
#define CL_LAYER_WORK_INIT ((struct cl_layer_work){.lock = -1, .tree = -1})

/* Lets go of it: what is in work/<n> is for cl_layers_sweep. */
void cl_layer_work_done(struct cl_layer_work *work);

/* The layer of CHAIN: its name, or -ENOENT without a message. */
int cl_layer_find(const struct cl_store *store, const struct cl_digest *chain,
                  char ret_name[CL_LAYER_NAME_SIZE], struct cl_error *err);

/* Begins the layer of CHAIN. -EEXIST without a message: it is there meanwhile; -EAGAIN: somebody
 * else is at it, and WAIT isn't set. */
int cl_layer_begin(const struct cl_store *store, const struct cl_digest *chain, int wait,
                   struct cl_layer_work *ret, struct cl_error *err);

/* Makes WORK the layer that RECORD describes, and lets go of it. */
int cl_layer_commit(const struct cl_store *store, struct cl_layer_work *work,
                    const struct cl_layer_record *record, struct cl_error *err);

/* After cl_store_sync: the layer NAME has survived it. */
int cl_layer_mark_synced(const struct cl_store *store, const char *name, struct cl_error *err);

/* The record of the layer NAME, in ARENA. */
int cl_layer_read(const struct cl_store *store, const char *name, struct cl_arena *arena,
                  struct cl_layer_record *ret, struct cl_error *err);

/* What it takes on the disk; 0 where its record can't be read. */
uint64_t cl_layer_bytes(const struct cl_store *store, const char *name);

/* Takes the layer NAME out of the store, into its trash. */
int cl_layer_discard(const struct cl_store *store, const char *name, struct cl_error *err);

/* Moves into the trash what in work/ nobody is at; by who holds COLLECT exclusively. Returns how
 * many there were. */
int cl_layers_sweep(const struct cl_store *store, struct cl_error *err);

#endif
