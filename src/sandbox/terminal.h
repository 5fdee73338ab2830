/* terminal.h - the caller's terminal while a sandbox has a pty (-t): raw mode and the
 * window's size. Source: termios(3), ioctl_tty(2). */
#ifndef CL_SANDBOX_TERMINAL_H
#define CL_SANDBOX_TERMINAL_H

#include <sys/ioctl.h>
#include <termios.h>

#include "base/error.h"
#include "plan/plan.h"

struct cl_terminal {
    int fd; /* borrowed; -1: not in raw mode */
    struct termios saved;
};
#define CL_TERMINAL_INIT ((struct cl_terminal){.fd = -1})

/* Puts the terminal FD into raw mode until cl_terminal_restore. */
int cl_terminal_make_raw(struct cl_terminal *ret, int fd, struct cl_error *err);
void cl_terminal_restore(struct cl_terminal *terminal);

/* Makes MASTER of a pty, to be the caller's terminal, non-blocking and gives it the size of that.
 * WANTS_INPUT: a second descriptor of it in RET_INPUT (else -1), and standard input, where it is
 * a terminal, becomes raw. */
int cl_terminal_attach(struct cl_terminal *ret, int master, int wants_input, int *ret_input,
                       struct cl_error *err);
/* Says to who reads from the pty behind MASTER that its input has ended. */
void cl_terminal_end_input(int master);

/* The size of the caller's terminal, which may be standard input's alone. */
void cl_terminal_copy_callers_size(int master);
/* That size, or all 0 where the caller has no terminal. */
struct winsize cl_terminal_callers_size(void);
/* The size that PLAN's terminal is made with, for the command may ask before the supervisor has the
 * pty: the caller's, or the usual one where nobody looks at it; all 0 without a terminal. */
struct winsize cl_terminal_first_size(const struct cl_plan *plan);
/* Gives the pty behind MASTER the size of the caller's terminal FD, if that is one. */
void cl_terminal_copy_size(int fd, int master);
/* Has programs on the pty draw anew what they show, as when its size changes. */
void cl_terminal_wake(int pty);

#endif
