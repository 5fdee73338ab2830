/* still.h - whether the processes of a sandbox stand still, as the host's /proc has them.
 */
#ifndef CL_SANDBOX_STILL_H
#define CL_SANDBOX_STILL_H

#include <stdint.h>

/* Whether every thread of every process below INIT is stopped, traced and stopped, dead, or asleep
 * where nothing interrupts it (proc(5): T, t, X, Z, D): 1, or 0 when one isn't, or -errno. Who
 * comes or goes meanwhile may be missed. */
int cl_still_look(int32_t init);

#endif
