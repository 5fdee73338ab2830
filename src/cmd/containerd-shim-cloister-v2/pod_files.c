/* The files that containers of a pod have in common, which the CRI leaves to who makes the pod. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>

#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/pod.h"

enum { PATH_SIZE = 2200, FILE_MOST = 256 << 10 };

static const char *const SHM_OPTIONS = "mode=1777,size=67108864"; /* as much as others give */
static const char *const names[] = {"hosts", "hostname", "resolv.conf"};

static int place_of(const char *bundle, const char *name, char ret[PATH_SIZE])
{
    return snprintf(ret, PATH_SIZE, "%s/pod%s%s", bundle, name[0] == '\0' ? "" : "/", name) <
                   PATH_SIZE
               ? 0
               : -ENAMETOOLONG;
}

/* --- texts --------------------------------------------------------------------------------------
 */

static int copy_host(const char *path, struct cl_buf *ret, struct cl_error *err)
{
    int found = -1;
    int r = cl_follow_regular_if_there(path, FILE_MOST, &found, err);
    CL_CLEANUP_FD int fd = found;

    return r < 0 || fd < 0 ? r : cl_read_all(fd, path, ret, err);
}

/* A line "WORD ITEM ITEM ...", or one for each item. */
static int add_line(struct cl_buf *buf, const char *word, const struct cl_strlist *items,
                    int is_each, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < items->count; i++) {
        const char *item = items->items[i];

        if (item[0] == '\0' || strpbrk(item, " \t\r\n#;") != NULL)
            return cl_refuse(err, EINVAL, "dns_config: \"%.100s\" is no word of resolv.conf(5)",
                             item);
        if (i == 0 || is_each)
            r = cl_buf_printf(buf, "%s%s", i == 0 ? "" : "\n", word);
        if (r == 0)
            r = cl_buf_printf(buf, " %s", item);
    }
    if (r == 0 && items->count > 0)
        r = cl_buf_add_str(buf, "\n");
    return r < 0 ? cl_fail(err, r, "dns_config") : 0;
}

static int write_resolver(const struct cl_msg_pod *config, struct cl_buf *ret, struct cl_error *err)
{
    const struct cl_msg_pod_dns *dns = config->dns;

    if (dns == NULL)
        return copy_host("/etc/resolv.conf", ret, err);
    int r = add_line(ret, "search", &dns->searches, 0, err);
    if (r == 0)
        r = add_line(ret, "nameserver", &dns->servers, 1, err);
    return r < 0 ? r : add_line(ret, "options", &dns->options, 0, err);
}

/* A pod on the host's network is called as the host is. */
static int write_hosts(const struct cl_pod *pod, const char *hostname, struct cl_buf *ret,
                       struct cl_error *err)
{
    if (pod->net < 0)
        return copy_host("/etc/hosts", ret, err);
    int r = cl_buf_printf(ret, "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n", hostname);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int write_text(size_t which, const struct cl_msg_pod *config, const struct cl_pod *pod,
                      struct cl_buf *ret, struct cl_error *err)
{
    struct utsname host;
    const char *hostname = pod->hostname;

    if (hostname[0] == '\0')
        hostname = uname(&host) == 0 ? host.nodename : "localhost";
    switch (which) {
    case 0:
        return write_hosts(pod, hostname, ret, err);
    case 1:
        return cl_buf_printf(ret, "%s\n", hostname) < 0 ? cl_fail_memory(err) : 0;
    default:
        return write_resolver(config, ret, err);
    }
}

/* --- making them --------------------------------------------------------------------------------
 */

static int make_file(int dir, size_t which, const struct cl_msg_pod *config,
                     const struct cl_pod *pod, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(FILE_MOST);
    const char *name = names[which];
    int r = write_text(which, config, pod, &text, err);

    if (r == 0)
        r = cl_make_file(dir, name, cl_buf_text(&text), name, err);
    if (r < 0)
        return r;
    r = cl_sys_fchmodat(dir, name, 0644); /* whatever our umask is */
    if (r == 0 && (pod->uid != 0 || pod->gid != 0))
        r = cl_sys_fchownat(dir, name, pod->uid, pod->gid, AT_SYMLINK_NOFOLLOW);
    return r < 0 ? cl_fail(err, r, "give the pod's %s to its root", name) : 0;
}

static int make_shm(const char *bundle, int dir, struct cl_error *err)
{
    char path[PATH_SIZE];
    int r = place_of(bundle, "shm", path);

    if (r == 0)
        r = cl_sys_mkdirat(dir, "shm", 0700);
    if (r == 0)
        r = cl_sys_mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, SHM_OPTIONS);
    return r < 0 ? cl_fail(err, r, "mount the pod's /dev/shm") : 0;
}

static int make_all(const char *bundle, const struct cl_msg_pod *config, const struct cl_pod *pod,
                    struct cl_error *err)
{
    char path[PATH_SIZE];
    int r = place_of(bundle, "", path);

    if (r == 0)
        r = cl_sys_mkdirat(AT_FDCWD, path, 0700);
    CL_CLEANUP_FD int dir =
        r < 0 ? r : cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (dir < 0)
        return cl_fail(err, dir, "make the directory of the pod's files in its bundle");
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(names); i++)
        r = make_file(dir, i, config, pod, err);
    if (r == 0 && (pod->namespaces & CLONE_NEWIPC) != 0)
        r = make_shm(bundle, dir, err);
    return r;
}

int cl_pod_make_files(const char *bundle, const struct cl_msg_pod *config, const struct cl_pod *pod,
                      struct cl_error *err)
{
    cl_pod_remove_files(bundle); /* of a shim that died before this one */
    int r = make_all(bundle, config, pod, err);

    if (r < 0)
        cl_pod_remove_files(bundle);
    return r;
}

void cl_pod_remove_files(const char *bundle)
{
    char path[PATH_SIZE];

    if (place_of(bundle, "shm", path) < 0)
        return;
    (void)cl_sys_umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW); /* -EINVAL: there is none */
    (void)place_of(bundle, "", path);
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (dir < 0)
        return;
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++)
        (void)cl_sys_unlinkat(dir, names[i], 0); /* gone is fine, here and below */
    (void)cl_sys_unlinkat(dir, "shm", AT_REMOVEDIR);
    (void)cl_sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}
