/* runner.c - does to instances of compiled modules what the core specification's tests say.
 *
 * Built by tests/lib/wasm_spec.py with the engine as the worker has it: the same library, set the
 * same way. A line of standard input is a command; FIELD and AS are in hexadecimal, ".": empty; as
 * a NAME "-" is the last module:
 *
 *   module NAME PATH        instantiates what cloister-wasmc made of one
 *   register AS NAME        from now on others can import from it
 *   invoke NAME FIELD VALUE...
 *   get NAME FIELD          of a global
 *
 * A line of standard output is the answer: "ok VALUE...", "trap CODE" (by the engine's number), or
 * "error WORDS". VALUE: i32:HEX, i64:HEX, f32:HEX, f64:HEX (the bits), v128:HEX (its bytes),
 * func:null, func:some. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wasm.h>
#include <wasmtime.h>

#include "policy/wasm.h"

enum { MAX_INSTANCES = 4096, MAX_VALUES = 64, MAX_LINE = 1 << 20, MAX_NAME = 1 << 16 };

static struct {
    wasm_engine_t *engine;
    wasmtime_linker_t *linker;
    wasmtime_context_t *context;
    struct {
        char *name;
        wasmtime_instance_t instance;
    } instances[MAX_INSTANCES];
    size_t count;
} world;

static void say_error(const char *text)
{
    printf("error %.*s\n", (int)strcspn(text, "\n"), text);
}

/* Whether there was one of either, which is said and freed. */
static int failed(wasmtime_error_t *error, wasm_trap_t *trap)
{
    wasm_message_t message;
    wasmtime_trap_code_t code = 0;
    char text[1000];

    if (trap != NULL) {
        if (wasmtime_trap_code(trap, &code))
            printf("trap %d\n", code);
        else
            puts("error a trap without a code");
        wasm_trap_delete(trap);
    } else if (error != NULL) {
        wasmtime_error_message(error, &message);
        snprintf(text, sizeof(text), "%.*s", (int)message.size, message.data);
        say_error(text);
        wasm_byte_vec_delete(&message);
    }
    if (error != NULL)
        wasmtime_error_delete(error);
    return trap != NULL || error != NULL;
}

static size_t unhex(const char *text, uint8_t *ret, size_t room)
{
    size_t size = 0;
    unsigned int byte;

    for (; size < room && sscanf(text + 2 * size, "%2x", &byte) == 1; size++)
        ret[size] = (uint8_t)byte;
    return size;
}

static const wasmtime_instance_t *find(const char *name)
{
    for (size_t i = world.count; i > 0; i--)
        if (strcmp(name, "-") == 0 || strcmp(world.instances[i - 1].name, name) == 0)
            return &world.instances[i - 1].instance;
    return NULL;
}

static void load(const char *name, const char *path)
{
    wasmtime_module_t *module = NULL;
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_module_deserialize_file(world.engine, path, &module);

    if (error == NULL)
        error = wasmtime_linker_instantiate(world.linker, world.context, module, &instance, &trap);
    if (module != NULL)
        wasmtime_module_delete(module);
    if (failed(error, trap))
        return;
    if (world.count == MAX_INSTANCES)
        abort();
    world.instances[world.count].name = strdup(name);
    world.instances[world.count++].instance = instance;
    puts("ok");
}

static void make_known(const char *as, const char *name)
{
    static uint8_t text[MAX_NAME];
    const size_t size = unhex(as, text, sizeof(text));
    const wasmtime_instance_t *instance = find(name);

    if (instance == NULL)
        puts("error no such module");
    else if (!failed(wasmtime_linker_define_instance(world.linker, world.context,
                                                     (const char *)text, size, instance),
                     NULL))
        puts("ok");
}

static int find_field(const char *name, const char *field, wasmtime_extern_t *ret)
{
    static uint8_t text[MAX_NAME];
    const size_t size = unhex(field, text, sizeof(text));
    const wasmtime_instance_t *instance = find(name);

    if (instance != NULL &&
        wasmtime_instance_export_get(world.context, instance, (const char *)text, size, ret))
        return 1;
    puts(instance == NULL ? "error no such module" : "error no such export");
    return 0;
}

static void read_value(const char *text, wasmtime_val_t *ret)
{
    const char *bits = strchr(text, ':') + 1;
    const uint64_t number = strtoull(bits, NULL, 16);
    const uint32_t half = (uint32_t)number;

    memset(ret, 0, sizeof(*ret));
    if (strncmp(text, "i32:", 4) == 0) {
        ret->kind = WASMTIME_I32;
        ret->of.i32 = (int32_t)half;
    } else if (strncmp(text, "i64:", 4) == 0) {
        ret->kind = WASMTIME_I64;
        ret->of.i64 = (int64_t)number;
    } else if (strncmp(text, "f32:", 4) == 0) {
        ret->kind = WASMTIME_F32;
        memcpy(&ret->of.f32, &half, sizeof(half));
    } else if (strncmp(text, "f64:", 4) == 0) {
        ret->kind = WASMTIME_F64;
        memcpy(&ret->of.f64, &number, sizeof(number));
    } else if (strncmp(text, "v128:", 5) == 0) {
        ret->kind = WASMTIME_V128;
        (void)unhex(bits, ret->of.v128, sizeof(ret->of.v128));
    } else {
        ret->kind = WASMTIME_FUNCREF;
        wasmtime_funcref_set_null(&ret->of.funcref);
    }
}

static void say_value(const wasmtime_val_t *value)
{
    uint64_t number = 0;
    uint32_t half = 0;

    switch (value->kind) {
    case WASMTIME_I32:
        printf(" i32:%x", (uint32_t)value->of.i32);
        break;
    case WASMTIME_I64:
        printf(" i64:%llx", (unsigned long long)value->of.i64);
        break;
    case WASMTIME_F32:
        memcpy(&half, &value->of.f32, sizeof(half));
        printf(" f32:%x", half);
        break;
    case WASMTIME_F64:
        memcpy(&number, &value->of.f64, sizeof(number));
        printf(" f64:%llx", (unsigned long long)number);
        break;
    case WASMTIME_V128:
        printf(" v128:");
        for (size_t i = 0; i < sizeof(value->of.v128); i++)
            printf("%02x", value->of.v128[i]);
        break;
    case WASMTIME_FUNCREF:
        printf(" func:%s", wasmtime_funcref_is_null(&value->of.funcref) ? "null" : "some");
        break;
    default:
        printf(" kind:%d", value->kind);
    }
}

static void invoke(const char *name, const char *field, char **values, size_t count)
{
    wasmtime_val_t arguments[MAX_VALUES];
    wasmtime_val_t results[MAX_VALUES];
    wasmtime_extern_t found;
    wasm_trap_t *trap = NULL;

    if (!find_field(name, field, &found))
        return;
    if (found.kind != WASMTIME_EXTERN_FUNC) {
        puts("error no function");
        return;
    }
    for (size_t i = 0; i < count; i++)
        read_value(values[i], &arguments[i]);
    wasm_functype_t *type = wasmtime_func_type(world.context, &found.of.func);
    const size_t wanted = wasm_functype_results(type)->size;
    wasm_functype_delete(type);
    wasmtime_error_t *error =
        wasmtime_func_call(world.context, &found.of.func, arguments, count, results, wanted, &trap);
    if (failed(error, trap))
        return;
    printf("ok");
    for (size_t i = 0; i < wanted; i++)
        say_value(&results[i]);
    puts("");
}

static void get(const char *name, const char *field)
{
    wasmtime_extern_t found;
    wasmtime_val_t value;

    if (!find_field(name, field, &found))
        return;
    if (found.kind != WASMTIME_EXTERN_GLOBAL) {
        puts("error no global");
        return;
    }
    wasmtime_global_get(world.context, &found.of.global, &value);
    printf("ok");
    say_value(&value);
    puts("");
}

static void obey(char *line)
{
    char *words[MAX_VALUES + 3];
    size_t count = 0;

    for (char *word = strtok(line, " \n"); word != NULL && count < MAX_VALUES + 3;
         word = strtok(NULL, " \n"))
        words[count++] = word;
    if (count == 3 && strcmp(words[0], "module") == 0)
        load(words[1], words[2]);
    else if (count == 3 && strcmp(words[0], "register") == 0)
        make_known(words[1], words[2]);
    else if (count == 3 && strcmp(words[0], "get") == 0)
        get(words[1], words[2]);
    else if (count >= 3 && strcmp(words[0], "invoke") == 0)
        invoke(words[1], words[2], words + 3, count - 3);
    else
        puts("error no such command");
    fflush(stdout);
}

int main(void)
{
    static char line[MAX_LINE];
    wasm_config_t *config = wasm_config_new();

    cl_wasm_configure(config, false);
    world.engine = wasm_engine_new_with_config(config);
    wasmtime_store_t *store = wasmtime_store_new(world.engine, NULL, NULL);
    world.context = wasmtime_store_context(store);
    wasmtime_context_set_epoch_deadline(world.context, UINT64_MAX / 2);
    world.linker = wasmtime_linker_new(world.engine);
    wasmtime_linker_allow_shadowing(world.linker, true);
    while (fgets(line, sizeof(line), stdin) != NULL)
        obey(line);
    return 0;
}
