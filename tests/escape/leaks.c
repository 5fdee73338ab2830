/*
 * Attack: walk out through what the caller left open: a descriptor of a host directory or of the
 *   runtime, a working directory outside the root, the caller's environment.
 * Layer: stdio (no descriptor of the caller enters), mountns (nothing of the host in it; chdir).
 * Source: CVE-2024-21626 (leaked descriptor and working directory), CVE-2016-9962.
 */
#include "attack.h"

static void descriptors(char **args)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    if (!dir)
        impossible("/proc/self/fd: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        char path[300], to[256];
        int fd = atoi(entry->d_name);
        ssize_t n;

        if (entry->d_name[0] == '.' || fd <= 2 || fd == dirfd(dir))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        n = readlink(path, to, sizeof to - 1);
        escaped("descriptor %d is %.*s", fd, n < 0 ? 0 : (int)n, to);
    }
    held("only 0, 1 and 2 are open");
}

/* Also without /proc, which a wall could have made lie. */
static void numbers(char **args)
{
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            escaped("descriptor %d is open", fd);
    held("no descriptor from 3 to 4095 is open");
}

static void standard(char **args)
{
    for (int fd = 0; fd <= 2; fd++) {
        struct stat st;

        if (fstat(fd, &st) < 0)
            impossible("descriptor %d: %s", fd, strerror(errno));
        if (S_ISFIFO(st.st_mode))
            continue;
        if (S_ISCHR(st.st_mode) && st.st_rdev == 0x103) /* /dev/null, 1:3 */
            continue;
        if (S_ISCHR(st.st_mode) && st.st_rdev >> 8 >= 136 && st.st_rdev >> 8 <= 143 && args[0] &&
            !strcmp(args[0], "pty"))
            continue;
        escaped("descriptor %d is the caller's: mode %o, device %lx", fd, st.st_mode,
                (unsigned long)st.st_rdev);
    }
    held("0, 1 and 2 are pipes or /dev/null");
}

/* A pipe of the caller's own could be written by others on the host; its reader end is not ours. */
static void standard_swapped(char **args)
{
    char byte;

    for (int fd = 1; fd <= 2; fd++) {
        char path[32];
        int again;

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        again = open(path, O_RDONLY | O_NONBLOCK);
        if (again >= 0 && read(again, &byte, 1) > 0)
            escaped("read what others wrote to descriptor %d", fd);
    }
    held("nothing to read from 1 and 2");
}

static void working_directory(char **args)
{
    char path[512];
    struct stat up, top;

    if (syscall(SYS_getcwd, path, sizeof path) < 0)
        escaped("the working directory has no path: %s", strerror(errno));
    if (path[0] != '/')
        escaped("the working directory is %s", path);
    if (stat("/", &top) < 0)
        impossible("stat /: %s", strerror(errno));
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0)
            held("chdir ..: %s", strerror(errno));
    if (stat(".", &up) < 0)
        impossible("stat .: %s", strerror(errno));
    if (up.st_dev != top.st_dev || up.st_ino != top.st_ino)
        escaped("64 times .. leads above /");
    held(".. ends at /");
}

static void environment(char **args)
{
    const char *value = getenv(need_arg(args, 0));

    if (value)
        escaped("%s=%s", args[0], value);
    held("%s is not set", args[0]);
}

ATTACK({"descriptors", descriptors}, {"numbers", numbers}, {"standard", standard},
       {"standard_swapped", standard_swapped}, {"working_directory", working_directory},
       {"environment", environment})
