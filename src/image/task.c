#include "image/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "policy/wasm_version.h"

/* What messages call the layer. */
static int in_layer(const struct cl_task *task, struct cl_error *err)
{
    return cl_prefix(err, "layer %.19s", task->subject);
}

/* --- the download's file ------------------------------------------------------- */

/* Where an interrupted pull goes on: a file of the blob's, if nobody else is at it, or one
 * without a name. *RET_HAVE is how much of it is there. */
static int open_download(struct cl_task *task, uint64_t *ret_have, struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];
    struct stat st = {0};

    task->lock = cl_store_lock(task->store, CL_STORE_BLOB, &task->blob, CL_LOCK_EXCLUSIVE);
    if (task->lock < 0 && task->lock != -EAGAIN)
        return cl_fail(err, task->lock, "lock a download in %s", task->store->path);
    cl_store_name("downloads", &task->blob, name);
    task->download =
        task->lock < 0 ? cl_sys_openat(task->store->dir, "downloads", O_RDWR | O_TMPFILE, 0600)
                       : cl_sys_openat(task->store->dir, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    int r = task->download < 0 ? task->download : cl_sys_fstat(task->download, &st);
    if (r < 0) {
        (void)cl_fail(err, r, "make a download's file in %s", task->store->path);
        return cl_store_hint(task->store, r, err);
    }
    *ret_have = (uint64_t)st.st_size;
    if (*ret_have <= task->layer->size_bytes)
        return 0;
    *ret_have = 0;
    r = cl_sys_ftruncate(task->download, 0);
    return r < 0 ? cl_fail(err, r, "empty a download's file") : 0;
}

/* The file is of no more use, or was wrong. */
static void drop_download(struct cl_task *task)
{
    char name[CL_STORE_NAME_SIZE];

    if (task->lock >= 0) {
        cl_store_name("downloads", &task->blob, name);
        (void)cl_sys_unlinkat(task->store->dir, name, 0); /* what stays, prune removes */
    }
    cl_fd_close(&task->download);
    cl_fd_close(&task->lock);
}

/* One that nothing has come into is nothing to go on from. */
static int is_empty_download(const struct cl_task *task)
{
    struct stat st;

    return task->download >= 0 && cl_sys_fstat(task->download, &st) == 0 && st.st_size == 0;
}

void cl_task_stop(struct cl_task *task)
{
    cl_unpacker_done(&task->unpacker);
    cl_layer_work_done(&task->work);
    if (is_empty_download(task))
        drop_download(task);
    cl_fd_close(&task->download);
    cl_fd_close(&task->lock);
    task->unpacker = CL_UNPACKER_INIT;
    task->id = 0;
}

/* --- begin --------------------------------------------------------------------- */

static int start_source(struct cl_task *task, struct cl_blob_source *ret, struct cl_error *err)
{
    struct cl_origin *origin = task->how->origin;
    struct cl_blob_wanted wanted = {.layer = task->layer, .index = task->index, .download = -1};

    if (origin->downloads) {
        int r = open_download(task, &wanted.have_bytes, err);

        if (r < 0)
            return r;
        wanted.download = task->download;
        task->resumed = wanted.have_bytes > 0;
    }
    return origin->open(origin, &wanted, ret, err);
}

static int check_size(const struct cl_task *task, struct cl_error *err)
{
    const uint64_t size = task->layer->size_bytes;
    const uint64_t most = task->is_module
                              ? task->max_bytes
                              : cl_unpacker_most_bytes(task->max_bytes, task->how->max_entries);

    if (task->is_module && size > (uint64_t)CL_WASM_MODULE_MIB << 20)
        return cl_refuse(err, EFBIG, "a WebAssembly module of more than %d MiB",
                         CL_WASM_MODULE_MIB);
    if (size > most)
        return cl_refuse(err, EFBIG, "it has more bytes than --max-size and --max-files allow");
    return 0;
}

static int start(struct cl_task *task, struct cl_error *err)
{
    struct cl_blob_source source = {.fd = -1, .ticks = -1};

    int r = check_size(task, err);

    if (r == 0)
        r = start_source(task, &source, err);
    if (r < 0)
        return r;
    const struct cl_unpacker_how how = {
        .program = task->program,
        .compression = (enum cl_compression)task->layer->compression,
        .source = source.fd,
        .ticks = source.ticks,
        .offset_bytes = source.offset_bytes,
        .size_bytes = task->layer->size_bytes,
        .tree = task->work.tree,
        .file = task->is_module ? CL_MODULE_FILE : NULL,
        .uid_base = task->how->uid_base,
        .max_bytes = task->max_bytes,
        .max_entries = task->how->max_entries,
    };
    task->id = source.id;
    task->failed = (struct cl_error){0};
    task->state = CL_PULL_RUNNING;
    return cl_unpacker_start(&how, &task->unpacker, err);
}

int cl_task_begin(struct cl_task *task, int wait, struct cl_error *err)
{
    int r = cl_layer_begin(task->store, &task->chain, wait, &task->work, err);

    if (r == -EAGAIN) {
        task->state = CL_PULL_WAITING;
        return 0;
    }
    if (r == -EEXIST) {
        task->state = CL_PULL_PRESENT;
        r = cl_layer_find(task->store, &task->chain, task->name, err);
        return r == -ENOENT ? cl_refuse(err, EAGAIN,
                                        "a layer went away while it was being looked "
                                        "at; pull again")
                            : r;
    }
    if (r == 0)
        r = start(task, err);
    return r < 0 ? in_layer(task, err) : 0;
}

/* --- the end ------------------------------------------------------------------- */

int cl_task_has_ended(const struct cl_task *task)
{
    return task->id == 0 && cl_unpacker_has_ended(&task->unpacker);
}

static int check_blob(const struct cl_task *task, const struct cl_unpacked *unpacked,
                      struct cl_error *err)
{
    if (unpacked->blob_bytes != task->layer->size_bytes)
        return cl_refuse(err, EBADMSG, "%llu bytes came, and the manifest says %llu",
                         (unsigned long long)unpacked->blob_bytes,
                         (unsigned long long)task->layer->size_bytes);
    if (task->blob.hex[0] != '\0' && !cl_digest_equal(&unpacked->blob, &task->blob))
        return cl_refuse(err, EBADMSG, "the bytes that came are sha256:%.12s..., and not the layer",
                         unpacked->blob.hex);
    return 0;
}

/* A wrong diffID is the image's own lie; wrong bytes may be what an earlier pull left. */
static int check_plain(const struct cl_task *task, const struct cl_unpacked *unpacked,
                       struct cl_error *err)
{
    if (cl_digest_equal(&unpacked->plain, &task->diff_id))
        return 0;
    return cl_refuse(
        err, EBADMSG,
        "its plain bytes are sha256:%.12s..., and the image's config says sha256:%.12s...",
        unpacked->plain.hex, task->diff_id.hex);
}

static int commit(struct cl_task *task, const struct cl_unpacked *unpacked, struct cl_error *err)
{
    char chain[CL_DIGEST_TEXT_SIZE];
    char diff_id[CL_DIGEST_TEXT_SIZE];
    char blob[CL_DIGEST_TEXT_SIZE];
    const struct cl_layer_record record = {
        .set = CL_RECORD_BIT(CL_STORED_LAYER_FIELD_COUNT) - 1,
        .chain = cl_digest_format(&task->chain, chain),
        .diff_id = cl_digest_format(&task->diff_id, diff_id),
        .blob = cl_digest_format(&unpacked->blob, blob),
        .size_bytes = unpacked->blob_bytes,
        .disk_bytes = unpacked->tree.disk_bytes,
        .entries = unpacked->tree.entries,
        .hides_below = unpacked->tree.root_opaque != 0,
    };

    task->content_bytes = unpacked->tree.bytes;
    memcpy(task->name, task->work.name, sizeof(task->name));
    int r = cl_layer_commit(task->store, &task->work, &record, err);
    if (r < 0)
        return r;
    drop_download(task);
    cl_task_stop(task);
    task->state = CL_PULL_DONE;
    return 0;
}

/* What came is wrong. If some of it was left by an earlier pull, that may be why: it is asked
 * for once more, whole; by another pull that has come to it meanwhile, which isn't waited for
 * while other layers of ours are being made. */
static int begin_anew(struct cl_task *task, struct cl_error *err)
{
    const int again = task->resumed;

    drop_download(task);
    if (!again)
        return in_layer(task, err);
    cl_task_stop(task);
    *err = (struct cl_error){0};
    return cl_task_begin(task, 0, err);
}

/* It failed for reasons of this host or of the network's: what came is good for the next pull. */
static int keep_download(struct cl_task *task, struct cl_error *err)
{
    (void)cl_store_hint(task->store, -err->code, err);
    return in_layer(task, err);
}

/* Whether the unpacker's failure R says nothing of the bytes. One that was ended from outside
 * may have been by what it read. */
static int is_the_hosts_fault(const struct cl_task *task, int r)
{
    return r == -ENOSPC || (r == -EIO && !task->resumed);
}

static int settle(struct cl_task *task, const struct cl_unpacked *unpacked, struct cl_error *err)
{
    int r = check_plain(task, unpacked, err);

    if (r < 0)
        drop_download(task);
    if (r == 0)
        r = commit(task, unpacked, err);
    return r < 0 ? in_layer(task, err) : 0;
}

int cl_task_finish(struct cl_task *task, struct cl_error *err)
{
    struct cl_unpacked unpacked;
    int r = cl_unpacker_judge(&task->unpacker, &unpacked, err);

    /* A download that found nobody to read it any more has no reason of its own; any other
     * failure of one is the reason for what the unpacker says. */
    if (task->failed.code != 0 && (task->failed.code != EPIPE || r == 0)) {
        *err = task->failed;
        return keep_download(task, err);
    }
    if (is_the_hosts_fault(task, r))
        return keep_download(task, err);
    if (r == 0)
        r = check_blob(task, &unpacked, err);
    return r < 0 ? begin_anew(task, err) : settle(task, &unpacked, err);
}
