#include "image/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "image/manifest_json.h"
#include "oci/compression.h"
#include "oci/reference.h"

enum { MAX_CONFIG = 4 << 20, MAX_MANY = 4 << 20, PATH_SIZE = 96 };
#define MAX_FILE (1ULL << 50)

static struct cl_local_origin *of(struct cl_origin *origin)
{
    return (struct cl_local_origin *)(void *)((char *)origin -
                                              offsetof(struct cl_local_origin, origin));
}

/* A file of the layout: where its bytes are. */
struct place {
    int fd;
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

/* --- finding ------------------------------------------------------------------- */

static int find_member(const struct cl_local_origin *local, const char *name, struct place *ret,
                       struct cl_error *err)
{
    for (size_t i = 0; i < local->archive.members.count; i++) {
        const struct cl_archive_member *member = &local->archive.members.items[i];

        if (strcmp(member->name, name) != 0)
            continue;
        *ret = (struct place){local->root, member->offset_bytes, member->size_bytes};
        return 0;
    }
    return cl_refuse(err, ENOENT, "%.200s has no %.200s", local->path, name);
}

/* Kept open until the end: a layer is read by processes that come later. */
static int find_file(struct cl_local_origin *local, const char *name, struct place *ret,
                     struct cl_error *err)
{
    struct stat st;
    CL_CLEANUP_FD int found = cl_open_no_links(local->root, name, O_PATH);

    if (found < 0)
        return cl_fail(err, found, "open %.200s in %.200s", name, local->path);
    if (local->opened_count == CL_ARRAY_SIZE(local->opened))
        return cl_refuse(err, EMFILE, "%.200s: too many files", local->path);
    CL_CLEANUP_FD int fd = cl_reopen_regular(found, name, MAX_FILE, err);
    if (fd < 0)
        return fd;
    int r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return cl_fail(err, r, "look at %.200s in %.200s", name, local->path);
    *ret = (struct place){fd, 0, (uint64_t)st.st_size};
    local->opened[local->opened_count++] = CL_TAKE_FD(fd);
    return 0;
}

static int find(struct cl_local_origin *local, const char *name, struct place *ret,
                struct cl_error *err)
{
    return local->kind == CL_LOCAL_DIRECTORY ? find_file(local, name, ret, err)
                                             : find_member(local, name, ret, err);
}

/* The place of the blob that DIGEST, foreign text, names. */
static int find_blob(struct cl_local_origin *local, const char *digest, struct place *ret,
                     struct cl_error *err)
{
    char name[PATH_SIZE];
    struct cl_digest parsed;
    int r = cl_digest_parse(digest, &parsed, err);

    if (r < 0)
        return r;
    (void)snprintf(name, sizeof(name), "blobs/sha256/%s", parsed.hex);
    return find(local, name, ret, err);
}

static int read_place(const struct cl_local_origin *local, const struct place *place,
                      struct cl_buf *ret, struct cl_error *err)
{
    if (place->size_bytes > ret->cap)
        return cl_refuse(err, EFBIG, "a document in %.200s is larger than %zu bytes", local->path,
                         ret->cap);
    int r = cl_buf_grow(ret, (size_t)place->size_bytes);
    if (r < 0)
        return cl_fail_memory(err);
    for (size_t at = 0; at < ret->size;) {
        ssize_t got = cl_sys_pread(place->fd, ret->data + at, ret->size - at,
                                   (off_t)(place->offset_bytes + at));

        if (got == -EINTR)
            continue;
        if (got <= 0)
            return cl_fail(err, got < 0 ? (int)got : -EIO, "read %.200s", local->path);
        at += (size_t)got;
    }
    return 0;
}

static int read_named(struct cl_local_origin *local, const char *name, struct cl_buf *ret,
                      struct cl_error *err)
{
    struct place place;
    int r = find(local, name, &place, err);

    return r < 0 ? r : read_place(local, &place, ret, err);
}

/* --- OCI layouts ------------------------------------------------------------------ */

/* What index.json says: the digest of the manifest, or index, of the image that is meant. */
static int choose(struct cl_local_origin *local, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf index = CL_BUF_INIT(CL_MAX_MANIFEST_BYTES);
    const char *args[CL_HELPER_MAX_ARGS] = {"oci-index", local->path, local->platform, local->tag};
    int r = read_named(local, "index.json", &index, err);

    if (r == 0)
        r = cl_parse(&local->parser, args, &index, CL_INTO(&cl_manifest_shape, &local->chosen),
                     err);
    if (r == 0 && (local->chosen.set & CL_RECORD_BIT(CL_MANIFEST_TARGET)) == 0)
        return cl_refuse(err, EBADMSG, "%.200s: no manifest was chosen", local->path);
    return r;
}

static int layout_manifest(struct cl_origin *origin, const char *reference, struct cl_buf *ret,
                           char ret_type[CL_MEDIA_TYPE_SIZE], struct cl_error *err)
{
    struct cl_local_origin *local = of(origin);
    const struct cl_manifest_record *chosen = &local->chosen;
    struct place place;

    ret_type[0] = '\0';
    if (reference == NULL) {
        reference = chosen->target;
        if (chosen->target_type != NULL)
            (void)snprintf(ret_type, CL_MEDIA_TYPE_SIZE, "%s", chosen->target_type);
    }
    int r = find_blob(local, reference, &place, err);
    return r < 0 ? r : read_place(local, &place, ret, err);
}

static int layout_config(struct cl_origin *origin, const struct cl_manifest_record *manifest,
                         struct cl_buf *ret, struct cl_error *err)
{
    struct place place;
    int r = find_blob(of(origin), manifest->target, &place, err);

    return r < 0 ? r : read_place(of(origin), &place, ret, err);
}

static int open_at(const struct cl_local_origin *local, const struct place *place,
                   const struct cl_blob_wanted *wanted, struct cl_blob_source *ret,
                   struct cl_error *err)
{
    if (place->size_bytes != wanted->layer->size_bytes)
        return cl_refuse(err, EBADMSG, "it has %llu bytes in %.200s, and the manifest says %llu",
                         (unsigned long long)place->size_bytes, local->path,
                         (unsigned long long)wanted->layer->size_bytes);
    *ret =
        (struct cl_blob_source){.fd = place->fd, .ticks = -1, .offset_bytes = place->offset_bytes};
    return 0;
}

static int layout_open(struct cl_origin *origin, const struct cl_blob_wanted *wanted,
                       struct cl_blob_source *ret, struct cl_error *err)
{
    struct place place;
    int r = find_blob(of(origin), wanted->layer->digest, &place, err);

    return r < 0 ? r : open_at(of(origin), &place, wanted, ret, err);
}

/* --- docker save ------------------------------------------------------------------ */

static int saved_config(struct cl_origin *origin,
                        CL_UNUSED const struct cl_manifest_record *ignored, struct cl_buf *ret,
                        struct cl_error *err)
{
    return read_named(of(origin), of(origin)->saved.config, ret, err);
}

/* Its config, and the record of it. */
static int read_config(struct cl_local_origin *local, struct cl_buf *bytes,
                       struct cl_config_record *ret, struct cl_error *err)
{
    const char *args[CL_HELPER_MAX_ARGS] = {"config", local->saved.config};
    int r = saved_config(&local->origin, NULL, bytes, err);

    return r < 0 ? r : cl_parse(&local->parser, args, bytes, CL_INTO(&cl_config_shape, ret), err);
}

/* Writers that don't run layers leave them compressed (crane, kaniko, jib, bazel), whatever they
 * call them. Docker looks at the first bytes, too. */
static int find_compression(const struct cl_local_origin *local, size_t i,
                            const struct place *place, enum cl_compression *ret,
                            struct cl_error *err)
{
    char head[CL_COMPRESSION_HEAD_SIZE];
    ssize_t got = cl_sys_pread(place->fd, head, (size_t)cl_min_u64(sizeof(head), place->size_bytes),
                               (off_t)place->offset_bytes);

    if (got < 0)
        return cl_fail(err, (int)got, "read %.200s", local->path);
    const struct cl_compression_guess *guess = cl_compression_guess(head, (size_t)got);
    if (guess->compression == CL_COMPRESSION_COUNT)
        return cl_refuse(err, ENOTSUP,
                         "layer %zu is compressed by %s, which is not read here; skopeo copy "
                         "docker-archive:OLD docker-archive:NEW writes it plain",
                         i + 1, guess->program);
    *ret = guess->compression;
    return 0;
}

/* A plain layer's digest is its diffID; a compressed one's would take reading all of it, at each
 * run, and nobody asks for it. */
static int describe_layer(struct cl_local_origin *local, size_t i, const char *diff_id,
                          struct cl_manifest_layer *ret, struct cl_error *err)
{
    enum cl_compression compression = CL_COMPRESSION_NONE;
    struct place place;
    int r = find(local, local->saved.layers.items[i], &place, err);

    if (r == 0)
        r = find_compression(local, i, &place, &compression, err);
    if (r < 0)
        return r;
    *ret = (struct cl_manifest_layer){
        .digest = compression == CL_COMPRESSION_NONE ? diff_id : "",
        .size_bytes = place.size_bytes,
        .compression = compression,
    };
    return 0;
}

static int list_layers(struct cl_local_origin *local, const struct cl_config_record *config,
                       struct cl_manifest_layers *ret, struct cl_error *err)
{
    const size_t count = local->saved.layers.count;
    struct cl_manifest_layer *items = cl_arena_array(local->parser.arena, count, sizeof(*items));

    if (items == NULL)
        return cl_fail_memory(err);
    if (config->diff_ids.count != count)
        return cl_refuse(err, EBADMSG, "its manifest.json has %zu layers, and its config knows %zu",
                         count, config->diff_ids.count);
    for (size_t i = 0; i < count; i++) {
        int r = describe_layer(local, i, config->diff_ids.items[i], &items[i], err);

        if (r < 0)
            return r;
    }
    *ret = (struct cl_manifest_layers){items, count};
    return 0;
}

/* What the manifest of the image says whose config is BYTES. */
static int describe(struct cl_local_origin *local, const struct cl_buf *bytes,
                    const struct cl_config_record *config, struct cl_manifest_record *ret,
                    struct cl_error *err)
{
    struct cl_manifest_record record = {
        .set = CL_RECORD_BIT(CL_MANIFEST_KIND) | CL_RECORD_BIT(CL_MANIFEST_MEDIA_TYPE) |
               CL_RECORD_BIT(CL_MANIFEST_TARGET) | CL_RECORD_BIT(CL_MANIFEST_TARGET_SIZE) |
               CL_RECORD_BIT(CL_MANIFEST_LAYERS),
        .kind = CL_MANIFEST_IMAGE,
        .media_type = CL_MANIFEST_JSON_TYPE,
        .target_size_bytes = bytes->size,
    };
    char text[CL_DIGEST_TEXT_SIZE];
    struct cl_digest digest;
    int r = list_layers(local, config, &record.layers, err);

    if (r < 0)
        return r;
    cl_digest_of(cl_buf_text(bytes), bytes->size, &digest);
    record.target = cl_arena_strdup(local->parser.arena, cl_digest_format(&digest, text));
    if (record.target == NULL)
        return cl_fail_memory(err);
    *ret = record;
    return 0;
}

/* `docker save` keeps no manifest: this is the one that a registry would have of the image with
 * its layers as they are, but for digests that nobody knows. */
static int saved_manifest(struct cl_origin *origin, CL_UNUSED const char *reference,
                          struct cl_buf *ret, char ret_type[CL_MEDIA_TYPE_SIZE],
                          struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(MAX_CONFIG);
    struct cl_local_origin *local = of(origin);
    struct cl_config_record config = {0};
    int r = read_config(local, &bytes, &config, err);

    if (r == 0)
        r = describe(local, &bytes, &config, &local->made, err);
    if (r < 0)
        return r;
    ret_type[0] = '\0';
    origin->made = &local->made;
    r = cl_manifest_json_write(&local->made, ret);
    return r < 0 ? cl_fail(err, r, "write the manifest of %.200s", local->path) : 0;
}

static int saved_open(struct cl_origin *origin, const struct cl_blob_wanted *wanted,
                      struct cl_blob_source *ret, struct cl_error *err)
{
    struct cl_local_origin *local = of(origin);
    struct place place;

    if (wanted->index >= local->saved.layers.count)
        return cl_refuse(err, ENOENT, "%.200s has no such layer", local->path);
    int r = find(local, local->saved.layers.items[wanted->index], &place, err);
    return r < 0 ? r : open_at(local, &place, wanted, ret, err);
}

/* --- opening ---------------------------------------------------------------------- */

void cl_local_done(struct cl_local_origin *local)
{
    for (size_t i = 0; i < local->opened_count; i++)
        cl_fd_close(&local->opened[i]);
    local->opened_count = 0;
    cl_fd_close(&local->root);
}

/* "PATH[:TAG]" or "PATH[:NAME:TAG]": the first colon decides, as with other tools. */
static int split(const char *text, struct cl_arena *arena, struct cl_local_origin *ret,
                 struct cl_error *err)
{
    const size_t size = strcspn(text, ":");
    const int has_tag = text[size] == ':';

    if (size == 0)
        return cl_refuse(err, EINVAL, "no path is named");
    if (has_tag && text[size + 1] == '\0')
        return cl_refuse(err, EINVAL, "the tag after the colon is missing");
    ret->path = cl_arena_strndup(arena, text, size);
    ret->tag = has_tag ? text + size + 1 : NULL;
    return ret->path == NULL ? cl_fail_memory(err) : 0;
}

static int open_root(struct cl_local_origin *local, struct cl_error *err)
{
    if (local->kind != CL_LOCAL_DIRECTORY)
        return cl_follow_regular(local->path, MAX_FILE, err);
    CL_CLEANUP_FD int found = cl_follow_named(local->path, geteuid() == 0, "the layout", err);
    if (found < 0)
        return found;
    int fd = cl_sys_openat(found, ".", O_RDONLY | O_DIRECTORY, 0);
    return fd < 0 ? cl_fail(err, fd, "open the layout %.200s", local->path) : fd;
}

/* A FILE that a helper reads: it is given as it is, not as bytes. */
static int list_members(struct cl_local_origin *local, struct cl_error *err)
{
    const char *args[CL_HELPER_MAX_ARGS] = {"archive", local->path};

    return cl_parse_file(&local->parser, args, local->root,
                         CL_INTO(&cl_archive_shape, &local->archive), err);
}

static int has_member(const struct cl_local_origin *local, const char *name)
{
    for (size_t i = 0; i < local->archive.members.count; i++) {
        if (strcmp(local->archive.members.items[i].name, name) == 0)
            return 1;
    }
    return 0;
}

static int read_saved(struct cl_local_origin *local, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf manifest = CL_BUF_INIT(MAX_MANY);
    const char *args[CL_HELPER_MAX_ARGS] = {"saved", local->path, local->tag};
    int r = read_named(local, "manifest.json", &manifest, err);

    if (r == 0)
        r = cl_parse(&local->parser, args, &manifest, CL_INTO(&cl_saved_shape, &local->saved), err);
    if (r == 0 && (local->saved.set & CL_RECORD_BIT(CL_SAVED_CONFIG)) == 0)
        return cl_refuse(err, EBADMSG, "%.200s: no image was chosen", local->path);
    return r;
}

/* In the layout that Docker 25 and later save an image has its whole name; of other writers'
 * perhaps its tag alone. */
static int choose_saved(struct cl_local_origin *local, struct cl_error *err)
{
    const char *tag = strrchr(local->tag, ':');
    struct cl_arena *arena = local->parser.arena;
    struct cl_reference reference;
    struct cl_error ignored;

    if (tag == NULL || cl_reference_parse(local->tag, NULL, arena, &reference, &ignored) < 0)
        return choose(local, err);
    local->tag = cl_reference_text(&reference, arena);
    if (local->tag == NULL)
        return cl_fail_memory(err);
    int r = choose(local, err);
    if (r == 0)
        return 0;
    local->tag = tag + 1;
    if (choose(local, &ignored) < 0)
        return r;
    *err = (struct cl_error){0};
    return 0;
}

/* What Docker saves has a manifest.json; since 25 it is an OCI layout, too, whose layers may be
 * compressed. */
static int look_inside(struct cl_local_origin *local, struct cl_error *err)
{
    const int is_saved = local->kind == CL_LOCAL_DOCKER_ARCHIVE;
    int r = 0;

    local->is_layout = !is_saved || has_member(local, "index.json");
    if (is_saved && (!local->is_layout || has_member(local, "manifest.json")))
        r = read_saved(local, err);
    if (r < 0 || !local->is_layout)
        return r;
    return is_saved && local->tag != NULL ? choose_saved(local, err) : choose(local, err);
}

int cl_local_open(const struct cl_local_how *how, struct cl_arena *arena,
                  struct cl_local_origin *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_local_done)
    struct cl_local_origin local = {
        .origin = {.manifest = layout_manifest,
                   .config = layout_config,
                   .open = layout_open,
                   .news = -1},
        .kind = how->kind,
        .platform = how->platform,
        .root = how->archive,
    };
    int r = split(how->text, arena, &local, err);

    if (r == 0)
        r = cl_parser_init(arena, &local.parser, err);
    if (r == 0 && local.root < 0)
        r = local.root = open_root(&local, err);
    if (r >= 0 && local.kind != CL_LOCAL_DIRECTORY)
        r = list_members(&local, err);
    if (r >= 0)
        r = look_inside(&local, err);
    if (r < 0)
        return r;
    if (!local.is_layout) {
        local.origin.manifest = saved_manifest;
        local.origin.config = saved_config;
        local.origin.open = saved_open;
    }
    *ret = local;
    local.root = -1;
    local.opened_count = 0;
    return 0;
}

/* --- names ------------------------------------------------------------------------ */

static int name_of_saved(const char *tag, struct cl_arena *arena, const char **ret,
                         struct cl_error *err)
{
    struct cl_reference reference;
    int r = cl_reference_parse(tag, NULL, arena, &reference, err);

    if (r < 0)
        return cl_hint(err, "give it another after the archive's");
    *ret = cl_reference_text(&reference, arena);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

static int name_of_layout(const char *name, struct cl_arena *arena, const char **ret,
                          struct cl_error *err)
{
    struct cl_reference reference;
    struct cl_error ignored;

    *ret = NULL;
    if (cl_reference_parse(name, NULL, arena, &reference, &ignored) < 0 || reference.has_digest)
        return 0;
    const char *whole = cl_reference_text(&reference, arena);
    if (whole == NULL)
        return cl_fail_memory(err);
    if (strcmp(whole, name) == 0) /* not a mere tag */
        *ret = whole;
    return 0;
}

int cl_local_names(const struct cl_local_origin *local, struct cl_arena *arena,
                   struct cl_strlist *ret, struct cl_error *err)
{
    const int is_saved = local->saved.config != NULL;
    const struct cl_strlist of_layout = {&local->chosen.name, local->chosen.name != NULL};
    const struct cl_strlist *given = is_saved ? &local->saved.tags : &of_layout;
    const char **names = cl_arena_array(arena, given->count, sizeof(*names));
    size_t count = 0;
    int r = 0;

    if (names == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; r == 0 && i < given->count; i++) {
        r = is_saved ? name_of_saved(given->items[i], arena, &names[count], err)
                     : name_of_layout(given->items[i], arena, &names[count], err);
        count += r == 0 && names[count] != NULL;
    }
    if (r < 0)
        return cl_prefix(err, "%.200s", local->path);
    *ret = (struct cl_strlist){names, count};
    return 0;
}
