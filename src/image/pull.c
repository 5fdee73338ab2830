#include "image/pull.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "image/collect.h"
#include "image/compose.h"
#include "image/documents.h"
#include "image/images.h"
#include "image/lease.h"
#include "image/places.h"
#include "image/task.h"

enum {
    ARENA_MAX = 64 << 20,
    PARALLEL = 4,
    SHOW_EVERY_MS = 100,
};

struct pull {
    const struct cl_store *store;
    const struct cl_pull_how *how;
    struct cl_arena arena;
    struct cl_parser parser;
    struct cl_documents documents;
    struct cl_lease lease;
    struct cl_task *tasks;
    struct cl_pull_layer *views;
    size_t count;
    char digest[CL_DIGEST_TEXT_SIZE]; /* the image's, once it is made, and its config's */
    char config[CL_DIGEST_TEXT_SIZE];
    struct cl_plan launch;
    struct cl_image_record record;
};

static void pull_done(struct pull *pull)
{
    for (size_t i = 0; i < pull->count; i++)
        cl_task_stop(&pull->tasks[i]);
    cl_lease_done(&pull->lease);
    cl_documents_done(&pull->documents);
    cl_arena_done(&pull->arena);
}

/* --- layers ---------------------------------------------------------------------- */

static int prepare_task(struct pull *pull, size_t i, struct cl_error *err)
{
    struct cl_task *task = &pull->tasks[i];

    *task = CL_TASK_INIT;
    task->store = pull->store;
    task->how = pull->how;
    task->program = pull->parser.helper.path;
    task->layer = &pull->documents.manifest.layers.items[i];
    task->index = i;
    task->subject = task->layer->digest[0] != '\0' ? task->layer->digest
                                                   : pull->documents.config.diff_ids.items[i];
    pull->count = i + 1;
    int r = cl_digest_parse(pull->documents.config.diff_ids.items[i], &task->diff_id, err);
    if (r == 0 && (task->layer->digest[0] != '\0' || pull->how->origin->made == NULL))
        r = cl_digest_parse(task->layer->digest, &task->blob, err);
    if (r < 0)
        return cl_prefix(err, "layer %zu", i + 1);
    task->is_module = cl_documents_are_of_module(&pull->documents);
    if (task->is_module)
        cl_chain_id_of_module(&task->diff_id, &task->chain);
    else
        cl_chain_id(i == 0 ? NULL : &pull->tasks[i - 1].chain, &task->diff_id, &task->chain);
    return 0;
}

static int prepare_tasks(struct pull *pull, struct cl_error *err)
{
    const size_t count = pull->documents.manifest.layers.count;

    if (count == 0)
        return cl_refuse(err, EINVAL, "it has no layers, so there is nothing to run");
    pull->tasks = cl_arena_array(&pull->arena, count, sizeof(*pull->tasks));
    pull->views = cl_arena_array(&pull->arena, count, sizeof(*pull->views));
    struct cl_digest *chains = cl_arena_array(&pull->arena, count, sizeof(*chains));
    if (pull->tasks == NULL || pull->views == NULL || chains == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        int r = prepare_task(pull, i, err);

        if (r < 0)
            return r;
        chains[i] = pull->tasks[i].chain;
    }
    return cl_lease_take(pull->store, chains, count, &pull->lease, err);
}

/* What is there needs no lock: the lease keeps it. */
static int look_for_layers(struct pull *pull, struct cl_error *err)
{
    for (size_t i = 0; i < pull->count; i++) {
        struct cl_task *task = &pull->tasks[i];
        int r = cl_layer_find(pull->store, &task->chain, task->name, err);

        if (r == 0)
            task->state = CL_PULL_PRESENT;
        else if (r != -ENOENT)
            return r;
    }
    return 0;
}

static void show(struct pull *pull)
{
    const struct cl_pull_view view = {pull->views, pull->count, pull->how->origin->downloads};

    if (pull->how->show == NULL)
        return;
    for (size_t i = 0; i < pull->count; i++) {
        struct cl_task *task = &pull->tasks[i];
        struct cl_pull_layer *layer = &pull->views[i];

        layer->digest = task->subject;
        layer->state = task->state;
        layer->size_bytes = task->layer->size_bytes;
        if (task->state == CL_PULL_RUNNING)
            cl_unpacker_progress(&task->unpacker, &layer->came_bytes, &layer->unpacked_bytes);
        else if (task->state == CL_PULL_DONE)
            layer->came_bytes = layer->size_bytes;
    }
    pull->how->show(pull->how->show_context, &view);
}

static size_t count_in(const struct pull *pull, enum cl_pull_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < pull->count; i++)
        count += pull->tasks[i].state == state;
    return count;
}

/* What the image's files may still hold. Layers that are being made may each take all of it:
 * who passes the bound together is found out when they are done. */
static int content_left(const struct pull *pull, uint64_t *ret_bytes, struct cl_error *err)
{
    uint64_t bytes = 0;
    char text[CL_SIZE_TEXT];

    for (size_t i = 0; i < pull->count; i++)
        bytes += cl_min_u64(pull->tasks[i].content_bytes, UINT64_MAX - bytes);
    if (bytes > pull->how->max_bytes)
        return cl_refuse(err, EFBIG, "its files have more than %s; --max-size allows more",
                         cl_size_text(pull->how->max_bytes, text));
    *ret_bytes = pull->how->max_bytes - bytes;
    return 0;
}

static int begin(const struct pull *pull, struct cl_task *task, int wait, struct cl_error *err)
{
    int r = content_left(pull, &task->max_bytes, err);

    return r < 0 ? r : cl_task_begin(task, wait, err);
}

static int begin_some(struct pull *pull, struct cl_error *err)
{
    size_t running = count_in(pull, CL_PULL_RUNNING);

    for (size_t i = 0; i < pull->count && running < PARALLEL; i++) {
        if (pull->tasks[i].state != CL_PULL_QUEUED)
            continue;
        int r = begin(pull, &pull->tasks[i], 0, err);
        if (r < 0)
            return r;
        running += pull->tasks[i].state == CL_PULL_RUNNING;
    }
    return 0;
}

/* All own work is done: now for one that another pull is at. */
static int begin_waiting(struct pull *pull, struct cl_error *err)
{
    for (size_t i = 0; i < pull->count; i++) {
        if (pull->tasks[i].state == CL_PULL_WAITING)
            return begin(pull, &pull->tasks[i], 1, err);
    }
    return 0;
}

/* --- events ---------------------------------------------------------------------- */

static int take_news(struct pull *pull, struct cl_error *err)
{
    struct cl_download_report report = {0};
    int r = pull->how->origin->listen(pull->how->origin, &report, err);

    if (r <= 0 || !report.ended)
        return r;
    for (size_t i = 0; i < pull->count; i++) {
        struct cl_task *task = &pull->tasks[i];

        if (task->id == report.id) {
            task->id = 0;
            task->failed = report.error;
        }
    }
    return 0;
}

/* Whatever can happen: news of downloads first, then the end of each process. */
enum { MAX_POLLS = 1 + PARALLEL * CL_STAGE_COUNT };

struct wait {
    struct pollfd polls[MAX_POLLS];
    struct cl_task *tasks[MAX_POLLS];
    enum cl_unpacker_stage stages[MAX_POLLS];
    nfds_t count;
};

static void collect_waits(struct pull *pull, struct wait *wait)
{
    wait->polls[0] = (struct pollfd){.fd = pull->how->origin->news, .events = POLLIN};
    wait->count = 1;
    for (size_t i = 0; i < pull->count; i++) {
        struct cl_task *task = &pull->tasks[i];

        for (unsigned int s = 0; task->state == CL_PULL_RUNNING && s < CL_STAGE_COUNT; s++) {
            if (task->unpacker.children[s].pid <= 0)
                continue;
            CL_ASSERT(wait->count < MAX_POLLS);
            wait->polls[wait->count] =
                (struct pollfd){.fd = task->unpacker.children[s].pidfd, .events = POLLIN};
            wait->tasks[wait->count] = task;
            wait->stages[wait->count++] = (enum cl_unpacker_stage)s;
        }
    }
}

static int take_events(struct pull *pull, struct wait *wait, struct cl_error *err)
{
    int r = wait->polls[0].revents != 0 ? take_news(pull, err) : 0;

    for (nfds_t i = 1; r >= 0 && i < wait->count; i++) {
        if (wait->polls[i].revents != 0)
            r = cl_unpacker_reap(&wait->tasks[i]->unpacker, wait->stages[i], err);
    }
    for (size_t i = 0; r >= 0 && i < pull->count; i++) {
        struct cl_task *task = &pull->tasks[i];

        if (task->state == CL_PULL_RUNNING && cl_task_has_ended(task))
            r = cl_task_finish(task, err);
    }
    return r;
}

static int wait_for_event(struct pull *pull, struct cl_error *err)
{
    struct wait wait;

    collect_waits(pull, &wait);
    int r = cl_sys_poll(wait.polls, wait.count, pull->how->show == NULL ? -1 : SHOW_EVERY_MS);
    if (r < 0 && r != -EINTR)
        return cl_fail(err, r, "wait for a layer");
    return r <= 0 ? 0 : take_events(pull, &wait, err);
}

static int make_layers(struct pull *pull, struct cl_error *err)
{
    int r = look_for_layers(pull, err);

    while (r >= 0) {
        r = begin_some(pull, err);
        show(pull);
        if (r >= 0 && count_in(pull, CL_PULL_RUNNING) == 0) {
            r = begin_waiting(pull, err); /* as long as the other pull takes */
            show(pull);
        }
        if (r >= 0 && count_in(pull, CL_PULL_RUNNING) > 0)
            r = wait_for_event(pull, err);
        if (count_in(pull, CL_PULL_DONE) + count_in(pull, CL_PULL_PRESENT) == pull->count)
            break;
    }
    show(pull);
    return r < 0 ? r : 0;
}

/* --- the image ------------------------------------------------------------------- */

/* Names of its layers, lowest first. */
static int layer_names(struct pull *pull, struct cl_strlist *ret, struct cl_error *err)
{
    const char **names = cl_arena_array(&pull->arena, pull->count, sizeof(*names));

    if (names == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < pull->count; i++)
        names[i] = pull->tasks[i].name;
    *ret = (struct cl_strlist){names, pull->count};
    return 0;
}

/* Once for all layers, also those that another pull has just made: what the image names is
 * then on the disk. */
static int settle_layers(struct pull *pull, struct cl_error *err)
{
    uint64_t left;
    int r = content_left(pull, &left, err);

    if (r == 0)
        r = cl_store_sync(pull->store, err);
    for (size_t i = 0; r == 0 && i < pull->count; i++)
        r = cl_layer_mark_synced(pull->store, pull->tasks[i].name, err);
    return r;
}

static void find_user(struct pull *pull, struct cl_plan *launch)
{
    struct cl_plan found = {0};
    struct cl_error ignored = {0};

    if (pull->how->find_user == NULL || !cl_plan_has(launch, CL_FIELD_USER) ||
        pull->how->find_user(pull->how->user_context, launch, &found, &ignored) < 0)
        return;
    launch->uid = found.uid;
    cl_plan_mark(launch, CL_FIELD_UID);
    launch->home = found.home;
    if (cl_plan_has(&found, CL_FIELD_HOME))
        cl_plan_mark(launch, CL_FIELD_HOME);
    if (!cl_plan_has(&found, CL_FIELD_GID))
        return;
    launch->gid = found.gid;
    cl_plan_mark(launch, CL_FIELD_GID);
}

static int save_blob(struct pull *pull, const struct cl_digest *digest, const struct cl_buf *bytes,
                     struct cl_error *err)
{
    char name[CL_STORE_NAME_SIZE];

    cl_store_name("blobs/sha256", digest, name);
    return cl_store_put(pull->store, name, cl_buf_text(bytes), bytes->size, err);
}

/* Not before now: a collection leaves none that no image names, and nor does a pull that
 * fails. */
static int save_blobs(struct pull *pull, struct cl_error *err)
{
    int r = save_blob(pull, &pull->documents.digest, &pull->documents.manifest_bytes, err);

    return r < 0 ? r
                 : save_blob(pull, &pull->documents.config_digest, &pull->documents.config_bytes,
                             err);
}

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* What the store is to know of the image. The user is looked up in its tree, which may take a
 * while: nobody waits for a lock of ours meanwhile. */
static int compose_records(struct pull *pull, struct cl_error *err)
{
    const struct cl_documents *documents = &pull->documents;
    struct cl_launch_of image = {.store = pull->store,
                                 .digest = pull->digest,
                                 .config = &documents->config,
                                 .payload = (enum cl_payload)documents->manifest.payload,
                                 .title = documents->manifest.title};

    pull->record = (struct cl_image_record){
        .set = CL_RECORD_BIT(CL_STORED_IMAGE_FIELD_COUNT) - 1,
        .digest = cl_digest_format(&documents->digest, pull->digest),
        .config = cl_digest_format(&documents->config_digest, pull->config),
        .media_type = text_or_empty(documents->manifest.media_type),
        .created = text_or_empty(documents->config.created),
        .platform = documents->platform,
        .pulled_s = cl_clock_wall_ns() / CL_NS_PER_S,
    };
    int r = layer_names(pull, &pull->record.layers, err);

    if (r == 0)
        r = cl_launch_layers(pull->store, &pull->record.layers, &pull->arena, &image.layers, err);
    if (r == 0)
        r = cl_launch_compose(&image, &pull->arena, &pull->launch, err);
    if (r < 0)
        return r;
    find_user(pull, &pull->launch);
    if (!cl_documents_are_of_module(documents))
        cl_places_find(pull->store, &pull->launch);
    return 0;
}

static int write_image(struct pull *pull, struct cl_error *err)
{
    int r = save_blobs(pull, err);

    return r < 0 ? r : cl_image_write(pull->store, &pull->launch, &pull->record, err);
}

static int make_image(struct pull *pull, struct cl_error *err)
{
    int r = cl_documents_find_config(&pull->documents, err);

    if (r == 0)
        r = prepare_tasks(pull, err);
    if (r == 0)
        r = make_layers(pull, err);
    if (r == 0)
        r = settle_layers(pull, err);
    return r < 0 ? r : compose_records(pull, err);
}

/* Records and name: no collection comes between them, and no other pull of the image. A launch
 * record that is there stays the file that it is: runs hold locks on it, and names are links to
 * it. */
static int settle_image(struct pull *pull, int was_there, struct cl_error *err)
{
    CL_CLEANUP_FD int collect =
        cl_store_lock(pull->store, CL_STORE_COLLECT, NULL, CL_LOCK_EXCLUSIVE | CL_LOCK_WAIT);

    if (collect < 0)
        return cl_fail(err, collect, "lock %s", pull->store->path);
    const int is_there = cl_image_is_there(pull->store, &pull->documents.digest);
    if (was_there && !is_there)
        return cl_refuse(err, EAGAIN, "the image was removed while it was being named; pull again");
    int r = is_there ? 0 : write_image(pull, err);
    for (size_t i = 0; r == 0 && i < pull->how->names.count; i++)
        r = cl_name_set(pull->store, pull->how->names.items[i], &pull->documents.digest, err);
    return r;
}

static int pull_image(const struct cl_store *store, const struct cl_pull_how *how,
                      struct cl_pulled *ret, struct cl_error *err)
{
    CL_CLEANUP(pull_done)
    struct pull pull = {
        .store = store, .how = how, .arena = CL_ARENA_INIT(ARENA_MAX), .lease = CL_LEASE_INIT};
    int r = cl_parser_init(&pull.arena, &pull.parser, err);

    pull.documents = (struct cl_documents){.origin = how->origin,
                                           .parser = &pull.parser,
                                           .wanted = how->digest,
                                           .platform = how->platform};
    if (r == 0)
        r = cl_documents_find(&pull.documents, err);
    if (r < 0)
        return r;
    const int was_there = cl_image_is_there(store, &pull.documents.digest);
    if (!was_there)
        r = make_image(&pull, err);
    if (r == 0)
        r = settle_image(&pull, was_there, err);
    if (r == 0)
        *ret = (struct cl_pulled){.digest = pull.documents.digest, .was_there = was_there};
    return r;
}

int cl_pull(const struct cl_store *store, const struct cl_pull_how *how, struct cl_pulled *ret,
            struct cl_error *err)
{
    struct cl_pulled pulled = {0};
    struct cl_error ignored = {0};
    int r = pull_image(store, how, &pulled, err);

    (void)cl_collect_leftovers(store, how->uid_base, &ignored); /* or the next one, or prune */
    if (r == 0)
        *ret = pulled;
    return r;
}
