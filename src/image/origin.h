/* origin.h - where images come from: a registry, a directory or an archive behind one
 * interface. pull.c knows nothing else of them.
 *
 * Nothing that comes from an origin is believed: bytes are what their digest says, and where
 * they have none (a tag's manifest, `docker save`'s layers) they are what they are, and what
 * they name is checked in turn.
 */
#ifndef CL_IMAGE_ORIGIN_H
#define CL_IMAGE_ORIGIN_H

#include "base/buf.h"
#include "base/error.h"
#include "oci/digest.h"
#include "oci/records.h"

enum { CL_MEDIA_TYPE_SIZE = 256 };

/* A layer's bytes on their way. */
struct cl_blob_source {
    int fd;      /* the file that has them, or will */
    int ticks;   /* how much of it is there (oci/fetch.h); -1: all */
    uint64_t id; /* of the download; 0: there is none */
    uint64_t offset_bytes;
};

/* A blob that is wanted, and for a download what there is of it already: a file, and how many
 * bytes of it are the blob's. */
struct cl_blob_wanted {
    const struct cl_manifest_layer *layer;
    size_t index; /* of the layer, from the lowest */
    int download;
    uint64_t have_bytes;
};

struct cl_download_report {
    uint64_t id;
    int ended;
    struct cl_error error; /* code 0: it ended well */
};

struct cl_origin {
    /* The bytes of the manifest that REFERENCE (a digest; NULL: what the origin was opened for)
     * names, and the media type that comes with them ("": none). */
    int (*manifest)(struct cl_origin *origin, const char *reference, struct cl_buf *ret,
                    char ret_type[CL_MEDIA_TYPE_SIZE], struct cl_error *err);
    /* A small blob, a config, whole. */
    int (*config)(struct cl_origin *origin, const struct cl_manifest_record *manifest,
                  struct cl_buf *ret, struct cl_error *err);
    /* A layer. RET's ticks are the caller's; its fd is borrowed. */
    int (*open)(struct cl_origin *origin, const struct cl_blob_wanted *wanted,
                struct cl_blob_source *ret, struct cl_error *err);
    /* Where news of downloads come: a descriptor to poll, or -1. */
    int news;
    /* One report: 1, 0 when it was of no interest, or -errno. NULL where `news` is -1. */
    int (*listen)(struct cl_origin *origin, struct cl_download_report *ret, struct cl_error *err);
    int downloads; /* layers come from elsewhere: keep what came of them */
    /* What `manifest` gave, where the origin made it; NULL where it is foreign and has to be
     * parsed. Of such an image alone a layer may have no digest (""): its bytes are read once,
     * and judged by their diffID. */
    const struct cl_manifest_record *made;
};

#endif
