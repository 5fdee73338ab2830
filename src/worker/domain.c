#include "worker/domain.h"

#include "base/fd.h"
#include "base/landlock.h"

static int allow(const struct cl_ruleset *ruleset, const struct cl_wasi_preopen *preopen,
                 struct cl_error *err)
{
    const uint64_t reading = CL_ACCESS_READ & ~(uint64_t)CL_LANDLOCK_FS_EXECUTE;

    return cl_landlock_allow(ruleset, preopen->directory, preopen->name,
                             reading | (preopen->is_read_only ? 0 : CL_ACCESS_WRITE), err);
}

int cl_domain_enter(const struct cl_wasi_setup *wasi, struct cl_error *err)
{
    struct cl_ruleset ruleset = {.fd = -1};
    int r = cl_landlock_make(1, &ruleset, err);

    for (size_t i = 0; r == 0 && i < wasi->preopen_count; i++)
        r = allow(&ruleset, &wasi->preopens[i], err);
    if (r == 0)
        r = cl_landlock_enter(&ruleset, err);
    cl_fd_close(&ruleset.fd);
    return r;
}
