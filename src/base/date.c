#include "base/date.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

/* COUNT digits, as a number. */
static int take_number(const char **text, int count, int *ret)
{
    int value = 0;

    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return -EINVAL;
        value = value * 10 + (**text - '0');
    }
    *ret = value;
    return 0;
}

/* COUNT digits and then one of the characters END. */
static int take_part(const char **text, int count, const char *end, int *ret)
{
    if (take_number(text, count, ret) < 0)
        return -EINVAL;
    for (; *end != '\0'; end++) {
        if (**text == *end) {
            (*text)++;
            return 0;
        }
    }
    return -EINVAL;
}

/* Days from 1970-01-01 to the first of the year: every fourth is longer, but of those of the
 * centuries only every fourth. */
static int64_t days_before(int year)
{
    const int64_t past = year - 1;

    return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

static int is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int take_date(const char **text, int64_t *ret_days)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year;
    int month;
    int day;

    if (take_part(text, 4, "-", &year) < 0 || take_part(text, 2, "-", &month) < 0 ||
        take_part(text, 2, "Tt ", &day) < 0)
        return -EINVAL;
    if (year < 1 || month < 1 || month > 12 || day < 1)
        return -EINVAL;
    int64_t days = days_before(year) + day - 1;
    for (int i = 0; i + 1 < month; i++)
        days += month_days[i] + (i == 1 && is_leap(year));
    if (day > month_days[month - 1] + (month == 2 && is_leap(year)))
        return -EINVAL;
    *ret_days = days;
    return 0;
}

static int take_time(const char **text, int64_t *ret_s)
{
    int hour;
    int minute;
    int second;

    if (take_part(text, 2, ":", &hour) < 0 || take_part(text, 2, ":", &minute) < 0 ||
        take_number(text, 2, &second) < 0)
        return -EINVAL;
    if (hour > 23 || minute > 59 || second > 60)
        return -EINVAL;
    if (**text == '.') {
        const char *digits = ++*text;

        while (**text >= '0' && **text <= '9')
            (*text)++;
        if (*text == digits)
            return -EINVAL;
    }
    *ret_s = hour * HOUR + minute * MINUTE + second;
    return 0;
}

/* "Z", or how far the clock is before UTC. */
static int take_zone(const char **text, int64_t *ret_s)
{
    const char sign = **text;
    int hours;
    int minutes;

    (*text) += sign != '\0';
    if (sign == 'Z' || sign == 'z') {
        *ret_s = 0;
        return 0;
    }
    if ((sign != '+' && sign != '-') || take_part(text, 2, ":", &hours) < 0 ||
        take_number(text, 2, &minutes) < 0 || hours > 23 || minutes > 59)
        return -EINVAL;
    *ret_s = (sign == '-' ? -1 : 1) * ((int64_t)hours * HOUR + (int64_t)minutes * MINUTE);
    return 0;
}

int cl_date_parse(const char *text, int64_t *ret_s)
{
    int64_t days;
    int64_t seconds;
    int64_t zone;

    if (take_date(&text, &days) < 0 || take_time(&text, &seconds) < 0 ||
        take_zone(&text, &zone) < 0 || *text != '\0')
        return -EINVAL;
    *ret_s = days * DAY + seconds - zone;
    return 0;
}

/* --- for people ------------------------------------------------------------------ */

const char *cl_date_ago(int64_t now_s, int64_t then_s, char ret[CL_DATE_AGO_SIZE])
{
    static const struct {
        const char *name;
        int64_t seconds;
        int64_t from; /* how many of them it takes; the last row that fits is taken */
    } units[] = {
        {"seconds", 1, 2},         {"minutes", MINUTE, 2},  {"hours", HOUR, 2},
        {"days", DAY, 2},          {"weeks", 7LL * DAY, 2}, {"months", 30LL * DAY, 3},
        {"years", 365LL * DAY, 2},
    };
    const int64_t age = now_s - then_s;
    size_t unit = 0;

    if (age < 2) {
        (void)snprintf(ret, CL_DATE_AGO_SIZE, "%s", age < -MINUTE ? "in the future" : "just now");
        return ret;
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(units); i++) {
        if (age >= units[i].from * units[i].seconds)
            unit = i;
    }
    (void)snprintf(ret, CL_DATE_AGO_SIZE, "%" PRId64 " %s ago", age / units[unit].seconds,
                   units[unit].name);
    return ret;
}
