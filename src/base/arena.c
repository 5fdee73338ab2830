#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { BLOCK_SIZE = 8192, ALIGNMENT = 16 };

struct cl_arena_block {
    struct cl_arena_block *next;
    size_t size;
    size_t used;
    _Alignas(ALIGNMENT) char data[];
};

void cl_arena_done(struct cl_arena *arena)
{
    while (arena->blocks != NULL) {
        struct cl_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        if (block != arena->lent)
            free(block);
    }
    arena->used = 0;
}

static struct cl_arena_block *add_block(struct cl_arena *arena, size_t size)
{
    struct cl_arena_block *block = arena->lent;
    size_t room;

    if (arena->blocks == NULL && block != NULL && size <= arena->lent_size - sizeof(*block)) {
        room = arena->lent_size - sizeof(*block);
        memset(block, 0, arena->lent_size);
    } else {
        room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = cl_calloc(1, sizeof(*block) + room);
    }
    if (block == NULL)
        return NULL;
    block->size = room;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *cl_arena_alloc(struct cl_arena *arena, size_t size)
{
    if (size > arena->cap)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > arena->cap || arena->used > arena->cap - size)
        return NULL;

    struct cl_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        block = add_block(arena, size);
        if (block == NULL)
            return NULL;
    }
    void *object = block->data + block->used;
    block->used += size;
    arena->used += size;
    return object;
}

void *cl_arena_array(struct cl_arena *arena, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return cl_arena_alloc(arena, total);
}

char *cl_arena_strndup(struct cl_arena *arena, const char *text, size_t size)
{
    char *copy = size == SIZE_MAX ? NULL : cl_arena_alloc(arena, size + 1);

    if (copy != NULL)
        memcpy(copy, text, size); /* the arena zeroes: the NUL is there */
    return copy;
}

char *cl_arena_strdup(struct cl_arena *arena, const char *text)
{
    return cl_arena_strndup(arena, text, strlen(text));
}

char *cl_arena_printf(struct cl_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_list again;
    char *text = NULL;

    va_start(args, fmt);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size >= 0)
        text = cl_arena_alloc(arena, (size_t)size + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)size + 1, fmt, again);
    va_end(again);
    return text;
}
