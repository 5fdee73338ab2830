/* Which wall a pod is behind, and whose it is: what its configuration and its runtime's options
 * say. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/sha256.h"
#include "cmd/cloisterd/daemon.h"
#include "rpc/pod_messages.h"

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

/* A name that a worker may have: one that is too long is told by its digest. NAMESPACE has no dot,
 * so that the last one is before it, and no two have one name. */
void cl_daemon_name_tenant(const char *space, const char *namespace, char ret[CL_TENANT_SIZE])
{
    char text[2 * CL_CONTAINERD_ID_MOST + 32];
    char hex[CL_SHA256_HEX_SIZE];
    struct cl_sha256 hash;

    const int size = snprintf(text, sizeof(text), "containerd.%s.%s", space,
                              namespace[0] == '\0' ? "-" : namespace);
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
    return r < 0 ? r : cl_wall_of_options(options.body, ret, err);
}

int cl_pod_choose(struct cl_rpc_call *call, struct cl_pod_choice *ret, struct cl_error *err)
{
    const struct cl_msg_controller_create *request = call->request;
    struct cl_msg_pod config = {0};
    const char *namespace = "";
    int r = 0;

    *ret = (struct cl_pod_choice){.wall = CL_POD_CONTAINER};
    if (request->options != NULL && strstr(request->options->type_url, CL_POD_CONFIG_TYPE) != NULL)
        r = cl_wire_read(&cl_msg_pod_shape, &request->options->value, &call->arena, &config, err);
    if (r == 0)
        r = take_options(call, &ret->wall, err);
    if (r == 0)
        r = cl_wall_of_pod(&config.annotations, &ret->wall, err);
    if (r == 0 && config.metadata != NULL && config.metadata->space[0] != '\0') {
        namespace = config.metadata->space;
        r = cl_containerd_check_id(namespace, "the pod's namespace", err);
        if (r == 0 && strchr(namespace, '.') != NULL) /* nor have Kubernetes' a dot */
            r = cl_refuse(err, EINVAL, "the pod's namespace: \"%.80s\" has a dot", namespace);
    }
    if (r == 0)
        cl_daemon_name_tenant(call->space, namespace, ret->tenant);
    return r;
}
