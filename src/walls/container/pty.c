/* Ptys of the sandbox's own devpts. The master leaves for who asked, the caller's own terminal
 * never comes near. Source: devpts(5), ioctl_tty(2). */
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/sys.h"
#include "walls/container/container.h"

/* By the descriptor of devpts' root, in which nothing can be made or moved and over which
 * nobody inside can mount. */
int cl_pty_open(const struct cl_container *container, int *ret_slave, struct cl_error *err)
{
    int unlock = 0;

    CL_CLEANUP_FD int master =
        cl_sys_openat(container->pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0);
    if (master < 0)
        return cl_fail(err, master, "open a pty");
    int r = cl_sys_ioctl(master, TIOCSPTLCK, &unlock);
    if (r < 0)
        return cl_fail(err, r, "unlock a pty");
    int slave = cl_sys_ioctl_number(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return cl_fail(err, slave, "open the terminal of a pty");
    *ret_slave = slave;
    return CL_TAKE_FD(master);
}

void cl_pty_resize(int master, struct winsize size)
{
    if (size.ws_row != 0 || size.ws_col != 0)
        (void)cl_sys_ioctl(master, TIOCSWINSZ, &size); /* a size is no reason to fail */
}

int cl_terminal_make(void *context, struct cl_error *err)
{
    struct cl_container *container = context;
    struct cl_message message = {.kind = CL_MESSAGE_TERMINAL};

    if (!cl_has_program(container)) { /* which has no /dev, and its devpts already */
        container->pts = cl_open_no_links(container->dev, "pts", O_PATH | O_DIRECTORY);
        if (container->pts < 0)
            return cl_fail(err, container->pts, "open /dev/pts");
    }
    if (!container->plan->tty)
        return 0;
    CL_CLEANUP_FD int master = cl_pty_open(container, &container->terminal, err);
    if (master < 0)
        return master;
    cl_pty_resize(master, container->start->size);
    int r = cl_message_send(container->channel[1], &message, &master, 1);
    return r < 0 ? cl_fail(err, r, "send the pty to the supervisor") : 0;
}
