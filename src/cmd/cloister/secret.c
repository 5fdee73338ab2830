#include "cmd/cloister/secret.h"

#include <errno.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

enum { CTRL_C = 3, CTRL_D = 4, CTRL_U = 21, BACKSPACE = 8, DELETE = 127 };

/* Character by character, so that Ctrl-C is ours to see and the terminal is never left without
 * its echo. */
static int make_silent(int fd, struct termios *ret_old)
{
    struct termios silent;

    if (tcgetattr(fd, ret_old) < 0)
        return -errno;
    silent = *ret_old;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    return tcsetattr(fd, TCSAFLUSH, &silent) < 0 ? -errno : 0;
}

/* What CHARACTER does to the line: 1 goes on, 0 ends it, or -errno. */
static int take(unsigned char character, size_t start, struct cl_buf *ret)
{
    switch (character) {
    case CTRL_C:
        return -EINTR;
    case '\n':
    case '\r':
    case CTRL_D:
        return 0;
    case CTRL_U:
        ret->size = start;
        return 1;
    case BACKSPACE:
    case DELETE:
        if (ret->size > start)
            ret->size--;
        return 1;
    default:
        return cl_buf_add(ret, &character, 1) < 0 ? -EFBIG : 1;
    }
}

static int read_line(int fd, struct cl_buf *ret)
{
    const size_t start = ret->size;
    unsigned char character;
    int r = 1;

    while (r > 0) {
        ssize_t got = cl_sys_read(fd, &character, 1);

        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? (int)got : 0;
        r = take(character, start, ret);
    }
    if (r == 0)
        r = cl_buf_add(ret, "", 0); /* ends the text where it ends */
    return r;
}

int cl_secret_ask(const char *prompt, int hidden, struct cl_buf *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY, 0);
    struct termios old;

    if (fd < 0)
        return -ENXIO;
    int r = cl_write_all(fd, prompt, strlen(prompt));
    if (r == 0 && hidden)
        r = make_silent(fd, &old);
    if (r < 0)
        return cl_fail(err, r, "ask at the terminal");
    r = read_line(fd, ret);
    if (hidden) {
        (void)tcsetattr(fd, TCSAFLUSH, &old);
        (void)cl_write_all(fd, "\n", 1); /* the one that wasn't shown */
    }
    return r < 0 ? cl_fail(err, r, "read from the terminal") : 0;
}
