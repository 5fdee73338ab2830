/* test_tar_number.c - numbers as tar archives have them. */
#include <errno.h>

#include "helpers/image/tar_parts.h"
#include "check.h"

TEST(numbers_of_headers)
{
    static const struct {
        const char *field;
        int64_t value;
        int r;
    } rows[] = {
        {"0000644\0", 0644, 0},
        {"   644 \0", 0644, 0},
        {"644\0\0\0\0\0", 0644, 0},
        {"\0\0\0\0\0\0\0\0", 0, 0},
        {"        ", 0, 0},
        {"77777777", 077777777, 0},
        {"00006448", 0, -EINVAL},
        {"-0000644", 0, -EINVAL},
        {"06 44   ", 0, -EINVAL},
        {"06\0"
         "44   ",
         0, -EINVAL},
        {"0x644   ", 0, -EINVAL},
        {"\x80\0\0\0\0\0\0\x07", 7, 0},
        {"\x80\x7f\xff\xff\xff\xff\xff\xff", 0x7fffffffffffff, 0},
        {"\xbf\xff\xff\xff\xff\xff\xff\xff", 0x3fffffffffffffff, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", -1, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xfe", -2, 0},
        {"\xc0\0\0\0\0\0\0\0", -0x4000000000000000, 0},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        int64_t value = 0;

        CHECK(cl_tar_number(rows[i].field, 8, &value) == rows[i].r);
        CHECK(value == rows[i].value);
    }
}

TEST(numbers_of_twelve_bytes)
{
    int64_t value = 0;

    CHECK(cl_tar_number("777777777777", 12, &value) == 0 && value == 0777777777777);
    CHECK(cl_tar_number("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, &value) == 0);
    CHECK(value == INT64_MAX);
    CHECK(cl_tar_number("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, &value) == -EINVAL);
    CHECK(cl_tar_number("\x80\0\0\x01\0\0\0\0\0\0\0\0", 12, &value) == -EINVAL);
    CHECK(cl_tar_number("\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, &value) == 0);
    CHECK(value == INT64_MIN);
    CHECK(cl_tar_number("\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 12, &value) == -EINVAL);
}

TEST(decimals)
{
    uint64_t value = 7;

    CHECK(cl_tar_decimal("", 0, &value) == -EINVAL && value == 7);
    CHECK(cl_tar_decimal("0", 1, &value) == 0 && value == 0);
    CHECK(cl_tar_decimal("0123", 3, &value) == 0 && value == 12);
    CHECK(cl_tar_decimal("18446744073709551615", 20, &value) == 0 && value == UINT64_MAX);
    CHECK(cl_tar_decimal("18446744073709551616", 20, &value) == -EINVAL);
    CHECK(cl_tar_decimal("-1", 2, &value) == -EINVAL);
    CHECK(cl_tar_decimal(" 1", 2, &value) == -EINVAL);
    CHECK(cl_tar_decimal("1.", 2, &value) == -EINVAL);
}

TEST(times)
{
    static const struct {
        const char *text;
        int64_t seconds;
        long ns;
        int r;
    } rows[] = {
        {"0", 0, 0, 0},
        {"1", 1, 0, 0},
        {"1.", 1, 0, 0},
        {"1.5", 1, 500000000, 0},
        {"1.000000001", 1, 1, 0},
        {"1.0000000019", 1, 1, 0},
        {"-1", -1, 0, 0},
        {"-1.25", -2, 750000000, 0},
        {"-0.5", -1, 500000000, 0},
        {"9223372036854775806", 9223372036854775806, 0, 0},
        {"9223372036854775807", 0, 0, -EINVAL},
        {"", 0, 0, -EINVAL},
        {"-", 0, 0, -EINVAL},
        {".5", 0, 0, -EINVAL},
        {"1.5x", 0, 0, -EINVAL},
        {"1e3", 0, 0, -EINVAL},
        {"--1", 0, 0, -EINVAL},
        {"+1", 0, 0, -EINVAL},
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++) {
        struct timespec time = {0};

        CHECK(cl_tar_time(rows[i].text, strlen(rows[i].text), &time) == rows[i].r);
        if (rows[i].r == 0)
            CHECK(time.tv_sec == rows[i].seconds && time.tv_nsec == rows[i].ns);
    }
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(numbers_of_headers),
        ROW(numbers_of_twelve_bytes),
        ROW(decimals),
        ROW(times),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
