/*
 * Attack: take all of what the kernel counts for a user or for the whole machine, so that neither
 * the host nor another sandbox gets any: instances and watches of inotify, queued signals (every
 * timer holds one), bytes of message queues, pseudo-terminals. take POOL SECONDS   takes all, says
 * so in one line on standard output, and holds it left POOL           is there anything left for
 * others? Layer: userns (whose user the namespace's ids are counted for), rlimits, devices (devpts
 * max=). Source: namespaces(7) "ucounts", getrlimit(2) RLIMIT_SIGPENDING, pty(7), inotify(7).
 */
#include "attack.h"
#include <mqueue.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define ENOUGH 4

static bool take_inotify(int number)
{
    (void)number;
    return inotify_init() >= 0;
}

#define INSTANCES 15
static int instances[INSTANCES]; /* which all helpers share */

static void make_instances(void)
{
    struct rlimit limit;

    for (int i = 0; i < INSTANCES; i++)
        if ((instances[i] = inotify_init()) < 0)
            impossible("inotify_init: %s", strerror(errno));
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Each file once for each instance: files of memory, of which there can be many. */
static bool take_watch(int number)
{
    static int file = -1;
    char name[32];

    if (number % INSTANCES == 0 && (file = memfd_create("watched", 0)) < 0)
        return false;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    return inotify_add_watch(instances[number % INSTANCES], name, IN_CLOSE) >= 0;
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
    void (*prepare)(void);
} pools[] = {
    {"inotify", take_inotify, 1, NULL}, {"watches", take_watch, 16, make_instances},
    {"timers", take_timer, 1, NULL},    {"queues", take_queue, 1, NULL},
    {"ptys", take_pty, 8, NULL},
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

    if (pool->prepare)
        pool->prepare();
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

    if (pool->prepare)
        pool->prepare();
    for (int i = 0; i < ENOUGH; i++)
        if (!pool->take(i))
            escaped("only %d %s are left: %s", i, pool->name, strerror(errno));
    held("%d %s are still to be had", ENOUGH, pool->name);
}

ATTACK({"take", take}, {"left", left})
