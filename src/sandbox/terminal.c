#include "sandbox/terminal.h"

#include "base/fd.h"
#include "base/sys.h"

int cl_terminal_make_raw(struct cl_terminal *ret, int fd, struct cl_error *err)
{
    struct termios raw;

    if (tcgetattr(fd, &ret->saved) < 0)
        return cl_fail(err, errno, "read the terminal's settings");
    raw = ret->saved;
    cfmakeraw(&raw);
    if (tcsetattr(fd, TCSANOW, &raw) < 0)
        return cl_fail(err, errno, "put the terminal into raw mode");
    ret->fd = fd;
    return 0;
}

void cl_terminal_restore(struct cl_terminal *terminal)
{
    if (terminal->fd >= 0)
        (void)tcsetattr(terminal->fd, TCSADRAIN, &terminal->saved); /* or it is gone */
    terminal->fd = -1;
}

void cl_terminal_copy_size(int fd, int master)
{
    struct winsize size;

    if (cl_sys_ioctl(fd, TIOCGWINSZ, &size) == 0)
        (void)cl_sys_ioctl(master, TIOCSWINSZ, &size); /* a size is no reason to end */
}

void cl_terminal_wake(int pty)
{
    struct winsize size;

    if (cl_sys_ioctl(pty, TIOCGWINSZ, &size) < 0)
        return;
    size.ws_row++;
    (void)cl_sys_ioctl(pty, TIOCSWINSZ, &size); /* it isn't drawn anew */
    size.ws_row--;
    (void)cl_sys_ioctl(pty, TIOCSWINSZ, &size);
}

static int callers_terminal(void)
{
    return isatty(STDOUT_FILENO) ? STDOUT_FILENO : STDIN_FILENO;
}

void cl_terminal_copy_callers_size(int master)
{
    cl_terminal_copy_size(callers_terminal(), master);
}

struct winsize cl_terminal_callers_size(void)
{
    struct winsize size;

    return cl_sys_ioctl(callers_terminal(), TIOCGWINSZ, &size) == 0 ? size : (struct winsize){0};
}

struct winsize cl_terminal_first_size(const struct cl_plan *plan)
{
    if (!plan->tty)
        return (struct winsize){0};
    return plan->detach ? (struct winsize){.ws_row = 24, .ws_col = 80} : cl_terminal_callers_size();
}

int cl_terminal_attach(struct cl_terminal *ret, int master, int wants_input, int *ret_input,
                       struct cl_error *err)
{
    CL_CLEANUP_FD int input = -1;
    int r = cl_sys_fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);

    if (r < 0)
        return cl_fail(err, r, "make the pty non-blocking");
    cl_terminal_copy_callers_size(master);
    if (wants_input) {
        input = cl_sys_fcntl(master, F_DUPFD_CLOEXEC, 3);
        if (input < 0)
            return cl_fail(err, input, "duplicate the pty");
        if (isatty(STDIN_FILENO)) {
            r = cl_terminal_make_raw(ret, STDIN_FILENO, err);
            if (r < 0)
                return r;
        }
    }
    *ret_input = CL_TAKE_FD(input);
    return 0;
}

/* Input that is no terminal has ended. A terminal has no end but the character for it,
 * without which a command that reads would wait until its time limit. */
void cl_terminal_end_input(int master)
{
    struct termios settings;

    if (tcgetattr(master, &settings) < 0)
        return;
    /* Two, because the first only ends a line that is not complete. */
    const char end[2] = {(char)settings.c_cc[VEOF], (char)settings.c_cc[VEOF]};
    (void)cl_sys_write(master, end, sizeof(end)); /* the time limit stays */
}
