/* test_completion.c - what the shells are given: every listed option and every command,
 * and a script that bash really completes by. */
#include "command_scene.h"

static const char *script_of(const char *shell)
{
    CHECK(RUN(&cl_command_completion, shell, NULL) == 0);
    return said.out;
}

TEST(one_known_shell_is_named)
{
    static const char three[] = "completion: name one shell: bash, zsh or fish";

    CHECK(RUN(&cl_command_completion, NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, three);
    CHECK(RUN(&cl_command_completion, "bash", "zsh", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, three);
    CHECK(RUN(&cl_command_completion, "tcsh", NULL) == -EINVAL);
    CHECK_TEXT(said.err.msg, "completion: expected bash, zsh or fish, got \"tcsh\"");
    CHECK_TEXT(said.out, "");
}

/* What bash completes WORDS to, of which the last is being written. */
static void check_bash(const char *words, const char *expected)
{
    char script[1024];
    char text[4096] = "";
    CL_CLEANUP_FD int file =
        memfd_create("completion", 0); // NOLINT(android-cloexec-memfd-create): bash reads it

    (void)script_of("bash");
    CHECK(cl_write_all(file, said.out, strlen(said.out)) == 0);
    (void)snprintf(script, sizeof(script),
                   "bash -c 'source /proc/self/fd/%d; cloister() { case $1 in "
                   "images) echo debian:12 debian:bookworm localhost:5000/a:1 ;; "
                   "ps) echo 0011aabb web ;; esac; }; COMP_WORDS=(cloister %s); "
                   "COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _cloister; echo \"${COMPREPLY[*]}\"' 2>&1",
                   file, words);
    FILE *bash = popen(script, "r"); // NOLINT(cert-env33-c): our own words
    CHECK(bash != NULL);
    CHECK(bash != NULL && fgets(text, sizeof(text), bash) != NULL && pclose(bash) == 0);
    text[strcspn(text, "\n")] = '\0';
    CHECK_TEXT(text, expected);
}

TEST(bash_completes_by_it)
{
    check_bash("pr", "prune");
    check_bash("comp", "completion");
    check_bash("completion f", "fish");
    check_bash("run --prof", "--profile");
    check_bash("run --profile b", "build");
    check_bash("run --format j", "json");
    check_bash("run ho", "host");
    check_bash("kill -s TE", "TERM");
    check_bash("kill --signal US", "USR1 USR2");
    check_bash("run --privil", ""); /* what is refused is not offered */
    check_bash("version --format t", "table");
}

/* As bash has it, a colon is a word. */
TEST(bash_completes_names_of_images)
{
    check_bash("rmi deb", "debian:12 debian:bookworm");
    check_bash("rmi debian :", "12 bookworm");
    check_bash("rmi debian : b", "bookworm");
    check_bash("rmi -f debian : b", "bookworm");
    check_bash("rmi localhost : 5000/a", "5000/a:1");
    check_bash("rmi localhost : 5000/a :", "1");
    check_bash("rmi ho", "");
    check_bash("run oci", "oci: oci-archive:");
    check_bash("run debian : 1", "12");
    check_bash("inspect w", "web");
    check_bash("inspect deb", "");
    check_bash("inspect --image deb", "debian:12 debian:bookworm");
    check_bash("inspect --image debian : bo", "bookworm");
    check_bash("kill 00", "0011aabb");
}

TEST(listed_options_are_in_each_and_no_others)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    char word[64];

    for (size_t s = 0; s < CL_ARRAY_SIZE(shells); s++) {
        const char *script = script_of(shells[s]);

        for (size_t i = 0; i < cl_command_count; i++) {
            CHECK_HAS(script, cl_commands[i]->name);
            for (size_t j = 0; j < cl_commands[i]->option_count; j++) {
                const struct cl_option *option = &cl_commands[i]->options[j];

                (void)snprintf(word, sizeof(word), s == 2 ? " -l %s " : "--%s ", option->name);
                if (option->help != NULL)
                    CHECK_HAS(script, word);
                (void)snprintf(word, sizeof(word), "%s:--%s%s", cl_commands[i]->name, option->name,
                               option->letter == '\0' ? ")" : "|");
                if (option->help == NULL)
                    CHECK(strstr(script, word) == NULL);
            }
        }
    }
}

TEST(zsh_gets_bashs_with_a_frame)
{
    const char *script = script_of("zsh");

    CHECK(strncmp(script, "#compdef cloister\n", strlen("#compdef cloister\n")) == 0);
    CHECK_HAS(script, "autoload -U +X bashcompinit && bashcompinit\n_cloister() {\n");
}

/* fish(1): in single quotes only \ and ' are escaped. */
TEST(texts_for_fish_are_quoted)
{
    const char *script = script_of("fish");

    CHECK_HAS(script, "complete -c cloister -f -n __fish_use_subcommand -a ps -d 'List the "
                      "sandboxes that run, or all that are kept'\n");
    CHECK_HAS(script, "-l env -s e -x -d 'set a variable; without a value take the caller\\'s'\n");
    CHECK_HAS(script, "-l policy -r -F -d 'a policy file; flags override it'\n");
    CHECK_HAS(script, "-l profile -x -a 'strict build' -d ");
    CHECK_HAS(script, "from kill' -a '(cloister ps --names 2>/dev/null)'\n");
    CHECK_HAS(script, "from rmi' -a '(cloister images --names 2>/dev/null)'\n");
    for (const char *at = script; *at != '\0';) { /* quotes come in pairs on every line */
        int quotes = 0;

        for (; *at != '\n' && *at != '\0'; at++) {
            if (*at == '\\' && at[1] != '\0')
                at++;
            else
                quotes += *at == '\'';
        }
        CHECK(quotes % 2 == 0);
        at += *at == '\n';
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(one_known_shell_is_named),       ROW(bash_completes_by_it),
        ROW(bash_completes_names_of_images), ROW(listed_options_are_in_each_and_no_others),
        ROW(zsh_gets_bashs_with_a_frame),    ROW(texts_for_fish_are_quoted),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
