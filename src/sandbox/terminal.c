#include "sandbox/terminal.h"

#include <sys/ioctl.h>

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

void cl_terminal_usual_size(int pty)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};

    (void)cl_sys_ioctl(pty, TIOCSWINSZ, &size); /* it stays as it is */
}
