/* test_auth_file.c - credentials in Docker's and containers' files and helpers' answers. */
#include <errno.h>

#include "helpers/common/base64.h"
#include "helpers/image/auth.h"
#include "check.h"

static int find(const char *text, const char *where, struct cl_arena *arena,
                struct cl_auth_record *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct cl_document document = {"f", text, strlen(text)};
    struct cl_auth_record back = {.set = 0};

    *err = (struct cl_error){0};
    *ret = (struct cl_auth_record){.set = 0};
    int r = where == NULL ? cl_auth_take_answer(&document, arena, ret, err)
                          : cl_auth_find(&document, where, arena, ret, err);
    if (r < 0) {
        CHECK(ret->set == 0);
        return r;
    }
    CHECK(cl_flat_write(&cl_auth_shape, ret, &buf, err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_auth_shape, &bytes, arena, &back, err) == 0 && back.set == ret->set);
    return r;
}

/* "user:KEY" in base64 for each of the keys below */
#define AUTH(key, base64) "\"" key "\":{\"auth\":\"" base64 "\"}"
#define HUB "dXNlcjpodWI="       /* user:hub */
#define OTHER "dXNlcjpvdGhlcg==" /* user:other */
#define TEAM "dXNlcjp0ZWFt"      /* user:team */
#define APP "dXNlcjphcHA="       /* user:app */
#define AUTHS(entries) "{\"auths\":{" entries "}}"
#define HUB_URL "https://index.docker.io/v1/"

static const struct {
    const char *text;
    const char *where;
    const char *secret; /* of BASIC; NULL: NONE */
} rows[] = {
    {AUTHS(AUTH(HUB_URL, HUB)), "docker.io", "hub"},
    {AUTHS(AUTH("docker.io", HUB)), "docker.io", "hub"},
    {AUTHS(AUTH("index.docker.io", HUB)), "docker.io", "hub"},
    {AUTHS(AUTH("registry-1.docker.io", HUB)), "docker.io", "hub"},
    {AUTHS(AUTH(HUB_URL, HUB)), "registry-1.docker.io", "hub"},
    {AUTHS(AUTH(HUB_URL, HUB)), "docker.io/library/debian", "hub"},
    {AUTHS(AUTH("evil-docker.io", HUB)), "docker.io", NULL},
    {AUTHS(AUTH("docker.io.evil", HUB)), "docker.io", NULL},
    {AUTHS(AUTH(HUB_URL, HUB)), "quay.io", NULL},
    /* hosts with and without port, scheme and path */
    {AUTHS(AUTH("r.example:5000", OTHER)), "r.example:5000", "other"},
    {AUTHS(AUTH("r.example:5000", OTHER)), "r.example", NULL},
    {AUTHS(AUTH("r.example", OTHER)), "r.example:5000", NULL},
    {AUTHS(AUTH("R.Example", OTHER)), "r.example", "other"},
    {AUTHS(AUTH("https://r.example", OTHER)), "r.example", "other"},
    {AUTHS(AUTH("http://r.example/", OTHER)), "r.example", "other"},
    {AUTHS(AUTH("https://r.example/v2/", OTHER)), "r.example/team/app", "other"},
    {AUTHS(AUTH("r.example/", OTHER)), "r.example/team", "other"},
    {AUTHS(AUTH("r.example/v1/", OTHER)), "r.example/team", "other"},
    {AUTHS(AUTH("r.example", OTHER) "," AUTH(HUB_URL, HUB)), "r.example", "other"},
    {AUTHS(AUTH("", OTHER)), "r.example", NULL},
    {AUTHS(AUTH("https://", OTHER)), "r.example", NULL},
    /* namespaces: the longest that is the wanted one's */
    {AUTHS(AUTH("r.example", OTHER) "," AUTH("r.example/team", TEAM) "," AUTH("r.example/team/app",
                                                                              APP)),
     "r.example/team/app", "app"},
    {AUTHS(AUTH("r.example/team/app", APP) "," AUTH("r.example/team", TEAM) "," AUTH("r.example",
                                                                                     OTHER)),
     "r.example/team/app", "app"},
    {AUTHS(AUTH("r.example", OTHER) "," AUTH("r.example/team", TEAM)), "r.example/team/x", "team"},
    {AUTHS(AUTH("r.example", OTHER) "," AUTH("r.example/team", TEAM)), "r.example/teams", "other"},
    {AUTHS(AUTH("r.example/team", TEAM)), "r.example", NULL},
    {AUTHS(AUTH("r.example/team", TEAM)), "r.example/te", NULL},
    {AUTHS(AUTH("docker.io/library", TEAM) "," AUTH(HUB_URL, HUB)), "docker.io/library/a", "team"},
    /* entries without content */
    {AUTHS("\"docker.io\":{}," AUTH(HUB_URL, HUB)), "docker.io", "hub"},
    {AUTHS("\"docker.io\":null"), "docker.io", NULL},
    {AUTHS("\"docker.io\":{\"auth\":\"\",\"email\":\"x\"}"), "docker.io", NULL},
    {AUTHS(""), "docker.io", NULL},
    {"{}", "docker.io", NULL},
    {"{\"auths\":null,\"HttpHeaders\":{\"x\":\"y\"}}", "docker.io", NULL},
    {"", "docker.io", NULL},
    /* in plain */
    {AUTHS("\"r\":{\"username\":\"user\",\"password\":\"p:w\"}"), "r", "p:w"},
    {AUTHS("\"r\":{\"username\":\"user\",\"password\":\"x\",\"auth\":\"" APP "\"}"), "r", "app"},
    {AUTHS("\"r\":{\"username\":\"user\"}"), "r", ""},
    {AUTHS(AUTH("r", "dXNlcjphOmI=")), "r", "a:b"},
    {AUTHS(AUTH("r", "dXNlcjo=")), "r", ""},
    {AUTHS(AUTH("r", "dXNl\\ncjph\\r\\ncHA=")), "r", "app"},
    {AUTHS(AUTH("r", "dXNlcjphcHAA")), "r", "app"}, /* a NUL after it */
    {AUTHS(AUTH("r", "dXNlcjrDqQ==")), "r", "\xc3\xa9"},
    /* helpers that are turned off */
    {"{\"credHelpers\":{\"r\":\"\"},\"credsStore\":\"x\",\"auths\":{" AUTH("r", APP) "}}", "r",
     "app"},
    {"{\"credHelpers\":{\"r\":\"\"},\"credsStore\":\"x\"}", "r", NULL},
    {"{\"credsStore\":\"\"}", "r", NULL},
    /* who is named counts more than the helper for all */
    {"{\"credsStore\":\"x\",\"auths\":{" AUTH("r", APP) "}}", "r", "app"},
};

TEST(the_entry_of_a_registry_is_found)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_auth_record record;
        struct cl_error err;

        CHECK(find(rows[i].text, rows[i].where, &arena, &record, &err) == 0);
        CHECK_TEXT(err.msg, "");
        CHECK(record.kind == (rows[i].secret == NULL ? CL_AUTH_NONE : CL_AUTH_BASIC));
        if (rows[i].secret == NULL)
            continue;
        CHECK_TEXT(record.user, "user");
        CHECK_TEXT(record.secret, rows[i].secret);
    }
}

static const struct {
    const char *text;
    const char *where;
    const char *helper;
} helpers[] = {
    {"{\"credsStore\":\"desktop\"}", "docker.io", "desktop"},
    {"{\"credsStore\":\"desktop\",\"auths\":{\"" HUB_URL "\":{}}}", "docker.io", "desktop"},
    {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"credsStore\":\"osx\"}", "gcr.io", "gcloud"},
    {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"credsStore\":\"osx\"}", "quay.io", "osx"},
    {"{\"credHelpers\":{\"r\":\"a.B_c-9\"},\"auths\":{" AUTH("r", APP) "}}", "r", "a.B_c-9"},
    {"{\"credHelpers\":{\"https://r/\":\"x\"}}", "r/team", "x"},
    {"{\"credHelpers\":{\"r/team\":\"x\",\"r\":\"y\"}}", "r/team/app", "x"},
    {"{\"credHelpers\":{\"index.docker.io\":\"x\"}}", "docker.io", "x"},
};

TEST(helpers_are_named)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(helpers); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_auth_record record;
        struct cl_error err;

        CHECK(find(helpers[i].text, helpers[i].where, &arena, &record, &err) == 0);
        CHECK(record.kind == CL_AUTH_HELPER);
        CHECK_TEXT(record.helper, helpers[i].helper);
    }
}

TEST(an_identity_token_counts_more_than_a_password)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_auth_record record;
    struct cl_error err;

    CHECK(find(AUTHS("\"r\":{\"auth\":\"dXNlcjo=\",\"identitytoken\":\"t0k\"}"), "r", &arena,
               &record, &err) == 0);
    CHECK(record.kind == CL_AUTH_IDENTITY);
    CHECK_TEXT(record.secret, "t0k");
}

static const struct {
    const char *text;
    const char *where; /* NULL: a helper's answer */
    const char *message;
} wrong[] = {
    {"[]", "r", "f: expected object, got array"},
    {" ", "r", "f:1:1: "},
    {"{\"auths\":[]}", "r", "f: auths: expected object, got array"},
    {AUTHS("\"r\":\"hunter\""), "r", "f: auths.r: expected object, got string"},
    {AUTHS("\"r\":{\"auth\":5}"), "r", "f: auths.r.auth: expected string, got integer"},
    {AUTHS("\"r\":{\"Auth\":\"hunter\"}"), "r", "f: auths.r.Auth: unknown key; write it as auth"},
    {"{\"credsstore\":\"x\"}", "r", "f: credsstore: unknown key; write it as credsStore"},
    {AUTHS(AUTH("r", "hunter!")), "r", "f: auths.r: auth: not base64"},
    {AUTHS(AUTH("r", "dXNlcjphcHA")), "r", "f: auths.r: auth: not base64"},
    {AUTHS(AUTH("r", "dXNlcg==")), "r", "f: auths.r: auth: expected USER:PASSWORD in base64"},
    {AUTHS(AUTH("r", "OnB3")), "r", "f: auths.r: auth: no user before the password"},
    {AUTHS(AUTH("r", "dQA6cA==")), "r", "f: auths.r: auth: expected USER:PASSWORD"},
    {AUTHS("\"r\":{\"username\":\"a:b\",\"password\":\"hunter\"}"), "r",
     "f: auths.r: a user's name can't hold \":\""},
    {AUTHS("\"r\":{\"password\":\"hunter\"}"), "r", "f: auths.r: no user before the password"},
    {AUTHS("\"r\":{\"registrytoken\":\"hunter\"}"), "r",
     "f: auths.r: registrytoken: not supported"},
    {"{\"credsStore\":\"../hunt\"}", "r", "f: credsStore: \"../hunt\" is no helper's name"},
    {"{\"credHelpers\":{\"r\":\"a/b\"}}", "r", "f: credHelpers: \"a/b\" is no helper's name"},
    {"{\"credHelpers\":{\"r\":\"a b\"}}", "r", "f: credHelpers: \"a b\" is no helper's name"},
    {"{\"credHelpers\":{\"r\":[]}}", "r", "f: credHelpers.r: expected string, got array"},
    {"{\"credHelpers\":\"hunter\"}", "r", "f: credHelpers: expected object, got string"},
    {"{\"auths\":{\"r\":{\"auth\":\"hunter", "r", "f:1:"},
    {"{\"auths\":{\"r\":{\"auth\": hunter", "r", "f:1:"},
    {"{\"auths\":{\"r\":{\"auth\":\"hunter\"} hunter", "r", "f:1:"},
    /* answers */
    {"", NULL, "f:1:0: "},
    {"credentials not found in native keychain", NULL, "f:1:"},
    {"{}", NULL, "f: Secret is missing"},
    {"{\"Username\":\"u\",\"Secret\":\"\"}", NULL, "f: Secret is missing"},
    {"{\"Username\":\"\",\"Secret\":\"hunter\"}", NULL, "f: no user before the password"},
    {"{\"Secret\":\"hunter\"}", NULL, "f: no user before the password"},
    {"{\"Username\":\"a:b\",\"Secret\":\"hunter\"}", NULL, "f: a user's name can't hold \":\""},
    {"{\"Username\":\"u\",\"Secret\":[\"hunter\"]}", NULL, "f: Secret: expected string, got array"},
    {"{\"username\":\"u\",\"Secret\":\"hunter\"}", NULL, "f: username: unknown key; write it as"},
};

TEST(wrong_files_are_told_where_and_why_and_no_secret)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_auth_record record;
        struct cl_error err;

        CHECK(find(wrong[i].text, wrong[i].where, &arena, &record, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(strstr(err.msg, "hunter") == NULL);
    }
}

TEST(other_registries_entries_are_of_no_matter)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_auth_record record;
    struct cl_error err;

    CHECK(find("{\"auths\":{\"x\":{\"auth\":\"!\"}," AUTH("r", APP) "},\"credHelpers\":{\"y\":"
                                                                    "\"../z\"}}",
               "r", &arena, &record, &err) == 0);
    CHECK_TEXT(record.secret, "app");
}

TEST(answers_are_passwords_or_tokens)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_auth_record record;
    struct cl_error err;

    CHECK(find("{\"ServerURL\":\"r\",\"Username\":\"u\",\"Secret\":\"s\"}\n", NULL, &arena, &record,
               &err) == 0);
    CHECK(record.kind == CL_AUTH_BASIC);
    CHECK_TEXT(record.user, "u");
    CHECK_TEXT(record.secret, "s");
    CHECK(find("{\"Username\":\"<token>\",\"Secret\":\"s\"}", NULL, &arena, &record, &err) == 0);
    CHECK(record.kind == CL_AUTH_IDENTITY);
    CHECK_TEXT(record.secret, "s");
}

TEST(base64_is_strict)
{
    static const struct {
        const char *text;
        const char *plain; /* NULL: refused */
    } codes[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"+/+/", "\xfb\xff\xbf"},
        {"Z\ng=\r\n=\n", "f"},
        {"Z", NULL},
        {"Zg", NULL},
        {"Zg=", NULL},
        {"Zg===", NULL},
        {"=", NULL},
        {"====", NULL},
        {"Z===", NULL},
        {"Zg==Zg==", NULL},
        {"Zg=a", NULL},
        {"Zh==", NULL},
        {"Zm9=", NULL},
        {"Zm9v=", NULL},
        {"Zm 9v", NULL},
        {"Zm-_", NULL},
        {"Zm9v\xc3", NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(codes); i++) {
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(64);
        int r = cl_base64_decode(codes[i].text, &buf);

        CHECK((r == 0) == (codes[i].plain != NULL));
        if (codes[i].plain != NULL)
            CHECK_TEXT(cl_buf_text(&buf), codes[i].plain);
    }
}

/* RFC 4648, section 10, and the last two digits of the alphabet. */
TEST(base64_is_made_as_it_is_read)
{
    static const struct {
        const char *plain;
        const char *text;
    } codes[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(codes); i++) {
        const size_t size = strlen(codes[i].plain);
        CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(64);
        char text[16] = "...............";

        CHECK(CL_BASE64_SIZE(size) == strlen(codes[i].text));
        cl_base64_encode(codes[i].plain, size, text);
        CHECK(text[CL_BASE64_SIZE(size)] == '.');
        text[CL_BASE64_SIZE(size)] = '\0';
        CHECK_TEXT(text, codes[i].text);
        CHECK(cl_base64_decode(text, &buf) == 0);
        CHECK_TEXT(cl_buf_text(&buf), codes[i].plain);
    }
}

/* Each allocation fails once. */
TEST(a_lack_of_memory_is_told)
{
    static const char text[] = "{\"auths\":{" AUTH("r", APP) "},\"credHelpers\":{\"x\":\"y\"}}";
    const struct cl_document document = {"f", text, strlen(text)};
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_auth_record record = {.set = 0};
        struct cl_error err = {0};

        r = cl_auth_find(&document, "r", &arena, &record, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && record.set == 0));
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_entry_of_a_registry_is_found),
        ROW(helpers_are_named),
        ROW(an_identity_token_counts_more_than_a_password),
        ROW(wrong_files_are_told_where_and_why_and_no_secret),
        ROW(other_registries_entries_are_of_no_matter),
        ROW(answers_are_passwords_or_tokens),
        ROW(base64_is_strict),
        ROW(base64_is_made_as_it_is_read),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
