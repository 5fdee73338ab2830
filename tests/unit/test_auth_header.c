/* test_auth_header.c - challenges as servers write them, and as nobody should. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "helpers/fetch/auth_header.h"

static struct cl_arena arena;
static struct cl_challenges list;

static int parse(const char *text)
{
    cl_arena_done(&arena);
    arena = CL_ARENA_INIT(1 << 20);
    list.count = 0;
    return cl_auth_header_parse(text, &arena, &list);
}

TEST(reads_the_challenge_of_a_registry)
{
    CHECK(parse("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
                "scope=\"repository:library/debian:pull\"") == 0);
    CHECK(list.count == 1 && list.items[0].scheme == CL_SCHEME_BEARER);
    CHECK_TEXT(list.items[0].realm, "https://auth.docker.io/token");
    CHECK_TEXT(list.items[0].service, "registry.docker.io");
    CHECK(list.items[0].error == NULL);
}

TEST(takes_names_in_any_case_and_blanks_around_equals)
{
    CHECK(parse("bEARER Realm = \"r\" , SERVICE=s,\terror = \"invalid_token\"") == 0);
    CHECK(list.count == 1 && list.items[0].scheme == CL_SCHEME_BEARER);
    CHECK_TEXT(list.items[0].name, "bEARER");
    CHECK_TEXT(list.items[0].realm, "r");
    CHECK_TEXT(list.items[0].service, "s");
    CHECK_TEXT(list.items[0].error, "invalid_token");
}

TEST(splits_challenges_and_parameters_by_the_same_commas)
{
    CHECK(parse("Negotiate, Basic realm=\"a, b\", charset=\"UTF-8\", NTLM dG9rZW4=, "
                "Bearer realm=c , service=\"d\"") == 0);
    CHECK(list.count == 4);
    CHECK_TEXT(list.items[0].name, "Negotiate");
    CHECK(list.items[0].scheme == CL_SCHEME_OTHER && list.items[0].realm == NULL);
    CHECK(list.items[1].scheme == CL_SCHEME_BASIC);
    CHECK_TEXT(list.items[1].realm, "a, b");
    CHECK_TEXT(list.items[2].name, "NTLM");
    CHECK(list.items[2].realm == NULL);
    CHECK_TEXT(list.items[3].realm, "c");
    CHECK_TEXT(list.items[3].service, "d");
}

TEST(takes_escapes_out_of_quoted_strings)
{
    CHECK(parse("Bearer realm=\"a\\\"b\\\\c\\d\", service=\"\"") == 0);
    CHECK_TEXT(list.items[0].realm, "a\"b\\cd");
    CHECK_TEXT(list.items[0].service, "");
}

TEST(passes_over_empty_elements)
{
    CHECK(parse(" , ,Basic realm=x,, ,Bearer realm=y, ,") == 0);
    CHECK(list.count == 2);
    CHECK_TEXT(list.items[1].realm, "y");
    CHECK(parse("") == 0 && list.count == 0);
    CHECK(parse(" ,, ") == 0 && list.count == 0);
}

TEST(tells_a_token68_from_a_parameter)
{
    CHECK(parse("Negotiate YII=") == 0 && list.count == 1 && list.items[0].realm == NULL);
    CHECK(parse("Negotiate YII==, Basic realm=x") == 0 && list.count == 2);
    CHECK(parse("Negotiate a/b+c") == 0 && list.count == 1);
    CHECK(parse("Basic realm=x==") == -EBADMSG); /* the value of a parameter has no "=" */
    CHECK(parse("Basic realm==") == 0 && list.items[0].realm == NULL);
}

TEST(refuses_what_the_grammar_does_not_have)
{
    static const char *const bad[] = {
        "Bearer realm=\"open",
        "Bearer realm=\"open\\",
        "Bearer realm=\"a\"b",
        "Bearer realm=a service=b",
        "Bearer realm=\"a\n\"",
        "Bearer realm=\"a\\\x01\"",
        "=",
        "Bearer realm=\"a\" x",
        "\"Bearer\"",
        "Bearer, realm=x",
        "Bearer realm=(x)",
        "Bearer realm=\"a\x7f\"",
        "Bearer r\xc3\xa9=x",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        CHECK(parse(bad[i]) == -EBADMSG && list.count == 0);
        if (list.count > 0)
            printf("# %s\n", bad[i]);
    }
}

TEST(refuses_a_parameter_that_stands_twice)
{
    CHECK(parse("Bearer realm=a,REALM=b") == -EBADMSG);
    CHECK(parse("Bearer realm=a,x=1,X=2") == -EBADMSG);
    CHECK(parse("Bearer realm=a, Basic realm=b") == 0);
}

TEST(is_bounded)
{
    static char text[CL_AUTH_HEADER_MAX + 64];
    size_t size = 0;

    for (int i = 0; i <= CL_MAX_AUTH_PARAMS; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%sp%d=1",
                                 i == 0 ? "Bearer " : ",", i);
    CHECK(parse(text) == -E2BIG);
    size = 0;
    for (int i = 0; i <= CL_MAX_CHALLENGES; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "S%d,", i);
    CHECK(parse(text) == -E2BIG && list.count == 0);
    memset(text, ',', CL_AUTH_HEADER_MAX + 1);
    text[CL_AUTH_HEADER_MAX + 1] = '\0';
    CHECK(parse(text) == -E2BIG);
    text[CL_AUTH_HEADER_MAX] = '\0';
    CHECK(parse(text) == 0);
}

TEST(adds_up_several_headers_and_leaves_the_list_when_one_is_bad)
{
    CHECK(parse("Basic realm=a") == 0);
    CHECK(cl_auth_header_parse("Bearer realm=b, x", &arena, &list) == 0 && list.count == 3);
    CHECK(cl_auth_header_parse("Bearer realm=c, Bearer realm=\"", &arena, &list) == -EBADMSG);
    CHECK(list.count == 3);
}

TEST(prefers_a_bearer_that_names_a_realm)
{
    CHECK(parse("Negotiate, Basic realm=a, Bearer realm=b, Bearer realm=c") == 0);
    CHECK(cl_challenges_choose(&list) == &list.items[2]);
    CHECK(parse("Bearer service=a, Basic realm=b, Basic realm=c") == 0);
    CHECK(cl_challenges_choose(&list) == &list.items[1]);
    CHECK(parse("Basic") == 0 && cl_challenges_choose(&list) == &list.items[0]);
    CHECK(parse("Negotiate, Bearer service=x") == 0 && cl_challenges_choose(&list) == NULL);
}

TEST(says_when_memory_is_out)
{
    struct cl_arena small = CL_ARENA_INIT(16);

    list.count = 0;
    CHECK(cl_auth_header_parse("Bearer realm=\"a long name of a realm\"", &small, &list) ==
          -ENOMEM);
    CHECK(list.count == 0);
    cl_arena_done(&small);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(reads_the_challenge_of_a_registry),
        ROW(takes_names_in_any_case_and_blanks_around_equals),
        ROW(splits_challenges_and_parameters_by_the_same_commas),
        ROW(takes_escapes_out_of_quoted_strings),
        ROW(passes_over_empty_elements),
        ROW(tells_a_token68_from_a_parameter),
        ROW(refuses_what_the_grammar_does_not_have),
        ROW(refuses_a_parameter_that_stands_twice),
        ROW(is_bounded),
        ROW(adds_up_several_headers_and_leaves_the_list_when_one_is_bad),
        ROW(prefers_a_bearer_that_names_a_realm),
        ROW(says_when_memory_is_out),
    };
    int r = check_run(tests, CL_ARRAY_SIZE(tests));

    cl_arena_done(&arena);
    return r;
}
