/* task.h - one layer of a pull: from queued to committed. pull.c runs them. */
#ifndef CL_IMAGE_TASK_H
#define CL_IMAGE_TASK_H

#include "image/layers.h"
#include "image/pull.h"
#include "image/unpacker.h"

struct cl_task {
    const struct cl_store *store;
    const struct cl_pull_how *how;
    const char *program; /* cloister-image */
    const struct cl_manifest_layer *layer;
    size_t index;
    const char *subject;   /* what messages call it: a digest */
    struct cl_digest blob; /* of what travels; no digits: it has no digest */
    struct cl_digest diff_id;
    struct cl_digest chain;
    int is_module; /* it is a WebAssembly module's file, and no archive */
    enum cl_pull_state state;
    char name[CL_LAYER_NAME_SIZE]; /* in the store, when it is there */
    uint64_t max_bytes;            /* of content: set before it is begun */
    uint64_t content_bytes;        /* DONE: what it has */

    struct cl_layer_work work;
    struct cl_unpacker unpacker;
    int download;           /* the file that the blob comes into; -1: it is in the origin's own */
    int lock;               /* of the download */
    int resumed;            /* something of it was there: a wrong digest may be that's fault */
    uint64_t id;            /* of the download, until it has ended */
    struct cl_error failed; /* how the download did; code 0: well */
};
#define CL_TASK_INIT                                                                               \
    ((struct cl_task){                                                                             \
        .work = CL_LAYER_WORK_INIT, .unpacker = CL_UNPACKER_INIT, .download = -1, .lock = -1})

/* Ends what runs and lets go of it; what was downloaded stays. */
void cl_task_stop(struct cl_task *task);

/* Begins the layer, whatever it takes: PRESENT, RUNNING, or WAITING when somebody else is at it
 * and WAIT isn't set. */
int cl_task_begin(struct cl_task *task, int wait, struct cl_error *err);

/* True when its download and all processes have ended. */
int cl_task_has_ended(const struct cl_task *task);

/* Judges what has ended, and commits the layer; or begins it once more, from nothing, where what
 * an earlier pull had left was wrong. */
int cl_task_finish(struct cl_task *task, struct cl_error *err);

#endif
