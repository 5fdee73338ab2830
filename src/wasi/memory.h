/* memory.h - the guest's memory: ranges that lie in it, and numbers in its byte order.
 *
 * A pointer is 32 bits of the guest's; what it points to may have any alignment. Whoever reads a
 * value that decides about another access reads it once.
 */
#ifndef CL_WASI_MEMORY_H
#define CL_WASI_MEMORY_H

#include <endian.h>
#include <string.h>

#include "base/defs.h"
#include "wasi/wasi.h"

/* Where the SIZE bytes at POINTER are, or NULL when one of them is outside. */
static inline uint8_t *cl_wasi_at(const struct cl_wasi_memory *memory, uint64_t pointer,
                                  uint64_t size)
{
    if (pointer > memory->size_bytes || size > memory->size_bytes - pointer)
        return NULL;
    return memory->base + pointer;
}

static inline uint16_t cl_wasi_load16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static inline uint32_t cl_wasi_load32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static inline uint64_t cl_wasi_load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static inline void cl_wasi_store16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static inline void cl_wasi_store32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static inline void cl_wasi_store64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

#endif
