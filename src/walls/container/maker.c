/* The maker's side of the container wall: see container.h for the whole. */
#include <inttypes.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/processors.h"
#include "base/sys.h"
#include "image/merged.h"
#include "limits/core.h"
#include "policy/seccomp_tables.h"
#include "walls/container/container.h"

/* --- steps of start ------------------------------------------------------------ */

char **cl_vector_fill(char **vector, const struct cl_strlist *list)
{
    for (size_t i = 0; i < list->count; i++)
        vector[i] = cl_unconst(list->items[i]);
    vector[list->count] = NULL;
    return vector + list->count + 1;
}

static void free_vectors(void *context)
{
    struct cl_container *container = context;

    if (container->argv != container->words)
        free(container->argv);
    container->argv = NULL;
    container->envp = NULL;
}

/* Now, because nothing can be allocated after the clone. */
static int make_vectors(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    const struct cl_plan *plan = container->plan;
    size_t count = plan->command.count + plan->env.count + 2;

    container->argv =
        count <= CL_WORDS_USUAL ? container->words : cl_calloc(count, sizeof(*container->argv));
    if (container->argv == NULL)
        return cl_fail_memory(err);
    container->envp = cl_vector_fill(container->argv, &plan->command);
    (void)cl_vector_fill(container->envp, &plan->env);
    return 0;
}

static int open_sources(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (container->rootless)
        return 0; /* init opens them in its own mount namespace, as the same user */
    int r = cl_sources_open(container, err);
    /* The template's nodes have no labels of devices, the host's do. */
    if (r == 0 && container->file_context[0] == '\0' && !cl_has_program(container))
        container->device_tree = cl_devices_template();
    return r;
}

static int open_null(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (!cl_has_program(container))
        return 0;
    container->null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    return container->null < 0 ? cl_fail(err, container->null, "open /dev/null") : 0;
}

/* What init's mount namespace is copied from: the host's where init still has to find
 * something there, or where there is no bare one to be had. */
static int choose_origin(void *context, CL_UNUSED struct cl_error *err)
{
    struct cl_container *container = context;

    if (!container->rootless && container->plan->image_kind != CL_IMAGE_HOST &&
        (container->device_tree >= 0 || cl_has_program(container)))
        container->bare = cl_bare_open();
    return 0;
}

static int make_disk_scratch(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (container->rootless || !cl_scratch_needs_disk(container->plan))
        return 0;
    container->scratch_tree = cl_disk_scratch_make(container, err);
    if (container->scratch_tree >= 0)
        return 0;
    return container->plan->scratch == CL_SCRATCH_DISK
               ? container->scratch_tree
               : cl_prefix(err, "before Linux 6.6 copy-on-write needs scratch on disk");
}

/* And what the two steps after that one opened. */
static void close_trees(void *context)
{
    struct cl_container *container = context;

    cl_fd_close(&container->image_tree);
    cl_fd_close(&container->device_tree);
    cl_fd_close(&container->scratch_tree);
    cl_fd_close(&container->null);
    cl_fd_close(&container->bare);
    for (size_t i = 0; i < container->plan->files.count; i++)
        cl_fd_close(&container->volume_trees[i]);
}

static int make_channel(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    int r = cl_sys_socketpair(SOCK_SEQPACKET, container->channel);

    return r < 0 ? cl_fail(err, r, "socketpair") : 0;
}

static void close_channel(void *context)
{
    struct cl_container *container = context;

    cl_fd_close(&container->channel[0]);
    cl_fd_close(&container->channel[1]);
}

static int make_report(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    void *page = NULL;
    int r = cl_sys_mmap_shared(sizeof(struct cl_report), &page);

    if (r < 0)
        return cl_fail(err, r, "map the report page");
    container->report = page;
    return 0;
}

static void unmap_report(void *context)
{
    struct cl_container *container = context;

    if (container->report != NULL)
        (void)munmap(container->report, sizeof(*container->report));
    container->report = NULL;
}

/* Here and not with the other limits, in main: who may raise the hard limit is root of the
 * host. What main then sets is the same, or 0 where nothing can be made of it. */
static int turn_core_dumps_off(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (cl_plan_without(container->plan, CL_LAYER_RLIMITS))
        return 0;
    int r = cl_core_turn_off(err);
    if (r < 0)
        return cl_plan_without(container->plan, CL_LAYER_CORE_LIMIT) ? 0 : r;
    cl_layer_up(container, CL_LAYER_CORE_LIMIT);
    return 0;
}

static int open_init(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    container->pid_dir = cl_userns_open_proc(container->pid, err);
    if (container->pid_dir < 0)
        return container->pid_dir;
    container->userns = cl_namespace_open(container->pidfd, CL_PIDFD_GET_USER_NAMESPACE,
                                          container->pid_dir, "ns/user");
    if (container->userns >= 0)
        return 0;
    cl_fd_close(&container->pid_dir);
    return cl_fail(err, container->userns, "open init's user namespace");
}

static void close_init(void *context)
{
    struct cl_container *container = context;

    cl_fd_close(&container->pid_dir);
    cl_fd_close(&container->userns);
}

static int write_maps(void *context, struct cl_error *err)
{
    return cl_idmap_write(context, err);
}

/* Some schedulers put a new process behind its parent on the same processor while others
 * are idle: schedulers of virtual machines that pack their tasks. An init that hasn't
 * begun by now waits for us, for 0.2 ms and more: it is moved, when somewhere else there was
 * nothing to do just now. Only a matter of time, so that no failure is one. */
static int part_processors(void *context, CL_UNUSED struct cl_error *err)
{
    const struct cl_container *container = context;
    cpu_set_t all;
    cpu_set_t others;

    if (!cl_processors_have_idle(&container->start->processors) ||
        __atomic_load_n(&container->report->stage, __ATOMIC_RELAXED) != CL_REPORT_NONE)
        return 0;
    if (cl_processors_split(&all, &others) < 0 || CPU_COUNT(&others) == 0)
        return 0;
    if (cl_sys_sched_setaffinity(container->pid, &others) < 0)
        return 0;
    (void)cl_sys_sched_setaffinity(container->pid, &all); /* can't fail where the other didn't */
    return 0;
}

static int map_image(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;
    const int userns = container->userns;

    if (container->image_tree >= 0) {
        const struct cl_plan *plan = container->plan;
        int r = cl_idmap_tree(container->image_tree, userns, cl_image_name(plan), err);
        if (r < 0)
            return plan->image_kind == CL_IMAGE_STORE
                       ? cl_hint(err, "it lies in %.200s", plan->image_path)
                       : r;
    }
    if (container->scratch_tree >= 0)
        return cl_idmap_tree(container->scratch_tree, userns, "the scratch file system", err);
    return 0;
}

static int send_go(void *context, struct cl_error *err)
{
    const struct cl_container *container = context;
    const struct cl_message message = {.kind = CL_MESSAGE_GO};
    int r = cl_message_send(container->channel[0], &message, NULL, 0);

    return r < 0 ? cl_fail(err, r, "send to the sandbox's init") : 0;
}

static int look_at_network(void *context, struct cl_error *err)
{
    struct cl_container *container = context;

    if (container->plan->network != CL_NETWORK_OUTBOUND ||
        cl_plan_without(container->plan, CL_LAYER_NETNS))
        return 0;
    return cl_net_look(&container->net, err);
}

static void forget_network(void *context)
{
    struct cl_container *container = context;

    free(container->net);
    container->net = NULL;
}

static const struct cl_step start_steps[] = {
    {"look at the host's network", look_at_network, forget_network},
    {"look for AppArmor", cl_label_decide, NULL},
    {"look for SELinux", cl_selinux_decide, NULL},
    {"lay out the command", make_vectors, free_vectors},
    {"choose the system call filter", cl_seccomp_choose, cl_seccomp_forget},
    {"open the image and volumes", open_sources, close_trees},
    {"open the null device", open_null, NULL},
    {"make scratch on disk", make_disk_scratch, NULL},
    {"choose a mount namespace", choose_origin, NULL},
    {"make the channel", make_channel, close_channel},
    {"make the report page", make_report, unmap_report},
    {"turn core dumps off", turn_core_dumps_off, NULL},
    {"make the namespaces", cl_init_clone, cl_init_end},
    {"find init in /proc", open_init, close_init},
    {"write the id maps", write_maps, NULL},
    {"part from init's processor", part_processors, NULL},
    {"id-map the image", map_image, NULL},
    {"level the out-of-memory score", cl_priority_level_oom, NULL},
    {"let init go", send_go, NULL},
};

static void set_up(struct cl_container *container, const struct cl_wall_start *start)
{
    *container = (struct cl_container){
        .start = start,
        .plan = start->plan,
        .rootless = start->uid_base == 0,
        .channel = {-1, -1},
        .image_tree = -1,
        .device_tree = -1,
        .scratch_tree = -1,
        .null = -1,
        .bare = -1,
        .pidfd = -1,
        .pid_dir = -1,
        .userns = -1,
        .scratch = -1,
        .root = -1,
        .proc = -1,
        .dev = -1,
        .pts = -1,
        .terminal = -1,
    };
    for (size_t i = 0; i < start->plan->files.count; i++)
        container->volume_trees[i] = -1;
}

static int container_start(const struct cl_wall_start *start, struct cl_wall_process *ret,
                           struct cl_error *err)
{
    struct cl_container container;
    int r;

    CL_ASSERT(start->plan->files.count <= CL_MAX_FILES);
    set_up(&container, start);
    r = cl_steps_run(start_steps, CL_ARRAY_SIZE(start_steps), &container, err);
    if (r < 0)
        close_trees(&container); /* of the step that failed half way, too */
    if (r < 0 && container.init_error.code != 0) {
        /* Init failed first: ours is only the broken pipe or the closed door of that. */
        *err = container.init_error;
        return cl_error_check(err);
    }
    if (r < 0)
        return r;
    close_trees(&container); /* init has its own copies */
    if (!cl_netns_comes_later(&container))
        cl_fd_close(&container.userns);
    cl_fd_close(&container.pid_dir);
    free_vectors(&container);
    cl_seccomp_forget(&container);
    *ret = (struct cl_wall_process){
        .pidfd = container.pidfd,
        .pid = container.pid,
        .channel = container.channel[0],
        .report = container.report,
        .userns = CL_TAKE_FD(container.userns),
        .owner = container.rootless ? 0 : start->uid_base + CL_UIDS_PER_RANGE - 1,
        .plan = start->plan,
        .net = container.net,
        .pasta = CL_PASTA_INIT,
        .line = -1,
        .scratch = -1,
        .terminal = -1,
    };
    return 0;
}

/* --- the running wall ------------------------------------------------------------ */

static int give_network(struct cl_wall_process *process, struct cl_error *err)
{
    CL_CLEANUP_FD int userns = CL_TAKE_FD(process->userns);

    if (userns < 0)
        return 0;
    return process->net != NULL ? cl_netns_give_outbound(process, userns, err)
                                : cl_netns_give(userns, process->channel, err);
}

static int container_release(struct cl_wall_process *process, const struct cl_limits *limits,
                             struct cl_error *err)
{
    struct cl_message message = {.kind = CL_MESSAGE_RELEASE};
    int fds[CL_MESSAGE_MAX_FDS];
    size_t count = 0;

    for (size_t i = 0; limits != NULL && i < limits->count; i++) {
        if (limits->cgroups[i].tasks >= 0)
            fds[count++] = limits->cgroups[i].tasks;
    }
    int r = cl_message_send(process->channel, &message, fds, count);

    if (cl_message_has_no_reader(r)) /* an init that failed has said why in the report */
        return 0;
    return r < 0 ? cl_fail(err, r, "release the sandbox") : give_network(process, err);
}

static int container_signal(struct cl_wall_process *process, int signal, struct cl_error *err)
{
    struct cl_message message = {.kind = CL_MESSAGE_SIGNAL, .value = signal};
    int r = cl_message_offer(process->channel, &message, NULL, 0);

    return r < 0 ? cl_fail(err, r, "send signal %d to the sandbox", signal) : 0;
}

static int offer(struct cl_wall_process *process, enum cl_message_kind kind, struct cl_error *err)
{
    const struct cl_message message = {.kind = kind};
    int r = cl_message_offer(process->channel, &message, NULL, 0);

    return r < 0 ? cl_fail(err, r, "send to the sandbox's init") : 0;
}

static int container_begin(struct cl_wall_process *process, struct cl_error *err)
{
    return offer(process, CL_MESSAGE_BEGIN, err);
}

static int container_leave(struct cl_wall_process *process, struct cl_error *err)
{
    return offer(process, CL_MESSAGE_LEAVE, err);
}

static int container_pause(struct cl_wall_process *process, int is_paused, struct cl_error *err)
{
    const struct cl_message message = {.kind = CL_MESSAGE_PAUSE, .value = is_paused};
    int r = cl_message_offer(process->channel, &message, NULL, 0);

    return r < 0 ? cl_fail(err, r, "%s the sandbox", is_paused ? "pause" : "unpause") : 0;
}

/* The label of the files of START's sandbox on its streams: all that they need. */
static int container_lend(const struct cl_wall_start *start, struct cl_error *err)
{
    struct cl_container container = {.start = start, .plan = start->plan};

    return cl_selinux_decide(&container, err);
}

/* Init waits for its own messages until the command has been started. */
static int container_exec(struct cl_wall_process *process, const struct cl_exec_request *request,
                          const int *fds, struct cl_error *err)
{
    const uint32_t stage = __atomic_load_n(&process->report->stage, __ATOMIC_ACQUIRE);
    const struct cl_message message = {
        .kind = CL_MESSAGE_EXEC,
        .value = (int32_t)request->flags,
        .rows = request->rows,
        .columns = request->columns,
    };

    if (stage == CL_REPORT_NONE || stage == CL_REPORT_BORN)
        return cl_refuse(err, EAGAIN, "the sandbox is still being made");
    if (stage != CL_REPORT_STARTED && stage != CL_REPORT_WAITING &&
        (stage != CL_REPORT_ENDED || !process->plan->stays))
        return cl_refuse(err, ESRCH, "the sandbox has ended");
    int r = cl_message_offer(process->channel, &message, fds, cl_exec_fd_count(request->flags));

    return r < 0 ? cl_fail(err, r, "send a command to the sandbox") : 0;
}

static void take_message(struct cl_wall_process *process, const struct cl_message *message, int fd)
{
    CL_CLEANUP_FD int taken = fd;

    if (message->kind == CL_MESSAGE_TERMINAL && process->terminal < 0)
        process->terminal = CL_TAKE_FD(taken);
    else if (message->kind == CL_MESSAGE_SCRATCH && process->scratch < 0)
        process->scratch = CL_TAKE_FD(taken);
    else if (message->kind == CL_MESSAGE_STARTED)
        process->is_started = 1;
    else if (message->kind == CL_MESSAGE_WAITING)
        process->is_waiting = 1;
    else if (message->kind == CL_MESSAGE_OVER)
        process->is_over = 1;
}

static int container_receive(struct cl_wall_process *process, struct cl_error *err)
{
    for (;;) {
        struct cl_message message;
        int fd = -1;
        int count = cl_message_receive(process->channel, &message, &fd, 1, MSG_DONTWAIT);

        if (count == -EAGAIN || count == -EPIPE)
            return 0;
        if (count < 0)
            return cl_fail(err, count, "receive from the sandbox's init");
        take_message(process, &message, fd);
    }
}

/* What is left is to signal and end the sandbox, and to remove its cgroups. An ordinary
 * user made its namespace and can; root had it made by another uid and keeps CAP_KILL,
 * and CAP_DAC_OVERRIDE because a v1 hierarchy's root directory is closed even to its
 * owner (0555). The filter is made for the calls of musl; a
 * build with another library (sanitizers, coverage) goes without. */
static int container_shrink(const struct cl_plan *plan, struct cl_error *err)
{
    uint64_t kept = geteuid() == 0 ? 1ULL << CL_CAP_KILL | 1ULL << CL_CAP_DAC_OVERRIDE : 0;
    int r = cl_plan_without(plan, CL_LAYER_CAPABILITIES) ? 0 : cl_capabilities_set(kept, err);

    if (r < 0)
        return r;
    r = cl_sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "set no_new_privs");
#ifndef __GLIBC__
    if (!cl_plan_without(plan, CL_LAYER_SECCOMP))
        return cl_seccomp_install(cl_seccomp_supervisor.insns, cl_seccomp_supervisor.count, err);
#endif
    return 0;
}

static void container_done(struct cl_wall_process *process)
{
    if (process->pid > 0) {
        cl_child_end(process->pid, process->pidfd);
        process->pid = 0;
    }
    cl_fd_close(&process->pidfd);
    cl_fd_close(&process->channel);
    cl_fd_close(&process->scratch);
    cl_fd_close(&process->terminal);
    cl_fd_close(&process->userns);
    cl_pasta_done(&process->pasta);
    free(process->net);
    process->net = NULL;
    if (process->report != NULL)
        (void)munmap(process->report, sizeof(*process->report));
    process->report = NULL;
}

static int check_ids(const struct cl_plan *plan, struct cl_error *err)
{
    const uint64_t most = CL_UIDS_PER_RANGE - 1;
    const uint64_t id = cl_max_u64(plan->uid, plan->gid);

    if (id <= most)
        return 0;
    return cl_refuse(err, EINVAL,
                     "user: %" PRIu64 " is no id of a sandbox, where they end at %" PRIu64, id,
                     most);
}

/* Their names become paths, and words of mount options. */
static int check_layers(const struct cl_plan *plan, struct cl_error *err)
{
    const struct cl_strlist *layers = &plan->image_layers;

    if (plan->image_kind != CL_IMAGE_STORE)
        return 0;
    if (layers->count == 0)
        return cl_refuse(err, EINVAL, "the image %.200s has no layers", plan->image);
    for (size_t i = 0; i < layers->count; i++) {
        if (!cl_layer_name_is_valid(layers->items[i]))
            return cl_refuse(err, EINVAL, "\"%.40s\" is no layer of the image %.200s",
                             layers->items[i], plan->image);
    }
    return 0;
}

/* What this wall can't do, said before anything is made. */
static int container_check(const struct cl_plan *plan, struct cl_error *err)
{
    int r = check_ids(plan, err);
    if (r == 0)
        r = check_layers(plan, err);
    if (r < 0)
        return r;
    if (plan->files.count > CL_MAX_FILES)
        return cl_refuse(err, E2BIG, "more than %d volumes", CL_MAX_FILES);
    if (cl_scratch_bytes(plan) == 0)
        return cl_refuse(err, EINVAL,
                         "the sizes of --tmpfs and --shm-size use up all scratch "
                         "(--disk)");
    return 0;
}

const struct cl_wall cl_wall_container = {
    .name = "container",
    .check = container_check,
    .start = container_start,
    .release = container_release,
    .begin = container_begin,
    .leave = container_leave,
    .signal = container_signal,
    .pause = container_pause,
    .lend = container_lend,
    .exec = container_exec,
    .receive = container_receive,
    .shrink = container_shrink,
    .done = container_done,
};
