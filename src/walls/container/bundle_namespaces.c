/* Namespaces of a bundle: new ones, those that it names by path, and the runtime's own where it
 * names none. The first process is born in what is named: a go-between enters it, and bears that
 * one as a child of the maker's. The maker could not always come back: a user namespace is left for
 * good, and in one, as under an ordinary user's engine, the namespaces outside it are (EPERM). It
 * is the maker that enters a time namespace, which who shares another's memory may not (EUSERS).
 * Source: setns(2), clone(2), namespaces(7), time_namespaces(7). */
#include <errno.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/beside.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "limits/lines.h"
#include "walls/container/bundle.h"

static int open_named(const struct cl_spec_namespace *namespace, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, namespace->path, O_RDONLY | O_NONBLOCK, 0);
    struct statfs fs;

    if (fd < 0)
        return cl_fail(err, fd, "open %s", namespace->path);
    int r = cl_sys_fstatfs(fd, &fs);
    if (r < 0)
        return cl_fail(err, r, "statfs %s", namespace->path);
    if (fs.f_type != NSFS_MAGIC)
        return cl_refuse(err, EINVAL, "%s is no namespace", namespace->path);
    return CL_TAKE_FD(fd);
}

/* Which the go-between enters; the first process itself enters the cgroup namespace. */
static int is_betweens(uint32_t flag)
{
    const uint32_t kinds = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS;

    return (flag & kinds) != 0;
}

/* Its root is changed, for all that are in it: the runtime's, or that of this machine's first
 * process, would be lost. */
static int check_mounts(const struct cl_spec_namespace *namespace, int fd, struct cl_error *err)
{
    static const char *const hosts[] = {"/proc/self/ns/mnt", "/proc/1/ns/mnt"};
    struct stat named;
    struct stat host;
    int r = cl_sys_fstat(fd, &named);

    if (r < 0)
        return cl_fail(err, r, "stat %s", namespace->path);
    for (size_t i = 0; i < CL_ARRAY_SIZE(hosts); i++) {
        r = cl_sys_fstatat(AT_FDCWD, hosts[i], &host, 0);
        if (r < 0 && i == 0)
            return cl_fail(err, r, "stat %s", hosts[i]);
        if (r == 0 && host.st_dev == named.st_dev && host.st_ino == named.st_ino)
            return cl_refuse(err, ENOTSUP,
                             "%s is the host's own mount namespace, whose root a container would "
                             "take away",
                             namespace->path);
    }
    return 0;
}

int cl_bundle_open_namespaces(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec_namespaces *list = &bundle->spec->namespaces;

    for (size_t i = 0; i < list->count; i++) {
        const struct cl_spec_namespace *namespace = &list->items[i];

        if (namespace->path[0] == '\0') {
            bundle->fresh |= namespace->kind;
            continue;
        }
        int r = bundle->joined[i] = open_named(namespace, err);
        if (r >= 0 && namespace->kind == CLONE_NEWNS)
            r = check_mounts(namespace, bundle->joined[i], err);
        if (r < 0)
            return cl_prefix(err, "linux.namespaces[%zu].path", i);
    }
    return 0;
}

void cl_bundle_close_namespaces(void *context)
{
    struct cl_bundle *bundle = context;

    for (size_t i = 0; i < CL_ARRAY_SIZE(bundle->joined); i++)
        cl_fd_close(&bundle->joined[i]);
}

/* --- the time namespace ---------------------------------------------------------------------- */

static int enter_named(const struct cl_bundle *bundle, size_t index, struct cl_error *err)
{
    const struct cl_spec_namespace *namespace = &bundle->spec->namespaces.items[index];
    int r = cl_sys_setns(bundle->joined[index], (int)namespace->kind);

    if (r == 0)
        return 0;
    (void)cl_fail(err, r, "enter %s", namespace->path);
    return cl_prefix(err, "linux.namespaces[%zu].path", index);
}

/* The index of a kind that is named by path; -1 when there is none. */
static int find_named(const struct cl_bundle *bundle, uint32_t kind)
{
    for (size_t i = 0; i < bundle->spec->namespaces.count; i++) {
        if (bundle->spec->namespaces.items[i].kind == kind && bundle->joined[i] >= 0)
            return (int)i;
    }
    return -1;
}

static int write_offsets(const struct cl_bundle *bundle, struct cl_error *err)
{
    const struct cl_spec_offsets *offsets = &bundle->spec->time_offsets;

    for (size_t i = 0; i < offsets->count; i++) {
        const struct cl_spec_offset *offset = &offsets->items[i];
        char line[64];

        (void)snprintf(line, sizeof(line), "%u %lld %u", offset->clock, (long long)offset->seconds,
                       offset->nanoseconds);
        int r = cl_write_file(AT_FDCWD, "/proc/self/timens_offsets", line);
        if (r < 0) {
            (void)cl_fail(err, r, "write /proc/self/timens_offsets");
            return cl_prefix(err, "linux.timeOffsets");
        }
    }
    return 0;
}

/* A new one is for who is born afterwards, and can be set as long as nobody is. */
static int enter_time(const struct cl_bundle *bundle, int *ret_home, struct cl_error *err)
{
    const int named = find_named(bundle, CLONE_NEWTIME);

    if (named < 0 && (bundle->fresh & CLONE_NEWTIME) == 0)
        return 0;
    *ret_home = cl_sys_openat(AT_FDCWD, "/proc/self/ns/time", O_RDONLY, 0);
    if (*ret_home < 0)
        return cl_fail(err, *ret_home, "open /proc/self/ns/time");
    if (named >= 0)
        return enter_named(bundle, (size_t)named, err);
    int r = cl_sys_unshare(CLONE_NEWTIME);
    return r < 0 ? cl_fail(err, r, "make a time namespace") : write_offsets(bundle, err);
}

/* --- the clone ------------------------------------------------------------------------------- */

/* Kinds that clone3 makes: the cgroup namespace's root is where its maker is, so the first process
 * makes that when it has joined its cgroup. */
static uint64_t clone_flags(const struct cl_bundle *bundle)
{
    return bundle->fresh & ~(uint32_t)(CLONE_NEWCGROUP | CLONE_NEWTIME);
}

static int clone_with(struct cl_bundle *bundle, uint64_t more, struct cl_error *err)
{
    struct cl_clone_args args = {
        .flags = CLONE_PIDFD | clone_flags(bundle) | more,
        .pidfd = (uint64_t)(uintptr_t)&bundle->pidfd,
        .exit_signal = (more & CLONE_PARENT) != 0 ? 0 : SIGCHLD,
    };
    const int group = bundle->start->group == NULL ? -1 : cl_group_dir(bundle->start->group);

    if (group >= 0) {
        args.flags |= CL_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group;
    }
    pid_t pid = cl_sys_clone3(&args);
    if (pid == 0)
        cl_bundle_first(bundle);
    if (pid > 0)
        bundle->pid = pid;
    return pid < 0 ? cl_fail(err, pid, "clone into new namespaces") : 0;
}

struct go_between {
    struct cl_bundle *bundle;
    struct cl_error error;
};

/* The user namespace comes last: the others need not belong to it. */
static int enter_all(const struct cl_bundle *bundle, struct cl_error *err)
{
    const int userns = find_named(bundle, CLONE_NEWUSER);
    int r = 0;

    for (size_t i = 0; r == 0 && i < bundle->spec->namespaces.count; i++) {
        if (bundle->joined[i] >= 0 && is_betweens(bundle->spec->namespaces.items[i].kind))
            r = enter_named(bundle, i, err);
    }
    return r == 0 && userns >= 0 ? enter_named(bundle, (size_t)userns, err) : r;
}

static int bear(void *context)
{
    struct go_between *between = context;
    int r = enter_all(between->bundle, &between->error);

    if (r == 0)
        r = clone_with(between->bundle, CLONE_PARENT, &between->error);
    return r < 0;
}

/* The number that the calling process sees of PIDFD's (pidfd_open(2), "/proc/PID/fdinfo"). */
__attribute__((noinline)) /* its lines must not lie in its caller's frame */
static int
find_number(int pidfd)
{
    char path[64];
    struct cl_lines lines;
    const char *line;
    uint64_t pid = 0;
    int r = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    cl_lines_init(&lines, fd);
    while ((r = cl_lines_next(&lines, &line)) > 0) {
        if (strncmp(line, "Pid:\t", 5) == 0)
            return cl_parse_u64(line + 5, &pid) == 0 && pid > 0 && pid <= INT32_MAX ? (int)pid
                                                                                    : -ESRCH;
    }
    return r < 0 ? r : -EBADMSG;
}

/* The go-between's word is the number in the pid namespace that it was born in, which may be a
 * named one: there may be another's process of that number here. The bare mount namespace has no
 * /proc of ours. */
static int number_first(struct cl_bundle *bundle, struct cl_error *err)
{
    int pid = find_number(bundle->pidfd);

    bundle->pid = pid < 0 ? 0 : pid;
    if (pid >= 0)
        return 0;
    (void)cl_sys_pidfd_send_signal(bundle->pidfd, SIGKILL);
    return cl_fail(err, pid, "find the number of the container's first process");
}

static int clone_in(struct cl_bundle *bundle, struct cl_error *err)
{
    struct go_between between = {.bundle = bundle};
    int r = cl_beside_run("the go-between", 0, bear, &between, err);

    if (r > 0)
        *err = between.error;
    return r > 0 ? -between.error.code : r;
}

static int needs_go_between(const struct cl_bundle *bundle)
{
    for (size_t i = 0; i < bundle->spec->namespaces.count; i++) {
        const uint32_t kind = bundle->spec->namespaces.items[i].kind;

        if (bundle->joined[i] >= 0 && (kind == CLONE_NEWUSER || is_betweens(kind)))
            return 1;
    }
    return 0;
}

static int clone_first(struct cl_bundle *bundle, struct cl_error *err)
{
    const int has_between = needs_go_between(bundle);
    struct cl_bare_home home = CL_BARE_HOME_INIT;
    struct cl_error back = {0};

    if (bundle->bare >= 0 && cl_bare_enter(bundle->bare, &home) < 0)
        cl_fd_close(&bundle->bare);
    int r = has_between ? clone_in(bundle, err) : clone_with(bundle, 0, err);
    if (r < 0 && (bundle->fresh & CLONE_NEWUSER) != 0)
        r = cl_userns_hint(r, err);
    const int is_born = r == 0;
    if (cl_bare_leave(&home, &back) < 0) {
        *err = back;
        r = -back.code;
    }
    if (is_born && has_between && number_first(bundle, &back) < 0 && r == 0) {
        *err = back;
        r = -back.code;
    }
    return r;
}

int cl_bundle_clone(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    CL_CLEANUP_FD int time_home = -1;
    /* Before anybody sees the go-between, whose memory is ours, and the first process, which
     * inherits it; the runtime's own user namespace has the only tracers then (ptrace(2)). */
    int r = cl_bundle_is_seen(bundle) ? cl_sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) : 0;

    if (r < 0)
        return cl_fail(err, r, "become non-dumpable");
    r = enter_time(bundle, &time_home, err);
    if (r == 0)
        r = clone_first(bundle, err);
    const int home = time_home < 0 ? 0 : cl_sys_setns(time_home, CLONE_NEWTIME);
    if (home < 0 && r == 0)
        r = cl_fail(err, home, "go back to the own time namespace");
    if (r < 0)
        cl_bundle_end(bundle);
    cl_fd_close(&bundle->channel[1]);
    return r;
}

void cl_bundle_end(void *context)
{
    struct cl_bundle *bundle = context;

    if (bundle->pid > 0)
        cl_child_end(bundle->pid, bundle->pidfd);
    bundle->pid = 0;
    cl_fd_close(&bundle->pidfd);
}

/* --- id maps ---------------------------------------------------------------------------------- */

int cl_bundle_map_text(const struct cl_spec_maps *maps, struct cl_buf *ret, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < maps->count; i++)
        r = cl_buf_printf(ret, "%u %u %u\n", maps->items[i].inside, maps->items[i].outside,
                          maps->items[i].size);
    return r < 0 ? cl_fail(err, r, "lay out an id map") : 0;
}

static int write_map(int proc, const char *file, const struct cl_spec_maps *maps,
                     struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_BUNDLE_MAP_MOST);
    int r = cl_bundle_map_text(maps, &text, err);

    if (r == 0)
        r = cl_write_file(proc, file, cl_buf_text(&text));
    return r < 0 ? cl_fail(err, r, "write the %s of the container's user namespace", file) : 0;
}

/* An ordinary user's own id alone: no helper is needed for that. */
static int is_own_alone(const struct cl_spec_maps *maps, uint32_t own)
{
    return maps->count == 1 && maps->items[0].size == 1 && maps->items[0].outside == own;
}

static int ask_mappers(const struct cl_bundle *bundle, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf uids = CL_BUF_INIT(CL_BUNDLE_MAP_MOST);
    CL_CLEANUP_BUF struct cl_buf gids = CL_BUF_INIT(CL_BUNDLE_MAP_MOST);
    int r = cl_bundle_map_text(&bundle->spec->uid_maps, &uids, err);

    if (r == 0)
        r = cl_bundle_map_text(&bundle->spec->gid_maps, &gids, err);
    if (r == 0)
        r = cl_userns_map_helped(bundle->pid, cl_buf_text(&uids), cl_buf_text(&gids), err);
    return r < 0 ? cl_prefix(err, "linux.uidMappings") : 0;
}

/* Who may not set groups can't map them either, unless he says that nobody will. */
static int deny_groups(int proc, struct cl_error *err)
{
    int r = geteuid() == 0 ? 0 : cl_write_file(proc, "setgroups", "deny");

    return r < 0 && r != -ENOENT
               ? cl_fail(err, r, "write setgroups of the container's user namespace")
               : 0;
}

int cl_bundle_write_maps(void *context, struct cl_error *err)
{
    struct cl_bundle *bundle = context;
    const struct cl_spec *spec = bundle->spec;

    if ((bundle->fresh & CLONE_NEWUSER) == 0)
        return 0;
    if (geteuid() != 0 &&
        (!is_own_alone(&spec->uid_maps, geteuid()) || !is_own_alone(&spec->gid_maps, getegid())))
        return ask_mappers(bundle, err);
    CL_CLEANUP_FD int proc = cl_userns_open_proc(bundle->pid, err);
    if (proc < 0)
        return proc;
    int r = deny_groups(proc, err);
    if (r < 0)
        return r;
    r = write_map(proc, "gid_map", &spec->gid_maps, err);
    if (r < 0)
        return cl_prefix(err, "linux.gidMappings");
    r = write_map(proc, "uid_map", &spec->uid_maps, err);
    return r < 0 ? cl_prefix(err, "linux.uidMappings") : 0;
}
