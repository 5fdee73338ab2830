/* unpack_name.h - what a tar entry's name means in a layer. */
#ifndef CL_HELPERS_IMAGE_UNPACK_NAME_H
#define CL_HELPERS_IMAGE_UNPACK_NAME_H

#include "base/error.h"
#include "helpers/image/tar.h"

enum { CL_NAME_MAX_PATH = 4095, CL_NAME_MAX_PART = 255, CL_NAME_MAX_DEPTH = 1024 };

enum cl_name_kind {
    CL_NAME_PLAIN,
    CL_NAME_ROOT,     /* the layer's own directory: no base */
    CL_NAME_WHITEOUT, /* `base` is what is hidden */
    CL_NAME_OPAQUE,   /* of the directory `parent`; no base */
    CL_NAME_FOREIGN,  /* aufs's */
};

struct cl_name {
    enum cl_name_kind kind;
    struct cl_tar_text parent; /* "usr/share", "" is the root; ends in NUL */
    const char *base;          /* the last part; ends in NUL */
    char path[CL_NAME_MAX_PATH + 1];
};

/* -EINVAL where TEXT can't be a name of a layer; ERR says which and why. */
int cl_name_read(const struct cl_tar_text *text, struct cl_name *ret, struct cl_error *err);

#endif
