/* test_policy.c - policy files, right ones and wrong ones, and users of passwd files. */
#include <errno.h>

#include "helpers/plan/policy.h"
#include "helpers/plan/user.h"
#include "check.h"

enum { ARENA_CAP = 4 << 20 };

static int parse_bytes(const char *text, size_t size, struct cl_arena *arena, struct cl_plan *ret,
                       struct cl_error *err)
{
    const struct cl_document document = {"p", text, size};

    *err = (struct cl_error){0};
    return cl_policy_parse(&document, arena, ret, err);
}

static int parse(const char *text, struct cl_arena *arena, struct cl_plan *ret,
                 struct cl_error *err)
{
    return parse_bytes(text, strlen(text), arena, ret, err);
}

TEST(the_whole_policy_is_understood)
{
    static const char text[] =
        "wall: container\n"
        "profile: build\n"
        "files:\n"
        "  - {host: ./src, path: /src, mode: copy}\n"
        "  - {host: /opt, path: /opt}\n"
        "  - {tmpfs: /work, size: 64MiB}\n"
        "network: none\n"
        "env: {LANG: C.UTF-8, PORT: 8080, EMPTY: \"\", YES: \"true\"}\n"
        "user: 1000:1000\n"
        "limits: {memory: 512MiB, swap: 0, cpus: 1.5, cpu_time: 60s, tasks: 256}\n";
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};
    struct cl_error err;

    CHECK(parse(text, &arena, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(plan.profile == CL_PROFILE_BUILD && cl_plan_has(&plan, CL_FIELD_NETWORK));
    CHECK(plan.files.count == 3 && plan.files.items[0].mode == CL_FILE_COPY);
    CHECK(plan.files.items[1].mode == CL_FILE_RO);
    CHECK(plan.files.items[2].kind == CL_FILE_TMPFS);
    CHECK(plan.files.items[2].size_bytes == 64 << 20);
    CHECK(plan.env.count == 4);
    CHECK_TEXT(plan.env.items[1], "PORT=8080");
    CHECK_TEXT(plan.env.items[2], "EMPTY=");
    CHECK_TEXT(plan.user, "1000:1000");
    CHECK(plan.limits.memory_bytes == 512ULL << 20 && plan.limits.millicpus == 1500);
    CHECK(cl_plan_has(&plan, CL_FIELD_SWAP) && plan.limits.swap_bytes == 0);
}

TEST(json_is_a_policy_too)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan = {0};
    struct cl_error err;

    CHECK(parse("{\"limits\":\t{\"memory\": \"1g\", \"cpus\": 0.5},\n\"workdir\": \"\\/x\"}",
                &arena, &plan, &err) == 0);
    CHECK_TEXT(err.msg, "");
    CHECK(plan.limits.millicpus == 500);
    CHECK_TEXT(plan.workdir, "/x");
    CHECK(parse("limits: {cpus: .5}", &arena, &plan, &err) == 0 && plan.limits.millicpus == 500);
    CHECK(parse("{}", &arena, &plan, &err) == 0 && plan.set == 0);
}

static const struct {
    const char *text;
    const char *message;
} wrong[] = {
    /* keys */
    {"limits: {memroy: 1g}", "p:1:10: limits.memroy: unknown key (did you mean limits.memory?)"},
    {"memory: 1g", "p:1:1: memory: unknown key (did you mean limits.memory?)"},
    {"limist: {}", "did you mean limits?"},
    {"limits: {timeout: 1s}", "unknown key (did you mean limits.time?)"},
    {"limits: {pids: 1}", "unknown key (did you mean limits.tasks?)"},
    {"pids-limit: 1", "unknown key (did you mean limits.tasks?)"},
    {"limits: {mem: 1g}", "unknown key (did you mean limits.memory?)"},
    {"memroy: 1g", "unknown key (did you mean limits.memory?)"},
    {"limits: {nofile: 9}", "unknown key (did you mean limits.open_files?)"},
    {"volumes: []", "unknown key (did you mean files?)"},
    {"environment: {}", "unknown key (did you mean env?)"},
    {"files: [{source: /a}]", "files[0].source: unknown key (did you mean host?)"},
    {"files: [/a:/b]", "files[0]: expected a map, got text; as in {host: ./src, path: /src"},
    {"limits:\n\tmemory: 1g\n", "; a tab can't indent, blanks can"},
    {"uid: 5", "unknown key (did you mean user?)"},
    {"command: [a]", "it belongs to a single run"},
    {"zzzzzzz: 1", "p:1:1: zzzzzzz: unknown key"},
    {"limits.memory: 1g", "a map within a map"},
    {"tenant: x", "can't stand in a policy"},
    {"without: [seccomp]", "can't stand in a policy"},
    {"seccomp_program: x", "can't stand in a policy"},
    {"\"\": 1", "unknown key"},
    {"? [a]\n: b", "expected text, got a list"},
    {"wall: container\nwall: container", "p:2:1: the key \"wall\" stands twice"},
    {"limits: {}\nlimits: {}", "stands twice"},
    {"env: {A: 1, A: 2}", "env: the key \"A\" stands twice"},
    {"files: [{path: /a, path: /b, host: c}]", "stands twice"},
    /* types */
    {"", "the policy is empty"},
    {"# nothing\n", "the policy is empty"},
    {"- a", "expected a map, got a list"},
    {"text", "expected a map, got text"},
    {"wall: [a]", "wall: expected text, got a list"},
    {"wall:", "wall: expected text, got nothing"},
    {"user: true", "put it in quotes"},
    {"user: ~", "put it in quotes"},
    {"env: {A: null}", "env.A"},
    {"env: {A: {B: c}}", "env.A: expected text, got a map"},
    {"env: [A=1]", "env: expected a map, got a list"},
    {"env: {\"A=B\": c}", "a variable's name can't hold"},
    {"limits: 5", "limits: expected a map, got text"},
    {"limits: {tasks: \"5\"}", "limits.tasks: expected a number, got the text \"5\""},
    {"files: {}", "files: expected a list, got a map"},
    {"files: [a]", "files[0]: expected a map, got text"},
    /* values */
    {"limits: {tasks: 1e3}", "expected a whole number"},
    {"limits: {tasks: 0x10}", "expected a whole number"},
    {"limits: {tasks: -1}", "expected a whole number"},
    {"limits: {cpus: .nan}", "expected a number of CPUs"},
    {"limits: {cpus: .inf}", "expected a number of CPUs"},
    {"limits: {cpus: 1e999}", "expected a number of CPUs"},
    {"limits: {memory: 99999999999999999999999}", "too large"},
    {"limits: {memory: 1}", "too small"},
    {"wall: vmm", "expected one of container, wasm, vm, kernel, auto"},
    {"network: {allow: [a:1]}", "p:1:10: network: rules for single destinations are not built yet"},
    {"files: [{host: a, path: b}]", "expected an absolute path"},
    {"files: [{host: a, path: /b/../c}]", "\"..\""},
    {"files: [{host: a, path: /..}]", "\"..\""},
    {"files: [{host: a, path: //./}]", "files[0].path: nothing can be put over /"},
    {"files: [{host: a, path: /b, mode: rx}]",
     "p:1:35: files[0].mode: expected the mode ro, rw or copy"},
    {"files: [{host: a}]", "needs host and path"},
    {"files: [{host: a, path: /b, size: 1m}]", "only a tmpfs has a size"},
    {"files: [{tmpfs: /b, mode: rw}]", "a tmpfs has only"},
    {"files: [{tmpfs: /b, size: much}]", "p:1:27: files[0].size: expected a size"},
    {"files: [{hots: a}]", "p:1:10: files[0].hots: unknown key (did you mean host?)"},
    {"files: [{zzzzzz: a}]", "files[0].zzzzzz: unknown key (known: host, path"},
    {"files: [{host: \"\", path: /b}]", "p:1:16: files[0].host: the host path is empty"},
    {"files: [{host: a, path: /proc/x}]", "files[0].path: \"/proc/x\": /proc belongs"},
    {"files: [{tmpfs: /dev}]", "p:1:17: files[0].tmpfs: \"/dev\": /dev belongs"},
    {"files: [{tmpfs: /b/}, {host: a, path: /./b}]", "files[1]: the path \"/b\" stands twice"},
    {"user: -5", "p:1:7: user: expected UID, UID:GID or names, got \"-5\""},
    {"user: \"_a b\"", "p:1:7: user: expected UID"},
    {"user: \"1:\"", "p:1:7: user: expected UID"},
    {"hostname: a..b", "p:1:11: hostname: \"a..b\" is no host name"},
    {"workdir: src", "p:1:10: workdir: expected an absolute path, got \"src\""},
    {"env: {\"A B\": c}", "p:1:7: env.A B: blank or control character"},
    {"env: {\"\": c}", "p:1:7: env.: no name"},
    {"files: [{tmpfs: /b}, {tmpfs: /b}]", "files[1]: the path \"/b\" stands twice"},
    /* YAML beyond what a policy needs */
    {"user: &a x", "anchors are not allowed"},
    {"env: &a {}", "anchors are not allowed"},
    {"user: *a", "aliases are not allowed"},
    {"user: !!str x", "tags are not allowed"},
    {"limits: !x {}", "tags are not allowed"},
    {"%TAG ! tag:x:\n---\n{}", "tags are not allowed"},
    {"{}\n---\n{}", "p:2:1: a second document is not allowed"},
    {"env: {A: [[[[[[[[[[[[]]]]]]]]]]]]}", "env.A"},
    {"user: \"\\0\"", "NUL characters are not allowed"},
    {"user: \"\\x00\"", "NUL characters are not allowed"},
    {"{wall: container", "while parsing a flow mapping"},
    {"\ta: b", "p:1:1: "},
    {"user: x\n\xff", "p:2:1: byte 0xff is not UTF-8"},
    {"user: \xed\xa0\x80", "is not UTF-8"},
    {"user: \x01", "control characters are not allowed"},
    {"user: \"\\ud800\"", "invalid Unicode"},
};

TEST(wrong_policies_are_told_where_and_why)
{
    for (size_t i = 0; i < CL_ARRAY_SIZE(wrong); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        struct cl_plan plan = {.set = 0};
        struct cl_error err;

        CHECK(parse(wrong[i].text, &arena, &plan, &err) < 0);
        CHECK_HAS(err.msg, wrong[i].message);
        CHECK(plan.set == 0);
    }
}

TEST(bytes_of_any_kind_are_refused_in_bounded_time)
{
    static const char *const patterns[] = {"[", "{",  "? ", "- ",  "a: ", "\"", "&a ", "{a: ", " ",
                                           "#", "\n", "!",  "|\n", "a,",  "'",  "\r",  ">\n "};
    enum { SIZE = 200000 };

    for (size_t i = 0; i < CL_ARRAY_SIZE(patterns); i++) {
        CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
        CL_CLEANUP_FREE char *text = malloc(SIZE + 1);
        struct cl_plan plan;
        struct cl_error err = {0};

        for (size_t at = 0; at < SIZE; at++)
            text[at] = patterns[i][at % strlen(patterns[i])];
        text[SIZE] = '\0';
        CHECK(parse_bytes(text, SIZE, &arena, &plan, &err) < 0);
        CHECK(err.msg[0] != '\0');
    }
}

TEST(a_nul_byte_is_found)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    struct cl_plan plan;
    struct cl_error err = {0};

    CHECK(parse_bytes("{}\n\0x", 5, &arena, &plan, &err) == -EINVAL);
    CHECK_TEXT(err.msg, "p:2:1: a NUL byte");
}

TEST(too_many_variables_are_an_error)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    struct cl_plan plan;
    struct cl_error err = {0};

    CHECK(cl_buf_add_str(&buf, "env:\n") == 0);
    for (int i = 0; i < 4097; i++)
        CHECK(cl_buf_printf(&buf, "  v%d: x\n", i) == 0);
    CHECK(parse_bytes(buf.data, buf.size, &arena, &plan, &err) == -E2BIG);
    CHECK_HAS(err.msg, "p:4098:3: env: more than 4096 entries");
}

TEST(a_long_name_leaves_room_for_the_reason)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(ARENA_CAP);
    char name[4000];
    struct cl_plan plan;
    struct cl_error err = {0};

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const struct cl_document document = {name, "wal: x", 6};
    CHECK(cl_policy_parse(&document, &arena, &plan, &err) == -EINVAL);
    CHECK_HAS(err.msg, "n:1:1: wal: unknown key (did you mean wall?)");
}

/* --- users ----------------------------------------------------------------- */

static const char passwd_text[] = "# comment\n"
                                  "bad line\n"
                                  "root:x:0:0:root:/root:/bin/sh\n"
                                  "few:x:5:6\n"
                                  "neg:x:-5:6::/:\n"
                                  "huge:x:99999999999:6::/:\n"
                                  "max:x:4294967295:6::/:\n"
                                  "app:x:1000:1001:App:/home/app:/bin/sh\n"
                                  "app:x:1:1::/:\n"
                                  "homeless:x:9:9:::\n"
                                  "lost:x:10:10::home:\n"
                                  "odd:x:11:11::/home/\033[2J:\n"
                                  "last:x:7:8::/:";

static struct cl_arena user_arena = CL_ARENA_INIT(1 << 16);

static int resolve(const char *name, struct cl_plan *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf passwd = CL_BUF_INIT(4096);
    CL_CLEANUP_BUF struct cl_buf group = CL_BUF_INIT(4096);

    *err = (struct cl_error){0};
    CHECK(cl_buf_add(&passwd, passwd_text, sizeof(passwd_text) - 1) == 0);
    CHECK(cl_buf_add_str(&group, "root:x:0:\nstaff:x:50:app\nwide:x:51:a:b\n") == 0);
    const struct cl_user_files files = {&passwd, &group};
    cl_arena_done(&user_arena);
    return cl_user_resolve(name, &files, &user_arena, ret, err);
}

TEST(users_are_found)
{
    static const struct {
        const char *name;
        uint64_t uid;
        uint64_t gid;
        int has_gid;
    } rows[] = {
        {"root", 0, 0, 1},     {"app", 1000, 1001, 1},  {"app:staff", 1000, 50, 1},
        {"app:7", 1000, 7, 1}, {"1000", 1000, 1001, 1}, {"2000", 2000, 0, 0},
        {"last", 7, 8, 1},     {"12:staff", 12, 50, 1},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_plan plan = {0};
        struct cl_error err;

        CHECK(resolve(rows[i].name, &plan, &err) == 0);
        CHECK(plan.uid == rows[i].uid && plan.gid == rows[i].gid);
        CHECK(cl_plan_has(&plan, CL_FIELD_GID) == rows[i].has_gid);
    }
}

TEST(a_home_is_an_absolute_path)
{
    static const struct {
        const char *name;
        const char *home; /* NULL: none */
    } rows[] = {
        {"root", "/root"},  {"app", "/home/app"}, {"1000", "/home/app"}, {"app:staff", "/home/app"},
        {"homeless", NULL}, {"lost", NULL},       {"odd", NULL},         {"2000", NULL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_plan plan = {0};
        struct cl_error err;

        CHECK(resolve(rows[i].name, &plan, &err) == 0);
        CHECK(cl_plan_has(&plan, CL_FIELD_HOME) == (rows[i].home != NULL));
        if (rows[i].home != NULL)
            CHECK_TEXT(plan.home, rows[i].home);
    }
    cl_arena_done(&user_arena);
}

TEST(bad_users_are_refused)
{
    static const char *const names[] = {
        "",    ":",    "app:", ":staff",   "a:b:c",      "nobody", "few",
        "neg", "huge", "max",  "app:wide", "4294967295", "app:no", "99999999999999999999999"};

    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        struct cl_plan plan = {0};
        struct cl_error err;

        CHECK(resolve(names[i], &plan, &err) < 0);
        CHECK(err.msg[0] != '\0' && plan.set == 0);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_whole_policy_is_understood),
        ROW(json_is_a_policy_too),
        ROW(wrong_policies_are_told_where_and_why),
        ROW(bytes_of_any_kind_are_refused_in_bounded_time),
        ROW(a_nul_byte_is_found),
        ROW(too_many_variables_are_an_error),
        ROW(a_long_name_leaves_room_for_the_reason),
        ROW(users_are_found),
        ROW(a_home_is_an_absolute_path),
        ROW(bad_users_are_refused),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
