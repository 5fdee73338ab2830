/* Where the state directory is, and whose. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "sandbox/state.h"

static int state_path(char *ret, size_t size, struct cl_error *err)
{
    uid_t uid = geteuid();
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int used;

    if (uid == 0)
        used = snprintf(ret, size, "/run/cloister");
    else if (runtime != NULL && runtime[0] == '/')
        used = snprintf(ret, size, "%s/cloister", runtime);
    else
        used = snprintf(ret, size, "/tmp/cloister-%u", (unsigned int)uid);
    if (used < 0 || (size_t)used >= size)
        return cl_refuse(err, ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
    return 0;
}

int cl_state_open_dir(int dirfd, const char *path, int flags)
{
    const int how = O_DIRECTORY | O_NOFOLLOW | flags;
    int fd = cl_sys_openat(dirfd, path, how, 0);

    if (fd != -ENOENT)
        return fd;
    int r = cl_sys_mkdirat(dirfd, path, 0700);
    if (r < 0 && r != -EEXIST)
        return r;
    return cl_sys_openat(dirfd, path, how, 0);
}

int cl_state_hint(int r, struct cl_error *err)
{
    if (r != -EROFS)
        return r;
    if (geteuid() != 0)
        return cl_hint(err, "set XDG_RUNTIME_DIR to a directory of this user that can be "
                            "written to");
    return cl_hint(err, "a systemd service with ProtectSystem=strict needs "
                        "ReadWritePaths=/run/cloister (which must exist), or RuntimeDirectory="
                        "cloister with RuntimeDirectoryMode=0700 and RuntimeDirectoryPreserve=yes");
}

/* Whether UID stands for all those that this process's user namespace has no number for. */
static int is_unmapped(uid_t uid)
{
    enum { OVERFLOW_UID = 65534 };
    unsigned int numbers[3] = {0};
    char text[128] = "";
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/self/uid_map", O_RDONLY, 0);
    ssize_t got = fd < 0 ? 0 : cl_sys_read(fd, text, sizeof(text) - 1);
    const char *at = text;

    if (uid != OVERFLOW_UID || got <= 0)
        return 0;
    for (size_t i = 0; i < CL_ARRAY_SIZE(numbers); i++) {
        for (at += strspn(at, " "); *at >= '0' && *at <= '9'; at++)
            numbers[i] = numbers[i] * 10 + (unsigned int)(*at - '0');
    }
    return numbers[2] < UINT32_MAX; /* the first namespace's map has them all */
}

static int check_owner(int dir, const char *path, struct cl_error *err)
{
    struct stat st;
    int r = cl_sys_fstat(dir, &st);

    if (r < 0)
        return cl_fail(err, r, "look at the state directory %s", path);
    if (st.st_uid != geteuid() && is_unmapped(st.st_uid))
        return cl_refuse(err, EPERM,
                         "the state directory %s belongs to a user whom this process's user "
                         "namespace doesn't map (its uid shows as %u): cloister was started "
                         "inside a namespace, as unshare -r or a rootless container makes it; "
                         "start it outside",
                         path, (unsigned int)st.st_uid);
    if (st.st_uid != geteuid())
        return cl_refuse(err, EPERM,
                         "the state directory %s belongs to uid %u; remove it or set "
                         "XDG_RUNTIME_DIR to a directory of your own",
                         path, (unsigned int)st.st_uid);
    if ((st.st_mode & 077) != 0)
        return cl_refuse(err, EPERM,
                         "the state directory %s is open to others; run chmod 700 on it", path);
    return 0;
}

/* open, fstat */
int cl_state_open(struct cl_state *ret, struct cl_error *err)
{
    CL_CLEANUP_STATE struct cl_state state = CL_STATE_INIT;
    char path[4096];
    int r = state_path(path, sizeof(path), err);

    if (r < 0)
        return r;
    state.dir = cl_state_open_dir(AT_FDCWD, path, O_PATH);
    if (state.dir < 0) {
        r = cl_fail(err, state.dir, "open the state directory %s", path);
        if (r == -EROFS)
            return cl_state_hint(r, err);
        if (geteuid() != 0 && getenv("XDG_RUNTIME_DIR") != NULL)
            (void)cl_hint(err, "XDG_RUNTIME_DIR must name a directory of this user, or be unset");
        return r;
    }
    r = check_owner(state.dir, path, err);
    if (r < 0)
        return r;
    ret->dir = CL_TAKE_FD(state.dir);
    return 0;
}

void cl_state_done(struct cl_state *state)
{
    cl_fd_close(&state->dir);
}
