/* options.h - command-line options as rows, one setter a row; help
 * and shell completions are generated from the same rows.
 *
 * Parsing ends at the first operand, so that a sandboxed command's own flags are never
 * ours; where no command follows, cl_options_order first takes the options from among the
 * operands. Long names must be whole: abbreviations are refused, with a guess at
 * what was meant.
 */
#ifndef CL_BASE_OPTIONS_H
#define CL_BASE_OPTIONS_H

#include "base/buf.h"
#include "base/error.h"

struct cl_option {
    const char *name;  /* long name without dashes */
    char letter;       /* 0: none */
    const char *value; /* the value's name in the help; NULL: takes none */
    const char *help;  /* one line; NULL: not listed */
    /* VALUE is NULL when the option takes none. The message need not name the
     * option: the parser puts "--name: " before it. */
    int (*set)(void *context, const struct cl_option *option, const char *value,
               struct cl_error *err);
    int tag; /* the setter's: which field */
    /* Blank-separated words for completion; "@file" "@dir" too. An option that takes no value may
     * be given with one of these and a "=" all the same: its VALUE then. */
    const char *choices;
};

/* What people type because another program has it: refused with the reason, whether or
 * not a value follows. */
struct cl_refused_option {
    const char *name;
    char letter;        /* 0: none */
    const char *reason; /* follows "--name: " */
};

struct cl_option_table {
    const struct cl_option *rows;
    size_t count;
    const struct cl_refused_option *refused; /* NULL, or rows up to one without a name */
};

/* Moves the options of argv[1..], each with its value, before the operands; both keep their
 * order. A "--" ends the options and then stands behind them: what followed it are operands.
 * -EINVAL: the last option lacks its value. */
int cl_options_order(struct cl_option_table table, int argc, char *argv[], struct cl_error *err);

/* Parses argv[1..]; returns the index of the first operand. */
int cl_options_parse(struct cl_option_table table, int argc, char *const argv[], void *context,
                     struct cl_error *err);

/* A line for each row that has a help: "  -m, --memory SIZE", and the text from a fixed column on.
 */
int cl_options_describe(struct cl_option_table table, struct cl_buf *buf);

#endif
