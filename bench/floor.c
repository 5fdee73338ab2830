/*
 * floor: one container start by the kernel's own calls; see floor.h.
 *
 *   floor [OPTIONS] [--] COMMAND [ARG...]
 *
 * Without options the start is a bare fork and exec; each option adds one layer:
 *   --ns LIST          all, or names of user,pid,mnt,net,ipc,uts,cgroup
 *   --no-NAME          takes one of them out again (--no-net, --no-user, ...)
 *   --root HOW:DIR     bind | clone | idmap | overlay (over an id-mapped lower, tmpfs upper)
 *   --proc --devpts --shm --tmpfs N --masks N
 *   --dev template:DIR | binds | mknod
 *   --cgroups LIST     v1 controllers: mkdir, limits, join, rmdir; --no-limits joins only
 *   --seccomp N        a filter of N instructions      --landlock N   a ruleset of N rules
 *   --caps N           drop N from the bounding set    --keyring      a new session keyring
 *   --pipes            standard output and error through a relay
 *   --init fork|vfork  an extra process that waits for the command
 *   --spawn clone3|vm  vm: the child shares the parent's memory until exec
 *   --wait socket|futex how the child gets the go and the trees: one message with
 *                      the descriptors, or a shared table and a futex
 *   --late-net         the child unshares its network namespace while the parent works on
 *   --late-cgroups     the parent makes the cgroups after the clone, not before
 *   --join-last        the child joins its cgroups after its mounts, not before
 *   --ballast MIB      touched memory in the parent before it clones
 *   --no-exec          the command is _exit(0)
 *   --stages FILE      appends a line of `SIDE:STAGE=NS` since the start
 *
 * Order of a full start (as the design has it): cgroups and pipes; clone3 with all
 * namespaces; id maps; detached trees made by the
 * parent; go; the child joins its cgroups, attaches, pivots, is hardened, execs.
 */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { CHILD_STACK_BYTES = 256 * 1024 };

struct floor_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

struct floor_shared *floor_shared;
static char child_stack[2][CHILD_STACK_BYTES] __attribute__((aligned(16)));

void floor_die(const char *what)
{
    (void)fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    _exit(125);
}

long floor_must(long rc, const char *what)
{
    if (rc < 0) {
        floor_die(what);
    }
    return rc;
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void stamp(struct floor_stage *stages, uint32_t *count, const char *name)
{
    if (*count < FLOOR_MAX_STAGES) {
        stages[*count] = (struct floor_stage){name, now_ns()};
        *count += 1;
    }
}

void floor_stamp_parent(const char *name)
{
    stamp(floor_shared->parent, &floor_shared->parent_count, name);
}

void floor_stamp_child(const char *name)
{
    stamp(floor_shared->child, &floor_shared->child_count, name);
}

/* ---- options ---- */

static const struct {
    const char *name;
    uint64_t flag;
} namespace_names[] = {
    {"user", CLONE_NEWUSER},     {"pid", CLONE_NEWPID}, {"mnt", CLONE_NEWNS},
    {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP},
};
enum { NAMESPACE_COUNT = sizeof(namespace_names) / sizeof(namespace_names[0]) };

enum option_id {
    OPT_NS = 256,
    OPT_ROOT,
    OPT_PROC,
    OPT_DEVPTS,
    OPT_SHM,
    OPT_TMPFS,
    OPT_MASKS,
    OPT_DEV,
    OPT_CGROUPS,
    OPT_NO_LIMITS,
    OPT_SECCOMP,
    OPT_LANDLOCK,
    OPT_CAPS,
    OPT_KEYRING,
    OPT_PIPES,
    OPT_INIT,
    OPT_SPAWN,
    OPT_WAIT,
    OPT_BALLAST,
    OPT_NO_EXEC,
    OPT_STAGES,
    OPT_LATE_NET,
    OPT_LATE_CGROUPS,
    OPT_JOIN_LAST,
    OPT_NO_NAMESPACE, /* + index in namespace_names; stays last */
};

static const struct option long_options[] = {
    {"ns", 1, NULL, OPT_NS},
    {"root", 1, NULL, OPT_ROOT},
    {"proc", 0, NULL, OPT_PROC},
    {"devpts", 0, NULL, OPT_DEVPTS},
    {"shm", 0, NULL, OPT_SHM},
    {"tmpfs", 1, NULL, OPT_TMPFS},
    {"masks", 1, NULL, OPT_MASKS},
    {"dev", 1, NULL, OPT_DEV},
    {"cgroups", 1, NULL, OPT_CGROUPS},
    {"no-limits", 0, NULL, OPT_NO_LIMITS},
    {"seccomp", 1, NULL, OPT_SECCOMP},
    {"landlock", 1, NULL, OPT_LANDLOCK},
    {"caps", 1, NULL, OPT_CAPS},
    {"keyring", 0, NULL, OPT_KEYRING},
    {"pipes", 0, NULL, OPT_PIPES},
    {"init", 1, NULL, OPT_INIT},
    {"spawn", 1, NULL, OPT_SPAWN},
    {"wait", 1, NULL, OPT_WAIT},
    {"ballast", 1, NULL, OPT_BALLAST},
    {"no-exec", 0, NULL, OPT_NO_EXEC},
    {"late-net", 0, NULL, OPT_LATE_NET},
    {"late-cgroups", 0, NULL, OPT_LATE_CGROUPS},
    {"join-last", 0, NULL, OPT_JOIN_LAST},
    {"stages", 1, NULL, OPT_STAGES},
    {"no-user", 0, NULL, OPT_NO_NAMESPACE + 0},
    {"no-pid", 0, NULL, OPT_NO_NAMESPACE + 1},
    {"no-mnt", 0, NULL, OPT_NO_NAMESPACE + 2},
    {"no-net", 0, NULL, OPT_NO_NAMESPACE + 3},
    {"no-ipc", 0, NULL, OPT_NO_NAMESPACE + 4},
    {"no-uts", 0, NULL, OPT_NO_NAMESPACE + 5},
    {"no-cgroup", 0, NULL, OPT_NO_NAMESPACE + 6},
    {NULL, 0, NULL, 0},
};

static void bad_value(const char *value)
{
    errno = EINVAL;
    floor_die(value);
}

/* The index of VALUE's first word (up to a colon) in the NULL-ended NAMES. */
static int choose(const char *value, const char *const *names)
{
    size_t size = strcspn(value, ":");
    for (int i = 0; names[i] != NULL; i++) {
        if (strlen(names[i]) == size && strncmp(names[i], value, size) == 0) {
            return i;
        }
    }
    bad_value(value);
    return -1;
}

static const char *after_colon(const char *value)
{
    const char *colon = strchr(value, ':');
    return colon != NULL ? colon + 1 : NULL;
}

static unsigned number(const char *value)
{
    char *end = NULL;
    unsigned long parsed = strtoul(value, &end, 10);
    if (end == value || *end != '\0' || parsed > 65536) {
        bad_value(value);
    }
    return (unsigned)parsed;
}

static uint64_t parse_namespaces(const char *list)
{
    uint64_t flags = 0;
    bool all = strcmp(list, "all") == 0;
    for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
        flags |= all || strstr(list, namespace_names[i].name) != NULL ? namespace_names[i].flag : 0;
    }
    return flags;
}

static void set_choice(struct floor_options *o, int id, const char *value)
{
    static const char *const roots[] = {"bind", "clone", "idmap", "overlay", NULL};
    static const char *const devs[] = {"none", "template", "binds", "mknod", NULL};
    static const char *const inits[] = {"none", "fork", "vfork", NULL};
    static const char *const spawns[] = {"clone3", "vm", NULL};
    static const char *const waits[] = {"socket", "futex", NULL};
    switch (id) {
    case OPT_ROOT:
        o->mounts = true;
        o->root = (enum floor_root)choose(value, roots);
        o->root_path = after_colon(value);
        break;
    case OPT_DEV:
        o->dev = (enum floor_dev)choose(value, devs);
        o->dev_path = after_colon(value);
        break;
    case OPT_INIT:
        o->init = (enum floor_init)choose(value, inits);
        break;
    case OPT_SPAWN:
        o->spawn = (enum floor_spawn)choose(value, spawns);
        break;
    case OPT_WAIT:
        o->wait = (enum floor_wait)choose(value, waits);
        break;
    default:
        bad_value(value);
    }
}

static void set_option(struct floor_options *o, int id, const char *value)
{
    switch (id) {
    case OPT_NS:
        o->namespaces = parse_namespaces(value);
        break;
    case OPT_PROC:
        o->proc = true;
        break;
    case OPT_DEVPTS:
        o->devpts = true;
        break;
    case OPT_SHM:
        o->shm = true;
        break;
    case OPT_TMPFS:
        o->tmpfs_count = number(value);
        break;
    case OPT_MASKS:
        o->mask_count = number(value);
        break;
    case OPT_CGROUPS:
        o->cgroups = value;
        break;
    case OPT_NO_LIMITS:
        o->no_limits = true;
        break;
    case OPT_SECCOMP:
        o->seccomp_insns = number(value);
        break;
    case OPT_LANDLOCK:
        o->landlock_rules = number(value);
        break;
    case OPT_CAPS:
        o->caps_dropped = number(value);
        break;
    case OPT_KEYRING:
        o->keyring = true;
        break;
    case OPT_PIPES:
        o->pipes = true;
        break;
    case OPT_BALLAST:
        o->ballast_mib = number(value);
        break;
    case OPT_NO_EXEC:
        o->no_exec = true;
        break;
    case OPT_LATE_NET:
        o->late_net = true;
        break;
    case OPT_JOIN_LAST:
        o->join_last = true;
        break;
    case OPT_LATE_CGROUPS:
        o->late_cgroups = true;
        break;
    case OPT_STAGES:
        o->stages_path = value;
        break;
    case '?':
        _exit(125);
    default:
        if (id >= OPT_NO_NAMESPACE) {
            o->namespaces &= ~namespace_names[id - OPT_NO_NAMESPACE].flag;
        } else {
            set_choice(o, id, value);
        }
    }
}

static void parse_options(int argc, char **argv, struct floor_options *o)
{
    memset(o, 0, sizeof(*o));
    for (int id; (id = getopt_long(argc, argv, "+", long_options, NULL)) != -1;) {
        set_option(o, id, optarg);
    }
    o->argv = argv + optind;
    if (o->argv[0] == NULL && !o->no_exec) {
        bad_value("no command");
    }
    bool idmap = o->root == ROOT_IDMAP || o->root == ROOT_OVERLAY;
    if ((o->mounts && o->root_path == NULL) || (o->dev == DEV_TEMPLATE && o->dev_path == NULL) ||
        (idmap && !(o->namespaces & CLONE_NEWUSER)) ||
        (o->mounts && !(o->namespaces & CLONE_NEWNS))) {
        bad_value("--root and --dev template need a directory, mounts need --ns mnt, id maps user");
    }
}

/* ---- the child ---- */

static void loopback_up(void)
{
    struct ifreq request;
    memset(&request, 0, sizeof(request));
    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    int fd = (int)floor_must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    floor_must(ioctl(fd, SIOCSIFFLAGS, &request), "lo up");
    (void)close(fd);
    floor_stamp_child("lo_up");
}

static void exec_command(const struct floor_options *options)
{
    floor_stamp_child("exec");
    if (options->no_exec) {
        _exit(0);
    }
    (void)execve(options->argv[0], options->argv, environ);
    floor_die(options->argv[0]);
}

static int exec_entry(void *run)
{
    exec_command(((const struct floor_run *)run)->options);
    return 125;
}

static void run_init(struct floor_run *run)
{
    int flags = SIGCHLD | (run->options->init == INIT_VFORK ? CLONE_VM | CLONE_VFORK : 0);
    int raw = 0;
    int pid =
        (int)floor_must(clone(exec_entry, child_stack[1] + CHILD_STACK_BYTES, flags, run), "init");
    floor_must(waitpid(pid, &raw, 0), "init: wait");
    _exit(WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw));
}

static void join_cgroups(const struct floor_run *run)
{
    floor_cgroups_join(&run->cgroups);
    if (run->cgroups.count > 0 && run->options->namespaces & CLONE_NEWCGROUP) {
        floor_must(unshare(CLONE_NEWCGROUP), "unshare the cgroup namespace");
        floor_stamp_child("cgroupns");
    }
}

static int child_main(void *argument)
{
    struct floor_run *run = argument;
    const struct floor_options *options = run->options;
    floor_stamp_child("born");
    bool late_net = options->late_net && options->namespaces & CLONE_NEWNET;
    if (late_net) {
        floor_must(unshare(CLONE_NEWNET), "unshare the network namespace");
        floor_stamp_child("netns");
        loopback_up();
    }
    if (floor_needs_go(options)) {
        floor_go_wait(run);
        floor_stamp_child("go");
    }
    if (options->namespaces & CLONE_NEWUSER) {
        floor_must(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
        floor_must(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
        floor_stamp_child("ids");
    }
    if (!options->join_last) {
        join_cgroups(run);
    }
    if (options->namespaces & CLONE_NEWNET && !late_net) {
        loopback_up();
    }
    floor_root_enter(options, &run->trees);
    if (options->join_last) {
        join_cgroups(run);
    }
    if (options->pipes) {
        floor_must(dup2(run->out_pipe[1], 1), "dup2");
        floor_must(dup2(run->err_pipe[1], 2), "dup2");
    }
    floor_harden(options);
    if (options->init != INIT_NONE) {
        run_init(run);
    }
    exec_command(options);
    return 125;
}

/* ---- the parent ---- */

static pid_t start_child(struct floor_run *run, int *ret_pidfd)
{
    const struct floor_options *options = run->options;
    uint64_t flags = options->namespaces | CLONE_PIDFD;
    if (options->late_net) {
        flags &= ~(uint64_t)CLONE_NEWNET;
    }
    if (options->wait == WAIT_FUTEX) {
        flags |= CLONE_FILES; /* hands the detached trees over */
    }
    if (options->cgroups != NULL) {
        flags &= ~(uint64_t)CLONE_NEWCGROUP; /* made after joining, so that its root is right */
    }
    if (options->spawn == SPAWN_SHARED_VM) {
        int plain = (int)(flags | CLONE_VM | SIGCHLD);
        return (pid_t)floor_must(
            clone(child_main, child_stack[0] + CHILD_STACK_BYTES, plain, run, ret_pidfd), "clone");
    }
    struct floor_clone_args args = {
        .flags = flags, .pidfd = (uint64_t)(uintptr_t)ret_pidfd, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)floor_must(syscall(SYS_clone3, &args, sizeof(args)), "clone3");
    if (pid == 0) {
        _exit(child_main(run));
    }
    return pid;
}

/* Writes the id maps; returns a descriptor of the child's user namespace. */
static int write_maps(pid_t pid)
{
    char directory[32];
    char map[64];
    char path[64];
    (void)snprintf(directory, sizeof(directory), "/proc/%d", (int)pid);
    (void)snprintf(map, sizeof(map), "0 %d %d\n", FLOOR_UID_BASE, FLOOR_UID_COUNT);
    floor_write(directory, "uid_map", map);
    floor_write(directory, "gid_map", map);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    int fd = (int)floor_must(open(path, O_RDONLY | O_CLOEXEC), path);
    floor_stamp_parent("id_maps");
    return fd;
}

static void relay_output(struct floor_run *run)
{
    char bytes[4096];
    struct pollfd polls[2] = {{run->out_pipe[0], POLLIN, 0}, {run->err_pipe[0], POLLIN, 0}};
    (void)close(run->out_pipe[1]);
    (void)close(run->err_pipe[1]);
    for (int open_count = 2; open_count > 0;) {
        floor_must(poll(polls, 2, -1), "poll");
        for (int i = 0; i < 2; i++) {
            if (polls[i].revents == 0) {
                continue;
            }
            ssize_t got = read(polls[i].fd, bytes, sizeof(bytes));
            if (got <= 0) {
                polls[i].fd = -1;
                open_count--;
            } else {
                floor_must(write(i + 1, bytes, (size_t)got), "relay");
            }
        }
    }
}

static void write_stages(const char *path)
{
    char text[FLOOR_MAX_STAGES * 2 * 48];
    size_t used = 0;
    uint64_t start_ns = floor_shared->parent[0].at_ns;
    for (uint32_t i = 0; i < floor_shared->parent_count + floor_shared->child_count; i++) {
        bool parent = i < floor_shared->parent_count;
        const struct floor_stage *stage =
            parent ? &floor_shared->parent[i]
                   : &floor_shared->child[i - floor_shared->parent_count];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%c:%s=%" PRIu64 " ",
                                 parent ? 'p' : 'c', stage->name, stage->at_ns - start_ns);
    }
    text[used - 1] = '\n';
    int fd = (int)floor_must(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644), path);
    floor_must(write(fd, text, used), path);
    (void)close(fd);
}

static void load_ballast(unsigned mib)
{
    size_t size = (size_t)mib << 20;
    if (size == 0) {
        return;
    }
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) {
        floor_die("ballast");
    }
    for (size_t at = 0; at < size; at += 4096) {
        ((volatile char *)bytes)[at] = 1;
    }
}

int main(int argc, char **argv)
{
    struct floor_options options;
    struct floor_run run = {.options = &options, .trees = {-1, -1}};
    int pidfd = -1;
    siginfo_t info = {0};
    floor_shared = mmap(NULL, sizeof(*floor_shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (floor_shared == MAP_FAILED) {
        floor_die("mmap");
    }
    parse_options(argc, argv, &options);
    load_ballast(options.ballast_mib);
    floor_stamp_parent("start");
    if (!options.late_cgroups) {
        floor_cgroups_make(&options, &run.cgroups);
    }
    floor_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, run.go), "socketpair");
    if (options.pipes) {
        floor_must(pipe2(run.out_pipe, O_CLOEXEC), "pipe");
        floor_must(pipe2(run.err_pipe, O_CLOEXEC), "pipe");
        floor_stamp_parent("pipes");
    }
    struct floor_run for_child = run; /* with --spawn vm both run on the same memory */
    pid_t pid = start_child(&for_child, &pidfd);
    floor_stamp_parent("clone");
    int userns_fd = options.namespaces & CLONE_NEWUSER ? write_maps(pid) : -1;
    floor_root_prepare(&options, userns_fd, &run.trees);
    if (options.late_cgroups) {
        floor_cgroups_make(&options, &run.cgroups);
    }
    if (floor_needs_go(&options)) {
        floor_go_send(&run);
    }
    if (options.pipes) {
        relay_output(&run);
        floor_stamp_parent("output_end");
    }
    floor_must(waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED), "waitid");
    floor_stamp_parent("ended");
    floor_cgroups_remove(&run.cgroups);
    if (options.stages_path != NULL) {
        write_stages(options.stages_path);
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}
