/* json_decode.h - JSON objects into structs, by a table of their fields.
 *
 * A shape names the members that an object may have. Any other is an error, or passed over
 * where the shape is OPEN (the OCI's documents may have properties that nobody knows), unless
 * it is one of ours but for the case of its letters: some readers take that for the same, and
 * a document must mean the same to all of its readers. A value of another type is an error:
 * nothing is converted. null counts as absent. Errors name the value by its path:
 * `syscalls[3].args[0].index: expected integer, got string "1"`. All that was decoded lives in
 * the arena.
 */
#ifndef CL_HELPERS_COMMON_JSON_DECODE_H
#define CL_HELPERS_COMMON_JSON_DECODE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/flat.h"
#include "helpers/common/report.h"
#include "helpers/common/warnings.h"

/* The member that a field fills, by type. What can be absent is zeros then: a list that is
 * there has items that aren't NULL, even if it is empty. */
enum cl_decode_type {
    CL_DECODE_TEXT,    /* const char *; max: of its length */
    CL_DECODE_NUMBER,  /* struct cl_decode_number; min and max: of its value */
    CL_DECODE_SIGNED,  /* struct cl_decode_signed; min and max: of its value */
    CL_DECODE_BOOL,    /* struct cl_decode_number: true is 1 */
    CL_DECODE_WORD,    /* a text that `words` has: struct cl_decode_number of what it stands for */
    CL_DECODE_TEXTS,   /* struct cl_strlist; max: of its count */
    CL_DECODE_NUMBERS, /* struct cl_decode_numbers; max: of a value, UINT32_MAX at most */
    CL_DECODE_OBJECT,  /* pointer to the shape's struct */
    CL_DECODE_LIST,    /* struct cl_decode_list of the shape's structs; max: of its count */
    CL_DECODE_MAP,     /* an object with keys of the writer's choice, the same as a list; the
                        * shape's struct begins with the key, a const char * */
    CL_DECODE_PAIRS,   /* such an object of texts: struct cl_decode_list of cl_decode_pair */
    CL_DECODE_RAW,     /* an object as it stands: const char *, its cl_json_compact */
    CL_DECODE_PRESENT, /* int: is it there, whatever it is? */
    CL_DECODE_IGNORED, /* any value; no member */
    CL_DECODE_FOREIGN, /* the same, with a warning: it is for another platform */
};

struct cl_decode_number {
    int present;
    uint64_t value;
};

struct cl_decode_signed {
    int present;
    int64_t value;
};

struct cl_decode_numbers {
    const uint32_t *items;
    size_t count;
};

struct cl_decode_list {
    void *items;
    size_t count;
};

struct cl_decode_pair {
    const char *key;
    const char *value; /* "" for null */
};

struct cl_decode_word {
    const char *name;
    uint64_t value;
};

struct cl_decode_words {
    const char *what; /* "action", for the message about one that isn't there */
    const struct cl_decode_word *items;
    size_t count;
};

struct cl_decode_shape;

/* Whether the member that was filled will do; the field's path is put before the message. */
typedef int cl_decode_check(const void *member, struct cl_error *err);

struct cl_decode_field {
    const char *name;
    enum cl_decode_type type;
    size_t offset;
    int64_t min;
    uint64_t max;
    const struct cl_decode_shape *shape; /* OBJECT, LIST, MAP */
    const struct cl_decode_words *words; /* WORD */
    cl_decode_check *check;              /* may be NULL */
    int needed;                          /* it may not be absent */
};

enum {
    CL_DECODE_OPEN = 1,   /* members that no field names are passed over */
    CL_DECODE_SECRET = 2, /* of a whole document: its values never stand in messages */
};

struct cl_decode_shape {
    const struct cl_decode_field *fields;
    size_t count;
    size_t size; /* of the struct */
    unsigned int flags;
};

/* Rows of a table of fields. THIS is, while it is written, the struct's tag. What follows the
 * member is more of the row: .max = 5, .needed = 1 */
#define CL_DECODE_FIELD(key, kind, member, ...)                                                    \
    {                                                                                              \
        .name = (key), .type = CL_DECODE_##kind, .offset = offsetof(struct THIS, member),          \
        __VA_ARGS__                                                                                \
    }
#define CL_DECODE_ROW(key, type, member, bound) CL_DECODE_FIELD(key, type, member, .max = (bound))
#define CL_DECODE_ROW_OF(key, type, member, bound, of)                                             \
    CL_DECODE_FIELD(key, type, member, .max = (bound), .shape = (of))
#define CL_DECODE_ROW_IGNORED(key)                                                                 \
    {                                                                                              \
        .name = (key), .type = CL_DECODE_IGNORED                                                   \
    }
#define CL_DECODE_ROW_FOREIGN(key)                                                                 \
    {                                                                                              \
        .name = (key), .type = CL_DECODE_FOREIGN                                                   \
    }
#define CL_DECODE_SHAPE(fields, flags)                                                             \
    {                                                                                              \
        fields, CL_ARRAY_SIZE(fields), sizeof(struct THIS), flags                                  \
    }
#define CL_DECODE_WORDS(what, items)                                                               \
    {                                                                                              \
        what, items, CL_ARRAY_SIZE(items)                                                          \
    }

/* Fills RET, a zeroed struct of SHAPE, from DOCUMENT, whose name begins each error. */
int cl_decode(const struct cl_decode_shape *shape, const struct cl_document *document,
              struct cl_arena *arena, void *ret, struct cl_error *err);

/* How a document is decoded that warns of what is passed over. */
struct cl_decode_how {
    struct cl_arena *arena;
    struct cl_warnings *warnings;
    const char *within; /* what paths begin with: "linux.seccomp"; NULL: nothing */
};

int cl_decode_warned(const struct cl_decode_shape *shape, const struct cl_document *document,
                     const struct cl_decode_how *how, void *ret, struct cl_error *err);

/* The same as cl_decode of a document that is an array of SHAPE's objects. */
int cl_decode_array(const struct cl_decode_shape *shape, const struct cl_document *document,
                    struct cl_arena *arena, struct cl_decode_list *ret, struct cl_error *err);

/* What TEXT stands for. An unknown one is refused, with a guess at what was meant. */
int cl_decode_find_word(const struct cl_decode_words *words, const char *text, uint64_t *ret,
                        struct cl_error *err);

#endif
