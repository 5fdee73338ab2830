/* What was taken out of the store: emptied by cloister-image, in a jail whose root it is. */
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/sys.h"
#include "image/collect.h"
#include "image/complaint.h"
#include "image/jailed.h"
#include "image/layers.h"

/* All that is below DIRECTORY. */
static int empty(const struct cl_helper *helper, int directory, uint32_t uid_base,
                 struct cl_error *err)
{
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    char *argv[] = {cl_unconst(helper->name), cl_unconst("remove"), NULL};
    char text[CL_COMPLAINT_SIZE];
    CL_CLEANUP_FD int complaint = cl_complaint_file(err);
    const int fds[] = {-1, -1, complaint};
    const struct cl_jailed how = {
        .program = helper->path,
        .argv = argv,
        .fds = fds,
        .fd_count = CL_ARRAY_SIZE(fds),
        .directory = directory,
        .uid_base = uid_base,
    };
    siginfo_t info = {0};
    int r = complaint < 0 ? complaint : cl_jailed_start(&how, &child, err);

    if (r == 0)
        r = cl_child_wait(&child, &info, err);
    if (r < 0)
        return r;
    if (info.si_code == CLD_EXITED && info.si_status == 0)
        return 0;
    cl_complaint_read(complaint, text);
    return cl_refuse(err, EIO, "what was removed from the store can't be deleted%s%s",
                     text[0] == '\0' ? "" : ": ", text);
}

/* Where nothing is in its tree, nobody has to be started: 1 when it is gone. */
static int remove_empty(int trash, int dir, const char *name)
{
    static const char *const own[] = {"chain", "record", "unsynced", "link"};
    int r = cl_sys_unlinkat(dir, "tree", AT_REMOVEDIR);

    if (r < 0 && r != -ENOENT)
        return 0;
    for (size_t i = 0; i < CL_ARRAY_SIZE(own); i++)
        (void)cl_sys_unlinkat(dir, own[i], 0); /* what stays shows in the next call */
    return cl_sys_unlinkat(trash, name, AT_REMOVEDIR) == 0;
}

/* -ENOENT: another collection has removed it between its opening and the lock. */
static int lock_what_is_there(int dir)
{
    struct stat st;
    int r = cl_sys_flock(dir, LOCK_EX | LOCK_NB);

    if (r == 0)
        r = cl_sys_fstat(dir, &st);
    return r == 0 && st.st_nlink == 0 ? -ENOENT : r;
}

/* All of trash/NAME is removed from inside: its tree may belong to another of the user's ids, and
 * let nobody else in. The lock keeps a second collection from removing what the first one is
 * just looking at. */
static int remove_one(struct cl_helper *helper, int trash, const char *name, uint32_t uid_base,
                      struct cl_error *err)
{
    CL_CLEANUP_FD int dir = cl_sys_openat(trash, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    int r = dir < 0 ? dir : lock_what_is_there(dir);

    if (r == -ENOENT || r == -EAGAIN)
        return 0; /* another collection has removed it, or does */
    if (r < 0)
        return cl_fail(err, r, "remove the layer %s", name);
    if (remove_empty(trash, dir, name))
        return 0;
    if (helper->name == NULL)
        r = cl_helper_find(NULL, "cloister-image", helper, err);
    if (r == 0)
        r = empty(helper, dir, uid_base, err);
    if (r < 0)
        return r;
    r = cl_sys_unlinkat(trash, name, AT_REMOVEDIR);
    return r < 0 && r != -ENOENT ? cl_fail(err, r, "remove the layer %s", name) : 0;
}

int cl_empty_trash(const struct cl_store *store, uint32_t uid_base, struct cl_error *err)
{
    CL_CLEANUP_FD int trash = cl_sys_openat(store->dir, "trash", O_RDONLY | O_DIRECTORY, 0);
    struct cl_helper helper = {0};
    struct cl_error last;
    struct cl_dir entries;
    const char *name;
    int failed = 0;
    int r;

    if (trash < 0)
        return cl_fail(err, trash, "open %s/trash", store->path);
    cl_dir_start(&entries, trash);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        r = remove_one(&helper, trash, name, uid_base, &last);
        if (r < 0 && failed == 0) {
            failed = r; /* the others go nevertheless */
            *err = last;
        }
    }
    if (r < 0)
        return cl_fail(err, r, "list %s/trash", store->path);
    return failed;
}
