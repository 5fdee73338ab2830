/* dir.h - the entries of a directory, without the C library's stream, and directories on the way
 * to one: nothing is allocated. */
#ifndef CL_BASE_DIR_H
#define CL_BASE_DIR_H

#include <stdint.h>
#include <sys/types.h>

struct cl_dir {
    int fd; /* open for reading; the caller's */
    ssize_t got;
    ssize_t at;
    _Alignas(uint64_t) char block[2048];
};

/* Begins where FD stands. */
void cl_dir_start(struct cl_dir *dir, int fd);

/* The next entry but "." and "..": 1, 0 at the end, or -errno. *RET_NAME lives until the
 * next call; *RET_TYPE (may be NULL) is a DT_* of dirent.h. */
int cl_dir_next(struct cl_dir *dir, const char **ret_name, unsigned char *ret_type);

/* Makes the directory PATH, which is absolute, with MODE, and what is missing above it with
 * PARENTS. 0, also where it is there, or -errno. */
int cl_dir_make_path(const char *path, mode_t parents, mode_t mode);

#endif
