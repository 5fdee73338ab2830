/* follow.h - the log of a detached sandbox as it is written, until the sandbox has ended: what
 * wakes who reads it. The reading is log.h's, and its own affair: nobody waits for it.
 */
#ifndef CL_SANDBOX_FOLLOW_H
#define CL_SANDBOX_FOLLOW_H

#include "sandbox/known.h"
#include "sandbox/log.h"

struct cl_follow {
    int changes;    /* can be read when the log's files have changed */
    int supervisor; /* can be read when the sandbox has ended; -1: it has */
};
#define CL_FOLLOW_INIT ((struct cl_follow){-1, -1})
#define CL_CLEANUP_FOLLOW CL_CLEANUP(cl_follow_done)

/* Of KNOWN, which was alive when it was found. What is written from now on wakes; what READER finds
 * after this is all that came before. */
int cl_follow_start(const struct cl_known *known, struct cl_follow *ret, struct cl_error *err);
/* Takes the changes so far, and has READER look for new files. */
int cl_follow_take(const struct cl_follow *follow, struct cl_log_reader *reader,
                   struct cl_error *err);
void cl_follow_done(struct cl_follow *follow);

#endif
