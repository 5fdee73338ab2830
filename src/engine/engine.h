/* engine.h - WebAssembly guests in this process: their code, their limits, their WASI, their turns.
 *
 * Purpose: what the worker (cmd/cloister-wasm) needs of a WebAssembly engine, so that it knows
 * none by name. The engine here has no compiler in it: it maps what cloister-wasmc has compiled,
 * which is trusted code (the wall sees to that).
 *
 * An engine is made either for one guest, which runs alone to its end (cl_guest_run), or for many,
 * which run in turns (cl_guest_go_on): each on a stack of its own, until it waits for something,
 * its turn is over, or it ends. What many share is made with the engine: a pool of memories,
 * tables and stacks.
 *
 * Process: installs handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE, by which traps come. One
 * thread. A bug of the engine's ends the process: whoever started it must count with that.
 * Ownership: all objects on the heap, freed by their own function, which takes NULL; guests before
 * their program, programs before their engine.
 */
#ifndef CL_ENGINE_ENGINE_H
#define CL_ENGINE_ENGINE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "wasi/wasi.h"

enum { CL_TRAP_TEXT_SIZE = 300 };

/* --- the engine ---------------------------------------------------------------------------- */

/* For many guests; each number is what all of them, or the largest of them, may have. */
struct cl_engine_pool {
    uint32_t guests;         /* at a time */
    uint64_t memory_bytes;   /* of a linear memory */
    uint64_t table_elements; /* of a table */
};

struct cl_engine;

/* For many guests, as POOL says. -ENOMEM: the address space is too small for it. */
int cl_engine_new(const struct cl_engine_pool *pool, struct cl_engine **ret_engine,
                  struct cl_error *err);
/* For one guest, whose code may be such as many need (IN_TURNS). */
int cl_engine_new_alone(int in_turns, struct cl_engine **ret_engine, struct cl_error *err);
void cl_engine_free(struct cl_engine *engine);

/* What this program has to find in a worker's root, as lines (module/library.h reads them): of an
 * engine that is a library. The process gives up being root for it. Nothing: of any other. */
int cl_engine_probe(struct cl_buf *out, struct cl_error *err);

/* The turn of whoever runs is over when this has been called twice in it. Of an engine for many.
 * Async-signal-safe, and its purpose to be called by a handler. */
void cl_engine_tick(struct cl_engine *engine);

/* --- programs ------------------------------------------------------------------------------ */

struct cl_program;

/* Maps the compiled module behind the descriptor MODULE (borrowed), and finds what it imports.
 * -ENOEXEC: it isn't of this engine's version or settings; -EINVAL: it imports what isn't there. */
int cl_program_new(struct cl_engine *engine, int module, struct cl_program **ret_program,
                   struct cl_error *err);
void cl_program_free(struct cl_program *program);
/* The descriptor that the engine keeps, of the file from which it maps what a new guest's memory
 * begins with: who closes others' must not close that. -1: none. */
int cl_program_file(const struct cl_program *program);

/* --- guests -------------------------------------------------------------------------------- */

struct cl_guest_limits {
    uint64_t memory_bytes;   /* that each linear memory may have */
    uint64_t table_elements; /* that each table may */
};

/* How a guest ended. */
struct cl_guest_end {
    enum {
        CL_GUEST_END_EXITED,
        CL_GUEST_END_TRAPPED,
        CL_GUEST_END_EXCEEDED, /* by more output than it may have (wasi.h) */
    } kind;
    uint32_t exit_code;           /* EXITED */
    char trap[CL_TRAP_TEXT_SIZE]; /* one line: what, and in which function */
    char *backtrace;              /* more lines, NUL-ended; on the heap; NULL: none */
};

struct cl_guest;

/* One that runs PROGRAM (borrowed) with WASI (taken, also on failure). Nothing of it runs yet. */
int cl_guest_new(struct cl_program *program, struct cl_wasi *wasi,
                 const struct cl_guest_limits *limits, struct cl_guest **ret_guest,
                 struct cl_error *err);
/* At any moment: one that has not ended is ended. */
void cl_guest_free(struct cl_guest *guest);

/* Of an engine for one: runs it to its end, once, waiting where it waits. 0, and *RET_END is what
 * became of it; -EINVAL: it is no command, or wants more than its limits. */
int cl_guest_run(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err);

enum cl_turn {
    CL_TURN_ENDED, /* and *RET_END says how */
    CL_TURN_OVER,  /* it would go on */
    CL_TURN_WAITS, /* for what cl_wasi_waits_for says: to go on before is a turn for nothing */
};

/* Of an engine for many: runs it for one turn, not after it has ended. An enum cl_turn; errors as
 * above, after which it has ended. */
int cl_guest_go_on(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err);

/* Bytes of its linear memory; 0 while it has none. They never become fewer. */
uint64_t cl_guest_memory_bytes(const struct cl_guest *guest);

#endif
