/* service.h - the one loop of cloister-fetch: requests come in, exchanges go on, reports go out,
 * until the core closes its end. */
#ifndef CL_HELPERS_FETCH_SERVICE_H
#define CL_HELPERS_FETCH_SERVICE_H

#include "base/error.h"

enum { CL_SERVICE_REQUESTS = 64 };

/* Serves the core on the socket FD. 0: the core is done. HURRY divides every wait. */
int cl_service_run(int fd, unsigned int hurry, struct cl_error *err);

#endif
