/* sha256.h - SHA-256 (FIPS 180-4) of a block of memory: names cached plans. */
#ifndef CL_BASE_SHA256_H
#define CL_BASE_SHA256_H

#include "base/defs.h"

enum { CL_SHA256_SIZE = 32, CL_SHA256_HEX_SIZE = 65 };

struct cl_sha256 {
    uint32_t state[8];
    uint64_t total;
    unsigned char block[64];
};

void cl_sha256_init(struct cl_sha256 *hash);
void cl_sha256_add(struct cl_sha256 *hash, const void *data, size_t size);
void cl_sha256_final(struct cl_sha256 *hash, unsigned char ret[CL_SHA256_SIZE]);
/* Lower-case hexadecimal with a NUL. */
void cl_sha256_final_hex(struct cl_sha256 *hash, char ret[CL_SHA256_HEX_SIZE]);

#endif
