#include "base/seal.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/sys.h"

enum {
    MEMFD_CLOEXEC = 1,
    MEMFD_ALLOW_SEALING = 2,
    MEMFD_EXEC = 0x10,     /* Linux 6.3; said because a host may make "not" the default */
    GET_SEALS = 1024 + 10, /* F_LINUX_SPECIFIC_BASE */
    ADD_SEALS = 1024 + 9,
    ALL_SEALS = 0xf, /* no more seals, no shrinking, growing, writing */
    PATH_SIZE = 4096,
};

static int is_safe(int exe, const char *path, struct cl_error *err)
{
    struct stat st;
    int seals = cl_sys_fcntl(exe, GET_SEALS, 0);
    if (seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS)
        return 1;
    int r = cl_sys_fstat(exe, &st);
    if (r < 0)
        return cl_fail(err, r, "stat %.200s", path);
    /* An owner who may not write it can allow it to themselves. */
    return st.st_uid != geteuid() && cl_sys_faccessat(AT_FDCWD, path, W_OK) < 0;
}

static int make_memfd(void)
{
    int fd = cl_sys_memfd_create("cloister", MEMFD_CLOEXEC | MEMFD_ALLOW_SEALING | MEMFD_EXEC);

    return fd == -EINVAL ? cl_sys_memfd_create("cloister", MEMFD_CLOEXEC | MEMFD_ALLOW_SEALING)
                         : fd;
}

static int copy_sealed(int exe, struct cl_error *err)
{
    CL_CLEANUP_FD int copy = make_memfd();
    ssize_t sent;

    if (copy < 0)
        return cl_fail(err, copy, "memfd_create");
    do {
        sent = cl_sys_sendfile(copy, exe, 1 << 24);
    } while (sent > 0 || sent == -EINTR);
    if (sent < 0)
        return cl_fail(err, (int)sent, "copy the program into memory");
    int r = cl_sys_fcntl(copy, ADD_SEALS, ALL_SEALS);
    return r < 0 ? cl_fail(err, r, "seal the program's copy") : CL_TAKE_FD(copy);
}

/* ARGV with PATH for its first string; allocated. */
static char **name_arguments(char *const argv[], char *path)
{
    size_t count = 0;

    while (argv[count] != NULL)
        count++;
    char **named = cl_calloc(count + 1, sizeof(*named));
    if (named == NULL)
        return NULL;
    memcpy(named, argv, count * sizeof(*named));
    named[0] = path;
    return named;
}

int cl_seal_self(char *const argv[], struct cl_error *err)
{
    char path[PATH_SIZE];

    if (geteuid() == 0)
        return 0;
    CL_CLEANUP_FD int exe = cl_sys_openat(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);

    if (exe < 0)
        return cl_fail(err, exe, "open /proc/self/exe");
    int safe = is_safe(exe, "/proc/self/exe", err);
    if (safe != 0)
        return safe < 0 ? safe : 0;
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof(path) - 1);
    if (size < 0)
        return cl_fail(err, (int)size, "read /proc/self/exe");
    path[size] = '\0';
    char **named = name_arguments(argv, path);
    if (named == NULL)
        return cl_fail_memory(err);
    CL_CLEANUP_FD int copy = copy_sealed(exe, err);
    int r = copy < 0 ? copy : cl_sys_execveat(copy, "", named, environ, AT_EMPTY_PATH);
    free(named);
    if (copy >= 0)
        (void)cl_fail(err, r, "execute the sealed copy of the program");
    return cl_hint(err, "install cloister where this user can't write it (make install as root)");
}

int cl_seal_open(const char *path, struct cl_error *err)
{
    CL_CLEANUP_FD int file = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);

    if (file < 0)
        return cl_fail(err, file, "open %.200s", path);
    if (geteuid() == 0)
        return CL_TAKE_FD(file);
    int safe = is_safe(file, path, err);
    if (safe < 0)
        return safe;
    return safe > 0 ? CL_TAKE_FD(file) : copy_sealed(file, err);
}

/* --- a mount that can't be written ----------------------------------------------------------- */

static int is_read_only(int exe)
{
    struct statfs fs;

    return cl_sys_fstatfs(exe, &fs) == 0 && (fs.f_flags & ST_RDONLY) != 0;
}

static int open_read_only(int exe)
{
    const struct cl_mount_attr attr = {.attr_set = CL_MOUNT_ATTR_RDONLY};
    CL_CLEANUP_FD int tree =
        cl_sys_open_tree(exe, "", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);
    int r = tree < 0 ? tree : cl_sys_mount_setattr(tree, "", CL_AT_EMPTY_PATH, &attr);

    return r < 0 ? r : CL_TAKE_FD(tree);
}

int cl_seal_mount(char *const argv[], struct cl_error *err)
{
    char path[PATH_SIZE];
    CL_CLEANUP_FD int exe = cl_sys_openat(AT_FDCWD, "/proc/self/exe", O_PATH, 0);

    if (exe < 0)
        return cl_fail(err, exe, "open /proc/self/exe");
    if (is_read_only(exe))
        return 0;
    CL_CLEANUP_FD int tree = open_read_only(exe);
    if (tree < 0)
        return cl_seal_self(argv, err);
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof(path) - 1);
    if (size < 0)
        return cl_fail(err, (int)size, "read /proc/self/exe");
    path[size] = '\0';
    CL_CLEANUP_FREE char **named = name_arguments(argv, path);
    if (named == NULL)
        return cl_fail_memory(err);
    int r = cl_sys_execveat(tree, "", named, environ, AT_EMPTY_PATH);
    return cl_fail(err, r, "execute the program from a read-only mount");
}
