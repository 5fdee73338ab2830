/*
 * nothing: the smallest static program, _exit(0) and no C library start-up. What
 * the stopwatch reads for it is the cost of the harness, which is subtracted
 * from every other reading.
 */
#include <sys/syscall.h>

void _start(void);

void _start(void)
{
#if defined(__x86_64__)
    register long rax __asm__("rax") = SYS_exit_group;
    register long rdi __asm__("rdi") = 0;
    __asm__ volatile("syscall" : : "r"(rax), "r"(rdi) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_exit_group;
    register long x0 __asm__("x0") = 0;
    __asm__ volatile("svc 0" : : "r"(x8), "r"(x0) : "memory");
#else
#error "nothing.c knows x86-64 and aarch64 only"
#endif
    __builtin_unreachable();
}
