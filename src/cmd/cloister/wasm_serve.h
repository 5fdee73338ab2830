/* wasm_serve.h - `cloister wasm serve`: a worker that stays, for all modules of a tenant.
 */
#ifndef CL_CMD_CLOISTER_WASM_SERVE_H
#define CL_CMD_CLOISTER_WASM_SERVE_H

#include "cmd/cloister/run_options.h"

/* As REQUEST's flags say, until it is ended; ARGV is main's, with the program's name before it.
 * The status to exit with, or -errno. */
int cl_wasm_serve(struct cl_run_request *request, int argc, char *const argv[],
                  struct cl_error *err);

#endif
