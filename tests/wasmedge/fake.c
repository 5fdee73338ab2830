/* fake.c - a libwasmedge.so.0 that runs no WebAssembly: what of WasmEdge's C API the adapter
 * (src/engine/wasmedge) calls, for modules whose custom section "fake" says in words what happens.
 *
 * It is compiled by the tests, with FAKE_MINOR as the version it is of: 13 has a value type as an
 * int, later ones as a struct. What it proves is our side: what is called, in which order, who owns
 * what, what an error becomes, and that a library can be loaded in the worker's root and reaches
 * nothing from there. It proves nothing about WasmEdge.
 *
 * A line is a word and its operands: import MODULE NAME; pages N; text OFFSET WORD; word OFFSET N;
 * call NAME N...; expect N (what the call answered, or it traps); grow N (as expect's answer);
 * trap CODE; open PATH and execute PATH (by the process itself: errno to its standard output);
 * spin. "early" before one: at instantiation. "fail WHERE CODE": parse, validate or instantiate
 * fails. "nothing": no _start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"

enum { PAGE = 65536, MOST = 64, LINES = 256, WORDS = 12 };

/* All that is made and not deleted; conf, loader and so on are no more than that. */
API int fake_live;
API int fake_log_is_off;
API int fake_is_interpreter;

static void *make(size_t size)
{
    fake_live++;
    return calloc(1, size);
}

static void drop(void *object)
{
    if (object != NULL)
        fake_live--;
    free(object);
}

static uint8_t letter_of(type_t type)
{
#if FAKE_MINOR < 14
    return (uint8_t)type;
#else
    return type.data[2];
#endif
}

/* --- configuration --------------------------------------------------------- */

struct conf {
    uint32_t pages;
    bool is_interpreter;
};

API void *WasmEdge_ConfigureCreate(void)
{
    return make(sizeof(struct conf));
}

API void WasmEdge_ConfigureSetForceInterpreter(struct conf *conf, const bool is)
{
    conf->is_interpreter = is;
    fake_is_interpreter = is;
}

API void WasmEdge_ConfigureSetMaxMemoryPage(struct conf *conf, const uint32_t pages)
{
    conf->pages = pages;
}

API void WasmEdge_ConfigureDelete(void *conf)
{
    drop(conf);
}

/* --- modules --------------------------------------------------------------- */

struct line {
    int is_early;
    int count;
    char *words[WORDS];
};

struct ast {
    char *text;
    struct line lines[LINES];
    size_t count;
};

static uint64_t number_of(const char *word)
{
    return strtoull(word, NULL, 0);
}

static uint32_t leb(const uint8_t *bytes, size_t *at)
{
    uint32_t number = 0;

    for (unsigned int shift = 0;; shift += 7) {
        const uint8_t byte = bytes[(*at)++];

        number |= (uint32_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return number;
    }
}

static void read_line(struct ast *ast, char *text)
{
    struct line *line = &ast->lines[ast->count];
    char *rest = NULL;

    for (char *word = strtok_r(text, " ", &rest); word != NULL && line->count < WORDS;
         word = strtok_r(NULL, " ", &rest)) {
        if (line->count == 0 && !line->is_early && strcmp(word, "early") == 0)
            line->is_early = 1;
        else
            line->words[line->count++] = word;
    }
    ast->count += line->count > 0;
}

static void read_script(struct ast *ast)
{
    char *rest = NULL;

    for (char *line = strtok_r(ast->text, "\n", &rest); line != NULL && ast->count < LINES;
         line = strtok_r(NULL, "\n", &rest))
        read_line(ast, line);
}

static const struct line *find_line(const struct ast *ast, const char *word, const char *second)
{
    for (size_t i = 0; i < ast->count; i++) {
        const struct line *line = &ast->lines[i];

        if (strcmp(line->words[0], word) == 0 &&
            (second == NULL || (line->count > 1 && strcmp(line->words[1], second) == 0)))
            return line;
    }
    return NULL;
}

static result_t judge(const struct ast *ast, const char *where)
{
    const struct line *line = find_line(ast, "fail", where);

    return (result_t){line == NULL ? 0 : (uint32_t)number_of(line->words[2])};
}

static result_t parse(struct ast **ret, const uint8_t *bytes, uint32_t size)
{
    struct ast *ast = make(sizeof(*ast));

    for (size_t at = 8; at < size;) {
        const uint8_t id = bytes[at++];
        const uint32_t part = leb(bytes, &at);

        if (id == 0 && part > 5 && memcmp(bytes + at, "\4fake", 5) == 0)
            ast->text = strndup((const char *)bytes + at + 5, part - 5);
        at += part;
    }
    if (ast->text == NULL)
        ast->text = strdup("");
    read_script(ast);
    const result_t result = judge(ast, "parse");
    if (result.code != 0) {
        free(ast->text);
        drop(ast);
        return result;
    }
    *ret = ast;
    return result;
}

API void *WasmEdge_LoaderCreate(const struct conf *conf)
{
    if (!conf->is_interpreter)
        abort(); /* it would run what a module brings */
    return make(1);
}

#if FAKE_MINOR < 14
API result_t WasmEdge_LoaderParseFromBuffer(void *loader, struct ast **ret, const uint8_t *bytes,
                                            const uint32_t size)
{
    (void)loader;
    return parse(ret, bytes, size);
}
#else
API result_t WasmEdge_LoaderParseFromBytes(void *loader, struct ast **ret, const string_t bytes)
{
    (void)loader;
    return parse(ret, (const uint8_t *)bytes.data, bytes.size);
}
#endif

API void WasmEdge_LoaderDelete(void *loader)
{
    drop(loader);
}

API void *WasmEdge_ValidatorCreate(const struct conf *conf)
{
    (void)conf;
    return make(1);
}

API result_t WasmEdge_ValidatorValidate(void *validator, const struct ast *ast)
{
    (void)validator;
    return judge(ast, "validate");
}

API void WasmEdge_ValidatorDelete(void *validator)
{
    drop(validator);
}

API uint32_t WasmEdge_ASTModuleListImports(const struct ast *ast, const struct line **ret,
                                           const uint32_t most)
{
    uint32_t count = 0;

    for (size_t i = 0; i < ast->count; i++) {
        if (strcmp(ast->lines[i].words[0], "import") != 0)
            continue;
        if (ret != NULL && count < most)
            ret[count] = &ast->lines[i];
        count++;
    }
    return count;
}

API uint32_t WasmEdge_ASTModuleListImportsLength(const struct ast *ast)
{
    return WasmEdge_ASTModuleListImports(ast, NULL, 0);
}

API void WasmEdge_ASTModuleDelete(struct ast *ast)
{
    free(ast->text);
    drop(ast);
}

API string_t WasmEdge_ImportTypeGetModuleName(const struct line *line)
{
    return (string_t){(uint32_t)strlen(line->words[1]), line->words[1]};
}

API string_t WasmEdge_ImportTypeGetExternalName(const struct line *line)
{
    return (string_t){(uint32_t)strlen(line->words[2]), line->words[2]};
}

/* --- functions and instances ------------------------------------------------ */

struct function_type {
    char parameters[16];
    char results[2];
};

static void read_types(const type_t *types, uint32_t count, char *ret)
{
    for (uint32_t i = 0; i < count; i++)
        ret[i] = letter_of(types[i]) == 0x7f ? 'i' : letter_of(types[i]) == 0x7e ? 'I' : '?';
}

API void *WasmEdge_FunctionTypeCreate(const type_t *parameters, const uint32_t parameter_count,
                                      const type_t *results, const uint32_t result_count)
{
    struct function_type *type = make(sizeof(*type));

    read_types(parameters, parameter_count, type->parameters);
    read_types(results, result_count, type->results);
    return type;
}

API void WasmEdge_FunctionTypeDelete(void *type)
{
    drop(type);
}

struct function {
    struct function_type type;
    host_t *host;
    void *data;
    char name[40];
};

API void *WasmEdge_FunctionInstanceCreate(const struct function_type *type, host_t *host,
                                          void *data, const uint64_t cost)
{
    struct function *function = make(sizeof(*function));

    if (cost != 0)
        abort();
    *function = (struct function){.type = *type, .host = host, .data = data};
    return function;
}

struct memory {
    uint8_t *bytes;
    uint32_t pages, most;
};

struct module {
    struct function *functions[MOST];
    size_t count;
    const struct ast *ast; /* of a guest's */
    struct memory memory;
    struct function start;
};

API void *WasmEdge_ModuleInstanceCreate(const string_t name)
{
    if (name.size != 22 || memcmp(name.data, "wasi_snapshot_preview1", 22) != 0)
        abort();
    return make(sizeof(struct module));
}

API void WasmEdge_ModuleInstanceAddFunction(struct module *module, const string_t name,
                                            struct function *function)
{
    memcpy(function->name, name.data, name.size);
    module->functions[module->count++] = function;
}

API void *WasmEdge_ModuleInstanceFindFunction(struct module *module, const string_t name)
{
    const int is_start = name.size == 6 && memcmp(name.data, "_start", 6) == 0;

    return is_start && find_line(module->ast, "nothing", NULL) == NULL ? &module->start : NULL;
}

API void *WasmEdge_ModuleInstanceFindMemory(struct module *module, const string_t name)
{
    (void)name;
    return find_line(module->ast, "pages", NULL) == NULL ? NULL : &module->memory;
}

API void WasmEdge_ModuleInstanceDelete(struct module *module)
{
    for (size_t i = 0; i < module->count; i++)
        drop(module->functions[i]);
    free(module->memory.bytes);
    drop(module);
}

API uint8_t *WasmEdge_MemoryInstanceGetPointer(struct memory *memory, const uint32_t offset,
                                               const uint32_t size)
{
    return (uint64_t)offset + size > (uint64_t)memory->pages * PAGE ? NULL : memory->bytes + offset;
}

API uint32_t WasmEdge_MemoryInstanceGetPageSize(const struct memory *memory)
{
    return memory->pages;
}

API const void *WasmEdge_CallingFrameGetModuleInstance(const void *frame)
{
    return frame;
}

#ifndef FAKE_LACKS
API void *WasmEdge_StoreCreate(void)
{
    return make(sizeof(struct module *));
}
#endif

API void WasmEdge_StoreDelete(void *store)
{
    drop(store);
}

struct executor {
    struct conf conf;
    const struct module *imports;
};

API void *WasmEdge_ExecutorCreate(const struct conf *conf, void *statistics)
{
    struct executor *executor = make(sizeof(*executor));

    if (statistics != NULL)
        abort();
    executor->conf = *conf;
    return executor;
}

API void WasmEdge_ExecutorDelete(void *executor)
{
    drop(executor);
}

API result_t WasmEdge_ExecutorRegisterImport(struct executor *executor, void *store,
                                             const struct module *module)
{
    (void)store;
    executor->imports = module;
    return (result_t){0};
}

/* --- running ---------------------------------------------------------------- */

static result_t trap(uint32_t code)
{
#if FAKE_MINOR < 14
    return (result_t){0x80 | (code & 0x1f)};
#else
    return (result_t){0x400 | code};
#endif
}

static const struct function *find_function(const struct module *module, const char *name)
{
    for (size_t i = 0; i < module->count; i++) {
        if (strcmp(module->functions[i]->name, name) == 0)
            return module->functions[i];
    }
    abort();
}

static result_t call(const struct executor *executor, struct module *module,
                     const struct line *line, uint64_t *ret_answer)
{
    const struct function *function = find_function(executor->imports, line->words[1]);
    value_t in[WORDS] = {0};
    value_t out[1];

    if ((int)strlen(function->type.parameters) != line->count - 2)
        abort(); /* the types that we were given are not these */
    memset(out, 0xee, sizeof(out));
    for (int i = 2; i < line->count; i++) {
        in[i - 2].bits = (wide)0xabcdef << 64 | number_of(line->words[i]); /* what a union holds */
        if (function->type.parameters[i - 2] == 'i')
            in[i - 2].bits |= (wide)0x5555 << 32;
    }
    const result_t result = function->host(function->data, module, in, out);
    *ret_answer = function->type.results[0] == 'i' ? (uint32_t)out[0].bits : 0;
    return result;
}

static void grow(const struct executor *executor, struct memory *memory, uint64_t pages,
                 uint64_t *ret_answer)
{
    *ret_answer = memory->pages;
    if (memory->pages + pages > executor->conf.pages) {
        *ret_answer = UINT32_MAX;
        return;
    }
    memory->bytes = realloc(memory->bytes, (memory->pages + pages) * PAGE);
    memset(memory->bytes + (uint64_t)memory->pages * PAGE, 0, pages * PAGE);
    memory->pages += (uint32_t)pages;
}

static void say(const char *what, const char *path, int errnum)
{
    char text[256];
    const int size = snprintf(text, sizeof(text), "%s %s %d\n", what, path, errnum);

    if (write(1, text, (size_t)size) != size)
        return; /* a process that has none of those */
}

static int try_open(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int errnum = fd < 0 ? errno : 0;

    say("open", path, errnum);
    if (fd >= 0)
        (void)close(fd);
    return errnum;
}

static result_t step(const struct executor *executor, struct module *module,
                     const struct line *line, uint64_t *answer)
{
    struct memory *memory = &module->memory;
    const char *word = line->words[0];
    const uint64_t number = line->count > 1 ? number_of(line->words[1]) : 0;

    if (strcmp(word, "text") == 0) {
        memcpy(memory->bytes + number, line->words[2], strlen(line->words[2]));
    } else if (strcmp(word, "word") == 0) {
        const uint32_t value = (uint32_t)number_of(line->words[2]);

        memcpy(memory->bytes + number, &value, sizeof(value));
    } else if (strcmp(word, "call") == 0) {
        return call(executor, module, line, answer);
    } else if (strcmp(word, "expect") == 0 && *answer != number) {
        return trap(0x0a);
    } else if (strcmp(word, "grow") == 0) {
        grow(executor, memory, number, answer);
    } else if (strcmp(word, "trap") == 0) {
        return trap((uint32_t)number);
    } else if (strcmp(word, "open") == 0) {
        *answer = (uint64_t)try_open(line->words[1]);
    } else if (strcmp(word, "execute") == 0) {
        char *const argv[] = {line->words[1], NULL};

        (void)execv(line->words[1], argv);
        say("execute", line->words[1], errno);
    } else if (strcmp(word, "spin") == 0) {
        for (volatile int i = 0;; i++)
            ;
    }
    return (result_t){0};
}

static result_t run(const struct executor *executor, struct module *module, int is_early)
{
    uint64_t answer = 0;
    result_t result = {0};

    for (size_t i = 0; result.code == 0 && i < module->ast->count; i++) {
        if (module->ast->lines[i].is_early == is_early)
            result = step(executor, module, &module->ast->lines[i], &answer);
    }
    return result;
}

API result_t WasmEdge_ExecutorInstantiate(struct executor *executor, struct module **ret,
                                          void *store, const struct ast *ast)
{
    const struct line *pages = find_line(ast, "pages", NULL);
    result_t result = judge(ast, "instantiate");

    (void)store;
    if (result.code != 0)
        return result;
    struct module *module = make(sizeof(*module));
    module->ast = ast;
    if (pages != NULL) {
        module->memory.pages = (uint32_t)number_of(pages->words[1]);
        module->memory.bytes = calloc(module->memory.pages, PAGE);
    }
    result = run(executor, module, 1);
    if (result.code != 0)
        WasmEdge_ModuleInstanceDelete(module);
    else
        *ret = module;
    return result;
}

API result_t WasmEdge_ExecutorInvoke(struct executor *executor, const struct function *function,
                                     const value_t *in, const uint32_t in_count, value_t *out,
                                     const uint32_t out_count)
{
    struct module *module = (struct module *)((char *)function - offsetof(struct module, start));

    (void)in, (void)out;
    if (in_count != 0 || out_count != 0)
        abort();
    return run(executor, module, 0);
}
