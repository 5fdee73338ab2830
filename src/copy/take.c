#include "copy/take.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"
#include "copy/link.h"

enum { PERMISSIONS = 0777, OPEN_MODE = 0700, FILE_MODE = 0600, NS_PER_S = 1000000000 };

struct level {
    int fd;
    int is_made; /* by us: it gets its mode and time when it is full */
    size_t path_size;
    struct cl_copy_entry entry;
};

struct walk {
    struct cl_copy_taker *taker;
    const struct cl_copy_place *place;
    struct cl_copy_path path;
    struct level *levels;
    size_t depth;
    char name[CL_COPY_NAME_MAX + 1]; /* of what has just come */
};

static void walk_done(struct walk *walk)
{
    while (walk->depth > 0)
        cl_fd_close(&walk->levels[--walk->depth].fd);
    free(walk->levels);
}

static int fail_get(int r, struct cl_error *err)
{
    if (r == -EPIPE)
        return cl_refuse(err, EPIPE, "the copy ends early");
    return cl_fail(err, r, "receive the copy");
}

static int fail_stream(struct cl_error *err)
{
    return cl_refuse(err, EPROTO, "what came is no copy of files");
}

/* --- what comes -------------------------------------------------------------------------- */

static int get_entry(struct walk *walk, struct cl_copy_entry *ret, struct cl_error *err)
{
    struct cl_copy_in *in = walk->taker->in;
    int r = cl_copy_get(in, ret, sizeof(*ret));

    if (r < 0)
        return fail_get(r, err);
    if (ret->kind < CL_COPY_DIR || ret->kind > CL_COPY_END || ret->name_size > CL_COPY_NAME_MAX ||
        ret->mtime_ns >= NS_PER_S)
        return fail_stream(err);
    r = cl_copy_get(in, walk->name, ret->name_size);
    if (r < 0)
        return fail_get(r, err);
    walk->name[ret->name_size] = '\0';
    return strlen(walk->name) == ret->name_size ? 0 : fail_stream(err);
}

static int count_entry(struct walk *walk, struct cl_error *err)
{
    struct cl_copy_taker *taker = walk->taker;

    if (taker->entries == taker->most_entries)
        return cl_refuse(err, E2BIG, "more than %" PRIu64 " files are to be copied",
                         taker->most_entries);
    taker->entries++;
    return 0;
}

static int count_bytes(struct walk *walk, uint64_t size, struct cl_error *err)
{
    struct cl_copy_taker *taker = walk->taker;

    if (size > taker->most_bytes - taker->bytes)
        return cl_refuse(err, EMSGSIZE, "more than %" PRIu64 " bytes are to be copied",
                         taker->most_bytes);
    taker->bytes += size;
    return 0;
}

static void leave_out(struct walk *walk, const char *name, int why)
{
    const struct cl_copy_taker *taker = walk->taker;
    const size_t before = cl_copy_path_enter(&walk->path, name);

    if (taker->left_out != NULL)
        taker->left_out(taker->context, walk->path.text, why);
    cl_copy_path_leave(&walk->path, before);
}

static int dress(int fd, const struct cl_copy_entry *entry, const char *path, struct cl_error *err)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = entry->mtime_s, .tv_nsec = (long)entry->mtime_ns},
    };
    int r = cl_sys_fchmod(fd, entry->mode & PERMISSIONS);

    if (r == 0)
        r = cl_sys_utimensat(fd, NULL, times, 0);
    return r < 0 ? cl_fail(err, r, "set mode and time of %s", path) : 0;
}

/* --- files ------------------------------------------------------------------------------- */

/* A new one, in the place of what was there: no link is followed, nobody's open file changed. */
static int make_file(const struct walk *walk, int dir, const char *name, struct cl_error *err)
{
    const int how = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    int fd = cl_sys_openat(dir, name, how, FILE_MODE);

    if (fd == -EEXIST) {
        int r = cl_sys_unlinkat(dir, name, 0);

        if (r < 0)
            return cl_fail(err, r, "replace %s", walk->path.text);
        fd = cl_sys_openat(dir, name, how, FILE_MODE);
    }
    return fd < 0 ? cl_fail(err, fd, "make %s", walk->path.text) : fd;
}

static int take_bytes(struct walk *walk, int fd, uint64_t size, struct cl_error *err)
{
    while (size > 0) {
        const char *data;
        ssize_t got = cl_copy_get_some(walk->taker->in, size, &data);

        if (got < 0)
            return fail_get((int)got, err);
        int r = cl_write_all(fd, data, (size_t)got);
        if (r < 0)
            return cl_fail(err, r, "write %s", walk->path.text);
        size -= (uint64_t)got;
    }
    return 0;
}

static int take_content(struct walk *walk, int fd, struct cl_error *err)
{
    uint64_t size = 0; /* so far */
    int is_hole = 0;

    for (;;) {
        uint64_t head;
        int r = cl_copy_get(walk->taker->in, &head, sizeof(head));

        if (r < 0)
            return fail_get(r, err);
        if (head == 0)
            break;
        const uint64_t count = head & ~CL_COPY_HOLE;
        is_hole = (head & CL_COPY_HOLE) != 0;
        if (count == 0)
            return fail_stream(err); /* nothing, for ever, is in no bound */
        r = count_bytes(walk, count, err);
        if (r < 0)
            return r;
        size += count; /* most_bytes bounds it */
        off_t at = is_hole ? cl_sys_lseek(fd, (off_t)size, SEEK_SET) : 0;
        if (at < 0)
            return cl_fail(err, (int)at, "write %s", walk->path.text);
        r = is_hole ? 0 : take_bytes(walk, fd, count, err);
        if (r < 0)
            return r;
    }
    int r = is_hole ? cl_sys_ftruncate(fd, (off_t)size) : 0;
    return r < 0 ? cl_fail(err, r, "write %s", walk->path.text) : 0;
}

static int take_file(struct walk *walk, int dir, const char *name,
                     const struct cl_copy_entry *entry, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = make_file(walk, dir, name, err);

    if (fd < 0)
        return fd;
    int r = take_content(walk, fd, err);
    return r < 0 ? r : dress(fd, entry, walk->path.text, err);
}

/* --- links ------------------------------------------------------------------------------- */

static int make_link(struct walk *walk, int dir, const char *name, const char *target,
                     struct cl_error *err)
{
    int r = cl_sys_symlinkat(target, dir, name);

    if (r == -EEXIST) {
        r = cl_sys_unlinkat(dir, name, 0);
        if (r == 0)
            r = cl_sys_symlinkat(target, dir, name);
    }
    if (r == 0)
        return 0;
    (void)cl_copy_path_enter(&walk->path, name);
    return cl_fail(err, r, "make the link %s", walk->path.text);
}

static int take_link(struct walk *walk, int dir, const struct cl_copy_entry *entry,
                     struct cl_error *err)
{
    char target[CL_COPY_TARGET_MAX + 1];

    if (entry->value == 0 || entry->value > CL_COPY_TARGET_MAX)
        return fail_stream(err);
    int r = cl_copy_get(walk->taker->in, target, entry->value);
    if (r < 0)
        return fail_get(r, err);
    target[entry->value] = '\0';
    if (strlen(target) != entry->value)
        return fail_stream(err);
    if (walk->taker->any_links || cl_copy_link_stays(target, walk->depth - 1))
        return make_link(walk, dir, walk->name, target, err);
    leave_out(walk, walk->name, EXDEV);
    return 0;
}

/* --- directories --------------------------------------------------------------------------- */

/* The directory NAME, made or found: a descriptor. */
static int make_dir(struct walk *walk, int dir, const char *name, struct level *level,
                    struct cl_error *err)
{
    int r = cl_sys_mkdirat(dir, name, OPEN_MODE);

    level->is_made = r == 0;
    if (r < 0 && r != -EEXIST)
        return cl_fail(err, r, "make the directory %s", walk->path.text);
    level->fd = cl_sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (level->fd == -ENOTDIR || level->fd == -ELOOP)
        return cl_refuse(err, ENOTDIR, "copy a directory to %s: something else is there",
                         walk->path.text);
    return level->fd < 0 ? cl_fail(err, level->fd, "open the directory %s", walk->path.text) : 0;
}

static int enter(struct walk *walk, int dir, const char *name, const struct cl_copy_entry *entry,
                 struct cl_error *err)
{
    if (walk->depth == CL_COPY_DEPTH_MAX)
        return fail_stream(err);
    struct level *level = &walk->levels[walk->depth];

    *level = (struct level){.entry = *entry, .fd = -1};
    level->path_size = walk->path.size;
    if (walk->depth > 0)
        (void)cl_copy_path_enter(&walk->path, name);
    int r = make_dir(walk, dir, name, level, err);
    if (r == 0)
        walk->depth++;
    return r;
}

static int leave(struct walk *walk, struct cl_error *err)
{
    struct level *level = &walk->levels[walk->depth - 1];
    int r = level->is_made ? dress(level->fd, &level->entry, walk->path.text, err) : 0;

    cl_fd_close(&level->fd);
    cl_copy_path_leave(&walk->path, level->path_size);
    walk->depth--;
    return r;
}

/* --- all of it --------------------------------------------------------------------------- */

/* The first entry, whose name the place says. */
static int take_top(struct walk *walk, struct cl_error *err)
{
    const struct cl_copy_place *place = walk->place;
    const char *name = place->name[0] != '\0' ? place->name : ".";
    struct cl_copy_entry entry;
    int r = get_entry(walk, &entry, err);

    if (r == 0)
        r = count_entry(walk, err);
    if (r < 0)
        return r;
    if (entry.kind == CL_COPY_DIR)
        return enter(walk, place->dir, name, &entry, err);
    if (entry.kind != CL_COPY_FILE)
        return fail_stream(err);
    if (place->name[0] == '\0')
        return cl_refuse(err, ENOTDIR, "copy a file as the entries of a directory");
    if (place->only_dir)
        return cl_refuse(err, ENOENT, "copy to %s: there is no such directory", place->shown.text);
    return take_file(walk, place->dir, name, &entry, err);
}

static int take_entry(struct walk *walk, const struct cl_copy_entry *entry, struct cl_error *err)
{
    const int dir = walk->levels[walk->depth - 1].fd;

    if (entry->kind == CL_COPY_UP)
        return leave(walk, err);
    if (entry->kind == CL_COPY_END || !cl_copy_is_name(walk->name))
        return fail_stream(err);
    int r = count_entry(walk, err);
    if (r < 0)
        return r;
    if (entry->kind == CL_COPY_DIR)
        return enter(walk, dir, walk->name, entry, err);
    if (entry->kind == CL_COPY_FILE) {
        const size_t before = cl_copy_path_enter(&walk->path, walk->name);

        r = take_file(walk, dir, walk->name, entry, err);
        cl_copy_path_leave(&walk->path, before);
        return r;
    }
    if (entry->kind == CL_COPY_LINK)
        return take_link(walk, dir, entry, err);
    leave_out(walk, walk->name, (int)(entry->value & 0xfff)); /* an errno is less (errno(3)) */
    return 0;
}

int cl_copy_take(struct cl_copy_taker *taker, const struct cl_copy_place *place,
                 struct cl_error *err)
{
    CL_CLEANUP(walk_done)
    struct walk walk = {.taker = taker, .place = place, .path = place->shown};
    struct cl_copy_entry entry;

    walk.levels = cl_calloc(CL_COPY_DEPTH_MAX, sizeof(*walk.levels));
    if (walk.levels == NULL)
        return cl_fail_memory(err);
    int r = take_top(&walk, err);
    while (r == 0 && walk.depth > 0) {
        r = get_entry(&walk, &entry, err);
        if (r == 0)
            r = take_entry(&walk, &entry, err);
    }
    if (r == 0)
        r = get_entry(&walk, &entry, err);
    if (r < 0)
        return r;
    return entry.kind == CL_COPY_END ? 0 : fail_stream(err);
}
