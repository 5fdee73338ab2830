#include "worker/ticker.h"

#include <signal.h>
#include <sys/time.h>

#include "base/sys.h"

/* A signal's handler finds nothing else. */
static struct {
    struct cl_engine *engine;
    volatile unsigned int count;
} ticker;

static void on_tick(CL_UNUSED int signal)
{
    ticker.count++;
    cl_engine_tick(ticker.engine);
}

int cl_ticker_init(struct cl_engine *engine, struct cl_error *err)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK};

    ticker.engine = engine;
    return sigaction(SIGALRM, &action, NULL) < 0 ? cl_fail(err, -errno, "take SIGALRM") : 0;
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
