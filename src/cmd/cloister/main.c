/* cloister: the command line. Each command is a file of its own, commands.c the list of
 * them; this file finds the one that is meant. Nothing below main prints an error. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/guess.h"
#include "base/sys.h"
#include "cmd/cloister/command.h"

static const struct cl_refused_command refused[] = {
    {"create", "there is none: a sandbox is made and started in one; use run"},
    {"start", "there is none: a sandbox is made and started in one; use run"},
    {"restart", "there is none: a sandbox that ended is gone; use run again"},
    {"build", "there is none: Cloister runs images and doesn't make them"},
    {"commit", "there is none: Cloister runs images and doesn't make them"},
    {"push", "there is none: Cloister runs images and doesn't make them"},
    {"tag", "there is none: an image has the names it was pulled or imported by"},
    {"history", "there is none; see inspect --image"},
    {"export", "there is none: what a sandbox wrote is gone with it; see run --volume"},
    {"diff", "there is none: what a sandbox wrote is gone with it; see run --volume"},
    {"save", "there is none: what was pulled is kept unpacked"},
    {"load", "say cloister import docker-archive:FILE"},
    {"search", "there is none: ask the registry"},
    {"image", "there is none: commands stand alone, as in cloister images"},
    {"top", "there is none; see stats and inspect"},
    {"port", "there is none: a sandbox has no network that others can reach"},
    {"network", "there is none: a sandbox has no network that others can reach"},
    {"rename", "there is none: a sandbox keeps the name it was started with"},
    {"update", "there is none: a sandbox keeps the limits it was started with"},
    {"volume", "there is none: volumes are directories of the host; see run --volume"},
    {"container", "there is none: commands stand alone, as in cloister ps"},
    {"system", "there is none: commands stand alone, as in cloister prune"},
    {"info", "there is none; see doctor and version"},
    {"ls", "there is none; see ps"},
    {"list", "there is none; see ps"},
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
    struct cl_guess guess = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(refused); i++) {
        if (strcmp(refused[i].name, name) == 0)
            return cl_refuse(err, ENOSYS, "%s: %s", name, refused[i].reason);
    }
    if (name[0] == '-') {
        cl_guess_try(&guess, name, "--version");
        cl_guess_try(&guess, name, "--help");
    }
    if (name[0] == '-' && guess.best != NULL)
        return cl_refuse(err, EINVAL, "unknown option %.100s; did you mean %s?", name, guess.best);
    if (name[0] == '-')
        return cl_refuse(err, EINVAL, "unknown option %.100s; options follow the command", name);
    for (size_t i = 0; i < cl_command_count; i++)
        cl_guess_try_start(&guess, name, cl_commands[i]->name);
    if (guess.best != NULL)
        return cl_refuse(err, EINVAL, "unknown command \"%.100s\"; did you mean %s?", name,
                         guess.best);
    if (strcmp(name, "host") == 0 || strncmp(name, "rootfs:", 7) == 0)
        return cl_refuse(err, EINVAL, "\"%.100s\" is an image; say cloister run %.100s", name,
                         name);
    return cl_refuse(err, EINVAL, "unknown command \"%.100s\"; see cloister help", name);
}

static int run_help(int argc, char *const argv[], struct cl_error *err)
{
    if (argc >= 2 && strcmp(argv[1], "--") == 0) {
        argc--;
        argv++;
    }
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
        return cl_help_all(err);
    const struct cl_command *command = find_command(argv[1]);
    if (command == NULL)
        return refuse_command(argv[1], err);
    return cl_help_command(command, err);
}

/* argv[0] is the command's name. Its options may stand among its operands, but for one whose
 * operands hold a command. */
static int dispatch(int argc, char *argv[], struct cl_error *err)
{
    if (argc < 1 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return cl_help_all(err);
    if (strcmp(argv[0], "help") == 0)
        return run_help(argc, argv, err);
    const struct cl_command *command =
        find_command(strcmp(argv[0], "--version") == 0 ? "version" : argv[0]);
    if (command == NULL)
        return refuse_command(argv[0], err);
    int r = command->runs_words ? 0 : cl_options_order(cl_command_table(command), argc, argv, err);
    return r < 0 ? r : command->run(command, argc, argv, err);
}

/* What a caller may have made of them: ignored children would be gone before anybody waits
 * for them, and their numbers somebody else's; and who writes more than the caller's file
 * size is told so, and not killed in the middle. */
static int settle_signals(struct cl_error *err)
{
    int r = cl_sys_signal_default(SIGCHLD);

    if (r == 0)
        r = cl_sys_signal_ignore(SIGXFSZ);
    return r < 0 ? cl_fail(err, r, "settle signals") : 0;
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    int r = cl_fd_guard_standard(&err);

    if (r == 0)
        r = settle_signals(&err);
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
