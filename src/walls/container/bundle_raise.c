/* What annotations raise over a bundle's own wall: pieces of cloister run's. */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/landlock.h"
#include "base/num.h"
#include "base/sys.h"
#include "policy/seccomp_tables.h"
#include "walls/container/bundle.h"

#define PREFIX "run.cloister."

/* 1: it raises nothing. */
static int read_one(const char *key, const char *value, struct cl_bundle_raise *ret,
                    struct cl_error *err)
{
    if (strcmp(key, PREFIX "landlock") == 0) {
        if (strcmp(value, "on") != 0)
            return cl_refuse(err, EINVAL, "annotations.%s: expected on, got \"%.40s\"", key, value);
        ret->landlock = 1;
        return 0;
    }
    if (strcmp(key, PREFIX "seccomp") == 0) {
        if (strcmp(value, "strict") != 0 && strcmp(value, "build") != 0)
            return cl_refuse(err, EINVAL, "annotations.%s: expected strict or build, got \"%.40s\"",
                             key, value);
        ret->seccomp = value;
        return 0;
    }
    if (strcmp(key, PREFIX "time-limit") == 0) {
        if (cl_parse_duration(value, &ret->time_ns) < 0 || ret->time_ns == 0 ||
            ret->time_ns > CL_MAX_NS)
            return cl_refuse(err, EINVAL, "annotations.%s: expected a time like 90s, got \"%.40s\"",
                             key, value);
        return 0;
    }
    return 1;
}

int cl_bundle_read_raise(const struct cl_spec *spec, struct cl_bundle_raise *ret,
                         struct cl_error *err)
{
    const struct cl_strlist *list = &spec->annotations;
    struct cl_bundle_raise raise = {0};

    for (size_t i = 0; i + 1 < list->count; i += 2) {
        int r = read_one(list->items[i], list->items[i + 1], &raise, err);
        if (r < 0)
            return r;
    }
    *ret = raise;
    return 0;
}

static int check_other(const char *key, const char *value, struct cl_error *err)
{
    if (strcmp(key, PREFIX "wall") != 0)
        return cl_refuse(
            err, EINVAL,
            "annotations.%.60s: there is none of that name; landlock, seccomp, time-limit "
            "and wall are",
            key);
    if (strcmp(value, "container") == 0)
        return 0;
    return cl_refuse(err, ENOTSUP,
                     "annotations.%s: \"%.40s\": this runtime has the wall container alone; pods "
                     "of modules are cloisterd's",
                     key, value);
}

int cl_bundle_check_raise(const struct cl_spec *spec, struct cl_error *err)
{
    const struct cl_strlist *list = &spec->annotations;
    struct cl_bundle_raise raise = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i + 1 < list->count; i += 2) {
        const char *key = list->items[i];
        const char *value = list->items[i + 1];

        if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
            continue;
        r = read_one(key, value, &raise, err);
        if (r == 1)
            r = check_other(key, value, err);
    }
    return r;
}

/* --- Landlock ----------------------------------------------------------------------------------
 */

static int allow(const struct cl_ruleset *ruleset, const char *path, uint64_t access,
                 struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_PATH, 0);

    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -EACCES)
        return 0; /* it leads to what can't be reached */
    return fd < 0 ? cl_fail(err, fd, "open %s for its rule", path)
                  : cl_landlock_allow(ruleset, fd, path, access, err);
}

static int add_rules(const struct cl_bundle *bundle, const struct cl_ruleset *ruleset,
                     struct cl_error *err)
{
    const struct cl_spec *spec = bundle->spec;
    int r = allow(ruleset, "/", CL_ACCESS_READ | (spec->root_readonly ? 0 : CL_ACCESS_WRITE), err);

    for (size_t i = 0; r == 0 && i < spec->mounts.count; i++) {
        const struct cl_spec_mount *mount = &spec->mounts.items[i];

        if (((mount->set | mount->deep_set) & CL_MOUNT_ATTR_RDONLY) == 0)
            r = allow(ruleset, mount->target, CL_ACCESS_READ | CL_ACCESS_WRITE, err);
    }
    return r;
}

/* Without scopes: those who come by exec have a domain of their own, and are to reach the others.
 */
int cl_bundle_raise_landlock(const struct cl_bundle *bundle, struct cl_error *err)
{
    struct cl_bundle_raise raise = {0};
    struct cl_ruleset ruleset = {.fd = -1};
    int r = cl_bundle_read_raise(bundle->spec, &raise, err);

    if (r < 0 || !raise.landlock)
        return r;
    r = cl_landlock_make(0, &ruleset, err);
    if (r == 0)
        r = add_rules(bundle, &ruleset, err);
    if (r == 0)
        r = cl_landlock_enter(&ruleset, err);
    cl_fd_close(&ruleset.fd);
    return r < 0 ? cl_prefix(err, "annotations." PREFIX "landlock") : 0;
}

/* --- the filter --------------------------------------------------------------------------------
 */

int cl_bundle_raise_filter(const struct cl_bundle *bundle, struct cl_error *err)
{
    struct cl_bundle_raise raise = {0};
    int r = cl_bundle_read_raise(bundle->spec, &raise, err);

    if (r < 0 || raise.seccomp == NULL)
        return r;
    const struct cl_seccomp_program *program =
        strcmp(raise.seccomp, "strict") == 0 ? &cl_seccomp_strict : &cl_seccomp_build;
    r = cl_seccomp_install(program->insns, program->count, err);
    if (r < 0 && cl_spec_has(bundle->spec, CL_SPEC_SECCOMP))
        r = cl_hint(err, "linux.seccomp has to allow the call seccomp, by which it comes");
    return r < 0 ? cl_prefix(err, "annotations." PREFIX "seccomp") : 0;
}
