/* fuzz_unpack.c - layers: any bytes make a directory within its bounds, or an error. Whatever
 * they are, nothing appears beside the directory, nothing in it is a device but a whiteout,
 * overlay's marks say only what names said, and no descriptor stays open. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "helpers/image/remove.h"
#include "helpers/image/unpack.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK = 512, MAX_INPUT = 1 << 20, MAX_BYTES = 1 << 20, MAX_ENTRIES = 64 };

/* The directory that has the layer's alone. */
static char outer_path[] = "/dev/shm/cloister-fuzz-unpack-XXXXXX";
static int outer = -1;

static void remove_outer(void)
{
    (void)rmdir(outer_path); /* not empty after a crash, when it is of use */
}

static int has_one_id; /* of a user namespace */

/* So that modes and owners can be set. A process with threads, which the fuzzer has later, can't
 * enter one. */
static void enter_namespace(void)
{
    char map[32];
    const uid_t uid = geteuid();
    const gid_t gid = getegid();

    if (cl_sys_unshare(CLONE_NEWUSER) < 0)
        return;
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
    CL_ASSERT(cl_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") == 0);
    CL_ASSERT(cl_write_file(AT_FDCWD, "/proc/self/uid_map", map) == 0);
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)gid);
    CL_ASSERT(cl_write_file(AT_FDCWD, "/proc/self/gid_map", map) == 0);
    has_one_id = 1;
}

int LLVMFuzzerInitialize(CL_UNUSED int *argc, CL_UNUSED char ***argv)
{
    CL_ASSERT(mkdtemp(outer_path) != NULL && atexit(remove_outer) == 0);
    outer = open(outer_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CL_ASSERT(outer >= 0);
    enter_namespace();
    return 0;
}

/* The fuzzer can't know a header's sum. What has POSIX's or GNU's magic gets the right one. */
static void mend_checksums(char *data, size_t size)
{
    for (char *block = data; size >= BLOCK; block += BLOCK, size -= BLOCK) {
        unsigned int sum = 8 * ' ';
        char digits[8];

        if (memcmp(block + 257, "ustar", 5) != 0)
            continue;
        for (size_t i = 0; i < BLOCK; i++)
            sum += i - 148 < 8 ? 0 : (unsigned char)block[i];
        (void)snprintf(digits, sizeof(digits), "%06o", sum);
        memcpy(block + 148, digits, sizeof(digits));
    }
}

static int stream_of(const uint8_t *data, size_t size)
{
    static char copy[MAX_INPUT];
    int fd = cl_sys_memfd_create("layer", 1 /* MFD_CLOEXEC */);

    memcpy(copy, data, size);
    mend_checksums(copy, size);
    CL_ASSERT(fd >= 0 && cl_write_all(fd, copy, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* --- what may be there -------------------------------------------------------------------- */

struct found {
    uint64_t names, bytes;
};

static void check_xattrs(int fd)
{
    char names[4096];
    char value[4] = "";
    ssize_t size = flistxattr(fd, names, sizeof(names));

    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        const char *name = names + at;

        if (strcmp(name, "user.overlay.opaque") == 0)
            CL_ASSERT(fgetxattr(fd, name, value, sizeof(value)) == 1 && value[0] == 'y');
        else
            CL_ASSERT((strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0) ||
                      strcmp(name, "security.capability") == 0);
    }
}

static void check_tree(int dir, struct found *found);

static void check_one(int dir, const char *name, struct found *found)
{
    struct stat status;

    CL_ASSERT(fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    CL_ASSERT(!S_ISBLK(status.st_mode) && !S_ISSOCK(status.st_mode));
    CL_ASSERT(!S_ISCHR(status.st_mode) || status.st_rdev == 0);
    CL_ASSERT(strncmp(name, ".wh.", 4) != 0);
    CL_ASSERT(!has_one_id || (status.st_uid == 0 && status.st_gid == 0));
    found->names++;
    if (S_ISREG(status.st_mode))
        found->bytes += (uint64_t)status.st_size / status.st_nlink;
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
        return;
    CL_CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    CL_ASSERT(fd >= 0);
    check_xattrs(fd);
    if (S_ISDIR(status.st_mode))
        check_tree(fd, found);
}

static void check_tree(int dir, struct found *found)
{
    struct cl_dir entries;
    const char *name;
    int r;

    cl_dir_start(&entries, dir);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0)
        check_one(dir, name, found);
    CL_ASSERT(r == 0);
}

static void check_outside(void)
{
    struct cl_dir entries;
    const char *name;

    CL_ASSERT(lseek(outer, 0, SEEK_SET) == 0);
    cl_dir_start(&entries, outer);
    CL_ASSERT(cl_dir_next(&entries, &name, NULL) == 1 && strcmp(name, "layer") == 0);
    CL_ASSERT(cl_dir_next(&entries, &name, NULL) == 0);
}

static void remove_layer(void)
{
    struct cl_tally tally = {0};
    struct cl_error err = {0};
    struct stat status;

    CL_ASSERT(fstatat(outer, "layer", &status, AT_SYMLINK_NOFOLLOW) == 0);
    CL_ASSERT(cl_remove(outer, "layer", &status, &tally, &err) == 0);
}

/* Which descriptor would be the next: the same as before, when none was left open. */
static int next_fd(void)
{
    CL_CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_unpack_report report = {0};
    struct cl_error err = {0};
    struct found found = {0};

    if (size > MAX_INPUT)
        return -1;
    CL_ASSERT(mkdirat(outer, "layer", 0755) == 0);
    CL_CLEANUP_FD int root = openat(outer, "layer", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CL_CLEANUP_FD int stream = stream_of(data, size);
    const struct cl_unpack unpack = {.stream = stream,
                                     .root = root,
                                     .report = -1,
                                     .max_bytes = MAX_BYTES,
                                     .max_entries = MAX_ENTRIES};
    const int next = next_fd();
    int r = cl_unpack_run(&unpack, &report, &err);

    CL_ASSERT(next_fd() == next);
    CL_ASSERT(r < 0 ? err.code == -r && err.msg[0] != '\0' && strchr(err.msg, '\n') == NULL
                    : r == 0 && lseek(stream, 0, SEEK_CUR) == (off_t)size);
    CL_CLEANUP_FD int layer = openat(outer, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check_xattrs(layer);
    check_tree(layer, &found);
    check_outside();
    CL_ASSERT(found.names <= MAX_ENTRIES && found.bytes <= MAX_BYTES);
    CL_ASSERT(r < 0 || (report.entries >= found.names && report.bytes <= MAX_BYTES));
    remove_layer();
    return 0;
}
