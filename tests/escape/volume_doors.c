/*
 * Attack: use what lies in a directory that may only be read: talk to a service of the host through
 *   its socket or its FIFO, lock a file against the host's programs, learn by watching which files
 *   others open. And what may be written: let the host's programs wait for a lease on a file.
 *   connect PATH; fifo PATH; lock PATH; watch DIRECTORY (says "watching", then waits for a name);
 *   lease PATH, lease_high_bits PATH (both say "leased" and hold it); notify DIRECTORY
 * Layer: landlock (FIFOs), the id map of a volume (no one inside is host root), overlay (an inode
 * of the sandbox's own) where the volume is a copy, seccomp (leases). Source: unix(7): a read-only
 * mount does not stop connect(2); flock(2): LOCK_EX on a file that is open for reading; inotify(7):
 * events of everybody; fcntl(2): opening a file waits for whoever has a lease on it, up to
 * /proc/sys/fs/lease-break-time (45 s).
 */
#include "attack.h"
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>

static void through_socket(char **args)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(address.sun_path, need_arg(args, 0), sizeof address.sun_path - 1);
    if (fd < 0)
        impossible("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        escaped("connected to %s", args[0]);
    if (is_refusal(errno) || errno == ECONNREFUSED || errno == EROFS)
        held("connect %s: %s", args[0], strerror(errno));
    impossible("connect %s: %s", args[0], strerror(errno));
}

static void through_fifo(char **args)
{
    int fd = open(need_arg(args, 0), O_RDWR | O_NONBLOCK);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)))
        impossible("%s is no FIFO", args[0]);
    if (fd >= 0 && write(fd, "x", 1) != 1)
        impossible("write %s: %s", args[0], strerror(errno));
    judge_open(args[0], fd); /* the test looks whether the byte came out on the host */
}

static void lock(char **args)
{
    int fd = open(need_arg(args, 0), O_RDONLY);

    if (fd < 0)
        impossible("open %s: %s", args[0], strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        impossible("flock %s: %s", args[0], strerror(errno));
    dprintf(1, "locked\n");
    sleep(30); /* the test looks from the host, and ends us */
    held("locked what is ours");
}

static void watch(char **args)
{
    char events[4096];
    int fd = inotify_init();
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    if (fd < 0 || inotify_add_watch(fd, need_arg(args, 0), IN_OPEN | IN_ACCESS) < 0)
        held("watch %s: %s", args[0], strerror(errno));
    dprintf(1, "watching\n");
    while (poll(&polled, 1, 4000) == 1) {
        ssize_t n = read(fd, events, sizeof events);

        for (char *at = events; at < events + n;) {
            struct inotify_event *event = (void *)at;

            if (event->len)
                escaped("somebody opened %s", event->name);
            at += sizeof *event + event->len;
        }
    }
    held("nothing was seen in %s", args[0]);
}

/* The host's open must wait now, and fail at once with O_NONBLOCK: the test tries. */
static void hold_lease(const char *path, unsigned long command)
{
    int fd = open(path, O_RDONLY);

    if (fd < 0)
        impossible("open %s: %s", path, strerror(errno));
    signal(SIGIO, SIG_IGN); /* asked to give the lease back, we don't */
    if (syscall(SYS_fcntl, (long)fd, command, (long)F_RDLCK) < 0)
        held("lease on %s: %s", path, strerror(errno));
    dprintf(1, "leased\n");
    sleep(30); /* the test ends us */
    escaped("held a lease on %s", path);
}

static void lease(char **args)
{
    hold_lease(need_arg(args, 0), F_SETLEASE);
}

static void lease_high_bits(char **args)
{
    hold_lease(need_arg(args, 0), 1UL << 32 | F_SETLEASE);
}

static void notify(char **args)
{
    int fd = open(need_arg(args, 0), O_RDONLY | O_DIRECTORY);

    if (fd < 0)
        impossible("open %s: %s", args[0], strerror(errno));
    if (fcntl(fd, F_NOTIFY, DN_CREATE) == 0)
        escaped("changes in %s come as signals", args[0]);
    held("F_NOTIFY on %s: %s", args[0], strerror(errno));
}

ATTACK({"connect", through_socket}, {"fifo", through_fifo}, {"lock", lock}, {"watch", watch},
       {"lease", lease}, {"lease_high_bits", lease_high_bits}, {"notify", notify})
