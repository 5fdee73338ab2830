/* orders.h - what a WebAssembly worker is told, and what it answers.
 *
 * On its line (descriptor 3, a SOCK_SEQPACKET pair whose other end the supervisor of its sandbox
 * has) it is told once what kind of worker it is. Alone, it runs the module behind descriptor 4,
 * with its own arguments, environment and streams, and ends as that did. One whose root has files
 * that are not its guest's runs that apart: beside it, in a directory of its own. For many,
 * descriptors of clients come over the line, one in each message: SOCK_SEQPACKET sockets by which
 * they have guests run, each with its own number, streams and limits, and are told how those ended.
 * When a client is gone its guests are ended. Guests of a worker for many take turns in it, or have
 * a process each, which enters the cgroups that its client opens for it.
 *
 * The worker is assumed to be broken by its guests: what it says is foreign bytes. What it is told
 * speaks of nothing of the host. A client has the privilege of whoever started the worker: the code
 * that it brings is trusted as far as the worker's jail reaches. All are of one build; another
 * version is refused.
 */
#ifndef CL_WORKER_ORDERS_H
#define CL_WORKER_ORDERS_H

#include <limits.h>
#include <stdint.h>

enum {
    CL_WORKER_VERSION = 5,
    CL_WORKER_LINE = 3,   /* descriptors of the worker */
    CL_WORKER_MODULE = 4, /* the compiled module, a regular file; of one that is alone */
    CL_WORKER_FDS = 2,
};

/* Exit statuses of one that is alone: it could not begin; of its guest's those beyond are this. */
enum { CL_WORKER_NOT_BEGUN = 126, CL_WORKER_MOST_STATUS = 255 };

/* --- the line: supervisor and worker ------------------------------------------------------- */

/* Supervisor to worker, before it begins. */
struct cl_worker_orders {
    uint32_t version;
    uint32_t max_descriptors; /* of a guest, at most */
    uint64_t memory_bytes;    /* that each linear memory may have, at most */
    uint64_t table_elements;  /* that each table may, at most */
    uint32_t guests;          /* at a time; 0: one, alone */
    uint32_t in_turns;        /* code is such as those need who take turns; many without have a
                                 process each */
    uint32_t has_domains;     /* of those processes: Landlock's, or they don't run */
    uint32_t first_user;      /* the first of as many users as there are guests, one for each of
                                 those processes; 0: all are the worker's */
    uint32_t has_network;     /* of a component: it may make sockets */
    uint32_t volumes;      /* of one for many, or apart: that many struct cl_worker_volume follow */
    uint32_t arguments;    /* alone and apart: so many of its arguments are the guest's, and those
                               behind them its environment; 0: it isn't apart */
    uint32_t is_read_only; /* of one apart: its own directory, but for /tmp */
};

/* Of a worker apart: the directory of scratch that is its guest's root. */
#define CL_WORKER_APART "/.guest"

/* One message, which ends with its path's NUL: a directory that all guests have. */
struct cl_worker_volume {
    uint32_t is_read_only;
    char path[PATH_MAX]; /* NUL-ended; in the worker's root, and the guests' name of it */
};

/* Worker to supervisor: why its guest didn't end by itself, or it could not begin. */
struct cl_worker_words {
    uint32_t version;
    char message[300]; /* NUL-ended */
};

/* --- clients of a worker for many ---------------------------------------------------------- */

enum { CL_ORDER_MAX_BYTES = 128 << 10, CL_ORDER_MAX_GROUPS = 4, CL_ORDER_MAX_FDS = 8 };

enum cl_order_kind {
    CL_ORDER_RUN = 1, /* struct cl_order_run */
    CL_ORDER_END,     /* ends the guest: killed */
    CL_ORDER_PAUSE,   /* its time limit goes on */
    CL_ORDER_CONTINUE,
    CL_ORDER_TELL, /* what it uses */
};

/* Client to worker: begins each message, and is all of most. An order for a guest that the client
 * has not, or no longer, is nothing to it. */
struct cl_order {
    uint32_t version;
    uint32_t kind;  /* enum cl_order_kind */
    uint64_t guest; /* the client's number for it: of one that it hasn't, with RUN */
};

/* With it come the compiled module, the streams of STREAMS in their order, and GROUPS. */
struct cl_order_run {
    struct cl_order order;
    uint64_t memory_bytes;   /* limits; the worker's own where they are larger, or 0 */
    uint64_t table_elements; /* the same */
    uint64_t cpu_time_ns;    /* 0: no limit */
    uint64_t time_ns;        /* 0: no limit */
    uint64_t output_bytes;   /* 0: no limit */
    uint32_t max_descriptors;
    uint32_t streams;     /* bit 0: standard input comes, ...; the others are as /dev/null */
    uint32_t arguments;   /* of the strings behind this struct, NUL-ended, so many are those, */
    uint32_t environment; /* and so many these */
    uint32_t groups;      /* so many descriptors follow the streams: files of cgroups, in which
                             the guest's process writes "0" to enter them; of one that has none: 0 */
    uint32_t reserved;
};

enum cl_answer_kind {
    CL_ANSWER_ENDED = 1, /* as STATUS says */
    CL_ANSWER_REFUSED,   /* it never began: the message says why, the code is an errno */
    CL_ANSWER_TOLD,      /* what it uses now */
};

enum cl_answer_status {
    CL_ANSWER_EXITED = 1, /* code: its exit status */
    CL_ANSWER_TRAPPED,    /* the message says how */
    CL_ANSWER_KILLED,
    CL_ANSWER_TIME, /* limits */
    CL_ANSWER_CPU_TIME,
    CL_ANSWER_OUTPUT,
    CL_ANSWER_SIGNALED, /* its process, by the kernel or by somebody else: code is the signal */
};

/* Worker to client. */
struct cl_answer {
    uint32_t version;
    uint32_t kind; /* enum cl_answer_kind */
    uint64_t guest;
    uint32_t status; /* enum cl_answer_status */
    uint32_t code;
    uint64_t run_ns;       /* since it began */
    uint64_t cpu_ns;       /* of the worker's thread for it, or of its process */
    uint64_t memory_bytes; /* of its linear memory, which never shrinks; 0: unknown */
    uint64_t output_bytes; /* written to standard output */
    uint64_t error_bytes;  /* and error */
    char message[300];     /* NUL-ended */
};

#endif
