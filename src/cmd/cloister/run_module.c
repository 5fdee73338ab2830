#include "cmd/cloister/run_module.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "cmd/cloister/image_file.h"
#include "image/layer_name.h"
#include "plan/decide.h"
#include "policy/wasm_version.h"

#define MAX_MODULE ((uint64_t)CL_WASM_MODULE_MIB << 20)

/* --- before the plan is decided ------------------------------------------------ */

/* The first of its arguments, as a command's: without where it lies. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

int cl_run_module_part(const struct cl_plan *flags, struct cl_arena *arena, struct cl_plan *ret,
                       struct cl_error *err)
{
    if (flags->image == NULL || !cl_image_is_module(flags->image))
        return 0;
    const char **entrypoint = cl_arena_array(arena, 1, sizeof(*entrypoint));
    if (entrypoint == NULL)
        return cl_fail_memory(err);
    entrypoint[0] = name_of(flags->image);
    ret->image_kind = CL_IMAGE_MODULE;
    ret->entrypoint = (struct cl_strlist){entrypoint, 1};
    cl_plan_mark(ret, CL_FIELD_IMAGE_KIND);
    cl_plan_mark(ret, CL_FIELD_ENTRYPOINT);
    return 0;
}

/* --- in the store ---------------------------------------------------------------- */

/* The one file of its layer. */
static int open_stored(const struct cl_plan *plan, struct cl_error *err)
{
    char path[CL_LAYER_TREE_SIZE + sizeof("/" CL_MODULE_FILE)];
    CL_CLEANUP_FD int layers = cl_image_file_root(plan, err);

    if (layers < 0)
        return layers;
    (void)cl_layer_tree(plan->image_layers.items[0], path);
    memcpy(path + strlen(path), "/" CL_MODULE_FILE, sizeof("/" CL_MODULE_FILE));
    CL_CLEANUP_FD int found = cl_open_no_links(layers, path, O_PATH);
    if (found >= 0)
        return cl_reopen_regular(found, plan->image, MAX_MODULE, err);
    (void)cl_fail(err, found, "open the layer of %.200s", plan->image);
    return cl_hint(err, "the store lacks it: cloister pull %.200s", plan->image);
}

/* --- in a tree ------------------------------------------------------------------- */

static const char *path_of_env(const struct cl_strlist *env)
{
    const char *path = cl_env_find(env, "PATH");

    return path == NULL ? "" : path;
}

/* What the command's name may mean, one after the other: a path, which counts from the working
 * directory; a name of a file there; one in PATH. */
struct places {
    const struct cl_plan *plan;
    struct cl_arena *arena;
    const char *next; /* of PATH; NULL before the first place */
};

/* 1, 0 when there are no more, or -ENOMEM. */
static int next_place(struct places *places, const char **ret)
{
    const char *name = places->plan->command.items[0];
    const char *directory = name[0] == '/' ? "" : places->plan->workdir;
    size_t size = strlen(directory);

    if (places->next != NULL) {
        places->next += strspn(places->next, ":");
        size = strcspn(places->next, ":");
        if (size == 0)
            return 0;
        directory = places->next;
        places->next += size;
    } else {
        places->next = strchr(name, '/') != NULL ? "" : path_of_env(&places->plan->env);
    }
    while (size > 0 && directory[size - 1] == '/')
        size--;
    *ret =
        cl_arena_printf(places->arena, "%.*s/%s", (int)size, directory, name + strspn(name, "/"));
    return *ret == NULL ? -ENOMEM : 1;
}

static int find(struct places *places, int root, const char **ret_path, struct cl_error *err)
{
    int r;

    while ((r = next_place(places, ret_path)) > 0) {
        int found = cl_image_file_find(places->plan, root, *ret_path);

        if (found >= 0)
            return found;
        if (found != -ENOENT && found != -ENOTDIR)
            return cl_fail(err, found, "open %.200s", *ret_path);
    }
    return r < 0 ? cl_fail_memory(err)
                 : cl_refuse(err, ENOENT, "there is no %.200s, which is the module to run",
                             places->plan->command.items[0]);
}

static int is_below(const char *path, const char *directory)
{
    const size_t size = strlen(directory);

    return strncmp(path, directory, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* What runs is the image's file: not to be taken for one that is mounted over it. */
static int check_volumes(const struct cl_plan *plan, const char *path, struct cl_error *err)
{
    for (size_t i = 0; i < plan->files.count; i++) {
        if (is_below(path, plan->files.items[i].target))
            return cl_refuse(
                err, ENOTSUP,
                "a module is taken from the image, and %.200s lies under %.200s, which "
                "is mounted over it; a file of the host is run by its path: cloister "
                "run ./FILE.wasm",
                path, plan->files.items[i].target);
    }
    return 0;
}

/* RET_PATH is where it was found. */
static int open_in_tree(const struct cl_plan *plan, struct cl_arena *arena, const char **ret_path,
                        struct cl_error *err)
{
    struct places places = {.plan = plan, .arena = arena};
    CL_CLEANUP_FD int root = cl_image_file_root(plan, err);

    if (root < 0)
        return root;
    CL_CLEANUP_FD int found = find(&places, root, ret_path, err);
    if (found < 0)
        return found;
    int r = cl_path_normalise(*ret_path, 1, arena, ret_path, err);
    if (r == 0)
        r = check_volumes(plan, *ret_path, err);
    return r < 0 ? r : cl_reopen_regular(found, *ret_path, MAX_MODULE, err);
}

/* --- all of them ------------------------------------------------------------------- */

static int open_source(const struct cl_plan *plan, struct cl_arena *arena, const char **ret_name,
                       struct cl_error *err)
{
    *ret_name = plan->image;
    if (plan->image_kind != CL_IMAGE_MODULE)
        return open_in_tree(plan, arena, ret_name, err);
    return plan->image_layers.count > 0 ? open_stored(plan, err)
                                        : cl_follow_regular(plan->image, MAX_MODULE, err);
}

static int set_digest(struct cl_plan *plan, struct cl_arena *arena, const struct cl_digest *digest,
                      struct cl_error *err)
{
    if (plan->image_kind != CL_IMAGE_MODULE || cl_plan_has(plan, CL_FIELD_IMAGE_DIGEST))
        return 0; /* an image has its own */
    plan->image_digest = cl_arena_printf(arena, "sha256:%s", digest->hex);
    if (plan->image_digest == NULL)
        return cl_fail_memory(err);
    cl_plan_mark(plan, CL_FIELD_IMAGE_DIGEST);
    return 0;
}

/* Whether it is a component shows now. One has the engine's WASI, which waits for whatever its
 * guest waits for: it shares its worker with nobody. */
static int take_kind(struct cl_plan *plan, int file, int model_is_asked_for, struct cl_error *err)
{
    const int kind = cl_module_kind_read(file);

    if (kind < 0)
        return cl_fail(err, kind, "read %.200s", plan->image);
    if (kind != CL_MODULE_COMPONENT)
        return 0;
    if (model_is_asked_for && plan->wasm_model == CL_WASM_COROUTINE)
        return cl_refuse(err, EINVAL,
                         "wasm_model: coroutine: a component (WASI 0.2) has a worker of its own; "
                         "say process");
    if (plan->wasm_engine == CL_WASM_WASMEDGE)
        return cl_refuse(err, ENOTSUP,
                         "wasm_engine: wasmedge: a component (WASI 0.2) is run by wasmtime alone");
    plan->image_component = 1;
    plan->wasm_model = CL_WASM_PROCESS;
    plan->shares_worker = 0;
    cl_plan_mark(plan, CL_FIELD_IMAGE_COMPONENT);
    return 0;
}

static enum cl_module_use use_of(const struct cl_plan *plan)
{
    if (plan->image_component)
        return CL_MODULE_AS_COMPONENT;
    return plan->wasm_model == CL_WASM_COROUTINE ? CL_MODULE_IN_TURNS : CL_MODULE_ALONE;
}

static int compile(struct cl_plan *plan, int model_is_asked_for, struct cl_arena *arena,
                   struct cl_module *ret, struct cl_error *err)
{
    CL_CLEANUP_MODULE struct cl_module module = CL_MODULE_INIT;
    const char *name;
    CL_CLEANUP_FD int file = open_source(plan, arena, &name, err);
    int r = file < 0 ? file : take_kind(plan, file, model_is_asked_for, err);

    if (r < 0)
        return r;
    const struct cl_module_source source = {
        .fd = file,
        .name = name,
        .tenant = plan->tenant,
        .use = use_of(plan),
    };
    r = plan->wasm_engine == CL_WASM_WASMEDGE ? cl_module_copy(&source, &module, err)
                                              : cl_module_compile(&source, &module, err);
    if (r == 0)
        r = set_digest(plan, arena, &module.digest, err);
    if (r < 0)
        return r;
    *ret = module;
    module = CL_MODULE_INIT;
    return 0;
}

int cl_run_module_compile(struct cl_plan *plan, int model_is_asked_for, struct cl_arena *arena,
                          struct cl_module *ret, struct cl_error *err)
{
    if (!cl_plan_has_module(plan) || plan->image_kind == CL_IMAGE_MODULES)
        return 0;
    int r = compile(plan, model_is_asked_for, arena, ret, err);
    return r < 0 && plan->image_kind != CL_IMAGE_MODULE
               ? cl_prefix(err, "image %.200s", plan->image)
               : r;
}
