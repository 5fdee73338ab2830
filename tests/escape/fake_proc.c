/*
 * Attack: an image whose /proc (or /dev, /sys, /tmp) is not what the runtime takes it for, so that
 *   what it writes to or mounts on goes elsewhere; and a host file that got visible by it.
 * Layer: mountns (mount targets are resolved inside the root, and checked to be what they are).
 * Source: CVE-2019-16884, CVE-2019-19921, CVE-2023-27561 (/proc), CVE-2021-30465 (symlink race).
 */
#include "attack.h"

static void real_proc(char **args)
{
    struct statfs fs;
    char link[32];

    if (statfs("/proc", &fs) < 0)
        impossible("/proc: %s", strerror(errno));
    if (fs.f_type != 0x9fa0)
        escaped("/proc is the image's (file system %lx)", (unsigned long)fs.f_type);
    if (access("/proc/crafted", F_OK) == 0)
        escaped("/proc/crafted shows through");
    ssize_t n = readlink("/proc/self", link, sizeof link - 1);
    if (n <= 0 || (link[n] = 0, atoi(link) != getpid()))
        escaped("/proc is of another pid namespace");
    held("/proc is procfs, and ours");
}

static int search(const char *dir_path, const char *name, int depth)
{
    DIR *dir = opendir(*dir_path ? dir_path : "/");
    struct dirent *entry;
    int looked = 0;

    while (dir && (entry = readdir(dir))) {
        char child[1024];

        snprintf(child, sizeof child, "%s/%s", dir_path, entry->d_name);
        looked++;
        if (!strcmp(entry->d_name, name))
            escaped("the host's marker is at %s", child);
        if (entry->d_type == DT_DIR && depth && strcmp(entry->d_name, ".") &&
            strcmp(entry->d_name, "..") && strcmp(child, "/proc"))
            looked += search(child, name, depth - 1);
    }
    if (dir)
        closedir(dir);
    return looked;
}

/* Looks for a file that only the host has. args: its name */
static void find_marker(char **args)
{
    int looked = search("", need_arg(args, 0), 8);

    if (looked < 3)
        impossible("only %d names seen", looked);
    held("%d names, the marker is not among them", looked);
}

ATTACK({"real_proc", real_proc}, {"find_marker", find_marker})
