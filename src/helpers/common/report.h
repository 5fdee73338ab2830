/* report.h - what parsers are given, and what their messages share. */
#ifndef CL_HELPERS_COMMON_REPORT_H
#define CL_HELPERS_COMMON_REPORT_H

#include "base/error.h"

/* Foreign bytes: SIZE of them and a NUL after them, and the name of their file as
 * messages have it. All borrowed. */
struct cl_document {
    const char *name;
    const char *text;
    size_t size;
};

/* The end of a long file name, so that the place and the reason after it fit into
 * the message; NAME itself where it is short. */
const char *cl_report_name(const char *name);

/* Puts PATH before the message that is there, with a dot where that begins with a field's path:
 * "action: unknown" becomes "linux.seccomp.action: unknown". Returns -err->code. */
int cl_report_below(const char *path, struct cl_error *err);

#endif
