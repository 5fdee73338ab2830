/* fuzz_spec.c - an OCI config.json, a process, resources: any bytes make a record that reads back,
 * or an error with the document's name in front; and a bundle's seccomp profile a program. */
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/plan/spec.h"
#include "helpers/plan/spec_filter.h"
#include "image_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record that has no room for what a document says is told so, and nothing else is. */
static void check_spec(const struct cl_spec *spec, struct cl_arena *arena)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    struct cl_error err = {0};
    struct cl_spec back = {.set = 0};

    if (cl_spec_write(spec, &buf, &err) < 0) {
        CL_ASSERT(strstr(err.msg, " is out of bounds") != NULL ||
                  strstr(err.msg, " is larger than ") != NULL ||
                  strstr(err.msg, " is too large at ") != NULL);
        return;
    }
    const struct cl_bytes bytes = {buf.data, buf.size};
    CL_ASSERT(cl_spec_read(&bytes, arena, &back, &err) == 0);
    CL_ASSERT(back.set == spec->set && back.mounts.count == spec->mounts.count);
    CL_ASSERT(back.warnings.count <= CL_SPEC_MAX_WARNINGS);
    for (size_t i = 0; i < back.hooks.count; i++)
        CL_ASSERT(back.hooks.items[i].args.count > 0);
}

static void check_profile(const struct cl_bytes *profile, struct cl_arena *arena)
{
    CL_CLEANUP_FD int scratch = cl_sys_memfd_create("program", MFD_CLOEXEC);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_INPUT);
    struct cl_spec spec = {.set = 0};
    struct cl_error err = {0};

    if (cl_buf_add(&text, profile->data, profile->size) < 0)
        return;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    if (cl_spec_filter(&document, scratch, arena, &spec, &err) < 0) {
        check_error(&err);
        return;
    }
    CL_ASSERT(spec.seccomp.size >= 8 && spec.seccomp.size <= CL_SPEC_MAX_FILTER);
    check_spec(&spec, arena);
}

static void check_kind(enum cl_spec_kind kind, const struct cl_document *document)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    struct cl_spec spec = {.set = 0};
    struct cl_error err = {0};

    if (cl_spec_parse(kind, document, &arena, &spec, &err) < 0) {
        check_error(&err);
        return;
    }
    check_spec(&spec, &arena);
    if (cl_spec_has(&spec, CL_SPEC_SECCOMP_PROFILE))
        check_profile(&spec.profile, &arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    for (unsigned int kind = 0; kind < CL_SPEC_KIND_COUNT; kind++)
        check_kind((enum cl_spec_kind)kind, &document);
    return 0;
}
