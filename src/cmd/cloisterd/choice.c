/* Which wall a pod is behind, and whose it is: what its configuration and its runtime's options
 * say. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/sha256.h"
#include "cmd/cloisterd/daemon.h"

#define PREFIX "run.cloister."

/* Of the CRI's PodSandboxConfig what is looked at.
 * Source: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto. */
struct pod_metadata {
    const char *name;
    const char *namespace;
};
static const struct cl_wire_field metadata_rows[] = {
    CL_WIRE_ROW(1, TEXT, pod_metadata, name),
    CL_WIRE_ROW(3, TEXT, pod_metadata, namespace),
};
static const struct cl_wire_shape metadata_shape =
    CL_WIRE_SHAPE("PodSandboxMetadata", pod_metadata, metadata_rows);

struct pod_config {
    const struct pod_metadata *metadata;
    struct cl_wire_list annotations; /* of struct cl_msg_pair */
};
static const struct cl_wire_field config_rows[] = {
    CL_WIRE_INNER(1, MESSAGE, pod_config, metadata, &metadata_shape),
    CL_WIRE_INNER(7, MESSAGES, pod_config, annotations, &cl_msg_pair_shape),
};
static const struct cl_wire_shape config_shape =
    CL_WIRE_SHAPE("PodSandboxConfig", pod_config, config_rows);

/* The CRI's for runtimes that aren't runc: the options of its configuration. */
struct runtime_options {
    const char *body; /* the table of options, as TOML */
};
static const struct cl_wire_field options_rows[] = {
    CL_WIRE_ROW(3, TEXT, runtime_options, body),
};
static const struct cl_wire_shape options_shape =
    CL_WIRE_SHAPE("Options", runtime_options, options_rows);

/* --- whose ----------------------------------------------------------------------------------- */

/* A name that a worker may have: one that is too long is told by its digest. */
void cl_daemon_name_tenant(const char *space, const char *namespace, char ret[CL_TENANT_SIZE])
{
    const char *dot = namespace[0] == '\0' ? "" : ".";
    char text[2 * CL_CONTAINERD_ID_MOST + 32];
    char hex[CL_SHA256_HEX_SIZE];
    struct cl_sha256 hash;

    const int size = snprintf(text, sizeof(text), "containerd.%s%s%s", space, dot, namespace);
    if (size < CL_TENANT_SIZE) {
        memcpy(ret, text, (size_t)size + 1);
        return;
    }
    cl_sha256_init(&hash);
    cl_sha256_add(&hash, text, strlen(text));
    cl_sha256_final_hex(&hash, hex);
    (void)snprintf(ret, CL_TENANT_SIZE, "containerd.%.64s", hex);
}

/* --- which wall ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum cl_pod_wall wall;
} walls[] = {{"container", CL_POD_CONTAINER}, {"wasm", CL_POD_WASM}};

static int take_wall(const char *name, size_t size, const char *where, enum cl_pod_wall *ret,
                     struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(walls); i++) {
        if (strlen(walls[i].name) != size || strncmp(walls[i].name, name, size) != 0)
            continue;
        *ret = walls[i].wall;
        return 0;
    }
    return cl_refuse(err, EINVAL, "%s: there is no wall \"%.*s\": container or wasm", where,
                     (int)(size < 40 ? size : 40), name);
}

/* Lines of "key = value", as TOML has them; there is one key. */
static int take_body(const char *body, enum cl_pod_wall *ret, struct cl_error *err)
{
    static const char blanks[] = " \t\r";

    while (*body != '\0') {
        const char *line = body + strspn(body, " \t\r\n");
        const size_t key = strcspn(line, " \t\r\n=");
        const char *value = line + key + strspn(line + key, blanks);

        body = line + strcspn(line, "\n");
        if (line == body)
            continue;
        if (key != 4 || strncmp(line, "wall", 4) != 0 || *value != '=')
            return cl_refuse(err, EINVAL,
                             "the options of the runtime: \"%.*s\": wall = \"...\" is all there is",
                             (int)(body - line < 80 ? body - line : 80), line);
        value += 1 + strspn(value + 1, " \t\"'");
        int r =
            take_wall(value, strcspn(value, " \t\r\n\"'"), "the options of the runtime", ret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_options(struct cl_rpc_call *call, enum cl_pod_wall *ret, struct cl_error *err)
{
    const struct cl_msg_controller_create *request = call->request;
    struct runtime_options options = {0};

    if (request->sandbox == NULL || request->sandbox->runtime == NULL ||
        request->sandbox->runtime->options == NULL)
        return 0;
    const struct cl_msg_any *any = request->sandbox->runtime->options;
    if (strstr(any->type_url, "runtimeoptions.v1.Options") == NULL)
        return cl_refuse(err, EINVAL, "options of the type %.100s aren't known", any->type_url);
    int r = cl_wire_read(&options_shape, &any->value, &call->arena, &options, err);
    return r < 0 ? r : take_body(options.body, ret, err);
}

/* Nobody is to believe that one does something that doesn't. */
static int take_annotation(const struct cl_msg_pair *pair, enum cl_pod_wall *ret,
                           struct cl_error *err)
{
    if (strncmp(pair->key, PREFIX, sizeof(PREFIX) - 1) != 0)
        return 0;
    if (strcmp(pair->key, PREFIX "wall") == 0)
        return take_wall(pair->value, strlen(pair->value), pair->key, ret, err);
    return cl_refuse(err, EINVAL, "annotation %.100s: there is none such of a pod", pair->key);
}

int cl_pod_choose(struct cl_rpc_call *call, struct cl_pod_choice *ret, struct cl_error *err)
{
    const struct cl_msg_controller_create *request = call->request;
    struct pod_config config = {0};
    const char *namespace = "";
    int r = 0;

    *ret = (struct cl_pod_choice){.wall = CL_POD_CONTAINER};
    if (request->options != NULL &&
        strstr(request->options->type_url, "runtime.v1.PodSandboxConfig") != NULL)
        r = cl_wire_read(&config_shape, &request->options->value, &call->arena, &config, err);
    if (r == 0)
        r = take_options(call, &ret->wall, err);
    const struct cl_msg_pair *pairs = config.annotations.items;
    for (size_t i = 0; r == 0 && i < config.annotations.count; i++)
        r = take_annotation(&pairs[i], &ret->wall, err);
    if (r == 0 && config.metadata != NULL && config.metadata->namespace[0] != '\0') {
        namespace = config.metadata->namespace;
        r = cl_containerd_check_id(namespace, "the pod's namespace", err);
    }
    if (r == 0)
        cl_daemon_name_tenant(call->space, namespace, ret->tenant);
    return r;
}
