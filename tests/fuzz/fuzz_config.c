/* fuzz_config.c - configs of images and of WebAssembly modules: any bytes make a record that reads
 * back, or an error with the document's name in front. */
#include "helpers/image/config.h"
#include "image_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const struct cl_document *document, const char *type, struct cl_arena *arena)
{
    struct cl_config_record record = {.set = 0};
    struct cl_config_record back = {.set = 0};
    struct cl_error err = {0};

    if (cl_config_parse(document, type, arena, &record, &err) < 0) {
        check_error(&err);
        return;
    }
    for (size_t i = 0; i < record.env.count; i++)
        CL_ASSERT(strchr(record.env.items[i], '=') > record.env.items[i]);
    check_record(&cl_config_shape, &record, &back, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(4 << 20);

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    parse(&document, NULL, &arena);
    parse(&document, CL_MODULE_CONFIG_TYPE, &arena);
    return 0;
}
