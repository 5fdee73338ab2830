/* policy_guess.h - which key of a policy was meant by one that is none. */
#ifndef CL_HELPERS_PLAN_POLICY_GUESS_H
#define CL_HELPERS_PLAN_POLICY_GUESS_H

#include "base/arena.h"

/* The path of a key, in ARENA or static; NULL where nothing is near or memory is out. */
const char *cl_policy_guess(const char *path, struct cl_arena *arena);

#endif
