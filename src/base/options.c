#include "base/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/guess.h"

/* The rows are matched by hand rather than through getopt_long: getopt keeps global
 * state, prints by itself, accepts abbreviations, and musl's and glibc's differ in
 * when they permute. What it would do for us is a page of code. */

static int is_name(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && strncmp(name, text, size) == 0;
}

static const struct cl_option *find_long(const struct cl_option_table *table, const char *name,
                                         size_t size)
{
    for (size_t i = 0; i < table->count; i++) {
        if (is_name(table->rows[i].name, name, size))
            return &table->rows[i];
    }
    return NULL;
}

static const struct cl_option *find_letter(const struct cl_option_table *table, char letter)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].letter == letter && letter != '\0')
            return &table->rows[i];
    }
    return NULL;
}

static int has_row(const struct cl_refused_option *row)
{
    return row != NULL && row->name != NULL;
}

static int refuse_long(const struct cl_option_table *table, const char *text, size_t size,
                       struct cl_error *err)
{
    const int shown = (int)cl_min_u64(size, 100);
    struct cl_guess guess = {0};
    char word[64];

    for (const struct cl_refused_option *row = table->refused; has_row(row); row++) {
        if (is_name(row->name, text, size))
            return cl_refuse(err, ENOSYS, "--%s: %s", row->name, row->reason);
    }
    if (size < sizeof(word)) {
        memcpy(word, text, size);
        word[size] = '\0';
        for (size_t i = 0; i < table->count; i++)
            cl_guess_try_start(&guess, word, table->rows[i].name);
        for (const struct cl_refused_option *row = table->refused; has_row(row); row++)
            cl_guess_try(&guess, word, row->name);
    }
    if (guess.best != NULL)
        return cl_refuse(err, EINVAL, "unknown option --%.*s; did you mean --%s?", shown, text,
                         guess.best);
    return cl_refuse(err, EINVAL, "unknown option --%.*s; see --help", shown, text);
}

static int refuse_letter(const struct cl_option_table *table, char letter, struct cl_error *err)
{
    for (const struct cl_refused_option *row = table->refused; has_row(row); row++) {
        if (row->letter == letter && letter != '\0')
            return cl_refuse(err, ENOSYS, "--%s: %s", row->name, row->reason);
    }
    return cl_refuse(err, EINVAL, "unknown option -%c; see --help", letter);
}

struct parser {
    struct cl_option_table table;
    int argc;
    char *const *argv;
    int index; /* of the argument being looked at */
    void *context;
};

static int apply(const struct parser *parser, const struct cl_option *option, const char *value,
                 struct cl_error *err)
{
    int r = option->set(parser->context, option, value, err);

    return r < 0 ? cl_prefix(err, "--%s", option->name) : 0;
}

static int refuse_end(const struct cl_option *option, struct cl_error *err)
{
    return cl_refuse(err, EINVAL, "--%s needs a value, %s", option->name, option->value);
}

static int next_value(struct parser *parser, const struct cl_option *option, const char **ret,
                      struct cl_error *err)
{
    if (parser->index + 1 >= parser->argc)
        return refuse_end(option, err);
    *ret = parser->argv[++parser->index];
    return 0;
}

static int is_choice(const struct cl_option *option, const char *value)
{
    const char *at = option->choices;

    while (at != NULL && *at != '\0') {
        const size_t size = strcspn(at, " ");

        if (is_name(value, at, size))
            return 1;
        at += size + strspn(at + size, " ");
    }
    return 0;
}

static int parse_long(struct parser *parser, const char *text, struct cl_error *err)
{
    size_t size = strcspn(text, "=");
    const char *value = text[size] == '=' ? text + size + 1 : NULL;
    const struct cl_option *option = find_long(&parser->table, text, size);

    if (option == NULL)
        return refuse_long(&parser->table, text, size, err);
    if (option->value == NULL && value != NULL && !is_choice(option, value))
        return cl_refuse(err, EINVAL, "--%s takes no value", option->name);
    if (option->value != NULL && value == NULL) {
        int r = next_value(parser, option, &value, err);

        if (r < 0)
            return r;
    }
    return apply(parser, option, value, err);
}

/* "-it", "-m512m", "-m 512m" */
static int parse_letters(struct parser *parser, const char *letters, struct cl_error *err)
{
    for (; *letters != '\0'; letters++) {
        const struct cl_option *option = find_letter(&parser->table, *letters);
        const char *value = NULL;
        int r;

        if (option == NULL)
            return refuse_letter(&parser->table, *letters, err);
        if (option->value == NULL) {
            r = apply(parser, option, NULL, err);
            if (r < 0)
                return r;
            continue;
        }
        if (letters[1] != '\0') {
            value = letters[1] == '=' ? letters + 2 : letters + 1;
        } else {
            r = next_value(parser, option, &value, err);
            if (r < 0)
                return r;
        }
        return apply(parser, option, value, err);
    }
    return 0;
}

/* --- their order ----------------------------------------------------------------- */

/* The option whose value is the word after WORD, or NULL. */
static const struct cl_option *wants_next(const struct cl_option_table *table, const char *word)
{
    if (word[1] == '-') {
        const char *name = word + 2;
        const struct cl_option *option = find_long(table, name, strlen(name)); /* no "=" */

        return option != NULL && option->value != NULL ? option : NULL;
    }
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct cl_option *option = find_letter(table, *letter);

        if (option == NULL)
            return NULL; /* it is the parser's to refuse */
        if (option->value != NULL)
            return letter[1] == '\0' ? option : NULL;
    }
    return NULL;
}

/* COUNT words at FROM come to stand at TO, which is before it. */
static void move_up(char *argv[], int from, int to, int count)
{
    for (; count > 0; count--, from++, to++) {
        char *word = argv[from];

        memmove(&argv[to + 1], &argv[to], (size_t)(from - to) * sizeof(*argv));
        argv[to] = word;
    }
}

int cl_options_order(struct cl_option_table table, int argc, char *argv[], struct cl_error *err)
{
    int front = 1; /* where the next option belongs */

    for (int i = 1; i < argc;) {
        const char *word = argv[i];
        int count = 1;

        if (word[0] != '-' || word[1] == '\0') {
            i++;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            move_up(argv, i, front, 1);
            return 0;
        }
        const struct cl_option *option = wants_next(&table, word);
        if (option != NULL && i + 1 >= argc)
            return refuse_end(option, err);
        count += option != NULL;
        move_up(argv, i, front, count);
        front += count;
        i += count;
    }
    return 0;
}

/* --- parsing --------------------------------------------------------------------- */

int cl_options_parse(struct cl_option_table table, int argc, char *const argv[], void *context,
                     struct cl_error *err)
{
    struct parser parser = {table, argc, argv, 1, context};

    for (; parser.index < argc; parser.index++) {
        const char *arg = argv[parser.index];
        int r;

        if (arg[0] != '-' || arg[1] == '\0')
            break;
        if (strcmp(arg, "--") == 0) {
            parser.index++;
            break;
        }
        if (arg[1] == '-')
            r = parse_long(&parser, arg + 2, err);
        else
            r = parse_letters(&parser, arg + 1, err);
        if (r < 0)
            return r;
    }
    return parser.index;
}

static int describe(const struct cl_option *option, struct cl_buf *buf)
{
    enum { COLUMN = 32 };
    char left[80];
    char letter[5] = "    ";

    if (option->letter != '\0')
        (void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    (void)snprintf(left, sizeof(left), "  %s--%s%s%s", letter, option->name,
                   option->value == NULL ? "" : " ", option->value == NULL ? "" : option->value);
    if (strlen(left) >= COLUMN)
        return cl_buf_printf(buf, "%s\n%*s%s\n", left, COLUMN, "", option->help);
    return cl_buf_printf(buf, "%-*s%s\n", COLUMN, left, option->help);
}

int cl_options_describe(struct cl_option_table table, struct cl_buf *buf)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < table.count; i++) {
        if (table.rows[i].help != NULL)
            r = describe(&table.rows[i], buf);
    }
    return r;
}
