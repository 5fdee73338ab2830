/* media_type.h - the media types of manifests, configs and layers, and of what is kept in
 * registries beside images. */
#ifndef CL_HELPERS_IMAGE_MEDIA_TYPE_H
#define CL_HELPERS_IMAGE_MEDIA_TYPE_H

#include "base/error.h"
#include "oci/records.h"

enum cl_media_kind {
    CL_MEDIA_UNKNOWN,
    CL_MEDIA_IMAGE, /* a manifest */
    CL_MEDIA_INDEX,
    CL_MEDIA_SCHEMA_1, /* of Docker's first form */
    CL_MEDIA_CONFIG,
    CL_MEDIA_LAYER,
    CL_MEDIA_MODULE_CONFIG, /* of an artifact that is a WebAssembly module */
    CL_MEDIA_MODULE,        /* and its layer */
    CL_MEDIA_OTHER,         /* named by `what`: no part of an image */
};

struct cl_media_type {
    const char *name;
    enum cl_media_kind kind;
    enum cl_compression compression; /* LAYER */
    const char *what;                /* OTHER: "a Helm chart" */
};

#define CL_MEDIA_OCI_IMAGE "application/vnd.oci.image.manifest.v1+json"
#define CL_MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"

/* Never NULL: what is not known is of kind UNKNOWN, with NAME as its name. */
struct cl_media_type cl_media_type_find(const char *name);

/* Refuses what isn't an image: TYPE stands where an image has ROLE ("config"). */
int cl_media_type_refuse(const struct cl_media_type *type, const char *role, struct cl_error *err);
int cl_media_type_refuse_schema_1(struct cl_error *err);

#endif
