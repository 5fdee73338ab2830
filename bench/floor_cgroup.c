/* The v1 cgroups of floor; see floor.h. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void floor_write(const char *directory, const char *name, const char *text)
{
    char path[320];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = (int)floor_must(open(path, O_WRONLY | O_CLOEXEC), path);
    floor_must(write(fd, text, strlen(text)), path);
    (void)close(fd);
}

/* The directory of this process's own cgroup in CONTROLLER's v1 hierarchy. */
static void own_cgroup(const char *controller, char *ret_path, size_t size)
{
    char text[4096];
    char key[64];
    int fd = (int)floor_must(open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC), "/proc/self/cgroup");
    ssize_t got = floor_must(read(fd, text, sizeof(text) - 1), "/proc/self/cgroup");
    (void)close(fd);
    text[got] = '\0';
    (void)snprintf(key, sizeof(key), ":%s:", controller);
    char *line = strstr(text, key);
    if (line == NULL) {
        errno = ENOENT;
        floor_die(controller);
    }
    line += strlen(key);
    line[strcspn(line, "\n")] = '\0';
    (void)snprintf(ret_path, size, "/sys/fs/cgroup/%s%s", controller,
                   strcmp(line, "/") == 0 ? "" : line);
}

static void make_cgroup(struct floor_cgroup *cgroup, const char *controller, bool limits)
{
    char parent[200];
    char tasks[320];
    own_cgroup(controller, parent, sizeof(parent));
    (void)snprintf(cgroup->path, sizeof(cgroup->path), "%s/floor-%d", parent, (int)getpid());
    floor_must(mkdir(cgroup->path, 0755), cgroup->path);
    if (limits && strcmp(controller, "memory") == 0) {
        floor_write(cgroup->path, "memory.limit_in_bytes", "536870912");
    } else if (limits && strcmp(controller, "pids") == 0) {
        floor_write(cgroup->path, "pids.max", "256");
    } else if (limits && strcmp(controller, "cpu") == 0) {
        floor_write(cgroup->path, "cpu.cfs_quota_us", "150000");
    }
    (void)snprintf(tasks, sizeof(tasks), "%s/tasks", cgroup->path);
    cgroup->tasks_fd = (int)floor_must(open(tasks, O_WRONLY | O_CLOEXEC), tasks);
}

void floor_cgroups_make(const struct floor_options *options, struct floor_cgroups *ret_cgroups)
{
    char list[256];
    if (options->cgroups == NULL) {
        return;
    }
    (void)snprintf(list, sizeof(list), "%s", options->cgroups);
    char *rest = list;
    for (char *name;
         (name = strsep(&rest, ",")) != NULL && ret_cgroups->count < FLOOR_MAX_CGROUPS;) {
        make_cgroup(&ret_cgroups->items[ret_cgroups->count++], name, !options->no_limits);
    }
    floor_stamp_parent("cgroup_make");
}

void floor_cgroups_join(const struct floor_cgroups *cgroups)
{
    for (size_t i = 0; i < cgroups->count; i++) {
        floor_must(write(cgroups->items[i].tasks_fd, "0", 1), cgroups->items[i].path);
    }
    if (cgroups->count > 0) {
        floor_stamp_child("cgroup_join");
    }
}

void floor_cgroups_remove(struct floor_cgroups *cgroups)
{
    for (size_t i = 0; i < cgroups->count; i++) {
        (void)close(cgroups->items[i].tasks_fd);
        floor_must(rmdir(cgroups->items[i].path), cgroups->items[i].path);
    }
    if (cgroups->count > 0) {
        floor_stamp_parent("cgroup_rmdir");
    }
}
