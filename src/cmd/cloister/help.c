/* help.c - help from the same rows that parse. */
#include <stdio.h>
#include <string.h>

#include "cmd/cloister/command.h"

enum { COLUMN = 32, HELP_MAX = 64 << 10 };

/* "  -m, --memory SIZE", then the help text from a fixed column on. */
static int add_option(struct cl_buf *buf, const struct cl_option *option)
{
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

int cl_help_command(const struct cl_command *command, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(HELP_MAX);
    int r = cl_buf_printf(&buf, "Usage: cloister %s %s\n\n%s\n\nOptions:\n", command->name,
                          command->usage, command->help);

    for (size_t i = 0; r == 0 && i < command->option_count; i++) {
        if (command->options[i].help != NULL)
            r = add_option(&buf, &command->options[i]);
    }
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
