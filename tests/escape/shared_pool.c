/*
 * Attack: take all of what the kernel counts for a user or for the whole machine, so that neither
 * the host nor another sandbox gets any: instances and watches of inotify, queued signals (every
 * timer holds one), bytes of message queues, pseudo-terminals, descriptors on their way through
 * sockets, pages of pipes, locked memory.
 * take POOL SECONDS   takes all, says so in one line on standard output, and holds it
 * left POOL           is there anything left for others?
 * Layer: userns (whose user the namespace's ids are counted for), rlimits, devices (devpts max=).
 * Source: namespaces(7) "ucounts", getrlimit(2) RLIMIT_SIGPENDING, pty(7), inotify(7), unix(7)
 * ETOOMANYREFS, pipe(7) "/proc files", shmctl(2) SHM_LOCK.
 */
#include "attack.h"
#include <mqueue.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
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

static void limit_to(int resource, rlim_t most)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur > most) {
        limit.rlim_cur = most;
        setrlimit(resource, &limit);
    }
}

/* The usual limits: what is in the pool is compared with those of who asks. */
static void take_usual_limits(void)
{
    limit_to(RLIMIT_NOFILE, 1024);
    limit_to(RLIMIT_MEMLOCK, 8 << 20);
}

/* In messages that nobody receives. */
static bool take_flight(int number)
{
    static int ends[2], files[64];
    char byte = 'x', room[CMSG_SPACE(sizeof files)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room};
    struct cmsghdr *rights;

    if (number == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0)
        impossible("socketpair: %s", strerror(errno));
    message.msg_controllen = sizeof room;
    rights = CMSG_FIRSTHDR(&message);
    *rights = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof files), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(rights), files, sizeof files); /* standard input, 64 times */
    if (sendmsg(ends[0], &message, MSG_DONTWAIT) == 1)
        return true;
    if (errno == EAGAIN) /* the queue is full, not the pool: the next pair */
        return socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0;
    return false;
}

/* Of the usual size at the least; then as large as anybody may have it. */
static bool take_pipe(int number)
{
    int ends[2];

    (void)number;
    if (pipe(ends) < 0)
        return false;
    errno = EPERM;
    if (fcntl(ends[0], F_GETPIPE_SZ) < 65536)
        return false;
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    return true;
}

/* Counted for who locks it as long as it lasts, which is as long as it is attached. */
static bool take_locked(int number)
{
    int segment = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600), error;
    bool locked;

    (void)number;
    if (segment < 0)
        impossible("shmget: %s", strerror(errno));
    locked = shmat(segment, NULL, 0) != (void *)-1 && shmctl(segment, SHM_LOCK, NULL) == 0;
    error = errno;
    shmctl(segment, IPC_RMID, NULL);
    errno = error;
    return locked;
}

static const struct pool {
    const char *name;
    bool (*take)(int number);
    int helpers; /* processes, where the descriptors of one are too few */
    void (*prepare)(void);
} pools[] = {
    {"inotify", take_inotify, 1, NULL}, {"watches", take_watch, 16, make_instances},
    {"timers", take_timer, 1, NULL},    {"queues", take_queue, 1, NULL},
    {"ptys", take_pty, 8, NULL},        {"flight", take_flight, 1, take_usual_limits},
    {"pipes", take_pipe, 1, NULL},      {"locked", take_locked, 1, take_usual_limits},
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
