/* fuzz_spec_record.c - the record of an OCI runtime configuration: any bytes read as one or are
 * refused, and what reads writes as the same bytes. */
#include <errno.h>
#include <string.h>

#include "plan/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a core does with it can be done. */
static void walk(const struct cl_spec *spec)
{
    uint64_t maps = 0;

    for (size_t i = 0; i < spec->mounts.count; i++) {
        CL_ASSERT(spec->mounts.items[i].target[0] == '/');
        maps += spec->mounts.items[i].uid_maps + (uint64_t)spec->mounts.items[i].gid_maps;
    }
    CL_ASSERT(maps == spec->mount_maps.count);
    for (size_t i = 0; i < spec->hooks.count; i++) {
        const struct cl_spec_hook *hook = &spec->hooks.items[i];

        CL_ASSERT(cl_spec_has_hook(spec, hook->kind) && cl_hook_name(hook->kind) != NULL);
        for (size_t word = 0; word < hook->args.count; word++)
            CL_ASSERT(strlen(hook->args.items[word]) < CL_SPEC_MAX_SIZE);
        for (size_t word = 0; word < hook->env.count; word++)
            CL_ASSERT(strlen(hook->env.items[word]) < CL_SPEC_MAX_SIZE);
    }
    for (size_t i = 0; i < spec->resources.count; i++)
        CL_ASSERT(cl_resource_path(spec->resources.items[i].what) != NULL);
    for (size_t i = 0; i < spec->namespaces.count; i++)
        CL_ASSERT(cl_spec_namespace(spec, spec->namespaces.items[i].kind) ==
                  &spec->namespaces.items[i]);
    CL_ASSERT(cl_spec_annotation(spec, "no such key, for all that we know") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    const struct cl_bytes bytes = {data, size};
    struct cl_spec spec = {.set = 0};
    struct cl_error err = {0};
    int r = cl_spec_read(&bytes, &arena, &spec, &err);

    if (r < 0) {
        CL_ASSERT((r == -EBADMSG || r == -ENOMEM) && err.code == -r && err.msg[0] != '\0');
        CL_ASSERT(spec.set == 0);
        return 0;
    }
    walk(&spec);
    CL_ASSERT(cl_spec_write(&spec, &again, &err) == 0);
    CL_ASSERT(again.size == size && memcmp(again.data, data, size) == 0);
    return 0;
}
