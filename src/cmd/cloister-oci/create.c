/* create: a container from a bundle, up to where it waits for start. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/seal.h"
#include "base/steps.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"
#include "limits/scope.h"

enum { PATH_SIZE = 4096 };

static const struct cl_option options[] = {CL_OCI_CREATION_ROWS, CL_OCI_HELP};

/* --- the bundle ----------------------------------------------------------------------------------
 */

struct bundle {
    int dir;
    char path[PATH_SIZE]; /* absolute, without links */
    struct cl_bytes bytes;
};

static int open_bundle(const char *path, struct bundle *ret, struct cl_error *err)
{
    char link[64];

    ret->dir = cl_sys_openat(AT_FDCWD, path == NULL ? "." : path, O_PATH | O_DIRECTORY, 0);
    if (ret->dir < 0)
        return cl_fail(err, ret->dir, "open the bundle %s", path == NULL ? "." : path);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", ret->dir);
    ssize_t size = cl_sys_readlinkat(AT_FDCWD, link, ret->path, sizeof(ret->path) - 1);
    if (size < 0)
        return cl_fail(err, (int)size, "find the bundle's path");
    ret->path[size] = '\0';
    return 0;
}

static int load(const struct cl_oci_creation *creation, struct bundle *bundle,
                struct cl_oci_container *container, struct cl_error *err)
{
    const char *name = creation->config != NULL ? creation->config : "config.json";
    const int from = creation->config != NULL ? AT_FDCWD : bundle->dir;
    CL_CLEANUP_FD int fd = cl_sys_openat(from, name, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
    const struct cl_spec_document document = {.kind = CL_SPEC_CONFIG, .fd = fd, .name = name};

    if (fd < 0)
        return cl_fail(err, fd, "open the bundle's %s", name);
    int r = cl_check_regular(fd, name, CL_SPEC_MAX_INPUT, err);
    return r < 0
               ? r
               : cl_spec_load(&document, &container->arena, &container->spec, &bundle->bytes, err);
}

/* --- making it
 * ------------------------------------------------------------------------------------ */

/* What the undoing has to know. */
struct making {
    struct cl_oci *oci;
    const struct cl_oci_creation *creation;
    struct cl_oci_container *container;
    struct bundle bundle;
    struct cl_group group;
    struct cl_resctrl resctrl;
    struct cl_bundle_start start;
    struct cl_bundle_process process;
};

/* The record names the cgroup before that can exist. */
static int save_place(void *context, struct cl_error *err)
{
    struct making *making = context;
    struct cl_oci_container *container = making->container;
    struct cl_group_place *place = &making->group.place;
    int r = cl_group_place(&container->spec, container->id, making->oci->manager, place, err);

    if (r < 0)
        return r;
    cl_group_foresee(place);
    cl_container_set_place(container, place);
    container->record.bundle = making->bundle.path;
    return cl_container_save(container, &making->bundle.bytes, err);
}

static int is_not_ours(int r)
{
    return r == -EACCES || r == -EPERM || r == -EROFS;
}

/* An ordinary user without a delegated cgroup: nothing is asked of one, so that nothing is lost. */
static int go_without_group(struct making *making, struct cl_error *err)
{
    cl_oci_say(making->oci, "warning", err->msg);
    *err = (struct cl_error){0};
    making->group = (struct cl_group){.place = {.manager = CL_GROUP_NONE}};
    making->start.group = NULL;
    cl_container_set_place(making->container, &making->group.place);
    return 0;
}

static int make_group(void *context, struct cl_error *err)
{
    struct making *making = context;
    static struct cl_group_place place; /* large */

    place = making->group.place;

    if (place.manager == CL_GROUP_NONE)
        return 0;
    int r = cl_group_make(&place, &making->container->spec, &making->group, err);
    if (is_not_ours(r) && making->container->spec.resources.count == 0 && !cl_is_host_root())
        return go_without_group(making, err);
    if (r == 0)
        cl_container_set_place(making->container, &making->group.place);
    return r;
}

static void remove_group(void *context)
{
    struct making *making = context;
    struct cl_error unused;

    if (making->group.count > 0)
        (void)cl_group_remove(&making->group, &unused); /* what failed before is said */
}

static int make_class(void *context, struct cl_error *err)
{
    struct making *making = context;
    const struct cl_oci_container *container = making->container;
    int r = cl_oci_find_class(container, &making->resctrl, err);

    return r < 0 ? r : cl_resctrl_make(&making->resctrl, err);
}

static void remove_class(void *context)
{
    struct making *making = context;
    struct cl_error unused;

    (void)cl_resctrl_remove(&making->resctrl, &unused); /* what failed before is said */
    cl_resctrl_close(&making->resctrl);
}

static int join_class(void *context, struct cl_error *err)
{
    struct making *making = context;

    return cl_resctrl_join(&making->resctrl, making->process.pid, err);
}

static int listen_for_start(void *context, struct cl_error *err)
{
    struct making *making = context;

    making->start.listener = cl_container_listen(making->container, err);
    return making->start.listener < 0 ? making->start.listener : 0;
}

static void close_listener(void *context)
{
    struct making *making = context;

    cl_fd_close(&making->start.listener);
}

static int connect_console(void *context, struct cl_error *err)
{
    struct making *making = context;
    const struct cl_spec *spec = &making->container->spec;
    const char *path = making->creation->console;

    if (spec->terminal && path == NULL && making->start.console < 0)
        return cl_refuse(err, EINVAL,
                         "process.terminal: there is a terminal to be given to somebody; say "
                         "--console-socket");
    if (!spec->terminal && path != NULL)
        return cl_refuse(err, EINVAL,
                         "--console-socket: the bundle asks for no terminal (process.terminal)");
    return path == NULL ? 0 : cl_oci_connect_console(path, &making->start.console, err);
}

static void close_console(void *context)
{
    struct making *making = context;

    if (making->start.console != making->creation->console_fd)
        cl_fd_close(&making->start.console);
}

static int create(void *context, struct cl_error *err)
{
    struct making *making = context;

    return cl_bundle_create(&making->start, &making->process, err);
}

static void end(void *context)
{
    struct making *making = context;
    int status;

    (void)cl_sys_pidfd_send_signal(making->process.pidfd, SIGKILL); /* it waits for start */
    (void)cl_sys_wait_for(making->process.pid, &status);
    cl_fd_close(&making->process.pidfd);
    cl_fd_close(&making->process.channel);
}

static int save_process(void *context, struct cl_error *err)
{
    struct making *making = context;
    int r = cl_container_set_process(making->container, making->process.pid, err);

    if (r == 0)
        r = cl_container_save(making->container, NULL, err);
    return r < 0 ? r : cl_bundle_keep(&making->process, err);
}

static int write_pid(void *context, struct cl_error *err)
{
    struct making *making = context;

    return cl_oci_write_pid(making->creation->pid_file, making->process.pid, err);
}

static const struct cl_step steps[] = {
    {NULL, save_place, NULL},
    {NULL, make_group, remove_group},
    {NULL, make_class, remove_class},
    {NULL, connect_console, close_console},
    {"make the socket of its beginning", listen_for_start, close_listener},
    {NULL, create, end},
    {NULL, join_class, NULL},
    {"note its process", save_process, NULL},
    {NULL, write_pid, NULL},
};

/* Steps say which of the bundle's fields is to blame, and need no name before that. */
static int run_steps(struct making *making, struct cl_error *err)
{
    int r = cl_steps_run(steps, CL_ARRAY_SIZE(steps), making, err);

    if (r < 0)
        return r;
    close_console(making);
    close_listener(making);
    cl_resctrl_close(&making->resctrl);
    cl_group_close(&making->group);
    return 0;
}

/* How many sockets a service manager gave us, and not one that was before us (sd_listen_fds(3)). */
static uint64_t count_sockets(void)
{
    const char *whose = getenv("LISTEN_PID"); // NOLINT(concurrency-mt-unsafe): one thread
    const char *text = getenv("LISTEN_FDS");  // NOLINT(concurrency-mt-unsafe): one thread
    uint64_t pid = 0;
    uint64_t count = 0;

    if (whose == NULL || cl_parse_u64(whose, &pid) < 0 || pid != (uint64_t)getpid())
        return 0;
    return text == NULL || cl_parse_u64(text, &count) < 0 ? 0 : count;
}

/* They are the command's, and it is process 1. */
static int pass_sockets(struct cl_oci_container *container, unsigned int *ret, struct cl_error *err)
{
    struct cl_strlist *env = &container->spec.env;
    const uint64_t count = count_sockets();

    if (count == 0)
        return 0;
    if (count > CL_BUNDLE_PRESERVED_MOST - *ret)
        return cl_refuse(err, E2BIG, "LISTEN_FDS and --preserve-fds: more than %d descriptors",
                         CL_BUNDLE_PRESERVED_MOST);
    const char **items = cl_arena_array(&container->arena, env->count + 2, sizeof(*items));
    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < env->count; i++)
        items[i] = env->items[i];
    items[env->count] = cl_arena_printf(&container->arena, "LISTEN_FDS=%u", (unsigned int)count);
    items[env->count + 1] = "LISTEN_PID=1";
    if (items[env->count] == NULL)
        return cl_fail_memory(err);
    *env = (struct cl_strlist){items, env->count + 2};
    *ret += (unsigned int)count;
    return 0;
}

static void warn(const struct cl_oci *oci, const struct cl_spec *spec)
{
    for (size_t i = 0; i < spec->warnings.count; i++)
        cl_oci_say(oci, "warning", spec->warnings.items[i]);
}

int cl_oci_make(struct cl_oci *oci, const struct cl_oci_creation *creation,
                struct cl_oci_container *container, struct cl_bundle_process *ret,
                struct cl_error *err)
{
    static struct making making; /* large; a process makes one container */

    making = (struct making){
        .oci = oci,
        .creation = creation,
        .container = container,
        .bundle = {.dir = -1},
        .resctrl = CL_RESCTRL_NONE,
        .process = CL_BUNDLE_PROCESS_INIT,
    };
    int r = open_bundle(creation->bundle, &making.bundle, err);

    if (r == 0)
        r = load(creation, &making.bundle, container, err);
    CL_CLEANUP_FD int dir = making.bundle.dir;
    if (r < 0)
        return r;
    warn(oci, &container->spec);
    if (creation->console_fd >= 0)
        cl_oci_take_size(&container->spec);
    r = cl_oci_trim(oci, &container->spec, &container->spec, err);
    if (r == 0)
        r = cl_oci_add_pod_files(creation->pod_files, container, err);
    if (r == 0)
        r = cl_oci_put_pod_process(creation->pod_process, container, err);
    if (r == 0)
        r = cl_bundle_check(&container->spec, err);
    if (r < 0)
        return r;
    unsigned int preserved = creation->preserved;
    r = pass_sockets(container, &preserved, err);
    if (r == 0)
        r = cl_oci_check_preserved(preserved, err);
    if (r < 0)
        return r;
    making.start = (struct cl_bundle_start){
        .spec = &container->spec,
        .id = container->id,
        .bundle = dir,
        .path = making.bundle.path,
        .group = oci->manager == CL_GROUP_NONE ? NULL : &making.group,
        .console = creation->console_fd,
        .listener = -1,
        .preserved = preserved,
        .no_pivot = creation->no_pivot,
        .no_keyring = creation->no_keyring,
    };
    r = run_steps(&making, err);
    if (r == 0)
        *ret = making.process;
    else
        cl_oci_say_stopped(oci,
                           container); /* of hooks that ran, some may have made what is to go */
    return r;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct cl_oci_creation creation = CL_OCI_CREATION_INIT;
    struct cl_bundle_process process = CL_BUNDLE_PROCESS_INIT;
    const int first = cl_oci_parse_id(self, argc, argv, &creation, err);
    int r = first < 0 ? first : cl_seal_mount(oci->argv, err);

    if (r < 0)
        return r;
    const char *id = argv[first];
    const int root = cl_oci_root(oci, err);
    r = root < 0 ? root : cl_container_make(root, id, &container, err);
    if (r < 0)
        return r;
    r = cl_oci_make(oci, &creation, &container, &process, err);
    if (r < 0) {
        struct cl_error unused;

        (void)cl_container_remove(&container, &unused); /* why it failed is what counts */
    }
    cl_fd_close(&process.pidfd);
    return r;
}

const struct cl_oci_command cl_oci_create = {
    .name = "create",
    .usage = "[OPTIONS] ID",
    .help = "Make a container from a bundle",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
