#include "base/options.h"

#include <errno.h>
#include <string.h>

/* The rows are matched by hand rather than through getopt_long: getopt keeps global
 * state, prints by itself, accepts abbreviations, and musl's and glibc's differ in
 * when they permute. What it would do for us is the thirty lines below. */

static const struct cl_option *find_long(const struct cl_option *options, size_t count,
                                         const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == size && strncmp(options[i].name, name, size) == 0)
            return &options[i];
    }
    return NULL;
}

static const struct cl_option *find_letter(const struct cl_option *options, size_t count,
                                           char letter)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].letter == letter && letter != '\0')
            return &options[i];
    }
    return NULL;
}

struct parser {
    const struct cl_option *options;
    size_t count;
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

static int next_value(struct parser *parser, const struct cl_option *option, const char **ret,
                      struct cl_error *err)
{
    if (parser->index + 1 >= parser->argc)
        return cl_refuse(err, EINVAL, "--%s needs a value, %s", option->name, option->value);
    *ret = parser->argv[++parser->index];
    return 0;
}

static int parse_long(struct parser *parser, const char *text, struct cl_error *err)
{
    size_t size = strcspn(text, "=");
    const char *value = text[size] == '=' ? text + size + 1 : NULL;
    const struct cl_option *option = find_long(parser->options, parser->count, text, size);

    if (option == NULL)
        return cl_refuse(err, EINVAL, "unknown option --%.*s; see --help",
                         (int)cl_min_u64(size, 100), text);
    if (option->value == NULL && value != NULL)
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
        const struct cl_option *option = find_letter(parser->options, parser->count, *letters);
        const char *value = NULL;
        int r;

        if (option == NULL)
            return cl_refuse(err, EINVAL, "unknown option -%c; see --help", *letters);
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

int cl_options_parse(struct cl_option_table table, int argc, char *const argv[], void *context,
                     struct cl_error *err)
{
    struct parser parser = {table.rows, table.count, argc, argv, 1, context};

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
