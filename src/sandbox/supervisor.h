/* supervisor.h - the loop that watches one running sandbox from release to end.
 *
 * It owns the clock: the time limit (a timerfd on CLOCK_BOOTTIME: stop signal, grace,
 * kill), the CPU-time limit (the cgroup's accounting, looked at no later than the
 * limit can be reached), the output limit; it carries the standard streams, forwards
 * the caller's signals, answers the bell (control.h), and watches the caller where
 * --die-with-parent asks for it. It ends when the wall's first process has, and of a
 * sandbox that is kept, when all but that have ended and nothing is left to be done.
 */
#ifndef CL_SANDBOX_SUPERVISOR_H
#define CL_SANDBOX_SUPERVISOR_H

#include "base/loop.h"
#include "sandbox/errands.h"
#include "sandbox/kept.h"
#include "sandbox/log.h"
#include "sandbox/relay.h"
#include "sandbox/result.h"
#include "sandbox/state.h"
#include "sandbox/terminal.h"
#include "sandbox/visitors.h"
#include "walls/wall.h"

/* Why we ended it; NONE: it ended by itself. The first reason stays. */
enum cl_end { CL_END_NONE, CL_END_TIME, CL_END_CPU_TIME, CL_END_OUTPUT, CL_END_KILLED };

struct cl_supervisor {
    const struct cl_plan *plan;
    const struct cl_wall *wall;
    struct cl_wall_process *process;
    const struct cl_limits *limits;
    struct cl_entry *entry;
    struct cl_status *status;   /* what the record says */
    const struct cl_kept *kept; /* what is kept of it; its dir -1: nothing */
    struct cl_log *log;         /* takes the output; NULL: the caller's descriptors do */
    int streams[3];             /* what the command's are carried to and from; borrowed; -1 for an
                                   output: to the log; for the input: it is held for who attaches */
    struct cl_errands *errands; /* its copies of files */
    int awaits_start;           /* the first process tells when the command runs */
    /* Called once when the command runs, where that is told; may be NULL. */
    void (*on_started)(void *context);
    void *context;
    int stdio[3]; /* our ends of the pipes, taken; -1: none */
    /* The other ends of the output's, taken; -1: none. Held until init has ended, so that
     * the command's exit, which closes the last of theirs, doesn't wake us twice: on a
     * virtual machine to wake a processor costs the dying process 40 us.
     * (Whoever inside reads such a pipe, by /proc/self/fd, meets its end no earlier.) */
    int outputs[2];

    struct cl_loop loop;
    struct cl_source init;    /* the first process's pidfd */
    struct cl_source channel; /* what the first process sends */
    struct cl_source signals;
    struct cl_source timer; /* time limit, then grace */
    struct cl_source cpu_timer;
    struct cl_source control;
    struct cl_source clients; /* those of a worker for many; fd -1: none come */
    struct cl_source admits;  /* when the one who is held may be let in; fd -1: nobody is held */
    int held;                 /* the client that is; the others wait in the socket */
    uint64_t held_ns;         /* since when (boot clock) */
    struct cl_source parent;
    struct cl_source errand_source;
    struct cl_visitors visitors; /* who brings a command (exec) */
    struct cl_relay relays[3];   /* stdin, stdout (or the pty), stderr */
    struct cl_output_budget budget;
    struct cl_terminal terminal;
    int pty; /* the master, kept to the end: its last close hangs the command up */
    enum cl_end end;
    uint64_t millicpus; /* that the sandbox can use at a time */
    int in_grace;       /* the timer's next expiry is the end */
    int is_stopping;    /* somebody has asked for that */
    int is_paused;
    int is_told;    /* on_started has been called */
    int interrupts; /* SIGINT and SIGTERM so far */
    int has_stood;  /* of a plan that waits: it is waiting, or was */
    int is_over;    /* of one that stays: its command has ended */
    int is_resting; /* of one that is kept: nothing is left to be done */
    int ended;
    int init_status;
};

/* The signals that a supervisor takes over, as a mask; to be blocked before anything
 * of the sandbox is made. */
uint64_t cl_supervisor_signals(void);
/* Blocks them for this process; a signalfd of them, or -errno. */
int cl_supervisor_take_signals(struct cl_error *err);

/* Runs until the sandbox has ended and its output is carried. SUPERVISOR's members
 * before `loop` are the caller's to set; PARENT is a pidfd or -1, SIGNALS a signalfd. */
int cl_supervisor_run(struct cl_supervisor *supervisor, int signals, int parent,
                      struct cl_error *err);

/* Of a kept sandbox that has come to rest (`is_resting`): keeps it until somebody ends it. */
int cl_supervisor_rest(struct cl_supervisor *supervisor, struct cl_error *err);

/* Lets go of what run left open. */
void cl_supervisor_done(struct cl_supervisor *supervisor);

#endif
