/* defs.h - the few words that every file of Cloister uses.
 *
 * Ownership is spelled with cleanup attributes: a local that owns something is
 * declared with CL_CLEANUP_* and starts at NULL or -1; CL_TAKE_FD moves it out.
 * CL_ASSERT is for our own bugs only and stays on in release builds; bytes from
 * outside always get a struct cl_error instead.
 */
#ifndef CL_BASE_DEFS_H
#define CL_BASE_DEFS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define CL_CLEANUP(fn) __attribute__((cleanup(fn)))
#define CL_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define CL_UNUSED __attribute__((unused))
#define CL_NORETURN __attribute__((noreturn))

#define CL_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* The TYPE whose MEMBER is behind POINTER. */
#define CL_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* For interfaces that take what they only read without const. */
static inline void *cl_unconst(const void *data)
{
    return (void *)(uintptr_t)data; // NOLINT(performance-no-int-to-ptr): -Wcast-qual's way round
}

/* Moves a descriptor out of its owner. */
#define CL_TAKE_FD(fd)                                                                             \
    __extension__({                                                                                \
        int cl_taken = (fd);                                                                       \
        (fd) = -1;                                                                                 \
        cl_taken;                                                                                  \
    })

/* Ends the process at once, saying where our own logic was wrong. */
CL_NORETURN void cl_assert_failed(const char *what, const char *file, int line);
#define CL_ASSERT(cond) ((cond) ? (void)0 : cl_assert_failed(#cond, __FILE__, __LINE__))

/* free() for CL_CLEANUP: frees what *(void **)p points to. */
void cl_free_ptr(void *p);
#define CL_CLEANUP_FREE CL_CLEANUP(cl_free_ptr)

static inline uint64_t cl_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t cl_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
