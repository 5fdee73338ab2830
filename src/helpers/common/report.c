#include "helpers/common/report.h"

#include <string.h>

enum { SHOWN_NAME = 160 };

const char *cl_report_name(const char *name)
{
    size_t size = strlen(name);

    return size <= SHOWN_NAME ? name : name + size - SHOWN_NAME;
}

/* A field's path as messages begin with it: letters, digits, dots and brackets up to a colon. */
static int begins_with_field(const char *text)
{
    const size_t size =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.[]");

    return size > 0 && text[size] == ':' && text[size + 1] == ' ';
}

int cl_report_below(const char *path, struct cl_error *err)
{
    const struct cl_error was = *err;

    if (!begins_with_field(was.msg))
        return cl_prefix(err, "%s", path);
    return cl_refuse(err, was.code, "%s.%.*s", path, CL_ERROR_MSG_SIZE - 64, was.msg);
}
