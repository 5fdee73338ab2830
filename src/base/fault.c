#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/sys.h"

enum { MAX_ANSWERS = 16 };

enum who { EVERYBODY, SELF, CHILDREN };

struct answer {
    long nr;
    int result;       /* -errno, or what a call that did its work would return */
    unsigned long at; /* 0: each time */
    unsigned long seen;
};

/* Mutable state of the file, which no other module of base has: the shims are called from
 * everywhere and the build that holds them is never released. */
static struct {
    int ready; /* CLOISTER_FAULT was looked at, or cl_fault_set was called */
    int struck;
    int errnum;
    enum who who;
    pid_t self;
    unsigned long syscall_at, alloc_at, death_at; /* 0: never */
    unsigned long syscalls, allocs;
    struct answer answers[MAX_ANSWERS];
    size_t answer_count;
    char *mark;
} fault;

static unsigned long number(const char **text)
{
    char *end = NULL;
    unsigned long value = strtoul(*text, &end, 10);

    CL_ASSERT(end != *text);
    *text = end;
    return value;
}

/* Whether *TEXT starts with WORD, which is then passed over. */
static int take(const char **text, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(*text, word, length) != 0)
        return 0;
    *text += length;
    return 1;
}

/* Of calls that work, or fail. */
static int take_result(const char **text, int work)
{
    if (!work)
        return take(text, "=") ? -(int)number(text) : -ENOSYS;
    CL_ASSERT(take(text, "="));
    int result = (int)number(text);
    CL_ASSERT(result > 0); /* 0 is that the call is made */
    return result;
}

static void set_answers(const char *text, int work)
{
    do {
        CL_ASSERT(fault.answer_count < MAX_ANSWERS);
        struct answer *answer = &fault.answers[fault.answer_count++];

        answer->nr = (long)number(&text);
        answer->at = take(&text, "#") ? number(&text) : 0;
        answer->result = take_result(&text, work);
    } while (take(&text, ","));
    CL_ASSERT(*text == '\0');
}

void cl_fault_set(const char *text)
{
    char *mark = fault.mark;

    memset(&fault, 0, sizeof(fault));
    fault.ready = 1;
    fault.errnum = EIO;
    fault.self = getpid();
    fault.mark = mark;
    if (text == NULL || *text == '\0')
        return;
    if (take(&text, "self:"))
        fault.who = SELF;
    else if (take(&text, "children:"))
        fault.who = CHILDREN;
    if (take(&text, "lacks:")) {
        set_answers(text, 0);
        return;
    }
    if (take(&text, "answers:")) {
        set_answers(text, 1);
        return;
    }
    if (take(&text, "alloc:")) {
        fault.alloc_at = number(&text);
    } else if (take(&text, "dies:")) {
        fault.death_at = number(&text);
    } else {
        CL_ASSERT(take(&text, "syscall:"));
        fault.syscall_at = number(&text);
        if (take(&text, ":"))
            fault.errnum = (int)number(&text);
    }
    CL_ASSERT(*text == '\0');
}

int cl_fault_struck(void)
{
    return fault.struck;
}

static void map_mark(const char *path)
{
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CL_ASSERT(fd >= 0);
    void *page = mmap(NULL, CL_FAULT_MARK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CL_ASSERT(page != MAP_FAILED);
    (void)close(fd); /* the mapping stays */
    fault.mark = page;
}

/* Whether the calls of this process count. */
static int is_meant(void)
{
    if (!fault.ready) {
        map_mark(getenv("CLOISTER_FAULT_MARK")); // NOLINT(concurrency-mt-unsafe): one thread
        cl_fault_set(getenv("CLOISTER_FAULT"));  // NOLINT(concurrency-mt-unsafe): one thread
    }
    return fault.who == EVERYBODY || (getpid() == fault.self) == (fault.who == SELF);
}

static int strike(const char *what, long nr, unsigned long n, int result)
{
    fault.struck = 1;
    if (fault.mark != NULL)
        (void)snprintf(fault.mark, CL_FAULT_MARK_SIZE, "%s %ld %lu\n", what, nr, n);
    return result;
}

/* The first process of a pid namespace can't kill itself; its end is as sudden. */
CL_NORETURN static void die(long nr)
{
    (void)strike("dies", nr, fault.syscalls, 0);
    (void)kill(getpid(), SIGKILL);
    _exit(128 + SIGKILL);
}

int cl_fault_syscall(long nr)
{
    if (!is_meant())
        return 0;
    for (size_t i = 0; i < fault.answer_count; i++) {
        struct answer *answer = &fault.answers[i];

        if (answer->nr != nr)
            continue;
        answer->seen++;
        if (answer->at == 0 || answer->at == answer->seen)
            return strike("syscall", nr, answer->seen, answer->result);
    }
    if (++fault.syscalls == fault.death_at)
        die(nr);
    if (fault.syscalls != fault.syscall_at)
        return 0;
    return strike("syscall", nr, fault.syscalls, -fault.errnum);
}

int cl_fault_alloc(void)
{
    if (!is_meant() || ++fault.allocs != fault.alloc_at)
        return 0;
    return strike("alloc", 0, fault.allocs, 1);
}
