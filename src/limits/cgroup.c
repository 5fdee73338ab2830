#include "limits/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/lines.h"

static inline int cl_sys_ppoll(struct pollfd *fds, size_t count, const struct timespec *timeout)
{
    return (int)CL_SYS5(SYS_ppoll, fds, count, timeout, NULL, 8);
}

static inline int cl_sys_nanosleep(const struct timespec *time)
{
    return (int)CL_SYS2(SYS_nanosleep, time, NULL);
}

static inline int cl_sys_sysinfo(struct sysinfo *ret)
{
    return (int)CL_SYS1(SYS_sysinfo, ret);
}

int cl_cgroup_layout(int ask_unified, struct cl_error *err)
{
    struct statfs fs;
    int r = cl_sys_statfs(CL_CGROUP_MOUNT, &fs);

    if (r == -ENOENT)
        return cl_refuse(err, ENOTSUP, "there are no cgroups at %s; mount them, %s",
                         CL_CGROUP_MOUNT, CL_CGROUP_WITHOUT);
    if (r < 0)
        return cl_fail(err, r, "statfs %s", CL_CGROUP_MOUNT);
    if (fs.f_type == CGROUP2_SUPER_MAGIC)
        return CL_CGROUP_V2;
    if (!ask_unified)
        return CL_CGROUP_V1;
    r = cl_sys_statfs(CL_CGROUP_MOUNT "/unified", &fs);
    if (r < 0 && r != -ENOENT)
        return cl_fail(err, r, "statfs %s", CL_CGROUP_MOUNT "/unified");
    return r == 0 && fs.f_type == CGROUP2_SUPER_MAGIC ? CL_CGROUP_HYBRID : CL_CGROUP_V1;
}

int cl_cgroup_open(const char *path, unsigned long magic, struct cl_error *err)
{
    struct statfs fs;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);

    if (fd == -ENOENT)
        return cl_refuse(err, ENOTSUP,
                         "this process's own cgroup is not to be seen at %.300s (in a container "
                         "that shows a part of the tree only?); run outside of it, %s",
                         path, CL_CGROUP_WITHOUT);
    if (fd < 0)
        return cl_fail(err, fd, "open the cgroup %s", path);
    int r = cl_sys_fstatfs(fd, &fs);
    if (r < 0)
        return cl_fail(err, r, "statfs %s", path);
    if ((unsigned long)fs.f_type != magic)
        return cl_refuse(err, ENOTSUP, "%s is no cgroup: mount the hierarchy there, %s", path,
                         CL_CGROUP_WITHOUT);
    return CL_TAKE_FD(fd);
}

int cl_cgroup_open_file(int parent, const char *name, const char *file, int flags)
{
    char path[NAME_MAX + 1 + 64];
    int size = snprintf(path, sizeof(path), "%s/%s", name, file);

    CL_ASSERT(size > 0 && (size_t)size < sizeof(path));
    return cl_sys_openat(parent, path, flags, 0);
}

int cl_cgroup_set(const struct cl_cgroup *cgroup, const char *name, const char *file,
                  const char *text)
{
    CL_CLEANUP_FD int fd = cl_cgroup_open_file(cgroup->parent, name, file, O_WRONLY);

    /* One write: the kernel takes each as a whole setting. */
    return fd < 0 ? fd : cl_write_all(fd, text, strlen(text));
}

int cl_cgroup_set_u64(const struct cl_cgroup *cgroup, const char *name, const char *file,
                      uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value); /* 20 digits fit */
    return cl_cgroup_set(cgroup, name, file, text);
}

void cl_cgroup_unthrottle(int parent, const char *name)
{
    static const struct {
        const char *file;
        const char *none;
    } quotas[] = {{"cpu.cfs_quota_us", "-1"}, {"cpu.max", "max"}};

    for (size_t i = 0; i < CL_ARRAY_SIZE(quotas); i++) {
        CL_CLEANUP_FD int fd = cl_cgroup_open_file(parent, name, quotas[i].file, O_WRONLY);

        if (fd >= 0) /* of a dying cgroup; what fails costs time */
            (void)cl_write_all(fd, quotas[i].none, strlen(quotas[i].none));
    }
}

int cl_cgroup_has_swap(struct cl_error *err)
{
    struct sysinfo info;
    int r = cl_sys_sysinfo(&info);

    return r < 0 ? cl_fail(err, r, "sysinfo") : info.totalswap != 0;
}

int cl_cgroup_no_swap_file(struct cl_error *err)
{
    int r = cl_cgroup_has_swap(err);

    if (r <= 0)
        return r; /* 0: nothing to limit */
    return cl_refuse(err, ENOTSUP,
                     "the host has swap but does not account it, so limits.swap can't be kept: "
                     "boot with swapaccount=1, turn swap off, %s",
                     CL_CGROUP_WITHOUT);
}

int cl_cgroup_words(int dir, const char *file, const char *const *names, size_t count)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, file, O_RDONLY, 0);
    struct cl_lines lines;
    unsigned int found = 0;
    const char *line;
    int r;

    if (fd < 0)
        return fd;
    cl_lines_init(&lines, fd);
    r = cl_lines_next(&lines, &line);
    if (r <= 0)
        return r;
    for (const char *word = line; *word != '\0'; word += strspn(word, " ")) {
        const size_t size = strcspn(word, " ");

        for (size_t i = 0; i < count; i++) {
            if (strlen(names[i]) == size && memcmp(names[i], word, size) == 0)
                found |= 1U << i;
        }
        word += size;
    }
    return (int)found;
}

int cl_cgroup_name(char ret[CL_CGROUP_NAME_SIZE], const char *id, struct cl_error *err)
{
    size_t size = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");

    if (size == 0 || size >= CL_LIMITS_ID_SIZE || id[size] != '\0')
        return cl_refuse(err, EINVAL, "\"%.40s\" is no sandbox id", id);
    (void)snprintf(ret, CL_CGROUP_NAME_SIZE, "cloister-%s", id); /* checked above */
    return 0;
}

/* v2: sleeps on cgroup.events until the cgroup is empty or the deadline. v1 has no such
 * event: a pause that grows with the time already spent waiting. */
static void wait_for_change(int events, uint64_t waited_ns, uint64_t left_ns)
{
    uint64_t pause_ns = cl_min_u64(left_ns, 50000 + waited_ns / 2);
    struct timespec time = {.tv_nsec = (long)cl_min_u64(pause_ns, CL_NS_PER_S / 10)};
    struct pollfd wait = {.fd = events, .events = POLLPRI};

    /* An early return only tries again. */
    if (events >= 0)
        (void)cl_sys_ppoll(&wait, 1, &time);
    else
        (void)cl_sys_nanosleep(&time);
}

/* Reading re-arms the event (kernfs_fop_poll compares with the last read). */
static int is_populated(int events)
{
    struct cl_keyed populated = {.key = "populated"};

    if (cl_lines_rewind(events) < 0)
        return 0;
    return cl_lines_find(events, &populated, 1) == 1 && populated.value != 0;
}

int cl_cgroup_rmdir(int parent, const char *name, uint64_t deadline_ns)
{
    CL_CLEANUP_FD int events = -1;
    uint64_t began_ns = 0;

    for (;;) {
        int r = cl_sys_unlinkat(parent, name, AT_REMOVEDIR);
        uint64_t now_ns;

        if (r != -EBUSY)
            return r;
        now_ns = cl_clock_boot_ns();
        if (began_ns == 0) {
            began_ns = now_ns;
            events = cl_cgroup_open_file(parent, name, "cgroup.events", O_RDONLY); /* v2 only */
        }
        if (now_ns >= deadline_ns)
            return r;
        if (events >= 0 && !is_populated(events))
            wait_for_change(-1, 0, deadline_ns - now_ns);
        else
            wait_for_change(events, now_ns - began_ns, deadline_ns - now_ns);
    }
}
