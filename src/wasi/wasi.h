/* wasi.h - WASI preview 1 for one guest, over directory descriptors and streams of this process.
 *
 * Purpose: the 46 functions of wasi_snapshot_preview1 as C functions that know no engine: they
 * get the guest's memory and the call's arguments, and answer with an errno of the specification.
 * An engine's adapter (src/engine) walks cl_wasi_functions and makes an import of each row.
 *
 * Trust: arguments and memory are hostile. Every pointer and length is checked against the
 * memory's size before use, sums can't overflow, overlaps do no harm, what is read from memory is
 * read once. A path is walked name by name beneath its directory (beneath.h), and what a call does
 * with a name it does at the descriptor of the directory that has it.
 *
 * Waiting: no function blocks on a stream, a socket or a clock. Where it would, it answers
 * CL_WASI_WAITS and says by cl_wasi_waits_for what it waits for; when that has come, the same
 * function is called again with the same arguments. A deadline that was counted from the first
 * call stays what it was. Streams get O_NONBLOCK: they must be the sandbox's own descriptions.
 *
 * Signals: the process ignores SIGPIPE and SIGXFSZ, which would end all of its guests: a write to
 * a pipe that nobody reads is PIPE, one beyond RLIMIT_FSIZE is FBIG.
 *
 * Limits: a list of buffers is used up to its first 128 that aren't empty, as after a short read
 * or write; poll_oneoff takes 4096 subscriptions, more are INVAL; a path has less than PATH_MAX
 * bytes. random_get waits, for nothing, after each megabyte. Calls on files are not bounded in
 * time: what a disk takes, it takes.
 *
 * Threads: none. Memory: all of a guest's state is in its struct cl_wasi; nothing is shared.
 * Source: the WASI preview 1 documentation (witx), "wasi_snapshot_preview1".
 */
#ifndef CL_WASI_WASI_H
#define CL_WASI_WASI_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The guest's linear memory as it is for the time of one call; borrowed. */
struct cl_wasi_memory {
    uint8_t *base;
    uint64_t size_bytes;
};

/* What a function answers beside the specification's errno, which has 16 bits. */
enum {
    CL_WASI_WAITS = 0x10000,   /* call again when what it waits for has come */
    CL_WASI_ENDS = 0x10001,    /* proc_exit: the guest is not to go on; cl_wasi_exit_code */
    CL_WASI_TRAPS = 0x10002,   /* proc_raise of a signal that ends a process: the guest traps */
    CL_WASI_EXCEEDS = 0x10003, /* it writes more than max_output_bytes: it is not to go on */
};

struct cl_wasi_wait {
    struct pollfd *fds; /* until the next call; owned by the guest's state */
    nfds_t count;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none */
};

struct cl_wasi_preopen {
    const char *name; /* as the guest sees it: "/", "/work"; copied */
    int directory;    /* O_PATH or O_RDONLY; taken, also when cl_wasi_new fails */
    int is_read_only; /* no rights to write; the mount is read-only as well */
};

struct cl_wasi_setup {
    const char *const *argv; /* NULL-ended; copied */
    const char *const *envp; /* NULL-ended, "KEY=value"; copied */
    int streams[3];          /* taken; -1: /dev/null's behaviour: end of file, swallows */
    const struct cl_wasi_preopen *preopens; /* become descriptors 3, 4, ... */
    size_t preopen_count;
    uint32_t max_descriptors;    /* of the guest; NFILE beyond */
    uint64_t max_output_bytes;   /* to its standard output and error together; 0: no limit */
    uint32_t max_transfer_bytes; /* that one call reads or writes of a file, so that others needn't
                                    wait for long; 0: no limit */
};

struct cl_wasi;

int cl_wasi_new(const struct cl_wasi_setup *setup, struct cl_wasi **ret_wasi, struct cl_error *err);
/* NULL is fine. Closes all that the guest has open. */
void cl_wasi_free(struct cl_wasi *wasi);

/* Of the last call, which answered CL_WASI_WAITS. */
const struct cl_wasi_wait *cl_wasi_waits_for(const struct cl_wasi *wasi);
/* Of the last call, which answered CL_WASI_ENDS: proc_exit's argument. */
uint32_t cl_wasi_exit_code(const struct cl_wasi *wasi);
/* Bytes that the guest has written to its standard output (1) and error (2) so far. */
uint64_t cl_wasi_written(const struct cl_wasi *wasi, int stream);
/* Writes TEXT to the guest's standard error, if it has that open still, and as much as goes at
 * once. */
void cl_wasi_say(const struct cl_wasi *wasi, const char *text);
/* Whether the guest has ever been beneath one of its directories, or changed one. */
int cl_wasi_has_walked(const struct cl_wasi *wasi);

enum { CL_WASI_FUNCTION_COUNT = 46, CL_WASI_MAX_ARGUMENTS = 9 };

struct cl_wasi_function {
    const char *name;
    const char *parameters; /* a letter each: i for i32, I for i64 */
    int has_result;         /* an i32, the errno; proc_exit has none */
    int may_wait;           /* may answer CL_WASI_WAITS */
    /* ARGUMENTS: one for each letter, an i32 zero-extended. */
    uint32_t (*call)(struct cl_wasi *wasi, const struct cl_wasi_memory *memory,
                     const uint64_t *arguments);
};

extern const struct cl_wasi_function cl_wasi_functions[CL_WASI_FUNCTION_COUNT];

#endif
