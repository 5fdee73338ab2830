/* fd.h - descriptors: ownership, whole reads and writes, safe opening of paths.
 *
 * Every descriptor is CLOEXEC from birth. An untrusted path is turned into a
 * descriptor once, by cl_open_in_root, and all later work is on the descriptor.
 */
#ifndef CL_BASE_FD_H
#define CL_BASE_FD_H

#include "base/buf.h"
#include "base/error.h"

/* For CL_CLEANUP: closes *fd when it is >= 0 and sets it to -1. */
void cl_fd_close(int *fd);
#define CL_CLEANUP_FD CL_CLEANUP(cl_fd_close)

/* Closes all descriptors from 3 on but the COUNT that HELD names, in any order; what is below 3
 * there, as -1, names none. 0 or -errno. */
int cl_fd_close_others(const int *held, size_t count);

/* Opens PATH below ROOT as if ROOT were "/": links are followed but can't leave,
 * magic links are refused. PATH may be absolute. FLAGS are open(2)'s. Returns the
 * descriptor or -errno without a message: the caller knows what PATH means. */
int cl_open_in_root(int root, const char *path, int flags);

/* As cl_open_in_root, but any symbolic link on the way is -ELOOP. */
int cl_open_no_links(int root, const char *path, int flags);

/* Refuses what is not a regular file of at most MAX_BYTES; NAME stands in the message. */
int cl_check_regular(int fd, const char *name, uint64_t max_bytes, struct cl_error *err);

/* Opens for reading the file that the O_PATH descriptor FOUND stands for, if it passes
 * cl_check_regular: to open a FIFO blocks, and to open a device can have effects. */
int cl_reopen_regular(int found, const char *name, uint64_t max_bytes, struct cl_error *err);

/* Reads FD to its end into BUF; -EFBIG when that exceeds BUF's cap. WHAT names the
 * source in the message. */
int cl_read_all(int fd, const char *what, struct cl_buf *buf, struct cl_error *err);

/* Writes all SIZE bytes, going on after short writes and EINTR. 0 or -errno. */
int cl_write_all(int fd, const void *data, size_t size);

/* Writes TEXT to the existing file PATH below DIRFD with a single write. */
int cl_write_file(int dirfd, const char *path, const char *text);
/* The same, for PATH on the mount that DIRFD is on: what is mounted over it is -EXDEV. */
int cl_write_file_here(int dirfd, const char *path, const char *text);
/* Makes the file PATH below DIRFD, mode 0644 less the umask, with TEXT; -EEXIST where there is
 * anything, a link too. WHAT is for the message. */
int cl_make_file(int dirfd, const char *path, const char *text, const char *what,
                 struct cl_error *err);

/* A file of memory of SIZE bytes that can't grow, whoever writes to it; SEALS is F_SEAL_SHRINK
 * where it can't shrink either, or 0. NAME is for /proc. A descriptor, or -errno. */
int cl_memory_file(const char *name, size_t size, int seals, struct cl_error *err);

/* A file of memory with SIZE bytes of DATA that nobody can change any more. As above. */
int cl_memory_copy(const char *name, const void *data, size_t size, struct cl_error *err);

/* Has the process open as many as it may: its soft limit is its hard one (getrlimit(2)). Where
 * that can't be it has what it has. */
void cl_fd_raise_limit(void);

/* Makes sure that descriptors 0, 1 and 2 are open (on /dev/null where the caller
 * closed them), so that none of our own ever takes their place. */
int cl_fd_guard_standard(struct cl_error *err);

#endif
