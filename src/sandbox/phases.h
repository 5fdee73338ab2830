/* phases.h - for the supervisor only: what it does when the sandbox stands, and when its command
 * has ended, in plans that wait or stay (walls/wall.h). */
#ifndef CL_SANDBOX_PHASES_H
#define CL_SANDBOX_PHASES_H

#include "sandbox/supervisor.h"

/* Does what is due, by what the wall's process has received. */
int cl_phases_heed(struct cl_supervisor *supervisor, struct cl_error *err);
/* Whether nothing of that kind is to come any more. */
int cl_phases_are_done(const struct cl_supervisor *supervisor);

#endif
