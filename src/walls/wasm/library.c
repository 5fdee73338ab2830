/* A worker that is no single file: the files of its engine are shown in its root.
 *
 *   /lib64/ld-linux-x86-64.so.2   what starts it, where its own file says that this is
 *   /.engine/NAME                 the library and all that it needs, side by side
 *   /.guest                       the guest's root directory (worker/apart.h)
 *
 * They are volumes, read-only, as the caller's are: found with his privilege, bound, never copied.
 * The guest sees none of them, as its root is another directory; one that has broken its worker
 * finds them behind Landlock. Nothing that is the guest's reaches the loader: its environment comes
 * behind its arguments, and the loader's has one variable. So no module or image has a word in what
 * is loaded.
 */
#include "walls/wasm/library.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "module/library.h"
#include "worker/orders.h"

#define ENGINE "/.engine"

/* --- its files ----------------------------------------------------------------------------- */

static int is_below(const char *path, const char *directory)
{
    const size_t size = strlen(directory);

    return strncmp(path, directory, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* The caller's come first: what is mounted there must be neither over nor under them. */
static int check_volumes(const struct cl_plan *plan, const char *target, struct cl_error *err)
{
    for (size_t i = 0; i < plan->files.count; i++) {
        const char *other = plan->files.items[i].target;

        if (is_below(target, other) || is_below(other, target))
            return cl_refuse(err, EINVAL,
                             "the volume %.200s is in the way: in the root of WasmEdge's worker "
                             "%.200s is its engine's",
                             other, target);
    }
    return 0;
}

static int add_file(struct cl_plan *plan, const char *source, const char *target,
                    struct cl_arena *arena, struct cl_error *err)
{
    const struct cl_plan_file file = {
        .kind = CL_FILE_BIND, .mode = CL_FILE_RO, .source = source, .target = target};

    return cl_plan_add_file(plan, &file, arena, err);
}

static int add_files(struct cl_plan *plan, const struct cl_library *library, struct cl_arena *arena,
                     struct cl_error *err)
{
    const struct cl_plan_file guests = {
        .kind = CL_FILE_TMPFS, .source = "", .target = CL_WORKER_APART};
    int r = plan->image_kind == CL_IMAGE_MODULES ? 0 : cl_plan_add_file(plan, &guests, arena, err);

    if (r == 0)
        r = add_file(plan, library->loader, library->loader, arena, err);
    for (size_t i = 0; r == 0 && i < library->files.count; i++) {
        const char *source = library->files.items[i];
        const char *target = cl_arena_printf(arena, ENGINE "/%s", cl_library_name(source));

        r = target == NULL ? cl_fail_memory(err) : add_file(plan, source, target, arena, err);
    }
    return r;
}

/* --- its words ----------------------------------------------------------------------------- */

/* One vector of the arguments and the variables. */
static int join_words(struct cl_plan *plan, struct cl_arena *arena, struct cl_error *err)
{
    static const char *const environment[] = {"LD_LIBRARY_PATH=" ENGINE};
    const size_t count = plan->command.count + plan->env.count;
    const char **words = cl_arena_array(arena, count + 1, sizeof(*words));

    if (words == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < plan->command.count; i++)
        words[i] = plan->command.items[i];
    for (size_t i = 0; i < plan->env.count; i++)
        words[plan->command.count + i] = plan->env.items[i];
    plan->command = (struct cl_strlist){words, count};
    plan->env = (struct cl_strlist){environment, 1};
    return 0;
}

int cl_wasm_add_library(struct cl_plan *plan, struct cl_arena *arena, const char **ret_loader,
                        struct cl_error *err)
{
    static const char *const own[] = {ENGINE, CL_WORKER_APART};
    struct cl_library library = {0};
    int r = cl_library_find(NULL, arena, &library, err);

    if (r == 0)
        r = check_volumes(plan, library.loader, err);
    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(own); i++)
        r = check_volumes(plan, own[i], err);
    if (r == 0)
        r = add_files(plan, &library, arena, err);
    if (r == 0)
        r = join_words(plan, arena, err);
    if (r == 0)
        *ret_loader = library.loader;
    return r;
}
