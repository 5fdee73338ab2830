/* module_kind.h - what a file of WebAssembly begins with: "\0asm", a version of 16 bits, and then a
 * layer of 16: 0 is a module, 1 a component (the binary formats of both specifications). */
#ifndef CL_OCI_MODULE_KIND_H
#define CL_OCI_MODULE_KIND_H

#include <string.h>

enum cl_module_kind {
    CL_MODULE_NONE,      /* no WebAssembly */
    CL_MODULE_CORE,      /* a module; and whatever else isn't a component: its reader tells */
    CL_MODULE_COMPONENT, /* one of WASI 0.2 */
};

enum { CL_MODULE_PREAMBLE_SIZE = 8 };

/* Of the first SIZE bytes, which need not be all of the preamble. */
static inline enum cl_module_kind cl_module_kind_of(const void *data, size_t size)
{
    static const char magic[] = {'\0', 'a', 's', 'm'};
    static const char layer[] = {1, 0};

    if (size < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0)
        return CL_MODULE_NONE;
    return size >= CL_MODULE_PREAMBLE_SIZE &&
                   memcmp((const char *)data + 6, layer, sizeof(layer)) == 0
               ? CL_MODULE_COMPONENT
               : CL_MODULE_CORE;
}

#endif
