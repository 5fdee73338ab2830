/* test_wasm_complain.c - what an engine says, as one line with the place first. */
#include <errno.h>

#include "check.h"
#include "helpers/wasm/complain.h"

TEST(the_place_comes_first)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"unexpected end (at offset 0x1f)", "a.wasm: at 0x1f: unexpected end (at offset 0x1f)"},
        {"bad code at offset 31: no", "a.wasm: at 0x1f: bad code at offset 31: no"},
        {"no place", "a.wasm: no place"},
        {"at offset", "a.wasm: at offset"},
        {"at offset x", "a.wasm: at offset x"},
        {"at offset 0x", "a.wasm: at offset 0x"},
        {"\"at offset 9\" (at offset 0x7)", "a.wasm: at 0x7: \"at offset 9\" (at offset 0x7)"},
        {"a\nb\r\033[2J", "a.wasm: a?b??[2J"},
        {"\xff", "a.wasm: ?"},
        {"", "a.wasm: "},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct cl_error err = {0};

        CHECK(cl_wasm_complain("a.wasm", rows[i].text, &err) == -EINVAL && err.code == EINVAL);
        CHECK_TEXT(err.msg, rows[i].message);
    }
}

TEST(a_long_text_has_its_place_still)
{
    static char text[3000];
    struct cl_error err = {0};

    (void)memset(text, 'x', 2000);
    (void)snprintf(text + 2000, 100, " (at offset 0x123)");
    CHECK(cl_wasm_complain("a.wasm", text, &err) == -EINVAL);
    CHECK_HAS(err.msg, "a.wasm: at 0x123: xxx");
}

TEST(a_number_without_end_is_cut)
{
    struct cl_error err = {0};

    CHECK(cl_wasm_complain("a", "at offset 0xfffffffffffffffffffff", &err) == -EINVAL);
    CHECK_HAS(err.msg, "a: at 0xfffffffffffffff: at offset");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(the_place_comes_first),
        ROW(a_long_text_has_its_place_still),
        ROW(a_number_without_end_is_cut),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
