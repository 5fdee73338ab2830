/* image_input.h - what fuzz targets of documents share: the bytes after the arguments that they
 * begin with, and a record that must read back. */
#ifndef CL_TESTS_FUZZ_IMAGE_INPUT_H
#define CL_TESTS_FUZZ_IMAGE_INPUT_H

#include <string.h>

#include "base/flat.h"
#include "helpers/common/report.h"

/* The first line of DATA, if it is short, as a text; the rest is left. "-" and "" are NULL. */
static inline const char *input_line(const uint8_t **data, size_t *size, char room[64])
{
    const uint8_t *end = *size == 0 ? NULL : memchr(*data, '\n', *size < 64 ? *size : 64);

    if (end == NULL)
        return NULL;
    size_t used = (size_t)(end - *data);
    memcpy(room, *data, used);
    room[used] = '\0';
    *data += used + 1;
    *size -= used + 1;
    return room[0] == '\0' || strcmp(room, "-") == 0 ? NULL : room;
}

/* RECORD can be written (but for its size) and reads back; BACK is an empty one. */
static inline void check_record(const struct cl_flat_shape *shape, const void *record, void *back,
                                struct cl_arena *arena)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(shape->max_size);
    struct cl_error err = {0};

    if (cl_flat_write(shape, record, &buf, &err) < 0) {
        CL_ASSERT(strstr(err.msg, " is larger than ") != NULL ||
                  strstr(err.msg, " is too large at ") != NULL);
        return;
    }
    const struct cl_bytes bytes = {buf.data, buf.size};
    CL_ASSERT(cl_flat_read(shape, &bytes, arena, back, &err) == 0);
    CL_ASSERT(memcmp((const char *)record + shape->set_offset,
                     (const char *)back + shape->set_offset, sizeof(uint64_t)) == 0);
}

/* Errors begin with the document's name, "d". */
static inline void check_error(const struct cl_error *err)
{
    CL_ASSERT(err->code > 0 && strncmp(err->msg, "d:", 2) == 0);
}

#endif
