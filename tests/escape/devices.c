/*
 * Attack: find or make a device node that reaches the host's disks, memory or kernel log; or leave
 *   the one that needs no privilege, 0:0, which hides a file of the host's overlays (a whiteout).
 *   whiteout_KIND DIRECTORY
 * Layer: devices (a minimal /dev, nodev everywhere), capabilities (mknod), seccomp (whiteouts).
 * Source: mknod(2), rename(2) (RENAME_WHITEOUT; without a capability since Linux 5.8),
 *   CVE-2018-15664 and the many --privileged recipes.
 */
#include "attack.h"
#include <sys/sysmacros.h>

static void dev_contents(char **args)
{
    static const char *const harmless[] = {"null", "zero",  "full",   "random", "urandom",
                                           "tty",  "ptmx",  "pts",    "shm",    "mqueue",
                                           "fd",   "stdin", "stdout", "stderr", "core"};
    DIR *dir = opendir("/dev");
    struct dirent *entry;
    int count = 0;

    if (!dir)
        impossible("/dev: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        bool known = entry->d_name[0] == '.';

        for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
            known |= !strcmp(entry->d_name, harmless[i]);
        if (args[0])
            known |= !strcmp(entry->d_name, args[0]);
        if (!known)
            escaped("/dev/%s", entry->d_name);
        count++;
    }
    if (count < 5)
        impossible("/dev has only %d entries", count);
    held("/dev has %d harmless entries", count);
}

/* The nodes that are there must be what their names say. */
static void dev_numbers(char **args)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                 {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};

    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        struct stat st;

        if (stat(nodes[i].path, &st) < 0)
            impossible("%s: %s", nodes[i].path, strerror(errno));
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(nodes[i].major, nodes[i].minor))
            escaped("%s is mode %o, device %u:%u", nodes[i].path, st.st_mode, major(st.st_rdev),
                    minor(st.st_rdev));
    }
    held("all nodes are what they are called");
}

static void make_node(mode_t type, unsigned maj, unsigned min)
{
    char path[64];
    int rc, error;

    snprintf(path, sizeof path, "/tmp/node-%d", getpid());
    rc = mknod(path, type | 0600, makedev(maj, min));
    error = errno;
    if (rc == 0)
        unlink(path);
    errno = error;
    judge_call("mknod", rc);
}

static void make_char(char **args)
{
    make_node(S_IFCHR, 1, 11); /* kmsg */
}

static void make_block(char **args)
{
    make_node(S_IFBLK, 7, 7); /* loop7 */
}

/* The verdict is on what lies there afterwards, not on what was answered. */
_Noreturn static void judge_whiteout(const char *path, const char *how)
{
    int error = errno;
    struct stat st;

    if (stat(path, &st) == 0 && S_ISCHR(st.st_mode))
        escaped("%s made a device %u:%u", how, major(st.st_rdev), minor(st.st_rdev));
    held("%s: %s", how, strerror(error));
}

static void whiteout_mknod(char **args)
{
    char path[256];

    snprintf(path, sizeof path, "%s/whiteout-mknod", need_arg(args, 0));
    errno = 0;
    (void)!mknod(path, S_IFCHR, makedev(0, 0));
    judge_whiteout(path, "mknod");
}

/* FLAGS as a whole register: the kernel takes the low half. */
static void rename_leaving_whiteout(const char *directory, unsigned long flags)
{
    char from[256], to[256];
    int fd;

    snprintf(from, sizeof from, "%s/whiteout-rename", directory);
    snprintf(to, sizeof to, "%s/renamed", directory);
    fd = open(from, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        impossible("make %s: %s", from, strerror(errno));
    errno = 0;
    (void)syscall(SYS_renameat2, (long)AT_FDCWD, from, (long)AT_FDCWD, to, flags);
    judge_whiteout(from, "renameat2");
}

static void whiteout_rename(char **args)
{
    rename_leaving_whiteout(need_arg(args, 0), 1 << 2);
}

static void whiteout_high_bits(char **args)
{
    rename_leaving_whiteout(need_arg(args, 0), 1UL << 32 | 1 << 2);
}

/* The nodes of /dev belong to the host when they are bind mounts: their mode must not be ours. */
static void change_mode(char **args)
{
    struct stat st;

    if (stat("/dev/null", &st) < 0)
        impossible("/dev/null: %s", strerror(errno));
    int rc = chmod("/dev/null", st.st_mode & 07777);

    if (rc < 0 && errno == EROFS)
        held("chmod /dev/null: %s", strerror(errno));
    judge_call("chmod /dev/null", rc);
}

static void new_in_dev(char **args)
{
    int fd = open("/dev/escape-file", O_WRONLY | O_CREAT | O_EXCL, 0600);

    if (fd >= 0)
        unlink("/dev/escape-file");
    judge_open("/dev/escape-file", fd);
}

ATTACK({"dev_contents", dev_contents}, {"dev_numbers", dev_numbers}, {"make_char", make_char},
       {"make_block", make_block}, {"change_mode", change_mode}, {"new_in_dev", new_in_dev},
       {"whiteout_mknod", whiteout_mknod}, {"whiteout_rename", whiteout_rename},
       {"whiteout_high_bits", whiteout_high_bits})
