/* key.h - what a compiled module is called in the cache: a digest of all that decides whether it
 * may be loaded, here and in place of that module.
 *
 * These are the module's bytes; the engine's version and the settings that are in the code
 * (policy/wasm.def); the processor's features, which the compiler uses as it finds them. The engine
 * checks the last three again when it loads, so a mistake here is an error and no crash.
 */
#ifndef CL_MODULE_KEY_H
#define CL_MODULE_KEY_H

#include "oci/digest.h"

struct cl_module_key {
    char hex[CL_SHA256_HEX_SIZE];
};

/* IN_TURNS: of the code for that (module.h). */
void cl_module_key_of(const struct cl_digest *module, int in_turns, struct cl_module_key *ret);

#endif
