/* head.h - the head of an answer: its status and the few headers that are looked at.
 *
 * Filled line by line as curl hands them on; a new status line (an answer "103 Early Hints"
 * has one, and then the real one) begins anew, but the bound on all lines goes on. Where a
 * header that must stand once stands twice, the first one counts.
 */
#ifndef CL_HELPERS_FETCH_HEAD_H
#define CL_HELPERS_FETCH_HEAD_H

#include "base/arena.h"
#include "base/error.h"
#include "helpers/fetch/auth_header.h"

enum {
    CL_HEAD_MAX = 64 << 10, /* bytes of all lines */
    CL_HEAD_MAX_LINES = 256,
};

/* Texts are NULL where the answer lacks them. */
struct cl_head {
    struct cl_arena arena;
    size_t bytes;
    unsigned int lines;
    int complete; /* what follows are trailers, which nobody looks at */
    unsigned int status;
    const char *content_type; /* without parameters */
    const char *content_range;
    const char *content_length;
    const char *location;
    const char *retry_after;
    struct cl_challenges challenges;
    int unreadable_challenge; /* a WWW-Authenticate that is none */
};

void cl_head_init(struct cl_head *ret);
void cl_head_done(struct cl_head *head);

/* One line, its end included. 1: it was the last one before the body. -EFBIG: a flood. */
int cl_head_add(struct cl_head *head, const char *line, size_t size, struct cl_error *err);

/* The length the answer's body claims. -1 where it doesn't. */
int64_t cl_head_length(const struct cl_head *head);

#endif
