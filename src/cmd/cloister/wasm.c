/* wasm: modules are compiled before anybody runs them. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/run_module.h"
#include "plan/decide.h"

struct context {
    const char *tenant;
};

static int set_tenant(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                      struct cl_error *err)
{
    struct context *context = data;

    context->tenant = value;
    return cl_plan_check_text(CL_FIELD_TENANT, value, err);
}

static const struct cl_option options[] = {
    {"tenant", 0, "NAME", "whose code it is: nobody else's runs will find it", set_tenant, 0, NULL},
    CL_OPTION_HELP,
};

/* Only a name in .wasm is run as a module. */
static int compile(const struct context *context, const char *path, struct cl_buf *out,
                   struct cl_error *err)
{
    CL_CLEANUP_MODULE struct cl_module module = CL_MODULE_INIT;
    const uint64_t begun = cl_clock_boot_ns();

    if (!cl_image_is_module(path))
        return cl_refuse(err, EINVAL, "\"%.200s\": a module's name ends in .wasm", path);
    int r = cl_module_of_file(path, context->tenant, &module, err);
    if (r < 0)
        return r;
    const uint64_t ms = (cl_clock_boot_ns() - begun) / CL_NS_PER_MS;
    r = module.from_cache
            ? cl_buf_printf(out, "sha256:%s  %s: was compiled\n", module.digest.hex, path)
            : cl_buf_printf(out, "sha256:%s  %s: compiled in %u.%03u s\n", module.digest.hex, path,
                            (unsigned int)(ms / 1000), (unsigned int)(ms % 1000));
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int run_wasm(const struct cl_command *self, int argc, char *const argv[],
                    struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(CL_OUTPUT_MAX);
    struct context context = {.tenant = NULL};
    int first = cl_command_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc || strcmp(argv[first], "compile") != 0)
        return cl_refuse(err, EINVAL,
                         "wasm: expected compile, as in: cloister wasm compile FILE.wasm");
    if (first + 1 >= argc)
        return cl_refuse(err, EINVAL, "wasm compile: no file named");
    int r = 0;
    for (int i = first + 1; r == 0 && i < argc; i++)
        r = compile(&context, argv[i], &out, err);
    int printed = cl_print(&out, r < 0 ? &(struct cl_error){0} : err);
    return r < 0 ? r : printed;
}

const struct cl_command cl_command_wasm = {
    .name = "wasm",
    .usage = "compile [OPTIONS] FILE...",
    .help = "Compile WebAssembly modules ahead of time",
    .run = run_wasm,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "compile",
};
