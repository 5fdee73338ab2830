#include "sandbox/arguments.h"

#include <string.h>

struct cl_arguments cl_arguments_find(int argc, char *const argv[])
{
    char *first = NULL;
    char *last = NULL;

    for (int i = 0; i < argc; i++) {
        char *start = argv[i];
        char *end = start + strlen(start);

        first = first == NULL || (uintptr_t)start < (uintptr_t)first ? start : first;
        last = last == NULL || (uintptr_t)end > (uintptr_t)last ? end : last;
    }
    if (first == NULL)
        return (struct cl_arguments){0};
    return (struct cl_arguments){first, (size_t)((uintptr_t)last - (uintptr_t)first)};
}
