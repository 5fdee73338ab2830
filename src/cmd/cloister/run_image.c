#include "cmd/cloister/run_image.h"

#include <errno.h>

#include "base/fd.h"
#include "image/config.h"
#include "image/launch.h"
#include "image/store.h"
#include "plan/decide.h"

/* The launch record of REFERENCE: its locked descriptor. */
static int find(const struct cl_reference *reference, struct cl_arena *arena, struct cl_plan *ret,
                struct cl_error *err)
{
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    struct cl_plan plan = {0};
    int r = cl_store_open(0, &store, err);

    if (r < 0)
        return r;
    CL_CLEANUP_FD int lock = cl_launch_find(store.dir, reference, arena, &plan, err);
    if (lock < 0)
        return lock;
    /* The store may have been moved since the record was written. */
    plan.image_path = cl_arena_printf(arena, "%s/layers", store.path);
    if (plan.image_path == NULL)
        return cl_fail_memory(err);
    *ret = plan;
    return CL_TAKE_FD(lock);
}

int cl_run_image_part(const char *image, struct cl_arena *arena, struct cl_plan *ret, int *ret_lock,
                      struct cl_error *err)
{
    struct cl_registries_record config = {0};
    struct cl_reference reference;

    if (!cl_image_is_name(image))
        return 0;
    int r = cl_image_config_load(arena, &config, err);
    if (r == 0)
        r = cl_reference_parse(image, cl_image_config_default(&config), arena, &reference, err);
    if (r < 0)
        return r;
    int lock = find(&reference, arena, ret, err);
    if (lock == -ENOENT) /* here it would be fetched */
        return 0;
    if (lock < 0)
        (void)cl_prefix(err, "image %.200s", image);
    if (lock == -EBADMSG)
        return cl_hint(err, "cloister pull %.200s", image);
    if (lock < 0)
        return lock;
    *ret_lock = lock;
    return 0;
}
