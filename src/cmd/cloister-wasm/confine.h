/* confine.h - the worker gives up the system calls that no guest needs. */
#ifndef CL_CMD_CLOISTER_WASM_CONFINE_H
#define CL_CMD_CLOISTER_WASM_CONFINE_H

#include "base/error.h"

/* For good. What is not on the list (policy/syscalls.tbl, section `guest`) ends the process. */
int cl_confine(struct cl_error *err);

#endif
