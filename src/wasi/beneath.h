/* beneath.h - opens a path that a guest names, beneath a directory and nowhere else.
 *
 * Name by name: each is opened in the directory before it and never as a link; links are read and
 * walked in their place. An absolute link, and a ".." that leads above the directory, are refused.
 * So a rename at the same time leads nowhere that the walk didn't see: a ".." goes back to the
 * name that it came by, and is looked up again from the directory.
 *
 * openat2(2) would do it in one call. But its mode lies in memory, where no system call filter can
 * read it, and under ours no process may make a file that is set-uid: on a volume it would be that
 * for the host's users.
 */
#ifndef CL_WASI_BENEATH_H
#define CL_WASI_BENEATH_H

#include <sys/types.h>

/* FLAGS are open(2)'s, O_CLOEXEC is added; MODE is for O_CREAT. A descriptor, or -errno: -EXDEV
 * where PATH leads out, otherwise openat's. */
int cl_beneath_open(int directory, const char *path, int flags, mode_t mode);

#endif
