/* run: create and start in one, waiting for the end where it isn't detached. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/seal.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

static const struct cl_option options[] = {
    CL_OCI_CREATION_ROWS,
    CL_OCI_TEXT(cl_oci_creation, "config", 'f', "FILE", "in place of the bundle's config.json",
                config),
    CL_OCI_FLAG(cl_oci_creation, "detach", 'd', "return when it has started", detach),
    CL_OCI_FLAG(cl_oci_creation, "keep", 0, "don't delete it at its end", keep),
    CL_OCI_FLAG(cl_oci_creation, "no-subreaper", 0, "taken and of no effect: there is none",
                no_subreaper),
    CL_OCI_HELP,
};

/* A terminal goes to who was named, else to us, where we wait for the end. */
static int begin(struct cl_oci *oci, struct cl_oci_creation *creation,
                 struct cl_oci_container *container, struct cl_bundle_process *process,
                 struct cl_error *err)
{
    CL_CLEANUP_FD int ours = -1;
    CL_CLEANUP_FD int theirs = -1;

    if (creation->console == NULL && !creation->detach) {
        theirs = cl_oci_make_console(&ours, err);
        if (theirs < 0)
            return theirs;
        creation->console_fd = theirs;
    }
    int r = cl_oci_make(oci, creation, container, process, err);
    if (r < 0)
        return r;
    r = cl_oci_begin(container, err);
    if (r < 0)
        return r;
    return container->spec.terminal && ours >= 0 ? cl_oci_take_master(ours, err) : -1;
}

/* The lock is let go while it runs; it may have been deleted meanwhile. */
static int end(struct cl_oci *oci, const char *id, struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    int r = cl_oci_find(oci, id, 1, &container, err);

    if (r == -ENOENT) {
        *err = (struct cl_error){0};
        return 0;
    }
    return r < 0 ? r : cl_oci_remove(oci, &container, err);
}

static int make_and_begin(struct cl_oci *oci, struct cl_oci_creation *creation, const char *id,
                          struct cl_bundle_process *process, struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    const int root = cl_oci_root(oci, err);
    struct cl_error unused;
    int status;

    int r = root < 0 ? root : cl_container_make(root, id, &container, err);
    if (r < 0)
        return r;
    err->code = 0;
    r = begin(oci, creation, &container, process, err);
    if (r < 0 && err->code != 0) {
        if (process->pid > 0) {
            (void)cl_sys_pidfd_send_signal(process->pidfd, SIGKILL); /* it may be dead */
            (void)cl_sys_wait_for(process->pid, &status);
            (void)cl_oci_remove(oci, &container, &unused); /* why it failed is what counts */
        } else {
            (void)cl_container_remove(&container, &unused); /* the same */
        }
    }
    return r;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    struct cl_oci_creation creation = CL_OCI_CREATION_INIT;
    struct cl_bundle_process process = CL_BUNDLE_PROCESS_INIT;
    const int first = cl_oci_parse_id(self, argc, argv, &creation, err);
    int r = first < 0 ? first : cl_seal_mount(oci->argv, err);

    if (r < 0)
        return r;
    const char *id = argv[first];
    r = creation.detach ? 0 : cl_oci_hold_signals(err);
    if (r < 0)
        return r;
    int master = make_and_begin(oci, &creation, id, &process, err);
    CL_CLEANUP_FD int pidfd = process.pidfd;
    if (err->code != 0)
        return -err->code;
    if (creation.detach)
        return 0;
    struct cl_error other = {0};
    int status = cl_oci_wait(&process, master, err);
    r = creation.keep ? 0 : end(oci, id, &other);
    if (status < 0 || r == 0) /* what failed first is told */
        return status;
    *err = other;
    return r;
}

const struct cl_oci_command cl_oci_run = {
    .name = "run",
    .usage = "[OPTIONS] ID",
    .help = "Create and start a container, and wait for its end",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
