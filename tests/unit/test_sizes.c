/* test_sizes.c - sizes as people read them. */
#include "base/num.h"
#include "check.h"

static void check_about(uint64_t bytes, const char *expected)
{
    char text[CL_SIZE_TEXT];

    CHECK_TEXT(cl_size_about(bytes, text), expected);
}

TEST(sizes_for_people_are_rounded_down)
{
    check_about(0, "0 B");
    check_about(1023, "1023 B");
    check_about(1024, "1.0 KiB");
    check_about(1126, "1.0 KiB");
    check_about(1127, "1.1 KiB");
    check_about(10239, "9.9 KiB");
    check_about((1 << 20) - 1, "1023.9 KiB");
    check_about(512ULL << 20, "512.0 MiB");
    check_about(UINT64_MAX, "15.9 EiB");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(sizes_for_people_are_rounded_down),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
