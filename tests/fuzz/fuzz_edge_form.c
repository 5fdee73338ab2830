/* fuzz_edge_form.c - any bytes as a module for WasmEdge: the look at them ends, within them, and
 * what it refuses it says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wasmedge/wasmedge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of just its size, so that what is read behind it is seen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_edge_form form = {0};
    struct cl_error err = {0};
    uint8_t *bytes = malloc(size);

    CL_ASSERT(bytes != NULL);
    memcpy(bytes, data, size);
    int r = cl_edge_look(bytes, size, &form, &err);
    CL_ASSERT(r == 0 ? size >= 8 && err.msg[0] == '\0'
                     : r == -EINVAL && err.msg[0] != '\0' && form.memory_pages == 0);
    free(bytes);
    return 0;
}
