#include "worker/line.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

int cl_line_take_orders(uint32_t most, struct cl_worker_orders *ret, struct cl_error *err)
{
    ssize_t size = cl_sys_read(CL_WORKER_LINE, ret, sizeof(*ret));

    if (size < 0)
        return cl_fail(err, (int)size, "read the orders");
    if (size != (ssize_t)sizeof(*ret) || ret->version != CL_WORKER_VERSION || ret->guests > most)
        return cl_refuse(err, EPROTO,
                         "these are no orders for this worker: cloister starts it, and is of the "
                         "same version");
    return 0;
}

void cl_line_say(int line, const char *message)
{
    struct cl_worker_words words = {.version = CL_WORKER_VERSION};

    (void)snprintf(words.message, sizeof(words.message), "%.299s", message);
    (void)cl_write_all(line, &words, sizeof(words));
}

void cl_line_end_by_trap(const struct cl_guest_end *end, int terminal)
{
    cl_line_say(CL_WORKER_LINE, end->trap);
    if (end->backtrace != NULL)
        (void)cl_write_all(terminal, end->backtrace, strlen(end->backtrace));
    (void)cl_sys_kill(getpid(), SIGABRT);
    _exit(CL_WORKER_NOT_BEGUN);
}
