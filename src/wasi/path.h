/* path.h - a guest's path: taken from its memory, and resolved beneath a directory.
 *
 * It is walked name by name (beneath.h): neither "..", nor a link, nor a rename at the same time
 * leads out of the directory, and the guest is told NOTCAPABLE where one would. What is done with a
 * name is done in a directory that was opened so, with one name and no slash before it.
 */
#ifndef CL_WASI_PATH_H
#define CL_WASI_PATH_H

#include <fcntl.h>

#include "wasi/state.h"

/* Copies LENGTH bytes at POINTER into the call's path WHICH (0 or 1): FAULT, NAMETOOLONG from
 * PATH_MAX on with its NUL, INVAL with a NUL inside, NOENT for none. */
uint32_t cl_wasi_take_path(struct cl_wasi *wasi, const struct cl_wasi_memory *memory, size_t which,
                           const uint64_t pointer_and_length[2]);

/* Opens PATH beneath DIRECTORY; FLAGS are open(2)'s, O_CLOEXEC is added. */
uint32_t cl_wasi_open_beneath(int directory, const char *path, int flags, int *ret_fd);

/* Of a call's lookupflags: O_NOFOLLOW or 0; INVAL. */
uint32_t cl_wasi_lookup(uint64_t lookupflags, int *ret_flags);

/* A directory that was O_PATH can be listed and synchronized from then on. */
uint32_t cl_wasi_open_for_reading(struct cl_wasi_descriptor *directory);

/* The directory that a path's last name is in, and that name: with a slash at its end where the
 * path had one. */
struct cl_wasi_place {
    int directory; /* borrowed, or: */
    int opened;    /* owned, else -1 */
    const char *name;
};
#define CL_WASI_NO_PLACE                                                                           \
    {                                                                                              \
        .directory = -1, .opened = -1                                                              \
    }
void cl_wasi_place_done(struct cl_wasi_place *place);
#define CL_CLEANUP_PLACE CL_CLEANUP(cl_wasi_place_done)

/* Finds PATH's place beneath DIRECTORY, and cuts PATH for that. A last "." or ".." is no name: if
 * it is there, IF_NO_NAME. */
uint32_t cl_wasi_place_open(int directory, char *path, uint32_t if_no_name,
                            struct cl_wasi_place *ret);
/* The same for what looks at the name: to the kernel "link/" there is where the link leads, so
 * that it is no name either. */
uint32_t cl_wasi_place_open_plain(int directory, char *path, uint32_t if_no_name,
                                  struct cl_wasi_place *ret);

#endif
