#include "worker/ticker.h"

#include <signal.h>
#include <sys/time.h>

#include "base/sys.h"

/* A signal's handler finds nothing else. */
static struct {
    struct cl_engine *volatile engine; /* NULL: none any more */
    volatile unsigned int count;
} ticker;

static void on_tick(CL_UNUSED int signal)
{
    struct cl_engine *engine = ticker.engine;

    ticker.count++;
    if (engine != NULL)
        cl_engine_tick(engine);
}

int cl_ticker_init(struct cl_engine *engine, struct cl_error *err)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK};

    ticker.engine = engine;
    return sigaction(SIGALRM, &action, NULL) < 0 ? cl_fail(err, -errno, "take SIGALRM") : 0;
}

void cl_ticker_done(void)
{
    struct cl_error ignored; /* a tick that comes all the same is nobody's */

    ticker.engine = NULL;
    (void)cl_ticker_set(0, &ignored);
}

int cl_ticker_set(int is_on, struct cl_error *err)
{
    const struct timeval period = {.tv_usec = is_on ? CL_TICK_US : 0};
    const struct itimerval timer = {.it_interval = period, .it_value = period};
    int r = cl_sys_setitimer_real(&timer);

    return r < 0 ? cl_fail(err, r, "set the timer of turns") : 0;
}

unsigned int cl_ticker_count(void)
{
    return ticker.count;
}
