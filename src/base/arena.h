/* arena.h - one request's memory: many small objects, freed together.
 *
 * Owner: whoever holds the struct; cl_arena_done frees everything. The cap bounds
 * what one hostile config can make us hold. Every function returns NULL when the
 * cap or the memory is reached. Objects are zeroed and 16-byte aligned.
 */
#ifndef CL_BASE_ARENA_H
#define CL_BASE_ARENA_H

#include "base/defs.h"

struct cl_arena_block;

struct cl_arena {
    struct cl_arena_block *blocks;
    size_t used;
    size_t cap;
    struct cl_arena_block *lent; /* the caller's first block, never freed; NULL: all are ours */
    size_t lent_size;
};

#define CL_ARENA_INIT(cap_bytes) ((struct cl_arena){.cap = (cap_bytes)})
/* Memory for the first objects, aligned for them; a page is enough for most. */
struct cl_arena_storage {
    _Alignas(16) char bytes[4096];
};
/* Begins in STORAGE, which must outlive it, and allocates what doesn't fit there. */
#define CL_ARENA_INIT_IN(cap_bytes, storage)                                                       \
    ((struct cl_arena){                                                                            \
        .cap = (cap_bytes), .lent = (void *)(storage), .lent_size = sizeof(*(storage))})
#define CL_CLEANUP_ARENA CL_CLEANUP(cl_arena_done)

void cl_arena_done(struct cl_arena *arena);

void *cl_arena_alloc(struct cl_arena *arena, size_t size);
/* COUNT objects of SIZE; the product is checked. */
void *cl_arena_array(struct cl_arena *arena, size_t count, size_t size);
char *cl_arena_strdup(struct cl_arena *arena, const char *text);
char *cl_arena_strndup(struct cl_arena *arena, const char *text, size_t size);
char *cl_arena_printf(struct cl_arena *arena, const char *fmt, ...) CL_PRINTF(2, 3);

#endif
