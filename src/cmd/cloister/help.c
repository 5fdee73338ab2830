/* help.c - help from the same rows that parse. */
#include "cmd/cloister/command.h"

enum { HELP_MAX = 64 << 10 };

int cl_help_command(const struct cl_command *command, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(HELP_MAX);
    int r = cl_buf_printf(&buf, "Usage: cloister %s %s\n\n%s\n\nOptions:\n", command->name,
                          command->usage, command->help);

    if (r == 0)
        r = cl_options_describe(
            (struct cl_option_table){command->options, command->option_count, NULL}, &buf);
    if (r == 0)
        r = cl_buf_printf(&buf, "\nMore: man cloister-%s\n", command->name);
    if (r < 0)
        return cl_fail_memory(err);
    return cl_print(&buf, err);
}

int cl_help_all(struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(HELP_MAX);
    int r = cl_buf_add_str(&buf, "Usage: cloister COMMAND [OPTIONS] [ARG...]\n\n"
                                 "Run code that nobody trusts behind a wall.\n\nCommands:\n");

    for (size_t i = 0; r == 0 && i < cl_command_count; i++)
        r = cl_buf_printf(&buf, "  %-12s%s\n", cl_commands[i]->name, cl_commands[i]->help);
    if (r == 0)
        r = cl_buf_add_str(&buf, "\nExample: cloister run host -- python3 -c 'print(6*7)'\n"
                                 "More: cloister help COMMAND, man cloister\n");
    if (r < 0)
        return cl_fail_memory(err);
    return cl_print(&buf, err);
}
