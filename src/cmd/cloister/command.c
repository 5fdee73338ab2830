#include "cmd/cloister/command.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

struct cl_option_table cl_command_table(const struct cl_command *self)
{
    return (struct cl_option_table){self->options, self->option_count, self->refused};
}

int cl_command_parse(const struct cl_command *self, int argc, char *const argv[], void *context,
                     struct cl_error *err)
{
    int r = cl_options_parse(cl_command_table(self), argc, argv, context, err);

    if (r != -ECANCELED) /* only cl_set_help gives that */
        return r;
    r = cl_help_command(self, err);
    return r < 0 ? r : CL_HELP_SHOWN;
}

int cl_command_parse_all(const struct cl_command *self, int argc, char *const argv[], void *context,
                         struct cl_error *err)
{
    int first = cl_command_parse(self, argc, argv, context, err);

    if (first < 0)
        return first;
    if (first < argc)
        return cl_refuse(err, EINVAL, "%s takes no arguments, got \"%.100s\"", self->name,
                         argv[first]);
    return 0;
}

static int *flag_of(void *context, const struct cl_option *option)
{
    return (int *)(void *)((char *)context + option->tag);
}

int cl_set_flag(void *context, const struct cl_option *option, CL_UNUSED const char *value,
                CL_UNUSED struct cl_error *err)
{
    *flag_of(context, option) = 1;
    return 0;
}

int cl_set_format(void *context, const struct cl_option *option, const char *value,
                  struct cl_error *err)
{
    int json = strcmp(value, "json") == 0;

    if (!json && strcmp(value, "table") != 0)
        return cl_refuse(err, EINVAL, "expected table or json, got \"%.100s\"", value);
    *flag_of(context, option) = json;
    return 0;
}

int cl_set_help(CL_UNUSED void *context, CL_UNUSED const struct cl_option *option,
                CL_UNUSED const char *value, struct cl_error *err)
{
    return cl_refuse(err, ECANCELED, "help was asked for");
}

int cl_print(const struct cl_buf *buf, struct cl_error *err)
{
    int r = cl_write_all(STDOUT_FILENO, cl_buf_text(buf), buf->size);

    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}

int cl_is_screen(int fd)
{
    const char *terminal = getenv("TERM"); // NOLINT(concurrency-mt-unsafe): one thread

    return isatty(fd) && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

int cl_wants_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR"); // NOLINT(concurrency-mt-unsafe)

    return cl_is_screen(fd) && (no_colour == NULL || no_colour[0] == '\0');
}
