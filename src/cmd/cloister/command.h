/* command.h - what a command of `cloister` is: a row of main's table.
 *
 * A command parses its arguments, does its work and prints to standard output what
 * was asked for. It returns its exit status, or -errno with the message that main
 * prints, once, as "cloister: ..." (exit 125), or CL_HELP_SHOWN.
 */
#ifndef CL_CMD_CLOISTER_COMMAND_H
#define CL_CMD_CLOISTER_COMMAND_H

#include "base/buf.h"
#include "base/error.h"
#include "base/options.h"

enum {
    CL_EXIT_FAILED = 125,
    CL_HELP_SHOWN = -100000, /* no errno is that large */
    CL_OUTPUT_MAX = 64 << 20,
};

struct cl_command {
    const char *name;
    const char *usage; /* what follows the name */
    const char *help;  /* one line */
    int (*run)(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err);
    const struct cl_option *options;
    size_t option_count;
    const struct cl_refused_option *refused; /* as in struct cl_option_table */
    /* Words to complete, or "@sandbox", one that runs; "@known", also one that has ended;
     * "@stored", an image of the store; "@image", also others that can be run; "@either", a
     * sandbox, or with --image an image of the store. NULL: files */
    const char *operands;
    int runs_words; /* its operands end with a command, whose options aren't ours */
};

/* In the order of help. */
extern const struct cl_command *const cl_commands[];
extern const size_t cl_command_count;

/* Commands that Docker has and we don't (yet). */
struct cl_refused_command {
    const char *name;
    const char *reason;
};

struct cl_option_table cl_command_table(const struct cl_command *self);

/* Parses argv[1..] into CONTEXT; the index of the first operand, or CL_HELP_SHOWN. */
int cl_command_parse(const struct cl_command *self, int argc, char *const argv[], void *context,
                     struct cl_error *err);

/* As above for a command that takes no operands; 0. */
int cl_command_parse_all(const struct cl_command *self, int argc, char *const argv[], void *context,
                         struct cl_error *err);

/* Setters that several commands share. The tag is the offset of an int in the context:
 * set_flag puts 1 there; set_format 1 for json, 0 for table. */
int cl_set_flag(void *context, const struct cl_option *option, const char *value,
                struct cl_error *err);
int cl_set_format(void *context, const struct cl_option *option, const char *value,
                  struct cl_error *err);
int cl_set_help(void *context, const struct cl_option *option, const char *value,
                struct cl_error *err);

#define CL_OPTION_HELP                                                                             \
    {                                                                                              \
        "help", 0, NULL, "show this help", cl_set_help, 0, NULL                                    \
    }
#define CL_OPTION_FORMAT(type)                                                                     \
    {                                                                                              \
        "format", 0, "FORMAT", "table (the default) or json", cl_set_format,                       \
            (int)offsetof(type, format_json), "table json"                                         \
    }

/* Writes the whole of BUF to standard output. */
int cl_print(const struct cl_buf *buf, struct cl_error *err);

/* Whether FD is a terminal on which a cursor can be moved, and whether it may be coloured there
 * (NO_COLOR: not). */
int cl_is_screen(int fd);
int cl_wants_colour(int fd);

/* "cloister COMMAND --help" and "cloister help". */
int cl_help_command(const struct cl_command *command, struct cl_error *err);
int cl_help_all(struct cl_error *err);

extern const struct cl_command cl_command_run;
extern const struct cl_command cl_command_exec;
extern const struct cl_command cl_command_job;
extern const struct cl_command cl_command_wasm;
extern const struct cl_command cl_command_attach;
extern const struct cl_command cl_command_pull;
extern const struct cl_command cl_command_images;
extern const struct cl_command cl_command_rmi;
extern const struct cl_command cl_command_import;
extern const struct cl_command cl_command_login;
extern const struct cl_command cl_command_logout;
extern const struct cl_command cl_command_ps;
extern const struct cl_command cl_command_stats;
extern const struct cl_command cl_command_events;
extern const struct cl_command cl_command_inspect;
extern const struct cl_command cl_command_logs;
extern const struct cl_command cl_command_wait;
extern const struct cl_command cl_command_cp;
extern const struct cl_command cl_command_stop;
extern const struct cl_command cl_command_kill;
extern const struct cl_command cl_command_pause;
extern const struct cl_command cl_command_unpause;
extern const struct cl_command cl_command_rm;
extern const struct cl_command cl_command_prune;
extern const struct cl_command cl_command_doctor;
extern const struct cl_command cl_command_version;
extern const struct cl_command cl_command_completion;

#endif
