#include "image/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

static const char locks_file[] = "locks";
static const char layout[] = "{\"imageLayoutVersion\": \"1.0.0\"}\n";

/* All that a store has but its files; parents first. */
static const char *const directories[] = {
    "blobs",  "blobs/sha256", "chains", "downloads", "images", "launch",
    "layers", "leases",       "names",  "refs",      "trash",  "work",
};

void cl_store_done(struct cl_store *store)
{
    cl_fd_close(&store->dir);
}

/* --- where it is ------------------------------------------------------------ */

static int choose_path(char path[CL_STORE_PATH_SIZE], struct cl_error *err)
{
    const char *own = secure_getenv("CLOISTER_STORE"); // NOLINT(concurrency-mt-unsafe): one thread
    const char *base = getenv("XDG_DATA_HOME");        // NOLINT(concurrency-mt-unsafe)
    const char *below = "/cloister/images";

    if (own != NULL && own[0] == '\0')
        own = NULL;
    if (own != NULL && own[0] != '/')
        return cl_refuse(err, EINVAL, "CLOISTER_STORE must be an absolute path, not \"%.200s\"",
                         own);
    if (own != NULL) {
        base = own;
        below = "";
    } else if (geteuid() == 0) {
        base = "/var/lib";
    } else if (base == NULL || base[0] != '/') {
        base = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
        below = "/.local/share/cloister/images";
    }
    if (base == NULL || base[0] != '/')
        return cl_refuse(err, ENOENT, "there is no place for images: set HOME or XDG_DATA_HOME");
    int size = snprintf(path, CL_STORE_PATH_SIZE, "%s%s", base, below);
    if (size < 0 || size >= CL_STORE_PATH_SIZE)
        return cl_refuse(err, ENAMETOOLONG, "the path of the image store is too long");
    return 0;
}

static int check(const struct cl_store *store, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(store->dir, &st);

    if (r < 0)
        return cl_fail(err, r, "look at the image store %s", store->path);
    if (st.st_uid != geteuid())
        return cl_refuse(err, EPERM,
                         "the image store %s belongs to uid %u; name another by "
                         "CLOISTER_STORE",
                         store->path, (unsigned int)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return cl_refuse(err, EPERM, "the image store %s is open to others; run chmod 700 on it",
                         store->path);
    return 0;
}

int cl_store_hint(const struct cl_store *store, int r, struct cl_error *err)
{
    if (r == -ENOSPC || r == -EDQUOT)
        return cl_hint(err,
                       "the disk of %s is full: `cloister prune --images` removes what nobody "
                       "uses, CLOISTER_STORE names another place",
                       store->path);
    if (r == -EROFS)
        return cl_hint(err, "CLOISTER_STORE names another place");
    return r;
}

/* --- opening ---------------------------------------------------------------- */

/* The layout's file is made last: where it is, all was. 1, 0 or -errno. */
static int is_whole(const struct cl_store *store)
{
    int r = cl_sys_faccessat(store->dir, "oci-layout", F_OK);

    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* The file exists before it is needed: to lock it takes no room then. */
static int make_locks(const struct cl_store *store, struct cl_error *err)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(store->dir, locks_file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);

    if (fd >= 0)
        return 0;
    (void)cl_fail(err, fd, "make %s/%s", store->path, locks_file);
    return cl_store_hint(store, fd, err);
}

/* Also what went from a store that was whole. */
static int make_inside(const struct cl_store *store, int whole, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++) {
        int r = cl_sys_mkdirat(store->dir, directories[i], 0700);

        if (r < 0 && r != -EEXIST) {
            (void)cl_fail(err, r, "make %s/%s", store->path, directories[i]);
            return cl_store_hint(store, r, err);
        }
    }
    if (whole)
        return 0;
    int r = make_locks(store, err);
    return r < 0 ? r : cl_store_put(store, "oci-layout", layout, sizeof(layout) - 1, err);
}

static int open_directory(const char *path)
{
    return cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

static int open_or_make_directory(const char *path)
{
    int fd = open_directory(path);

    if (fd != -ENOENT)
        return fd;
    int r = cl_dir_make_path(path, geteuid() == 0 ? 0711 : 0700, 0700);
    return r < 0 ? r : open_directory(path);
}

int cl_store_open(int make, struct cl_store *ret, struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    int r = choose_path(store.path, err);

    if (r < 0)
        return r;
    store.dir = make ? open_or_make_directory(store.path) : open_directory(store.path);
    if (store.dir == -ENOENT && !make)
        return -ENOENT;
    if (store.dir < 0) {
        r = cl_fail(err, store.dir, "open the image store %s", store.path);
        return cl_store_hint(&store, r, err);
    }
    r = check(&store, err);
    if (r < 0)
        return r;
    r = is_whole(&store);
    if (r < 0)
        return cl_fail(err, r, "look at the image store %s", store.path);
    if (r == 0 && !make)
        return -ENOENT;
    if (make)
        r = make_inside(&store, r, err);
    if (r < 0)
        return r;
    *ret = store;
    store.dir = -1;
    return 0;
}

/* --- locks ------------------------------------------------------------------ */

/* Sixty bits of the digest, and above them two that say what is locked. */
static off_t lock_offset(enum cl_store_lock lock, const struct cl_digest *digest)
{
    uint64_t number = 0;

    if (lock == CL_STORE_COLLECT)
        return 0;
    for (size_t i = 0; i < 15; i++) {
        const char digit = digest->hex[i];

        number = number << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return (off_t)(number | (uint64_t)lock << 60);
}

int cl_store_lock(const struct cl_store *store, enum cl_store_lock lock,
                  const struct cl_digest *digest, int how)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(store->dir, locks_file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    struct flock range = {
        .l_type = (how & CL_LOCK_EXCLUSIVE) != 0 ? F_WRLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = lock_offset(lock, digest),
        .l_len = 1,
    };

    if (fd < 0)
        return fd;
    int r = cl_sys_fcntl_lock(fd, (how & CL_LOCK_WAIT) != 0 ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    if (r < 0)
        return r == -EACCES ? -EAGAIN : r;
    return CL_TAKE_FD(fd);
}

/* --- files ------------------------------------------------------------------ */

void cl_store_name(const char *directory, const struct cl_digest *digest,
                   char ret[CL_STORE_NAME_SIZE])
{
    int size = snprintf(ret, CL_STORE_NAME_SIZE, "%s/%s", directory, digest->hex);

    CL_ASSERT(size > 0 && size < CL_STORE_NAME_SIZE);
}

static int put_new(const struct cl_store *store, const char *name, const void *data, size_t size)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(store->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);

    return fd < 0 ? fd : cl_write_all(fd, data, size);
}

int cl_store_put(const struct cl_store *store, const char *name, const void *data, size_t size,
                 struct cl_error *err)
{
    char temporary[CL_STORE_NAME_SIZE];
    uint64_t random = 0;

    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return cl_fail(err, EIO, "getrandom");
    (void)snprintf(temporary, sizeof(temporary), "%snew-%016llx",
                   strcmp(name, "oci-layout") == 0 ? "" : "work/", (unsigned long long)random);
    int r = put_new(store, temporary, data, size);
    if (r == 0)
        r = cl_sys_renameat(store->dir, temporary, store->dir, name);
    if (r == 0)
        return 0;
    (void)cl_sys_unlinkat(store->dir, temporary, 0); /* it may not be there at all */
    (void)cl_fail(err, r, "write %s/%s", store->path, name);
    return cl_store_hint(store, r, err);
}

int cl_store_remove(const struct cl_store *store, const char *name, struct cl_error *err)
{
    int r = cl_sys_unlinkat(store->dir, name, 0);

    return r < 0 && r != -ENOENT ? cl_fail(err, r, "remove %s/%s", store->path, name) : 0;
}

int cl_store_sync(const struct cl_store *store, struct cl_error *err)
{
    int r = (int)CL_SYS1(SYS_syncfs, store->dir);

    return r < 0 ? cl_fail(err, r, "sync the file system of %s", store->path) : 0;
}
