/* send.h - a tree of files to a stream. */
#ifndef CL_COPY_SEND_H
#define CL_COPY_SEND_H

#include "copy/stream.h"

struct cl_copy_sender {
    struct cl_copy_out *out; /* borrowed */
    /* May be NULL. PATH was left out, for an errno or, 0, for its kind. */
    void (*left_out)(void *context, const char *path, int why);
    void *context;
};

/* Sends what is at PATH, a file or a directory with all that is in it, and END. A link at PATH
 * is followed, none below it. Files are read as far as they went when they were opened; what
 * isn't file, directory or link, and what can't be read, is left out. */
int cl_copy_send(const struct cl_copy_sender *sender, const char *path, struct cl_error *err);

#endif
