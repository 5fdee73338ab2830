#include "image/compose.h"

#include <errno.h>
#include <string.h>

#include "image/layers.h"

#define CONFIG_HAS(config, field) (((config)->set & CL_RECORD_BIT(field)) != 0)

static int set_text(struct cl_plan *plan, enum cl_field field, const char *text,
                    struct cl_arena *arena, struct cl_error *err)
{
    int r = cl_plan_set_text(plan, field, text, arena, err);

    return r < 0 ? cl_prefix(err, "%s", cl_field_info(field)->path) : 0;
}

/* An empty list is none: Docker's builder writes both. */
static void set_texts(struct cl_plan *plan, enum cl_field field, const struct cl_strlist *list)
{
    if (list->count == 0)
        return;
    struct cl_strlist *member =
        (struct cl_strlist *)(void *)((char *)plan + cl_field_info(field)->offset);
    *member = *list;
    cl_plan_mark(plan, field);
}

static int add_texts(struct cl_plan *plan, enum cl_field field, const struct cl_strlist *list,
                     struct cl_arena *arena, struct cl_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        int r = cl_plan_add_str(plan, field, list->items[i], arena, err);

        if (r < 0)
            return cl_prefix(err, "%s", cl_field_info(field)->path);
    }
    return 0;
}

static int set_config(const struct cl_config_record *config, struct cl_arena *arena,
                      struct cl_plan *plan, struct cl_error *err)
{
    int r = add_texts(plan, CL_FIELD_ENV, &config->env, arena, err);

    set_texts(plan, CL_FIELD_ENTRYPOINT, &config->entrypoint);
    set_texts(plan, CL_FIELD_COMMAND, &config->command);
    if (r == 0 && CONFIG_HAS(config, CL_CONFIG_WORKDIR) && config->workdir[0] != '\0')
        r = set_text(plan, CL_FIELD_WORKDIR, config->workdir, arena, err);
    if (r == 0 && CONFIG_HAS(config, CL_CONFIG_USER) && config->user[0] != '\0')
        r = set_text(plan, CL_FIELD_USER, config->user, arena, err);
    if (r == 0 && CONFIG_HAS(config, CL_CONFIG_STOP_SIGNAL) && config->stop_signal != 0) {
        plan->stop_signal = config->stop_signal;
        cl_plan_mark(plan, CL_FIELD_STOP_SIGNAL);
    }
    return r;
}

int cl_launch_layers(const struct cl_store *store, const struct cl_strlist *layers,
                     struct cl_arena *arena, struct cl_strlist *ret, struct cl_error *err)
{
    size_t first = layers->count;
    struct cl_layer_record record = {0};

    while (first > 0 && !record.hides_below) {
        int r = cl_layer_read(store, layers->items[--first], arena, &record, err);

        if (r < 0)
            return r;
    }
    *ret = (struct cl_strlist){layers->items + first, layers->count - first};
    return 0;
}

/* A foreign word: what of it is a file's name. */
static const char *name_of_module(const char *title)
{
    const char *slash = title == NULL ? NULL : strrchr(title, '/');
    const char *name = slash == NULL ? title : slash + 1;
    const int is_none =
        name == NULL || name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;

    return is_none ? CL_MODULE_FILE : name;
}

static int set_module(const struct cl_launch_of *image, struct cl_arena *arena,
                      struct cl_plan *plan, struct cl_error *err)
{
    plan->image_kind = CL_IMAGE_MODULE;
    return cl_plan_add_str(plan, CL_FIELD_ENTRYPOINT, name_of_module(image->title), arena, err);
}

/* What its layers are for: by the manifest's word, or because no machine's programs are in it. */
static int has_module(const struct cl_launch_of *image)
{
    const char *architecture = image->config->architecture;

    return image->payload == CL_PAYLOAD_FILES_OF_MODULE ||
           (architecture != NULL && strcmp(architecture, "wasm") == 0);
}

static int set_payload(const struct cl_launch_of *image, struct cl_arena *arena,
                       struct cl_plan *plan, struct cl_error *err)
{
    if (image->payload == CL_PAYLOAD_MODULE)
        return set_module(image, arena, plan, err);
    if (has_module(image)) {
        plan->image_module = 1;
        cl_plan_mark(plan, CL_FIELD_IMAGE_MODULE);
    }
    return set_config(image->config, arena, plan, err);
}

int cl_launch_compose(const struct cl_launch_of *image, struct cl_arena *arena, struct cl_plan *ret,
                      struct cl_error *err)
{
    struct cl_plan plan = {.image_kind = CL_IMAGE_STORE, .image_layers = image->layers};
    const char *path = cl_arena_printf(arena, "%s/layers", image->store->path);

    if (path == NULL)
        return cl_fail_memory(err);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(&plan, CL_FIELD_IMAGE_LAYERS);
    int r = set_text(&plan, CL_FIELD_IMAGE_PATH, path, arena, err);
    if (r == 0)
        r = set_text(&plan, CL_FIELD_IMAGE_DIGEST, image->digest, arena, err);
    if (r == 0)
        r = set_payload(image, arena, &plan, err);
    if (r == 0)
        *ret = plan;
    return r;
}
