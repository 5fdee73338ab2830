/*
 * images_resolve: what it costs `run` to find a cached image: the store, the configuration of
 * registries, the name, the launch record. Linked with the core's own code.
 *
 *   images_resolve NAME COUNT
 *
 * Output: a line for each turn, its nanoseconds.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "image/config.h"
#include "image/launch.h"
#include "image/store.h"

enum { ARENA_MAX = 1 << 20, COUNT_MAX = 1000000 };

/* What cmd/cloister/run_image.c does before the plan is composed. */
static int resolve(const char *name, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_STORE struct cl_store store = CL_STORE_INIT;
    struct cl_registries_record config = {0};
    struct cl_reference reference;
    struct cl_plan plan = {0};
    int r = cl_store_open(0, &store, err);

    if (r == 0)
        r = cl_image_config_load(&arena, &config, err);
    if (r == 0)
        r = cl_reference_parse(name, cl_image_config_default(&config), &arena, &reference, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int lock = cl_launch_find(store.dir, &reference, &arena, &plan, err);
    return lock < 0 ? lock : 0;
}

int main(int argc, char *argv[])
{
    uint64_t count;

    if (argc != 3 || cl_parse_u64(argv[2], &count) < 0 || count > COUNT_MAX) {
        (void)fprintf(stderr, "usage: images_resolve NAME COUNT\n");
        return 125;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct cl_error err = {0};
        const uint64_t before = cl_clock_boot_ns();
        int r = resolve(argv[1], &err);
        const uint64_t after = cl_clock_boot_ns();

        if (r < 0) {
            (void)fprintf(stderr, "images_resolve: %s: error %d %s\n", argv[1], -r, err.msg);
            return 125;
        }
        (void)printf("%" PRIu64 "\n", after - before);
    }
    return fflush(stdout) == 0 ? 0 : 125;
}
