#include "cmd/cloister/import_change.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/signals.h"
#include "base/utf8.h"
#include "plan/decide.h"

enum { MAX_WORDS = 4096, MAX_TEXT = 128 << 10 };

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* One value on its way: what is left to read of it, and where its words go. */
struct reader {
    const char *at;
    struct cl_arena *arena;
    const char **words;
    size_t count;
    struct cl_buf word;
};

static int end_word(struct reader *reader, struct cl_error *err)
{
    const char *copy = cl_arena_strdup(reader->arena, cl_buf_text(&reader->word));

    if (copy == NULL)
        return cl_fail_memory(err);
    if (reader->count == MAX_WORDS)
        return cl_refuse(err, E2BIG, "more than %d words", MAX_WORDS);
    reader->words[reader->count++] = copy;
    reader->word.size = 0;
    return 0;
}

static int add_bytes(struct reader *reader, const char *bytes, size_t size, struct cl_error *err)
{
    return cl_buf_add(&reader->word, bytes, size) < 0 ? cl_fail_memory(err) : 0;
}

/* --- a JSON array of strings (RFC 8259) ------------------------------------------- */

static int take_hex(const char **at, unsigned int *ret)
{
    unsigned int value = 0;

    for (int i = 0; i < 4; i++, (*at)++) {
        const char c = **at;

        if (c >= '0' && c <= '9')
            value = value << 4 | (unsigned int)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            value = value << 4 | (unsigned int)((c | 0x20) - 'a' + 10);
        else
            return -EINVAL;
    }
    *ret = value;
    return 0;
}

/* The character behind "\u", which may take two of them: high and low surrogate. */
static int take_unicode(const char **at, unsigned int *ret)
{
    unsigned int high;
    unsigned int low;

    if (take_hex(at, &high) < 0 || high == 0)
        return -EINVAL;
    if (high < 0xd800 || high > 0xdfff) {
        *ret = high;
        return 0;
    }
    if (high > 0xdbff || (*at)[0] != '\\' || (*at)[1] != 'u')
        return -EINVAL;
    *at += 2;
    if (take_hex(at, &low) < 0 || low < 0xdc00 || low > 0xdfff)
        return -EINVAL;
    *ret = 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
    return 0;
}

static size_t encode(unsigned int c, char ret[4])
{
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = size; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3f));
    ret[0] = (char)(size == 1 ? c : heads[size] | c);
    return size;
}

/* What stands behind a backslash. */
static int take_escape(struct reader *reader, struct cl_error *err)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const char c = *reader->at++;
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    unsigned int value;
    char bytes[4];

    if (letter != NULL)
        return add_bytes(reader, &meant[letter - letters], 1, err);
    if (c != 'u' || take_unicode(&reader->at, &value) < 0)
        return cl_refuse(err, EINVAL, "in the array, a backslash that is none of JSON's");
    return add_bytes(reader, bytes, encode(value, bytes), err);
}

static int take_string(struct reader *reader, struct cl_error *err)
{
    int r = 0;

    if (*reader->at != '"')
        return cl_refuse(err, EINVAL, "expected words in double quotes, as in [\"sh\", \"-c\"]");
    reader->at++;
    while (r == 0 && *reader->at != '"') {
        const char *end = reader->at + strcspn(reader->at, "\"\\");

        if (*end == '\0')
            return cl_refuse(err, EINVAL, "in the array, a quotation mark is missing");
        r = add_bytes(reader, reader->at, (size_t)(end - reader->at), err);
        reader->at = end;
        if (r == 0 && *end == '\\') {
            reader->at++;
            r = take_escape(reader, err);
        }
    }
    reader->at += r == 0;
    return r < 0 ? r : end_word(reader, err);
}

static int take_array(struct reader *reader, struct cl_error *err)
{
    int r = 0;

    reader->at = skip_blanks(reader->at + 1);
    for (int first = 1; r == 0 && *reader->at != ']'; first = 0) {
        if (!first && *reader->at != ',')
            return cl_refuse(err, EINVAL, "in the array, a comma or \"]\" is missing");
        if (!first)
            reader->at = skip_blanks(reader->at + 1);
        r = take_string(reader, err);
        reader->at = skip_blanks(reader->at);
    }
    if (r == 0 && *skip_blanks(reader->at + 1) != '\0')
        return cl_refuse(err, EINVAL, "something follows the array");
    return r;
}

/* --- words with quotes ------------------------------------------------------------- */

/* What a backslash makes of the character behind it: outside quotes any is itself; in double
 * quotes only those that have a meaning there. */
static int take_backslash(struct reader *reader, char quote, struct cl_error *err)
{
    const char c = reader->at[1];

    if (c == '\0')
        return cl_refuse(err, EINVAL, "nothing follows the backslash");
    const int is_taken = quote == '\0' || c == '"' || c == '\\' || c == '$';
    int r = add_bytes(reader, reader->at + is_taken, is_taken ? 1 : 2, err);
    reader->at += 2;
    return r;
}

static int take_character(struct reader *reader, char *quote, struct cl_error *err)
{
    const char c = *reader->at;

    if (c == '\\' && *quote != '\'')
        return take_backslash(reader, *quote, err);
    if (c == '$' && *quote != '\'')
        return cl_refuse(err, EINVAL, "variables are not put in here: write \\$ for a $");
    reader->at++;
    if (*quote != '\0' ? c == *quote : c == '"' || c == '\'') {
        if (*quote == '\0')
            *quote = c;
        else
            *quote = '\0';
        return 0;
    }
    return add_bytes(reader, &c, 1, err);
}

static int take_words(struct reader *reader, struct cl_error *err)
{
    int r = 0;

    while (r == 0 && *reader->at != '\0') {
        char quote = '\0';

        while (r == 0 && *reader->at != '\0' && (quote != '\0' || !is_blank(*reader->at)))
            r = take_character(reader, &quote, err);
        if (r == 0 && quote != '\0')
            return cl_refuse(err, EINVAL, "a closing %c is missing", quote);
        if (r == 0)
            r = end_word(reader, err);
        reader->at = skip_blanks(reader->at);
    }
    return r;
}

/* --- instructions -------------------------------------------------------------------- */

typedef int read_fn(struct reader *reader, struct cl_error *err);

/* The words that READ takes from VALUE. */
static int read_words(const char *value, read_fn *read, struct cl_arena *arena,
                      struct cl_strlist *ret, struct cl_error *err)
{
    struct reader reader = {
        .at = value,
        .arena = arena,
        .words = cl_arena_array(arena, MAX_WORDS, sizeof(*reader.words)),
        .word = CL_BUF_INIT(MAX_TEXT),
    };
    int r = reader.words == NULL ? cl_fail_memory(err) : read(&reader, err);

    cl_buf_done(&reader.word);
    if (r == 0)
        *ret = (struct cl_strlist){reader.words, reader.count};
    return r;
}

/* CMD or ENTRYPOINT; an empty array takes away what was said. */
static int change_command(enum cl_field field, const char *value, struct cl_arena *arena,
                          struct cl_plan *config, struct cl_error *err)
{
    struct cl_strlist *list = field == CL_FIELD_COMMAND ? &config->command : &config->entrypoint;
    const char **line = NULL;

    if (value[0] == '[') {
        int r = read_words(value, take_array, arena, list, err);

        if (r == 0 && list->count > 0 && list->items[0][0] == '\0')
            return cl_refuse(err, EINVAL, "the first word is empty");
        return r;
    }
    line = cl_arena_array(arena, 3, sizeof(*line));
    if (line == NULL)
        return cl_fail_memory(err);
    line[0] = "/bin/sh";
    line[1] = "-c";
    line[2] = value;
    *list = (struct cl_strlist){line, 3};
    return 0;
}

static int change_env(CL_UNUSED enum cl_field field, const char *value, struct cl_arena *arena,
                      struct cl_plan *config, struct cl_error *err)
{
    struct cl_plan more = {0};
    int r = read_words(value, take_words, arena, &more.env, err);

    for (size_t i = 0; r == 0 && i < more.env.count; i++) {
        if (strchr(more.env.items[i], '=') == NULL)
            return cl_refuse(err, EINVAL, "expected NAME=VALUE, got \"%.64s\"", more.env.items[i]);
        r = cl_plan_check_text(CL_FIELD_ENV, more.env.items[i], err);
    }
    cl_plan_mark(&more, CL_FIELD_ENV);
    return r < 0 ? r : cl_plan_overlay(config, &more, arena, err);
}

/* USER or WORKDIR: the rest of the line. */
static int change_text(enum cl_field field, const char *value, struct cl_arena *arena,
                       struct cl_plan *config, struct cl_error *err)
{
    int r = cl_plan_set_text(config, field, value, arena, err);

    return r < 0 ? r : cl_plan_check_text(field, value, err);
}

static int change_signal(CL_UNUSED enum cl_field field, const char *value,
                         CL_UNUSED struct cl_arena *arena, struct cl_plan *config,
                         struct cl_error *err)
{
    int number;
    int r = cl_signal_parse(value, &number, err);

    if (r < 0)
        return r;
    config->stop_signal = (uint64_t)number;
    cl_plan_mark(config, CL_FIELD_STOP_SIGNAL);
    return 0;
}

static const struct instruction {
    const char *name;
    int (*change)(enum cl_field field, const char *value, struct cl_arena *arena,
                  struct cl_plan *config, struct cl_error *err);
    enum cl_field field;
} instructions[] = {
    {"CMD", change_command, CL_FIELD_COMMAND},  {"ENTRYPOINT", change_command, CL_FIELD_ENTRYPOINT},
    {"ENV", change_env, CL_FIELD_ENV},          {"USER", change_text, CL_FIELD_USER},
    {"WORKDIR", change_text, CL_FIELD_WORKDIR}, {"STOPSIGNAL", change_signal, CL_FIELD_STOP_SIGNAL},
};

static const struct instruction *find_instruction(const char *text, size_t size)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(instructions); i++) {
        if (strlen(instructions[i].name) == size &&
            strncasecmp(text, instructions[i].name, size) == 0)
            return &instructions[i];
    }
    return NULL;
}

/* What goes into a config, which is JSON, and later into a process. */
static int check(const char *text, struct cl_error *err)
{
    if (strlen(text) > MAX_TEXT)
        return cl_refuse(err, E2BIG, "longer than %d bytes", MAX_TEXT);
    for (size_t size = 0; *text != '\0'; text += size) {
        size = cl_utf8_sequence((const unsigned char *)text);
        if (size == 0)
            return cl_refuse(err, EINVAL, "bytes that are no UTF-8");
        if ((unsigned char)*text < 0x20 && *text != '\t')
            return cl_refuse(err, EINVAL, "a control character; one instruction stands in a line");
    }
    return 0;
}

int cl_import_change(const char *text, struct cl_arena *arena, struct cl_plan *config,
                     struct cl_error *err)
{
    int r = check(text, err);

    if (r < 0)
        return r;
    text = skip_blanks(text);
    const size_t size = strcspn(text, " \t");
    const struct instruction *instruction = find_instruction(text, size);
    if (instruction == NULL)
        return cl_refuse(err, EINVAL,
                         "expected CMD, ENTRYPOINT, ENV, USER, WORKDIR or STOPSIGNAL, got "
                         "\"%.*s\"",
                         (int)cl_min_u64(size, 32), text);
    const char *value = skip_blanks(text + size);
    size_t rest = strlen(value);
    while (rest > 0 && is_blank(value[rest - 1]))
        rest--;
    if (rest == 0)
        return cl_refuse(err, EINVAL, "nothing follows %s", instruction->name);
    value = cl_arena_strndup(arena, value, rest);
    r = value == NULL ? cl_fail_memory(err)
                      : instruction->change(instruction->field, value, arena, config, err);
    return r < 0 ? cl_prefix(err, "%s", instruction->name) : 0;
}
