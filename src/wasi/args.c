/* args.c - the guest's command line and environment. */
#include "wasi/calls.h"

static uint32_t give_sizes(const struct cl_wasi_strings *strings,
                           const struct cl_wasi_memory *memory, const uint64_t *arguments)
{
    uint8_t *count = cl_wasi_at(memory, arguments[0], 4);
    uint8_t *size = cl_wasi_at(memory, arguments[1], 4);

    if (count == NULL || size == NULL)
        return CL_WASI_FAULT;
    cl_wasi_store32(count, strings->count);
    cl_wasi_store32(size, strings->size);
    return CL_WASI_SUCCESS;
}

/* Pointers where the first argument points, the strings where the second does. */
static uint32_t give(const struct cl_wasi_strings *strings, const struct cl_wasi_memory *memory,
                     const uint64_t *arguments)
{
    uint8_t *pointers = cl_wasi_at(memory, arguments[0], 4ULL * strings->count);
    uint8_t *data = cl_wasi_at(memory, arguments[1], strings->size);
    const char *at = strings->data;

    if (pointers == NULL || data == NULL)
        return CL_WASI_FAULT;
    for (uint32_t i = 0; i < strings->count; i++) {
        const size_t offset = (size_t)(at - strings->data);

        cl_wasi_store32(pointers + 4ULL * i, (uint32_t)(arguments[1] + offset));
        at += strlen(at) + 1;
    }
    memcpy(data, strings->data, strings->size);
    return CL_WASI_SUCCESS;
}

/* args_get(argv, argv_buf) */
CL_WASI_CALL(args_get)
{
    return give(&wasi->arguments, memory, arguments);
}

/* args_sizes_get(ret_count, ret_size) */
CL_WASI_CALL(args_sizes_get)
{
    return give_sizes(&wasi->arguments, memory, arguments);
}

/* environ_get(environ, environ_buf) */
CL_WASI_CALL(environ_get)
{
    return give(&wasi->environment, memory, arguments);
}

/* environ_sizes_get(ret_count, ret_size) */
CL_WASI_CALL(environ_sizes_get)
{
    return give_sizes(&wasi->environment, memory, arguments);
}
