#include "cmd/cloister/secret.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

enum { CTRL_C = 3, CTRL_D = 4, CTRL_U = 21, BACKSPACE = 8, DELETE = 127 };

/* --- the terminal and the signals ------------------------------------------------------ */

/* What would end us while the terminal is silent. (SIGKILL can't be had; a shell restores its
 * terminal itself, and `stty sane` does.) */
static const int ending[] = {SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/* Those of them that aren't ignored, as the kernel's mask: what nohup ignores ends nothing. */
static uint64_t ending_mask(void)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(ending); i++) {
        struct sigaction action;

        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            mask |= UINT64_C(1) << (ending[i] - 1);
    }
    return mask;
}

/* While the terminal is silent, signals that end us wait until it is as it was. */
struct silence {
    struct termios old_terminal;
    uint64_t old_mask;
    int terminal; /* borrowed; -1: it isn't silent */
    int signals;  /* readable when one waits; it isn't read, so that it takes its course after */
};

/* As it was; now what has been waiting ends us. */
static void silence_done(struct silence *silence)
{
    if (silence->terminal < 0)
        return;
    (void)tcsetattr(silence->terminal, TCSAFLUSH, &silence->old_terminal); /* or it is gone */
    (void)cl_write_all(silence->terminal, "\n", 1); /* the one that wasn't shown */
    cl_fd_close(&silence->signals);
    silence->terminal = -1;
    (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &silence->old_mask, NULL); /* can't fail */
}
#define CL_CLEANUP_SILENCE CL_CLEANUP(silence_done)

/* Character by character, so that Ctrl-C is ours to see. */
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

static int silence_begin(int terminal, struct silence *ret)
{
    const uint64_t mask = ending_mask();
    int r = cl_sys_signalfd(&mask);

    if (r < 0)
        return r;
    ret->signals = r;
    r = cl_sys_rt_sigprocmask(SIG_BLOCK, &mask, &ret->old_mask);
    if (r == 0) {
        r = make_silent(terminal, &ret->old_terminal);
        if (r == 0)
            ret->terminal = terminal;
        else
            (void)cl_sys_rt_sigprocmask(SIG_SETMASK, &ret->old_mask, NULL); /* as above */
    }
    if (r < 0)
        cl_fd_close(&ret->signals);
    return r;
}

/* --- the line --------------------------------------------------------------------------- */

/* RFC 3629, section 3. */
static int is_continuation(char byte)
{
    return (byte & 0xc0) == 0x80;
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
        while (ret->size > start && is_continuation(ret->data[--ret->size]))
            ; /* a character is more than its last byte */
        return 1;
    default:
        return cl_buf_add(ret, &character, 1) < 0 ? -EFBIG : 1;
    }
}

/* 0 when FD can be read; -EINTR when one of SIGNALS has come first. */
static int wait_for_key(int fd, int signals)
{
    struct pollfd polls[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    int r;

    do
        r = cl_sys_poll(polls, CL_ARRAY_SIZE(polls), -1);
    while (r == -EINTR);
    if (r < 0)
        return r;
    return polls[1].revents != 0 ? -EINTR : 0;
}

static int read_line(int fd, int signals, struct cl_buf *ret)
{
    const size_t start = ret->size;
    unsigned char character = 0;
    int r = 1;

    while (r > 0) {
        const int waited = wait_for_key(fd, signals);
        ssize_t got = waited < 0 ? waited : cl_sys_read(fd, &character, 1);

        if (waited == 0 && got == -EINTR)
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
    CL_CLEANUP_SILENCE struct silence silence = {.terminal = -1, .signals = -1};

    if (fd < 0)
        return -ENXIO;
    int r = hidden ? silence_begin(fd, &silence) : 0;
    if (r == 0) /* only now: whoever is asked may answer at once */
        r = cl_write_all(fd, prompt, strlen(prompt));
    if (r < 0)
        return cl_fail(err, r, "ask at the terminal");
    r = read_line(fd, silence.signals, ret);
    silence_done(&silence);
    return r < 0 ? cl_fail(err, r, "read from the terminal") : 0;
}
