/* The engine is made before the jail, where it reads what the processor can do and installs its
 * signal handlers; the threads in it, when nothing of the host is left but the filter to come; the
 * module is looked at when the filter stands. The code never becomes executable here. */
#include "helpers/wasm/compile.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/common/process.h"
#include "helpers/wasm/complain.h"
#include "helpers/wasm/engine.h"
#include "oci/module_kind.h"
#include "policy/wasm.h"

enum { MAX_TEXT = 4096 };

/* --- ends ---------------------------------------------------------------- */

/* Threads may die together: each tells, and the first line is the one that counts. */
static void died(void *context, enum cl_engine_death why, const char *text, size_t size)
{
    const struct cl_compile_job *job = context;
    struct cl_error err = {0};

    if (why == CL_ENGINE_OUT_OF_MEMORY)
        (void)cl_refuse(&err, ENOMEM, "%.200s: takes too much memory to compile", job->name);
    else
        (void)cl_refuse(&err, EIO, "%.200s: the compiler failed: %.*s", job->name,
                        (int)cl_min_u64(size, CL_ERROR_MSG_SIZE), text);
    cl_process_end(-err.code, &err);
}

/* --- stages --------------------------------------------------------------- */

void cl_compile_prepare(struct cl_compile_job *job)
{
    cl_engine_begin(died, job);
    wasm_config_t *config = wasm_config_new();
    cl_wasm_configure(config, job->in_turns);
    /* The worker of modules has no components in it, and takes nothing that allows them. */
    wasmtime_config_wasm_component_model_set(config, job->is_component != 0);
    job->engine = wasm_engine_new_with_config(config);
}

enum { MMAP_FROM = 4 << 20 };

/* malloc is told what it would else read from files, which would be the end here: how many arenas
 * it may make (the number of processors), and whether an arena may shrink (vm.overcommit_memory),
 * which none does below the threshold. It is advice, and the process short. */
static void set_up_malloc(size_t threads)
{
    (void)mallopt(M_ARENA_MAX, (int)threads + 1);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_FROM); /* the other threshold has fixed this one, low */
}

int cl_compile_start_threads(void *context, CL_UNUSED struct cl_error *err)
{
    const struct cl_compile_job *job = context;

    set_up_malloc(job->threads);
    (void)cl_engine_start(job->threads); /* with fewer it takes longer */
    return 0;
}

static int map_module(const struct cl_compile_job *job, struct cl_engine_bytes *ret,
                      struct cl_error *err)
{
    off_t size = cl_sys_lseek(job->input, 0, SEEK_END);

    if (size < 0)
        return cl_fail(err, (int)size, "%.200s", job->name);
    if (size > (off_t)CL_WASM_MODULE_MIB << 20)
        return cl_refuse(err, EFBIG, "%.200s is larger than %d MiB", job->name, CL_WASM_MODULE_MIB);
    *ret = (struct cl_engine_bytes){"", 0};
    if (size == 0)
        return 0;
    void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, job->input, 0);
    if (data == MAP_FAILED)
        return cl_fail(err, errno, "map %.200s", job->name);
    *ret = (struct cl_engine_bytes){data, (size_t)size};
    return 0;
}

/* The caller has looked, too: what is compiled is what was asked for. */
static int check_kind(const struct cl_compile_job *job, const struct cl_engine_bytes *module,
                      struct cl_error *err)
{
    const enum cl_module_kind kind = cl_module_kind_of(module->data, module->size);

    if (kind == CL_MODULE_NONE)
        return cl_refuse(err, EINVAL,
                         "%.200s: at 0x0: this is no WebAssembly, which begins with \\0asm",
                         job->name);
    if ((kind == CL_MODULE_COMPONENT) != (job->is_component != 0))
        return cl_refuse(err, EINVAL, "%.200s: at 0x4: this is %s, and was taken for %s", job->name,
                         job->is_component ? "a module" : "a component",
                         job->is_component ? "a component" : "a module");
    return 0;
}

int cl_compile_module(const struct cl_compile_job *job, struct cl_error *err)
{
    struct cl_engine_bytes module;
    struct cl_engine_bytes code;
    char text[MAX_TEXT];
    int r = map_module(job, &module, err);

    if (r == 0)
        r = check_kind(job, &module, err);
    if (r < 0)
        return r;
    if (cl_engine_compile(job->engine, &module, job->is_component, &code, text, sizeof(text)) < 0)
        return cl_wasm_complain(job->name, text, err);
    r = cl_write_all(job->output, code.data, code.size);
    return r < 0 ? cl_fail(err, r, "write what %.200s was compiled to", job->name) : 0;
}
