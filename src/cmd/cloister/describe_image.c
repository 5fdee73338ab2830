#include "cmd/cloister/describe_image.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/signals.h"
#include "base/sys.h"
#include "image/layers.h"
#include "image/parse.h"

enum { MAX_CONFIG = 4 << 20 };

static void add_time(struct cl_json *json, const char *key, uint64_t seconds)
{
    char text[CL_RFC3339_SIZE];

    cl_clock_rfc3339(seconds * CL_NS_PER_S, text);
    cl_json_string(json, key, text);
}

static void add_list(struct cl_json *json, const char *key, const struct cl_strlist *list)
{
    cl_json_strings(json, key, list->items, list->count);
}

/* NULL for what is not known or empty. */
static const char *text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

void cl_describe_image(struct cl_json *json, const struct cl_catalog_image *image)
{
    const struct cl_image_record *record = &image->record;
    char digest[CL_DIGEST_TEXT_SIZE];

    cl_json_string(json, "digest", cl_digest_format(&image->digest, digest));
    add_list(json, "names", &image->names);
    cl_json_string(json, "config_digest", record->config);
    cl_json_string(json, "media_type", text_or_null(record->media_type));
    cl_json_string(json, "platform", text_or_null(record->platform));
    cl_json_string(json, "created_at", text_or_null(record->created));
    if (record->set == 0)
        cl_json_null(json, "pulled_at");
    else
        add_time(json, "pulled_at", record->pulled_s);
    add_time(json, "used_at", image->used_s);
    cl_json_u64(json, "size_bytes", image->size_bytes);
    cl_json_u64(json, "own_bytes", image->own_bytes);
}

/* --- layers ---------------------------------------------------------------------- */

static void add_layer(struct cl_json *json, const struct cl_layer_record *layer)
{
    cl_json_object(json, NULL);
    cl_json_string(json, "diff_id", layer->diff_id);
    cl_json_string(json, "chain_id", layer->chain);
    cl_json_string(json, "digest", layer->blob);
    cl_json_u64(json, "size_bytes", layer->size_bytes);
    cl_json_u64(json, "disk_bytes", layer->disk_bytes);
    cl_json_u64(json, "entries", layer->entries);
    cl_json_close(json, '}');
}

static int add_layers(struct cl_json *json, const struct cl_store *store,
                      const struct cl_image_record *record, struct cl_arena *arena,
                      struct cl_error *err)
{
    cl_json_array(json, "layers");
    for (size_t i = 0; i < record->layers.count; i++) {
        struct cl_layer_record layer = {0};
        int r = cl_layer_read(store, record->layers.items[i], arena, &layer, err);

        if (r < 0)
            return r;
        add_layer(json, &layer);
    }
    cl_json_close(json, ']');
    return 0;
}

/* --- the config ------------------------------------------------------------------ */

struct stored {
    const struct cl_image_record *record;
    struct cl_plan launch;
};

/* What only the config itself says. */
static int read_config(const struct cl_store *store, const struct stored *image,
                       struct cl_arena *arena, struct cl_config_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(MAX_CONFIG);
    const int is_module = image->launch.image_kind == CL_IMAGE_MODULE;
    const char *args[CL_HELPER_MAX_ARGS] = {"config", "the image's config",
                                            is_module ? CL_MODULE_CONFIG_TYPE : NULL};
    struct cl_parser parser = {0};
    char name[CL_STORE_NAME_SIZE];
    struct cl_digest digest;
    int r = cl_digest_parse(image->record->config, &digest, err);

    if (r < 0)
        return r;
    cl_store_name("blobs/sha256", &digest, name);
    CL_CLEANUP_FD int fd = cl_sys_openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return cl_fail(err, fd, "open %s/%s", store->path, name);
    r = cl_read_all(fd, name, &bytes, err);
    if (r == 0)
        r = cl_parser_init(arena, &parser, err);
    return r < 0 ? r : cl_parse(&parser, args, &bytes, CL_INTO(&cl_config_shape, ret), err);
}

static int add_labels(struct cl_json *json, const struct cl_strlist *labels, struct cl_arena *arena)
{
    cl_json_object(json, "labels");
    for (size_t i = 0; i < labels->count; i++) {
        const char *label = labels->items[i];
        const size_t size = strcspn(label, "=");
        const char *key = cl_arena_strndup(arena, label, size);

        if (key == NULL)
            return -ENOMEM;
        cl_json_string(json, key, label[size] == '=' ? label + size + 1 : "");
    }
    cl_json_close(json, '}');
    return 0;
}

static void add_id(struct cl_json *json, const char *key, const struct cl_plan *plan,
                   enum cl_field field, uint64_t value)
{
    if (cl_plan_has(plan, field))
        cl_json_u64(json, key, value);
    else
        cl_json_null(json, key);
}

static void add_stop_signal(struct cl_json *json, const struct cl_plan *plan)
{
    const int number = cl_plan_has(plan, CL_FIELD_STOP_SIGNAL) ? (int)plan->stop_signal : 0;
    const char *name = cl_signal_name(number);

    if (number != 0 && name == NULL) /* a real-time signal */
        cl_json_i64(json, "stop_signal", number);
    else
        cl_json_string(json, "stop_signal", number == 0 ? NULL : name);
}

static int add_config(struct cl_json *json, const struct cl_plan *launch,
                      const struct cl_config_record *config, struct cl_arena *arena)
{
    cl_json_object(json, "config");
    add_list(json, "entrypoint", &launch->entrypoint);
    add_list(json, "command", &launch->command);
    add_list(json, "env", &launch->env);
    cl_json_string(json, "workdir", launch->workdir);
    cl_json_string(json, "user", launch->user);
    add_id(json, "uid", launch, CL_FIELD_UID, launch->uid);
    add_id(json, "gid", launch, CL_FIELD_GID, launch->gid);
    cl_json_string(json, "home", launch->home);
    add_stop_signal(json, launch);
    int r = add_labels(json, &config->labels, arena);
    cl_json_close(json, '}');
    return r;
}

int cl_describe_image_whole(struct cl_json *json, const struct cl_store *store,
                            const struct cl_catalog_image *image, struct cl_arena *arena,
                            struct cl_error *err)
{
    struct stored stored = {.record = &image->record};
    struct cl_config_record config = {0};
    int r = 0;

    if (image->record.set == 0)
        return cl_refuse(
            err, EBADMSG,
            "the record of sha256:%s in the store is damaged; remove the image and pull "
            "it again",
            image->digest.hex);
    r = cl_image_read_launch(store, &image->digest, arena, &stored.launch, err);
    if (r == 0)
        r = read_config(store, &stored, arena, &config, err);
    if (r < 0)
        return r;
    cl_json_object(json, NULL);
    cl_describe_image(json, image);
    r = add_layers(json, store, &image->record, arena, err);
    if (r < 0)
        return r;
    if (add_config(json, &stored.launch, &config, arena) < 0)
        return cl_fail_memory(err);
    cl_json_close(json, '}');
    return 0;
}
