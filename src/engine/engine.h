/* engine.h - one WebAssembly guest in this process: its module, its limits, its WASI.
 *
 * Purpose: what the worker (cmd/cloister-wasm) needs of a WebAssembly engine, so that it knows
 * none by name. The engine here has no compiler in it: it maps what cloister-wasmc has compiled,
 * which is trusted code (the wall sees to that).
 *
 * Process: installs handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE, by which traps come. One
 * thread. A bug of the engine's ends the process: whoever started it must count with that.
 * Ownership: all objects on the heap, freed by their own function, which takes NULL.
 */
#ifndef CL_ENGINE_ENGINE_H
#define CL_ENGINE_ENGINE_H

#include <stdint.h>

#include "base/error.h"
#include "wasi/wasi.h"

enum { CL_TRAP_TEXT_SIZE = 300 };

struct cl_guest_limits {
    uint64_t memory_bytes;   /* that each linear memory may have */
    uint64_t table_elements; /* that each table may */
};

/* How a guest ended. */
struct cl_guest_end {
    int is_trap;
    uint32_t exit_code;           /* without a trap */
    char trap[CL_TRAP_TEXT_SIZE]; /* one line: what, and in which function */
    char *backtrace;              /* more lines, NUL-ended; on the heap; NULL: none */
};

struct cl_guest;

/* Maps the compiled module behind the descriptor MODULE (borrowed) for a guest that has WASI
 * (taken, also on failure). Nothing of it runs yet. -ENOEXEC: it isn't of this engine's version or
 * settings. */
int cl_guest_new(int module, struct cl_wasi *wasi, const struct cl_guest_limits *limits,
                 struct cl_guest **ret_guest, struct cl_error *err);
void cl_guest_free(struct cl_guest *guest);

/* Makes it and runs it to its end, once, waiting where it waits. 0, and *RET_END is what became of
 * it; -EINVAL: it is no command, wants imports that there are none of, or more than its limits. */
int cl_guest_run(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err);

#endif
