#include "copy/send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

enum { BLOCK = 512, PERMISSIONS = 07777 }; /* stat(2) */

struct level {
    int fd;
    size_t path_size; /* of the way to the directory that it is in */
    struct cl_dir dir;
};

struct walk {
    const struct cl_copy_sender *sender;
    struct cl_copy_path path;
    struct level *levels;
    size_t depth;
};

static void walk_done(struct walk *walk)
{
    while (walk->depth > 0)
        cl_fd_close(&walk->levels[--walk->depth].fd);
    free(walk->levels);
}

static struct cl_copy_entry entry_of(enum cl_copy_kind kind, const struct stat *st)
{
    return (struct cl_copy_entry){
        .kind = (uint16_t)kind,
        .mode = st->st_mode & PERMISSIONS,
        .mtime_s = st->st_mtim.tv_sec,
        .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
    };
}

static int fail_put(int r, struct cl_error *err)
{
    return cl_fail(err, r, "send the copy");
}

/* WHY is an errno, 0 for a kind that is not copied. What was removed meanwhile might as well have
 * been before. */
static int leave_out(struct walk *walk, const char *name, int why, struct cl_error *err)
{
    const struct cl_copy_entry entry = {.kind = CL_COPY_LEFT, .value = (uint32_t)why};
    const struct cl_copy_sender *sender = walk->sender;

    if (why == ENOENT)
        return 0;
    const size_t before = cl_copy_path_enter(&walk->path, name);
    if (sender->left_out != NULL)
        sender->left_out(sender->context, walk->path.text, why);
    cl_copy_path_leave(&walk->path, before);
    int r = cl_copy_put_entry(sender->out, &entry, name);
    return r < 0 ? fail_put(r, err) : 0;
}

/* --- files ------------------------------------------------------------------------------- */

static int put_hole(struct cl_copy_out *out, uint64_t size)
{
    const uint64_t head = size | CL_COPY_HOLE;

    return size == 0 ? 0 : cl_copy_put(out, &head, sizeof(head));
}

/* A reading error in the middle ends the copy: half of a file is none. */
static int send_range(struct walk *walk, int fd, off_t from, off_t to, struct cl_error *err)
{
    while (from < to) {
        ssize_t got = cl_copy_put_chunk(walk->sender->out, fd, (uint64_t)(to - from));

        if (got < 0)
            return cl_fail(err, (int)got, "copy %s", walk->path.text);
        if (got == 0)
            return 0; /* somebody cut it meanwhile */
        from += got;
    }
    return 0;
}

/* The next data at or behind AT of a file of SIZE bytes; SIZE where only a hole is left. */
static off_t find_data(int fd, off_t at, off_t size)
{
    off_t data = cl_sys_lseek(fd, at, SEEK_DATA);

    return data == -ENXIO || data > size ? size : data;
}

/* Sends the hole from *AT on and the data behind it, and moves it there. */
static int send_extent(struct walk *walk, int fd, off_t *at, off_t size, struct cl_error *err)
{
    off_t data = find_data(fd, *at, size);
    off_t hole = data < 0 || data == size ? data : cl_sys_lseek(fd, data, SEEK_HOLE);
    if (hole == -ENXIO) /* somebody has cut it there */
        hole = size;
    off_t back = hole < 0 ? hole : cl_sys_lseek(fd, data, SEEK_SET);

    if (back < 0)
        return cl_fail(err, (int)back, "look for holes in %s", walk->path.text);
    hole = hole < size ? hole : size;
    int r = put_hole(walk->sender->out, (uint64_t)(data - *at));
    if (r < 0)
        return fail_put(r, err);
    *at = hole;
    return send_range(walk, fd, data, hole, err);
}

static int send_sparse(struct walk *walk, int fd, off_t size, struct cl_error *err)
{
    int r = 0;

    for (off_t at = 0; r == 0 && at < size;)
        r = send_extent(walk, fd, &at, size, err);
    return r;
}

static int send_content(struct walk *walk, int fd, const struct stat *st, struct cl_error *err)
{
    const uint64_t end = 0;
    const int is_sparse = st->st_blocks < (st->st_size + BLOCK - 1) / BLOCK;
    int r = is_sparse ? send_sparse(walk, fd, st->st_size, err)
                      : send_range(walk, fd, 0, st->st_size, err);

    if (r < 0)
        return r;
    r = cl_copy_put(walk->sender->out, &end, sizeof(end));
    return r < 0 ? fail_put(r, err) : 0;
}

/* What NAME is now, who looked before may have seen something else: a FIFO doesn't block. */
static int send_file(struct walk *walk, int dir, const char *name, struct cl_error *err)
{
    struct stat st = {0};
    CL_CLEANUP_FD int fd =
        cl_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    int r = fd < 0 ? fd : cl_sys_fstat(fd, &st);

    if (r < 0)
        return leave_out(walk, name, -r, err);
    if (!S_ISREG(st.st_mode))
        return leave_out(walk, name, 0, err);
    const struct cl_copy_entry entry = entry_of(CL_COPY_FILE, &st);
    r = cl_copy_put_entry(walk->sender->out, &entry, name);
    if (r < 0)
        return fail_put(r, err);
    const size_t before = cl_copy_path_enter(&walk->path, name);
    r = send_content(walk, fd, &st, err);
    cl_copy_path_leave(&walk->path, before);
    return r;
}

/* --- links and directories ----------------------------------------------------------------- */

static int send_link(struct walk *walk, int dir, const char *name, const struct stat *st,
                     struct cl_error *err)
{
    struct cl_copy_entry entry = entry_of(CL_COPY_LINK, st);
    char target[CL_COPY_TARGET_MAX + 1];
    ssize_t size = cl_sys_readlinkat(dir, name, target, sizeof(target));

    if (size < 0 || size > CL_COPY_TARGET_MAX)
        return leave_out(walk, name, size < 0 ? -(int)size : ENAMETOOLONG, err);
    entry.value = (uint32_t)size;
    int r = cl_copy_put_entry(walk->sender->out, &entry, name);
    if (r == 0)
        r = cl_copy_put(walk->sender->out, target, (size_t)size);
    return r < 0 ? fail_put(r, err) : 0;
}

/* Begins the directory FD, which is taken. */
static int enter(struct walk *walk, int fd, const char *name, struct cl_error *err)
{
    CL_CLEANUP_FD int dir = fd;
    struct stat st = {0};
    int r = cl_sys_fstat(dir, &st);

    if (r < 0)
        return cl_fail(err, r, "look at %s", name);
    const struct cl_copy_entry entry = entry_of(CL_COPY_DIR, &st);
    r = cl_copy_put_entry(walk->sender->out, &entry, name);
    if (r < 0)
        return fail_put(r, err);
    struct level *level = &walk->levels[walk->depth++];
    level->path_size = walk->path.size;
    if (walk->depth > 1)
        (void)cl_copy_path_enter(&walk->path, name);
    level->fd = CL_TAKE_FD(dir);
    cl_dir_start(&level->dir, level->fd);
    return 0;
}

static int send_dir(struct walk *walk, int dir, const char *name, struct cl_error *err)
{
    if (walk->depth == CL_COPY_DEPTH_MAX)
        return leave_out(walk, name, ELOOP, err);
    int fd = cl_sys_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    return fd < 0 ? leave_out(walk, name, -fd, err) : enter(walk, fd, name, err);
}

static int send_entry(struct walk *walk, int dir, const char *name, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);

    if (r < 0)
        return leave_out(walk, name, -r, err);
    if (S_ISREG(st.st_mode))
        return send_file(walk, dir, name, err);
    if (S_ISDIR(st.st_mode))
        return send_dir(walk, dir, name, err);
    if (S_ISLNK(st.st_mode))
        return send_link(walk, dir, name, &st, err);
    return leave_out(walk, name, 0, err);
}

static int leave(struct walk *walk, struct cl_error *err)
{
    const struct cl_copy_entry up = {.kind = CL_COPY_UP};
    struct level *level = &walk->levels[--walk->depth];

    cl_fd_close(&level->fd);
    cl_copy_path_leave(&walk->path, level->path_size);
    int r = cl_copy_put_entry(walk->sender->out, &up, "");
    return r < 0 ? fail_put(r, err) : 0;
}

static int send_level(struct walk *walk, struct cl_error *err)
{
    struct level *level = &walk->levels[walk->depth - 1];
    const char *name;
    int r = cl_dir_next(&level->dir, &name, NULL);

    if (r == -ENOENT) /* removed meanwhile, and so empty */
        return leave(walk, err);
    if (r < 0)
        return cl_fail(err, r, "read the directory %s", walk->path.text);
    return r == 0 ? leave(walk, err) : send_entry(walk, level->fd, name, err);
}

/* --- the top ----------------------------------------------------------------------------- */

static int send_top(struct walk *walk, const char *path, struct cl_error *err)
{
    struct stat st;
    CL_CLEANUP_FD int place = cl_sys_openat(AT_FDCWD, path, O_PATH, 0);
    int r = place < 0 ? place : cl_sys_fstat(place, &st);

    if (r < 0)
        return cl_fail(err, r, "copy %s", path);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return cl_refuse(err, EINVAL, "copy %s: it is neither a file nor a directory", path);
    int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return cl_fail(err, fd, "copy %s", path);
    if (S_ISDIR(st.st_mode))
        return enter(walk, fd, "", err);
    CL_CLEANUP_FD int file = fd;
    r = cl_sys_fstat(file, &st);
    if (r < 0 || !S_ISREG(st.st_mode))
        return cl_fail(err, r < 0 ? r : -EINVAL, "copy %s", path);
    const struct cl_copy_entry entry = entry_of(CL_COPY_FILE, &st);
    r = cl_copy_put_entry(walk->sender->out, &entry, "");
    return r < 0 ? fail_put(r, err) : send_content(walk, file, &st, err);
}

int cl_copy_send(const struct cl_copy_sender *sender, const char *path, struct cl_error *err)
{
    const struct cl_copy_entry end = {.kind = CL_COPY_END};
    CL_CLEANUP(walk_done) struct walk walk = {.sender = sender};

    walk.levels = cl_calloc(CL_COPY_DEPTH_MAX, sizeof(*walk.levels));
    if (walk.levels == NULL)
        return cl_fail_memory(err);
    (void)cl_copy_path_enter(&walk.path, path);
    int r = send_top(&walk, path, err);
    while (r == 0 && walk.depth > 0)
        r = send_level(&walk, err);
    if (r < 0)
        return r;
    r = cl_copy_put_entry(sender->out, &end, "");
    if (r == 0)
        r = cl_copy_flush(sender->out);
    return r < 0 ? fail_put(r, err) : 0;
}
