/* date.h - dates that strangers wrote, and how long ago they were. */
#ifndef CL_BASE_DATE_H
#define CL_BASE_DATE_H

#include "base/defs.h"

/* RFC 3339's date-time, "2026-01-02T03:04:05.678+02:00", in seconds since 1970 (negative before
 * that); the fraction is left off, a leap second is that of the next minute. -EINVAL for
 * anything else, a day that its month lacks too. */
int cl_date_parse(const char *text, int64_t *ret_s);

/* How long before NOW_S it was: "12 seconds ago", "3 weeks ago", "just now" for what is to come
 * within a minute (clocks differ), "in the future". Returns RET. */
enum { CL_DATE_AGO_SIZE = 40 };
const char *cl_date_ago(int64_t now_s, int64_t then_s, char ret[CL_DATE_AGO_SIZE]);

#endif
