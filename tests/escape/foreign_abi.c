/*
 * Attack: make system calls under another ABI's numbers, which a filter written for one ABI reads
 *   wrongly: i386 through int 0x80, x32 through bit 30 of the number.
 * Layer: seccomp (the architecture check: the process must die).
 * Source: CVE-2015-2830 (int 80 and seccomp), seccomp(2) "the arch field".
 */
#include "attack.h"

#ifdef __x86_64__
static void i386(char **args)
{
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    if (result == getpid())
        escaped("i386's getpid answered");
    if (result == -ENOSYS || result == -EPERM)
        held("i386: errno %ld", -result);
    impossible("int 0x80 gave %ld", result);
}

/* i386's 119 and x86-64's differ: mkdir is 39 there, getpid here. */
static void i386_mkdir(char **args)
{
    static char path[] = "/tmp/escape-i386";
    char *low = (char *)0x20000000;
    long result;

    if (syscall(SYS_mmap, low, 4096L, 3L, 0x32L, -1L, 0L) != (long)low)
        impossible("mmap low: %s", strerror(errno));
    memcpy(low, path, sizeof path);
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(39L), "b"(low), "c"(0700L)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result == 0) {
        rmdir(path);
        escaped("i386's mkdir worked");
    }
    if (result == -ENOSYS || result == -EPERM)
        held("i386: errno %ld", -result);
    impossible("int 0x80 gave %ld", result);
}

/* Kernels without x32 answer ENOSYS: only dying, or EPERM, shows a filter at work. */
static void x32(char **args)
{
    if (syscall(0x40000000L | SYS_getpid) >= 0 || errno == ENOSYS)
        escaped("the kernel examined an x32 call");
    held("x32: %s", strerror(errno));
}

static void x32_special(char **args)
{
    if (syscall(0x40000000L | 520L, NULL, NULL, NULL) >= 0 || errno != EPERM)
        escaped("the kernel examined x32's execve");
    held("x32: %s", strerror(errno));
}

ATTACK({"i386", i386}, {"i386_mkdir", i386_mkdir}, {"x32", x32}, {"x32_special", x32_special})
#else
int main(void)
{
    impossible("foreign ABIs of this machine are not known here");
}
#endif
