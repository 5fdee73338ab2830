/* What the wasm wall needs beyond the container's. */
#include "cmd/cloister/probe.h"
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
