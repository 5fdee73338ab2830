/* fuzz_copy.c - copies out of a sandbox: any bytes make a tree within its bounds, or an error.
 * Whatever they are, nothing appears beside the tree, nothing in it is anything but a file, a
 * directory or a link, no link leads out of it, and no descriptor stays open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "copy/take.h"
#include "empty_dir.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_INPUT = 1 << 20,
    MAX_BYTES = 1 << 20,
    MAX_ENTRIES = 64,
    RESOLVE_BENEATH_ = 0x08,
};

/* The directory that has the tree alone. */
static char outer_path[] = "/dev/shm/cloister-fuzz-copy-XXXXXX";
static int outer = -1;

static void remove_outer(void)
{
    (void)rmdir(outer_path); /* not empty after a crash, when it is of use */
}

int LLVMFuzzerInitialize(CL_UNUSED int *argc, CL_UNUSED char ***argv)
{
    CL_ASSERT(mkdtemp(outer_path) != NULL && atexit(remove_outer) == 0);
    outer = open(outer_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CL_ASSERT(outer >= 0);
    return 0;
}

static int stream_of(const uint8_t *data, size_t size)
{
    int fd = cl_sys_memfd_create("stream", 1 /* MFD_CLOEXEC */);

    CL_ASSERT(fd >= 0 && cl_write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* --- what may be there; it is removed when it was looked at -------------------------------- */

struct found {
    int top;
    uint64_t names, bytes;
};

static void check_dir(struct found *found, int dir);

/* By the kernel's judgement, from the directory of the link, for which the tree is all there is:
 * so whatever it leads to lies in the tree, or isn't there. */
static void check_link(const struct found *found, int dir, const char *name)
{
    const struct cl_open_how beneath = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH_};
    char target[CL_COPY_TARGET_MAX + 1];
    char top_path[256];
    char dir_path[4096];
    char proc[64];
    static char way[sizeof(dir_path) + CL_COPY_NAME_MAX + 2];

    CL_ASSERT(readlinkat(dir, name, target, sizeof(target)) > 0 && target[0] != '/');
    (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", found->top);
    ssize_t top_size = readlink(proc, top_path, sizeof(top_path));
    (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dir);
    ssize_t dir_size = readlink(proc, dir_path, sizeof(dir_path) - 1);
    if (dir_size < 0)
        return; /* deeper than a path goes */
    CL_ASSERT(top_size > 0 && dir_size >= top_size &&
              memcmp(top_path, dir_path, (size_t)top_size) == 0);
    dir_path[dir_size] = '\0';
    (void)snprintf(way, sizeof(way), ".%s/%s", dir_path + top_size, name);
    CL_CLEANUP_FD int fd = cl_sys_openat2(found->top, way, &beneath);
    CL_ASSERT(fd != -EXDEV);
}

static void check_one(struct found *found, int dir, const char *name)
{
    struct stat st;

    CL_ASSERT(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
    CL_ASSERT(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
    CL_ASSERT(S_ISLNK(st.st_mode) || (st.st_mode & 07000) == 0);
    CL_ASSERT(st.st_uid == geteuid() && st.st_nlink == (S_ISDIR(st.st_mode) ? st.st_nlink : 1));
    found->names++;
    if (S_ISREG(st.st_mode))
        found->bytes += (uint64_t)st.st_size;
    if (S_ISLNK(st.st_mode))
        check_link(found, dir, name);
    if (!S_ISDIR(st.st_mode))
        return;
    CL_ASSERT(fchmodat(dir, name, 0700, 0) == 0);
    CL_CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    CL_ASSERT(fd >= 0);
    check_dir(found, fd);
}

static void check_dir(struct found *found, int dir)
{
    struct cl_dir entries;
    const char *name;
    int r;

    cl_dir_start(&entries, dir);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0)
        check_one(found, dir, name);
    CL_ASSERT(r == 0);
}

/* The tree "it" is a file or a directory, and all that is there. */
static void check_outer(struct found *found)
{
    struct cl_dir entries;
    struct stat st;
    const char *name;

    CL_ASSERT(lseek(outer, 0, SEEK_SET) == 0);
    cl_dir_start(&entries, outer);
    if (cl_dir_next(&entries, &name, NULL) == 0)
        return;
    CL_ASSERT(strcmp(name, "it") == 0 && cl_dir_next(&entries, &name, NULL) == 0);
    CL_ASSERT(fstatat(outer, "it", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode));
    if (S_ISDIR(st.st_mode))
        CL_ASSERT(fchmodat(outer, "it", 0700, 0) == 0);
    CL_CLEANUP_FD int top = openat(outer, "it", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    found->top = top;
    check_one(found, outer, "it");
}

/* Which descriptor would be the next: the same as before, when none was left open. */
static int next_fd(void)
{
    CL_CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return fd;
}

static void left_out(void *context, const char *path, CL_UNUSED int why)
{
    uint64_t *count = context;

    CL_ASSERT(strlen(path) > 0 && strlen(path) < CL_COPY_PATH_MAX);
    (*count)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_copy_in in;
    CL_CLEANUP(cl_copy_place_done) struct cl_copy_place place = CL_COPY_PLACE_INIT;
    struct found found = {.top = -1};
    struct cl_error err = {0};
    uint64_t left = 0;
    char path[64];

    if (size > MAX_INPUT)
        return -1;
    CL_CLEANUP_FD int stream = stream_of(data, size);
    in = (struct cl_copy_in){.fd = stream};
    struct cl_copy_taker taker = {
        .in = &in,
        .most_bytes = MAX_BYTES,
        .most_entries = MAX_ENTRIES,
        .left_out = left_out,
        .context = &left,
    };
    (void)snprintf(path, sizeof(path), "%s/it", outer_path);
    CL_ASSERT(cl_copy_place_open(path, "", &place, &err) == 0);
    const int next = next_fd();
    int r = cl_copy_take(&taker, &place, &err);

    CL_ASSERT(next_fd() == next);
    CL_ASSERT(r < 0 ? err.code == -r && err.msg[0] != '\0' && strchr(err.msg, '\n') == NULL
                    : r == 0 && err.code == 0);
    check_outer(&found);
    CL_ASSERT(found.bytes <= taker.bytes && taker.bytes <= MAX_BYTES);
    CL_ASSERT(found.names + left <= taker.entries && taker.entries <= MAX_ENTRIES);
    CL_ASSERT(lseek(outer, 0, SEEK_SET) == 0);
    empty_dir(outer);
    return 0;
}
