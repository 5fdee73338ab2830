/* complaint.h - what a helper writes on its descriptor 2: a line that says why it failed.
 *
 * It goes into a file of memory of a fixed size and is made printable when it is read. Never to
 * the caller's own standard error: a terminal there can be read as well as written, takes escape
 * sequences, and a log can be cut off, by whoever took the helper over.
 */
#ifndef CL_IMAGE_COMPLAINT_H
#define CL_IMAGE_COMPLAINT_H

#include "base/error.h"

enum { CL_COMPLAINT_SIZE = 512 };

/* A new file for it, the caller's to close. */
int cl_complaint_file(struct cl_error *err);

/* The line that FILE has; "" when there is none. */
void cl_complaint_read(int file, char ret[CL_COMPLAINT_SIZE]);

#endif
