/* digest.h - what content is called: "sha256:" and 64 lower-case hexadecimal digits
 * (OCI image specification, descriptor.md, "Digests").
 *
 * Only sha256: what was asked for by another algorithm can't be checked here, and is
 * refused by that algorithm's name. A struct cl_digest that a function here has filled
 * holds hexadecimal digits and nothing else, so that it can be the name of a file; a digest
 * as a registry wrote it can't, and never becomes a path.
 */
#ifndef CL_OCI_DIGEST_H
#define CL_OCI_DIGEST_H

#include "base/error.h"
#include "base/sha256.h"

struct cl_digest {
    char hex[CL_SHA256_HEX_SIZE]; /* without the algorithm */
};

enum { CL_DIGEST_TEXT_SIZE = CL_SHA256_HEX_SIZE + 7 };

/* TEXT as a whole. -ENOTSUP: an algorithm that isn't sha256; -EINVAL: no digest. */
int cl_digest_parse(const char *text, struct cl_digest *ret, struct cl_error *err);

/* "sha256:<hex>"; returns RET. */
const char *cl_digest_format(const struct cl_digest *digest, char ret[CL_DIGEST_TEXT_SIZE]);

int cl_digest_equal(const struct cl_digest *a, const struct cl_digest *b);

/* Of a block of memory; for what comes in parts there is base/sha256.h. */
void cl_digest_of(const void *data, size_t size, struct cl_digest *ret);

/* The chain ID of a layer that is DIFF_ID's on top of the layers that PARENT names; NULL: on
 * nothing (OCI image specification, config.md, "Layer ChainID"). RET may be either of them. */
void cl_chain_id(const struct cl_digest *parent, const struct cl_digest *diff_id,
                 struct cl_digest *ret);

/* In its place for a layer that is one file, a WebAssembly module of DIGEST, and no archive: the
 * same bytes may be both, and who pushes them as the one must not stand in for the other. */
void cl_chain_id_of_module(const struct cl_digest *digest, struct cl_digest *ret);

#endif
