/* streams.h - files in place of the caller's standard descriptors (run --stdin, --stdout and
 * --stderr). */
#ifndef CL_CMD_CLOISTER_STREAMS_H
#define CL_CMD_CLOISTER_STREAMS_H

#include "cmd/cloister/run_options.h"

/* -1: none is named. */
struct cl_streams {
    int fds[3];
};
#define CL_STREAMS_INIT ((struct cl_streams){{-1, -1, -1}})
#define CL_CLEANUP_STREAMS CL_CLEANUP(cl_streams_done)

/* Opens those that REQUEST names. One path named for both output and error is opened once. */
int cl_streams_open(const struct cl_run_request *request, struct cl_streams *ret,
                    struct cl_error *err);
void cl_streams_done(struct cl_streams *streams);

#endif
