/* unpacker.h - one layer from its bytes to its tree, in one pass: the four processes that
 * docs/images.md draws, joined by pipes.
 *
 *   source -> verify -> inflate -> verify -> unpack -> tree
 *
 * A layer that is no archive but one file is written by the first verify, into that file, and
 * nothing else is started.
 *
 * What each has to say in numbers stands in a file of memory of its own, what it complains of
 * in another; they are read when it has ended. Nothing that they say is believed but digests
 * that a verify made, and these name what they were made of, whoever was taken over.
 */
#ifndef CL_IMAGE_UNPACKER_H
#define CL_IMAGE_UNPACKER_H

#include "base/child.h"
#include "oci/digest.h"
#include "oci/records.h"
#include "oci/unpack_report.h"

enum cl_unpacker_stage {
    CL_STAGE_VERIFY_BLOB,
    CL_STAGE_INFLATE, /* not started for plain layers */
    CL_STAGE_VERIFY_PLAIN,
    CL_STAGE_UNPACK,
    CL_STAGE_COUNT,
};

/* How a stage failed: for want of a reader (SIGPIPE), or by itself. */
enum { CL_STAGE_CUT_OFF = 1, CL_STAGE_FAILED };

struct cl_unpacker_how {
    const char *program; /* path of cloister-image */
    enum cl_compression compression;
    int source;            /* the blob's file, borrowed until the end */
    int ticks;             /* how much of it is there (oci/fetch.h), taken; -1: all */
    uint64_t offset_bytes; /* where the blob begins in SOURCE */
    uint64_t size_bytes;   /* and its size */
    int tree;              /* the layer's directory, borrowed; -1: only what the digests are is
                              wanted, and nothing is unpacked */
    const char *file;      /* the blob is no archive, but the file of that name in TREE; NULL */
    uint32_t uid_base;     /* as in jailed.h */
    uint64_t max_bytes;    /* of unpacked content */
    uint64_t max_entries;
};

struct cl_unpacker {
    struct cl_child children[CL_STAGE_COUNT]; /* pidfd -1: not started, or ended */
    int complaints[CL_STAGE_COUNT];
    int reports[CL_STAGE_COUNT];
    int failed[CL_STAGE_COUNT]; /* 0, or how it ended otherwise than with success */
    int no_room;                /* the disk was full */
    int is_plain;               /* nothing is decompressed: one digest is both */
    int is_file;                /* nothing is unpacked either */
};
#define CL_UNPACKER_INIT                                                                           \
    ((struct cl_unpacker){                                                                         \
        .children = {CL_CHILD_INIT, CL_CHILD_INIT, CL_CHILD_INIT, CL_CHILD_INIT},                  \
        .complaints = {-1, -1, -1, -1},                                                            \
        .reports = {-1, -1, -1, -1}})

/* Ends what still runs. */
void cl_unpacker_done(struct cl_unpacker *unpacker);

/* Of an archive whose content is bounded so, plain or as it travels. */
uint64_t cl_unpacker_most_bytes(uint64_t max_bytes, uint64_t max_entries);

int cl_unpacker_start(const struct cl_unpacker_how *how, struct cl_unpacker *ret,
                      struct cl_error *err);

/* STAGE's pidfd is readable: reaps it. */
int cl_unpacker_reap(struct cl_unpacker *unpacker, enum cl_unpacker_stage stage,
                     struct cl_error *err);

/* True when all have ended. */
int cl_unpacker_has_ended(const struct cl_unpacker *unpacker);

/* How far it is: bytes of the blob, bytes of unpacked content. */
void cl_unpacker_progress(const struct cl_unpacker *unpacker, uint64_t *ret_blob,
                          uint64_t *ret_content);

struct cl_unpacked {
    struct cl_digest blob;
    uint64_t blob_bytes;
    struct cl_digest plain; /* the diffID */
    struct cl_unpack_report tree;
};

/* When all have ended: what came of it, or the complaint of the one that failed first on the
 * bytes' way. */
int cl_unpacker_judge(const struct cl_unpacker *unpacker, struct cl_unpacked *ret,
                      struct cl_error *err);

#endif
