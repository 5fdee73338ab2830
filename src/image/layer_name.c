#include "image/layer_name.h"

#include <stdio.h>
#include <string.h>

#include "base/defs.h"

int cl_layer_name_is_valid(const char *name)
{
    const size_t size = strspn(name, "0123456789");

    return size > 0 && size <= CL_LAYER_NAME_MAX && name[size] == '\0';
}

const char *cl_layer_tree(const char *name, char ret[CL_LAYER_TREE_SIZE])
{
    CL_ASSERT(cl_layer_name_is_valid(name));
    (void)snprintf(ret, CL_LAYER_TREE_SIZE, "%s/tree", name);
    return ret;
}
