/* progress.h - a pull for people to look at: a line with a bar for each layer on a terminal, plain
 * lines or JSON events elsewhere. All of it goes to standard error, but events to standard output.
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

/* What the image's name was before. */
enum cl_progress_name {
    CL_NAME_ITS, /* its already, or it has none */
    CL_NAME_NEW,
    CL_NAME_ANOTHERS,
};

enum { CL_PROGRESS_LAYERS = CL_MAX_LAYERS };

/* What was shown of a layer last, and how fast it comes. */
struct cl_progress_layer {
    enum cl_pull_state state;
    uint64_t came_bytes; /* when the rate was taken */
    uint64_t taken_ns;
    uint64_t rate_bytes; /* a second; 0: not known */
};

struct cl_progress {
    const char *name; /* of the image */
    enum cl_progress_how how;
    enum cl_progress_name before; /* of an image that was there */
    int only_news;                /* nothing is said of one for which nothing had to be done */
    int is_terminal;              /* that a cursor can be moved on */
    int colour;
    uint64_t started_ns;
    uint64_t shown_ns;
    size_t drawn; /* lines that the next frame goes over */
    struct cl_progress_layer layers[CL_PROGRESS_LAYERS];
    size_t made; /* layers that were not there */
    uint64_t made_bytes;
};

void cl_progress_init(struct cl_progress *ret, const char *name, enum cl_progress_how how);

/* As cl_pull_how's show; CONTEXT is the struct. */
void cl_progress_show(void *context, const struct cl_pull_view *view);

/* Before a pull: so much of the image's file was read. SIZE_BYTES 0: it is not known. */
void cl_progress_read(void *context, uint64_t bytes, uint64_t size_bytes);

/* Before it, too: WHO takes its time to answer. Said on a terminal, where somebody waits. */
void cl_progress_asking(void *context, const char *who);

/* The last line. */
void cl_progress_end(struct cl_progress *progress, const struct cl_pulled *pulled);

#endif
