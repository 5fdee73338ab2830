#include <errno.h>
#include <seccomp.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/sys.h"
#include "helpers/common/jail.h"
#include "helpers/image/remove.h"
#include "helpers/image/unpack.h"
#include "helpers/image/verbs.h"

enum { REPORT_FD = 3, UNPACK_CHANNEL = 4, REMOVE_CHANNEL = 3 };

static int enter(int channel, struct cl_error *err)
{
    struct cl_jail jail = {.keep_fds = (unsigned int)channel + 1,
                           .root = CL_JAIL_TREE,
                           .channel = channel,
                           .calls = cl_unpack_calls,
                           .call_count = cl_unpack_call_count};
    int r = cl_jail_enter(&jail, err);

    return r < 0 ? cl_prefix(err, "cloister-image's jail") : 0;
}

/* The tree, which is the root by now. */
static int open_root(struct cl_error *err)
{
    int root = cl_sys_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);

    return root < 0 ? cl_fail(err, root, "open the layer's directory") : root;
}

int cl_verb_unpack(CL_UNUSED const struct cl_verb *verb, char *const args[], struct cl_error *err)
{
    struct cl_unpack how = {.stream = STDIN_FILENO, .report = REPORT_FD};
    struct cl_unpack_report ignored; /* it is in the file already */

    if (cl_parse_u64(args[0], &how.max_bytes) < 0 || cl_parse_u64(args[1], &how.max_entries) < 0)
        return cl_refuse(err, EINVAL, "expected two numbers");
    int r = enter(UNPACK_CHANNEL, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int root = open_root(err);
    if (root < 0)
        return root;
    how.root = root;
    r = cl_unpack_run(&how, &ignored, err);
    if (r != -EOVERFLOW)
        return r;
    return args[2] != NULL ? cl_hint(err, "%.200s", args[2])
                           : cl_hint(err, "images have fewer ids here: give this user more in "
                                          "/etc/subuid and /etc/subgid, or take an image with "
                                          "smaller ones");
}

static int remove_all(int root, struct cl_error *err)
{
    struct cl_tally tally = {.max_bytes = UINT64_MAX, .max_entries = UINT64_MAX, .fd = -1};
    struct cl_dir entries;
    struct stat st;
    const char *name;
    int r;

    cl_dir_start(&entries, root);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        r = cl_sys_fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW);
        if (r < 0)
            return cl_fail(err, r, "look at what is to be removed");
        r = cl_remove(root, name, &st, &tally, err);
        if (r < 0)
            return r;
    }
    return r < 0 ? cl_fail(err, r, "list what is to be removed") : 0;
}

int cl_verb_remove(CL_UNUSED const struct cl_verb *verb, CL_UNUSED char *const args[],
                   struct cl_error *err)
{
    int r = enter(REMOVE_CHANNEL, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int root = open_root(err);
    return root < 0 ? root : remove_all(root, err);
}
