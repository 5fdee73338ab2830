/*
 * Attack: use up what the host shares: disk, inodes, tasks, memory in all the shapes that it takes
 *   in the kernel, output, CPU. args: how much to take; reaching it is the escape. The amounts are
 *   small enough to do the host no harm where nothing limits them.
 * Layer: limits, disk-limit, rlimits.
 * Source: cgroups(7), getrlimit(2), pipe(7); CVE-2016-2847 (pipe buffers).
 */
#include "attack.h"
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define MIB (1UL << 20)

static unsigned long amount(char **args, int index)
{
    return strtoul(need_arg(args, index), NULL, 10);
}

/* args: MiB, directory */
static void disk(char **args)
{
    static char block[MIB];
    unsigned long wanted = amount(args, 0) * MIB, done = 0;
    char path[512];
    ssize_t put = 0;
    int fd, error;

    snprintf(path, sizeof path, "%s/fill-%d", need_arg(args, 1), getpid());
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        impossible("%s: %s", path, strerror(errno));
    memset(block, 'x', sizeof block);
    while (done < wanted && (put = write(fd, block, sizeof block)) > 0)
        done += (unsigned long)put; /* the last one may be short */
    error = errno;
    if (done >= wanted) {
        unlink(path);
        escaped("wrote %lu MiB to %s", done / MIB, args[1]);
    }
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        held("%s is full after %lu MiB: %s", args[1], done / MIB, strerror(error));
    impossible("write: %s", strerror(error));
}

/* args: MiB; in many small files, which take more than they hold */
static void small_files(char **args)
{
    unsigned long wanted = amount(args, 0) * 1024 / 4, done = 0;
    static char block[4096] = "x";
    int error = 0;

    if (chdir("/tmp") < 0 || mkdir("fill", 0700) < 0 || chdir("fill") < 0)
        impossible("/tmp/fill: %s", strerror(errno));
    for (; done < wanted && !error; done++) {
        char name[32];
        int fd;

        snprintf(name, sizeof name, "%lu", done);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0 || write(fd, block, sizeof block) != (ssize_t)sizeof block)
            error = errno ? errno : ENOSPC;
        if (fd >= 0)
            close(fd);
    }
    if (!error)
        escaped("made %lu files of 4 KiB", done);
    if (error == ENOSPC || error == EDQUOT)
        held("full after %lu files: %s", done, strerror(error));
    impossible("write: %s", strerror(error));
}

/* args: how many files, directory */
static void inodes(char **args)
{
    unsigned long wanted = amount(args, 0);

    if (chdir(need_arg(args, 1)) < 0 || mkdir("inodes", 0700) < 0 || chdir("inodes") < 0)
        impossible("%s/inodes: %s", args[1], strerror(errno));
    for (unsigned long i = 0; i < wanted; i++) {
        char name[32];
        int fd;

        snprintf(name, sizeof name, "%lu", i);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0 && (errno == ENOSPC || errno == EDQUOT))
            held("no inode after %lu: %s", i, strerror(errno));
        if (fd < 0)
            impossible("create: %s", strerror(errno));
        close(fd);
    }
    escaped("made %lu files", wanted);
}

static int wait_for_stop(void *unused)
{
    for (;;)
        pause();
    return 0;
}

/* A helper dies with the attack, so that one which works on the bare host leaves nothing there. */
static pid_t fork_helper(void)
{
    pid_t pid = fork();

    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

/* args: how many */
static void tasks(char **args)
{
    unsigned long wanted = amount(args, 0), made = 0;
    int error = 0;
    pid_t *pids = calloc(wanted, sizeof *pids);

    if (!pids)
        impossible("calloc: %s", strerror(errno));
    while (made < wanted) {
        pid_t pid = fork_helper();

        if (pid == 0)
            wait_for_stop(NULL);
        if (pid < 0) {
            error = errno;
            break;
        }
        pids[made++] = pid;
    }
    for (unsigned long i = 0; i < made; i++)
        kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    if (!error)
        escaped("%lu processes", made);
    if (error == EAGAIN)
        held("fork fails after %lu: %s", made, strerror(error));
    impossible("fork: %s", strerror(error));
}

/* args: how many; threads count as tasks */
static void threads(char **args)
{
    unsigned long wanted = amount(args, 0);

    for (unsigned long i = 0; i < wanted; i++) {
        char *stack = mmap(NULL, 16384, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        int flags =
            CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

        if (stack == MAP_FAILED)
            impossible("mmap: %s", strerror(errno));
        if (clone(wait_for_stop, stack + 16384, flags, NULL) < 0) {
            if (errno == EAGAIN)
                held("clone fails after %lu: %s", i, strerror(errno));
            impossible("clone: %s", strerror(errno));
        }
    }
    escaped("%lu threads", wanted);
}

/* args: levels; every process makes two more: the classic. Ends by itself after `levels`. */
static void bomb(char **args)
{
    unsigned long levels = amount(args, 0);
    pid_t first = getpid();
    int report[2];
    char byte;
    unsigned long born = 0;

    if (pipe(report) < 0)
        impossible("pipe: %s", strerror(errno));
    for (unsigned long i = 0; i < levels; i++) {
        pid_t pid = fork();

        if (pid == 0 && write(report[1], "b", 1) != 1)
            _exit(1);
        if (pid < 0 && write(report[1], "f", 1) != 1)
            _exit(1);
    }
    if (getpid() != first) {
        sleep(1);
        _exit(0);
    }
    close(report[1]);
    while (read(report[0], &byte, 1) == 1) {
        if (byte == 'f')
            held("fork fails after about %lu", born);
        born++;
    }
    escaped("%lu processes", born);
}

/* args: MiB */
static void anonymous(char **args)
{
    unsigned long wanted = amount(args, 0);

    for (unsigned long i = 0; i < wanted; i++) {
        char *at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
            held("mmap fails after %lu MiB: %s", i, strerror(errno));
        memset(at, 'x', MIB);
    }
    escaped("holds %lu MiB", wanted);
}

/* args: MiB; shared memory is nobody's and outlives the process that made it */
static void shared(char **args)
{
    unsigned long wanted = amount(args, 0);

    for (unsigned long i = 0; i < wanted; i++) {
        char *at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
            held("mmap fails after %lu MiB: %s", i, strerror(errno));
        memset(at, 'x', MIB);
    }
    escaped("holds %lu MiB", wanted);
}

static void memfd(char **args)
{
    static char block[MIB];
    unsigned long wanted = amount(args, 0), done = 0;
    long fd = syscall(SYS_memfd_create, "fill", 0);

    if (fd < 0)
        held("memfd_create: %s", strerror(errno));
    memset(block, 'x', sizeof block);
    while (done < wanted && write((int)fd, block, sizeof block) == (ssize_t)sizeof block)
        done++;
    if (done < wanted)
        held("memfd is full after %lu MiB: %s", done, strerror(errno));
    escaped("holds %lu MiB", wanted);
}

static void sysv_shm(char **args)
{
    unsigned long wanted = amount(args, 0);

    for (unsigned long i = 0; i < wanted; i += 16) {
        int id = shmget(IPC_PRIVATE, 16 * MIB, IPC_CREAT | 0600);
        char *at = id < 0 ? (char *)-1 : shmat(id, NULL, 0);

        if (at == (char *)-1)
            held("shm fails after %lu MiB: %s", i, strerror(errno));
        shmctl(id, IPC_RMID, NULL);
        memset(at, 'x', 16 * MIB);
    }
    escaped("holds %lu MiB", wanted);
}

/* args: MiB; buffers of pipes as large as they can be made, over several processes' descriptors */
static void pipes(char **args)
{
    static char block[MIB];
    unsigned long wanted = amount(args, 0) * MIB, done = 0;

    memset(block, 'x', sizeof block);
    for (int child = 0; child < 64 && done < wanted; child++) {
        int report[2];
        unsigned long got = 0;

        if (pipe(report) < 0)
            held("pipe fails after %lu MiB: %s", done / MIB, strerror(errno));
        pid_t pid = fork_helper();
        if (pid == 0) {
            for (;;) {
                int ends[2];
                ssize_t n;

                if (pipe2(ends, O_NONBLOCK) < 0)
                    break;
                fcntl(ends[1], F_SETPIPE_SZ, MIB);
                while ((n = write(ends[1], block, sizeof block)) > 0)
                    got += (unsigned long)n;
                if (got + done >= wanted)
                    break;
            }
            if (write(report[1], &got, sizeof got) != sizeof got)
                _exit(1);
            wait_for_stop(NULL);
        }
        if (pid < 0 || (close(report[1]), read(report[0], &got, sizeof got) != sizeof got))
            held("a helper was ended after %lu MiB", done / MIB);
        close(report[0]);
        done += got;
    }
    if (done >= wanted)
        escaped("pipes hold %lu MiB", done / MIB);
    held("pipes hold only %lu MiB", done / MIB);
}

/* args: MiB; what is queued in sockets is the kernel's memory */
static void sockets(char **args)
{
    static char block[65536];
    unsigned long wanted = amount(args, 0) * MIB, done = 0;

    while (done < wanted) {
        int ends[2], size = 8 << 20;
        ssize_t n;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
            held("socketpair fails after %lu MiB: %s", done / MIB, strerror(errno));
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        while ((n = write(ends[0], block, sizeof block)) > 0)
            done += (unsigned long)n;
    }
    escaped("sockets hold %lu MiB", done / MIB);
}

/* Asks for the time at which each of N datagrams leaves: the answers wait in the socket. The
 * request is a control message, in memory, where no system call filter sees it. */
static void ask_for_times(int fd, int n)
{
    struct sockaddr_in nobody = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SO_TIMESTAMPING}};
    struct iovec nothing = {.iov_base = "", .iov_len = 0};
    struct msghdr message = {.msg_name = &nobody,
                             .msg_namelen = sizeof nobody,
                             .msg_iov = &nothing,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};

    *(int *)CMSG_DATA(&control.header) = SOF_TIMESTAMPING_TX_SOFTWARE;
    while (n-- > 0)
        (void)sendmsg(fd, &message, 0);
}

static unsigned long count_answers(int fd)
{
    char data[64];
    struct iovec vector = {.iov_base = data, .iov_len = sizeof data};
    unsigned long n = 0;

    for (;; n++) {
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

        if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return n;
    }
}

/* args: MiB; in the error queues of sockets, of which each message takes 512 bytes or more */
static void error_queues(char **args)
{
    enum { SOCKETS = 900, MESSAGE = 512 };
    static int fds[SOCKETS];
    unsigned long wanted = amount(args, 0) * MIB / MESSAGE, done = 0;
    int size = 8 << 20;

    for (int i = 0; i < SOCKETS; i++) {
        fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (fds[i] < 0)
            impossible("socket %d: %s", i, strerror(errno));
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        ask_for_times(fds[i], (int)(wanted / SOCKETS) + 1);
    }
    for (int i = 0; i < SOCKETS; i++)
        done += count_answers(fds[i]);
    if (done >= wanted)
        escaped("error queues hold %lu messages", done);
    held("error queues hold only %lu messages", done);
}

/* One connection whose buffers, as large as they can be made, are filled; the bytes, or -1. */
static long fill_connection(int listener, const struct sockaddr_in *address)
{
    static char block[65536];
    int ends[2], size = 8 << 20;
    long done = 0;
    ssize_t n;

    if (listener < 0) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
            return -1;
    } else {
        ends[0] = socket(AF_INET, SOCK_STREAM, 0);
        if (ends[0] < 0 || connect(ends[0], (const struct sockaddr *)address, sizeof *address) < 0)
            return -1;
        ends[1] = accept(listener, NULL, NULL);
        if (ends[1] < 0)
            return -1;
        setsockopt(ends[1], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while ((n = write(ends[0], block, sizeof block)) > 0)
        done += n;
    return done;
}

static long fill_many(bool tcp, long wanted)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = tcp ? socket(AF_INET, SOCK_STREAM, 0) : -1;
    long done = 0, more = 0;

    if (tcp &&
        (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 512) < 0 ||
         getsockname(listener, (struct sockaddr *)&address, &size) < 0))
        return -1;
    while (done < wanted && (more = fill_connection(listener, &address)) >= 0)
        done += more;
    return done;
}

/* args: MiB; the descriptors of one process don't reach far: many processes' connections */
static void crowd(char **args, bool tcp)
{
    long wanted = (long)(amount(args, 0) * MIB), done = 0;

    for (int helper = 0; helper < 60 && done < wanted; helper++) {
        int report[2];
        long got = 0;

        if (pipe(report) < 0)
            impossible("pipe: %s", strerror(errno));
        pid_t pid = fork_helper();
        if (pid == 0) {
            got = fill_many(tcp, wanted - done);
            if (write(report[1], &got, sizeof got) != sizeof got)
                _exit(1);
            wait_for_stop(NULL);
        }
        close(report[1]);
        if (pid < 0 || read(report[0], &got, sizeof got) != sizeof got || got < 0)
            held("a helper was ended after %ld MiB", done >> 20);
        close(report[0]);
        done += got;
    }
    if (done >= wanted)
        escaped("sockets hold %ld MiB", done >> 20);
    held("sockets hold only %ld MiB", done >> 20);
}

static void unix_crowd(char **args)
{
    crowd(args, false);
}

static void tcp_crowd(char **args)
{
    crowd(args, true);
}

/* args: MiB of standard output */
static void output(char **args)
{
    static char block[65536];
    unsigned long wanted = amount(args, 0) * MIB, done = 0;

    signal(SIGPIPE, SIG_IGN);
    memset(block, 'x', sizeof block);
    while (done < wanted) {
        ssize_t n = write(1, block, sizeof block);

        if (n < 0)
            held("output ends after %lu bytes: %s", done, strerror(errno));
        done += (unsigned long)n;
    }
    escaped("wrote %lu MiB", done / MIB);
}

/* args: seconds of CPU time to burn in each of two processes */
static void cpu(char **args)
{
    unsigned long wanted = amount(args, 0);
    struct rusage usage;

    pid_t helper = fork_helper();

    if (helper < 0)
        impossible("fork: %s", strerror(errno));
    do
        getrusage(RUSAGE_SELF, &usage);
    while ((unsigned long)usage.ru_utime.tv_sec + (unsigned long)usage.ru_stime.tv_sec < wanted);
    if (helper == 0)
        _exit(0);
    escaped("burnt %lu s", wanted);
}

/* args: how many descriptors */
static void descriptors(char **args)
{
    unsigned long wanted = amount(args, 0);

    for (unsigned long i = 0; i < wanted; i++)
        if (open("/dev/null", O_RDONLY) < 0) {
            if (errno == EMFILE)
                held("EMFILE after %lu", i);
            impossible("open: %s", strerror(errno));
        }
    escaped("%lu descriptors", wanted);
}

/* args: seconds; ignores every signal that can be ignored */
static void linger(char **args)
{
    for (int sig = 1; sig < 65; sig++)
        signal(sig, SIG_IGN);
    pid_t helper = fork();

    if (helper == 0)
        setsid();
    for (unsigned long left = amount(args, 0); left; left--)
        sleep(1);
    if (helper == 0)
        _exit(0);
    escaped("outlived the time limit");
}

ATTACK({"disk", disk}, {"small_files", small_files}, {"inodes", inodes}, {"tasks", tasks},
       {"threads", threads}, {"bomb", bomb}, {"anonymous", anonymous}, {"shared", shared},
       {"memfd", memfd}, {"sysv_shm", sysv_shm}, {"pipes", pipes}, {"sockets", sockets},
       {"unix_crowd", unix_crowd}, {"tcp_crowd", tcp_crowd}, {"error_queues", error_queues},
       {"output", output}, {"cpu", cpu}, {"descriptors", descriptors}, {"linger", linger})
