/* probe_host.c - probes that ask the kernel or look at files. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/accounts.h"
#include "base/apparmor.h"
#include "base/fd.h"
#include "base/hostdir.h"
#include "base/num.h"
#include "base/selinux.h"
#include "base/sys.h"
#include "cmd/cloister/probe.h"
#include "limits/core.h"
#include "limits/limits.h"
#include "net/net.h"
#include "base/helper.h"
#include "policy/selinux.h"
#include "sandbox/control.h"
#include "sandbox/ids.h"
#include "sandbox/state.h"

enum { TEXT_MAX = 1 << 20 };

void cl_found(struct cl_finding *finding, enum cl_probe_state state, const char *fmt, ...)
{
    va_list args;

    finding->state = state;
    va_start(args, fmt);
    (void)vsnprintf(finding->why, sizeof(finding->why), fmt, args); /* cut is still said */
    va_end(args);
}

void cl_cure(struct cl_finding *finding, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(finding->cure, sizeof(finding->cure), fmt, args); /* as above */
    va_end(args);
}

void cl_probe_read(const char *path, char *ret, size_t size)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);
    ssize_t got = fd < 0 ? 0 : cl_sys_read(fd, ret, size - 1);

    ret[got < 0 ? 0 : got] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
}

/* --- kernel --------------------------------------------------------------- */

void cl_probe_kernel(struct cl_finding *finding)
{
    struct utsname host = {0};
    uint64_t numbers[2] = {0};
    const char *at = host.release;

    (void)uname(&host); /* fails for a bad address only */
    for (size_t i = 0; i < CL_ARRAY_SIZE(numbers); i++) {
        for (; *at >= '0' && *at <= '9'; at++)
            numbers[i] = numbers[i] * 10 + (uint64_t)(*at - '0');
        at += *at == '.';
    }
    if (numbers[0] > 6 || (numbers[0] == 6 && numbers[1] >= 1)) {
        cl_found(finding, CL_PROBE_WORKS, "Linux %s", host.release);
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "Linux %s", host.release);
    cl_cure(finding, "use Linux 6.1 or newer");
}

void cl_probe_landlock(struct cl_finding *finding)
{
    int abi = cl_sys_landlock_create_ruleset(NULL, 0, CL_LANDLOCK_CREATE_RULESET_VERSION);

    if (abi >= CL_LANDLOCK_LEAST_ABI) {
        cl_found(finding, CL_PROBE_WORKS, "ABI %d", abi);
        return;
    }
    if (abi < 0)
        cl_found(finding, CL_PROBE_MISSING, "%s",
                 abi == -EOPNOTSUPP ? "switched off at boot" : strerror(-abi));
    else
        cl_found(finding, CL_PROBE_MISSING, "ABI %d, at least %d is needed", abi,
                 CL_LANDLOCK_LEAST_ABI);
    cl_cure(finding, "boot with lsm=landlock,... on the kernel's command line, or accept it: run "
                     "--without landlock");
}

/* --- files ---------------------------------------------------------------- */

/* ERR's words, with what they advise among the cures. */
static void found_error(struct cl_finding *finding, struct cl_error *err)
{
    char *cure = strstr(err->msg, "; ");

    if (cure != NULL) {
        cl_cure(finding, "%.511s", cure + strlen("; "));
        *cure = '\0';
    }
    cl_found(finding, CL_PROBE_MISSING, "%.511s", err->msg);
}

/* What a start takes there: a seat with a record, its bell, as root a range of uids. */
static int try_state(struct cl_state *state, struct cl_error *err)
{
    CL_CLEANUP_ENTRY struct cl_entry entry = CL_ENTRY_INIT;
    CL_CLEANUP_FD int bell = -1;
    CL_CLEANUP_FD int ids = -1;
    const struct cl_plan plan = {.without = CL_LAYER_BIT(CL_LAYER_LIMITS)}; /* nothing to sweep */
    struct cl_status status = {.phase = CL_PHASE_CREATING, .supervisor = getpid()};
    const struct cl_ids_range range = CL_IDS_DEFAULT; /* which they are is another row's */
    uint32_t base = 0;
    int r = cl_state_open(state, err);

    if (r == 0)
        r = cl_id_make(status.id, err);
    if (r == 0 && geteuid() == 0)
        r = cl_ids_take(state, &range, &base, &ids, err);
    if (r == 0)
        r = cl_state_create(state, &status, &plan, &entry, err);
    if (r < 0)
        return r;
    bell = cl_control_listen(&entry, err);
    cl_entry_remove(state, &entry);
    return bell < 0 ? bell : 0;
}

void cl_probe_state_dir(struct cl_finding *finding)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    struct cl_error err = {0};
    int r = try_state(&state, &err);

    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "ours, closed to others, and takes records");
        return;
    }
    found_error(finding, &err);
    if (r == -ENOSPC || r == -EDQUOT)
        cl_cure(finding, "make room (df, df -i) in the file system of %s",
                geteuid() == 0 ? "/run" : "$XDG_RUNTIME_DIR, or of /tmp where that is not set");
}

/* Only who asks for a network needs what is looked for here. */
void cl_probe_network(struct cl_finding *finding)
{
    struct cl_error err = {0};
    struct cl_net *net = NULL;

    if (cl_net_look(&net, &err) < 0) {
        found_error(finding, &err);
        finding->state = CL_PROBE_ABSENT;
        return;
    }
    cl_found(finding, CL_PROBE_WORKS, "%s, %s%s%s; names %s", cl_pasta_find(),
             net->has_v4 ? "IPv4" : "", net->has_v4 && net->has_v6 ? " and " : "",
             net->has_v6 ? "IPv6" : "",
             net->resolver4.family != 0 || net->resolver6.family != 0
                 ? "by the host's resolver"
                 : "by nobody: /etc/resolv.conf has no resolver");
    free(net);
}

/* PATH as text in BUF; empty where it can't be read. */
static void read_text(const char *path, struct cl_buf *buf)
{
    struct cl_error ignored = {0};
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0);

    if (fd >= 0)
        (void)cl_read_all(fd, path, buf, &ignored); /* as much as was read is looked at */
}

/* Whether this user namespace has the uids of sandboxes; MAP as in user_namespaces(7). */
static int has_ids(char *map, const struct cl_ids_range *range, uint64_t last)
{
    for (char *line = strsep(&map, "\n"); line != NULL; line = strsep(&map, "\n")) {
        uint64_t numbers[3] = {0};
        size_t count = 0;

        for (char *word = strsep(&line, " "); word != NULL; word = strsep(&line, " ")) {
            if (*word != '\0' && count < CL_ARRAY_SIZE(numbers) &&
                cl_parse_u64(word, &numbers[count]) == 0)
                count++;
        }
        if (count == CL_ARRAY_SIZE(numbers) && numbers[0] <= range->first &&
            numbers[0] + numbers[2] > last)
            return 1;
    }
    return 0;
}

static void probe_root_ids(struct cl_finding *finding)
{
    CL_CLEANUP_BUF struct cl_buf map = CL_BUF_INIT(TEXT_MAX);
    struct cl_ids_range range;
    struct cl_error err = {0};

    if (cl_ids_range_read(&range, &err) < 0) {
        found_error(finding, &err);
        return;
    }
    const uint64_t last = (uint64_t)range.first + (uint64_t)range.count * CL_IDS_SIZE - 1;
    read_text("/proc/self/uid_map", &map);
    if (map.size > 0 && !has_ids(map.data, &range, last)) {
        cl_found(finding, CL_PROBE_MISSING, "this user namespace lacks the uids %u to %u",
                 (unsigned int)range.first, (unsigned int)last);
        cl_cure(finding, "this is root of a user namespace (unshare -r, a container): start "
                         "cloister outside of it, or as an ordinary user");
        return;
    }
    cl_found(finding, CL_PROBE_WORKS, "%u ranges from %u%s", (unsigned int)range.count,
             (unsigned int)range.first,
             range.first == CL_IDS_FIRST ? "" : ", as /etc/subuid says of cloister");
}

/* A file that can't be read gives nothing; who runs build is told so. */
static int has_subids(const char *path, const char *login)
{
    struct cl_error ignored = {0};
    struct cl_id_range range;

    return cl_accounts_find_subids(path, login, geteuid(), &range, &ignored) > 0;
}

static void probe_user_ids(struct cl_finding *finding)
{
    char login[CL_LOGIN_SIZE];
    char cure[CL_SUBIDS_CURE_SIZE];

    cl_accounts_login(geteuid(), login);
    if (!has_subids("/etc/subuid", login) || !has_subids("/etc/subgid", login)) {
        cl_found(finding, CL_PROBE_ABSENT,
                 "no range in /etc/subuid and /etc/subgid: --profile "
                 "build can't run, strict needs none");
        cl_accounts_cure_subids(login, cure);
        cl_cure(finding, "as root: %s", cure);
        return;
    }
    if (cl_sys_faccessat(AT_FDCWD, "/usr/bin/newuidmap", X_OK) < 0) {
        cl_found(finding, CL_PROBE_ABSENT,
                 "no newuidmap: --profile build can't run, strict needs "
                 "none");
        cl_cure(finding, "install the package uidmap");
        return;
    }
    cl_found(finding, CL_PROBE_WORKS, "for --profile build, through newuidmap");
}

void cl_probe_ids(struct cl_finding *finding)
{
    if (geteuid() == 0)
        probe_root_ids(finding);
    else
        probe_user_ids(finding);
}

/* --- cgroups -------------------------------------------------------------- */

void cl_probe_limits(struct cl_finding *finding)
{
    struct cl_limits_probe probe = {0};
    char login[CL_LOGIN_SIZE];

    cl_limits_probe(&probe);
    if (probe.why[0] == '\0') {
        cl_found(finding, CL_PROBE_WORKS, "cgroup %s, in %.200s",
                 cl_cgroup_layout_name(probe.layout), probe.where);
        return;
    }
    if (probe.usable != 0) { /* what runs use that don't ask for more */
        cl_found(finding, CL_PROBE_WORKS, "cgroup %s, in %.200s; --cpus can't be had",
                 cl_cgroup_layout_name(probe.layout), probe.where);
        cl_cure(finding, "for --cpus: %.480s", probe.why);
        return;
    }
    cl_found(finding, CL_PROBE_MISSING, "%.511s", probe.why);
    if (geteuid() == 0 || probe.layout == CL_CGROUP_NONE) {
        cl_cure(finding, "or accept it: run --without limits");
    } else if (probe.layout == CL_CGROUP_V2) {
        cl_cure(finding, "ask this user's systemd for a cgroup: run --cgroup-manager systemd; or "
                         "accept it: run --without limits");
    } else {
        cl_accounts_login(geteuid(), login);
        if (login[0] == '\0')
            (void)snprintf(login, sizeof(login), "%u", (unsigned int)geteuid());
        cl_cure(
            finding,
            "accept it: run --without limits; or as root, with the pid of this user's shell: "
            "for c in memory pids cpu cpuacct; do d=/sys/fs/cgroup/$c/%.31s; mkdir -p $d; chown "
            "%.31s $d; echo PID >$d/tasks; done",
            login, login);
    }
}

/* This process's own core dumps are off afterwards, which is no loss. */
void cl_probe_core(struct cl_finding *finding)
{
    struct cl_error err = {0};

    if (cl_core_turn_off(&err) < 0)
        found_error(finding, &err);
    else
        cl_found(finding, CL_PROBE_WORKS, "a crash inside reaches no program of the host");
}

void cl_probe_apparmor(struct cl_finding *finding)
{
    char value[16];

    switch (cl_apparmor_look()) {
    case CL_APPARMOR_READY:
        cl_found(finding, CL_PROBE_WORKS, "the profile " CL_APPARMOR_PROFILE " is loaded");
        return;
    case CL_APPARMOR_UNLOADED:
        cl_found(finding, CL_PROBE_MISSING, "the profile " CL_APPARMOR_PROFILE " isn't loaded");
        cl_cure(finding, "%s", CL_APPARMOR_CURE);
        return;
    case CL_APPARMOR_NONE:
    case CL_APPARMOR_UNKNOWN:
        break;
    }
    cl_probe_read("/sys/module/apparmor/parameters/enabled", value, sizeof(value));
    if (strcmp(value, "Y") == 0) /* a container's view of its host, as a rule */
        cl_found(finding, CL_PROBE_ABSENT, "on, but its files are not to be seen here");
    else
        cl_found(finding, CL_PROBE_ABSENT, "not on this host");
}

void cl_probe_selinux(struct cl_finding *finding)
{
    int mode = cl_selinux_mode();
    const char *word = mode == CL_SELINUX_ENFORCING ? "enforcing" : "permissive";

    if (mode <= CL_SELINUX_NONE) {
        cl_found(finding, CL_PROBE_ABSENT, "not on this host");
        return;
    }
    if (cl_selinux_knows(cl_selinux_has_levels() == 0 ? CL_SELINUX_PROCESS
                                                      : CL_SELINUX_PROCESS CL_SELINUX_LEVEL) > 0) {
        cl_found(finding, CL_PROBE_WORKS, "%s; commands run as container_t", word);
        return;
    }
    cl_found(finding, mode == CL_SELINUX_ENFORCING ? CL_PROBE_MISSING : CL_PROBE_ABSENT,
             "%s, and the policy doesn't know " CL_SELINUX_PROCESS, word);
    cl_cure(finding, "install container-selinux, or load the modules of packaging/selinux; or run "
                     "with --without selinux");
}

void cl_probe_helper(struct cl_finding *finding)
{
    struct cl_helper helper;
    struct cl_error err = {0};

    if (cl_helper_find(NULL, "cloister-plan", &helper, &err) == 0) {
        cl_found(finding, CL_PROBE_WORKS, "%.255s", helper.path);
        return;
    }
    cl_found(finding, CL_PROBE_ABSENT, "--policy, --seccomp and user names need it: %.180s",
             err.msg);
}

/* Whether a file for scratch has a place, with ROOM_LEAST bytes left. */
static int try_hostdir(void)
{
    enum { ROOM_LEAST = 1 << 20 };
    struct statfs fs;

    /* The first run makes it; doctor leaves nothing. */
    int missing = cl_sys_faccessat(AT_FDCWD, CL_HOSTDIR, F_OK) == -ENOENT;
    CL_CLEANUP_FD int file =
        missing ? cl_sys_openat(AT_FDCWD, CL_HOSTDIR_PARENT, O_RDWR | O_TMPFILE, 0600)
                : cl_hostdir_make_file();
    if (file < 0)
        return file;
    int r = cl_sys_fstatfs(file, &fs);
    if (r < 0)
        return r;
    return (uint64_t)fs.f_bfree * (uint64_t)fs.f_bsize < ROOM_LEAST ? -ENOSPC : 0;
}

static int has_mke2fs(void)
{
    static const char *const places[] = CL_MKE2FS_PLACES;

    for (size_t i = 0; i < CL_ARRAY_SIZE(places); i++) {
        if (cl_sys_faccessat(AT_FDCWD, places[i], X_OK) == 0)
            return 1;
    }
    return 0;
}

/* Why there is no place for scratch on disk, by try_hostdir's -errno. */
static void explain_hostdir(struct cl_finding *finding, int r)
{
    cl_found(finding, CL_PROBE_ABSENT,
             "scratch must stay within half of the memory limit: " CL_HOSTDIR ": %s", strerror(-r));
    if (r == -ENOSPC || r == -EDQUOT)
        cl_cure(finding, "make room in " CL_HOSTDIR " (df, df -i)");
    else if (r == -EPERM)
        cl_cure(finding, "chown root " CL_HOSTDIR " && chmod 711 " CL_HOSTDIR);
    else
        cl_cure(finding, "let " CL_HOSTDIR " be a directory that root can write to, on a file "
                         "system with files without names, as ext4, xfs and btrfs");
}

void cl_probe_loop(struct cl_finding *finding)
{
    if (geteuid() != 0) {
        cl_found(finding, CL_PROBE_ABSENT, "for root alone; others have scratch in memory");
        return;
    }
    int r = cl_sys_faccessat(AT_FDCWD, "/dev/loop-control", W_OK);
    if (r < 0) {
        cl_found(finding, CL_PROBE_ABSENT, "scratch must stay within half of the memory limit");
        if (r == -ENOENT)
            cl_cure(finding, "modprobe loop");
        else
            cl_cure(finding, "give /dev/loop-control to this root; root of a user namespace "
                             "(unshare -r, a container) can't have it: start cloister outside "
                             "of it");
        return;
    }
    r = try_hostdir();
    if (r < 0) {
        explain_hostdir(finding, r);
        return;
    }
    if (!has_mke2fs()) {
        cl_found(finding, CL_PROBE_ABSENT,
                 "scratch must stay within half of the memory limit: no mke2fs");
        cl_cure(finding, "install e2fsprogs");
        return;
    }
    cl_found(finding, CL_PROBE_WORKS, "scratch larger than half of the memory limit");
}

void cl_probe_kvm(struct cl_finding *finding)
{
    if (cl_sys_faccessat(AT_FDCWD, "/dev/kvm", R_OK | W_OK) == 0)
        cl_found(finding, CL_PROBE_LATER, "this host has KVM");
    else
        cl_found(finding, CL_PROBE_LATER, "/dev/kvm can't be opened");
}

void cl_probe_later(struct cl_finding *finding)
{
    cl_found(finding, CL_PROBE_LATER, "-");
}
