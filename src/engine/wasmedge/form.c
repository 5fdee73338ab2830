/* A look at a module's bytes, from section to section.
 *
 * WasmEdge runs machine code that a module brings in a custom section of its name ("universal
 * wasm"), if it isn't told not to; it is told, and such a module is refused beforehand. A memory
 * that begins larger than the limit becomes one without any bytes and with its size all the same:
 * that has to be found here.
 */
#include <errno.h>
#include <string.h>

#include "engine/wasmedge/wasmedge.h"

enum { HEADER = 8, CUSTOM = 0, MEMORIES = 5 };
enum { HAS_MAXIMUM = 1, KNOWN_FLAGS = 7 /* a maximum, shared, of 64 bits */ };

struct reader {
    const uint8_t *bytes;
    size_t size;
    size_t at;
};

/* An unsigned LEB128 number of up to 64 bits. */
static int take_number(struct reader *reader, uint64_t *ret)
{
    uint64_t number = 0;

    for (unsigned int shift = 0; shift < 64 && reader->at < reader->size; shift += 7) {
        const uint8_t byte = reader->bytes[reader->at++];

        number |= (uint64_t)(byte & 0x7fU) << shift;
        if ((byte & 0x80U) == 0) {
            *ret = number;
            return 0;
        }
    }
    return -EINVAL;
}

/* The next SIZE bytes as their own. */
static int take_part(struct reader *reader, uint64_t size, struct reader *ret)
{
    if (size > reader->size - reader->at)
        return -EINVAL;
    *ret = (struct reader){.bytes = reader->bytes + reader->at, .size = (size_t)size};
    reader->at += (size_t)size;
    return 0;
}

static int look_at_memories(struct reader *section, struct cl_edge_form *form)
{
    uint64_t count;
    uint64_t least;
    uint64_t most;
    int r = take_number(section, &count);

    for (uint64_t i = 0; r == 0 && i < count; i++) {
        uint64_t flags;

        r = take_number(section, &flags);
        if (r == 0)
            r = flags > KNOWN_FLAGS ? -EINVAL : take_number(section, &least);
        if (r == 0 && (flags & HAS_MAXIMUM) != 0)
            r = take_number(section, &most);
        if (r == 0 && least > form->memory_pages)
            form->memory_pages = least;
    }
    return r;
}

/* 1: it is WasmEdge's own. */
static int look_at_custom(struct reader *section)
{
    static const char name[] = "wasmedge";
    struct reader found = {0};
    uint64_t size;
    int r = take_number(section, &size);

    if (r == 0)
        r = take_part(section, size, &found);
    return r < 0 ? r : found.size == strlen(name) && memcmp(found.bytes, name, strlen(name)) == 0;
}

static int look_at_section(struct reader *reader, struct cl_edge_form *form, struct cl_error *err)
{
    const size_t at = reader->at;
    const uint8_t id = reader->bytes[reader->at++];
    struct reader section = {0};
    uint64_t size;
    int r = take_number(reader, &size);

    if (r == 0)
        r = take_part(reader, size, &section);
    if (r == 0 && id == CUSTOM)
        r = look_at_custom(&section);
    else if (r == 0 && id == MEMORIES)
        r = look_at_memories(&section, form);
    if (r > 0)
        return cl_refuse(err, EINVAL,
                         "at 0x%zx: the module brings machine code for WasmEdge, which is not run",
                         at);
    return r < 0 ? cl_refuse(err, EINVAL, "at 0x%zx: a section that can't be read", at) : 0;
}

static int look_at_header(const uint8_t *bytes, size_t size, struct cl_error *err)
{
    static const uint8_t core[] = {'\0', 'a', 's', 'm', 1, 0, 0, 0};

    if (size < HEADER || memcmp(bytes, core, 4) != 0)
        return cl_refuse(err, EINVAL, "at 0x0: this is no WebAssembly module");
    if (memcmp(bytes, core, HEADER) == 0)
        return 0;
    if (bytes[6] == 1 && bytes[7] == 0)
        return cl_refuse(err, EINVAL, "it is a component, and WasmEdge runs modules alone here");
    return cl_refuse(err, EINVAL, "at 0x4: the module is of a version that is not known");
}

int cl_edge_look(const uint8_t *bytes, size_t size, struct cl_edge_form *ret, struct cl_error *err)
{
    struct reader reader = {.bytes = bytes, .size = size, .at = HEADER};
    struct cl_edge_form form = {0};
    int r = look_at_header(bytes, size, err);

    while (r == 0 && reader.at < reader.size)
        r = look_at_section(&reader, &form, err);
    if (r == 0)
        *ret = form;
    return r;
}
