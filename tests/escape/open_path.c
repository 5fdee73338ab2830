/*
 * Attack: the host's kernel through its files: write a sysctl or a trigger, read what tells about
 *   the host, open a device node. Opening for writing is the proof; nothing is written.
 * Layer: procmask, devices (nodev), mountns, userns, landlock.
 * Source: CVE-2016-3697 and others around unmasked /proc; proc(5), sysfs(5).
 */
#include "attack.h"

static void open_write(char **args)
{
    const char *path = need_arg(args, 0);

    judge_open(path, open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY));
}

/* Opened and with something in it: a mask of /dev/null or an empty directory gives nothing. */
static void read_any(char **args)
{
    const char *path = need_arg(args, 0);
    char bytes[512];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    ssize_t n;

    if (fd < 0)
        judge_open(path, fd);
    if (fstat(fd, &st) < 0)
        impossible("fstat %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        DIR *dir = fdopendir(fd);
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
            if (entry->d_name[0] != '.')
                escaped("%s holds %s", path, entry->d_name);
        held("%s is empty", path);
    }
    n = read(fd, bytes, sizeof bytes);
    if (n > 0)
        escaped("read %zd bytes of %s", n, path);
    held("%s gives nothing", path);
}

static void open_node(char **args)
{
    const char *path = need_arg(args, 0);
    struct stat st;

    if (stat(path, &st) < 0)
        held("stat %s: %s", path, strerror(errno));
    if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
        held("%s is no device here (mode %o)", path, st.st_mode);
    judge_open(path, open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
}

/* Is the name there at all, as this kind of file: for markers that nobody inside may see. */
static void seen(char **args)
{
    struct stat st;

    if (lstat(need_arg(args, 0), &st) == 0)
        escaped("%s is there", args[0]);
    held("%s: %s", args[0], strerror(errno));
}

/* Creating a file where nothing may be changed. */
static void create(char **args)
{
    const char *path = need_arg(args, 0);

    judge_open(path, open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
}

static int walk_writable(const char *path, int depth)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int looked = 0;

    while (dir && depth && (entry = readdir(dir))) {
        char child[512];

        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || entry->d_type == DT_LNK)
            continue;
        if (!strcmp(path, "/proc") && atoi(entry->d_name) > 0)
            continue; /* a process's own files are its own to write */
        looked++;
        if (entry->d_type == DT_DIR) {
            looked += walk_writable(child, depth - 1);
            continue;
        }
        int fd = open(child, O_WRONLY | O_NONBLOCK);
        if (fd >= 0)
            escaped("opened %s for writing", child);
    }
    if (dir)
        closedir(dir);
    return looked;
}

/* Every file of a tree, tried for writing. */
static void any_writable(char **args)
{
    int looked = walk_writable(need_arg(args, 0), 6);

    held("none of %d entries under %s can be written", looked, args[0]);
}

ATTACK({"write", open_write}, {"read", read_any}, {"node", open_node}, {"seen", seen},
       {"create", create}, {"any_writable", any_writable})
