#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"

enum { MAX_LACKING = 16 };

/* Mutable state of the file, which no other module of base has: the shims are called from
 * everywhere and the build that holds them is never released. */
static struct {
    int ready; /* CLOISTER_FAULT was looked at, or cl_fault_set was called */
    int struck;
    int errnum;
    unsigned long syscall_at, alloc_at; /* 0: never */
    unsigned long syscalls, allocs;
    long lacking[MAX_LACKING];
    size_t lacking_count;
} fault;

static unsigned long number(const char **text)
{
    char *end = NULL;
    unsigned long value = strtoul(*text, &end, 10);

    CL_ASSERT(end != *text);
    *text = end;
    return value;
}

static const char *after(const char *text, const char *word)
{
    size_t length = strlen(word);

    return strncmp(text, word, length) == 0 ? text + length : NULL;
}

static void set_lacking(const char *text)
{
    do {
        CL_ASSERT(fault.lacking_count < MAX_LACKING);
        fault.lacking[fault.lacking_count++] = (long)number(&text);
    } while (*text++ == ',');
}

void cl_fault_set(const char *text)
{
    const char *rest;

    memset(&fault, 0, sizeof(fault));
    fault.ready = 1;
    fault.errnum = EIO;
    if (text == NULL || *text == '\0')
        return;
    if ((rest = after(text, "syscall:")) != NULL) {
        fault.syscall_at = number(&rest);
        if (*rest++ == ':')
            fault.errnum = (int)number(&rest);
        return;
    }
    if ((rest = after(text, "alloc:")) != NULL) {
        fault.alloc_at = number(&rest);
        return;
    }
    rest = after(text, "lacks:");
    CL_ASSERT(rest != NULL);
    set_lacking(rest);
}

int cl_fault_struck(void)
{
    return fault.struck;
}

static void make_ready(void)
{
    if (!fault.ready)
        cl_fault_set(getenv("CLOISTER_FAULT")); // NOLINT(concurrency-mt-unsafe): one thread
}

int cl_fault_syscall(long nr)
{
    make_ready();
    for (size_t i = 0; i < fault.lacking_count; i++) {
        if (fault.lacking[i] == nr) {
            fault.struck = 1;
            return ENOSYS;
        }
    }
    if (++fault.syscalls != fault.syscall_at)
        return 0;
    fault.struck = 1;
    return fault.errnum;
}

int cl_fault_alloc(void)
{
    make_ready();
    if (++fault.allocs != fault.alloc_at)
        return 0;
    fault.struck = 1;
    return 1;
}
