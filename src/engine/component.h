/* component.h - a WebAssembly component in this process, to its end: its code, limits, WASI 0.2.
 *
 * Purpose: what the worker of components (cmd/cloister-wasm-component) needs of a WebAssembly
 * engine, as engine.h is for that of modules. The engine's own WASI is in it, which speaks to the
 * kernel by itself: what a component can reach is what the process can, whose root directory,
 * descriptors 0 to 2 and network are the guest's.
 *
 * Process: installs handlers as engine.h's. One thread, and one more for the names of hosts where
 * there is a network. Nothing is ever freed: the process ends with its guest.
 */
#ifndef CL_ENGINE_COMPONENT_H
#define CL_ENGINE_COMPONENT_H

#include "engine/engine.h"

struct cl_component_world {
    const char *const *argv; /* both end with NULL, and may go when the guest is made */
    const char *const *envp;
    int has_network;
    struct cl_guest_limits limits;
};

struct cl_component;

/* Maps the compiled component behind the descriptor CODE (borrowed), and makes a guest of it that
 * has WORLD. -ENOEXEC: it isn't of this engine's version or settings; -EINVAL: it imports what
 * isn't there, or is no command, or its world isn't in UTF-8. Nothing of it runs yet. */
int cl_component_new(int code, const struct cl_component_world *world, struct cl_component **ret,
                     struct cl_error *err);

/* Runs it to its end, once. 0, and *RET_END is what became of it; -EINVAL: it wants more than its
 * limits. */
int cl_component_run(struct cl_component *component, struct cl_guest_end *ret_end,
                     struct cl_error *err);

#endif
