/* test_date.c - dates that strangers wrote, against the C library's calendar; ages in words. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/date.h"
#include "check.h"

static int64_t parsed(const char *text)
{
    int64_t seconds = -1;

    CHECK(cl_date_parse(text, &seconds) == 0);
    return seconds;
}

TEST(dates_are_those_of_the_calendar)
{
    char text[CL_RFC3339_SIZE];

    CHECK(parsed("1970-01-01T00:00:00Z") == 0);
    CHECK(parsed("1969-12-31T23:59:59Z") == -1);
    CHECK(parsed("0001-01-01T00:00:00Z") == -62135596800);
    CHECK(parsed("9999-12-31T23:59:59Z") == 253402300799);
    CHECK(parsed("2023-11-14t22:13:20.123456789z") == 1700000000);
    CHECK(parsed("2023-11-15 00:13:20+02:00") == 1700000000);
    CHECK(parsed("2023-11-14T16:43:20-05:30") == 1700000000);
    CHECK(parsed("2016-12-31T23:59:60Z") == 1483228800);
    /* a prime number of seconds, some thirty years to either side of 2000 */
    for (uint64_t s = 0; s < 4102444800; s += 2750159) {
        cl_clock_rfc3339(s * CL_NS_PER_S, text);
        CHECK(parsed(text) == (int64_t)s);
    }
}

TEST(years_have_their_days)
{
    for (int year = 1; year < 3000; year += 1) {
        char text[32];
        struct tm tm = {.tm_year = year - 1900, .tm_mon = 1, .tm_mday = 28};
        int64_t seconds;

        (void)snprintf(text, sizeof(text), "%04d-02-28T00:00:00Z", year);
        CHECK(parsed(text) == (int64_t)timegm(&tm));
        (void)snprintf(text, sizeof(text), "%04d-02-29T00:00:00Z", year);
        tm = (struct tm){.tm_year = year - 1900, .tm_mon = 1, .tm_mday = 29};
        const time_t there = timegm(&tm); /* which makes a day that isn't there the next */
        int r = cl_date_parse(text, &seconds);
        CHECK(tm.tm_mon == 1 ? r == 0 && seconds == (int64_t)there : r == -EINVAL);
    }
}

TEST(what_is_no_date_is_refused)
{
    static const char *const bad[] = {
        "",
        "2023",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13Z",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20+0200",
        "2023-11-14T22:13:20+24:00",
        "2023-11-14T22:13:20+00:60",
        "2023-11-14T22:13:20Z ",
        " 2023-11-14T22:13:20Z",
        "2023-11-14T22:13:61Z",
        "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:00Z",
        "2023-13-14T22:13:20Z",
        "2023-00-14T22:13:20Z",
        "2023-11-00T22:13:20Z",
        "2023-11-31T22:13:20Z",
        "0000-01-01T00:00:00Z",
        "-023-11-14T22:13:20Z",
        "12023-11-14T22:13:20Z",
        "2023/11/14T22:13:20Z",
        "2023-11-14_22:13:20Z",
        "2023-11-14T22:13:20*00:00",
    };

    for (size_t i = 0; i < CL_ARRAY_SIZE(bad); i++) {
        int64_t untouched = 77;

        CHECK(cl_date_parse(bad[i], &untouched) == -EINVAL && untouched == 77);
        if (check_failures > 0)
            printf("# at \"%s\"\n", bad[i]);
    }
}

TEST(ages_are_in_words)
{
    static const struct {
        int64_t age_s;
        const char *said;
    } rows[] = {
        {-61, "in the future"},
        {-60, "just now"},
        {0, "just now"},
        {1, "just now"},
        {2, "2 seconds ago"},
        {119, "119 seconds ago"},
        {120, "2 minutes ago"},
        {7199, "119 minutes ago"},
        {7200, "2 hours ago"},
        {172799, "47 hours ago"},
        {172800, "2 days ago"},
        {14LL * 86400 - 1, "13 days ago"},
        {14LL * 86400, "2 weeks ago"},
        {21LL * 86400, "3 weeks ago"},
        {90LL * 86400 - 1, "12 weeks ago"},
        {90LL * 86400, "3 months ago"},
        {729LL * 86400, "24 months ago"},
        {730LL * 86400, "2 years ago"},
        {56LL * 365 * 86400, "56 years ago"},
    };
    char text[CL_DATE_AGO_SIZE];

    for (size_t i = 0; i < CL_ARRAY_SIZE(rows); i++)
        CHECK_TEXT(cl_date_ago(1000, 1000 - rows[i].age_s, text), rows[i].said);
    CHECK_TEXT(cl_date_ago(1700000000, -62135596800, text), "2024 years ago");
}

int main(void)
{
    static const struct check_test tests[] = {
        ROW(dates_are_those_of_the_calendar),
        ROW(years_have_their_days),
        ROW(what_is_no_date_is_refused),
        ROW(ages_are_in_words),
    };

    return check_run(tests, CL_ARRAY_SIZE(tests));
}
