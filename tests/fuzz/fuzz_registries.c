/* fuzz_registries.c - registries.yaml: any bytes make a record that reads back, or an error with
 * the file's name in front. */
#include "helpers/plan/registries.h"
#include "image_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    struct cl_registries_record record = {.set = 0};
    struct cl_registries_record back = {.set = 0};
    struct cl_error err = {0};

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    if (cl_registries_parse(&document, &arena, &record, &err) == 0)
        check_record(&cl_registries_shape, &record, &back, &arena);
    else
        check_error(&err);
    return 0;
}
