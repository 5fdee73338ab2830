/* lines.h - the kernel's small text files, a line at a time: /proc/self/cgroup and the
 * key-value files of cgroups.
 *
 * They are read through a window on the stack, so that their size does
 * not matter; a line that does not fit in the window is an error and never cut.
 * Owner: whoever holds the struct; nothing is allocated, the descriptor is borrowed.
 */
#ifndef CL_LIMITS_LINES_H
#define CL_LIMITS_LINES_H

#include "base/defs.h"

enum { CL_LINES_WINDOW = 4096 };

struct cl_lines {
    int fd;
    int ended;
    size_t start; /* of what is not yet given out */
    size_t end;
    char window[CL_LINES_WINDOW + 1];
};

void cl_lines_init(struct cl_lines *ret, int fd);

/* 1 and the next line without its newline, NUL-terminated and good until the next
 * call; 0 at the end; -ENAMETOOLONG for a line larger than the window; -EBADMSG for
 * one with a NUL byte; else read(2)'s -errno. A last line may lack its newline. */
int cl_lines_next(struct cl_lines *lines, const char **ret);

/* From FD's beginning again: 0 or -errno. */
int cl_lines_rewind(int fd);

/* One "key value" line of a flat keyed file (the kernel's cgroup-v2.rst, "Format"). */
struct cl_keyed {
    const char *key;
    uint64_t value;
    int found;
};

/* Fills those of KEYS that FD's text has. A value that is no number, or too large for
 * one, stays not found. Returns how many were found or -errno. */
int cl_lines_find(int fd, struct cl_keyed *keys, size_t count);

/* The sum of KEY=number over all lines of a nested keyed file (io.stat): 0, -ENODATA
 * where no line has it, -ERANGE, -EBADMSG, or -errno. A key that a line names twice
 * counts twice. */
int cl_lines_sum(int fd, const char *key, uint64_t *ret);

/* The one decimal number that FD's text is, with its newline; "max" is -ENODATA. */
int cl_lines_number(int fd, uint64_t *ret);

#endif
