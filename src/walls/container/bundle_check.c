/* What a bundle may ask of this kernel and this program, before anything is made. */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "walls/container/bundle.h"

#include <sys/prctl.h>

static const struct {
    const char *name;
    uint32_t kind;
} sysctls[] = {
#define CL_SYSCTL(name, kind, why) {name, kind},
#include "policy/sysctls.def"
#undef CL_SYSCTL
};

/* KEY begins with NAME, or is it; where a slash parts the words (sysctl(8)) it stands for the dot.
 */
static int is_meant(const char *name, const char *key)
{
    for (; *name != '\0'; name++, key++) {
        if (*key != *name && !(*name == '.' && *key == '/'))
            return 0;
    }
    return name[-1] == '.' || *key == '\0';
}

static int check_sysctl(const struct cl_spec *spec, const char *key, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(sysctls); i++) {
        if (!is_meant(sysctls[i].name, key))
            continue;
        if (cl_spec_namespace(spec, sysctls[i].kind) != NULL)
            return 0;
        return cl_refuse(
            err, EINVAL,
            "linux.sysctl.%.100s: it belongs to a namespace that the container has not "
            "(linux.namespaces), and would be the host's",
            key);
    }
    return cl_refuse(err, EINVAL,
                     "linux.sysctl.%.100s: it belongs to no namespace: it is the host's", key);
}

static int check_sysctls(const struct cl_spec *spec, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i + 1 < spec->sysctls.count; i += 2)
        r = check_sysctl(spec, spec->sysctls.items[i], err);
    return r;
}

static int check_namespaces(const struct cl_spec *spec, struct cl_error *err)
{
    const struct cl_spec_namespace *mount = cl_spec_namespace(spec, CLONE_NEWNS);

    if (mount == NULL)
        return cl_refuse(err, ENOTSUP,
                         "linux.namespaces: a container has a mount namespace here that is not the "
                         "runtime's");
    if (cl_spec_has(spec, CL_SPEC_HOSTNAME) && spec->hostname[0] != '\0' &&
        cl_spec_namespace(spec, CLONE_NEWUTS) == NULL)
        return cl_refuse(err, EINVAL, "hostname: it takes a uts namespace (linux.namespaces)");
    return 0;
}

int cl_bundle_check(const struct cl_spec *spec, struct cl_error *err)
{
    if (cl_spec_has(spec, CL_SPEC_CWD) && !cl_spec_has(spec, CL_SPEC_ARGS))
        return cl_refuse(err, EINVAL, "process.args: missing");
    int r = cl_bundle_check_raise(spec, err);
    if (r == 0)
        r = cl_bundle_check_labels(spec, err);
    if (r == 0)
        r = check_sysctls(spec, err);
    return r < 0 ? r : check_namespaces(spec, err);
}

int cl_bundle_lacking(const struct cl_spec *spec, const struct cl_spec *process, uint64_t *ret,
                      struct cl_error *err)
{
    const uint64_t wanted = process->bounding | process->effective | process->inheritable |
                            process->permitted | process->ambient;
    uint64_t lacking = 0;

    if (cl_spec_namespace(spec, CLONE_NEWUSER) != NULL) {
        *ret = 0;
        return 0;
    }
    for (unsigned int cap = 0; cap < 64; cap++) {
        const int is_wanted = (wanted & 1ULL << cap) != 0;
        const int r = is_wanted ? cl_sys_prctl(PR_CAPBSET_READ, cap, 0, 0, 0) : 1;

        if (r < 0 && r != -EINVAL) /* that is one which the kernel doesn't know */
            return cl_fail(err, r, "process.capabilities: see which of them this process has");
        if (r != 1)
            lacking |= 1ULL << cap;
    }
    *ret = lacking;
    return 0;
}
