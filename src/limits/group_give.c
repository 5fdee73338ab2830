/* v2: which controllers a cgroup has is for those above it to give (cgroup-v2.rst, "Enabling and
 * Disabling"). As engines expect, a container's has all that the host has. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/sys.h"
#include "limits/group_parts.h"

const char *const cl_group_controllers[CL_GROUP_CONTROLLERS] = {
    "cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem",
};

enum { NAMES_SIZE = 128 };

/* The names of BITS, each with PREFIX before it. */
static void write_names(char ret[NAMES_SIZE], unsigned int bits, const char *prefix)
{
    size_t used = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < CL_GROUP_CONTROLLERS; i++) {
        if ((bits & 1U << i) != 0)
            used += (size_t)snprintf(ret + used, NAMES_SIZE - used, "%s%s%s", used > 0 ? " " : "",
                                     prefix, cl_group_controllers[i]); /* all of them fit */
    }
}

static int read_words(int dir, const char *file)
{
    return cl_cgroup_words(dir, file, cl_group_controllers, CL_GROUP_CONTROLLERS);
}

/* Has DIR give what it has: together, and where that fails one by one, for one that can't be given
 * (the kernel refuses cpu with real-time tasks about) must not take the others along. */
static int give_in(int dir)
{
    static const char file[] = "cgroup.subtree_control";
    const int available = read_words(dir, "cgroup.controllers");
    const int given = available <= 0 ? 0 : read_words(dir, file);
    char text[NAMES_SIZE];

    if (available < 0 || given < 0)
        return available < 0 ? available : given;
    const unsigned int missing = (unsigned int)available & ~(unsigned int)given;
    if (missing == 0)
        return 0;
    write_names(text, missing, "+");
    const int r = cl_write_file(dir, file, text);
    for (size_t i = 0; r < 0 && i < CL_GROUP_CONTROLLERS; i++) {
        write_names(text, missing & 1U << i, "+");
        if (text[0] != '\0')
            (void)cl_write_file(dir, file, text); /* what is missed is told by who needs it */
    }
    return r;
}

/* From the mount down to the spot's directory. The first failure, which need not matter. */
static int give_down(struct cl_group_spot *spot)
{
    char *at = spot->path + spot->mount_size;
    int first = 0;

    for (;;) {
        const char kept = *at;
        *at = '\0';
        CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, spot->path, O_PATH | O_DIRECTORY, 0);
        const int r = dir < 0 ? dir : give_in(dir);
        *at = kept;
        first = first == 0 ? r : first;
        if (kept == '\0')
            return first;
        at += 1 + strcspn(at + 1, "/");
    }
}

static int refuse_lack(const struct cl_group_spot *spot, unsigned int lacks, const char *whose,
                       int why, struct cl_error *err)
{
    char names[NAMES_SIZE];

    write_names(names, lacks, "");
    if (why == -EBUSY)
        return cl_refuse(err, EBUSY,
                         "%s: %.200s, or a cgroup above it, has processes and can't give "
                         "the controllers %s to the container's",
                         whose, spot->path, names);
    (void)cl_refuse(err, ENOTSUP, "%s: %.200s doesn't give the controllers %s", whose, spot->path,
                    names);
    if (why == -EROFS)
        return cl_hint(err, "mount %s writable", CL_CGROUP_MOUNT);
    return cl_hint(err, "have systemd delegate a cgroup (--systemd-cgroup), or leave that out");
}

static int read_host(void)
{
    CL_CLEANUP_FD int mount = cl_sys_openat(AT_FDCWD, CL_CGROUP_MOUNT, O_PATH | O_DIRECTORY, 0);

    return mount < 0 ? mount : read_words(mount, "cgroup.controllers");
}

int cl_group_give(struct cl_group_spot *spot, int parent, const struct cl_spec_resources *resources,
                  struct cl_error *err)
{
    static const char file[] = "cgroup.subtree_control";
    const unsigned int need = cl_group_need(resources);
    const int host = read_host();
    int given = read_words(parent, file);
    char names[NAMES_SIZE];

    if (host < 0 || given < 0)
        return cl_fail(err, host < 0 ? host : given, "read the controllers of %.300s", spot->path);
    if (((unsigned int)host & ~(unsigned int)given) == 0 && (need & ~(unsigned int)given) == 0)
        return 0; /* as a rule: whoever came first had them given */
    write_names(names, need & ~(unsigned int)host, "");
    if (names[0] != '\0')
        return cl_refuse(err, ENOTSUP,
                         "%s: cgroup v2 of this host lacks the controllers %s: they are on cgroup "
                         "v1, or off on the kernel's command line",
                         cl_group_needing(resources, need & ~(unsigned int)host), names);
    const int why = give_down(spot);
    given = read_words(parent, file);
    if (given < 0)
        return cl_fail(err, given, "read %.300s/%s", spot->path, file);
    const unsigned int lacks = need & ~(unsigned int)given;
    return lacks == 0 ? 0 : refuse_lack(spot, lacks, cl_group_needing(resources, lacks), why, err);
}
