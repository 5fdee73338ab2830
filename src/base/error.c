#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"

/* Here are the functions that the macros of these names call. */
#undef cl_fail
#undef cl_refuse
#undef cl_prefix
#undef cl_hint
#undef cl_error_check
#undef cl_fail_memory

__attribute__((format(printf, 3, 0))) static int set_message(struct cl_error *err, int errnum,
                                                             const char *fmt, va_list args)
{
    if (errnum < 0)
        errnum = -errnum;
    CL_ASSERT(errnum > 0);
    err->code = errnum;
    (void)vsnprintf(err->msg, sizeof(err->msg), fmt, args); /* a cut message is still a message */
    /* A hostile name could forge lines, or drive the reader's terminal. */
    cl_utf8_make_printable(err->msg);
    return -errnum;
}

/* strerror_r has two shapes (POSIX and GNU); strerror of a known errno is a constant
 * string in both C libraries we build with. What it doesn't know (a kernel's or a file
 * system's own) is told by number: musl has the text of 0 for that, "No error information",
 * glibc "Unknown error N". */
static const char *errno_text(int errnum, char unknown[24])
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): single-threaded programs
    const char *text = strerror(errnum);

    // NOLINTNEXTLINE(concurrency-mt-unsafe): as above
    if (strcmp(text, strerror(0)) != 0 && strncmp(text, "Unknown error", 13) != 0)
        return text;
    (void)snprintf(unknown, 24, "error %d", errnum);
    return unknown;
}

static void append(struct cl_error *err, const char *separator, const char *text)
{
    size_t used = strlen(err->msg);

    (void)snprintf(err->msg + used, sizeof(err->msg) - used, "%s%s", separator, text);
    cl_utf8_make_printable(err->msg + used); /* where it was cut may be within a character */
}

int cl_fail(struct cl_error *err, int errnum, const char *fmt, ...)
{
    char unknown[24];
    va_list args;

    va_start(args, fmt);
    (void)set_message(err, errnum, fmt, args);
    va_end(args);
    append(err, ": ", errno_text(err->code, unknown));
    return -err->code;
}

int cl_refuse(struct cl_error *err, int errnum, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)set_message(err, errnum, fmt, args);
    va_end(args);
    return -err->code;
}

int cl_prefix(struct cl_error *err, const char *fmt, ...)
{
    char old[CL_ERROR_MSG_SIZE];
    va_list args;

    CL_ASSERT(err->code != 0);
    memcpy(old, err->msg, sizeof(old));
    va_start(args, fmt);
    (void)set_message(err, err->code, fmt, args);
    va_end(args);
    append(err, ": ", old);
    return -err->code;
}

int cl_hint(struct cl_error *err, const char *fmt, ...)
{
    char hint[CL_ERROR_MSG_SIZE];
    va_list args;

    CL_ASSERT(err->code != 0);
    va_start(args, fmt);
    (void)vsnprintf(hint, sizeof(hint), fmt, args);
    va_end(args);
    cl_utf8_make_printable(hint);
    append(err, "; ", hint);
    return -err->code;
}

int cl_error_check(struct cl_error *err)
{
    enum { ERRNO_MOST = 4095 }; /* what a system call can return */

    if (err->code < 1 || err->code > ERRNO_MOST)
        err->code = EIO;
    err->msg[CL_ERROR_MSG_SIZE - 1] = '\0';
    cl_utf8_make_printable(err->msg);
    return -err->code;
}

int cl_fail_memory(struct cl_error *err)
{
    return cl_refuse(err, ENOMEM, "out of memory");
}

void cl_assert_failed(const char *what, const char *file, int line)
{
    char text[256];
    int size = snprintf(text, sizeof(text), "cloister: bug: %s at %s:%d\n", what, file, line);

    if (size > 0)
        (void)!write(STDERR_FILENO, text, cl_min_u64((uint64_t)size, sizeof(text) - 1));
    __builtin_trap();
}

void cl_free_ptr(void *p)
{
    void **slot = p;

    free(*slot);
    *slot = NULL;
}
