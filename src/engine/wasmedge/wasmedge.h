/* wasmedge.h - what is used of WasmEdge's C API, in our own words, and the adapter to it, shared by
 * its files only.
 *
 * No header of WasmEdge's is needed to build this, and no library: libwasmedge.so.0 is loaded when
 * the program runs, where a user has installed it. All versions have that soname, whatever changed
 * between them. Known here, from the sources of WasmEdge (include/api/wasmedge):
 *
 *   0.13          a value type is an int (i32 0x7f, i64 0x7e); a module is parsed by FromBuffer
 *   0.14 to 0.17  a value type is a struct of eight bytes, that functions of the library make
 *                 (ValTypeGenI32, ...); a module is parsed by FromBytes
 *   0.17          takes and gives 64-bit numbers where it had 32: pages and offsets of memories.
 *                 Of what we give the upper half is 0, what we get is cut (imports.c): by the C ABI
 *                 of x86-64 and arm64 that is right for both
 *
 * In all of them a value is 32 bytes: 16 of its bits, and its type behind them. An error's number
 * has its phase in it: from 0.14 on in its second byte.
 */
#ifndef CL_ENGINE_WASMEDGE_WASMEDGE_H
#define CL_ENGINE_WASMEDGE_WASMEDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

#define CL_EDGE_LIBRARY "libwasmedge.so.0"

enum { CL_EDGE_FIRST_MINOR = 13, CL_EDGE_STRUCT_MINOR = 14, CL_EDGE_LAST_MINOR = 17 };

/* --- the API ------------------------------------------------------------------------------- */

struct cl_edge_string { /* and bytes */
    uint32_t size;
    const void *data;
};

struct cl_edge_result {
    uint32_t code;
};

/* Of a host's function, beside its own: the instance is not to go on, which is no error. */
#define CL_EDGE_SUCCESS ((struct cl_edge_result){0})
#define CL_EDGE_TERMINATE ((struct cl_edge_result){1})

struct cl_edge_type { /* 0.14 */
    uint8_t data[8];
};

struct cl_edge_value {
    _Alignas(16) uint64_t bits[2];
    struct cl_edge_type type;
};
_Static_assert(sizeof(struct cl_edge_value) == 32, "as WasmEdge_Value");

struct cl_edge_conf;
struct cl_edge_loader;
struct cl_edge_ast;
struct cl_edge_validator;
struct cl_edge_executor;
struct cl_edge_statistics;
struct cl_edge_store;
struct cl_edge_module;
struct cl_edge_function;
struct cl_edge_function_type;
struct cl_edge_import;
struct cl_edge_memory;
struct cl_edge_frame;

typedef struct cl_edge_result cl_edge_host(void *data, const struct cl_edge_frame *frame,
                                           const struct cl_edge_value *parameters,
                                           struct cl_edge_value *results);

/* CALL(first minor version that has it, the last, type of its value, name, parameters) */
#define CL_EDGE_CALLS(CALL)                                                                        \
    CALL(13, 17, void, LogOff, (void))                                                             \
    CALL(13, 17, bool, ResultOK, (struct cl_edge_result))                                          \
    CALL(13, 17, const char *, ResultGetMessage, (struct cl_edge_result))                          \
    CALL(13, 17, struct cl_edge_value, ValueGenI32, (int32_t))                                     \
    CALL(13, 17, int32_t, ValueGetI32, (struct cl_edge_value))                                     \
    CALL(13, 17, int64_t, ValueGetI64, (struct cl_edge_value))                                     \
    CALL(14, 17, struct cl_edge_type, ValTypeGenI32, (void))                                       \
    CALL(14, 17, struct cl_edge_type, ValTypeGenI64, (void))                                       \
    CALL(13, 17, struct cl_edge_conf *, ConfigureCreate, (void))                                   \
    CALL(13, 17, void, ConfigureSetForceInterpreter, (struct cl_edge_conf *, bool))                \
    CALL(13, 17, void, ConfigureSetMaxMemoryPage, (struct cl_edge_conf *, uint64_t))               \
    CALL(13, 17, void, ConfigureDelete, (struct cl_edge_conf *))                                   \
    CALL(13, 17, struct cl_edge_loader *, LoaderCreate, (const struct cl_edge_conf *))             \
    CALL(13, 13, struct cl_edge_result, LoaderParseFromBuffer,                                     \
         (struct cl_edge_loader *, struct cl_edge_ast **, const uint8_t *, uint32_t))              \
    CALL(14, 17, struct cl_edge_result, LoaderParseFromBytes,                                      \
         (struct cl_edge_loader *, struct cl_edge_ast **, struct cl_edge_string))                  \
    CALL(13, 17, void, LoaderDelete, (struct cl_edge_loader *))                                    \
    CALL(13, 17, struct cl_edge_validator *, ValidatorCreate, (const struct cl_edge_conf *))       \
    CALL(13, 17, struct cl_edge_result, ValidatorValidate,                                         \
         (struct cl_edge_validator *, const struct cl_edge_ast *))                                 \
    CALL(13, 17, void, ValidatorDelete, (struct cl_edge_validator *))                              \
    CALL(13, 17, uint32_t, ASTModuleListImportsLength, (const struct cl_edge_ast *))               \
    CALL(13, 17, uint32_t, ASTModuleListImports,                                                   \
         (const struct cl_edge_ast *, const struct cl_edge_import **, uint32_t))                   \
    CALL(13, 17, void, ASTModuleDelete, (struct cl_edge_ast *))                                    \
    CALL(13, 17, struct cl_edge_string, ImportTypeGetModuleName, (const struct cl_edge_import *))  \
    CALL(13, 17, struct cl_edge_string, ImportTypeGetExternalName,                                 \
         (const struct cl_edge_import *))                                                          \
    CALL(13, 17, struct cl_edge_function_type *, FunctionTypeCreate,                               \
         (const void *, uint32_t, const void *, uint32_t))                                         \
    CALL(13, 17, void, FunctionTypeDelete, (struct cl_edge_function_type *))                       \
    CALL(13, 17, struct cl_edge_function *, FunctionInstanceCreate,                                \
         (const struct cl_edge_function_type *, cl_edge_host *, void *, uint64_t))                 \
    CALL(13, 17, struct cl_edge_module *, ModuleInstanceCreate, (struct cl_edge_string))           \
    CALL(13, 17, void, ModuleInstanceAddFunction,                                                  \
         (struct cl_edge_module *, struct cl_edge_string, struct cl_edge_function *))              \
    CALL(13, 17, struct cl_edge_function *, ModuleInstanceFindFunction,                            \
         (const struct cl_edge_module *, struct cl_edge_string))                                   \
    CALL(13, 17, struct cl_edge_memory *, ModuleInstanceFindMemory,                                \
         (const struct cl_edge_module *, struct cl_edge_string))                                   \
    CALL(13, 17, void, ModuleInstanceDelete, (struct cl_edge_module *))                            \
    CALL(13, 17, struct cl_edge_store *, StoreCreate, (void))                                      \
    CALL(13, 17, void, StoreDelete, (struct cl_edge_store *))                                      \
    CALL(13, 17, struct cl_edge_executor *, ExecutorCreate,                                        \
         (const struct cl_edge_conf *, struct cl_edge_statistics *))                               \
    CALL(13, 17, struct cl_edge_result, ExecutorRegisterImport,                                    \
         (struct cl_edge_executor *, struct cl_edge_store *, const struct cl_edge_module *))       \
    CALL(13, 17, struct cl_edge_result, ExecutorInstantiate,                                       \
         (struct cl_edge_executor *, struct cl_edge_module **, struct cl_edge_store *,             \
          const struct cl_edge_ast *))                                                             \
    CALL(13, 17, struct cl_edge_result, ExecutorInvoke,                                            \
         (struct cl_edge_executor *, const struct cl_edge_function *,                              \
          const struct cl_edge_value *, uint32_t, struct cl_edge_value *, uint32_t))               \
    CALL(13, 17, void, ExecutorDelete, (struct cl_edge_executor *))                                \
    CALL(13, 17, const struct cl_edge_module *, CallingFrameGetModuleInstance,                     \
         (const struct cl_edge_frame *))                                                           \
    CALL(13, 17, uint8_t *, MemoryInstanceGetPointer,                                              \
         (struct cl_edge_memory *, uint64_t, uint64_t))                                            \
    CALL(13, 17, uint64_t, MemoryInstanceGetPageSize, (const struct cl_edge_memory *))

/* The functions by their names without "WasmEdge_". NULL: this version has it not. */
struct cl_edge {
    void *library;
    uint32_t minor;
    char version[32];
// NOLINTNEXTLINE(bugprone-macro-parentheses): a type and a declarator
#define CL_EDGE_MEMBER(first, last, type, name, parameters) type(*name) parameters;
    CL_EDGE_CALLS(CL_EDGE_MEMBER)
#undef CL_EDGE_MEMBER
};

/* --- library.c ----------------------------------------------------------------------------- */

/* Loads the library NAME, as the dynamic loader finds it, and turns its log off. -ENOENT: it can't
 * be loaded; -ENOTSUP: it is of a version that isn't known here, or lacks a function. */
int cl_edge_load(const char *name, struct cl_edge *ret, struct cl_error *err);
void cl_edge_unload(struct cl_edge *edge);
struct cl_edge_string cl_edge_string(const char *text);

/* --- form.c -------------------------------------------------------------------------------- */

struct cl_edge_form {
    uint64_t memory_pages; /* with which the largest memory begins */
};

/* What the library isn't asked: whether the SIZE bytes are a core module, without machine code for
 * the library to run, and how large its memories are. The library is to judge all else. -EINVAL. */
int cl_edge_look(const uint8_t *bytes, size_t size, struct cl_edge_form *ret, struct cl_error *err);

/* --- the adapter --------------------------------------------------------------------------- */

struct cl_engine {
    struct cl_edge edge;
};

struct cl_program {
    struct cl_engine *engine;
    uint8_t *bytes; /* mapped */
    size_t size;
};

/* An import's data. */
struct cl_edge_call {
    struct cl_guest *guest;
    const struct cl_wasi_function *function;
};

/* All of it is this guest's: a process has one. */
struct cl_guest {
    struct cl_program *program;
    struct cl_wasi *wasi;
    struct cl_guest_limits limits;
    struct cl_edge_conf *conf;
    struct cl_edge_executor *executor;
    struct cl_edge_store *store;
    struct cl_edge_module *imports;
    struct cl_edge_ast *ast;
    struct cl_edge_module *instance;
    struct cl_edge_memory *memory; /* the instance's, once found */
    uint64_t memory_bytes;         /* as last seen */
    uint32_t last_answer;          /* of a call that it ended by; 0: none */
    struct cl_edge_call calls[CL_WASI_FUNCTION_COUNT];
};

/* imports.c: wasi_snapshot_preview1 for GUEST, which then owns it. */
int cl_edge_imports_make(struct cl_guest *guest, struct cl_error *err);
/* -EINVAL: the module imports what isn't there; ERR names the first. */
int cl_edge_imports_check(const struct cl_guest *guest, struct cl_error *err);
/* The memory that INSTANCE exports as `memory`, as it is now; none is of no size. */
void cl_edge_find_memory(struct cl_guest *guest, const struct cl_edge_module *instance,
                         struct cl_wasi_memory *ret);

#endif
