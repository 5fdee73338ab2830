/* -info: what this runtime is, and what cloister-oci says that it can do (OCI runtime
 * specification, features.md). containerd asks before the first container. Source: containerd
 * api/types/introspection.proto.
 */
#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"

enum { FEATURES_MOST = 256 << 10 };

struct version {
    const char *version;
    const char *revision;
};
static const struct cl_wire_field version_rows[] = {
    CL_WIRE_ROW(1, TEXT, version, version),
    CL_WIRE_ROW(2, TEXT, version, revision),
};
static const struct cl_wire_shape version_shape =
    CL_WIRE_SHAPE("RuntimeVersion", version, version_rows);

struct info {
    const char *name;
    const struct version *version;
    const struct cl_msg_any *features; /* JSON */
};
static const struct cl_wire_field info_rows[] = {
    CL_WIRE_ROW(1, TEXT, info, name),
    CL_WIRE_INNER(2, MESSAGE, info, version, &version_shape),
    CL_WIRE_INNER(4, MESSAGE, info, features, &cl_msg_any_shape),
};
static const struct cl_wire_shape info_shape = CL_WIRE_SHAPE("RuntimeInfo", info, info_rows);

static int ask_features(struct cl_buf *ret, struct cl_error *err)
{
    static const struct cl_helper_call call = {
        .args = {"features"},
        .subject = "cloister-oci features",
        .timeout_ns = 10 * CL_NS_PER_S,
        .is_foreign = 1,
    };
    struct cl_helper runtime;
    int r = cl_helper_find(NULL, "cloister-oci", &runtime, err);

    return r < 0 ? r : cl_helper_run(&runtime, &call, ret, err);
}

int cl_shim_info(struct cl_error *err)
{
    static const struct version version = {CL_VERSION, ""};
    CL_CLEANUP_BUF struct cl_buf features = CL_BUF_INIT(FEATURES_MOST);
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(2UL * FEATURES_MOST);
    int r = ask_features(&features, err);

    if (r < 0)
        return r;
    const struct cl_msg_any any = {
        "types.containerd.io/opencontainers/runtime-spec/1/features/Features",
        {cl_buf_text(&features), features.size}};
    const struct info info = {"io.containerd.cloister.v2", &version, &any};
    r = cl_wire_write(&info_shape, &info, &out);
    if (r == 0)
        r = cl_write_all(1, cl_buf_text(&out), out.size);
    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}
