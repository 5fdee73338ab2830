/* state.h - what a guest has: its descriptors, strings and what it waits for. wasi/'s own. */
#ifndef CL_WASI_STATE_H
#define CL_WASI_STATE_H

#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "wasi/abi.h"
#include "wasi/errno.h"
#include "wasi/memory.h"
#include "wasi/wasi.h"

/* --- descriptors --------------------------------------------------------------------------- */

struct cl_wasi_descriptor {
    int is_open;
    int host;        /* owned; -1: as /dev/null */
    int is_path;     /* HOST is O_PATH, until something needs more */
    int stream;      /* 1 or 2: what is written counts as that stream's; else 0 */
    uint8_t type;    /* CL_WASI_TYPE_* */
    int is_terminal; /* has no place to seek to, and is told to be one by that */
    uint16_t flags;  /* fdflags; CL_WASI_NONBLOCK is kept here alone */
    uint64_t base, inheriting;
    uint64_t device;     /* st_dev */
    uint64_t cookie;     /* of a directory: where HOST stands */
    const char *preopen; /* its name, in the state's names; or NULL */
    size_t poll_slot;
};

#define CL_WASI_NO_DESCRIPTOR                                                                      \
    {                                                                                              \
        .host = -1                                                                                 \
    }

/* The open descriptor NUMBER if it has all of RIGHTS: BADF, NOTCAPABLE. Borrowed, until one is
 * opened or closed. */
uint32_t cl_wasi_find(struct cl_wasi *wasi, uint64_t number, uint64_t rights,
                      struct cl_wasi_descriptor **ret);
/* The same for one that paths begin at: NOTDIR too. */
uint32_t cl_wasi_find_directory(struct cl_wasi *wasi, uint64_t number, uint64_t rights,
                                struct cl_wasi_descriptor **ret);
/* Makes sure that one more can be opened: NFILE, NOMEM. */
uint32_t cl_wasi_make_room(struct cl_wasi *wasi);
/* Takes what DESCRIPTOR has as the lowest free number; after cl_wasi_make_room. */
uint32_t cl_wasi_add(struct cl_wasi *wasi, struct cl_wasi_descriptor *descriptor);
/* None is fine. */
void cl_wasi_close(struct cl_wasi_descriptor *descriptor);

/* Of an open host descriptor: type, device, whether it is a terminal. A result of the host's. */
int cl_wasi_describe(struct cl_wasi_descriptor *descriptor);

/* --- the state ----------------------------------------------------------------------------- */

struct cl_wasi_strings {
    char *data; /* each ends with a NUL */
    uint32_t size, count;
};

/* What a call that waits has to know when it is made again. */
struct cl_wasi_continued {
    int is_waiting;
    uint64_t arguments[4];
    uint64_t started_ns; /* poll_oneoff: its relative times count from here */
    uint64_t done;       /* sock_recv, random_get: bytes that have come */
};

struct cl_wasi {
    struct cl_wasi_descriptor *descriptors;
    uint32_t room, max_descriptors;
    uint32_t lowest_free; /* none below is free */
    struct cl_wasi_strings arguments, environment;
    char *names; /* of preopens */
    uint32_t exit_code;
    uint64_t written[3];
    uint64_t max_output_bytes;   /* 0: no limit */
    uint32_t max_transfer_bytes; /* the same */
    int has_walked;

    struct cl_wasi_wait wait;
    struct pollfd one;     /* what most waits are for */
    struct pollfd *polled; /* owned; poll_oneoff's */
    struct cl_wasi_continued poll, receive, random;

    char paths[2][PATH_MAX]; /* of a call; too large for the stack */
};

/* Answers for a call that would block: AGAIN, or CL_WASI_WAITS for EVENTS. */
uint32_t cl_wasi_would_block(struct cl_wasi *wasi, const struct cl_wasi_descriptor *descriptor,
                             short events);
/* Whether this is the call again, by its first COUNT (at most 4) arguments. */
int cl_wasi_is_again(const struct cl_wasi_continued *continued, const uint64_t *arguments,
                     size_t count);
void cl_wasi_go_on_later(struct cl_wasi_continued *continued, const uint64_t *arguments,
                         size_t count);

/* --- the functions ------------------------------------------------------------------------- */

/* One of the table's, whose arguments are by their place in the specification. */
#define CL_WASI_CALL(name)                                                                         \
    uint32_t cl_wasi_##name(CL_UNUSED struct cl_wasi *wasi,                                        \
                            CL_UNUSED const struct cl_wasi_memory *memory,                         \
                            CL_UNUSED const uint64_t *arguments)

#endif
