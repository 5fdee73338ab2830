#include "image/rootfs_tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/signals.h"
#include "base/sys.h"
#include "image/manifest_json.h"
#include "image/unpacker.h"
#include "oci/compression.h"

enum { MAX_DOCUMENT = 1 << 20, SHOW_EVERY_MS = 100 };

static struct cl_rootfs_tar *of(struct cl_origin *origin)
{
    return (struct cl_rootfs_tar *)(void *)((char *)origin -
                                            offsetof(struct cl_rootfs_tar, origin));
}

/* --- compression ----------------------------------------------------------------- */

static int find_compression(int file, enum cl_compression *ret, struct cl_error *err)
{
    unsigned char head[CL_COMPRESSION_HEAD_SIZE];
    ssize_t got = cl_sys_pread(file, head, sizeof(head), 0);

    if (got < 0)
        return cl_fail(err, (int)got, "read it");
    const struct cl_compression_guess *guess = cl_compression_guess(head, (size_t)got);
    if (guess->compression == CL_COMPRESSION_COUNT)
        return cl_refuse(err, ENOTSUP,
                         "it is compressed by %s: %s -dc FILE | cloister import - reads it",
                         guess->program, guess->program);
    *ret = guess->compression;
    return 0;
}

/* --- digests --------------------------------------------------------------------- */

static int reap_ended(struct cl_unpacker *unpacker, const struct cl_rootfs_tar_how *how,
                      struct cl_error *err)
{
    struct pollfd polls[CL_STAGE_COUNT];
    enum cl_unpacker_stage stages[CL_STAGE_COUNT];
    size_t count = 0;

    for (unsigned int i = 0; i < CL_STAGE_COUNT; i++) {
        if (unpacker->children[i].pid <= 0)
            continue;
        polls[count] = (struct pollfd){.fd = unpacker->children[i].pidfd, .events = POLLIN};
        stages[count++] = (enum cl_unpacker_stage)i;
    }
    int r = cl_sys_poll(polls, count, how->show == NULL ? -1 : SHOW_EVERY_MS);
    if (r < 0 && r != -EINTR)
        return cl_fail(err, r, "wait for its digest");
    for (size_t i = 0; r > 0 && i < count; i++) {
        if (polls[i].revents != 0 && cl_unpacker_reap(unpacker, stages[i], err) < 0)
            return -err->code;
    }
    return 0;
}

static int find_digests(const struct cl_rootfs_tar_how *how, uint64_t size_bytes,
                        enum cl_compression compression, struct cl_unpacked *ret,
                        struct cl_error *err)
{
    CL_CLEANUP(cl_unpacker_done) struct cl_unpacker unpacker = CL_UNPACKER_INIT;
    struct cl_helper helper = {0};
    uint64_t read_bytes;
    uint64_t content_bytes;
    int r = cl_helper_find(NULL, "cloister-image", &helper, err);

    if (r < 0)
        return r;
    const struct cl_unpacker_how start = {
        .program = helper.path,
        .compression = compression,
        .source = how->file,
        .ticks = -1,
        .size_bytes = size_bytes,
        .tree = -1,
        .max_bytes = how->max_bytes,
        .max_entries = how->max_entries,
    };
    r = cl_unpacker_start(&start, &unpacker, err);
    while (r == 0 && !cl_unpacker_has_ended(&unpacker)) {
        r = reap_ended(&unpacker, how, err);
        cl_unpacker_progress(&unpacker, &read_bytes, &content_bytes);
        if (r == 0 && how->show != NULL)
            how->show(how->context, read_bytes, size_bytes);
    }
    return r < 0 ? r : cl_unpacker_judge(&unpacker, ret, err);
}

/* --- documents ------------------------------------------------------------------- */

static void add_list(struct cl_json *json, const char *key, const struct cl_strlist *list)
{
    if (list->count == 0)
        return;
    cl_json_strings(json, key, list->items, list->count);
}

static void add_text(struct cl_json *json, const char *key, const char *text)
{
    if (text != NULL)
        cl_json_string(json, key, text);
}

static void add_stop_signal(struct cl_json *json, uint64_t number)
{
    const char *name = cl_signal_name((int)number);
    char digits[24];

    (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    if (number != 0)
        cl_json_string(json, "StopSignal", name == NULL ? digits : name);
}

/* "linux/arm64/v8" */
static void add_platform(struct cl_json *json, const char *platform)
{
    static const char *const keys[] = {"os", "architecture", "variant"};
    char part[64];

    for (size_t i = 0; i < CL_ARRAY_SIZE(keys) && *platform != '\0'; i++) {
        const size_t size = strcspn(platform, "/");

        (void)snprintf(part, sizeof(part), "%.*s", (int)size, platform);
        cl_json_string(json, keys[i], part);
        platform += size;
        platform += *platform == '/';
    }
}

static int write_config(const struct cl_rootfs_tar_how *how, const struct stat *st,
                        const struct cl_unpacked *unpacked, struct cl_buf *buf)
{
    const struct cl_plan *config = how->config;
    char diff_id[CL_DIGEST_TEXT_SIZE];
    char created[CL_RFC3339_SIZE];
    struct cl_json json;

    cl_clock_rfc3339(st->st_mtim.tv_sec < 0 ? 0 : (uint64_t)st->st_mtim.tv_sec * CL_NS_PER_S,
                     created);
    cl_json_begin(&json, buf, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "created", created);
    add_platform(&json, how->platform);
    cl_json_object(&json, "config");
    add_list(&json, "Env", &config->env);
    add_list(&json, "Entrypoint", &config->entrypoint);
    add_list(&json, "Cmd", &config->command);
    add_text(&json, "WorkingDir", config->workdir);
    add_text(&json, "User", config->user);
    add_stop_signal(&json, config->stop_signal);
    cl_json_close(&json, '}');
    cl_json_object(&json, "rootfs");
    cl_json_string(&json, "type", "layers");
    cl_json_array(&json, "diff_ids");
    cl_json_string(&json, NULL, cl_digest_format(&unpacked->plain, diff_id));
    cl_json_close(&json, ']');
    cl_json_close(&json, '}');
    cl_json_array(&json, "history");
    cl_json_object(&json, NULL);
    cl_json_string(&json, "created", created);
    cl_json_string(&json, "created_by", "cloister import");
    cl_json_close(&json, '}');
    cl_json_close(&json, ']');
    cl_json_close(&json, '}');
    return cl_json_end(&json);
}

static int write_manifest(const struct cl_buf *config, const struct cl_unpacked *unpacked,
                          enum cl_compression compression, struct cl_buf *buf)
{
    char layer_text[CL_DIGEST_TEXT_SIZE];
    char config_text[CL_DIGEST_TEXT_SIZE];
    struct cl_digest digest;
    const struct cl_manifest_layer layer = {
        .digest = cl_digest_format(&unpacked->blob, layer_text),
        .size_bytes = unpacked->blob_bytes,
        .compression = compression,
    };

    cl_digest_of(config->data, config->size, &digest);
    const struct cl_manifest_record record = {
        .target = cl_digest_format(&digest, config_text),
        .target_size_bytes = config->size,
        .layers = {&layer, 1},
    };
    return cl_manifest_json_write(&record, buf);
}

/* --- the origin -------------------------------------------------------------------- */

static int tar_manifest(struct cl_origin *origin, CL_UNUSED const char *reference,
                        struct cl_buf *ret, char ret_type[CL_MEDIA_TYPE_SIZE], struct cl_error *err)
{
    const struct cl_buf *bytes = &of(origin)->manifest;

    ret_type[0] = '\0';
    return cl_buf_add(ret, bytes->data, bytes->size) < 0 ? cl_fail_memory(err) : 0;
}

static int tar_config(struct cl_origin *origin, CL_UNUSED const struct cl_manifest_record *record,
                      struct cl_buf *ret, struct cl_error *err)
{
    const struct cl_buf *bytes = &of(origin)->config;

    return cl_buf_add(ret, bytes->data, bytes->size) < 0 ? cl_fail_memory(err) : 0;
}

static int tar_open(struct cl_origin *origin, CL_UNUSED const struct cl_blob_wanted *wanted,
                    struct cl_blob_source *ret, CL_UNUSED struct cl_error *err)
{
    *ret = (struct cl_blob_source){.fd = of(origin)->file, .ticks = -1};
    return 0;
}

void cl_rootfs_tar_done(struct cl_rootfs_tar *tar)
{
    cl_buf_done(&tar->config);
    cl_buf_done(&tar->manifest);
    *tar = CL_ROOTFS_TAR_INIT;
}

static int make(const struct cl_rootfs_tar_how *how, struct cl_rootfs_tar *tar,
                struct cl_error *err)
{
    enum cl_compression compression = CL_COMPRESSION_NONE;
    struct cl_unpacked unpacked = {0};
    struct stat st;
    int r = cl_sys_fstat(how->file, &st);

    if (r < 0)
        return cl_fail(err, r, "look at it");
    if (st.st_size == 0) /* what made it has failed */
        return cl_refuse(err, ENODATA, "it is empty: there is no archive in it");
    tar->size_bytes = (uint64_t)st.st_size;
    r = find_compression(how->file, &compression, err);
    if (r == 0)
        r = find_digests(how, tar->size_bytes, compression, &unpacked, err);
    if (r < 0)
        return r;
    if (write_config(how, &st, &unpacked, &tar->config) < 0 ||
        write_manifest(&tar->config, &unpacked, compression, &tar->manifest) < 0)
        return cl_fail_memory(err);
    return 0;
}

int cl_rootfs_tar_open(const struct cl_rootfs_tar_how *how, struct cl_rootfs_tar *ret,
                       struct cl_error *err)
{
    CL_CLEANUP_ROOTFS_TAR struct cl_rootfs_tar tar = {
        .origin = {.manifest = tar_manifest, .config = tar_config, .open = tar_open, .news = -1},
        .file = how->file,
        .config = CL_BUF_INIT(MAX_DOCUMENT),
        .manifest = CL_BUF_INIT(MAX_DOCUMENT),
    };
    int r = make(how, &tar, err);

    if (r < 0)
        return cl_prefix(err, "%.200s", how->name);
    *ret = tar;
    tar = CL_ROOTFS_TAR_INIT;
    return 0;
}
