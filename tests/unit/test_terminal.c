/* test_terminal.c - the caller's terminal, for which a pty of the test stands. */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/terminal.h"
#include "check.h"

struct pair {
    int master;
    int slave;
};

static struct pair open_pair(void)
{
    struct pair pair = {-1, -1};

    CHECK(openpty(&pair.master, &pair.slave, NULL, NULL, NULL) == 0);
    return pair;
}

static void close_pair(struct pair *pair)
{
    cl_fd_close(&pair->slave);
    cl_fd_close(&pair->master);
}

TEST(raw_mode_is_taken_back)
{
    struct pair pair = open_pair();
    struct cl_terminal terminal = CL_TERMINAL_INIT;
    struct cl_error err = {0};
    struct termios before;
    struct termios now;

    CHECK(tcgetattr(pair.slave, &before) == 0);
    CHECK((before.c_lflag & ICANON) != 0 && (before.c_lflag & ECHO) != 0);
    CHECK(cl_terminal_make_raw(&terminal, pair.slave, &err) == 0);
    CHECK(terminal.fd == pair.slave);
    CHECK(tcgetattr(pair.slave, &now) == 0);
    CHECK((now.c_lflag & (ICANON | ECHO | ISIG)) == 0 && (now.c_oflag & OPOST) == 0);
    cl_terminal_restore(&terminal);
    CHECK(terminal.fd == -1);
    CHECK(tcgetattr(pair.slave, &now) == 0);
    CHECK(now.c_lflag == before.c_lflag && now.c_oflag == before.c_oflag &&
          now.c_iflag == before.c_iflag);
    close_pair(&pair);
}

TEST(what_was_not_taken_is_not_given_back)
{
    struct pair pair = open_pair();
    struct cl_terminal terminal = CL_TERMINAL_INIT;
    struct cl_error err = {0};
    struct termios other;
    struct termios now;

    CHECK(cl_terminal_make_raw(&terminal, pair.slave, &err) == 0);
    cl_terminal_restore(&terminal);
    CHECK(tcgetattr(pair.slave, &other) == 0);
    other.c_lflag &= ~(tcflag_t)ECHO;
    CHECK(tcsetattr(pair.slave, TCSANOW, &other) == 0);
    cl_terminal_restore(&terminal); /* a second time does nothing */
    CHECK(tcgetattr(pair.slave, &now) == 0 && (now.c_lflag & ECHO) == 0);
    close_pair(&pair);
}

TEST(only_terminals_become_raw)
{
    struct cl_terminal terminal = CL_TERMINAL_INIT;
    struct cl_error err = {0};
    CL_CLEANUP_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(cl_terminal_make_raw(&terminal, null, &err) == -ENOTTY);
    CHECK_HAS(err.msg, "terminal's settings");
    CHECK(terminal.fd == -1);
    cl_terminal_restore(&terminal);
}

TEST(a_hung_up_terminal_is_let_go)
{
    struct pair pair = open_pair();
    struct cl_terminal terminal = CL_TERMINAL_INIT;
    struct cl_error err = {0};

    CHECK(cl_terminal_make_raw(&terminal, pair.slave, &err) == 0);
    cl_fd_close(&pair.master);
    cl_terminal_restore(&terminal);
    CHECK(terminal.fd == -1);
    CHECK(cl_terminal_make_raw(&terminal, pair.slave, &err) == -EIO);
    close_pair(&pair);
}

TEST(the_windows_size_is_copied)
{
    const struct winsize given = {.ws_row = 33, .ws_col = 111};
    struct pair callers = open_pair();
    struct pair ours = open_pair();
    CL_CLEANUP_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct winsize got = {0};

    CHECK(ioctl(callers.master, TIOCSWINSZ, &given) == 0);
    cl_terminal_copy_size(callers.slave, ours.master);
    CHECK(ioctl(ours.slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 33 && got.ws_col == 111);
    cl_terminal_copy_size(null, ours.master); /* no terminal: it stays */
    CHECK(ioctl(ours.slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 33 && got.ws_col == 111);
    cl_terminal_copy_size(callers.slave, null); /* and nothing fails */
    close_pair(&callers);
    close_pair(&ours);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(raw_mode_is_taken_back),     ROW(what_was_not_taken_is_not_given_back),
        ROW(only_terminals_become_raw),  ROW(a_hung_up_terminal_is_let_go),
        ROW(the_windows_size_is_copied),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
