/* Options as rows: what is one, what follows one, and where they may stand. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "check.h"

struct seen_options {
    char text[64];
};

static int note(void *context, const struct cl_option *option, const char *value,
                struct cl_error *err)
{
    struct seen_options *seen = context;
    size_t used = strlen(seen->text);

    if (value != NULL && strcmp(value, "bad") == 0)
        return cl_refuse(err, EINVAL, "wrong");
    (void)snprintf(seen->text + used, sizeof(seen->text) - used, "[%s=%s]", option->name,
                   value == NULL ? "" : value);
    return 0;
}

static const struct cl_option options[] = {
    {"interactive", 'i', NULL, "", note, 0, NULL}, {"tty", 't', NULL, "", note, 0, NULL},
    {"memory", 'm', "SIZE", "", note, 0, NULL},    {"name", 0, "NAME", "", note, 0, NULL},
    {"switch", 's', NULL, "", note, 0, "on off"},
};

static const struct cl_refused_option refused[] = {
    {"detach", 'd', "not built yet"},
    {NULL, 0, NULL},
};

static int parse(const char *a, const char *b, const char *c, struct seen_options *seen,
                 struct cl_error *err)
{
    char words[4][16] = {"cloister"};
    char *argv[5] = {words[0], NULL};
    const char *const given[] = {a, b, c};
    int argc = 1;

    for (int i = 0; i < 3 && given[i] != NULL; i++) {
        (void)snprintf(words[argc], sizeof(words[argc]), "%s", given[i]);
        argv[argc] = words[argc];
        argc++;
    }
    const struct cl_option_table table = {options, CL_ARRAY_SIZE(options), refused};

    return cl_options_parse(table, argc, argv, seen, err);
}

TEST(options_end_at_the_first_operand)
{
    struct seen_options seen = {""};
    struct cl_error err = {0};

    CHECK(parse("-it", "--memory=1g", "host", &seen, &err) == 3);
    CHECK(parse("-m512m", "host", "-i", &seen, &err) == 2);
    CHECK(parse("--", "-i", NULL, &seen, &err) == 2);
    CHECK(parse("-", NULL, NULL, &seen, &err) == 1);
    CHECK_TEXT(seen.text, "[interactive=][tty=][memory=1g][memory=512m]");
}

/* What cl_options_order makes of words: the same, joined. */
static int order(const char *line, char *ret, size_t size, struct cl_error *err)
{
    const struct cl_option_table table = {options, CL_ARRAY_SIZE(options), refused};
    char text[128];
    char *rest = NULL;
    char *argv[16] = {text};
    int argc = 1;

    (void)snprintf(text, sizeof(text), "x %s", line);
    (void)strtok_r(text, " ", &rest);
    while ((argv[argc] = strtok_r(NULL, " ", &rest)) != NULL)
        argc++;
    int r = cl_options_order(table, argc, argv, err);
    ret[0] = '\0';
    for (int i = 1; i < argc; i++)
        (void)snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", i == 1 ? "" : " ", argv[i]);
    CHECK(argv[argc] == NULL);
    return r;
}

TEST(options_come_before_operands)
{
    static const struct {
        const char *line;
        const char *ordered;
    } lines[] = {
        {"", ""},
        {"a b", "a b"},
        {"a -i", "-i a"},
        {"a -i b --tty c", "-i --tty a b c"},
        {"a -m 1g b --name n -t", "-m 1g --name n -t a b"},
        {"a -im 1g", "-im 1g a"},
        {"a -m1g b", "-m1g a b"},
        {"a --name=n b", "--name=n a b"},
        {"a --name -i b", "--name -i a b"}, /* its value, whatever it looks like */
        {"a -m -- b -i", "-m -- -i a b"},
        {"- -i -", "-i - -"},
        {"a -i -- -t b", "-i -- a -t b"},
        {"-- a -i", "-- a -i"},
        {"a -i -- --", "-i -- a --"},
        {"a --unknown b -x", "--unknown -x a b"}, /* to be refused */
        {"a -xm b", "-xm a b"},
        {"a -d b", "-d a b"},
    };
    struct cl_error err = {0};
    char text[128];

    for (size_t i = 0; i < CL_ARRAY_SIZE(lines); i++) {
        CHECK(order(lines[i].line, text, sizeof(text), &err) == 0);
        CHECK_TEXT(text, lines[i].ordered);
    }
    CHECK(order("a -i -m", text, sizeof(text), &err) == -EINVAL);
    CHECK_TEXT(err.msg, "--memory needs a value, SIZE");
    CHECK(order("a --name", text, sizeof(text), &err) == -EINVAL);
    CHECK_TEXT(err.msg, "--name needs a value, NAME");
}

TEST(options_refuse_what_they_do_not_know)
{
    struct seen_options seen = {""};
    struct cl_error err = {0};

    CHECK(parse("--mem=1", NULL, NULL, &seen, &err) == -EINVAL); /* no abbreviations */
    CHECK_HAS(err.msg, "unknown option --mem");
    CHECK(parse("-x", NULL, NULL, &seen, &err) == -EINVAL);
    CHECK(parse("--tty=1", NULL, NULL, &seen, &err) == -EINVAL);
    CHECK_HAS(err.msg, "takes no value");
    CHECK(parse("--detach=1", NULL, NULL, &seen, &err) == -ENOSYS);
    CHECK_TEXT(err.msg, "--detach: not built yet");
    CHECK(parse("-td", NULL, NULL, &seen, &err) == -ENOSYS);
    CHECK_TEXT(err.msg, "--detach: not built yet");
    CHECK(parse("--name", NULL, NULL, &seen, &err) == -EINVAL);
    CHECK_HAS(err.msg, "needs a value, NAME");
    CHECK(parse("--name", "bad", NULL, &seen, &err) == -EINVAL);
    CHECK_TEXT(err.msg, "--name: wrong");
    CHECK_TEXT(seen.text, "[tty=]");
}

TEST(a_switch_has_its_choices_with_a_sign_alone)
{
    static const char *const wrong[] = {"--switch=", "--switch=o", "--switch=onn",
                                        "--switch=on off", "--switch= "};
    struct seen_options seen = {""};
    struct cl_error err = {0};

    CHECK(parse("--switch", "--switch=on", "--switch=off", &seen, &err) == 4);
    CHECK_TEXT(seen.text, "[switch=][switch=on][switch=off]");
    CHECK(parse("--switch", "off", NULL, &seen, &err) == 2); /* an operand */
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CHECK(parse(wrong[i], NULL, NULL, &seen, &err) == -EINVAL);
        CHECK_TEXT(err.msg, "--switch takes no value");
    }
}

TEST(options_guess_what_was_meant)
{
    static const struct {
        const char *word;
        const char *message;
    } guesses[] = {
        {"--memroy=1", "unknown option --memroy; did you mean --memory?"},
        {"--mem", "unknown option --mem; did you mean --memory?"},
        {"--memory-limit", "unknown option --memory-limit; did you mean --memory?"},
        {"--nam", "unknown option --nam; did you mean --name?"},
        {"--detatch", "unknown option --detatch; did you mean --detach?"},
        {"--Tty", "unknown option --Tty; did you mean --tty?"},
        {"--x", "unknown option --x; see --help"},
        {"--=x", "unknown option --; see --help"},
        {"-x", "unknown option -x; see --help"},
    };
    struct seen_options seen = {""};
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(guesses); i++) {
        CHECK(parse(guesses[i].word, NULL, NULL, &seen, &err) == -EINVAL);
        CHECK_TEXT(err.msg, guesses[i].message);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(options_end_at_the_first_operand),     ROW(options_come_before_operands),
        ROW(options_refuse_what_they_do_not_know), ROW(a_switch_has_its_choices_with_a_sign_alone),
        ROW(options_guess_what_was_meant),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
