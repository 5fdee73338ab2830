/* The engine of engine.h by WasmEdge: an interpreter, in a library that a user has installed.
 *
 * There is no compiler that has looked at the module before: its own bytes meet the library. So
 * nothing of them is read before the guest's process has put on its filter (guest.c), and the
 * process from which those of many guests are forked never reads any. What a program is here is
 * its bytes, mapped.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "engine/wasmedge/wasmedge.h"

int cl_engine_new(CL_UNUSED const struct cl_engine_pool *pool,
                  CL_UNUSED struct cl_engine **ret_engine, struct cl_error *err)
{
    return cl_refuse(err, ENOTSUP,
                     "WasmEdge can't have guests take turns: each needs a process (--wasm-model "
                     "process)");
}

int cl_engine_new_alone(int in_turns, struct cl_engine **ret_engine, struct cl_error *err)
{
    if (in_turns)
        return cl_engine_new(NULL, ret_engine, err);
    struct cl_engine *engine = cl_calloc(1, sizeof(*engine));
    if (engine == NULL)
        return cl_fail_memory(err);
    int r = cl_edge_load(CL_EDGE_LIBRARY, &engine->edge, err);
    if (r < 0)
        free(engine);
    else
        *ret_engine = engine;
    return r;
}

void cl_engine_free(struct cl_engine *engine)
{
    if (engine == NULL)
        return;
    cl_edge_unload(&engine->edge);
    free(engine);
}

void cl_engine_tick(CL_UNUSED struct cl_engine *engine)
{
}

/* --- programs ------------------------------------------------------------------------------ */

static int map(struct cl_program *program, int module, struct cl_error *err)
{
    struct stat file;
    int r = cl_sys_fstat(module, &file);

    if (r < 0)
        return cl_fail(err, r, "look at the module");
    if (!S_ISREG(file.st_mode) || file.st_size <= 0 || (uint64_t)file.st_size > UINT32_MAX)
        return cl_refuse(err, ENOEXEC, "the module is no file, an empty one, or too large");
    void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, module, 0);
    if (bytes == MAP_FAILED)
        return cl_fail(err, -errno, "map the module");
    program->bytes = bytes;
    program->size = (size_t)file.st_size;
    return 0;
}

int cl_program_new(struct cl_engine *engine, int module, struct cl_program **ret_program,
                   struct cl_error *err)
{
    struct cl_program *program = cl_calloc(1, sizeof(*program));

    if (program == NULL)
        return cl_fail_memory(err);
    program->engine = engine;
    int r = map(program, module, err);
    if (r < 0)
        cl_program_free(program);
    else
        *ret_program = program;
    return r;
}

int cl_program_file(CL_UNUSED const struct cl_program *program)
{
    return -1;
}

void cl_program_free(struct cl_program *program)
{
    if (program == NULL)
        return;
    if (program->bytes != NULL)
        (void)munmap(program->bytes, program->size); /* it was ours */
    free(program);
}
