#include "image/images.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "plan/format.h"

enum { MAX_IMAGES = 65536, IS_THERE_MAX = 4 * CL_PLAN_MAX_SIZE };

/* --- reading a record -------------------------------------------------------- */

static int read_file(const struct cl_store *store, const char *name, struct cl_arena *arena,
                     struct cl_bytes *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd == -ENOENT)
        return -ENOENT;
    if (fd < 0)
        return cl_fail(err, fd, "open %s/%s", store->path, name);
    int r = cl_read_all(fd, name, &buf, err);
    if (r < 0)
        return r;
    const char *copy = cl_arena_strndup(arena, cl_buf_text(&buf), buf.size);
    if (copy == NULL)
        return cl_fail_memory(err);
    *ret = (struct cl_bytes){copy, buf.size};
    return 0;
}

int cl_image_read(const struct cl_store *store, const struct cl_digest *digest,
                  struct cl_arena *arena, struct cl_image_record *ret, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct cl_bytes bytes = {0};
    struct cl_image_record record = {0};

    cl_store_name("images", digest, name);
    int r = read_file(store, name, arena, &bytes, err);
    if (r == -ENOENT)
        return cl_refuse(err, ENOENT, "no image sha256:%s in %s", digest->hex, store->path);
    if (r == 0)
        r = cl_flat_read(&cl_image_shape, &bytes, arena, &record, err);
    if (r == -EBADMSG)
        return cl_prefix(err, "the image sha256:%.12s", digest->hex);
    if (r < 0)
        return r;
    *ret = record;
    return 0;
}

/* The plan that the launch record NAME is: -ENOENT, -EBADMSG, or another -errno. */
static int read_launch(const struct cl_store *store, const char *name, struct cl_arena *arena,
                       struct cl_plan *ret, struct cl_error *err)
{
    struct cl_bytes bytes = {0};
    int r = read_file(store, name, arena, &bytes, err);

    if (r < 0)
        return r;
    r = cl_plan_read(bytes.data, bytes.size, arena, ret, err);
    return r < 0 ? cl_prefix(err, "%s/%s", store->path, name) : 0;
}

int cl_image_layers(const struct cl_store *store, const struct cl_digest *digest,
                    struct cl_arena *arena, struct cl_strlist *ret, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct cl_plan plan = {0};

    cl_store_name("launch", digest, name);
    int r = read_launch(store, name, arena, &plan, err);
    if (r == 0)
        *ret = plan.image_layers;
    return r;
}

int cl_image_read_launch(const struct cl_store *store, const struct cl_digest *digest,
                         struct cl_arena *arena, struct cl_plan *ret, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct cl_plan plan = {0};

    cl_store_name("launch", digest, name);
    int r = read_launch(store, name, arena, &plan, err);
    if (r == -ENOENT)
        return cl_refuse(err, ENOENT, "no image sha256:%s in %s", digest->hex, store->path);
    if (r == 0)
        *ret = plan;
    return r;
}

int cl_image_used(const struct cl_store *store, const struct cl_digest *digest, uint64_t *ret_s,
                  struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct stat st;

    cl_store_name("launch", digest, name);
    int r = cl_sys_fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW);
    if (r < 0)
        return cl_fail(err, r, "look at %s/%s", store->path, name);
    *ret_s = (uint64_t)st.st_mtim.tv_sec;
    return 0;
}

/* What can't be looked at for want of memory or descriptors may well be there. */
static int reads(int r)
{
    return r != -ENOENT && r != -EBADMSG;
}

int cl_image_is_there(const struct cl_store *store, const struct cl_digest *digest)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(IS_THERE_MAX);
    struct cl_image_record record = {0};
    struct cl_strlist layers = {0};
    struct cl_error ignored;

    return reads(cl_image_layers(store, digest, &arena, &layers, &ignored)) &&
           reads(cl_image_read(store, digest, &arena, &record, &ignored));
}

/* --- writing ----------------------------------------------------------------- */

int cl_image_write(const struct cl_store *store, const struct cl_plan *launch,
                   const struct cl_image_record *record, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf plan = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    CL_CLEANUP_BUF struct cl_buf image = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    char name[CL_STORE_NAME_SIZE];
    struct cl_digest digest;
    int r = cl_digest_parse(record->digest, &digest, err);

    if (r == 0)
        r = cl_plan_write(launch, &plan, err);
    if (r == 0)
        r = cl_flat_write(&cl_image_shape, record, &image, err);
    if (r < 0)
        return r;
    cl_store_name("images", &digest, name);
    r = cl_store_put(store, name, image.data, image.size, err);
    if (r < 0)
        return r;
    cl_store_name("launch", &digest, name);
    return cl_store_put(store, name, plan.data, plan.size, err);
}

int cl_image_remove(const struct cl_store *store, const struct cl_digest *digest,
                    struct cl_error *err)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char name[CL_STORE_NAME_SIZE];

    cl_store_name("launch", digest, name);
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, name, O_RDWR | O_NOFOLLOW, 0);
    if (fd < 0 && fd != -ENOENT)
        return cl_fail(err, fd, "open %s/%s", store->path, name);
    int r = fd < 0 ? 0 : cl_sys_fcntl_lock(fd, F_OFD_SETLK, &all);
    if (r == -EAGAIN || r == -EACCES)
        return -EBUSY;
    if (r < 0)
        return cl_fail(err, r, "lock %s/%s", store->path, name);
    r = cl_store_remove(store, name, err);
    if (r < 0)
        return r;
    cl_store_name("images", digest, name);
    return cl_store_remove(store, name, err);
}

/* --- listing ----------------------------------------------------------------- */

/* The entries of DIRECTORY that are digests. */
static int list_digests(const struct cl_store *store, const char *directory, struct cl_arena *arena,
                        struct cl_digests *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, directory, O_RDONLY | O_DIRECTORY, 0);
    CL_CLEANUP_BUF struct cl_buf found = CL_BUF_INIT(MAX_IMAGES * sizeof(struct cl_digest));
    char text[CL_DIGEST_TEXT_SIZE];
    struct cl_error ignored;
    struct cl_digest digest;
    struct cl_dir entries;
    const char *name;
    int r = fd;

    if (fd < 0)
        return cl_fail(err, fd, "open %s/%s", store->path, directory);
    cl_dir_start(&entries, fd);
    while (r >= 0 && (r = cl_dir_next(&entries, &name, NULL)) > 0) {
        (void)snprintf(text, sizeof(text), "sha256:%s", name);
        if (strlen(name) + 8 == sizeof(text) && cl_digest_parse(text, &digest, &ignored) == 0)
            r = cl_buf_add(&found, &digest, sizeof(digest));
    }
    if (r == -ENOMEM)
        return cl_fail_memory(err);
    if (r < 0)
        return cl_fail(err, r, "list %s/%s", store->path, directory);
    const size_t count = found.size / sizeof(digest);
    struct cl_digest *items = cl_arena_array(arena, count, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(err);
    if (count > 0)
        memcpy(items, found.data, found.size);
    *ret = (struct cl_digests){items, count};
    return 0;
}

int cl_images_list(const struct cl_store *store, struct cl_arena *arena, struct cl_digests *ret,
                   struct cl_error *err)
{
    return list_digests(store, "launch", arena, ret, err);
}

/* --- names ------------------------------------------------------------------- */

void cl_name_key(const char *text, struct cl_digest *ret)
{
    cl_digest_of(text, strlen(text), ret);
}

/* That it has the name already costs no room, and nothing is written. */
static int has_name(const struct cl_store *store, const char *launch, const struct cl_digest *key)
{
    char name[CL_STORE_NAME_SIZE];
    struct stat ours;
    struct stat named;

    cl_store_name("names", key, name);
    if (cl_sys_faccessat(store->dir, name, F_OK) < 0 ||
        cl_sys_fstatat(store->dir, launch, &ours, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    cl_store_name("refs", key, name);
    return cl_sys_fstatat(store->dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == ours.st_ino && named.st_dev == ours.st_dev;
}

/* A link can't be made in the place of another file: it is made beside it and renamed. Who
 * finds the image gone by then is told so. */
int cl_name_set(const struct cl_store *store, const char *text, const struct cl_digest *digest,
                struct cl_error *err)
{
    char launch[CL_STORE_NAME_SIZE];
    char name[CL_STORE_NAME_SIZE];
    char made[CL_STORE_NAME_SIZE];
    struct cl_digest key;
    uint64_t random = 0;

    cl_name_key(text, &key);
    cl_store_name("launch", digest, launch);
    if (has_name(store, launch, &key)) {
        (void)cl_sys_utimensat(store->dir, launch, NULL, 0); /* a use: see below */
        return 0;
    }
    cl_store_name("names", &key, name);
    int r = cl_store_put(store, name, text, strlen(text), err);
    if (r < 0)
        return r;
    if (cl_sys_getrandom(&random, sizeof(random)) < 0)
        return cl_fail(err, EIO, "getrandom");
    (void)snprintf(made, sizeof(made), "work/new-%016llx", (unsigned long long)random);
    cl_store_name("refs", &key, name);
    r = cl_sys_linkat(store->dir, launch, store->dir, made, 0);
    if (r == 0)
        r = cl_sys_renameat(store->dir, made, store->dir, name);
    /* rename(2) of two links to one file does nothing and leaves both */
    (void)cl_sys_unlinkat(store->dir, made, 0);
    if (r < 0) {
        (void)cl_fail(err, r, "name an image in %s", store->path);
        return cl_store_hint(store, r, err);
    }
    (void)cl_sys_utimensat(store->dir, launch, NULL, 0); /* a use (cl_image_used), for people */
    return 0;
}

int cl_name_drop(const struct cl_store *store, const char *text, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct cl_digest key;

    cl_name_key(text, &key);
    cl_store_name("refs", &key, name);
    int r = cl_sys_unlinkat(store->dir, name, 0);
    if (r == -ENOENT)
        return -ENOENT;
    if (r < 0)
        return cl_fail(err, r, "remove %s/%s", store->path, name);
    cl_store_name("names", &key, name);
    return cl_store_remove(store, name, err);
}

/* Whose launch record the reference NAME ("refs/...") is: its plan says it. -ENOENT: none's. */
static int read_owner(const struct cl_store *store, const char *name, struct cl_digest *ret,
                      struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(2L * CL_PLAN_MAX_SIZE);
    struct cl_plan plan = {0};
    struct cl_error why = {0};
    int r = read_launch(store, name, &arena, &plan, &why);

    if (r == -ENOENT || r == -EBADMSG || (r == 0 && !cl_plan_has(&plan, CL_FIELD_IMAGE_DIGEST)))
        return -ENOENT;
    if (r < 0) {
        *err = why;
        return r;
    }
    return cl_digest_parse(plan.image_digest, ret, &why) < 0 ? -ENOENT : 0;
}

/* 0; -ENOENT: a removal was interrupted before the names went. */
static int check_is_there(const struct cl_store *store, const struct cl_digest *digest,
                          struct cl_error *err)
{
    static const char *const directories[] = {"launch", "images"};
    char name[CL_STORE_NAME_SIZE];

    for (size_t i = 0; i < CL_ARRAY_SIZE(directories); i++) {
        cl_store_name(directories[i], digest, name);
        int r = cl_sys_faccessat(store->dir, name, F_OK);

        if (r < 0)
            return r == -ENOENT ? r : cl_fail(err, r, "look at %s/%s", store->path, name);
    }
    return 0;
}

/* Which image KEY's name is of. -ENOENT: it names nothing. */
static int find_owner(const struct cl_store *store, const struct cl_digest *key,
                      struct cl_digest *ret, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];

    cl_store_name("refs", key, name);
    int r = read_owner(store, name, ret, err);
    return r == 0 ? check_is_there(store, ret, err) : r;
}

int cl_name_find(const struct cl_store *store, const char *text, struct cl_digest *ret,
                 struct cl_error *err)
{
    struct cl_digest key;

    cl_name_key(text, &key);
    return find_owner(store, &key, ret, err);
}

int cl_reference_is_left(const struct cl_store *store, const char *name, struct cl_error *err)
{
    char path[CL_STORE_NAME_SIZE];
    struct cl_digest digest;

    if (strlen(name) != sizeof(digest.hex) - 1)
        return 1; /* none of ours */
    (void)snprintf(path, sizeof(path), "refs/%s", name);
    int r = read_owner(store, path, &digest, err);
    if (r == 0)
        r = check_is_there(store, &digest, err);
    return r == -ENOENT ? 1 : r;
}

/* The name that is KEY's. -ENOENT: it names nothing. What can't be looked at is a failure: a
 * name that is passed over makes its image one to remove. */
static int read_name(const struct cl_store *store, const struct cl_digest *key,
                     struct cl_arena *arena, struct cl_image_name *ret, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct cl_bytes bytes = {0};
    int r = find_owner(store, key, &ret->digest, err);

    if (r < 0)
        return r;
    cl_store_name("names", key, name);
    r = read_file(store, name, arena, &bytes, err);
    ret->text = bytes.data;
    return r;
}

int cl_names_list(const struct cl_store *store, struct cl_arena *arena, struct cl_image_names *ret,
                  struct cl_error *err)
{
    struct cl_digests keys;
    int r = list_digests(store, "refs", arena, &keys, err);

    if (r < 0)
        return r;
    struct cl_image_name *items = cl_arena_array(arena, keys.count, sizeof(*items));
    size_t count = 0;
    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < keys.count; i++) {
        r = read_name(store, &keys.items[i], arena, &items[count], err);
        if (r < 0 && r != -ENOENT)
            return r;
        count += r == 0;
    }
    *ret = (struct cl_image_names){items, count};
    return 0;
}
