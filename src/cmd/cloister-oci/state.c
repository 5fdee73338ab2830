/* state: what is known of a container, as the runtime specification shows it. */
#include "cmd/cloister-oci/command.h"

static const struct cl_option options[] = {CL_OCI_HELP};

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_SPEC_MAX_SIZE);
    int r = cl_oci_parse_id(self, argc, argv, oci, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    r = cl_oci_find(oci, id, 0, &container, err);
    if (r < 0)
        return r;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    const struct cl_bundle_state state = {
        .spec = &container.spec,
        .id = container.id,
        .status = cl_container_status_name(status),
        .path = container.record.set == 0 ? "" : container.record.bundle,
        .pid = status == CL_CONTAINER_STOPPED ? 0 : (int)container.record.pid,
    };
    r = cl_bundle_write_state(&state, &text, err);
    return r < 0 ? r : cl_oci_print(&text, err);
}

const struct cl_oci_command cl_oci_state = {
    .name = "state",
    .usage = "ID",
    .help = "Show a container's state as JSON",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
