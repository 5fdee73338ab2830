/* test_import_change.c - --change: six instructions, each by its own rules. */
#include <errno.h>

#include "cmd/cloister/import_change.h"
#include "check.h"

static struct cl_arena arena;
static struct cl_plan plan;
static struct cl_error err;

static int change(const char *text)
{
    err = (struct cl_error){0};
    return cl_import_change(text, &arena, &plan, &err);
}

static void begin(void)
{
    cl_arena_done(&arena);
    arena = CL_ARENA_INIT(64 << 20);
    plan = (struct cl_plan){0};
}

/* The words with "|" behind each. */
static const char *joined(const struct cl_strlist *list)
{
    static char text[4096];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s|", list->items[i]);
    return text;
}

TEST(commands_are_arrays_or_lines)
{
    static const struct {
        const char *text;
        const char *words;
    } rows[] = {
        {"CMD [\"sh\"]", "sh|"},
        {"cmd [ \"sh\" , \"-c\",\"a b\" ] ", "sh|-c|a b|"},
        {"  CMD\t[\"sh\"]\t", "sh|"},
        {"CMD []", ""},
        {"CMD echo $HOME  'x' ", "/bin/sh|-c|echo $HOME  'x'|"},
        {"CMD [\"a\\\"b\\\\c\\/d\\n\\t\\r\\b\\f\"]", "a\"b\\c/d\n\t\r\b\f|"},
        {"CMD [\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"]", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|"},
        {"CMD [\"\xc3\xa9\",\"\"]", "\xc3\xa9||"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        begin();
        CHECK(change(rows[i].text) == 0);
        CHECK_TEXT(joined(&plan.command), rows[i].words);
    }
    begin();
    CHECK(change("ENTRYPOINT [\"/init\"]") == 0 && change("ENTRYPOINT exec x") == 0);
    CHECK_TEXT(joined(&plan.entrypoint), "/bin/sh|-c|exec x|");
    CHECK(plan.command.count == 0);
}

TEST(variables_have_quotes_and_the_last_counts)
{
    begin();
    CHECK(change("ENV A=1 B=\"two words\" C='$not \"it\"' D=a\\ b E=\"x\\\"y\\z\" F=\\$HOME G=") ==
          0);
    CHECK_TEXT(joined(&plan.env), "A=1|B=two words|C=$not \"it\"|D=a b|E=x\"y\\z|F=$HOME|G=|");
    CHECK(change("ENV B=2 H=a\"b c\"d") == 0);
    CHECK_TEXT(joined(&plan.env), "A=1|B=2|C=$not \"it\"|D=a b|E=x\"y\\z|F=$HOME|G=|H=ab cd|");
}

TEST(the_others_are_one_value)
{
    begin();
    CHECK(change("USER www-data:33 ") == 0);
    CHECK_TEXT(plan.user, "www-data:33");
    CHECK(change("WORKDIR /srv/my app") == 0);
    CHECK_TEXT(plan.workdir, "/srv/my app");
    CHECK(change("STOPSIGNAL quit") == 0 && plan.stop_signal == 3);
    CHECK(change("STOPSIGNAL 9") == 0 && plan.stop_signal == 9);
    CHECK(change("STOPSIGNAL SIGRTMIN+3") == 0 && plan.stop_signal > 34);
}

TEST(what_is_wrong_is_told)
{
    static const struct {
        const char *text;
        const char *said;
    } rows[] = {
        {"", "expected CMD, ENTRYPOINT, ENV, USER, WORKDIR or STOPSIGNAL, got \"\""},
        {"EXPOSE 80", "got \"EXPOSE\""},
        {"CMDS x", "got \"CMDS\""},
        {"CMD", "nothing follows CMD"},
        {"CMD   ", "nothing follows CMD"},
        {"CMD [", "CMD: expected words in double quotes"},
        {"CMD [sh]", "CMD: expected words in double quotes"},
        {"CMD ['sh']", "CMD: expected words in double quotes"},
        {"CMD [\"sh\"", "a comma or \"]\" is missing"},
        {"CMD [\"sh\" \"-c\"]", "a comma or \"]\" is missing"},
        {"CMD [\"sh\",]", "expected words in double quotes"},
        {"CMD [\"sh\"] x", "something follows the array"},
        {"CMD [\"sh", "a quotation mark is missing"},
        {"CMD [\"a\\", "none of JSON's"},
        {"CMD [\"\\x41\"]", "a backslash that is none of JSON's"},
        {"CMD [\"\\u004\"]", "none of JSON's"},
        {"CMD [\"\\u0000\"]", "none of JSON's"},
        {"CMD [\"\\ud83d\"]", "none of JSON's"},
        {"CMD [\"\\ud83d\\u0041\"]", "none of JSON's"},
        {"CMD [\"\\udE00\"]", "none of JSON's"},
        {"CMD [\"\"]", "the first word is empty"},
        {"ENTRYPOINT [1]", "ENTRYPOINT: expected words"},
        {"ENV A", "ENV: expected NAME=VALUE, got \"A\""},
        {"ENV A b", "ENV: expected NAME=VALUE, got \"A\""},
        {"ENV A=$B", "variables are not put in here: write \\$ for a $"},
        {"ENV A=\"$B\"", "variables are not put in here"},
        {"ENV A=\"b", "a closing \" is missing"},
        {"ENV A='b\\'", NULL},
        {"ENV A='b", "a closing ' is missing"},
        {"ENV A=b\\", "nothing follows the backslash"},
        {"ENV =b", "ENV: "},
        {"USER a b", "USER: "},
        {"USER :1", "USER: "},
        {"WORKDIR srv", "WORKDIR: "},
        {"STOPSIGNAL", "nothing follows STOPSIGNAL"},
        {"STOPSIGNAL 65", "STOPSIGNAL: expected a signal's name or 1 to 64"},
        {"CMD a\nUSER b", "a control character; one instruction stands in a line"},
        {"CMD \xff", "bytes that are no UTF-8"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        begin();
        int r = change(rows[i].text);
        CHECK(rows[i].said == NULL ? r == 0 : r < 0);
        if (rows[i].said != NULL)
            CHECK_HAS(err.msg, rows[i].said);
    }
}

TEST(a_lack_of_memory_is_told)
{
    static const char *const texts[] = {"CMD [\"sh\", \"-c\"]", "CMD sh", "ENV A=b C=d", "USER a",
                                        "WORKDIR /a"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        int r = -ENOMEM;

        for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
            begin();
            arena = CL_ARENA_INIT(cap);
            r = change(texts[i]);
            CHECK(r == 0 || (r == -ENOMEM && strstr(err.msg, "out of memory") != NULL));
        }
        CHECK(r == 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(commands_are_arrays_or_lines), ROW(variables_have_quotes_and_the_last_counts),
        ROW(the_others_are_one_value),     ROW(what_is_wrong_is_told),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
