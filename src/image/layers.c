#include "image/layers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/boot.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"

enum { RECORD_CAP = 64 << 10, PATH_SIZE = 160, MANY_TRIES = 1000 };

static const char link_prefix[] = "../layers/";

static void path_of(const char *directory, const char *name, const char *file, char ret[PATH_SIZE])
{
    int size =
        snprintf(ret, PATH_SIZE, "%s/%s%s%s", directory, name, file[0] == '\0' ? "" : "/", file);

    CL_ASSERT(size > 0 && size < PATH_SIZE);
}

/* --- finding ---------------------------------------------------------------- */

int cl_layer_read(const struct cl_store *store, const char *name, struct cl_arena *arena,
                  struct cl_layer_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(RECORD_CAP);
    char path[PATH_SIZE];

    path_of("layers", name, "record", path);
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, path, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return cl_fail(err, fd, "open %s/%s", store->path, path);
    int r = cl_read_all(fd, path, &buf, err);
    if (r < 0)
        return r;
    const struct cl_bytes bytes = {cl_arena_strndup(arena, cl_buf_text(&buf), buf.size), buf.size};
    if (bytes.data == NULL)
        return cl_fail_memory(err);
    struct cl_layer_record record = {0};
    r = cl_flat_read(&cl_layer_shape, &bytes, arena, &record, err);
    if (r < 0)
        return cl_prefix(err, "%s/%s", store->path, path);
    *ret = record;
    return 0;
}

/* Whether the layer NAME is CHAIN's: a link that a killed process left may stand for a number
 * that is another layer's by now. 0, -ENOENT, or another -errno with a message. */
static int check_chain(const struct cl_store *store, const char *name,
                       const struct cl_digest *chain, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(RECORD_CAP);
    struct cl_layer_record record = {0};
    char text[CL_DIGEST_TEXT_SIZE];
    int r = cl_layer_read(store, name, &arena, &record, err);

    if (r == -ENOENT || r == -EBADMSG)
        return -ENOENT;
    if (r < 0)
        return r;
    return record.chain != NULL && strcmp(record.chain, cl_digest_format(chain, text)) == 0
               ? 0
               : -ENOENT;
}

/* A layer that was made in an earlier boot and had not been synced is none. As above. */
static int check_mark(const struct cl_store *store, const char *name, struct cl_error *err)
{
    char path[PATH_SIZE];
    char made[CL_BOOT_ID_SIZE] = "";
    char now[CL_BOOT_ID_SIZE];

    path_of("layers", name, "unsynced", path);
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, path, O_RDONLY | O_NOFOLLOW, 0);
    if (fd == -ENOENT)
        return 0;
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, made, sizeof(made) - 1);
    if (got < 0)
        return cl_fail(err, (int)got, "read %s/%s", store->path, path);
    int r = cl_boot_id(now, err);
    if (r < 0)
        return r;
    return strcmp(made, now) == 0 ? 0 : -ENOENT;
}

int cl_layer_find(const struct cl_store *store, const struct cl_digest *chain,
                  char ret_name[CL_LAYER_NAME_SIZE], struct cl_error *err)
{
    struct cl_error why = {0};
    char link[CL_STORE_NAME_SIZE];
    char target[PATH_SIZE];

    cl_store_name("chains", chain, link);
    ssize_t size = cl_sys_readlinkat(store->dir, link, target, sizeof(target) - 1);
    if (size == -ENOENT)
        return -ENOENT;
    if (size < 0)
        return cl_fail(err, (int)size, "read %s/%s", store->path, link);
    target[size] = '\0';
    const char *name = target + sizeof(link_prefix) - 1;
    if (strncmp(target, link_prefix, sizeof(link_prefix) - 1) != 0 || !cl_layer_name_is_valid(name))
        return -ENOENT; /* not ours: as good as none, and replaced */
    int r = check_chain(store, name, chain, &why);
    if (r == 0)
        r = check_mark(store, name, &why);
    if (r == -ENOENT)
        return -ENOENT;
    if (r < 0) {
        *err = why;
        return r;
    }
    memcpy(ret_name, name, strlen(name) + 1); /* it is valid */
    return 0;
}

uint64_t cl_layer_bytes(const struct cl_store *store, const char *name)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(RECORD_CAP);
    struct cl_layer_record record = {0};
    struct cl_error ignored;

    return cl_layer_read(store, name, &arena, &record, &ignored) < 0 ? 0 : record.disk_bytes;
}

/* --- making ----------------------------------------------------------------- */

void cl_layer_work_done(struct cl_layer_work *work)
{
    cl_fd_close(&work->tree);
    cl_fd_close(&work->lock);
}

static int highest_number(const struct cl_store *store, const char *directory, uint64_t *highest)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, directory, O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;
    uint64_t number;
    int r;

    if (fd < 0)
        return fd;
    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        if (cl_layer_name_is_valid(name) && cl_parse_u64(name, &number) == 0)
            *highest = cl_max_u64(*highest, number);
    }
    return r;
}

/* Makes work/NAME, which others don't make then: 0, -EEXIST when the number is another's, also
 * one's that has become a layer since we looked. */
static int claim_number(const struct cl_store *store, const char *name)
{
    char path[PATH_SIZE];

    path_of("work", name, "", path);
    int r = cl_sys_mkdirat(store->dir, path, 0700);
    if (r < 0)
        return r;
    path_of("layers", name, "", path);
    r = cl_sys_faccessat(store->dir, path, F_OK);
    if (r == -ENOENT)
        return 0;
    path_of("work", name, "", path);
    (void)cl_sys_unlinkat(store->dir, path, AT_REMOVEDIR); /* or the next sweep */
    return r < 0 ? r : -EEXIST;
}

/* A directory of a number that no layer has, under work/. The places are those of a layer's
 * life in their order, so that none is missed on its way. */
static int make_directory(const struct cl_store *store, char name[CL_LAYER_NAME_SIZE],
                          struct cl_error *err)
{
    static const char *const places[] = {"work", "layers", "trash"};
    uint64_t number = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < CL_ARRAY_SIZE(places); i++)
        r = highest_number(store, places[i], &number);
    if (r < 0)
        return cl_fail(err, r, "look through %s", store->path);
    for (int i = 0; i < MANY_TRIES; i++) {
        (void)snprintf(name, CL_LAYER_NAME_SIZE, "%llu", (unsigned long long)++number);
        r = claim_number(store, name);
        if (r != -EEXIST)
            break;
    }
    if (r == 0)
        return 0;
    (void)cl_fail(err, r, "make %s/work/%s", store->path, name);
    return cl_store_hint(store, r, err);
}

/* What is inside; `chain` says whose lock guards it. */
static int furnish(const struct cl_store *store, struct cl_layer_work *work, struct cl_error *err)
{
    char path[PATH_SIZE];

    path_of("work", work->name, "chain", path);
    int r = cl_store_put(store, path, work->chain.hex, strlen(work->chain.hex), err);
    if (r < 0)
        return r;
    path_of("work", work->name, "tree", path);
    r = cl_sys_mkdirat(store->dir, path, 0755);
    if (r == 0)
        r = work->tree = cl_sys_openat(store->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (r >= 0)
        r = cl_sys_fchmod(work->tree, 0755); /* whatever the umask is */
    if (r >= 0)
        return 0;
    (void)cl_fail(err, r, "make %s/%s", store->path, path);
    return cl_store_hint(store, r, err);
}

int cl_layer_begin(const struct cl_store *store, const struct cl_digest *chain, int wait,
                   struct cl_layer_work *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_layer_work_done) struct cl_layer_work work = CL_LAYER_WORK_INIT;
    char name[CL_LAYER_NAME_SIZE];

    work.chain = *chain;
    work.lock =
        cl_store_lock(store, CL_STORE_CHAIN, chain, CL_LOCK_EXCLUSIVE | (wait ? CL_LOCK_WAIT : 0));
    if (work.lock == -EAGAIN)
        return -EAGAIN;
    if (work.lock < 0)
        return cl_fail(err, work.lock, "lock a layer in %s", store->path);
    int r = cl_layer_find(store, chain, name, err);
    if (r != -ENOENT)
        return r < 0 ? r : -EEXIST;
    CL_CLEANUP_FD int collect =
        cl_store_lock(store, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED | CL_LOCK_WAIT);
    if (collect < 0)
        return cl_fail(err, collect, "lock %s", store->path);
    r = make_directory(store, work.name, err);
    if (r == 0)
        r = furnish(store, &work, err);
    if (r < 0)
        return r;
    *ret = work;
    work = CL_LAYER_WORK_INIT;
    return 0;
}

static int write_record(const struct cl_store *store, const struct cl_layer_work *work,
                        const struct cl_layer_record *record, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(RECORD_CAP);
    char boot[CL_BOOT_ID_SIZE];
    char path[PATH_SIZE];
    int r = cl_flat_write(&cl_layer_shape, record, &buf, err);

    if (r == 0)
        r = cl_boot_id(boot, err);
    if (r < 0)
        return r;
    path_of("work", work->name, "unsynced", path);
    r = cl_store_put(store, path, boot, strlen(boot), err);
    if (r < 0)
        return r;
    path_of("work", work->name, "record", path);
    return cl_store_put(store, path, buf.data, buf.size, err);
}

static int fail_to_commit(const struct cl_store *store, int r, const char *what, const char *path,
                          struct cl_error *err)
{
    (void)cl_fail(err, r, "%s %s/%s", what, store->path, path);
    return cl_store_hint(store, r, err);
}

/* A link can't be made in the place of another: it is made beside it and renamed. It is made
 * while the layer is still in work/, as it may be what there is no room for. */
static int make_link(const struct cl_store *store, const struct cl_layer_work *work,
                     struct cl_error *err)
{
    char target[PATH_SIZE];
    char made[PATH_SIZE];

    path_of("../layers", work->name, "", target);
    path_of("work", work->name, "link", made);
    int r = cl_sys_symlinkat(target, store->dir, made);
    return r < 0 ? fail_to_commit(store, r, "make", made, err) : 0;
}

/* Makes work/NAME's link chains/<hex>. It leads nowhere until the layer is there, and that is as
 * good as none: whoever is killed meanwhile leaves no layer that nobody finds. */
static int announce(const struct cl_store *store, const struct cl_layer_work *work,
                    const char *link, struct cl_error *err)
{
    char made[PATH_SIZE];

    path_of("work", work->name, "link", made);
    int r = cl_sys_renameat(store->dir, made, store->dir, link);
    return r < 0 ? fail_to_commit(store, r, "link", link, err) : 0;
}

static int put_in_place(const struct cl_store *store, const struct cl_layer_work *work,
                        struct cl_error *err)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    char link[CL_STORE_NAME_SIZE];

    cl_store_name("chains", &work->chain, link);
    int r = announce(store, work, link, err);
    if (r < 0)
        return r;
    path_of("work", work->name, "", from);
    path_of("layers", work->name, "", to);
    r = cl_sys_renameat(store->dir, from, store->dir, to);
    if (r == 0)
        return 0;
    (void)cl_sys_unlinkat(store->dir, link, 0); /* else the next collection */
    return fail_to_commit(store, r, "make a layer of", from, err);
}

int cl_layer_commit(const struct cl_store *store, struct cl_layer_work *work,
                    const struct cl_layer_record *record, struct cl_error *err)
{
    int r = write_record(store, work, record, err);

    if (r == 0)
        r = make_link(store, work, err);
    if (r < 0)
        return r;
    /* A collection finds what a lease needs by its link: it must not come between the two. */
    CL_CLEANUP_FD int collect =
        cl_store_lock(store, CL_STORE_COLLECT, NULL, CL_LOCK_SHARED | CL_LOCK_WAIT);
    if (collect < 0)
        return cl_fail(err, collect, "lock %s", store->path);
    r = put_in_place(store, work, err);
    if (r == 0)
        cl_layer_work_done(work);
    return r;
}

int cl_layer_mark_synced(const struct cl_store *store, const char *name, struct cl_error *err)
{
    char path[PATH_SIZE];

    path_of("layers", name, "unsynced", path);
    return cl_store_remove(store, path, err);
}

/* --- away ------------------------------------------------------------------- */

static int move_to_trash(const struct cl_store *store, const char *directory, const char *name,
                         struct cl_error *err)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];

    path_of(directory, name, "", from);
    path_of("trash", name, "", to);
    int r = cl_sys_renameat(store->dir, from, store->dir, to);
    return r < 0 && r != -ENOENT ? cl_fail(err, r, "remove %s/%s", store->path, from) : 0;
}

int cl_layer_discard(const struct cl_store *store, const char *name, struct cl_error *err)
{
    return move_to_trash(store, "layers", name, err);
}

/* The chain that is written in work/NAME; -ENOENT: none is. */
static int read_chain(const struct cl_store *store, const char *name, struct cl_digest *ret)
{
    char text[CL_DIGEST_TEXT_SIZE] = "sha256:";
    char path[PATH_SIZE];
    struct cl_error ignored;

    path_of("work", name, "chain", path);
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, path, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    ssize_t got = cl_sys_read(fd, text + 7, sizeof(text) - 8);
    if (got < 0)
        return (int)got;
    return cl_digest_parse(text, ret, &ignored) < 0 ? -ENOENT : 0;
}

/* Nobody is at work/NAME: then its chain's lock is free. One that doesn't say its chain was
 * left between two calls, or is a moment old: COLLECT keeps who begins away. */
static int is_left(const struct cl_store *store, const char *name)
{
    struct cl_digest chain;
    const int r = read_chain(store, name, &chain);

    if (r < 0)
        return r == -ENOENT; /* what can't be looked at is left for the next sweep */
    CL_CLEANUP_FD int lock = cl_store_lock(store, CL_STORE_CHAIN, &chain, CL_LOCK_EXCLUSIVE);
    return lock >= 0;
}

/* A file on its way to its name (cl_store_put) is there for less than a moment. */
static int is_old_file(int dir, const char *name)
{
    enum { MINUTE = 60 };
    struct stat st;

    if (cl_layer_name_is_valid(name) || cl_sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return S_ISREG(st.st_mode) &&
           (int64_t)(cl_clock_wall_ns() / CL_NS_PER_S) - (int64_t)st.st_mtim.tv_sec > MINUTE;
}

int cl_layers_sweep(const struct cl_store *store, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, "work", O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    const char *name;
    int count = 0;
    int r;

    if (fd < 0)
        return cl_fail(err, fd, "open %s/work", store->path);
    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        if (cl_layer_name_is_valid(name) && is_left(store, name)) {
            r = move_to_trash(store, "work", name, err);
            if (r < 0)
                return r;
            count++;
        } else if (is_old_file(fd, name)) {
            (void)cl_sys_unlinkat(fd, name, 0); /* the next sweep tries again */
        }
    }
    return r < 0 ? cl_fail(err, r, "look through %s/work", store->path) : count;
}
