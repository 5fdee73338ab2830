/* test_registries.c - registries.yaml, right ones and wrong ones. */
#include <errno.h>

#include "helpers/plan/registries.h"
#include "check.h"

static int parse(const char *text, struct cl_arena *arena, struct cl_registries_record *ret,
                 struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_MAX_RECORD_BYTES);
    const struct cl_document document = {"r", text, strlen(text)};
    struct cl_registries_record back = {.set = 0};

    *err = (struct cl_error){0};
    *ret = (struct cl_registries_record){.set = 0};
    int r = cl_registries_parse(&document, arena, ret, err);
    if (r < 0) {
        CHECK(ret->set == 0);
        return r;
    }
    CHECK(cl_flat_write(&cl_registries_shape, ret, &buf, err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CHECK(cl_flat_read(&cl_registries_shape, &bytes, arena, &back, err) == 0);
    CHECK(back.set == ret->set && back.entries.count == ret->entries.count);
    return r;
}

TEST(the_whole_file_is_understood)
{
    static const char text[] =
        "default: quay.io\n"
        "store: {budget: 20GiB}\n"
        "registries:\n"
        "  docker.io:\n"
        "    mirrors: [https://mirror.example, \"https://10.0.0.1:5000\", http://localhost:5001,\n"
        "              http://lan.example]\n"
        "  registry.example:5000: {authority: /etc/ssl/our ca.pem}\n"
        "  lan.example: {http: true}\n"
        "  \"[::1]:5000\": {http: false}\n"
        "  localhost: {}\n";
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_registries_record record;
    struct cl_error err;

    CHECK(parse(text, &arena, &record, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(record.set == CL_RECORD_BIT(CL_REGISTRIES_FIELD_COUNT) - 1);
    CHECK_TEXT(record.default_domain, "quay.io");
    CHECK(record.budget_bytes == 20ULL << 30);
    CHECK(record.entries.count == 5);
    CHECK_TEXT(record.entries.items[0].domain, "docker.io");
    CHECK_TEXT(record.entries.items[0].mirrors,
               "https://mirror.example\nhttps://10.0.0.1:5000\nhttp://localhost:5001\n"
               "http://lan.example\n");
    CHECK(!record.entries.items[0].plain_http);
    CHECK_TEXT(record.entries.items[1].domain, "registry.example:5000");
    CHECK_TEXT(record.entries.items[1].authority_file, "/etc/ssl/our ca.pem");
    CHECK_TEXT(record.entries.items[1].mirrors, "");
    CHECK(record.entries.items[2].plain_http);
    CHECK_TEXT(record.entries.items[2].authority_file, "");
    CHECK_TEXT(record.entries.items[3].domain, "[::1]:5000");
    CHECK(!record.entries.items[3].plain_http);
    CHECK_TEXT(record.entries.items[4].domain, "localhost");
}

TEST(what_is_not_said_is_not_set)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
    struct cl_registries_record record;
    struct cl_error err;

    CHECK(parse("{}", &arena, &record, &err) == 0);
    CHECK(record.set == CL_RECORD_BIT(CL_REGISTRIES_ENTRIES) && record.entries.count == 0);
    CHECK(parse("{\"store\": {}, \"registries\": {\"a.b\": {\"mirrors\": []}}}", &arena, &record,
                &err) == 0);
    CHECK(record.set == CL_RECORD_BIT(CL_REGISTRIES_ENTRIES) && record.entries.count == 1);
}

#define ENTRY(text) "registries: {r.example: {" text "}}"

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    /* keys */
    {"defalt: docker.io", "r:1:1: defalt: unknown key (did you mean default?)"},
    {"store: {bugdet: 1g}", "r:1:9: store.bugdet: unknown key (did you mean budget?)"},
    {ENTRY("\n  mirors: []"), "r:2:3: registries.r.example.mirors: unknown key (did you mean "
                              "mirrors?)"},
    {ENTRY("insecure: true"), "registries.r.example.insecure: unknown key"},
    {"zzzzzzz: 1", "r:1:1: zzzzzzz: unknown key"},
    {"default: a.b\ndefault: a.b", "r:2:1: the key \"default\" stands twice"},
    {"registries: {a.b: {}, a.b: {}}", "r:1:23: registries: the key \"a.b\" stands twice"},
    {ENTRY("http: true, http: true"), "the key \"http\" stands twice"},
    /* types */
    {"", "r: the registries file is empty; {} is one that changes nothing"},
    {"- a", "r:1:1: expected a map, got a list"},
    {"default: [a]", "r:1:10: default: expected text, got a list"},
    {"default:", "default: expected text, got nothing"},
    {"default: true", "put it in quotes"},
    {"store: 5", "r:1:8: store: expected a map, got text"},
    {"store: {budget: {}}", "store.budget: expected text, got a map"},
    {"registries: []", "registries: expected a map, got a list"},
    {"registries: {r.example: https://m}", "registries.r.example: expected a map, got text"},
    {ENTRY("mirrors: https://m"), "registries.r.example.mirrors: expected a list, got text"},
    {ENTRY("mirrors: [[]]"), "registries.r.example.mirrors[0]: expected text, got a list"},
    {ENTRY("http: yes"), "registries.r.example.http: expected true or false, got \"yes\""},
    {ENTRY("http: \"true\""), "registries.r.example.http: expected true or false, got \"true\""},
    {ENTRY("http: []"), "registries.r.example.http: expected text, got a list"},
    {ENTRY("http: ~"), "expected true or false, got \"~\""},
    {ENTRY("authority: []"), "registries.r.example.authority: expected text, got a list"},
    /* domains */
    {"default: library", "r:1:10: default: no name of an image can begin with \"library\""},
    {"default: docker.io/library", "r:1:10: default: "},
    {"default: https://docker.io", "r:1:10: default: "},
    {"default: index.docker.io", "default: write docker.io, as the names of images have it"},
    {"registries: {registry-1.docker.io: {}}", "r:1:14: registries: write docker.io"},
    {"registries: {library: {}}", "registries: no name of an image can begin with \"library\""},
    {"registries: {\"a b.c\": {}}", "r:1:14: registries: "},
    {"registries: {\"\": {}}", "r:1:14: registries: "},
    {"registries: {\"a.b:99999\": {}}", "r:1:14: registries: "},
    {"registries: {\"u@a.b\": {}}", "r:1:14: registries: "},
    {"registries: {\"a.b\\nc.d\": {}}", "r:1:14: registries: "},
    /* budgets */
    {"store: {budget: much}", "r:1:17: store.budget: expected a size from 1 byte to 1024 TiB"},
    {"store: {budget: 0}", "store.budget: expected a size"},
    {"store: {budget: -1}", "store.budget: expected a size"},
    {"store: {budget: 1025TiB}", "store.budget: expected a size"},
    {"store: {budget: 99999999999999999999999}", "store.budget: expected a size"},
    /* mirrors */
    {ENTRY("mirrors: [m.example]"),
     "registries.r.example.mirrors[0]: expected https://HOST[:PORT], got \"m.example\""},
    {ENTRY("mirrors: [ftp://m.example]"), "mirrors[0]: expected https://HOST[:PORT]"},
    {ENTRY("mirrors: [HTTPS://m.example]"), "mirrors[0]: expected https://HOST[:PORT]"},
    {ENTRY("mirrors: [https://m.example/]"), "mirrors[0]: a mirror has no path"},
    {ENTRY("mirrors: [https://m.example/v2]"), "mirrors[0]: a mirror has no path"},
    {ENTRY("mirrors: [\"https://u:p@m.example\"]"), "r:1:36: registries.r.example.mirrors[0]: "},
    {ENTRY("mirrors: [\"https://m.example?x\"]"), "mirrors[0]: "},
    {ENTRY("mirrors: [\"https://m.example#x\"]"), "mirrors[0]: "},
    {ENTRY("mirrors: [\"https://a\\nhttps://b\"]"), "mirrors[0]: "},
    {ENTRY("mirrors: [\"https://\"]"), "mirrors[0]: "},
    {ENTRY("mirrors: [\"https://m.example:0\"]"), "mirrors[0]: "},
    {ENTRY("mirrors: [https://a.b, http://m.example:80]"),
     "r:1:49: registries.r.example.mirrors[1]: http:// to another machine needs an entry for it: "
     "m.example:80: {http: true}"},
    {ENTRY("http: true, mirrors: [http://m.example]"), "http:// to another machine needs an entry"},
    {ENTRY("mirrors: [http://127.0.0.1.example]"), "http:// to another machine needs an entry"},
    {"registries: {a.b: {mirrors: [http://m.example]}, m.example: {http: false}}",
     "r:1:30: registries.a.b.mirrors[0]: http:// to another machine needs an entry"},
    {"registries: {a.b: {mirrors: [http://m.example]}, \"m.example:80\": {http: true}}",
     "http:// to another machine needs an entry"},
    /* authorities */
    {ENTRY("authority: ca.pem"),
     "registries.r.example.authority: expected an absolute path of a file, got \"ca.pem\""},
    {ENTRY("authority: \"\""), "expected an absolute path of a file"},
    /* YAML */
    {"default: &a x.y", "r:1:10: anchors are not allowed in a registries file"},
    {"{}\n---\n{}", "r:2:1: a second document is not allowed in a registries file"},
    {"default: \xff", "is not UTF-8"},
};

TEST(wrong_files_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
        struct cl_registries_record record;
        struct cl_error err;

        CHECK(parse(wrong[i].text, &arena, &record, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(strncmp(err.msg, "r:", 2) == 0);
    }
}

TEST(registries_and_mirrors_are_bounded)
{
    for (int extra = 0; extra <= 1; extra++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4 << 20);
        CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
        struct cl_registries_record record;
        struct cl_error err;

        CHECK(cl_buf_add_str(&text, "registries:\n") == 0);
        for (int i = 0; i < 256 + extra; i++)
            CHECK(cl_buf_printf(&text, "  r%d.example: {}\n", i) == 0);
        CHECK((parse(cl_buf_text(&text), &arena, &record, &err) == 0) == !extra);
        if (extra)
            CHECK_TEXT(err.msg, "r:258:3: registries: more than 256 registries");

        text.size = 0;
        CHECK(cl_buf_add_str(&text, "registries:\n  a.b:\n    mirrors:\n") == 0);
        for (int i = 0; i < 16 + extra; i++)
            CHECK(cl_buf_printf(&text, "    - https://m%d\n", i) == 0);
        CHECK((parse(cl_buf_text(&text), &arena, &record, &err) == 0) == !extra);
        if (extra)
            CHECK_TEXT(err.msg, "r:20:7: registries.a.b.mirrors: more than 16 mirrors");
    }
}

TEST(domains_are_bounded)
{
    static const char *const forms[] = {"default: %s.b", "registries: {%s.b: {}}",
                                        "registries: {a.b: {mirrors: [\"https://%s.b\"]}}"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(forms); i++) {
        for (size_t size = 253; size <= 254; size++) {
            CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(1 << 20);
            struct cl_registries_record record;
            struct cl_error err;
            const char *at = strstr(forms[i], "%s");
            char text[400];

            (void)snprintf(text, sizeof(text), "%.*s", (int)(at - forms[i]), forms[i]);
            size_t used = strlen(text);
            memset(text + used, 'd', size);
            (void)snprintf(text + used + size, sizeof(text) - used - size, "%s", at + 2);
            CHECK((parse(text, &arena, &record, &err) == 0) == (size == 253));
        }
    }
}

/* Each allocation fails once. */
TEST(a_lack_of_memory_is_told)
{
    static const char text[] = "default: a.b\nregistries: {a.b: {mirrors: [\"http://localhost\"], "
                               "authority: /x}}";
    const struct cl_document document = {"r", text, strlen(text)};
    int r = -ENOMEM;

    for (size_t cap = 0; r < 0 && cap < 1 << 20; cap += 16) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(cap);
        struct cl_registries_record record = {.set = 0};
        struct cl_error err = {0};

        r = cl_registries_parse(&document, &arena, &record, &err);
        CHECK(r == 0 || (r == -ENOMEM && err.code == ENOMEM && record.set == 0));
    }
    CHECK(r == 0);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_whole_file_is_understood),
        ROW(what_is_not_said_is_not_set),
        ROW(wrong_files_are_told_where_and_why),
        ROW(registries_and_mirrors_are_bounded),
        ROW(domains_are_bounded),
        ROW(a_lack_of_memory_is_told),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
