/* layer_name.h - what a layer is called in the store: a number, in digits. */
#ifndef CL_IMAGE_LAYER_NAME_H
#define CL_IMAGE_LAYER_NAME_H

/* The one file in the tree of a layer that is a WebAssembly module. */
#define CL_MODULE_FILE "module.wasm"

enum {
    CL_LAYER_NAME_MAX = 20, /* digits */
    CL_LAYER_NAME_SIZE = CL_LAYER_NAME_MAX + 1,
    CL_LAYER_TREE_SIZE = CL_LAYER_NAME_MAX + 6, /* of "<name>/tree" with its NUL */
};

/* Whether NAME can be a layer's: digits, and not too many. */
int cl_layer_name_is_valid(const char *name);

/* "<name>/tree", a layer's root below the store's `layers`; NAME is valid. Returns RET. */
const char *cl_layer_tree(const char *name, char ret[CL_LAYER_TREE_SIZE]);

#endif
