/* wall.h - what every wall is to those who build sandboxes: a row in a table.
 *
 * A wall makes an isolated place with one main process from a plan, and nothing
 * else: time, output, results and clean-up are the sandbox's (src/sandbox). The
 * sandbox speaks to a running wall through struct cl_wall_process only.
 *
 * Life of a start: check -> start (the place is being made, in a process of its
 * own) -> the sandbox makes its record and limits meanwhile -> release (the main
 * process begins; in a plan that waits, when begin says so). Everything that start made
 * ends with the process behind `pidfd`, which dies with its caller's thread, and by itself
 * when the main process has ended; in a plan that stays, when leave says so.
 */
#ifndef CL_WALLS_WALL_H
#define CL_WALLS_WALL_H

#include <sys/ioctl.h>

#include "base/error.h"
#include "base/processors.h"
#include "limits/limits.h"
#include "net/net.h"
#include "plan/plan.h"
#include "walls/session.h"

enum cl_report_stage {
    CL_REPORT_NONE,    /* still being made */
    CL_REPORT_BORN,    /* the first process runs */
    CL_REPORT_FAILED,  /* `error` says what could not be made */
    CL_REPORT_NO_EXEC, /* the command could not be executed: exec_errno, error */
    CL_REPORT_STARTED, /* the main process has been executed */
    CL_REPORT_ENDED,   /* main_status holds its wait status */
    CL_REPORT_WAITING, /* all stands but the main process, which is yet to begin */
};

/* One page shared with the wall's first process, which writes it and whose memory no
 * code of the sandbox can reach. Readers treat it as foreign bytes all the same. */
struct cl_report {
    uint32_t stage; /* enum cl_report_stage */
    int32_t exec_errno;
    int32_t main_status;
    uint64_t started_boot_ns;
    uint64_t ended_boot_ns;
    uint64_t memory_peak_bytes; /* where no cgroup counts it; 0: unknown */
    uint64_t main_cpu_ns; /* CPU time of the main process and of its children that it waited for */
    uint64_t layers;      /* CL_LAYER_BITs that were put up */
    struct cl_error error;
};

/* Whether the main process has been executed. */
static inline int cl_report_has_run(const struct cl_report *report)
{
    const uint32_t stage = __atomic_load_n(&report->stage, __ATOMIC_ACQUIRE);

    return stage == CL_REPORT_STARTED || stage == CL_REPORT_ENDED;
}

/* Memory that /proc/PID/cmdline shows; SIZE 0: unknown. */
struct cl_arguments {
    char *start;
    size_t size;
};

/* A program of ours that stands between the plan's command and the kernel: it is what the main
 * process executes, and the command is its argument vector. There is nothing else to execute in
 * such a place, and no /proc and no /dev, which would lead into the program itself. */
enum { CL_PROGRAM_MOST_FDS = 5 };

struct cl_wall_program {
    const char *name; /* for messages */
    /* Borrowed: its descriptors 3, 4, ..., and behind them its file, by which it is executed. */
    int fds[CL_PROGRAM_MOST_FDS];
    size_t fd_count;    /* with the file */
    const char *loader; /* in the place's root: what the kernel starts it by; NULL: it is static */
};

struct cl_wall_start {
    const struct cl_plan *plan;
    const struct cl_wall_program *program; /* NULL: the command is a program of the image */
    struct cl_arguments arguments;         /* the caller's; the first process overwrites its copy */
    const char *id;
    uint32_t uid_base;               /* root mode: first of 65,536 uids; 0: rootless */
    int image;                       /* of a plan whose image is a file (MODULE): open, borrowed */
    struct cl_processors processors; /* where one idles, things are done beside each other */
    int cgroup;                      /* v2: the directory to be born in, else -1 */
    int worker;      /* a connection to one that is the place already (joins), borrowed; 0: none */
    int tells_start; /* when the main process has been executed: is_started */
    int stdio[3];    /* the main process's ends; -1: /dev/null; all -1 with a tty */
    struct winsize size; /* the terminal's, with a tty; all 0: unknown */
};

struct cl_wall_process {
    int pidfd;
    int32_t pid;
    int channel;                /* SOCK_SEQPACKET to the first process */
    struct cl_report *report;   /* shared page, owned here */
    int userns;                 /* of the first process; -1 when it is of no more use */
    uint32_t owner;             /* whose that is; 0: our own */
    const struct cl_plan *plan; /* what it was started for */
    struct cl_net *net;         /* the host's, with network outbound; owned here */
    struct cl_pasta pasta;      /* who carries that network, while the sandbox stands */
    int line;                   /* to the program, where there is one; else -1 */
    int is_joined;              /* the place was there before, and is others' too */
    int scratch;                /* the root of the scratch file system, once received */
    int terminal;               /* the pty's master, once received */
    /* Received, where start was to tell it, and the plan waits or stays: */
    int is_waiting; /* the main process is yet to begin */
    int is_started; /* it has been executed */
    int is_over;    /* it has ended, and all others with it, but the first process */
};

/* What a sandbox uses at this moment that no cgroup tells of. All of one program's; it goes through
 * a FIFO in one piece. */
struct cl_wall_told {
    uint64_t cpu_ns;
    uint64_t memory_bytes; /* 0: unknown */
    uint64_t stdout_bytes;
    uint64_t stderr_bytes;
};

struct cl_wall {
    const char *name;
    /* Can this wall enforce PLAN? Refuses what it can't, naming it. */
    int (*check)(const struct cl_plan *plan, struct cl_error *err);
    /* Whether PLAN's sandbox is one of many in its tenant's worker, where there is one (START's
     * `worker`); it needs no limits of its own then. NULL: never. */
    int (*joins)(const struct cl_plan *plan);
    /* SIGCHLD has to be blocked: the first process inherits that and waits by it. */
    int (*start)(const struct cl_wall_start *start, struct cl_wall_process *ret,
                 struct cl_error *err);
    /* Lets the main process begin, within LIMITS (NULL: none). */
    int (*release)(struct cl_wall_process *process, const struct cl_limits *limits,
                   struct cl_error *err);
    /* Of a plan that waits: has the main process begin. -EAGAIN as exec's. */
    int (*begin)(struct cl_wall_process *process, struct cl_error *err);
    /* Of a plan that stays: the first process ends, when all others have. -EAGAIN as above. */
    int (*leave)(struct cl_wall_process *process, struct cl_error *err);
    /* Sends SIGNAL to the main process. */
    int (*signal)(struct cl_wall_process *process, int signal, struct cl_error *err);
    /* Stops all processes but the first, or has them go on. Whoever is stopped can be continued by
     * another that isn't yet: who asks looks, and asks again. Never blocks: -EAGAIN. */
    int (*pause)(struct cl_wall_process *process, int is_paused, struct cl_error *err);
    /* Has TOLD, of which the caller knows what was written, completed and put into CLIENT
     * (borrowed), a FIFO, when that is known; what it says is untrusted, and kept in bounds. Who is
     * told nothing sees the FIFO closed. NULL or -ENOTSUP: its cgroups tell. Never blocks: -EAGAIN.
     */
    int (*tell)(struct cl_wall_process *process, const struct cl_wall_told *told, int client,
                struct cl_error *err);
    /* Makes START's streams such as the sandbox may use: of a command to be started in the one
     * of START's plan, id and uid_base, which runs. The client's, with its caller's privilege. */
    int (*lend)(const struct cl_wall_start *start, struct cl_error *err);
    /* Has one more command started, as REQUEST says; FDS are those of walls/session.h, as many as
     * belong to its flags, and stay the caller's. What becomes of it the session tells. -EAGAIN
     * before the main process has started, and when too much waits already: it never blocks. */
    int (*exec)(struct cl_wall_process *process, const struct cl_exec_request *request,
                const int *fds, struct cl_error *err);
    /* Takes what the first process has sent so far: sets scratch, terminal, is_waiting,
     * is_started and is_over. */
    int (*receive)(struct cl_wall_process *process, struct cl_error *err);
    /* Hands CONNECTION (borrowed), a client's, to the program. NULL: none takes any. Never blocks:
     * -EAGAIN until the process's `line` can be written to, -ETOOMANYREFS for nobody knows how
     * long. */
    int (*admit)(struct cl_wall_process *process, int connection, struct cl_error *err);
    /* Adds to ERR, in which nothing is said yet, what the main process itself had to say of its
     * end. NULL: nothing, ever. Untrusted, and made fit to be shown. */
    void (*explain)(struct cl_wall_process *process, struct cl_error *err);
    /* The calling supervisor gives up what this wall's sandboxes no longer need of it:
     * capabilities, most system calls. For good. */
    int (*shrink)(const struct cl_plan *plan, struct cl_error *err);
    /* Ends what still runs and lets go of everything. */
    void (*done)(struct cl_wall_process *process);
};

/* The wall of that kind, or NULL where it isn't built. */
const struct cl_wall *cl_wall_get(enum cl_wall_kind kind);

extern const struct cl_wall cl_wall_container;
extern const struct cl_wall cl_wall_wasm;

#endif
