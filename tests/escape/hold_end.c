/*
 * Attack: hold the end of the sandbox, which is over only when the kernel has closed what its
 *   processes had open. A trigger of /proc/pressure waits for a grace period of RCU when it is
 *   closed, and hangs in the host's own group until then. Most files of /proc look for the one
 *   that is closed among all that are open, so that many cost the square of their number.
 * Layer: procmask.
 * Source: Documentation/accounting/psi.rst; psi_trigger_destroy (kernel/sched/psi.c),
 *   proc_reg_release (fs/proc/inode.c).
 */
#include "attack.h"
#include <time.h>

#define MOST 64

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* As many as asked for, or as there are descriptors for. */
static int set_triggers(int wanted)
{
    static const char *const paths[] = {"/proc/pressure/cpu", "/proc/pressure/memory",
                                        "/proc/pressure/io"};
    static const char trigger[] = "some 500000 2000000"; /* in 2 s, as who has no privilege may */

    for (int set = 0; set < wanted; set++) {
        int fd = open(paths[set % 3], O_RDWR | O_NONBLOCK);

        if (fd < 0 && errno == EMFILE)
            return set;
        if (fd < 0)
            held("open %s: %s", paths[set % 3], strerror(errno));
        if (write(fd, trigger, sizeof trigger) < 0)
            held("a trigger of %s: %s", paths[set % 3], strerror(errno));
    }
    return wanted;
}

/* args: how many. One that is set is one too many; the time is only told. */
static void triggers(char **args)
{
    int count = set_triggers(atoi(need_arg(args, 0)));
    double start = now();

    syscall(SYS_close_range, 3, ~0U, 0);
    escaped("%d triggers on the host's pressure took %.0f ms to close", count,
            (now() - start) * 1e3);
}

/* args: how many. What it could set is open until something ends it. */
static void keep_triggers(char **args)
{
    pid_t child = fork();

    if (child == 0)
        set_triggers(atoi(need_arg(args, 0)));
    for (;;)
        pause();
}

/* Processes with all their descriptors on one file: how long they take to end. */
static double end_of_crowd(const char *path, int processes, long *opened)
{
    pid_t crowd[MOST];
    int report[2], count;
    double start;

    if (pipe(report) < 0)
        impossible("pipe: %s", strerror(errno));
    for (int i = 0; i < processes; i++) {
        if ((crowd[i] = fork()) < 0)
            impossible("fork: %s", strerror(errno));
        if (crowd[i])
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (count = 0; count < 1000 && open(path, O_RDONLY | O_NONBLOCK) >= 0;)
            count++;
        if (write(report[1], &count, sizeof count) != sizeof count)
            _exit(1);
        for (;;)
            pause();
    }
    for (int i = 0; i < processes; i++, *opened += count)
        if (read(report[0], &count, sizeof count) != sizeof count)
            impossible("one of the crowd said nothing");
    close(report[0]);
    close(report[1]);
    start = now();
    for (int i = 0; i < processes; i++)
        kill(crowd[i], SIGKILL);
    for (int i = 0; i < processes; i++)
        waitpid(crowd[i], NULL, 0);
    return now() - start;
}

/* args: file, processes. Against the same number of a file that costs nothing to close. */
static void crowd(char **args)
{
    const char *path = need_arg(args, 0);
    int processes = atoi(need_arg(args, 1));
    long opened = 0, plain;
    double took, usual = 1e9, again;

    if (processes < 1 || processes > MOST)
        impossible("at most %d processes", MOST);
    took = end_of_crowd(path, processes, &opened);
    for (int i = 0; i < 3; i++) { /* whatever else the machine does makes it longer */
        plain = 0;
        again = end_of_crowd("/dev/null", processes, &plain);
        usual = again < usual ? again : usual;
    }
    if (opened == 0)
        held("%s does not open", path);
    if (took > 10 * usual && took > 0.1)
        escaped("%ld of %s took %.0f ms to end, and %ld of /dev/null %.0f", opened, path,
                took * 1e3, plain, usual * 1e3);
    held("%ld of %s took %.0f ms to end, and %ld of /dev/null %.0f", opened, path, took * 1e3,
         plain, usual * 1e3);
}

ATTACK({"triggers", triggers}, {"keep_triggers", keep_triggers}, {"crowd", crowd})
