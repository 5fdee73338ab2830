/* group_scene.h - cgroups of OCI containers on this host's real hierarchies, as they are and as a
 * host of one version alone has them. */
#ifndef CL_TESTS_UNIT_GROUP_SCENE_H
#define CL_TESTS_UNIT_GROUP_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_text.h"
#include "check.h"

enum { SCENE_ALARM_S = 60 };

/* A configuration of what the tests set. */
struct group_spec {
    struct cl_spec spec;
    struct cl_spec_resource items[24];
    char path[256];
    char id[64];
};

static inline const char *group_fresh_name(void)
{
    static char name[64];
    static int count;

    (void)snprintf(name, sizeof(name), "cltest-group-%d-%d", (int)getpid(), count++);
    return name;
}

/* Its path is the fresh name with BELOW behind it; NULL: it has none. */
static inline void group_spec_init(struct group_spec *ret, const char *below)
{
    *ret = (struct group_spec){.spec = {.cgroups_path = ret->path}};
    (void)snprintf(ret->id, sizeof(ret->id), "%s", group_fresh_name());
    ret->spec.resources.items = ret->items;
    if (below == NULL)
        return;
    (void)snprintf(ret->path, sizeof(ret->path), "/%s%s", ret->id, below);
    cl_spec_mark(&ret->spec, CL_SPEC_CGROUPS_PATH);
}

static inline struct cl_spec_resource *group_add(struct group_spec *spec, enum cl_resource what,
                                                 int64_t value)
{
    struct cl_spec_resource *item = &spec->items[spec->spec.resources.count++];

    CL_ASSERT(spec->spec.resources.count <= CL_ARRAY_SIZE(spec->items));
    *item = (struct cl_spec_resource){.what = what, .value = value, .name = "", .text = ""};
    cl_spec_mark(&spec->spec, CL_SPEC_RESOURCES);
    return item;
}

static inline int group_try(const struct group_spec *spec, struct cl_group *ret,
                            struct cl_error *err)
{
    struct cl_group_place place = {0};
    const int r = cl_group_place(&spec->spec, spec->id, CL_GROUP_FS, &place, err);

    return r < 0 ? r : cl_group_make(&place, &spec->spec, ret, err);
}

static inline void group_make(const struct group_spec *spec, struct cl_group *ret)
{
    struct cl_error err = {0};

    CHECK(group_try(spec, ret, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

static inline void group_remove(struct cl_group *group)
{
    struct cl_error err = {0};

    CHECK(cl_group_remove(group, &err) == 0);
    CHECK_TEXT(err.msg, "");
}

/* FILE of the group in the hierarchy that has CONTROLLER, without its newline. */
static inline const char *group_read(const struct cl_group *group, const char *controller,
                                     const char *file)
{
    static char text[4096];
    const struct cl_group_dir *dir = cl_group_find(group, controller);
    CL_CLEANUP_FD int fd = dir == NULL ? -ENOENT : cl_sys_openat(dir->dir, file, O_RDONLY, 0);
    const ssize_t got = fd < 0 ? fd : cl_sys_read(fd, text, sizeof(text) - 1);

    if (got < 0)
        return "(unreadable)";
    text[got] = '\0';
    if (got > 0 && text[got - 1] == '\n')
        text[got - 1] = '\0';
    return text;
}

/* Runs BODY in the group, as the runtime and its child do. */
static inline pid_t group_start(const struct cl_group *group, void (*body)(void))
{
    struct cl_error err = {0};
    int tasks[CL_GROUP_MAX];
    const int count = cl_group_tasks(group, tasks, CL_ARRAY_SIZE(tasks), &err);
    const int into = cl_group_dir(group);
    struct cl_clone_args args = {
        .exit_signal = SIGCHLD,
        .flags = into >= 0 ? CL_CLONE_INTO_CGROUP : 0,
        .cgroup = into >= 0 ? (uint64_t)into : 0,
    };

    CHECK(count >= 0);
    pid_t pid = cl_sys_clone3(&args);
    if (pid == 0) {
        for (int i = 0; i < count; i++) {
            if (cl_sys_write(tasks[i], "0", 1) != 1)
                _exit(99);
        }
        body();
        _exit(0);
    }
    CHECK(pid > 0);
    for (int i = 0; i < count; i++)
        cl_fd_close(&tasks[i]);
    return pid;
}

static inline int group_wait(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static inline void group_pause(void)
{
    for (;;)
        (void)pause();
}

/* How many cgroups of the tests' are in the hierarchies. */
static inline int group_left_in(const char *path)
{
    char text[64];
    int count = 0;
    DIR *dir = opendir(path);

    (void)snprintf(text, sizeof(text), "cltest-group-%d-", (int)getpid());
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        count += strncmp(entry->d_name, text, strlen(text)) == 0;
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

static inline int group_left(void)
{
    static const char *const mounts[] = {"",        "/cpu",     "/cpuacct", "/cpuset",
                                         "/pids",   "/devices", "/freezer", "/blkio",
                                         "/memory", "/systemd", "/unified"};
    char path[64];
    int count = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(mounts); i++) {
        (void)snprintf(path, sizeof(path), CL_CGROUP_MOUNT "%s", mounts[i]);
        count += group_left_in(path);
    }
    return count;
}

enum group_view { VIEW_HOST, VIEW_V1, VIEW_V2 };

/* Shows the tree as a host of one version has it, to this process alone. */
static inline int group_show(enum group_view view)
{
    if (view == VIEW_HOST)
        return 0;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    if (view == VIEW_V1) {
        (void)umount2(CL_CGROUP_MOUNT "/unified", 0); /* may not be there */
        return 0;
    }
    if (umount2(CL_CGROUP_MOUNT, MNT_DETACH) < 0)
        return -1;
    return mount("none", CL_CGROUP_MOUNT, "cgroup2", 0, NULL);
}

/* BODY's checks in a process of its own that sees VIEW; skipped where root isn't. */
static inline void group_in_view(enum group_view view, void (*body)(void))
{
    int status = -1;

    if (geteuid() != 0)
        SKIP_TEST("needs root, to see other cgroup trees");
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(SCENE_ALARM_S);
        CHECK(group_show(view) == 0);
        body();
        CHECK(group_left() == 0);
        (void)fflush(stdout);
        _exit(check_failures > 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

#endif
