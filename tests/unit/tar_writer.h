/* tar_writer.h - tar archives made by hand, right ones and others. */
#ifndef CL_TESTS_UNIT_TAR_WRITER_H
#define CL_TESTS_UNIT_TAR_WRITER_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "base/buf.h"
#include "check.h"

enum { TAR_SCENE_CAP = 64 << 20 };
#define TAR_SCENE_INIT CL_BUF_INIT(TAR_SCENE_CAP)

/* A header's magic and version. */
#define TAR_USTAR "ustar\00000"
#define TAR_GNU "ustar  \0"

/* What isn't said is as a plain file of 0:0 has it. */
struct tar_item {
    const char *name;  /* at most 100 bytes */
    char type;         /* 0: '0' */
    unsigned int mode; /* 0: 0644, of a directory 0755 */
    unsigned int uid, gid;
    long mtime;
    const char *link;
    const char *content;
    size_t size;            /* of content; 0: its length */
    long said_size;         /* in the header, where that is another */
    const char *size_field; /* instead of any number: 12 bytes */
    const char *magic;      /* NULL: TAR_USTAR */
    const char *tail;       /* what GNU has from byte 345 on, 167 bytes */
    int bad_checksum;
};

static inline void tar_add(struct cl_buf *tar, const void *data, size_t size)
{
    CHECK(cl_buf_add(tar, data, size) == 0);
}

/* Zeros up to a block's end. */
static inline void tar_pad(struct cl_buf *tar)
{
    CHECK(cl_buf_grow(tar, -tar->size % 512) == 0);
}

/* TEXT without its NUL. */
static inline void tar_text(char *field, const char *text)
{
    while (*text != '\0')
        *field++ = *text++;
}

/* Octal digits, WIDTH of them. */
static inline void tar_octal(char *field, int width, unsigned long value)
{
    char digits[32];

    (void)snprintf(digits, sizeof(digits), "%0*lo", width, value);
    tar_text(field, digits);
}

static inline void tar_checksum(char block[512])
{
    unsigned int sum = 0;
    char digits[16];

    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    (void)snprintf(digits, sizeof(digits), "%06o", sum);
    memcpy(block + 148, digits, 7);
}

static inline unsigned int tar_mode_of(const struct tar_item *item)
{
    return item->mode != 0 ? item->mode : item->type == '5' ? 0755 : 0644;
}

static inline void tar_header(struct cl_buf *tar, const struct tar_item *item, size_t size)
{
    const char *magic = item->magic == NULL ? TAR_USTAR : item->magic;
    char block[512] = {0};

    tar_text(block, item->name);
    tar_octal(block + 100, 7, tar_mode_of(item) & 0xfffff);
    tar_octal(block + 108, 7, item->uid);
    tar_octal(block + 116, 7, item->gid);
    tar_octal(block + 124, 11, item->said_size != 0 ? (unsigned long)item->said_size : size);
    if (item->size_field != NULL)
        memcpy(block + 124, item->size_field, 12);
    tar_octal(block + 136, 11, (unsigned long)item->mtime);
    block[156] = item->type;
    if (item->type == 0 || item->type == '-')
        block[156] = item->type == 0 ? '0' : '\0';
    if (item->link != NULL)
        tar_text(block + 157, item->link);
    memcpy(block + 257, magic, 8);
    if (item->tail != NULL)
        memcpy(block + 345, item->tail, 167);
    tar_checksum(block);
    if (item->bad_checksum)
        block[148] = '7';
    tar_add(tar, block, sizeof(block));
}

static inline void tar_put(struct cl_buf *tar, const struct tar_item *item)
{
    const size_t size = item->size > 0          ? item->size
                        : item->content != NULL ? strlen(item->content)
                                                : 0;

    tar_header(tar, item, size);
    if (size > 0)
        tar_add(tar, item->content, size);
    tar_pad(tar);
}
#define TAR(tar, ...) tar_put(tar, &(const struct tar_item){__VA_ARGS__})

static inline void tar_file(struct cl_buf *tar, const char *name, const char *content)
{
    TAR(tar, .name = name, .content = content);
}

static inline void tar_directory(struct cl_buf *tar, const char *name)
{
    TAR(tar, .name = name, .type = '5');
}

static inline void tar_symlink(struct cl_buf *tar, const char *name, const char *target)
{
    TAR(tar, .name = name, .type = '2', .link = target, .mode = 0777);
}

static inline void tar_hard_link(struct cl_buf *tar, const char *name, const char *target)
{
    TAR(tar, .name = name, .type = '1', .link = target);
}

static inline void tar_end(struct cl_buf *tar)
{
    CHECK(cl_buf_grow(tar, 1024) == 0);
}

/* --- headers of the entry that follows ------------------------------------------- */

/* A record of a pax header, whose length counts itself. */
static inline void tar_record_bytes(struct cl_buf *body, const char *key, const void *value,
                                    size_t size)
{
    const size_t rest = strlen(key) + size + 3; /* blank, equals, newline */
    size_t length = rest + 1;
    char digits[24];

    while (length != rest + (size_t)snprintf(digits, sizeof(digits), "%zu", length))
        length = rest + strlen(digits);
    CHECK(cl_buf_printf(body, "%zu %s=", length, key) == 0);
    tar_add(body, value, size);
    tar_add(body, "\n", 1);
}

static inline void tar_record(struct cl_buf *body, const char *key, const char *value)
{
    tar_record_bytes(body, key, value, strlen(value));
}

/* BODY as a pax header; it is emptied. */
static inline void tar_pax(struct cl_buf *tar, struct cl_buf *body)
{
    TAR(tar, .name = "PaxHeaders/x", .type = 'x', .content = body->data, .size = body->size);
    body->size = 0;
}

static inline void tar_pax_one(struct cl_buf *tar, const char *key, const void *value, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf body = TAR_SCENE_INIT;

    tar_record_bytes(&body, key, value, size);
    tar_pax(tar, &body);
}

/* GNU's: TYPE is 'L' (name) or 'K' (link). */
static inline void tar_long(struct cl_buf *tar, char type, const char *name)
{
    TAR(tar, .name = "././@LongLink", .type = type, .content = name, .size = strlen(name) + 1,
        .magic = TAR_GNU);
}

#endif
