#include "cmd/cloister/signals.h"

#include <errno.h>
#include <signal.h>
#include <strings.h>

#include "base/num.h"

enum { SIGNAL_MAX = 64 };

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"BUS", SIGBUS},       {"CHLD", SIGCHLD},
    {"CONT", SIGCONT}, {"FPE", SIGFPE},   {"HUP", SIGHUP},       {"ILL", SIGILL},
    {"INT", SIGINT},   {"IO", SIGIO},     {"KILL", SIGKILL},     {"PIPE", SIGPIPE},
    {"PROF", SIGPROF}, {"PWR", SIGPWR},   {"QUIT", SIGQUIT},     {"SEGV", SIGSEGV},
    {"STOP", SIGSTOP}, {"SYS", SIGSYS},   {"TERM", SIGTERM},     {"TRAP", SIGTRAP},
    {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},
    {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
};

int cl_signal_parse(const char *text, int *ret, struct cl_error *err)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    uint64_t number;

    for (size_t i = 0; i < CL_ARRAY_SIZE(signals); i++) {
        if (strcasecmp(signals[i].name, name) == 0) {
            *ret = signals[i].number;
            return 0;
        }
    }
    if (cl_parse_u64(text, &number) < 0 || number < 1 || number > SIGNAL_MAX)
        return cl_refuse(err, EINVAL, "expected a signal's name or 1 to %d, got \"%.32s\"",
                         SIGNAL_MAX, text);
    *ret = (int)number;
    return 0;
}
