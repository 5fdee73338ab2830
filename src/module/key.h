/* key.h - what a compiled module is called in the cache: a digest of all that decides whether it
 * may be loaded, here and in place of that module.
 *
 * These are the module's bytes; the engine's version and the settings that are in the code
 * (policy/wasm.def) and which worker loads it; the processor's features, which the compiler uses as
 * it finds them. The engine checks the last three again when it loads, so a mistake here is an
 * error and no crash.
 */
#ifndef CL_MODULE_KEY_H
#define CL_MODULE_KEY_H

#include "oci/digest.h"

struct cl_module_key {
    char hex[CL_SHA256_HEX_SIZE];
};

/* What code is for: its worker (module.h). */
enum cl_module_use { CL_MODULE_ALONE, CL_MODULE_IN_TURNS, CL_MODULE_AS_COMPONENT };

void cl_module_key_of(const struct cl_digest *module, enum cl_module_use use,
                      struct cl_module_key *ret);

#endif
