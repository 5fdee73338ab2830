#include "worker/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"

enum { NAME_SIZE = 16, PIECE = 64 };

static void name_of(uint32_t number, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "%u", number);
}

static int make_directory(int at, const char *name, struct cl_error *err)
{
    int r = cl_sys_mkdirat(at, name, 0700);
    int fd = r < 0 ? r : cl_sys_openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

    return fd < 0 ? cl_fail(err, fd, "make the guests' directory %s", name) : fd;
}

int cl_scratch_init(struct cl_scratch *ret, int root, size_t most, struct cl_error *err)
{
    *ret = CL_SCRATCH_INIT;
    ret->most = most;
    ret->clean = cl_calloc(most, sizeof(*ret->clean));
    if (ret->clean == NULL)
        return cl_fail_memory(err);
    ret->guests = make_directory(root, ".guests", err);
    ret->trash = ret->guests < 0 ? -1 : make_directory(root, ".trash", err);
    if (ret->trash >= 0)
        return 0;
    cl_scratch_done(ret);
    return -err->code;
}

void cl_scratch_done(struct cl_scratch *scratch)
{
    cl_fd_close(&scratch->guests);
    cl_fd_close(&scratch->trash);
    free(scratch->clean);
    scratch->clean = NULL;
}

/* --- taking and giving --------------------------------------------------------------------- */

/* All of it, or nothing: what is half made would be there for ever, and take of the disk. */
static int make(struct cl_scratch *scratch, uint32_t number)
{
    char name[NAME_SIZE];

    name_of(number, name);
    int r = cl_sys_mkdirat(scratch->guests, name, 0700);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int fd =
        cl_sys_openat(scratch->guests, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    r = fd < 0 ? fd : cl_sys_mkdirat(fd, "tmp", 0700);
    if (r == 0)
        return CL_TAKE_FD(fd);
    (void)cl_sys_unlinkat(scratch->guests, name, AT_REMOVEDIR); /* nobody was in it */
    return r;
}

int cl_scratch_take(struct cl_scratch *scratch, uint32_t *ret_number)
{
    char name[NAME_SIZE];
    int fd;

    if (scratch->clean_count == 0) {
        const uint32_t number = scratch->made++;

        fd = make(scratch, number);
        if (fd >= 0)
            *ret_number = number;
        return fd;
    }
    const uint32_t number = scratch->clean[scratch->clean_count - 1];
    name_of(number, name);
    fd = cl_sys_openat(scratch->guests, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    scratch->clean_count--;
    *ret_number = number;
    return fd;
}

/* Whether it is. Where it can't be moved it stays, and no guest gets it again. */
static int throw_away(struct cl_scratch *scratch, int at, const char *name)
{
    char thrown[NAME_SIZE];

    name_of(scratch->thrown++, thrown);
    if (cl_sys_renameat(at, name, scratch->trash, thrown) < 0)
        return 0;
    scratch->has_trash = 1;
    return 1;
}

void cl_scratch_give(struct cl_scratch *scratch, uint32_t number, int is_used)
{
    char name[NAME_SIZE];

    if (!is_used && scratch->clean_count < scratch->most) {
        scratch->clean[scratch->clean_count++] = number;
        return;
    }
    name_of(number, name);
    (void)throw_away(scratch, scratch->guests, name);
}

/* --- taking down --------------------------------------------------------------------------- */

/* Empties a directory, whose directories go beside it: a tree however deep becomes a list, and is
 * taken down without a path or a stack. Looks at *LEFT names at most; whether any has gone. */
static int empty(struct cl_scratch *scratch, const char *name, int *left)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(scratch->trash, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    struct cl_dir dir;
    const char *entry;
    int has_gone = 0;

    if (fd < 0)
        return 0;
    cl_dir_start(&dir, fd);
    for (; *left > 0 && cl_dir_next(&dir, &entry, NULL) > 0; --*left) {
        int r = cl_sys_unlinkat(fd, entry, 0);

        if (r == 0 || (r == -EISDIR && throw_away(scratch, fd, entry)))
            has_gone = 1;
    }
    return has_gone;
}

/* What can't be removed isn't tried for ever: it waits for what is thrown away next. */
void cl_scratch_work(struct cl_scratch *scratch)
{
    struct cl_dir dir;
    const char *entry;
    int left = PIECE;
    int has_gone = 0;

    if (cl_sys_lseek(scratch->trash, 0, SEEK_SET) == 0) {
        cl_dir_start(&dir, scratch->trash);
        for (; left > 0 && cl_dir_next(&dir, &entry, NULL) > 0; left--) {
            has_gone |= empty(scratch, entry, &left);
            has_gone |= cl_sys_unlinkat(scratch->trash, entry, AT_REMOVEDIR) == 0;
        }
    }
    scratch->has_trash = has_gone;
}
