/* What the engine says, in words: an error; a trap, where it was, and the functions that led there.
 */
#include <errno.h>
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
    /* of components */
    [WASMTIME_TRAP_CODE_CANNOT_ENTER_COMPONENT] = "call of a component that can't be entered",
    [WASMTIME_TRAP_CODE_CANNOT_LEAVE_COMPONENT] = "call out of a component that can't be left",
    [WASMTIME_TRAP_CODE_INVALID_CHAR] = "a character that there is none of",
    [WASMTIME_TRAP_CODE_STRING_OUT_OF_BOUNDS] = "a string out of bounds",
    [WASMTIME_TRAP_CODE_LIST_OUT_OF_BOUNDS] = "a list out of bounds",
    [WASMTIME_TRAP_CODE_INVALID_DISCRIMINANT] = "a value of a variant that has none such",
    [WASMTIME_TRAP_CODE_UNALIGNED_POINTER] = "an unaligned pointer",
};

int cl_engine_fail(wasmtime_error_t *error, const char *what, struct cl_error *err)
{
    wasm_message_t message;
    char text[300];

    wasmtime_error_message(error, &message);
    const size_t size = message.size < sizeof(text) ? message.size : sizeof(text) - 1;
    memcpy(text, message.data, size);
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0'; /* what led to it follows */
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
    cl_utf8_make_printable(text);
    return cl_refuse(err, EINVAL, "%s: %s", what, text);
}

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

/* CODE is -1 of one that isn't an instruction's: it has words of its own, ours. */
static void describe_what(int32_t code, const char *words, char ret[CL_TRAP_TEXT_SIZE])
{
    const size_t known = CL_ARRAY_SIZE(codes);

    if (code < 0)
        (void)snprintf(ret, CL_TRAP_TEXT_SIZE, "trap: %.*s", (int)strcspn(words, "\n"), words);
    else
        (void)snprintf(ret, CL_TRAP_TEXT_SIZE, "trap: %s",
                       (size_t)code < known && codes[code] != NULL ? codes[code] : "unknown trap");
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

static void describe_where(const wasm_frame_vec_t *frames, struct cl_guest_end *ret_end)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(BACKTRACE_MAX);
    const size_t used = strlen(ret_end->trap);
    char name[128];

    if (frames->size == 0)
        return;
    name_of(frames->data[0], name);
    (void)snprintf(ret_end->trap + used, CL_TRAP_TEXT_SIZE - used, " in %s", name);
    add_frames(frames, &buf);
    ret_end->backtrace = buf.size > 0 ? strdup(buf.data) : NULL;
}

void cl_trap_describe(const wasm_trap_t *trap, struct cl_guest_end *ret_end)
{
    wasmtime_trap_code_t code = 0;
    wasm_frame_vec_t frames;
    wasm_message_t message;

    ret_end->kind = CL_GUEST_END_TRAPPED;
    const int has_code = wasmtime_trap_code(trap, &code);
    wasm_trap_message(trap, &message);
    describe_what(has_code ? code : -1, message.data, ret_end->trap);
    wasm_byte_vec_delete(&message);
    wasm_trap_trace(trap, &frames);
    describe_where(&frames, ret_end);
    wasm_frame_vec_delete(&frames);
}

void cl_trap_describe_error(const wasmtime_error_t *error, int32_t code, const char *words,
                            struct cl_guest_end *ret_end)
{
    wasm_frame_vec_t frames;

    ret_end->kind = CL_GUEST_END_TRAPPED;
    describe_what(code, words, ret_end->trap);
    wasmtime_error_wasm_trace(error, &frames);
    describe_where(&frames, ret_end);
    wasm_frame_vec_delete(&frames);
}
