/* shim.h - containerd-shim-cloister-v2: what its parts know of each other.
 *
 * One shim serves the containers of a pod, or one container that is in none. containerd speaks
 * ttrpc with it, by the task service; it has cloister-oci make and change each container (jobs.c),
 * is the parent of their processes (a subreaper), carries their streams, and tells containerd what
 * becomes of them.
 *
 * Of one container one thing is done at a time: what changes it waits for what does already.
 */
#ifndef CL_CMD_SHIM_H
#define CL_CMD_SHIM_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/helper.h"
#include "base/loop.h"
#include "containerd/bundle.h"
#include "plan/spec.h"
#include "rpc/publisher.h"
#include "rpc/server.h"
#include "rpc/task_messages.h"
#include "sandbox/relay.h"

enum { CL_SHIM_ID_MOST = CL_CONTAINERD_ID_MOST, CL_SHIM_PATH = CL_BUNDLE_PATH };

/* --- the command line ---------------------------------------------------------------------- */

struct cl_shim_options {
    const char *space;   /* -namespace */
    const char *address; /* containerd's own socket */
    const char *publish; /* a program of containerd's, for events: there is ttrpc for them */
    const char *id;
    const char *bundle;
    int debug;
    char *const *words; /* the whole command line */
};

int cl_shim_start(const struct cl_shim_options *options, char *const argv[], struct cl_error *err);
int cl_shim_info(struct cl_error *err);
int cl_shim_delete(const struct cl_shim_options *options, struct cl_error *err);
/* SOCKET listens; taken. */
int cl_shim_serve(const struct cl_shim_options *options, int socket, struct cl_error *err);

enum { CL_SHIM_SOCKET = sizeof(((struct sockaddr_un *)NULL)->sun_path) };
/* Whether the container of SPEC is a module, by its annotation or the options that containerd gives
 * on standard input: 1, and RET is where cloisterd serves it. 0: it is none. */
int cl_shim_find_daemon(const struct cl_spec *spec, struct cl_arena *arena,
                        char ret[CL_SHIM_SOCKET], struct cl_error *err);
/* Whether somebody answers there. */
int cl_shim_can_connect(const struct sockaddr_un *address);

/* Where the containers of SPACE are kept by cloister-oci: its --root. */
int cl_shim_state_path(const char *space, char ret[CL_SHIM_PATH], struct cl_error *err);
/* Removes that, when nothing is in it any more; cloister-oci makes it where it is missing. */
void cl_shim_forget_state(const char *path);
/* --- streams (streams.c) ------------------------------------------------------------------- */

enum cl_shim_stream { CL_SHIM_IN, CL_SHIM_OUT, CL_SHIM_ERR, CL_SHIM_STREAMS };

/* Between what containerd named and the process. */
struct cl_shim_streams {
    struct cl_loop *loop;
    const char
        *paths[CL_SHIM_STREAMS]; /* as containerd names them; "": none. Owned by the process */
    int terminal;
    int outer[CL_SHIM_STREAMS];  /* FIFOs and files; -1 */
    int theirs[CL_SHIM_STREAMS]; /* the process's, until it has them; -1 */
    int ours[CL_SHIM_STREAMS];   /* our ends, until a relay has them; -1 */
    int console;                 /* listens for the terminal; -1 */
    char console_path[108];
    int master;     /* the terminal; -1 */
    pid_t logger;   /* a program that takes the output, while it runs; 0: none */
    int ready;      /* that can be closed by it; -1 */
    int input_ends; /* CloseIO has come */
    struct cl_relay *relays[CL_SHIM_STREAMS];
    void (*on_end)(void *context); /* one of them has ended: tidy up, but not in here */
    void *context;
};

/* The process has what is theirs: the rest is carried. */
int cl_shim_streams_begin(struct cl_shim_streams *streams, struct cl_error *err);
/* The process has ended: what lies in its pipes is all that comes. */
void cl_shim_streams_finish(struct cl_shim_streams *streams);
/* Whether output is still to be carried. */
int cl_shim_streams_are_busy(const struct cl_shim_streams *streams);
/* Closes what belongs to those that have ended. */
void cl_shim_streams_tidy(struct cl_shim_streams *streams);
/* No more input than what is there. */
void cl_shim_streams_close_input(struct cl_shim_streams *streams);
int cl_shim_streams_resize(const struct cl_shim_streams *streams, uint32_t width, uint32_t height,
                           struct cl_error *err);
void cl_shim_streams_done(struct cl_shim_streams *streams);

/* --- tasks (tasks.c) ----------------------------------------------------------------------- */

enum cl_shim_state {
    CL_SHIM_NEW,
    CL_SHIM_CREATED,
    CL_SHIM_STARTING,
    CL_SHIM_RUNNING,
    CL_SHIM_STOPPED
};

struct cl_shim_process {
    struct cl_shim_task *task;
    struct cl_shim_process *next;
    char *exec_id; /* "": the task's first */
    char *spec;    /* of an exec: its JSON, and how much of that */
    size_t spec_size;
    enum cl_shim_state state;
    pid_t pid;
    uint32_t exit_status;
    uint64_t exited_ns; /* CLOCK_REALTIME */
    int has_exit;       /* which isn't told yet, as its start isn't, or what is done to its task */
    struct cl_shim_streams streams;
    struct cl_rpc_call *waiters;
    struct cl_rpc_call *deleter; /* waits for the streams' end, */
    uint64_t patience_ns;        /* until then (CLOCK_MONOTONIC); 0: nobody did */
};

struct cl_shim_job;

struct cl_shim_task {
    struct cl_shim *shim;
    struct cl_shim_task *next;
    char *id;
    char *bundle;
    int is_mounted;
    int is_paused;
    struct cl_source oom; /* tells of kills for memory; its descriptor is -1 where nothing does */
    uint64_t oom_kills;   /* that were told */
    uint64_t looks_ns;    /* for more of them, then (CLOCK_MONOTONIC); 0: not */
    int no_new_keyring;
    int systemd;
    uint32_t stand_in; /* a process for which the sandbox's stands in its bundle; 0: none */
    struct cl_shim_process first;
    struct cl_shim_process *execs;
    struct cl_shim_job *job;     /* what is being done to it; NULL: nothing */
    struct cl_rpc_call *pending; /* calls that wait for that, the oldest first */
};

struct cl_shim {
    const struct cl_shim_options *options;
    struct cl_loop loop;
    struct cl_source signals;
    struct cl_source timer; /* of who deletes */
    uint64_t rings_ns;      /* CLOCK_MONOTONIC; UINT64_MAX: not */
    struct cl_rpc_server server;
    struct cl_publisher publisher;
    struct cl_shim_task *tasks;
    struct cl_shim_sandbox *sandbox; /* sandbox.c's; NULL: it has none */
    struct cl_shim_job *jobs;
    struct cl_shim_early *early; /* ends of processes that nobody knows yet */
    struct cl_helper runtime;    /* cloister-oci */
    char state[CL_SHIM_PATH];
    int is_leaving;     /* when all has been said, */
    int leaves_all;     /* whatever is still there */
    uint64_t leaves_ns; /* its sandbox has been shut down: then, at the latest (CLOCK_MONOTONIC) */
};

struct cl_shim_task *cl_shim_find_task(const struct cl_shim *shim, const char *id);
/* NULL for EXEC_ID that it hasn't. */
struct cl_shim_process *cl_shim_find_process(struct cl_shim_task *task, const char *exec_id);
/* Both with a message: -ENOENT. */
struct cl_shim_process *cl_shim_need_process(const struct cl_shim *shim, const char *id,
                                             const char *exec_id, struct cl_error *err);
int cl_shim_task_new(struct cl_shim *shim, const char *id, struct cl_shim_task **ret,
                     struct cl_error *err);
int cl_shim_task_set_bundle(struct cl_shim_task *task, const char *bundle, struct cl_error *err);
void cl_shim_task_free(struct cl_shim_task *task);
int cl_shim_process_new(struct cl_shim_task *task, const char *exec_id,
                        struct cl_shim_process **ret, struct cl_error *err);
void cl_shim_process_free(struct cl_shim_process *process);
int cl_shim_process_set_streams(struct cl_shim_process *process,
                                const char *const paths[CL_SHIM_STREAMS], int terminal,
                                struct cl_error *err);

/* From its creation on, until it is freed. */
void cl_shim_task_watch(struct cl_shim_task *task);
void cl_shim_task_unwatch(struct cl_shim_task *task);
/* Tells of those kills that weren't told. */
void cl_shim_task_look(struct cl_shim_task *task);
/* PID has ended: 0 when it is nobody's. */
int cl_shim_process_ended(struct cl_shim *shim, pid_t pid, int status);
/* Its number is known, and maybe its end. */
void cl_shim_process_is(struct cl_shim_process *process, pid_t pid);
/* Its end is told to who waits, and published. */
void cl_shim_process_tell_end(struct cl_shim_process *process);
/* The same, where it has ended and that isn't told yet. */
void cl_shim_process_settle(struct cl_shim_process *process);

/* Opens what the streams' paths name, and makes what the process gets. */
int cl_shim_streams_open(struct cl_shim_process *process, struct cl_error *err);
/* The program of "binary://" and URI, which takes the output. */
int cl_shim_logger_start(struct cl_shim_process *process, const char *uri, struct cl_error *err);
/* PID was a logger: 1. */
int cl_shim_logger_ended(struct cl_shim *shim, pid_t pid);

/* --- jobs (jobs.c) -------------------------------------------------------------------------- */

enum { CL_SHIM_JOB_WORDS = 16 };

struct cl_shim_job {
    struct cl_shim *shim;
    struct cl_shim_job *next;
    pid_t pid;
    int log;
    struct cl_shim_task *task;
    struct cl_shim_process *process;
    struct cl_rpc_call *call; /* NULL: its caller has gone */
    /* R: 0, or -errno with ERR, as cloister-oci says. The job is freed behind it. */
    void (*on_end)(struct cl_shim_job *job, int r, struct cl_error *err);
};

/* Runs cloister-oci with WORDS (its global options come before), the descriptors FDS in the place
 * of 0 to 2 (-1: /dev/null). JOB is taken, also on failure. */
int cl_shim_job_start(struct cl_shim_job *job, const char *const words[CL_SHIM_JOB_WORDS],
                      const int fds[CL_SHIM_STREAMS], struct cl_error *err);
/* TASK goes: those beside it go on without. */
void cl_shim_jobs_forget(struct cl_shim *shim, const struct cl_shim_task *task);
/* PID was a job's: 1. */
int cl_shim_job_ended(struct cl_shim *shim, pid_t pid, int status);
/* Takes all children that have ended. */
void cl_shim_reap(struct cl_shim *shim);

/* --- the rest ------------------------------------------------------------------------------ */

extern const struct cl_rpc_method cl_shim_methods[];
extern const size_t cl_shim_method_count;
/* Calls of TASK that waited may go on. */
void cl_shim_go_on(struct cl_shim_task *task);
/* One of the process CONTEXT's has: it is tidied up soon, and who waits for that to delete it. */
void cl_shim_streams_have_ended(void *context);
void cl_shim_tidy(struct cl_shim *shim);
/* Whether something of TASK's is still to be tidied up. */
int cl_shim_task_waits(const struct cl_shim_task *task);
/* In IN_NS, at the latest; what was to ring before that still does. */
void cl_shim_ring(struct cl_shim *shim, uint64_t in_ns);

#endif
