#include "copy/stream.h"

#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

/* --- paths ------------------------------------------------------------------------------- */

size_t cl_copy_path_enter(struct cl_copy_path *path, const char *name)
{
    const size_t before = path->size;
    const size_t room = sizeof(path->text) - 1 - before;
    const size_t slash = before > 0 && room > 0 && path->text[before - 1] != '/' ? 1 : 0;
    size_t size = strlen(name);

    size = size < room - slash ? size : room - slash;
    if (slash > 0)
        path->text[before] = '/';
    memcpy(path->text + before + slash, name, size);
    path->size = before + slash + size;
    path->text[path->size] = '\0';
    return before;
}

void cl_copy_path_leave(struct cl_copy_path *path, size_t size)
{
    path->size = size;
    path->text[size] = '\0';
}

/* --- to write ---------------------------------------------------------------------------- */

int cl_copy_flush(struct cl_copy_out *out)
{
    int r = cl_write_all(out->fd, out->data, out->used);

    out->used = 0;
    return r;
}

int cl_copy_put(struct cl_copy_out *out, const void *data, size_t size)
{
    const char *from = data;

    while (size > 0) {
        size_t room = sizeof(out->data) - out->used;
        size_t count = size < room ? size : room;

        memcpy(out->data + out->used, from, count);
        out->used += count;
        from += count;
        size -= count;
        if (out->used == sizeof(out->data)) {
            int r = cl_copy_flush(out);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

int cl_copy_put_entry(struct cl_copy_out *out, const struct cl_copy_entry *entry, const char *name)
{
    struct cl_copy_entry head = *entry;

    head.name_size = (uint16_t)strlen(name);
    int r = cl_copy_put(out, &head, sizeof(head));
    return r < 0 ? r : cl_copy_put(out, name, head.name_size);
}

/* The bytes are read to where they leave from: they are moved no more. */
ssize_t cl_copy_put_chunk(struct cl_copy_out *out, int fd, uint64_t most)
{
    enum { LEAST_ROOM = 4096 };
    uint64_t head;
    ssize_t got;

    if (sizeof(out->data) - out->used < sizeof(head) + LEAST_ROOM) {
        int r = cl_copy_flush(out);

        if (r < 0)
            return r;
    }
    char *start = out->data + out->used;
    const size_t room = sizeof(out->data) - out->used - sizeof(head);
    do
        got = cl_sys_read(fd, start + sizeof(head), most < room ? (size_t)most : room);
    while (got == -EINTR);
    if (got <= 0)
        return got;
    head = (uint64_t)got;
    memcpy(start, &head, sizeof(head));
    out->used += sizeof(head) + (size_t)got;
    return got;
}

/* --- to read ----------------------------------------------------------------------------- */

static int fill(struct cl_copy_in *in)
{
    ssize_t got;

    do
        got = cl_sys_read(in->fd, in->data, sizeof(in->data));
    while (got == -EINTR);
    if (got <= 0)
        return got < 0 ? (int)got : -EPIPE;
    in->at = 0;
    in->end = (size_t)got;
    return 0;
}

ssize_t cl_copy_get_some(struct cl_copy_in *in, uint64_t most, const char **ret)
{
    int r = in->at == in->end ? fill(in) : 0;

    if (r < 0)
        return r;
    size_t there = in->end - in->at;
    size_t count = most < there ? (size_t)most : there;

    *ret = in->data + in->at;
    in->at += count;
    return (ssize_t)count;
}

int cl_copy_get(struct cl_copy_in *in, void *ret, size_t size)
{
    char *to = ret;

    while (size > 0) {
        const char *from = NULL;
        ssize_t got = cl_copy_get_some(in, size, &from);

        if (got < 0)
            return (int)got;
        memcpy(to, from, (size_t)got);
        to += got;
        size -= (size_t)got;
    }
    return 0;
}
