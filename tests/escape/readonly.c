/*
 * Attack: make writable again what the wall made read-only, or lift a mask off what it hides.
 * Layer: capabilities, seccomp (mount family), mountns (locked mount flags), readonly.
 * Source: mount(2) MS_REMOUNT, mount_setattr(2), mount_namespaces(7) "restrictions".
 */
#include "attack.h"
#include <sys/sysmacros.h>

struct setattr {
    uint64_t set, clear, propagation, userns;
};

static void remount(char **args)
{
    judge_call("mount(REMOUNT|BIND)",
               mount(NULL, need_arg(args, 0), NULL, MS_REMOUNT | MS_BIND, NULL));
}

static void remount_super(char **args)
{
    judge_call("mount(REMOUNT)", mount(NULL, need_arg(args, 0), NULL, MS_REMOUNT, NULL));
}

static void set_attributes(char **args)
{
    struct setattr attr = {.clear = 1 | 2 | 4 | 8}; /* RDONLY NOSUID NODEV NOEXEC */

    judge_call("mount_setattr", syscall(442, AT_FDCWD, need_arg(args, 0), 0L, &attr, sizeof attr));
}

static void lift(char **args)
{
    judge_call("umount2", umount2(need_arg(args, 0), MNT_DETACH));
}

static void rebind(char **args)
{
    char dir[] = "/tmp/bind-XXXXXX";
    int rc, error;

    if (!mkdtemp(dir))
        impossible("mkdtemp: %s", strerror(errno));
    rc = mount(need_arg(args, 0), dir, NULL, MS_BIND | MS_REC, NULL);
    error = errno;
    umount2(dir, MNT_DETACH);
    rmdir(dir);
    errno = error;
    judge_call("mount(BIND)", rc);
}

static void propagate(char **args)
{
    judge_call("mount(SHARED)", mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL));
}

/* A mount that still receives or sends the host's mounts. */
static void propagation(char **args)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    int rows = 0;

    if (!file)
        held("/proc/self/mountinfo: %s", strerror(errno));
    while (fgets(line, sizeof line, file)) {
        char *end = strstr(line, " - ");

        rows++;
        if (end)
            *end = 0;
        if (strstr(line, " shared:") || strstr(line, " master:"))
            escaped("%.200s", line);
    }
    if (!rows)
        impossible("no mounts at all");
    held("none of %d mounts propagates", rows);
}

/* What hides a file of /proc is the null device, which has to work as one. */
static bool is_null(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* A mount that allows set-uid files or device nodes; /dev itself, which no one may add to, apart.
 */
static void flags(char **args)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096], where[1024], options[1024];
    int rows = 0;

    if (!file)
        impossible("/proc/self/mountinfo: %s", strerror(errno));
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*d %*d %*s %*s %1023s %1023s", where, options) != 2)
            continue;
        rows++;
        if (!strstr(options, "nosuid"))
            escaped("%s allows set-uid files (%s)", where, options);
        if (!strstr(options, "nodev") && strncmp(where, "/dev", 4) && !is_null(where))
            escaped("%s allows devices (%s)", where, options);
    }
    if (!rows)
        impossible("no mounts at all");
    held("all %d mounts are nosuid, and nodev but for devices of ours", rows);
}

/* Paths of the host that mountinfo would tell are no way out, but the host's mounts must be gone.
 */
static void host_mounts(char **args)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];

    if (!file)
        held("/proc/self/mountinfo: %s", strerror(errno));
    while (fgets(line, sizeof line, file)) {
        char where[1024];

        if (sscanf(line, "%*d %*d %*s %*s %1023s", where) == 1 && strstr(where, need_arg(args, 0)))
            escaped("mounted here: %s", where);
    }
    held("no mount named %s", args[0]);
}

struct statx_answer {
    uint32_t mask;
    char between[140];
    uint64_t mount_id;
    char rest[104];
};

static uint64_t mount_of(int dir, const char *path)
{
    struct statx_answer answer;

    if (syscall(SYS_statx, dir, path, AT_NO_AUTOMOUNT, 0x1000 /* STATX_MNT_ID */, &answer) < 0)
        impossible("statx %s: %s", path, strerror(errno));
    return answer.mount_id;
}

/* The tree that the wall came from must not stay mounted above or below "/". */
static void above(char **args)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    int root = open("/", O_PATH | O_DIRECTORY), roots = 0;
    char line[4096], where[1024];

    if (!file || root < 0)
        impossible("/proc/self/mountinfo: %s", strerror(errno));
    while (fgets(line, sizeof line, file))
        roots += sscanf(line, "%*d %*d %*s %*s %1023s", where) == 1 && !strcmp(where, "/");
    if (roots != 1)
        escaped("%d file systems are mounted at /", roots);
    if (mount_of(root, "..") != mount_of(root, ".") ||
        mount_of(AT_FDCWD, "/..") != mount_of(root, "."))
        escaped("/.. leads to another mount");
    held("nothing is above /");
}

ATTACK({"remount", remount}, {"remount_super", remount_super}, {"setattr", set_attributes},
       {"umount", lift}, {"rebind", rebind}, {"share", propagate}, {"propagation", propagation},
       {"flags", flags}, {"host_mounts", host_mounts}, {"above", above})
