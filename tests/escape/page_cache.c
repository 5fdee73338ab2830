/*
 * Attack: watch which pages of a shared file others read: ask whether they are in the page cache,
 *   and drop them from it, to ask again.
 *   ask PATH; empty PATH (whether it worked the test sees from the host)
 * Layer: seccomp. Source: CVE-2019-5489 and "Page Cache Attacks" (2019); readv(2) RWF_NOWAIT,
 *   posix_fadvise(2).
 */
#include "attack.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static int open_it(char **args)
{
    int fd = open(need_arg(args, 0), O_RDONLY);

    if (fd < 0)
        impossible("open %s: %s", args[0], strerror(errno));
    return fd;
}

static void ask(char **args)
{
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    long n = syscall(SYS_preadv2, (long)open_it(args), &vector, 1L, 0L, 0L, (long)RWF_NOWAIT);

    if (n == 1 || (n < 0 && errno == EAGAIN))
        escaped("%s is%s in the cache", args[0], n == 1 ? "" : " not");
    if (n < 0)
        held("RWF_NOWAIT: %s", strerror(errno));
    impossible("%s is empty", args[0]);
}

static void empty(char **args)
{
    int error = posix_fadvise(open_it(args), 0, 0, POSIX_FADV_DONTNEED);

    held("FADV_DONTNEED: %s", error ? strerror(error) : "answered with success");
}

ATTACK({"ask", ask}, {"empty", empty})
