/* test_scope_request.c - what cloister-systemd is asked: its words and its input. */
#include "helpers/systemd/request.h"

#include <errno.h>

#include "check.h"

static struct cl_request request; /* large */

static int take(const char *const *words, int count)
{
    char *argv[8] = {cl_unconst("cloister-systemd")};

    for (int i = 0; i < count; i++)
        argv[i + 1] = cl_unconst(words[i]);
    return cl_request_take(count + 1, argv, &request);
}

#define TAKE(...)                                                                                  \
    take((const char *const[]){__VA_ARGS__},                                                       \
         (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

TEST(words_are_taken)
{
    CHECK(TAKE("scope", "0abz", "user", "7") == 0);
    CHECK(request.verb == CL_VERB_SCOPE && request.manager == CL_MANAGER_USER);
    CHECK_TEXT(request.scope.unit, "cloister-0abz.scope");
    CHECK(request.scope.pid == 7 && request.scope.slice == NULL);
    CHECK(TAKE("unit", "system", "2147483647") == 0);
    CHECK(request.verb == CL_VERB_UNIT && request.manager == CL_MANAGER_SYSTEM);
    CHECK(request.scope.pid == INT32_MAX);
    CHECK(TAKE("set", "user") == 0);
    CHECK(request.verb == CL_VERB_SET && request.manager == CL_MANAGER_USER);
}

TEST(other_words_are_refused)
{
    CHECK(take(NULL, 0) == -EINVAL);
    CHECK(TAKE("scope") == -EINVAL);
    CHECK(TAKE("scope", "", "user", "7") == -EINVAL);
    CHECK(TAKE("scope", "A", "user", "7") == -EINVAL);
    CHECK(TAKE("scope", "a/b", "user", "7") == -EINVAL);
    CHECK(TAKE("scope", "012345678901234567890123456789012", "user", "7") == -EINVAL);
    CHECK(TAKE("scope", "a", "somebody", "7") == -EINVAL);
    CHECK(TAKE("scope", "a", "user", "0") == -EINVAL);
    CHECK(TAKE("scope", "a", "user", "2147483648") == -EINVAL);
    CHECK(TAKE("scope", "a", "user", "7", "8") == -EINVAL);
    CHECK(TAKE("unit", "system", "x") == -EINVAL);
    CHECK(TAKE("unit", "x", "7") == -EINVAL);
    CHECK(TAKE("set", "x") == -EINVAL);
    CHECK(TAKE("set", "user", "7") == -EINVAL);
    CHECK(TAKE("stop", "user") == -EINVAL);
}

static int read_bytes(const char *bytes, size_t size, struct cl_error *err)
{
    static struct cl_buf input;

    cl_buf_done(&input);
    input = CL_BUF_INIT(1 << 20);
    CHECK(cl_buf_add(&input, bytes, size) == 0);
    request.scope.property_count = 0;
    return cl_request_read(&input, &request, err);
}
#define READ(text, err) read_bytes(text, sizeof(text), err)

TEST(texts_are_taken)
{
    struct cl_error err = {0};

    CHECK(TAKE("unit", "user", "7") == 0);
    CHECK(READ("a.scope\0b.slice\0MemoryMax\0uint64 5\0After\0['x']", &err) == 0);
    CHECK_TEXT(request.scope.unit, "a.scope");
    CHECK_TEXT(request.scope.slice, "b.slice");
    CHECK(request.scope.property_count == 2);
    CHECK_TEXT(request.scope.properties[0].name, "MemoryMax");
    CHECK_TEXT(request.scope.properties[0].text, "uint64 5");
    CHECK_TEXT(request.scope.properties[1].name, "After");
    CHECK(READ("a.scope\0b.slice", &err) == 0 && request.scope.property_count == 0);
    CHECK(TAKE("set", "user") == 0);
    CHECK(READ("a.scope\0TasksMax\0uint64 9", &err) == 0);
    CHECK_TEXT(request.scope.properties[0].name, "TasksMax");
}

TEST(an_input_that_is_none_is_refused)
{
    struct cl_error err = {0};
    char name[160];

    CHECK(TAKE("unit", "user", "7") == 0);
    CHECK(read_bytes("", 0, &err) == -EBADMSG);
    CHECK(read_bytes("a.scope", 7, &err) == -EBADMSG);
    CHECK(READ("a.scope", &err) == -EBADMSG);
    CHECK_HAS(err.msg, "no slice");
    CHECK(READ("a.scope\0b.slice\0MemoryMax", &err) == -EBADMSG);
    CHECK_HAS(err.msg, "before a property's value");
    memset(name, 'a', sizeof(name));
    memcpy(name, "a\0b", 4);
    memcpy(name + sizeof(name) - 3, "\0x", 3);
    CHECK(read_bytes(name, sizeof(name), &err) == -EINVAL);
    CHECK_HAS(err.msg, "org.systemd.property.aaaa");
}

TEST(properties_have_a_bound)
{
    struct cl_error err = {0};
    static char text[4 + 4 * (CL_SCOPE_PROPERTIES + 1)];

    CHECK(TAKE("unit", "user", "7") == 0);
    memcpy(text, "u\0s", 4);
    for (size_t i = 4; i < sizeof(text); i += 4)
        memcpy(text + i,
               "N\0"
               "5",
               4);
    CHECK(read_bytes(text, sizeof(text) - 4, &err) == 0);
    CHECK(request.scope.property_count == CL_SCOPE_PROPERTIES);
    CHECK(read_bytes(text, sizeof(text), &err) == -E2BIG);
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(words_are_taken),         ROW(other_words_are_refused),
        ROW(texts_are_taken),         ROW(an_input_that_is_none_is_refused),
        ROW(properties_have_a_bound),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
