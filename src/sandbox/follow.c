#include "sandbox/follow.h"

#include <stdio.h>
#include <sys/inotify.h>

#include "base/fd.h"
#include "base/sys.h"

static int watch(int dir, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_inotify_init();
    char path[32];

    if (fd < 0)
        return cl_fail(err, fd,
                       "make an inotify instance"
                       " (the most a user has is in fs.inotify.max_user_instances)");
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
    int r = cl_sys_inotify_add(fd, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF);
    return r < 0 ? cl_fail(err, r, "watch the sandbox's log") : CL_TAKE_FD(fd);
}

int cl_follow_start(const struct cl_known *known, struct cl_follow *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int changes = watch(known->kept.dir, err);

    if (changes < 0)
        return changes;
    CL_CLEANUP_FD int supervisor = cl_known_open_supervisor(known);
    if (supervisor < 0 && supervisor != -ESRCH)
        return cl_fail(err, supervisor, "watch sandbox %s", known->found.entry.id);
    ret->changes = CL_TAKE_FD(changes);
    ret->supervisor = supervisor < 0 ? -1 : CL_TAKE_FD(supervisor);
    return 0;
}

int cl_follow_take(const struct cl_follow *follow, struct cl_log_reader *reader,
                   struct cl_error *err)
{
    char events[4096];

    (void)cl_sys_read(follow->changes, events, sizeof(events)); /* only empties it */
    return cl_log_look(reader, err);
}

void cl_follow_done(struct cl_follow *follow)
{
    cl_fd_close(&follow->changes);
    cl_fd_close(&follow->supervisor);
}
