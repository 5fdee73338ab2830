#include "helpers/common/warnings.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

enum { MAX_LINE = 300 };

static void add_line(struct cl_warnings *warnings, const char *text)
{
    char *line = cl_arena_strdup(warnings->arena, text);

    if (warnings->lines == NULL)
        warnings->lines = cl_arena_array(warnings->arena, warnings->max, sizeof(char *));
    if (line == NULL || warnings->lines == NULL) {
        warnings->failed = 1;
        return;
    }
    cl_utf8_make_printable(line);
    warnings->lines[warnings->count++] = line;
}

void cl_warnings_add(struct cl_warnings *warnings, const char *fmt, ...)
{
    char text[MAX_LINE];
    va_list args;

    if (warnings->count + 1 >= warnings->max) {
        warnings->more++;
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* what is longer is cut */
    va_end(args);
    add_line(warnings, text);
}

int cl_warnings_take(struct cl_warnings *warnings, struct cl_strlist *ret, struct cl_error *err)
{
    char text[MAX_LINE];

    if (warnings->more > 0) {
        (void)snprintf(text, sizeof(text), "%zu more warnings", warnings->more);
        warnings->more = 0;
        add_line(warnings, text);
    }
    if (warnings->failed)
        return cl_fail_memory(err);
    *ret = (struct cl_strlist){warnings->lines, warnings->count};
    return 0;
}
