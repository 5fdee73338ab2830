/* guess.h - the word that somebody may have meant.
 *
 * Words of more than 48 bytes are never near anything. All texts are borrowed.
 */
#ifndef CL_BASE_GUESS_H
#define CL_BASE_GUESS_H

#include "base/defs.h"

struct cl_guess {
    const char *best; /* NULL: nothing is near */
    size_t distance;
};

/* Takes CANDIDATE as the guess for WORD when it is nearer than what GUESS holds.
 * Near is: at most two letters added, left out, changed or swapped, and no more than half of them.
 */
void cl_guess_try(struct cl_guess *guess, const char *word, const char *candidate);

/* As above, and CANDIDATE is also near, but less so, when one of the two begins with the
 * other: "mem" and "memory", "cpu-limit" and "cpu". */
void cl_guess_try_start(struct cl_guess *guess, const char *word, const char *candidate);

#endif
