/* wasm: modules are compiled before anybody runs them, and run by a worker that stays. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cloister/command.h"
#include "cmd/cloister/run_image.h"
#include "cmd/cloister/run_plan.h"
#include "cmd/cloister/run_rows.h"
#include "cmd/cloister/wasm_serve.h"
#include "plan/decide.h"

enum { ARENA_MAX = 64 << 20 };

/* All but the first two are serve's. */
static const struct cl_option options[] = {
    FIELD("tenant", 0, "NAME", "whose code it is: nobody else's runs will find it", TENANT, NULL),
    FIELD("wasm-model", 0, "MODEL", "a process for each module, or coroutine (the default)",
          WASM_MODEL, "coroutine process"),
    FIELD("wasm-engine", 0, "ENGINE", "serve: wasmtime (the default), or wasmedge", WASM_ENGINE,
          "wasmtime wasmedge"),
    TRUE("detach", 'd', "serve: run on when cloister has printed the sandbox's id", DETACH),
    FIELD("guests", 0, "NUMBER", "serve: modules that run at a time (1000)", GUESTS, NULL),
    ADD("volume", 'v', "SRC:DST[:MODE]",
        "serve: show a host directory to all: ro (the default), rw or copy", volume, "@file"),
    ADD("tmpfs", 0, "DST[:LIST]", "serve: a directory that they share; size=SIZE,mode=OCTAL", tmpfs,
        NULL),
    FIELD("memory", 'm', "SIZE", "serve: memory of all together (512MiB)", MEMORY, NULL),
    FIELD("cpus", 0, "NUMBER", "serve: share of a processor, like 0.5", CPUS, NULL),
    FIELD("cpu-time", 0, "TIME", "serve: processor time of all together until the end", CPU_TIME,
          NULL),
    FIELD("timeout", 0, "TIME", "serve: time until the end (none)", TIME, NULL),
    FIELD("disk", 0, "SIZE", "serve: everything that is written, together (256MiB)", DISK, NULL),
    FIELD("open-files", 0, "NUMBER", "serve: open files of all together (8 for each)", OPEN_FILES,
          NULL),
    ADD("label", 'l', "KEY=VALUE", "serve: a note that is kept with the sandbox", label, NULL),
    FIELD("cgroup-manager", 0, "MANAGER",
          "serve: who gives it its cgroup: cgroupfs (the default) or systemd", CGROUP_MANAGER,
          "cgroupfs systemd"),
    TRUE("die-with-parent", 0, "serve: end when the process that started cloister ends",
         DIE_WITH_PARENT),
    ADD("without", 0, "LAYER", "serve: accept that a layer is missing on this host", without,
        LAYERS),
    CL_OPTION_HELP,
};

/* --- compile ------------------------------------------------------------------------------- */

static int print(const struct cl_module *module, const char *name, uint64_t begun_ns,
                 struct cl_buf *out, struct cl_error *err)
{
    const uint64_t ms = (cl_clock_boot_ns() - begun_ns) / CL_NS_PER_MS;
    int r = module->from_cache
                ? cl_buf_printf(out, "sha256:%s  %s: was compiled\n", module->digest.hex, name)
                : cl_buf_printf(out, "sha256:%s  %s: compiled in %u.%03u s\n", module->digest.hex,
                                name, (unsigned int)(ms / 1000), (unsigned int)(ms % 1000));

    return r < 0 ? cl_fail_memory(err) : 0;
}

/* What `run` of it would, up to the sandbox; but nothing is pulled, as a file whose name doesn't
 * end in .wasm is more likely meant. */
static int compile(const struct cl_plan *flags, const char *name, struct cl_buf *out,
                   struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    CL_CLEANUP_RUN_HELD struct cl_run_held held = CL_RUN_HELD_INIT;
    struct cl_run_request request = CL_RUN_REQUEST_INIT(&arena);
    struct cl_plan plan = {0};
    const uint64_t begun = cl_clock_boot_ns();

    request.pull = CL_PULL_NEVER;
    request.flags = *flags;
    request.flags.image = name;
    cl_plan_mark(&request.flags, CL_FIELD_IMAGE);
    int r = cl_run_plan(&request, NULL, &plan, &held, err);
    if (r < 0)
        return r == -ENOENT && cl_image_is_name(name)
                   ? cl_hint(err, "a file that is a module has a name in .wasm")
                   : r;
    if (held.module.fd < 0)
        return cl_refuse(err, EINVAL,
                         "\"%.200s\": what it runs is no WebAssembly module, whose name ends in "
                         ".wasm",
                         name);
    return print(&held.module, name, begun, out, err);
}

static int compile_all(const struct cl_run_request *request, int count, char *const paths[],
                       struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(CL_OUTPUT_MAX);
    const struct cl_plan *flags = &request->flags;
    int r = 0;

    if (count == 0)
        return cl_refuse(err, EINVAL, "wasm compile: no file or image named");
    if ((flags->set & ~(1ULL << CL_FIELD_TENANT | 1ULL << CL_FIELD_WASM_MODEL)) != 0)
        return cl_refuse(err, EINVAL,
                         "wasm compile takes --tenant and --wasm-model; the others are serve's");
    if (cl_plan_has(flags, CL_FIELD_TENANT))
        r = cl_plan_check_text(CL_FIELD_TENANT, flags->tenant, err);
    if (r < 0)
        return cl_prefix(err, "--tenant");
    for (int i = 0; r == 0 && i < count; i++)
        r = compile(flags, paths[i], &out, err);
    int printed = cl_print(&out, r < 0 ? &(struct cl_error){0} : err);
    return r < 0 ? r : printed;
}

/* --- the command --------------------------------------------------------------------------- */

static int run_wasm(const struct cl_command *self, int argc, char *const argv[],
                    struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_MAX);
    struct cl_run_request request = CL_RUN_REQUEST_INIT(&arena);
    int first = cl_command_parse(self, argc, argv, &request, err);

    if (first < 0)
        return first;
    const char *word = first < argc ? argv[first] : "";
    if (strcmp(word, "compile") == 0)
        return compile_all(&request, argc - first - 1, argv + first + 1, err);
    if (strcmp(word, "serve") != 0)
        return cl_refuse(err, EINVAL,
                         "wasm: expected compile or serve, as in: cloister wasm compile FILE.wasm");
    if (first + 1 < argc)
        return cl_refuse(err, EINVAL, "wasm serve takes no arguments, got \"%.100s\"",
                         argv[first + 1]);
    return cl_wasm_serve(&request, argc + 1, argv - 1, err); /* main's: the program's name too */
}

const struct cl_command cl_command_wasm = {
    .name = "wasm",
    .usage = "compile|serve [OPTIONS] [FILE|IMAGE...]",
    .help = "Compile WebAssembly modules ahead of time, or keep a worker for them",
    .run = run_wasm,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "compile serve",
};
