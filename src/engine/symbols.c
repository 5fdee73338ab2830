/* Where the engine asks for a function by its name, there is one that it finds.
 *
 * Rust's crate for random numbers looks for getrandom(2) among the symbols of shared libraries; a
 * static program has none, and the crate would read /dev/urandom then, which isn't there in a
 * worker's root. The linker leads its calls of dlsym here (-Wl,--wrap=dlsym). */
#include <string.h>
#include <sys/random.h>

#include "base/defs.h"

void *__wrap_dlsym(void *handle, const char *name);

void *__wrap_dlsym(CL_UNUSED void *handle, const char *name)
{
    ssize_t (*function)(void *, size_t, unsigned int) = getrandom;
    void *found = NULL;

    if (strcmp(name, "getrandom") == 0)
        memcpy(&found, &function, sizeof(found)); /* no cast leads from the one to the other */
    return found;
}
