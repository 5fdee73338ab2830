/* local.h - images that are on this host already, as origins: an OCI image layout (oci:DIR), one
 * in a tar archive (oci-archive:FILE), and what `docker save` writes (docker-archive:FILE).
 *
 * Nothing is copied out of them: a blob is a file of the directory, or a part of the archive,
 * and goes to verify and unpack from there.
 */
#ifndef CL_IMAGE_LOCAL_H
#define CL_IMAGE_LOCAL_H

#include "image/origin.h"
#include "image/parse.h"

enum cl_local_kind { CL_LOCAL_DIRECTORY, CL_LOCAL_OCI_ARCHIVE, CL_LOCAL_DOCKER_ARCHIVE };

/* Of an image with all layers that one can have, and the documents that lead to them. */
enum { CL_LOCAL_MAX_FILES = CL_MAX_LAYERS + 16 };

struct cl_local_origin {
    struct cl_origin origin;
    enum cl_local_kind kind;
    const char *path; /* as the user wrote it */
    const char *tag;  /* NULL: the only one */
    const char *platform;
    struct cl_parser parser;
    int root;                         /* the directory, or the archive's file */
    struct cl_archive_record archive; /* its members */
    struct cl_saved_record saved;     /* docker-archive's image */
    struct cl_manifest_record made;   /* and the manifest that it lacks */
    int is_layout;
    struct cl_manifest_record chosen; /* a layout's */
    int opened[CL_LOCAL_MAX_FILES];   /* blobs' files of a directory, until the end */
    size_t opened_count;
};

struct cl_local_how {
    enum cl_local_kind kind;
    const char *text;     /* "PATH", "PATH:TAG" or "PATH:NAME:TAG", without a colon in PATH */
    const char *platform; /* "linux/amd64" */
    int archive;          /* a regular file in place of the one at PATH, taken; -1: none */
};

/* Opens it. Memory is ARENA's. */
int cl_local_open(const struct cl_local_how *how, struct cl_arena *arena,
                  struct cl_local_origin *ret, struct cl_error *err);
void cl_local_done(struct cl_local_origin *local);

/* What it says the image is called, as whole names: all tags of `docker save`, resolved as Docker
 * does; of a layout a name that is whole. Memory is ARENA's. */
int cl_local_names(const struct cl_local_origin *local, struct cl_arena *arena,
                   struct cl_strlist *ret, struct cl_error *err);

#endif
