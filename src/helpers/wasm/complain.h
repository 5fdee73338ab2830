/* complain.h - what the engine says of a module, as our message. */
#ifndef CL_HELPERS_WASM_COMPLAIN_H
#define CL_HELPERS_WASM_COMPLAIN_H

#include "base/error.h"

/* "NAME: at 0x1f: TEXT": the place is the last that TEXT names ("at offset 31", "at offset 0x1f"),
 * and comes first, since TEXT may be longer than a message. Nothing in the message steers a
 * terminal. Returns -EINVAL. */
int cl_wasm_complain(const char *name, const char *text, struct cl_error *err);

#endif
