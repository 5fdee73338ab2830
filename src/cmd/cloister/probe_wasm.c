/* What the wasm wall needs beyond the container's. */
#include <string.h>

#include "cmd/cloister/probe.h"
#include "module/library.h"
#include "policy/wasm_version.h"

void cl_probe_wasm(struct cl_finding *finding)
{
    static const char *const names[] = {"cloister-wasm", "cloister-wasm-component",
                                        "cloister-wasmc"};
    struct cl_helper helper;
    struct cl_error err = {0};

    if (cl_probe_find(names, CL_ARRAY_SIZE(names), &helper, &err) == 0) {
        cl_found(finding, CL_PROBE_WORKS,
                 CL_WASM_ENGINE ", %.255s, cloister-wasm and cloister-wasm-component", helper.path);
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "cloister run FILE.wasm needs it: %.200s", err.msg);
    cl_cure(finding, "make wasm builds it, once, in minutes; then make install");
}

/* Which of its files is the library is of interest: there may be several. */
void cl_probe_wasmedge(struct cl_finding *finding)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_library library = {0};
    struct cl_error err = {0};
    const char *path = "";

    if (cl_library_find(NULL, &arena, &library, &err) < 0) {
        cl_found(finding, CL_PROBE_ABSENT, "--wasm-engine wasmedge needs it: %.400s", err.msg);
        return;
    }
    for (size_t i = 0; i < library.files.count; i++) {
        if (strncmp(cl_library_name(library.files.items[i]), "libwasmedge", 11) == 0)
            path = library.files.items[i];
    }
    cl_found(finding, CL_PROBE_WORKS, "WasmEdge %.60s, %.300s", library.version, path);
}
