/* process.c - how a guest ends itself, or lets others run. */
#include "base/sys.h"
#include "wasi/calls.h"

enum { /* the specification's numbers of signals */
       SIGNAL_NONE = 0,
       SIGNAL_CHLD = 16,
       SIGNAL_CONT = 17,
       SIGNAL_STOP = 18,
       SIGNAL_TSTP = 19,
       SIGNAL_TTIN = 20,
       SIGNAL_TTOU = 21,
       SIGNAL_URG = 22,
       SIGNAL_WINCH = 27,
       SIGNAL_SYS = 30,
};

/* proc_exit(code) */
CL_WASI_CALL(proc_exit)
{
    wasi->exit_code = (uint32_t)arguments[0];
    return CL_WASI_ENDS;
}

/* proc_raise(signal): does what the signal does where nobody handles it. Nothing could let a
 * guest that has stopped go on. */
CL_WASI_CALL(proc_raise)
{
    switch (arguments[0]) {
    case SIGNAL_NONE:
    case SIGNAL_CHLD:
    case SIGNAL_CONT:
    case SIGNAL_URG:
    case SIGNAL_WINCH:
        return CL_WASI_SUCCESS;
    case SIGNAL_STOP:
    case SIGNAL_TSTP:
    case SIGNAL_TTIN:
    case SIGNAL_TTOU:
        return CL_WASI_NOTSUP;
    default:
        return arguments[0] > SIGNAL_SYS ? CL_WASI_INVAL : CL_WASI_TRAPS;
    }
}

/* sched_yield() */
CL_WASI_CALL(sched_yield)
{
    return cl_wasi_errno(cl_sys_sched_yield());
}
