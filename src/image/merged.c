/* A walk from "/" down. `done` is what is behind: directories, without links. For the next name
 * the layers are asked from the top, down to `lowest`: what is below that is hidden. */
#include "image/merged.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"

enum {
    PATH_SIZE = 2048,
    MAX_TURNS = 40,
    MAX_BYTES = 8 << 20, /* of the paths that the kernel looks up, together */
    WHITEOUT = 0
};

struct walk {
    int layers;
    const struct cl_strlist *names;
    size_t lowest;
    size_t done_size;
    size_t asked_bytes;   /* of all that was looked up so far */
    char done[PATH_SIZE]; /* "/a/b" or "" */
    char rest[PATH_SIZE];
    int turns;   /* what led elsewhere so far: links and ".." */
    int no_link; /* a link at the end is itself what is looked for */
    int found;   /* what was looked for */
};

/* What layer number LAYER has at `done`; not followed when it is a link. */
static int open_in(struct walk *walk, size_t layer)
{
    char path[CL_LAYER_TREE_SIZE + PATH_SIZE];
    char tree[CL_LAYER_TREE_SIZE];

    walk->asked_bytes += CL_LAYER_TREE_SIZE + walk->done_size;
    if (walk->asked_bytes > MAX_BYTES)
        return -ELOOP;
    (void)snprintf(path, sizeof(path), "%s%s", cl_layer_tree(walk->names->items[layer], tree),
                   walk->done);
    return cl_open_no_links(walk->layers, path, O_PATH | O_NOFOLLOW);
}

/* 1, 0 or -errno. An O_PATH descriptor has no attributes. */
static int is_opaque(int dir)
{
    char value[2];
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0)
        return fd;
    ssize_t size = cl_sys_fgetxattr(fd, "user.overlay.opaque", value, sizeof(value));
    if (size == -ENODATA || size == -EOPNOTSUPP || size == -ERANGE)
        return 0;
    return size < 0 ? (int)size : size == 1 && value[0] == 'y';
}

/* What the layers show at `done`, and of what kind it is. Where MORE follows and it is a directory,
 * `lowest` becomes that of the layers which have a part in it. */
static int look(struct walk *walk, int more, struct stat *ret)
{
    CL_CLEANUP_FD int found = -1;

    for (size_t i = walk->names->count; i-- > walk->lowest;) {
        struct stat st;
        CL_CLEANUP_FD int fd = open_in(walk, i);

        if (fd == -ENOENT)
            continue;
        int r = fd < 0 ? fd : cl_sys_fstat(fd, &st);
        if (r < 0)
            return r;
        if (found >= 0 && !S_ISDIR(st.st_mode)) { /* it is hidden itself, and hides the rest */
            walk->lowest = i + 1;
            break;
        }
        if (S_ISCHR(st.st_mode) && st.st_rdev == WHITEOUT)
            return -ENOENT;
        if (found < 0)
            *ret = st;
        if (!more || !S_ISDIR(st.st_mode))
            return CL_TAKE_FD(fd);
        r = is_opaque(fd);
        if (r < 0)
            return r;
        if (found < 0)
            found = CL_TAKE_FD(fd);
        if (r > 0) {
            walk->lowest = i;
            break;
        }
    }
    return found >= 0 ? CL_TAKE_FD(found) : -ENOENT;
}

/* Puts TEXT, of SIZE bytes, and a slash before `rest`. */
static int put_before(struct walk *walk, const char *text, size_t size)
{
    size_t rest = strlen(walk->rest) + 1;

    if (size + 1 + rest > sizeof(walk->rest))
        return -ENAMETOOLONG;
    memmove(walk->rest + size + 1, walk->rest, rest);
    memcpy(walk->rest, text, size);
    walk->rest[size] = '/';
    return 0;
}

static int take_turn(struct walk *walk)
{
    return ++walk->turns > MAX_TURNS ? -ELOOP : 0;
}

static void cut_done(struct walk *walk, size_t size)
{
    walk->done_size = size;
    walk->done[size] = '\0';
}

static void drop_name(struct walk *walk)
{
    const char *slash = strrchr(walk->done, '/');

    cut_done(walk, slash == NULL ? 0 : (size_t)(slash - walk->done));
}

static void start_again(struct walk *walk)
{
    cut_done(walk, 0);
    walk->lowest = 0;
}

/* "..": which layers have a part in the parent is found on the way down to it. */
static int go_up(struct walk *walk)
{
    char parent[PATH_SIZE];
    int r = take_turn(walk);

    if (r < 0)
        return r;
    drop_name(walk);
    size_t size = walk->done_size;
    memcpy(parent, walk->done, size);
    start_again(walk);
    return put_before(walk, parent, size);
}

static int follow(struct walk *walk, int link)
{
    char target[PATH_SIZE];
    int r = take_turn(walk);

    if (r < 0)
        return r;
    ssize_t size = cl_sys_readlinkat(link, "", target, sizeof(target));
    if (size < 0)
        return (int)size;
    if ((size_t)size == sizeof(target))
        return -ENAMETOOLONG;
    if (target[0] == '/')
        start_again(walk);
    else
        drop_name(walk);
    return put_before(walk, target, (size_t)size);
}

/* Moves the next name of `rest` to `done`: 1, 0 when there is none, or -ENAMETOOLONG. */
static int take_name(struct walk *walk, const char **ret)
{
    size_t start = strspn(walk->rest, "/");
    size_t size = strcspn(walk->rest + start, "/");
    const size_t before = walk->done_size;

    if (size == 0)
        return 0;
    if (before + 1 + size >= sizeof(walk->done))
        return -ENAMETOOLONG;
    walk->done[before] = '/';
    memcpy(walk->done + before + 1, walk->rest + start, size);
    cut_done(walk, before + 1 + size);
    memmove(walk->rest, walk->rest + start + size, strlen(walk->rest + start + size) + 1);
    *ret = walk->done + before + 1;
    return 1;
}

/* On with what is at `done`: 0 when there is more to walk, 1 when it is what is looked for. */
static int visit(struct walk *walk)
{
    struct stat st;
    const int more = walk->rest[strspn(walk->rest, "/")] != '\0';
    CL_CLEANUP_FD int fd = look(walk, more, &st);

    if (fd < 0)
        return fd;
    if (S_ISLNK(st.st_mode) && (more || !walk->no_link))
        return follow(walk, fd);
    if (more)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    walk->found = CL_TAKE_FD(fd);
    return 1;
}

static int step(struct walk *walk)
{
    const char *name;
    int r = take_name(walk, &name);

    if (r < 0)
        return r;
    if (r == 0) /* behind a "." or "..", and nothing follows */
        return visit(walk);
    if (strcmp(name, ".") == 0) {
        drop_name(walk);
        return 0;
    }
    if (strcmp(name, "..") != 0)
        return visit(walk);
    drop_name(walk);
    return go_up(walk);
}

static int open_path(struct walk *walk, const char *path)
{
    int r = path[0] == '\0' ? -ENOENT : put_before(walk, path, strlen(path));

    CL_ASSERT(walk->names->count > 0);
    while (r == 0)
        r = step(walk);
    return r < 0 ? r : walk->found;
}

int cl_merged_open(int layers, const struct cl_strlist *names, const char *path)
{
    struct walk walk = {.layers = layers, .names = names, .found = -1};

    return open_path(&walk, path);
}

int cl_merged_lstat(int layers, const struct cl_strlist *names, const char *path, struct stat *ret)
{
    struct walk walk = {.layers = layers, .names = names, .found = -1, .no_link = 1};
    CL_CLEANUP_FD int fd = open_path(&walk, path);

    return fd < 0 ? fd : cl_sys_fstat(fd, ret);
}
