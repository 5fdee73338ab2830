/*
 * Attack: seem dead. The first thread ends and another lives on: the process is shown as a zombie
 * (state Z in /proc/PID/stat), and who takes that for its end neither kills it nor sees it run.
 * Layer: the runtime asks the process's pidfd, which is readable when all threads have ended.
 * Source: proc_pid_stat(5), pidfd_open(2), exit(2).
 */
#include "attack.h"

#include <pthread.h>

static int shows_zombie(void)
{
    char text[512] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    const char *at;

    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        impossible("/proc/self/stat: %s", strerror(errno));
    fclose(file);
    at = strrchr(text, ')');
    return at != NULL && at[2] == 'Z';
}

static void *live_on(void *unused)
{
    while (!shows_zombie())
        sched_yield();
    dprintf(1, "began\n");
    for (;;)
        pause();
    return unused;
}

static void leave(char **args)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, live_on, NULL) != 0)
        impossible("pthread_create");
    syscall(SYS_exit, 0);
}

ATTACK({"leave", leave})
