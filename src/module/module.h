/* module.h - WebAssembly modules as code that a worker can map: the core's side of cloister-wasmc.
 *
 * The core reads no WebAssembly. It hashes the module's bytes and looks for what they were compiled
 * to; on a miss it hands the jailed helper a copy that nobody can change, hashed on its way, so
 * that what was hashed is what is compiled, seals what comes back, and keeps it. A hit starts no
 * process.
 *
 * Context: any process of the core with descriptors 0 to 2 open; on a miss blocks for as long as
 * compiling takes, CL_WASM_COMPILER_WAIT_SECONDS at most. Privilege: none needed. A cache that
 * can't be used is done without.
 */
#ifndef CL_MODULE_MODULE_H
#define CL_MODULE_MODULE_H

#include "module/key.h"
#include "oci/digest.h"
#include "oci/module_kind.h"

struct cl_module_source {
    int fd; /* a regular file (cl_follow_regular), read from its start; its offset stays */
    const char *name;       /* as the user wrote it, for messages */
    const char *tenant;     /* whose cache; NULL: who has none */
    enum cl_module_use use; /* code for one guest alone, one of many on a thread, or for WASI 0.2 */
    const char *helper_dir; /* as in cl_helper_find */
    const char *cache_dir;  /* as in cl_plan_cache_open; "": no cache */
};

struct cl_module {
    int fd; /* the code, for reading: the caller's to close; nobody can change it */
    uint64_t size;
    struct cl_digest digest; /* of the module */
    int from_cache;
};
#define CL_MODULE_INIT ((struct cl_module){.fd = -1})

void cl_module_done(struct cl_module *module);
#define CL_CLEANUP_MODULE CL_CLEANUP(cl_module_done)

/* Of FILE, by its first bytes; its offset stays. -errno: it can't be read. */
int cl_module_kind_read(int file);

/* Errors in the module itself are -EINVAL, "NAME: at OFFSET: what is wrong"; -EFBIG: it, or what
 * would be made of it, is too large. */
int cl_module_compile(const struct cl_module_source *source, struct cl_module *ret,
                      struct cl_error *err);
/* For an engine that runs modules as they are: the same, but RET's code is the module's bytes. */
int cl_module_copy(const struct cl_module_source *source, struct cl_module *ret,
                   struct cl_error *err);

#endif
