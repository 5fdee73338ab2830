/* fuzz_auth_file.c - files of credentials and helpers' answers: any bytes make a record that
 * reads back, or an error with the file's name in front. What is put in wins over all that was
 * there, and what is taken out is gone. The first line is the registry. */
#include "helpers/image/auth.h"
#include "helpers/image/auth_edit.h"
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

/* What DOCUMENT knows of REGISTRY once RECORD is put in it. A program that is named for it comes
 * before what the file has, and the one for all after it. */
static void check_edit(const struct cl_document *document, const char *registry,
                       const struct cl_auth_record *record, struct cl_arena *arena)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(64 << 20);
    struct cl_auth_record found = {.set = 0};
    struct cl_error err = {0};

    if (cl_auth_edit(document, registry, record, &output, &err) < 0) {
        CL_ASSERT(err.code != 0 && err.msg[0] != '\0');
        return;
    }
    CL_ASSERT(output.size > 0 || record->kind == CL_AUTH_NONE);
    const struct cl_document edited = {"d", cl_buf_text(&output), output.size};
    if (cl_auth_find(output.size == 0 ? document : &edited, registry, arena, &found, &err) < 0 ||
        found.kind == CL_AUTH_HELPER)
        return;
    CL_ASSERT(found.kind == record->kind);
    CL_ASSERT(found.kind != CL_AUTH_BASIC || strcmp(found.secret, record->secret) == 0);
}

static void check_edits(const struct cl_document *document, const char *registry,
                        struct cl_arena *arena)
{
    const struct cl_auth_record none = {.set = CL_RECORD_BIT(CL_AUTH_KIND), .kind = CL_AUTH_NONE};
    const struct cl_auth_record basic = {
        .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_USER) |
               CL_RECORD_BIT(CL_AUTH_SECRET),
        .kind = CL_AUTH_BASIC,
        .user = "fuzz",
        .secret = "of the fuzzer",
    };

    if (registry[0] == '\0' || strchr(registry, '/') != NULL)
        return; /* no domain, which is what the core asks for */
    check_edit(document, registry, &none, arena);
    check_edit(document, registry, &basic, arena);
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
    check_edits(&document, line == NULL ? "docker.io" : line, &arena);
    if (cl_auth_take_answer(&document, &arena, &answer, &err) == 0)
        check_auth(&answer, &arena);
    else
        check_error(&err);
    return 0;
}
