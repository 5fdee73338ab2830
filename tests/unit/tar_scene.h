/* tar_scene.h - an archive in the making, header by header, for test_archive.c. */
#ifndef CL_TESTS_UNIT_TAR_SCENE_H
#define CL_TESTS_UNIT_TAR_SCENE_H

#include "helpers/image/archive.h"
#include "check.h"

enum { BLOCK = 512, CAP = 128 << 20 };

struct scene {
    struct cl_buf tar;
    struct cl_arena arena;
    struct cl_archive_record record;
    struct cl_error err;
};

static inline void drop_scene(struct scene *scene)
{
    cl_buf_done(&scene->tar);
    cl_arena_done(&scene->arena);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(drop_scene)
#define SCENE ((struct scene){.tar = CL_BUF_INIT(CAP), .arena = CL_ARENA_INIT(64 << 20)})

/* A header of POSIX's or, by its MAGIC, another kind. */
struct header {
    const char *name;
    char type;
    uint64_t size;
    const char *link;
    const char *magic; /* 8 bytes; NULL: ustar */
    const char *prefix;
    const char *size_field; /* 12 bytes, in place of SIZE in octal */
    int wrong_sum;
};

static inline void put(char *block, size_t at, const char *text)
{
    memcpy(block + at, text, strlen(text)); // NOLINT(bugprone-not-null-terminated-result): a field
}

static inline void add_header(struct scene *scene, const struct header *header)
{
    char block[BLOCK] = "";
    unsigned int sum = 0;

    put(block, 0, header->name);
    put(block, 100, "0000644");
    (void)snprintf(block + 124, 12, "%011llo", (unsigned long long)header->size);
    if (header->size_field != NULL)
        memcpy(block + 124, header->size_field, 12);
    memset(block + 148, ' ', 8);
    block[156] = header->type;
    if (header->link != NULL)
        put(block, 157, header->link);
    memcpy(block + 257, header->magic == NULL ? "ustar\00000" : header->magic, 8);
    if (header->prefix != NULL)
        put(block, 345, header->prefix);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)block[i];
    (void)snprintf(block + 148, 8, "%06o", sum + (header->wrong_sum != 0));
    block[155] = ' ';
    CHECK(cl_buf_add(&scene->tar, block, BLOCK) == 0);
}

static inline void add_data(struct scene *scene, const char *data, size_t size)
{
    CHECK(cl_buf_add(&scene->tar, data, size) == 0);
    CHECK(cl_buf_grow(&scene->tar, (BLOCK - size % BLOCK) % BLOCK) == 0);
}

static inline void add_extension(struct scene *scene, char type, const char *data, size_t size)
{
    add_header(scene, &(struct header){.name = "ext", .type = type, .size = size});
    add_data(scene, data, size);
}

static inline void add_file(struct scene *scene, const char *name, const char *data)
{
    add_header(scene, &(struct header){.name = name, .type = '0', .size = strlen(data)});
    add_data(scene, data, strlen(data));
}

static inline void add_link(struct scene *scene, const char *name, char type, const char *target)
{
    add_header(scene, &(struct header){.name = name, .type = type, .link = target});
}

static inline void add_end(struct scene *scene)
{
    CHECK(cl_buf_grow(&scene->tar, BLOCK + BLOCK) == 0);
}

#endif
