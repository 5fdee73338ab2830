/* test_main.c - the command line itself: which command is meant, help, refusals, and the
 * one line about a failure. */
#include "command_scene.h"

#define main cloister_main
int cloister_main(int argc, char *argv[]);
#include "cmd/cloister/main.c" // NOLINT(bugprone-suspicious-include): its main is not ours
#undef main

static int call(const char *first, const char *second)
{
    char program[] = "cloister";
    char words[2][64];
    char *argv[] = {program, first == NULL ? NULL : words[0], second == NULL ? NULL : words[1],
                    NULL};

    (void)snprintf(words[0], sizeof(words[0]), "%s", first == NULL ? "" : first);
    (void)snprintf(words[1], sizeof(words[1]), "%s", second == NULL ? "" : second);
    return command_capture(cloister_main, 1 + (first != NULL) + (second != NULL), argv);
}

static void check_refused(const char *first, const char *second, const char *line)
{
    CHECK(call(first, second) == CL_EXIT_FAILED);
    CHECK_TEXT(said.err_out, line);
    CHECK_TEXT(said.out, "");
}

TEST(what_there_is_not_is_refused_in_one_line)
{
    check_refused("frobnicate", NULL,
                  "cloister: unknown command \"frobnicate\"; see cloister help\n");
    check_refused("--tty", "run", "cloister: unknown option --tty; options follow the command\n");
    check_refused("", NULL, "cloister: unknown command \"\"; see cloister help\n");
    check_refused("ru", NULL, "cloister: unknown command \"ru\"; did you mean run?\n");
    check_refused("commit", NULL,
                  "cloister: commit: there is none: Cloister runs images and doesn't make them\n");
    check_refused("help", "commit",
                  "cloister: commit: there is none: Cloister runs images and doesn't make them\n");
    check_refused("version", "more", "cloister: version takes no arguments, got \"more\"\n");
    check_refused("ps", "--nothing", "cloister: unknown option --nothing; see --help\n");
}

/* Every command of before that is to come, or never will, has a reason. */
TEST(refused_commands_are_none_of_ours)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(refused); i++) {
        CHECK(find_command(refused[i].name) == NULL);
        CHECK(refused[i].reason[0] != '\0');
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(refused[i].name, refused[j].name) != 0);
    }
}

TEST(help_of_help_is_the_list)
{
    static char list[SAID_MOST];

    CHECK(call("help", NULL) == 0);
    memcpy(list, said.out, sizeof(list));
    CHECK(call("help", "help") == 0);
    CHECK_TEXT(said.out, list);
    CHECK(call("help", "--") == 0);
    CHECK_TEXT(said.out, list);
    CHECK(call("help", "--help") == 0);
    CHECK_TEXT(said.out, list);
}

TEST(help_lists_all_commands)
{
    static const char *const ways[] = {"help", "--help", "-h"};
    static char first[SAID_MOST];

    CHECK(call(NULL, NULL) == 0);
    memcpy(first, said.out, sizeof(first));
    for (size_t i = 0; i < cl_command_count; i++) {
        char line[128];

        (void)snprintf(line, sizeof(line), "\n  %-12s%s\n", cl_commands[i]->name,
                       cl_commands[i]->help);
        CHECK_HAS(first, line);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(ways); i++) {
        CHECK(call(ways[i], NULL) == 0);
        CHECK_TEXT(said.out, first);
        CHECK_TEXT(said.err_out, "");
    }
}

/* `cloister help COMMAND` and `cloister COMMAND --help` are one text with a line for every
 * option that is listed, and none for the others. */
static void check_help_of(const struct cl_command *command)
{
    static char text[SAID_MOST];
    char line[160];

    CHECK(call("help", command->name) == 0);
    memcpy(text, said.out, sizeof(text));
    CHECK(call(command->name, "--help") == 0);
    CHECK_TEXT(said.out, text);
    (void)snprintf(line, sizeof(line), "Usage: cloister %s%s%s\n\n%s\n", command->name,
                   command->usage[0] == '\0' ? "" : " ", command->usage, command->help);
    CHECK(strncmp(text, line, strlen(line)) == 0);
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cl_option *option = &command->options[i];

        (void)snprintf(line, sizeof(line), "--%s%s%s ", option->name,
                       option->value == NULL ? "" : " ",
                       option->value == NULL ? "" : option->value);
        if (option->help == NULL) {
            CHECK(strstr(text, line) == NULL);
            continue;
        }
        const char *help = strstr(strstr(text, "\nOptions:\n"), option->help);
        CHECK(help != NULL);
        for (int back = 1; help != NULL && back <= 32; back++) /* in the column, on any line */
            CHECK(help[-back] != '\n');
        CHECK(help != NULL && help[-33] == '\n');
        line[strlen(line) - 1] = '\0'; /* a long one ends its line */
        CHECK_HAS(text, line);
    }
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
        CHECK(strcspn(at, "\n") <= 120);
}

TEST(every_command_has_its_help)
{
    for (size_t i = 0; i < cl_command_count; i++)
        check_help_of(cl_commands[i]);
}

TEST(help_stands_in_columns)
{
    CHECK(call("help", "kill") == 0);
    CHECK_TEXT(said.out, "Usage: cloister kill [OPTIONS] ID|NAME...\n\n"
                         "Send a signal to sandboxes; without one, end them\n\nOptions:\n"
                         "  -s, --signal SIGNAL           which one (KILL); all but KILL go to the "
                         "command alone\n"
                         "      --help                    show this help\n\n"
                         "More: man cloister-kill\n");
}

TEST(the_version_is_said)
{
    CHECK(call("version", NULL) == 0);
    CHECK(strncmp(said.out, "cloister " CL_VERSION " (", strlen("cloister " CL_VERSION " (")) == 0);
    CHECK(call("--version", NULL) == 0);
    CHECK_HAS(said.out, "cloister " CL_VERSION);
    CHECK(RUN(&cl_command_version, "--format", "json", NULL) == 0);
    CHECK_HAS(said.out, "\"version\": \"" CL_VERSION "\"");
    CHECK_HAS(said.out, "\"weak\": ");
    CHECK(RUN(&cl_command_version, "--format", "xml", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "--format: expected table or json, got \"xml\"");
}

/* A full disk, a closed pipe: an answer that nobody can read is no success. */
TEST(output_that_can_not_be_written_is_told)
{
    CL_CLEANUP_FD int full = cl_sys_openat(AT_FDCWD, "/dev/full", O_WRONLY, 0);
    CL_CLEANUP_FD int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    char name[] = "version";
    char *const argv[] = {name, NULL};
    struct cl_error err = {0};

    (void)fflush(stdout);
    CHECK(dup2(full, STDOUT_FILENO) == STDOUT_FILENO);
    int r = cl_command_version.run(&cl_command_version, 1, argv, &err);
    CHECK(dup2(saved, STDOUT_FILENO) == STDOUT_FILENO);
    CHECK(r == -ENOSPC);
    CHECK_TEXT(err.msg, "write to standard output: No space left on device");
}

/* --- the rows of every command ---------------------------------------------------- */

static void check_option(const struct cl_command *command, size_t index)
{
    const struct cl_option *option = &command->options[index];

    CHECK(option->set != NULL && option->name[0] != '-');
    CHECK(option->choices == NULL || option->value != NULL);
    CHECK(option->help == NULL || (option->help[0] != '\0' && strchr(option->help, '\n') == NULL));
    for (size_t i = 0; i < index; i++) {
        CHECK(strcmp(command->options[i].name, option->name) != 0);
        CHECK(option->letter == '\0' || command->options[i].letter != option->letter);
    }
}

TEST(rows_are_sound)
{
    for (size_t i = 0; i < cl_command_count; i++) {
        const struct cl_command *command = cl_commands[i];

        CHECK(find_command(command->name) == command && command->run != NULL);
        for (size_t j = 0; j < i; j++)
            CHECK(cl_commands[j] != command);
        CHECK(command->help[0] != '\0' && command->usage != NULL);
        for (size_t j = 0; j < command->option_count; j++)
            check_option(command, j);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(what_there_is_not_is_refused_in_one_line),
        ROW(refused_commands_are_none_of_ours),
        ROW(help_of_help_is_the_list),
        ROW(help_lists_all_commands),
        ROW(every_command_has_its_help),
        ROW(help_stands_in_columns),
        ROW(the_version_is_said),
        ROW(output_that_can_not_be_written_is_told),
        ROW(rows_are_sound),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
