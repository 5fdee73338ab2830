#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <strings.h>

#include "base/num.h"
#include "base/sys.h"

enum { REAL_TIME_MIN = 34, SIGNAL_MAX = 64 };

static const struct {
    const char *name; /* "SIG" and the rest */
    int number;
} signals[] = {
    {"SIGABRT", SIGABRT},
    {"SIGALRM", SIGALRM},
    {"SIGBUS", SIGBUS},
    {"SIGCHLD", SIGCHLD},
    {"SIGCONT", SIGCONT},
    {"SIGFPE", SIGFPE},
    {"SIGHUP", SIGHUP},
    {"SIGILL", SIGILL},
    {"SIGINT", SIGINT},
    {"SIGIO", SIGIO},
    {"SIGKILL", SIGKILL},
    {"SIGPIPE", SIGPIPE},
    {"SIGPROF", SIGPROF},
    {"SIGPWR", SIGPWR},
    {"SIGQUIT", SIGQUIT},
    {"SIGSEGV", SIGSEGV},
    {"SIGSTOP", SIGSTOP},
    {"SIGSYS", SIGSYS},
    {"SIGTERM", SIGTERM},
    {"SIGTRAP", SIGTRAP},
    {"SIGTSTP", SIGTSTP},
    {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},
    {"SIGURG", SIGURG},
    {"SIGUSR1", SIGUSR1},
    {"SIGUSR2", SIGUSR2},
    {"SIGVTALRM", SIGVTALRM},
    {"SIGWINCH", SIGWINCH},
    {"SIGXCPU", SIGXCPU},
    {"SIGXFSZ", SIGXFSZ},
    {"SIGSTKFLT", SIGSTKFLT},
    /* second names */
    {"SIGIOT", SIGABRT},
    {"SIGPOLL", SIGIO},
    {"SIGCLD", SIGCHLD},
};

/* "RTMIN+3", "RTMAX-14", "RTMIN". Counted from 34, whatever C library we have: systemd, for
 * one, waits for glibc's RTMIN+3, and Docker counts like that (signal(7), "Real-time signals"). */
static int parse_real_time(const char *name, int *ret)
{
    const int is_max = strncasecmp(name, "RTMAX", 5) == 0;
    const char *rest = name + 5;
    uint64_t distance = 0;

    if (!is_max && strncasecmp(name, "RTMIN", 5) != 0)
        return -EINVAL;
    if (*rest != '\0' && (*rest != (is_max ? '-' : '+') || cl_parse_u64(rest + 1, &distance) < 0 ||
                          distance > SIGNAL_MAX - REAL_TIME_MIN))
        return -EINVAL;
    *ret = is_max ? SIGNAL_MAX - (int)distance : REAL_TIME_MIN + (int)distance;
    return 0;
}

int cl_signal_parse(const char *text, int *ret, struct cl_error *err)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    uint64_t number;

    for (size_t i = 0; i < CL_ARRAY_SIZE(signals); i++) {
        if (strcasecmp(signals[i].name + 3, name) == 0) {
            *ret = signals[i].number;
            return 0;
        }
    }
    if (parse_real_time(name, ret) == 0)
        return 0;
    if (cl_parse_u64(text, &number) < 0 || number < 1 || number > SIGNAL_MAX)
        return cl_refuse(err, EINVAL, "expected a signal's name or 1 to %d, got \"%.32s\"",
                         SIGNAL_MAX, text);
    *ret = (int)number;
    return 0;
}

const char *cl_signal_name(int number)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(signals); i++) {
        if (signals[i].number == number)
            return signals[i].name;
    }
    return NULL;
}

void cl_signals_reset(void)
{
    for (int signal = 1; signal <= SIGNAL_MAX; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP)
            (void)cl_sys_signal_default(signal); /* fails for no other signal */
    }
}
