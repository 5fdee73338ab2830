/* test_keys.c - how detach keys are spelled, and found in what is typed, however it is cut. */
#include <errno.h>
#include <string.h>

#include "sandbox/keys.h"
#include "check.h"

static struct cl_keys parse(const char *text)
{
    struct cl_keys keys = {0};
    struct cl_error err = {0};

    CHECK(cl_keys_parse(text, &keys, &err) == 0);
    return keys;
}

TEST(keys_are_spelled_as_docker_spells_them)
{
    static const struct {
        const char *text;
        const char *bytes;
        size_t count;
    } rows[] = {
        {"ctrl-p,ctrl-q", "\x10\x11", 2},
        {"a", "a", 1},
        {"ctrl-a,d",
         "\x01"
         "d",
         2},
        {"ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", "\0\x1b\x1c\x1d\x1e\x1f", 6},
        {"ctrl-P", "\x10", 1},
        {"~,.", "~.", 2},
        {"c,t", "ct", 2},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_keys keys = parse(rows[i].text);

        CHECK(keys.count == rows[i].count && memcmp(keys.bytes, rows[i].bytes, keys.count) == 0);
    }
}

TEST(what_is_no_key_is_refused)
{
    static const char *const rows[] = {"",  ",",       "a,",      ",a",   "ab",     "ctrl-",
                                       " ", "ctrl-pq", "ctrl-p,", "\x7f", "ctrl-1", "a,,b"};
    struct cl_keys keys = {.count = 7};
    struct cl_error err = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        CHECK(cl_keys_parse(rows[i], &keys, &err) == -EINVAL);
        CHECK_HAS(err.msg, "expected keys");
    }
    CHECK(cl_keys_parse("1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7", &keys, &err) == -E2BIG);
    CHECK(keys.count == 7);
    CHECK(parse("1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6").count == CL_KEYS_MOST);
}

/* TYPED in pieces of CUT bytes: what was passed on, and "!" where the keys were typed. */
static const char *filter(struct cl_keys keys, const char *typed, size_t cut, char ret[64])
{
    size_t out = 0;
    int is_typed = 0;

    for (size_t at = 0, size = strlen(typed); at < size && !is_typed; at += cut) {
        char data[64];
        const size_t piece = size - at < cut ? size - at : cut;

        memcpy(data, typed + at, piece);
        const size_t passed = cl_keys_filter(&keys, data, piece, &is_typed);
        CHECK(passed <= piece + CL_KEYS_MOST && out + passed < 60);
        memcpy(ret + out, data, passed);
        out += passed;
    }
    (void)snprintf(ret + out, 4, "%s", is_typed ? "!" : "");
    return ret;
}

TEST(keys_are_found_however_they_come)
{
    static const struct {
        const char *keys;
        const char *typed;
        const char *passed;
    } rows[] = {
        {"p,q", "pq", "!"},
        {"p,q", "abpqc", "ab!"},
        {"p,q", "pp", "p"},
        {"p,q", "ppq", "p!"},
        {"p,q", "papaq", "papaq"},
        {"p,q", "p", ""},
        {"p,q", "qpqp", "q!"},
        {"x", "abx", "ab!"},
        {"x", "ab", "ab"},
        {"a,a,b", "aaab", "a!"},
        {"a,a,b", "aacab", "aacab"},
        {"a,b,a,b,c", "abababc", "ab!"},
        {"a,b,a,b,c", "ababab", "ab"},
    };
    char text[64];

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        for (size_t cut = 1; cut <= strlen(rows[i].typed); cut++)
            CHECK_TEXT(filter(parse(rows[i].keys), rows[i].typed, cut, text), rows[i].passed);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(keys_are_spelled_as_docker_spells_them),
        ROW(what_is_no_key_is_refused),
        ROW(keys_are_found_however_they_come),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
