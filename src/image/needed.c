#include "image/needed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "image/layers.h"

enum { SHA256_TEXT = 7 /* "sha256:" */ };

void cl_needed_done(struct cl_needed *needed)
{
    cl_buf_done(&needed->layers);
    cl_buf_done(&needed->blobs);
}

static int has_text(const struct cl_buf *set, const char *text)
{
    const char *end = set->data == NULL ? NULL : set->data + set->size;

    for (const char *at = set->data; at != NULL && at < end; at += strlen(at) + 1) {
        if (strcmp(at, text) == 0)
            return 1;
    }
    return 0;
}

static int add_text(struct cl_buf *set, const char *text, struct cl_error *err)
{
    int r = cl_buf_add(set, text, strlen(text) + 1);

    return r < 0 ? cl_fail(err, r, "count what is needed") : 0;
}

int cl_needed_add_layer(struct cl_needed *needed, const char *name, struct cl_error *err)
{
    return add_text(&needed->layers, name, err);
}

int cl_needed_add_image(struct cl_needed *needed, const struct cl_image_record *record,
                        struct cl_error *err)
{
    int r = 0;

    if ((record->set & CL_RECORD_BIT(CL_STORED_IMAGE_DIGEST)) != 0)
        r = add_text(&needed->blobs, record->digest + SHA256_TEXT, err);
    if (r == 0 && (record->set & CL_RECORD_BIT(CL_STORED_IMAGE_CONFIG)) != 0)
        r = add_text(&needed->blobs, record->config + SHA256_TEXT, err);
    for (size_t i = 0; r == 0 && i < record->layers.count; i++)
        r = add_text(&needed->layers, record->layers.items[i], err);
    return r;
}

/* --- sweeping -------------------------------------------------------------------- */

/* One entry of a directory that is being swept. */
struct entry {
    const struct cl_needed *needed;
    const struct cl_store *store;
    int dir;
    const char *name;
    struct cl_collected *count;
};

typedef int entry_fn(const struct entry *entry, struct cl_error *err);

static int for_each(const struct entry *base, const char *directory, entry_fn *fn,
                    struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(base->store->dir, directory, O_RDONLY | O_DIRECTORY, 0);
    struct entry entry = *base;
    struct cl_dir entries;
    int r;

    if (fd < 0)
        return cl_fail(err, fd, "open %s/%s", base->store->path, directory);
    entry.dir = fd;
    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &entry.name, NULL)) > 0) {
        r = fn(&entry, err);
        if (r < 0)
            return r;
    }
    return r < 0 ? cl_fail(err, r, "list %s/%s", base->store->path, directory) : 0;
}

static int sweep_layer(const struct entry *entry, struct cl_error *err)
{
    if (!cl_layer_name_is_valid(entry->name) || has_text(&entry->needed->layers, entry->name))
        return 0; /* needed, or not ours */
    const uint64_t bytes = cl_layer_bytes(entry->store, entry->name);
    int r = cl_layer_discard(entry->store, entry->name, err);
    if (r == 0) {
        entry->count->layers++;
        entry->count->bytes += bytes;
    }
    return r;
}

int cl_needed_sweep_layers(const struct cl_needed *needed, const struct cl_store *store,
                           struct cl_collected *ret, struct cl_error *err)
{
    const struct entry base = {.needed = needed, .store = store, .count = ret};

    return for_each(&base, "layers", sweep_layer, err);
}

static int unlink_entry(const struct entry *entry, struct cl_error *err)
{
    int r = cl_sys_unlinkat(entry->dir, entry->name, 0);

    return r < 0 && r != -ENOENT
               ? cl_fail(err, r, "remove %s of %s", entry->name, entry->store->path)
               : 0;
}

/* A link to a layer that is no more. */
static int sweep_chain(const struct entry *entry, struct cl_error *err)
{
    return cl_sys_faccessat(entry->dir, entry->name, F_OK) == -ENOENT ? unlink_entry(entry, err)
                                                                      : 0;
}

static int sweep_blob(const struct entry *entry, struct cl_error *err)
{
    return has_text(&entry->needed->blobs, entry->name) ? 0 : unlink_entry(entry, err);
}

/* A download that nobody is at. */
static int sweep_download(const struct entry *entry, struct cl_error *err)
{
    enum { BLOCK = 512 }; /* stat(2)'s */
    char text[CL_DIGEST_TEXT_SIZE];
    struct cl_digest digest;
    struct cl_error ignored;
    struct stat st;

    (void)snprintf(text, sizeof(text), "sha256:%.64s", entry->name);
    if (cl_digest_parse(text, &digest, &ignored) < 0)
        return unlink_entry(entry, err);
    CL_CLEANUP_FD int lock = cl_store_lock(entry->store, CL_STORE_BLOB, &digest, CL_LOCK_EXCLUSIVE);
    if (lock < 0 || cl_sys_fstatat(entry->dir, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    int r = unlink_entry(entry, err);
    if (r == 0) {
        entry->count->leftovers++;
        entry->count->bytes += (uint64_t)st.st_blocks * BLOCK;
    }
    return r;
}

/* A reference whose image was removed when its name could not be. */
static int sweep_reference(const struct entry *entry, struct cl_error *err)
{
    int r = cl_reference_is_left(entry->store, entry->name, err);

    return r > 0 ? unlink_entry(entry, err) : r;
}

/* A file without another of its name in DIRECTORY. */
static int unlink_unless(const struct entry *entry, const char *directory, struct cl_error *err)
{
    char path[CL_STORE_NAME_SIZE];
    int size = snprintf(path, sizeof(path), "%s/%s", directory, entry->name);

    if (size < 0 || (size_t)size >= sizeof(path))
        return unlink_entry(entry, err);
    return cl_sys_faccessat(entry->store->dir, path, F_OK) == -ENOENT ? unlink_entry(entry, err)
                                                                      : 0;
}

/* What people are told of an image whose launch record was removed, when this could not be. */
static int sweep_record(const struct entry *entry, struct cl_error *err)
{
    return unlink_unless(entry, "launch", err);
}

/* A name's text without its reference. One that is being made has its text first, but who names
 * holds COLLECT. */
static int sweep_name(const struct entry *entry, struct cl_error *err)
{
    return unlink_unless(entry, "refs", err);
}

int cl_needed_sweep_files(const struct cl_needed *needed, const struct cl_store *store,
                          int downloads, struct cl_collected *ret, struct cl_error *err)
{
    const struct entry base = {.needed = needed, .store = store, .count = ret};
    int r = for_each(&base, "chains", sweep_chain, err);

    if (r >= 0)
        r = for_each(&base, "blobs/sha256", sweep_blob, err);
    if (r >= 0)
        r = for_each(&base, "images", sweep_record, err);
    if (r >= 0)
        r = for_each(&base, "refs", sweep_reference, err);
    if (r >= 0)
        r = for_each(&base, "names", sweep_name, err);
    if (r >= 0 && downloads)
        r = for_each(&base, "downloads", sweep_download, err);
    return r < 0 ? r : 0;
}
