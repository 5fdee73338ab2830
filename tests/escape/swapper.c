/*
 * Attack: a directory that is copied out of or into the sandbox (cp) becomes a link while that goes
 *   on, and the other way round: who looked first and opens then is led elsewhere.
 * Layer: copy (no path of the sandbox is resolved by anybody outside; nothing is followed).
 * Source: CVE-2018-15664 (docker cp), CVE-2019-14271; rename(2), RENAME_EXCHANGE.
 */
#include "attack.h"

/* Swaps its two arguments for ever: whether that leads anybody anywhere is seen outside. */
static void exchange(char **args)
{
    const char *one = need_arg(args, 0), *other = need_arg(args, 1);

    puts("ready");
    fflush(stdout);
    while (syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 1L << 1) == 0)
        ;
    impossible("swap %s and %s: %s", one, other, strerror(errno));
}

ATTACK({"exchange", exchange})
