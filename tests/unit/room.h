/* room.h - part of a test in user, mount and pid namespaces of its own, where it is root
 * of nothing but what it makes: as init of a rootless sandbox is. All of it goes with the
 * process. A host that allows no user namespaces skips the test.
 */
#ifndef CL_TESTS_UNIT_ROOM_H
#define CL_TESTS_UNIT_ROOM_H

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"
#include "check.h"

enum { ROOM_REFUSED = 77, ROOM_ALARM_S = 60 };

struct room {
    struct cl_container container;
    struct cl_plan plan;
    struct cl_wall_start start;
    struct cl_report report;
    struct cl_error err;
};

static inline int room_write(const char *path, const char *text)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    return fd < 0 ? fd : cl_write_all(fd, text, strlen(text));
}

/* Reads the small file PATH below DIR into RET. 0 or -errno. */
static inline int room_read(int dir, const char *path, char *ret, size_t size)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, path, O_RDONLY, 0);
    ssize_t got = fd < 0 ? fd : cl_sys_read(fd, ret, size - 1);

    ret[got < 0 ? 0 : got] = '\0';
    return got < 0 ? (int)got : 0;
}

static inline int room_unshare(void)
{
    char map[32];
    const uid_t uid = geteuid();
    const gid_t gid = getegid();

    if (cl_sys_unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
        return -1;
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
    if (room_write("/proc/self/setgroups", "deny") < 0 || room_write("/proc/self/uid_map", map) < 0)
        return -1;
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)gid);
    if (room_write("/proc/self/gid_map", map) < 0)
        return -1;
    return cl_sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Runs BODY in the room; /mnt is an empty tmpfs there. */
static inline void room_run(void (*body)(void))
{
    int status = -1;

    (void)fflush(stdout);
    pid_t outer = fork();
    if (outer == 0) {
        if (room_unshare() < 0)
            _exit(ROOM_REFUSED);
        pid_t inner = fork();
        if (inner == 0) {
            (void)alarm(ROOM_ALARM_S);
            (void)cl_sys_umask(0); /* as init does */
            CHECK(cl_sys_mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755") == 0);
            body();
            (void)fflush(stdout);
            _exit(check_failures > 0);
        }
        if (waitpid(inner, &status, 0) != inner)
            _exit(1);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    if (waitpid(outer, &status, 0) == outer && WIFEXITED(status) &&
        WEXITSTATUS(status) == ROOM_REFUSED)
        SKIP_TEST("this host lets us make no user namespace");
    CHECK(status == 0);
}

/* A container as the maker leaves it to init, rootless; the sandbox's user is root here. */
static inline void room_set_up(struct room *room)
{
    *room = (struct room){
        .plan = {.workdir = "/",
                 .hostname = "room",
                 .image_kind = CL_IMAGE_ROOTFS,
                 .image_path = "/mnt/image",
                 .profile = CL_PROFILE_STRICT,
                 .limits = {.disk_bytes = 8 << 20}},
        .container = {.rootless = 1,
                      .image_tree = -1,
                      .device_tree = -1,
                      .scratch_tree = -1,
                      .bare = -1,
                      .pidfd = -1,
                      .pid_dir = -1,
                      .userns = -1,
                      .scratch = -1,
                      .root = -1,
                      .proc = -1,
                      .dev = -1,
                      .terminal = -1},
    };
    room->start.plan = &room->plan;
    room->container.start = &room->start;
    room->container.plan = &room->plan;
    room->container.report = &room->report;
    CHECK(cl_sys_socketpair(SOCK_SEQPACKET, room->container.channel) == 0);
}

#endif
