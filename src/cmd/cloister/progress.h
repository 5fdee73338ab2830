/* progress.h - a pull for people to look at: a bar for each layer on a terminal, plain lines or
 * JSON events elsewhere. All of it goes to standard error, but events to standard output.
 */
#ifndef CL_CMD_CLOISTER_PROGRESS_H
#define CL_CMD_CLOISTER_PROGRESS_H

#include "base/buf.h"
#include "image/pull.h"

enum cl_progress_how {
    CL_PROGRESS_AUTO, /* bars on a terminal, else lines */
    CL_PROGRESS_NONE,
    CL_PROGRESS_JSON,
};

enum { CL_PROGRESS_LAYERS = 128 };

struct cl_progress {
    const char *name; /* of the image */
    enum cl_progress_how how;
    int is_terminal;
    uint64_t started_ns;
    size_t drawn; /* lines of bars on the terminal */
    enum cl_pull_state states[CL_PROGRESS_LAYERS];
};

void cl_progress_init(struct cl_progress *ret, const char *name, enum cl_progress_how how);

/* As cl_pull_how's show; CONTEXT is the struct. */
void cl_progress_show(void *context, const struct cl_pull_view *view);

/* The last line. */
void cl_progress_end(struct cl_progress *progress, const struct cl_pulled *pulled);

#endif
