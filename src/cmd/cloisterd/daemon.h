/* daemon.h - cloisterd: what its parts know of each other.
 *
 * One process for all pods of a node. containerd speaks gRPC with it, by the sandbox controller's
 * service, through a translator in a jail of its own for each connection (front.c); and ttrpc, by
 * the task service, for the containers of the pods. A container that is a WebAssembly module is a
 * guest of its tenant's worker, which `cloister wasm serve` is, and costs no process: the daemon
 * holds the worker's line and what containerd is to be told.
 *
 * A tenant is a Kubernetes namespace in one of containerd's; without Kubernetes, the latter.
 *
 * When the daemon ends, its guests do: containerd hears that from the lost connection. The pods
 * are written down (record.c), and there again with the next daemon.
 */
#ifndef CL_CMD_DAEMON_H
#define CL_CMD_DAEMON_H

#include <sys/types.h>

#include "base/helper.h"
#include "base/loop.h"
#include "base/child.h"
#include "containerd/bundle.h"
#include "containerd/wall.h"
#include "rpc/client.h"
#include "rpc/publisher.h"
#include "rpc/sandbox_messages.h"
#include "rpc/server.h"
#include "rpc/task_messages.h"
#include "worker/orders.h"

enum { CL_DAEMON_BUCKETS = 1024, CL_TENANT_SIZE = 81, CL_DAEMON_ADDRESS = 108 };

struct cl_daemon_options {
    const char *address;  /* of the controller's socket */
    const char *tasks;    /* of the task service's */
    const char *events;   /* of containerd's ttrpc socket; "": nobody listens */
    const char *guests;   /* of one worker, at a time; as wasm serve has it */
    const char *memory;   /* of one worker, all together */
    uint64_t patience_ns; /* with one: to begin, and to end a guest */
    const char *state;    /* a directory, ours alone */
    int asks;             /* for h(elp) or v(ersion); 0: to be served */
};

struct cl_daemon;

/* --- children (children.c) ------------------------------------------------------------------- */

struct cl_daemon_child {
    struct cl_daemon_child *next;
    pid_t pid;
    /* STATUS as wait(2) has it. NULL: nobody has to know. */
    void (*on_end)(void *context, int status);
    void *context;
};

/* Remembers PID, our child. -ENOMEM, then it is ended. */
int cl_daemon_watch_child(struct cl_daemon *daemon, pid_t pid, void (*on_end)(void *, int),
                          void *context, struct cl_error *err);
/* Runs what START says. */
int cl_daemon_start_child(struct cl_daemon *daemon, const struct cl_child_start *start,
                          void (*on_end)(void *, int), void *context, struct cl_error *err);
/* CONTEXT goes: nobody is told of its children. */
void cl_daemon_forget_context(struct cl_daemon *daemon, const void *context);
/* The same, and they are killed. */
void cl_daemon_end_context(struct cl_daemon *daemon, const void *context);
void cl_daemon_reap(struct cl_daemon *daemon);

/* --- containerd's namespaces (spaces.c) ------------------------------------------------------ */

struct cl_space {
    struct cl_space *next;
    char *name;
    struct cl_publisher publisher;
};

/* NULL, with a message. */
struct cl_space *cl_daemon_space(struct cl_daemon *daemon, const char *name, struct cl_error *err);

/* --- pods (pods.c, record.c) ----------------------------------------------------------------- */

enum cl_pod_shim_state { CL_POD_SHIM_NONE, CL_POD_SHIM_STARTING, CL_POD_SHIM_READY };

struct cl_pod {
    struct cl_daemon *daemon;
    struct cl_pod *next;
    char *space;
    char *id;
    char tenant[CL_TENANT_SIZE];
    uint64_t created_ns; /* CLOCK_REALTIME */
    uint64_t exited_ns;  /* 0: it is there */
    int is_started;
    enum cl_pod_wall wall;
    struct cl_rpc_call *waiters;  /* WASM */
    char shim[CL_DAEMON_ADDRESS]; /* where its shim listens; "": it has none, or that hasn't been
                                     said */
    struct cl_rpc_client *client; /* the connection to that; NULL: there is none */
    struct cl_relay *relays;      /* what it is being asked */
    struct cl_buf plan;           /* WASM: what its shim would be told, of which it has need when
                                     an ordinary container comes (sidecar.c) */
    enum cl_pod_shim_state shim_state;
    struct cl_task *pending; /* ordinary containers that wait for that */
    int is_going;            /* what its shim has left is being removed */
};

/* Where containerd finds the pod's task service, and that one's version. */
enum { CL_POD_ADDRESS = CL_DAEMON_ADDRESS + 16, CL_POD_TASK_VERSION = 3 };
const char *cl_pod_address(const struct cl_pod *pod, char ret[CL_POD_ADDRESS]);

struct cl_pod *cl_daemon_find_pod(const struct cl_daemon *daemon, const char *space,
                                  const char *id);
/* NULL, with a message. */
struct cl_pod *cl_pod_new(struct cl_daemon *daemon, const char *space, const char *id,
                          struct cl_error *err);
/* Its containers, if any are left, are ended; who waits for it is told. */
void cl_pod_stop(struct cl_pod *pod);
/* They are no more. */
void cl_pod_end_tasks(struct cl_pod *pod);
/* Or is about to have one. */
int cl_pod_has_shim(const struct cl_pod *pod);
/* The same, and it is no more. */
void cl_pod_forget(struct cl_pod *pod);

/* What a new pod is to be. */
struct cl_pod_choice {
    enum cl_pod_wall wall;
    char tenant[CL_TENANT_SIZE];
};
/* CALL is a Create. */
int cl_pod_choose(struct cl_rpc_call *call, struct cl_pod_choice *ret, struct cl_error *err);

int cl_pod_record(const struct cl_pod *pod, struct cl_error *err);
void cl_pod_unrecord(const struct cl_pod *pod);
/* Those of the daemon before. What is no record is left and told. */
int cl_daemon_load_pods(struct cl_daemon *daemon, struct cl_error *err);

/* Pods behind the container wall (relay.c): as the methods, of POD. */
int cl_relay_create(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
int cl_relay_start(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
int cl_relay_stop(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
int cl_relay_wait(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
int cl_relay_status(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
int cl_relay_shutdown(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
int cl_relay_metrics(struct cl_pod *pod, struct cl_rpc_call *call, struct cl_error *err);
/* POD goes: who waits for an answer is refused, and its bundle is removed. */
void cl_relays_forget(struct cl_pod *pod);

/* Ordinary containers in pods of modules (sidecar.c). */
int cl_sidecar_keep_plan(struct cl_pod *pod, const struct cl_msg_controller_create *request,
                         struct cl_error *err);
/* TASK, whose creator waits, is one: it is made by its pod's shim. */
int cl_sidecar_create(struct cl_task *task, struct cl_error *err);
/* CALL is about TASK, which is one. */
int cl_sidecar_pass_on(struct cl_task *task, struct cl_rpc_call *call, struct cl_error *err);
/* TASK goes before it was made. */
void cl_sidecar_leave(struct cl_task *task);

/* --- workers (workers.c, patience.c) --------------------------------------------------------- */

struct cl_task;

enum cl_worker_state {
    CL_WORKER_ABSENT,
    CL_WORKER_REMOVING, /* what a dead one has left */
    CL_WORKER_STARTING,
    CL_WORKER_READY,
};

/* What a task still has to tell its worker. */
enum {
    CL_WANT_RUN = 1,
    CL_WANT_PAUSE = 2,
    CL_WANT_CONTINUE = 4,
    CL_WANT_TELL = 8,
    CL_WANT_END = 16,
};

struct cl_worker {
    struct cl_daemon *daemon;
    struct cl_worker *next;
    char tenant[CL_TENANT_SIZE]; /* whose it is, */
    int has_processes;           /* one for each module: they take turns, else; */
    char name[CL_TENANT_SIZE];   /* and whose it says it is: a tenant has one worker */
    enum cl_worker_state state;
    struct cl_source line;   /* to it; -1 */
    struct cl_source output; /* what it says to people; -1 */
    struct cl_source timer;  /* of our patience; -1 */
    int is_awaited;          /* that is set */
    int is_left;             /* one was started that may not have been removed */
    char said[300];          /* that, its beginning */
    pid_t pid;               /* its supervisor's */
    uint64_t last_guest;
    struct cl_task *guests[CL_DAEMON_BUCKETS]; /* by their numbers */
    struct cl_task *first, **end;              /* who has something to tell it */
    size_t users;                              /* tasks of it */
};

/* That of TENANT, which may not have been started yet; NULL, with a message. */
struct cl_worker *cl_daemon_worker(struct cl_daemon *daemon, const char *tenant, int has_processes,
                                   struct cl_error *err);
/* TASK, which hasn't begun, has WORKER from now on. */
void cl_task_set_worker(struct cl_task *task, struct cl_worker *worker);
/* TASK tells its worker WANTS, as soon as there is one that listens. */
void cl_worker_tell(struct cl_task *task, unsigned int wants);
/* The guest of TASK, of which nobody wants to hear any more, is ended. */
void cl_worker_end_now(struct cl_task *task);
/* TASK is nothing to its worker any more. */
void cl_worker_leave(struct cl_task *task);
/* It is worth nothing any more, for the reason WHY: all that it runs has ended, and what is left of
 * it is removed. */
void cl_worker_desert(struct cl_worker *worker, const struct cl_error *why);
/* Our patience with it: it has to begin, or to end those guests that were told to, in a while. */
int cl_patience_init(struct cl_worker *worker, struct cl_error *err);
void cl_patience_begin(struct cl_worker *worker); /* anew */
void cl_patience_go_on(struct cl_worker *worker); /* unless it is awaited already */
void cl_patience_end(struct cl_worker *worker);
void cl_patience_done(struct cl_worker *worker);
/* Ends those whose tenants have neither pods nor tasks. */
void cl_daemon_sweep_workers(struct cl_daemon *daemon);
void cl_daemon_end_workers(struct cl_daemon *daemon);

/* --- what a container runs (prepare.c, recent.c) --------------------------------------------- */

/* A module and how it is run. */
struct cl_prepared {
    int code;                       /* compiled, sealed; owned */
    int doors[CL_ORDER_MAX_GROUPS]; /* of its cgroup, where it has a process; owned */
    uint32_t door_count;
    char *order; /* struct cl_order_run and its strings; owned */
    size_t order_size;
};
#define CL_PREPARED_INIT ((struct cl_prepared){.code = -1})

void cl_prepared_done(struct cl_prepared *prepared);

/* Has a child of ours read TASK's bundle, with its root file system of MOUNTS. Its answer comes to
 * cl_task_prepared. */
int cl_prepare_start(struct cl_task *task, const struct cl_wire_list *mounts, struct cl_error *err);

/* What lately came of the same configuration, and the same module; both are looked at anew.
 * 1: RET is a copy. 0: it has to be found out. */
struct cl_recent;
int cl_recent_find(struct cl_task *task, struct cl_prepared *ret);
void cl_recent_done(struct cl_daemon *daemon);

/* --- tasks (tasks.c, task_calls.c) ------------------------------------------------------------ */

enum cl_task_state {
    CL_TASK_PREPARING,
    CL_TASK_READY,
    CL_TASK_STARTS,
    CL_TASK_RUNS,
    CL_TASK_ENDED,
    CL_TASK_ELSEWHERE, /* an ordinary container, which its pod's shim has */
};

enum { CL_TASK_STREAMS = 3 };

struct cl_task {
    struct cl_daemon *daemon;
    struct cl_task *next; /* in its bucket */
    struct cl_space *space;
    char *id;
    char *bundle;
    char *pod; /* the sandbox's id; "" */
    char *paths[CL_TASK_STREAMS];
    enum cl_task_state state;
    int is_paused;
    int signal;       /* by which it was told to end, */
    uint64_t told_ns; /* then, CLOCK_MONOTONIC */
    struct cl_prepared what;
    int input;                    /* keeps its standard input from ending, until CloseIO; -1 */
    int streams[CL_TASK_STREAMS]; /* from the start until the worker has them; the last until the
                                     end, for what we say ourselves */
    struct cl_source preparer;    /* the channel of; -1 */
    struct cl_rpc_call *creator;  /* waits for that */
    struct cl_rpc_call *starter;
    struct cl_rpc_call *waiters;
    struct cl_rpc_call *askers; /* of Stats */
    struct cl_worker *worker;
    uint64_t guest; /* its number there; 0: none */
    struct cl_task *next_guest;
    struct cl_task *next_telling;
    struct cl_task *next_pending;
    int has_process;    /* and a cgroup (group.h) */
    pid_t own_pid;      /* that process's; 0: it isn't known */
    unsigned int looks; /* for that */
    int wants_terminal;
    int is_telling; /* in that list */
    unsigned int wants;
    uint32_t pid;
    uint32_t exit_status;
    uint64_t exited_ns;
    uint64_t cpu_ns, memory_bytes; /* as it was last told */
};

/* SPACE "": containerd 1.6 names none, and means the only one of that name. */
struct cl_task *cl_daemon_find_task(const struct cl_daemon *daemon, const char *space,
                                    const char *id);
int cl_task_new(struct cl_daemon *daemon, const char *space, const char *id, struct cl_task **ret,
                struct cl_error *err);
/* It is no more: its worker isn't asked, its callers are refused. */
void cl_task_free(struct cl_task *task);
/* It didn't come to be: its creator is told WHY, and it is no more. */
void cl_task_refuse(struct cl_task *task, const struct cl_error *why);
void cl_task_close_streams(struct cl_task *task);
/* R: 0, or -errno with ERR; WHAT is taken. */
void cl_task_prepared(struct cl_task *task, int r, struct cl_prepared *what, struct cl_error *err);
/* The worker's word, checked for its shape alone. */
void cl_task_answered(struct cl_task *task, const struct cl_answer *answer);
/* Its worker has gone, for the reason in ERR. */
void cl_task_deserted(struct cl_task *task, const struct cl_error *err);
/* SIGNAL is sent to it: one that ends processes ends it. */
void cl_task_kill(struct cl_task *task, int signal);
/* It ended with STATUS, as a shell would say it. */
void cl_task_end(struct cl_task *task, uint32_t status);
void cl_task_publish_created(const struct cl_task *task);
void cl_task_publish_deleted(const struct cl_task *task);
void cl_task_publish_changed(const struct cl_task *task, const char *topic, const char *type);
/* An answer for who asked what it uses. */
void cl_task_answer_askers(struct cl_task *task);

/* --- the daemon ------------------------------------------------------------------------------ */

struct cl_daemon {
    const struct cl_daemon_options *options;
    struct cl_loop loop;
    struct cl_source signals;
    struct cl_source front;  /* listens for gRPC */
    struct cl_source rested; /* a timer, for when it does again */
    struct cl_rpc_server server;
    struct cl_daemon_child *children;
    struct cl_space *spaces;
    struct cl_pod *pods;
    struct cl_worker *workers;
    struct cl_task *tasks[CL_DAEMON_BUCKETS];
    size_t task_count;
    struct cl_recent *recent;
    struct cl_helper translator; /* cloister-grpc */
    struct cl_helper cloister;
    struct cl_helper shim; /* containerd-shim-cloister-v2 */
};

int cl_daemon_serve(const struct cl_daemon_options *options, struct cl_error *err);
/* Listens for gRPC at FD, a stream socket. */
int cl_front_init(struct cl_daemon *daemon, int fd, struct cl_error *err);

/* The worker of pods of NAMESPACE ("": of what is in none) in containerd's SPACE. */
void cl_daemon_name_tenant(const char *space, const char *namespace, char ret[CL_TENANT_SIZE]);
/* TEXT in memory of its own; NULL: there is none. */
char *cl_daemon_copy(const char *text);
/* A line to standard error: ABOUT what, and why. */
void cl_daemon_say(const char *about, const struct cl_error *why);

extern const struct cl_rpc_method cl_daemon_methods[];
extern const size_t cl_daemon_method_count;

/* The methods. */
int cl_controller_create(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_start(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_platform(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_stop(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_wait(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_status(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_shutdown(struct cl_rpc_call *call, struct cl_error *err);
int cl_controller_metrics(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_create(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_start(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_delete(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_state(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_pids(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_pause(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_resume(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_kill(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_wait(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_stats(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_connect(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_shutdown(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_close_io(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_checkpoint(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_exec(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_resize(struct cl_rpc_call *call, struct cl_error *err);
int cl_task_serve_update(struct cl_rpc_call *call, struct cl_error *err);

#endif
