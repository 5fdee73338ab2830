/* fuzz_auth_file.c - files of credentials and helpers' answers: any bytes make a record that
 * reads back, or an error with the file's name in front. The first line is the registry. */
#include "helpers/image/auth.h"
#include "image_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_auth(const struct cl_auth_record *record, struct cl_arena *arena)
{
    struct cl_auth_record back = {.set = 0};

    CL_ASSERT(record->kind != CL_AUTH_HELPER || strchr(record->helper, '/') == NULL);
    CL_ASSERT(record->kind != CL_AUTH_BASIC ||
              (record->user[0] != '\0' && strchr(record->user, ':') == NULL));
    check_record(&cl_auth_shape, record, &back, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(4 << 20);
    struct cl_auth_record found = {.set = 0};
    struct cl_auth_record answer = {.set = 0};
    struct cl_error err = {0};
    char room[64];
    const char *line = input_line(&data, &size, room);

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    if (cl_auth_find(&document, line == NULL ? "docker.io" : line, &arena, &found, &err) == 0)
        check_auth(&found, &arena);
    else
        check_error(&err);
    if (cl_auth_take_answer(&document, &arena, &answer, &err) == 0)
        check_auth(&answer, &arena);
    else
        check_error(&err);
    return 0;
}
