/* pause and resume: all processes of a container stand still, or go on. */
#include <errno.h>
#include <string.h>

#include "cmd/cloister-oci/command.h"

static const struct cl_option options[] = {CL_OCI_HELP};

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    const int is_pause = strcmp(self->name, "pause") == 0;
    int r = cl_oci_parse_id(self, argc, argv, oci, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    r = cl_oci_find(oci, id, 1, &container, err);
    if (r < 0)
        return r;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    if (is_pause ? status != CL_CONTAINER_RUNNING && status != CL_CONTAINER_CREATED
                 : status != CL_CONTAINER_PAUSED)
        return cl_refuse(err, EINVAL, "cannot %s a container that is %s", self->name,
                         cl_container_status_name(status));
    r = cl_container_group(&container, &group, err);
    return r < 0 ? r : cl_group_freeze(&group, is_pause, err);
}

const struct cl_oci_command cl_oci_pause = {
    .name = "pause",
    .usage = "ID",
    .help = "Freeze all processes of a container",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};

const struct cl_oci_command cl_oci_resume = {
    .name = "resume",
    .usage = "ID",
    .help = "Let a paused container go on",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
