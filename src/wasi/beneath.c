#include "wasi/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/sys.h"

enum { MAX_LINKS = 40 /* as the kernel (path_resolution(7)) */, CAME_SIZE = 1024 };

struct walk {
    int root;             /* borrowed */
    int here;             /* the directory that has been reached; -1: root */
    char came[CAME_SIZE]; /* the names from root to here, each with a slash behind it */
    int is_far;           /* they were more: there is no way back */
    char ahead[PATH_MAX]; /* what is still to be walked */
    size_t at;            /* where in `ahead` */
    int links;
};

static int place_of(const struct walk *walk)
{
    return walk->here >= 0 ? walk->here : walk->root;
}

/* The next name, cut out of what is ahead; NULL: there is none. *RET_IS_LAST: nothing follows, not
 * even a slash. */
static char *next_name(struct walk *walk, int *ret_is_last)
{
    char *name = walk->ahead + walk->at;

    name += strspn(name, "/");
    const size_t size = strcspn(name, "/");
    if (size == 0)
        return NULL;
    *ret_is_last = name[size] == '\0';
    walk->at = (size_t)(name - walk->ahead) + size + (*ret_is_last ? 0 : 1);
    name[size] = '\0';
    return name;
}

/* What the link NAME says comes in its place, before what is ahead of it. IS_LAST: nothing is. */
__attribute__((noinline)) /* its text must not lie in its caller's frame */
static int
follow(struct walk *walk, const char *name, int is_last)
{
    char text[PATH_MAX];
    const ssize_t size = cl_sys_readlinkat(place_of(walk), name, text, sizeof(text) - 1);

    if (size < 0)
        return (int)size;
    if (++walk->links > MAX_LINKS)
        return -ELOOP;
    if (size == 0)
        return -ENOENT;
    if (text[0] == '/')
        return -EXDEV;
    const size_t rest = is_last ? 0 : strlen(walk->ahead + walk->at) + 1; /* with its slash */
    if ((size_t)size + rest >= sizeof(walk->ahead))
        return -ENAMETOOLONG;
    if (!is_last) {
        memmove(walk->ahead + size + 1, walk->ahead + walk->at, rest); /* and its NUL */
        walk->ahead[size] = '/';
    } else {
        walk->ahead[size] = '\0';
    }
    memcpy(walk->ahead, text, (size_t)size);
    walk->at = 0;
    return 0;
}

/* Into the directory NAME, which is no link. */
static int enter(struct walk *walk, const char *name)
{
    const size_t used = strlen(walk->came);
    const size_t size = strlen(name);

    int fd = cl_sys_openat(place_of(walk), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    cl_fd_close(&walk->here);
    walk->here = fd;
    walk->is_far |= used + size + 2 > sizeof(walk->came);
    if (!walk->is_far) {
        memcpy(walk->came + used, name, size);
        memcpy(walk->came + used + size, "/", 2);
    }
    return 0;
}

/* Back to the directory that this one was entered from. */
__attribute__((noinline)) /* as follow */
static int
leave(struct walk *walk)
{
    char names[CAME_SIZE];
    size_t end = strlen(walk->came);
    int r = 0;

    if (walk->is_far)
        return -ENAMETOOLONG;
    if (end == 0)
        return -EXDEV;
    for (end--; end > 0 && walk->came[end - 1] != '/'; end--)
        ;
    memcpy(names, walk->came, end);
    cl_fd_close(&walk->here);
    walk->came[0] = '\0';
    for (size_t at = 0; r == 0 && at < end; at += strlen(names + at) + 1) {
        names[at + strcspn(names + at, "/")] = '\0';
        r = enter(walk, names + at);
    }
    return r;
}

/* Through NAME, of which something follows; IS_LAST: to NAME, which is "..". */
static int pass(struct walk *walk, const char *name, int is_last)
{
    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0)
        return leave(walk);
    int r = enter(walk, name);
    if (r != -ENOTDIR && r != -ELOOP)
        return r;
    r = follow(walk, name, is_last);
    return r == -EINVAL ? -ENOTDIR : r; /* it is no link, and no directory */
}

static int is_link(int fd)
{
    struct stat st;

    return cl_sys_fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* The last name: opened, or -EAGAIN when it was a link that is to be walked now. */
static int open_last(struct walk *walk, const char *name, int flags, mode_t mode)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(place_of(walk), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    const int may_be_link =
        fd == -ELOOP || fd == -ENOTDIR || (fd >= 0 && (flags & O_PATH) != 0 && is_link(fd));

    if ((flags & O_NOFOLLOW) != 0 || !may_be_link)
        return CL_TAKE_FD(fd);
    const int why = fd;
    int r = follow(walk, name, 1);
    if (r == -EINVAL)
        return why; /* none: so it was about something else */
    return r < 0 ? r : -EAGAIN;
}

static int is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Whether nothing but slashes follows. */
static int is_at_slash(const struct walk *walk, int is_last)
{
    const char *rest = walk->ahead + walk->at;

    return !is_last && rest[strspn(rest, "/")] == '\0';
}

static int go(struct walk *walk, int flags, mode_t mode)
{
    for (;;) {
        int is_last = 0;
        const char *name = next_name(walk, &is_last);
        int r;

        if (name == NULL) /* a slash, "." or ".." was the end */
            return cl_sys_openat(place_of(walk), ".", flags | O_CLOEXEC, mode);
        if (is_last && !is_dots(name)) {
            r = open_last(walk, name, flags, mode);
            if (r != -EAGAIN)
                return r;
            continue;
        }
        if ((flags & O_CREAT) != 0 && is_at_slash(walk, is_last))
            return -EISDIR; /* a directory is not made so */
        r = pass(walk, name, is_last);
        if (r < 0)
            return r;
    }
}

int cl_beneath_open(int directory, const char *path, int flags, mode_t mode)
{
    struct walk walk = {.root = directory, .here = -1};
    const size_t size = strlen(path);

    if (size == 0)
        return -ENOENT;
    if (path[0] == '/')
        return -EXDEV;
    if (size >= sizeof(walk.ahead))
        return -ENAMETOOLONG;
    memcpy(walk.ahead, path, size + 1);
    int r = go(&walk, flags, mode);
    cl_fd_close(&walk.here);
    return r;
}
