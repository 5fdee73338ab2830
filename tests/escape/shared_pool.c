/*
 * Attack: take all of what the kernel counts for a user or for the whole machine, so that neither
 * the host nor another sandbox gets any: user instances of inotify, queued signals (every timer
 * holds one), bytes of message queues, pseudo-terminals. take POOL SECONDS   takes all, says so in
 * one line on standard output, and holds it left POOL           is there anything left for others?
 * Layer: userns (whose user the namespace's ids are counted for), rlimits, devices (devpts max=).
 * Source: namespaces(7) "ucounts", getrlimit(2) RLIMIT_SIGPENDING, pty(7), inotify(7).
 */
#include "attack.h"
#include <mqueue.h>
#include <sys/inotify.h>
#include <time.h>

#define ENOUGH 4

static bool take_inotify(int number)
{
    (void)number;
    return inotify_init() >= 0;
}

static bool take_timer(int number)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t timer;

    (void)number;
    return timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

static bool take_queue(int number)
{
    struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    char name[64];

    snprintf(name, sizeof name, "/escape-%d-%d", getpid(), number);
    if (mq_open(name, O_CREAT | O_RDWR | O_EXCL, 0600, &attr) == (mqd_t)-1)
        return false;
    mq_unlink(name); /* it lasts as long as its descriptor, and no longer */
    return true;
}

static bool take_pty(int number)
{
    (void)number;
    return open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0;
}

static const struct pool {
    const char *name;
    bool (*take)(int number);
    int helpers; /* processes, where the descriptors of one are too few */
} pools[] = {
    {"inotify", take_inotify, 1},
    {"timers", take_timer, 1},
    {"queues", take_queue, 1},
    {"ptys", take_pty, 8},
};

static const struct pool *find_pool(char **args)
{
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        if (!strcmp(pools[i].name, need_arg(args, 0)))
            return &pools[i];
    impossible("no such pool: %s", args[0]);
}

static int take_all(const struct pool *pool)
{
    int taken = 0;

    while (taken < 1 << 20 && pool->take(taken))
        taken++;
    return taken;
}

static void take(char **args)
{
    const struct pool *pool = find_pool(args);
    int report[2], all = 0;

    for (int helper = 0; helper < pool->helpers; helper++) {
        int taken = 0;

        if (pipe(report) < 0)
            impossible("pipe: %s", strerror(errno));
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            taken = take_all(pool);
            if (write(report[1], &taken, sizeof taken) != sizeof taken)
                _exit(1);
            for (;;)
                pause();
        }
        if (read(report[0], &taken, sizeof taken) != sizeof taken)
            impossible("a helper said nothing");
        close(report[0]);
        close(report[1]);
        all += taken;
    }
    dprintf(1, "taken %d\n", all);
    sleep((unsigned int)atoi(need_arg(args, 1)));
    held("took %d %s", all, pool->name);
}

static void left(char **args)
{
    const struct pool *pool = find_pool(args);

    for (int i = 0; i < ENOUGH; i++)
        if (!pool->take(i))
            escaped("only %d %s are left: %s", i, pool->name, strerror(errno));
    held("%d %s are still to be had", ENOUGH, pool->name);
}

ATTACK({"take", take}, {"left", left})
