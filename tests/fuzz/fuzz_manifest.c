/* fuzz_manifest.c - manifests, indexes, layouts and `docker save`'s manifest.json: any bytes
 * make a record that reads back, or an error with the document's name in front. The first line
 * is the media type or the tag. */
#include "helpers/image/manifest.h"
#include "helpers/image/saved.h"
#include "image_input.h"
#include "oci/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(const struct cl_manifest_record *record, struct cl_arena *arena)
{
    struct cl_manifest_record back = {.set = 0};
    struct cl_digest digest;
    struct cl_error err = {0};

    CL_ASSERT(cl_digest_parse(record->target, &digest, &err) == 0);
    for (size_t i = 0; i < record->layers.count; i++)
        CL_ASSERT(cl_digest_parse(record->layers.items[i].digest, &digest, &err) == 0);
    check_record(&cl_manifest_shape, record, &back, arena);
}

static void check_saved(const struct cl_saved_record *record, struct cl_arena *arena)
{
    struct cl_saved_record back = {.set = 0};

    CL_ASSERT(record->config[0] != '/' && strncmp(record->config, "../", 3) != 0);
    CL_ASSERT(strstr(record->config, "/../") == NULL);
    check_record(&cl_saved_shape, record, &back, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(4 << 20);
    struct cl_manifest_record manifest = {.set = 0};
    struct cl_manifest_record layout = {.set = 0};
    struct cl_saved_record saved = {.set = 0};
    struct cl_error err = {0};
    char room[64];
    const char *line = input_line(&data, &size, room);

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    const struct cl_manifest_request request = {"linux/amd64", line, line};
    if (cl_manifest_parse(&document, &request, &arena, &manifest, &err) == 0)
        check_manifest(&manifest, &arena);
    else
        check_error(&err);
    if (cl_layout_parse(&document, &request, &arena, &layout, &err) == 0)
        check_manifest(&layout, &arena);
    else
        check_error(&err);
    if (cl_saved_choose(&document, line, &arena, &saved, &err) == 0)
        check_saved(&saved, &arena);
    else
        check_error(&err);
    return 0;
}
