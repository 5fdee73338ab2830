/* How a program begins that will be a component. Debian's own beginning has every exported function
 * construct and destroy what is global, and the adapter for WASI preview 1 takes pages that
 * Debian's malloc believes to be its own, unless it is given memory by such a function. */
#include <stdlib.h>

void __wasm_call_ctors(void);
int __main_void(void);

__attribute__((export_name("_start"))) void _start(void)
{
    __wasm_call_ctors();
    exit(__main_void());
}

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                                size_t align, size_t size)
{
    (void)old_size;
    return old == NULL ? aligned_alloc(align, (size + align - 1) / align * align)
                       : realloc(old, size);
}
