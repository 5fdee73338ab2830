/* cloister: the command line. Each command is a file of its own, commands.c the list of
 * them; this file finds the one that is meant. Nothing below main prints an error. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "cmd/cloister/command.h"

static const struct cl_refused_command refused[] = {
    {"logs", "not built yet"},
    {"exec", "not built yet"},
    {"attach", "not built yet"},
    {"stop", "not built yet; see kill"},
    {"wait", "not built yet"},
    {"rm", "not built yet; sandboxes are removed when they end"},
    {"stats", "not built yet; see run --result"},
    {"cp", "not built yet; see run --volume"},
    {"pause", "not built yet"},
    {"unpause", "not built yet"},
    {"pull", "not built yet; images are host and rootfs:DIR"},
    {"images", "not built yet; images are host and rootfs:DIR"},
    {"rmi", "not built yet; images are host and rootfs:DIR"},
    {"import", "not built yet; images are host and rootfs:DIR"},
    {"login", "not built yet; images are host and rootfs:DIR"},
    {"logout", "not built yet; images are host and rootfs:DIR"},
    {"create", "there is none: a sandbox is made and started in one; use run"},
    {"start", "there is none: a sandbox is made and started in one; use run"},
    {"restart", "there is none: a sandbox that ended is gone; use run again"},
    {"build", "there is none: Cloister runs images and doesn't make them"},
    {"commit", "there is none: Cloister runs images and doesn't make them"},
    {"push", "there is none: Cloister runs images and doesn't make them"},
};

static const struct cl_command *find_command(const char *name)
{
    for (size_t i = 0; i < cl_command_count; i++) {
        if (strcmp(cl_commands[i]->name, name) == 0)
            return cl_commands[i];
    }
    return NULL;
}

static int refuse_command(const char *name, struct cl_error *err)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(refused); i++) {
        if (strcmp(refused[i].name, name) == 0)
            return cl_refuse(err, ENOSYS, "%s: %s", name, refused[i].reason);
    }
    if (name[0] == '-')
        return cl_refuse(err, EINVAL, "unknown option %.100s; options follow the command", name);
    return cl_refuse(err, EINVAL, "unknown command \"%.100s\"; see cloister help", name);
}

static int run_help(int argc, char *const argv[], struct cl_error *err)
{
    if (argc < 2)
        return cl_help_all(err);
    const struct cl_command *command = find_command(argv[1]);
    if (command == NULL)
        return refuse_command(argv[1], err);
    return cl_help_command(command, err);
}

/* argv[0] is the command's name. */
static int dispatch(int argc, char *const argv[], struct cl_error *err)
{
    if (argc < 1 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return cl_help_all(err);
    if (strcmp(argv[0], "help") == 0)
        return run_help(argc, argv, err);
    const struct cl_command *command =
        find_command(strcmp(argv[0], "--version") == 0 ? "version" : argv[0]);
    if (command == NULL)
        return refuse_command(argv[0], err);
    return command->run(command, argc, argv, err);
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    int r = cl_fd_guard_standard(&err);

    if (r == 0)
        r = argc < 1 ? cl_help_all(&err) : dispatch(argc - 1, argv + 1, &err);
    if (r == CL_HELP_SHOWN)
        return 0;
    if (r < 0) {
        (void)fprintf(stderr, "cloister: %s\n", err.msg); /* there is nowhere else to say it */
        return CL_EXIT_FAILED;
    }
    return r;
}
