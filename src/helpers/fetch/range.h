/* range.h - what a server made of a Range header. Pure.
 *
 * Source: RFC 9110, 14.2 to 14.4 and 15.3.7.
 */
#ifndef CL_HELPERS_FETCH_RANGE_H
#define CL_HELPERS_FETCH_RANGE_H

#include "base/defs.h"

/* What was asked for: the bytes from FROM on, of a thing that has SIZE of them. */
struct cl_range {
    uint64_t from;
    uint64_t size;
};

enum cl_range_verdict {
    CL_RANGE_FOLLOWS, /* the body is what was asked for, or the start of it */
    CL_RANGE_WHOLE,   /* the body begins at 0: FROM bytes of it are known */
    CL_RANGE_NOTHING, /* there is nothing after FROM, which is the size */
    CL_RANGE_WRONG,   /* other bytes, or another size */
};

/* STATUS is 200, 206 or 416; CONTENT_RANGE is NULL where the answer had none. */
enum cl_range_verdict cl_range_judge(const struct cl_range *asked, unsigned int status,
                                     const char *content_range);

#endif
