/* completion: scripts for bash, zsh and fish, made from the rows that parse.
 *
 * The words of rows are our own constants without quotes or blanks, so nothing has to
 * be escaped but the help texts of fish. */
#include <errno.h>
#include <string.h>

#include "cmd/cloister/command.h"

enum { SCRIPT_MAX = 256 << 10 };

#define IMAGE_FORMS "host rootfs: oci: oci-archive: docker-archive:"

static const struct cl_option options[] = {
    CL_OPTION_HELP,
};

/* What stands for the words that begin with "@" (command.h). */
struct kind {
    const char *name;
    const char *bash; /* within double quotes */
    const char *fish; /* of -a, within single quotes */
};

static const struct kind kinds[] = {
    {"@sandbox", "$(cloister ps --names 2>/dev/null)", "(cloister ps --names 2>/dev/null)"},
    {"@known", "$(cloister ps --all --names 2>/dev/null)",
     "(cloister ps --all --names 2>/dev/null)"},
    {"@stored", "$(cloister images --names 2>/dev/null)", "(cloister images --names 2>/dev/null)"},
    {"@image", IMAGE_FORMS " $(cloister images --names 2>/dev/null)",
     IMAGE_FORMS " (cloister images --names 2>/dev/null)"},
    {"@either",
     "$(case \" ${COMP_WORDS[*]} \" in (*\" --image \"*) cloister images --names ;; "
     "(*) cloister ps --all --names ;; esac 2>/dev/null)",
     "(if __fish_seen_argument -l image; cloister images --names; else; cloister ps --all --names; "
     "end "
     "2>/dev/null)"},
};

static const struct kind *find_kind(const struct cl_command *command)
{
    for (size_t i = 0; command->operands != NULL && i < CL_ARRAY_SIZE(kinds); i++) {
        if (strcmp(kinds[i].name, command->operands) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* --- bash, which zsh can run too ------------------------------------------ */

/* "--a -b --c " of the listed options. */
static int add_option_words(struct cl_buf *buf, const struct cl_command *command)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < command->option_count; i++) {
        const struct cl_option *option = &command->options[i];

        if (option->help == NULL)
            continue;
        r = cl_buf_printf(buf, "--%s ", option->name);
        if (r == 0 && option->letter != '\0')
            r = cl_buf_printf(buf, "-%c ", option->letter);
    }
    return r;
}

/* "--name|-n" */
static int add_pattern(struct cl_buf *buf, const struct cl_command *command,
                       const struct cl_option *option)
{
    int r = cl_buf_printf(buf, "    %s:--%s", command->name, option->name);

    if (r == 0 && option->letter != '\0')
        r = cl_buf_printf(buf, "|%s:-%c", command->name, option->letter);
    return r;
}

static int add_value_case(struct cl_buf *buf, const struct cl_command *command,
                          const struct cl_option *option)
{
    if (option->help == NULL || option->value == NULL)
        return 0;
    int r = add_pattern(buf, command, option);
    if (r < 0)
        return r;
    if (option->choices != NULL && option->choices[0] == '@')
        return cl_buf_add_str(buf, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
    return cl_buf_printf(buf, ") COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return ;;\n",
                         option->choices == NULL ? "" : option->choices);
}

static int add_command_case(struct cl_buf *buf, const struct cl_command *command)
{
    const struct kind *kind = find_kind(command);
    int r = cl_buf_printf(buf, "    %s) list=\"", command->name);

    if (r == 0)
        r = add_option_words(buf, command);
    if (r == 0 && command->operands != NULL)
        r = cl_buf_add_str(buf, kind != NULL ? kind->bash : command->operands);
    return r < 0 ? r : cl_buf_add_str(buf, "\" ;;\n");
}

/* To bash, not to zsh, "debian:bookworm" is three words: they are put together, and of what is
 * offered for them only the part behind the last colon is new. */
static const char bash_head[] =
    "_cloister() {\n"
    "  local cur prev cmd list=\"\" at=$COMP_CWORD\n" /* zsh keeps `words` for itself */
    "  COMPREPLY=()\n"
    "  cur=\"${COMP_WORDS[at]}\"\n"
    "  while [ \"$at\" -gt 2 ] && { [ \"${COMP_WORDS[at]}\" = : ] || "
    "[ \"${COMP_WORDS[at-1]}\" = : ]; }; do\n"
    "    at=$((at-1))\n"
    "    cur=\"${COMP_WORDS[at]}$cur\"\n"
    "  done\n"
    "  prev=\"${COMP_WORDS[at-1]}\"\n"
    "  cmd=\"${COMP_WORDS[1]}\"\n"
    "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "    COMPREPLY=($(compgen -W \"help";
static const char bash_end[] = "  esac\n"
                               "  COMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n"
                               "  if [ \"$at\" -lt \"$COMP_CWORD\" ]; then\n"
                               "    prev=\"${cur%\"${cur##*:}\"}\"\n"
                               "    COMPREPLY=(\"${COMPREPLY[@]#\"$prev\"}\")\n"
                               "  fi\n"
                               "}\n"
                               "complete -o default -F _cloister cloister\n";

static int add_bash(struct cl_buf *buf)
{
    int r = cl_buf_add_str(buf, bash_head);

    for (size_t i = 0; r == 0 && i < cl_command_count; i++)
        r = cl_buf_printf(buf, " %s", cl_commands[i]->name);
    if (r == 0)
        r = cl_buf_add_str(buf, "\" -- \"$cur\"))\n    return\n  fi\n  case \"$cmd:$prev\" in\n");
    for (size_t i = 0; r == 0 && i < cl_command_count; i++) {
        for (size_t j = 0; r == 0 && j < cl_commands[i]->option_count; j++)
            r = add_value_case(buf, cl_commands[i], &cl_commands[i]->options[j]);
    }
    if (r == 0)
        r = cl_buf_add_str(buf, "  esac\n  case \"$cmd\" in\n");
    for (size_t i = 0; r == 0 && i < cl_command_count; i++)
        r = add_command_case(buf, cl_commands[i]);
    return r < 0 ? r : cl_buf_add_str(buf, bash_end);
}

static int add_zsh(struct cl_buf *buf)
{
    int r = cl_buf_add_str(buf, "#compdef cloister\n"
                                "autoload -U +X bashcompinit && bashcompinit\n");

    if (r == 0)
        r = add_bash(buf);
    /* Autoloaded from fpath, this text is itself the function that was asked to complete. */
    return r < 0 ? r
                 : cl_buf_add_str(buf, "if [ \"$funcstack[1]\" = _cloister ]; then\n"
                                       "  _bash_complete -o default -F _cloister\n"
                                       "fi\n");
}

/* --- fish ----------------------------------------------------------------- */

/* TEXT in single quotes, where fish escapes \ and '. */
static int add_quoted(struct cl_buf *buf, const char *text)
{
    int r = cl_buf_add(buf, "'", 1);

    for (; r == 0 && *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            r = cl_buf_add(buf, "\\", 1);
        if (r == 0)
            r = cl_buf_add(buf, text, 1);
    }
    return r < 0 ? r : cl_buf_add(buf, "'", 1);
}

static int add_fish_option(struct cl_buf *buf, const struct cl_command *command,
                           const struct cl_option *option)
{
    const char *choices = option->choices;
    int r = cl_buf_printf(buf, "complete -c cloister -n '__fish_seen_subcommand_from %s' -l %s",
                          command->name, option->name);

    if (r == 0 && option->letter != '\0')
        r = cl_buf_printf(buf, " -s %c", option->letter);
    if (r == 0 && option->value != NULL)
        r = cl_buf_add_str(buf, choices != NULL && choices[0] == '@' ? " -r -F" : " -x");
    if (r == 0 && choices != NULL && choices[0] != '@')
        r = cl_buf_printf(buf, " -a '%s'", choices);
    if (r == 0)
        r = cl_buf_add_str(buf, " -d ");
    if (r == 0)
        r = add_quoted(buf, option->help);
    return r < 0 ? r : cl_buf_add(buf, "\n", 1);
}

static int add_fish_command(struct cl_buf *buf, const struct cl_command *command)
{
    const struct kind *kind = find_kind(command);
    const char *words = command->operands;
    int r = cl_buf_printf(buf, "complete -c cloister -f -n __fish_use_subcommand -a %s -d ",
                          command->name);

    if (r == 0)
        r = add_quoted(buf, command->help);
    if (r == 0)
        r = cl_buf_add(buf, "\n", 1);
    if (kind != NULL)
        words = kind->fish;
    if (r == 0 && words != NULL)
        r = cl_buf_printf(buf,
                          "complete -c cloister -f -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                          command->name, words);
    for (size_t i = 0; r == 0 && i < command->option_count; i++) {
        if (command->options[i].help != NULL)
            r = add_fish_option(buf, command, &command->options[i]);
    }
    return r;
}

static int add_fish(struct cl_buf *buf)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < cl_command_count; i++)
        r = add_fish_command(buf, cl_commands[i]);
    return r;
}

/* -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*add)(struct cl_buf *buf);
} shells[] = {
    {"bash", add_bash},
    {"zsh", add_zsh},
    {"fish", add_fish},
};

static int run(const struct cl_command *self, int argc, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(SCRIPT_MAX);
    int first = cl_command_parse(self, argc, argv, NULL, err);

    if (first < 0)
        return first;
    if (argc - first != 1)
        return cl_refuse(err, EINVAL, "completion: name one shell: bash, zsh or fish");
    for (size_t i = 0; i < CL_ARRAY_SIZE(shells); i++) {
        if (strcmp(shells[i].name, argv[first]) == 0)
            return shells[i].add(&buf) < 0 ? cl_fail_memory(err) : cl_print(&buf, err);
    }
    return cl_refuse(err, EINVAL, "completion: expected bash, zsh or fish, got \"%.32s\"",
                     argv[first]);
}

const struct cl_command cl_command_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .help = "Print the completion script of a shell",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .operands = "bash zsh fish",
};
