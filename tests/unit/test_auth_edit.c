/* test_auth_edit.c - Docker's config.json with one registry's credentials changed. */
#include <errno.h>

#include "check.h"
#include "helpers/image/auth.h"
#include "helpers/image/auth_edit.h"

#define HUB_URL "https://index.docker.io/v1/"
#define AUTHS(entries) "{\"auths\":{" entries "}}"
#define OLD(key) "\"" key "\":{\"auth\":\"dXNlcjpvbGQ=\"}" /* user:old */

static const struct cl_auth_record none = {.set = CL_RECORD_BIT(CL_AUTH_KIND),
                                           .kind = CL_AUTH_NONE};
static const struct cl_auth_record basic = {
    .set =
        CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_USER) | CL_RECORD_BIT(CL_AUTH_SECRET),
    .kind = CL_AUTH_BASIC,
    .user = "user",
    .secret = "n:ew",
};

static struct cl_error err;

static int edit(const char *text, const char *registry, const struct cl_auth_record *record,
                struct cl_buf *output)
{
    const struct cl_document document = {"f", text, strlen(text)};

    err = (struct cl_error){0};
    return cl_auth_edit(&document, registry, record, output, &err);
}

/* What TEXT says of WHERE: a secret, or "" for nothing. */
static const char *secret_of(const char *text, const char *where, struct cl_arena *arena)
{
    const struct cl_document document = {"f", text, strlen(text)};
    struct cl_auth_record record = {.set = 0};

    CHECK(cl_auth_find(&document, where, arena, &record, &err) == 0);
    return record.kind == CL_AUTH_BASIC || record.kind == CL_AUTH_IDENTITY ? record.secret : "";
}

/* --- which keys are a registry's -------------------------------------------------- */

static const struct {
    const char *key;
    const char *registry;
    int names;
} keys[] = {
    {HUB_URL, HUB_URL, 1},
    {"docker.io", HUB_URL, 1},
    {"docker.io", "docker.io", 1},
    {"Docker.IO", HUB_URL, 1},
    {"index.docker.io", HUB_URL, 1},
    {"registry-1.docker.io", HUB_URL, 1},
    {"https://index.docker.io", HUB_URL, 1},
    {"http://docker.io/", HUB_URL, 1},
    {"https://registry-1.docker.io/v2/", HUB_URL, 1},
    {"docker.io/library", HUB_URL, 0},
    {"docker.io/library/debian", HUB_URL, 0},
    {"docker.io.evil", HUB_URL, 0},
    {"evil-docker.io", HUB_URL, 0},
    {"r.example:5000", "r.example:5000", 1},
    {"R.Example:5000", "r.example:5000", 1},
    {"https://r.example:5000", "r.example:5000", 1},
    {"http://r.example:5000/v2/", "r.example:5000", 1},
    {"HTTPS://r.example:5000/v1/x", "r.example:5000", 1},
    {"r.example:5000/", "r.example:5000", 1},
    {"r.example:5000/v1/", "r.example:5000", 1},
    {"r.example:5000/team", "r.example:5000", 0},
    {"r.example:5000/v1", "r.example:5000", 0},
    {"r.example", "r.example:5000", 0},
    {"r.example:500", "r.example:5000", 0},
    {"r.example:5000", "r.example", 0},
    {HUB_URL, "r.example", 0},
    {"", "r.example", 0},
    {"https://", "r.example", 0},
};

TEST(the_spellings_of_a_registry_are_known)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(keys); i++) {
        if (cl_auth_names_registry(keys[i].key, keys[i].registry) != keys[i].names)
            printf("# %s for %s\n", keys[i].key, keys[i].registry);
        CHECK(cl_auth_names_registry(keys[i].key, keys[i].registry) == keys[i].names);
    }
}

/* --- out -------------------------------------------------------------------------- */

TEST(every_spelling_goes)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(keys); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);
        char text[256];

        (void)snprintf(text, sizeof(text), AUTHS(OLD("%s") "," OLD("other.example")), keys[i].key);
        CHECK(edit(text, keys[i].registry, &none, &output) == 0);
        CHECK((output.size > 0) == keys[i].names);
        if (!keys[i].names)
            continue;
        CHECK_TEXT(secret_of(output.data, keys[i].registry, &arena), "");
        CHECK_TEXT(secret_of(output.data, "other.example", &arena), "old");
        CHECK(strstr(output.data, keys[i].key) == NULL);
    }
}

TEST(several_spellings_go_together)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

    CHECK(edit(AUTHS(OLD("docker.io") "," OLD("quay.io") "," OLD(HUB_URL) "," OLD(
                   "index.docker.io") "," OLD("docker.io/team")),
               HUB_URL, &none, &output) == 0);
    CHECK_TEXT(secret_of(output.data, "docker.io", &arena), "");
    CHECK_TEXT(secret_of(output.data, "docker.io/team/app", &arena), "old");
    CHECK_TEXT(secret_of(output.data, "quay.io", &arena), "old");
}

/* Whatever it holds: a way out of what can't be read any more. */
TEST(entries_without_sense_go_too)
{
    static const char *const entries[] = {
        "{}", "null", "{\"auth\":\"!\"}", "{\"registrytoken\":\"x\"}", "[1]", "\"x\"", "5"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(entries); i++) {
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);
        char text[256];

        (void)snprintf(text, sizeof(text), AUTHS("\"r.example\":%s"), entries[i]);
        CHECK(edit(text, "r.example", &none, &output) == 0);
        CHECK_TEXT(cl_buf_text(&output), "{\n  \"auths\": {}\n}\n");
    }
}

TEST(what_is_not_there_changes_nothing)
{
    static const char *const texts[] = {
        "", "{}", "{\"auths\":null}", AUTHS(""), AUTHS(OLD("x")), "{\"credsStore\":\"x\"}"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

        CHECK(edit(texts[i], "r.example", &none, &output) == 0);
        CHECK(output.size == 0);
    }
}

/* --- in --------------------------------------------------------------------------- */

TEST(a_new_file_holds_the_entry_alone)
{
    static const char *const texts[] = {"", "{}", "{\"auths\":null}", AUTHS("")};

    for (size_t i = 0; i < CL_ARRAY_SIZE(texts); i++) {
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

        CHECK(edit(texts[i], "r.example", &basic, &output) == 0);
        CHECK_TEXT(cl_buf_text(&output), "{\n  \"auths\": {\n    \"r.example\": {\n"
                                         "      \"auth\": \"dXNlcjpuOmV3\"\n    }\n  }\n}\n");
    }
}

TEST(the_new_password_wins_over_every_spelling)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(keys); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);
        char text[256];

        (void)snprintf(text, sizeof(text), AUTHS(OLD("%s")), keys[i].key);
        CHECK(edit(text, keys[i].registry, &basic, &output) == 0);
        CHECK_TEXT(secret_of(cl_buf_text(&output), keys[i].registry, &arena), "n:ew");
        CHECK((strstr(cl_buf_text(&output), "dXNlcjpvbGQ=") == NULL) == keys[i].names);
    }
}

TEST(all_else_stays_as_it_was)
{
    static const char text[] =
        "{\"HttpHeaders\":{\"x\":\"\\u00e9/\\\"\"},\"auths\":{" OLD("a") "," OLD(
            "R") ",\"b\":{\"auth\":"
                 "\"\",\"email\":\"m\",\"more\":[1,2.5,true,null]}},\"credHelpers\":{\"g\":\"h\"},"
                 "\"detachKeys\":\"ctrl-a\",\"number\":9007199254740993}";
    static const char expected[] =
        "{\n  \"HttpHeaders\": {\n    \"x\": \"\xc3\xa9/\\\"\"\n  },\n  \"auths\": {\n    \"a\": "
        "{\n"
        "      \"auth\": \"dXNlcjpvbGQ=\"\n    },\n    \"b\": {\n      \"auth\": \"\",\n"
        "      \"email\": \"m\",\n      \"more\": [\n        1,\n        2.5,\n        true,\n"
        "        null\n      ]\n    },\n    \"r\": {\n      \"auth\": \"dXNlcjpuOmV3\"\n    }\n  "
        "},\n"
        "  \"credHelpers\": {\n    \"g\": \"h\"\n  },\n  \"detachKeys\": \"ctrl-a\",\n"
        "  \"number\": 9007199254740993\n}\n";
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

    CHECK(edit(text, "r", &basic, &output) == 0);
    CHECK_TEXT(cl_buf_text(&output), expected);
}

TEST(an_identity_token_stands_beside_a_user_who_is_nobody)
{
    const struct cl_auth_record identity = {
        .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_SECRET),
        .kind = CL_AUTH_IDENTITY,
        .secret = "t0k\xc3\xa9",
    };
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

    CHECK(edit(AUTHS(OLD("r")), "r", &identity, &output) == 0);
    CHECK_HAS(cl_buf_text(&output), "\"auth\": \"PHRva2VuPjo=\"");
    CHECK_TEXT(secret_of(cl_buf_text(&output), "r", &arena), "t0k\xc3\xa9");
}

/* --- what can't be ----------------------------------------------------------------- */

TEST(wrong_files_are_told_and_not_overwritten)
{
    static const struct {
        const char *text;
        const char *message;
    } wrong[] = {
        {"{", "f:1:1"},
        {" ", "f:1:1"},
        {"[]", "f: expected an object"},
        {"5", "f:1:1"},
        {"{\"auths\":[]}", "f: auths: expected an object"},
        {"{\"auths\":\"hunter\"}", "f: auths: expected an object"},
        {"{\"auths\":{\"r\":1,\"r\":2}}", "f:1:"},
        {"{\"auths\":{\"r\":hunter}}", "f:1:"},
    };
    static const struct cl_auth_record *const records[] = {&none, &basic};

    for (size_t i = 0; i < 2 * CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

        CHECK(edit(wrong[i / 2].text, "r", records[i % 2], &output) == -EINVAL);
        CHECK_HAS(err.msg, wrong[i / 2].message);
        CHECK(strstr(err.msg, "hunter") == NULL);
        CHECK(output.size == 0);
    }
}

/* Said as that, not as a lack of memory, which is what jansson's answer could be as well. */
TEST(an_identity_token_that_is_no_utf_8_is_told)
{
    static const char *const secrets[] = {"hunter\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(secrets); i++) {
        const struct cl_auth_record identity = {
            .set = CL_RECORD_BIT(CL_AUTH_KIND) | CL_RECORD_BIT(CL_AUTH_SECRET),
            .kind = CL_AUTH_IDENTITY,
            .secret = secrets[i],
        };
        CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

        CHECK(edit("{}", "r", &identity, &output) == -EINVAL);
        CHECK_HAS(err.msg, "f: can't hold the identity token, which is no UTF-8");
        CHECK(strstr(err.msg, "hunter") == NULL && output.size == 0);
    }
}

/* In base64 it is bytes. */
TEST(a_password_need_be_no_utf_8)
{
    struct cl_auth_record record = basic;
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(1 << 16);

    record.secret = "\xff";
    CHECK(edit("{}", "r", &record, &output) == 0);
    CHECK_HAS(cl_buf_text(&output), "\"auth\": \"dXNlcjr/\"");
}

TEST(a_file_that_does_not_fit_is_told)
{
    CL_CLEANUP_BUF struct cl_buf output = CL_BUF_INIT(16);

    CHECK(edit("", "r.example", &basic, &output) < 0);
    CHECK(err.code != 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_spellings_of_a_registry_are_known),
        ROW(every_spelling_goes),
        ROW(several_spellings_go_together),
        ROW(entries_without_sense_go_too),
        ROW(what_is_not_there_changes_nothing),
        ROW(a_new_file_holds_the_entry_alone),
        ROW(the_new_password_wins_over_every_spelling),
        ROW(all_else_stays_as_it_was),
        ROW(an_identity_token_stands_beside_a_user_who_is_nobody),
        ROW(wrong_files_are_told_and_not_overwritten),
        ROW(an_identity_token_that_is_no_utf_8_is_told),
        ROW(a_password_need_be_no_utf_8),
        ROW(a_file_that_does_not_fit_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
