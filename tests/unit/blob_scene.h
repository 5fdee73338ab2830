/* blob_scene.h - layers as they travel: an archive of one file, plain or compressed. */
#ifndef CL_TESTS_UNIT_BLOB_SCENE_H
#define CL_TESTS_UNIT_BLOB_SCENE_H

#include <zstd.h>

#include "oci/digest.h"
#include "oci/records.h"
#include "store_scene.h"

struct blob {
    enum cl_compression compression;
    struct cl_buf bytes;
    struct cl_digest digest;
    struct cl_digest diff_id;
    int file; /* that has the bytes */
};
enum { BLOB_CAP = 16 << 20 };
#define BLOB_INIT ((struct blob){.bytes = CL_BUF_INIT(BLOB_CAP), .file = -1})

static inline void blob_done(struct blob *blob)
{
    cl_buf_done(&blob->bytes);
    cl_fd_close(&blob->file);
}
#define CL_CLEANUP_BLOB CL_CLEANUP(blob_done)

static inline void blob_read(struct scene *scene, const char *name, struct cl_buf *ret)
{
    char path[SCENE_PATH_SIZE];
    struct cl_error err = {0};

    (void)snprintf(path, sizeof(path), "%s/%s", scene->dir, name);
    CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && cl_read_all(fd, name, ret, &err) == 0);
}

static inline int blob_file(const struct cl_buf *bytes)
{
    int fd = cl_sys_memfd_create("blob", 1);

    CHECK(fd >= 0 && write(fd, bytes->data, bytes->size) == (ssize_t)bytes->size);
    return fd;
}

/* An archive with the file `file`, which holds the one byte MARK, and SIZE bytes more in
 * another. */
static inline void blob_make(struct scene *scene, char mark, enum cl_compression compression,
                             size_t size, struct blob *ret)
{
    CL_CLEANUP_BUF struct cl_buf plain = CL_BUF_INIT(BLOB_CAP);

    *ret = BLOB_INIT;
    ret->compression = compression;
    CHECK(scene_shell("cd %s && rm -rf layer layer.tar && mkdir layer && printf %c >layer/file && "
                      "head -c %zu /dev/urandom >layer/more && "
                      "tar -C layer --numeric-owner --owner=0 --group=0 -cf layer.tar file more && "
                      "gzip -n <layer.tar >layer.tar.gz",
                      scene->dir, mark, size) == 0);
    blob_read(scene, "layer.tar", &plain);
    if (compression == CL_COMPRESSION_NONE)
        CHECK(cl_buf_add(&ret->bytes, plain.data, plain.size) == 0);
    else if (compression == CL_COMPRESSION_GZIP)
        blob_read(scene, "layer.tar.gz", &ret->bytes);
    else {
        CHECK(cl_buf_grow(&ret->bytes, ZSTD_compressBound(plain.size)) == 0);
        ret->bytes.size =
            ZSTD_compress(ret->bytes.data, ret->bytes.size, plain.data, plain.size, 1);
        CHECK(!ZSTD_isError(ret->bytes.size));
    }
    cl_digest_of(plain.data, plain.size, &ret->diff_id);
    cl_digest_of(ret->bytes.data, ret->bytes.size, &ret->digest);
    ret->file = blob_file(&ret->bytes);
}

#endif
