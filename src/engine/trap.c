/* A trap in words: what it was, where, and the functions that led there. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "engine/wasmtime.h"

enum { BACKTRACE_MAX = 16 << 10, FRAMES_MOST = 64 };

static const char *const codes[] = {
    [WASMTIME_TRAP_CODE_STACK_OVERFLOW] = "call stack exhausted",
    [WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS] = "memory access out of bounds",
    [WASMTIME_TRAP_CODE_HEAP_MISALIGNED] = "misaligned atomic access",
    [WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS] = "table access out of bounds",
    [WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL] = "indirect call of an empty table entry",
    [WASMTIME_TRAP_CODE_BAD_SIGNATURE] = "indirect call of a function of another type",
    [WASMTIME_TRAP_CODE_INTEGER_OVERFLOW] = "integer overflow",
    [WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = "integer division by zero",
    [WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER] = "conversion to an integer of what is none",
    [WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = "unreachable executed",
    [WASMTIME_TRAP_CODE_INTERRUPT] = "interrupted",
    [WASMTIME_TRAP_CODE_NULL_REFERENCE] = "call of a null reference",
    [WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE] = "allocation too large",
};

/* Names are the module's own: bytes of a stranger. */
static void name_of(const wasm_frame_t *frame, char ret[128])
{
    const wasm_name_t *name = wasmtime_frame_func_name(frame);

    if (name != NULL && name->size > 0)
        (void)snprintf(ret, 128, "%.*s", (int)(name->size < 100 ? name->size : 100), name->data);
    else
        (void)snprintf(ret, 128, "function %u", wasm_frame_func_index(frame));
    cl_utf8_make_printable(ret);
}

static const char *what_of(const wasm_trap_t *trap)
{
    wasmtime_trap_code_t code;

    if (!wasmtime_trap_code(trap, &code))
        return NULL;
    return code < CL_ARRAY_SIZE(codes) && codes[code] != NULL ? codes[code] : "unknown trap";
}

/* One that isn't an instruction's has words of its own, ours. */
static void describe_what(const wasm_trap_t *trap, char ret[CL_TRAP_TEXT_SIZE])
{
    const char *what = what_of(trap);
    wasm_message_t message;

    if (what != NULL) {
        (void)snprintf(ret, CL_TRAP_TEXT_SIZE, "trap: %s", what);
        return;
    }
    wasm_trap_message(trap, &message);
    (void)snprintf(ret, CL_TRAP_TEXT_SIZE, "trap: %.*s", (int)strcspn(message.data, "\n"),
                   message.data);
    wasm_byte_vec_delete(&message);
    cl_utf8_make_printable(ret);
}

/* Of a stack that is exhausted the engine doesn't know where the last function was. */
static int add_frame(const wasm_frame_t *frame, size_t number, struct cl_buf *buf)
{
    const size_t offset = wasm_frame_module_offset(frame);
    char name[128];

    name_of(frame, name);
    return offset == SIZE_MAX ? cl_buf_printf(buf, "  %3zu: %s\n", number, name)
                              : cl_buf_printf(buf, "  %3zu: 0x%zx %s\n", number, offset, name);
}

static void add_frames(const wasm_frame_vec_t *frames, struct cl_buf *buf)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < frames->size && i < FRAMES_MOST; i++)
        r = add_frame(frames->data[i], i, buf);
    if (r == 0 && frames->size > FRAMES_MOST)
        (void)cl_buf_printf(buf, "  and %zu more\n", frames->size - FRAMES_MOST);
}

void cl_trap_describe(const wasm_trap_t *trap, struct cl_guest_end *ret_end)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(BACKTRACE_MAX);
    wasm_frame_vec_t frames;
    char name[128];

    ret_end->kind = CL_GUEST_END_TRAPPED;
    describe_what(trap, ret_end->trap);
    wasm_trap_trace(trap, &frames);
    if (frames.size > 0) {
        const size_t used = strlen(ret_end->trap);

        name_of(frames.data[0], name);
        (void)snprintf(ret_end->trap + used, CL_TRAP_TEXT_SIZE - used, " in %s", name);
        add_frames(&frames, &buf);
    }
    wasm_frame_vec_delete(&frames);
    ret_end->backtrace = buf.size > 0 ? strdup(buf.data) : NULL;
}
