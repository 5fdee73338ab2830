/* keys.h - the keys that let go of an attached terminal, found in what is typed: as Docker spells
 * them, "ctrl-p,ctrl-q".
 */
#ifndef CL_SANDBOX_KEYS_H
#define CL_SANDBOX_KEYS_H

#include "base/error.h"

enum { CL_KEYS_MOST = 16 };

struct cl_keys {
    char bytes[CL_KEYS_MOST];
    size_t count;
    size_t held; /* of them have been typed, and are passed on when another key follows */
};

/* One key after the other, with commas between them: a character, or ctrl- with a letter or one of
 * @ [ \ ] ^ _. */
int cl_keys_parse(const char *text, struct cl_keys *ret, struct cl_error *err);

/* Takes SIZE bytes that were typed, in DATA, which has room for CL_KEYS_MOST more. Returns how many
 * are to be passed on, in DATA. *RET_TYPED: the keys came, and what follows them is gone. */
size_t cl_keys_filter(struct cl_keys *keys, char *data, size_t size, int *ret_typed);

#endif
