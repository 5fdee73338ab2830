/* probe_image.c - probes of what images need: their store, their helpers, sub-ids. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/accounts.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/sys.h"
#include "base/userns.h"
#include "cmd/cloister/probe.h"
#include "image/store.h"

/* Whether files of the store can show as those of a range of uids: root's unpackers and
 * sandboxes need it. */
static int try_idmap(int store, struct cl_error *err)
{
    CL_CLEANUP_FD int tree =
        cl_sys_open_tree(store, "", CL_OPEN_TREE_CLONE | CL_OPEN_TREE_CLOEXEC | CL_AT_EMPTY_PATH);
    if (tree < 0)
        return cl_fail(err, tree, "clone the store's mount");
    CL_CLEANUP_FD int userns = cl_userns_make(0, 0, 1, 1, err);
    return userns < 0 ? userns : cl_idmap_tree(tree, userns, "the image store", err);
}

void cl_probe_store(struct cl_finding *finding)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    struct cl_error err = {0};
    int r = cl_store_open(0, &store, &err);

    if (r == -ENOENT && err.code == 0) {
        cl_found(finding, CL_PROBE_WORKS, "the first pull makes it");
        return;
    }
    if (r == 0 && geteuid() == 0)
        r = try_idmap(store.dir, &err);
    if (r == 0) {
        cl_found(finding, CL_PROBE_WORKS, "%.400s", store.path);
        return;
    }
    cl_found(finding, CL_PROBE_ABSENT, "images by name need it: %.400s", err.msg);
    cl_cure(finding, "CLOISTER_STORE names another place");
}

int cl_probe_find(const char *const *names, size_t count, struct cl_helper *ret,
                  struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cl_helper_find(NULL, names[i], ret, err);
    return r;
}

void cl_probe_image_helpers(struct cl_finding *finding)
{
    static const char *const names[] = {"cloister-image", "cloister-fetch"};
    struct cl_helper helper;
    struct cl_error err = {0};

    if (cl_probe_find(names, CL_ARRAY_SIZE(names), &helper, &err) < 0)
        cl_found(finding, CL_PROBE_ABSENT, "cloister pull needs it: %.200s", err.msg);
    else
        cl_found(finding, CL_PROBE_WORKS, "%.255s and cloister-image", helper.path);
}

void cl_probe_subids(struct cl_finding *finding)
{
    static const char *const files[] = {"/etc/subuid", "/etc/subgid"};
    static const char *const programs[] = {"/usr/bin/newuidmap", "/usr/bin/newgidmap"};
    char cure[CL_SUBIDS_CURE_SIZE];
    char login[CL_LOGIN_SIZE];
    struct cl_id_range range = {0};
    struct cl_error err = {0};

    if (geteuid() == 0) {
        cl_found(finding, CL_PROBE_WORKS, "root needs none");
        return;
    }
    cl_accounts_login(geteuid(), login);
    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        if (cl_accounts_find_subids(files[i], login, geteuid(), &range, &err) != 1) {
            cl_found(finding, CL_PROBE_ABSENT,
                     "images of several owners and --profile build need them, and %s has none for "
                     "this user",
                     files[i]);
            cl_accounts_cure_subids(login, cure);
            cl_cure(finding, "run as root: %s", cure);
            return;
        }
        if (cl_sys_faccessat(AT_FDCWD, programs[i], X_OK) < 0) {
            cl_found(finding, CL_PROBE_ABSENT, "%s is missing", programs[i]);
            cl_cure(finding, "install the package uidmap");
            return;
        }
    }
    cl_found(finding, CL_PROBE_WORKS, "%llu ids from %llu", (unsigned long long)range.count,
             (unsigned long long)range.first);
}
