/* The program that the tests run inside sandboxes: one small behaviour for
 * each word. Static, so that it runs in a tree with nothing else in it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *arg(char **argv, int n, const char *otherwise)
{
    for (int i = 0; i <= n; i++)
        if (!argv[i])
            return otherwise;
    return argv[n];
}

static long num(char **argv, int n, long otherwise)
{
    const char *s = arg(argv, n, NULL);
    return s ? strtol(s, NULL, 0) : otherwise;
}

static int do_args(char **argv)
{
    for (int i = 1; argv[i]; i++)
        fwrite(argv[i], 1, strlen(argv[i]) + 1, stdout);
    return 0;
}

static int do_env(char **argv)
{
    (void)argv;
    for (char **e = environ; *e; e++)
        fwrite(*e, 1, strlen(*e) + 1, stdout);
    return 0;
}

/* touch N MiB, telling the way */
static int do_hog(char **argv)
{
    long mib = num(argv, 1, 1 << 20);
    for (long i = 0; i < mib; i++) {
        char *p = malloc(1 << 20);
        if (!p) {
            printf("refused at %ld\n", i);
            return 9;
        }
        memset(p, 1, 1 << 20);
        if (i % 8 == 7) {
            printf("touched %ld\n", i + 1);
            fflush(stdout);
        }
    }
    return 0;
}

/* Who tells how its child ended by its own status needs no memory for that: it may not be free yet.
 */
static int do_childhog(char **argv)
{
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        FILE *f = fopen("/proc/self/oom_score_adj", "w");
        if (f) {
            fputs("1000", f);
            fclose(f);
        }
        _exit(do_hog(argv));
    }
    waitpid(pid, &status, 0);
    _exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* spin for SECONDS of wall time in N processes; 0 seconds: for ever */
static int do_spin(char **argv)
{
    double seconds = atof(arg(argv, 1, "0"));
    long n = num(argv, 2, 1);
    double end = now(CLOCK_MONOTONIC) + seconds;
    for (long i = 1; i < n; i++)
        if (fork() == 0)
            break;
    while (seconds <= 0 || now(CLOCK_MONOTONIC) < end)
        for (volatile int i = 0; i < 10000; i++)
            ;
    return 0;
}

/* fork until it fails or N are there, all waiting */
static int do_forks(char **argv)
{
    long want = num(argv, 1, 100), made = 0;
    int error = 0;
    setpgid(0, 0); /* the kill below is for our children alone */
    for (; made < want; made++) {
        pid_t pid = fork();
        if (pid < 0) {
            error = errno;
            break;
        }
        if (pid == 0) {
            pause();
            _exit(0);
        }
    }
    printf("made %ld errno %d\n", made, error);
    fflush(stdout);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    return 0;
}

static int do_bomb(char **argv)
{
    (void)argv;
    for (;;)
        if (fork() < 0)
            usleep(1000);
    return 0;
}

/* write to FILE until BYTES are in it or it fails */
static int do_write(char **argv)
{
    static char block[1 << 16];
    long want = num(argv, 2, 1L << 40), done = 0;
    int fd = open(arg(argv, 1, "x"), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int error = fd < 0 ? errno : 0;
    signal(SIGXFSZ, num(argv, 3, 0) ? SIG_IGN : SIG_DFL);
    while (!error && done < want) {
        ssize_t n = write(fd, block, sizeof(block));
        if (n < 0)
            error = errno;
        else
            done += n;
    }
    printf("wrote %ld errno %d\n", done, error);
    return 0;
}

static int do_inodes(char **argv)
{
    long want = num(argv, 2, 1000), made = 0;
    int error = 0;
    if (chdir(arg(argv, 1, "/tmp")))
        error = errno;
    for (; !error && made < want; made++) {
        char name[32];
        snprintf(name, sizeof(name), "f%ld", made);
        int fd = open(name, O_WRONLY | O_CREAT, 0644);
        if (fd < 0) {
            error = errno;
            break;
        }
        close(fd);
    }
    printf("made %ld errno %d\n", made, error);
    return 0;
}

/* BYTES to descriptor FD; 0 bytes: for ever; the bytes count modulo 251 */
static int do_flood(char **argv)
{
    static unsigned char block[251 * 64];
    long left = num(argv, 1, 0);
    int endless = left == 0, fd = (int)num(argv, 2, 1);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (unsigned char)(i % 251);
    while (endless || left > 0) {
        size_t size = sizeof(block);
        if (!endless && (long)size > left)
            size = (size_t)left;
        size_t done = 0;
        while (done < size) {
            ssize_t n = write(fd, block + done, size - done);
            if (n < 0)
                return errno;
            done += (size_t)n;
        }
        left -= (long)size;
    }
    return 0;
}

static int do_signal(char **argv)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal((int)num(argv, 1, SIGTERM), SIG_DFL);
    raise((int)num(argv, 1, SIGTERM));
    return 77;
}

/* tell each signal that comes; end with CODE at the first of them when CODE >= 0 */
static int do_trap(char **argv)
{
    long code = num(argv, 1, -1);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int got = 0;
        if (sigwait(&all, &got))
            continue;
        printf("got %d\n", got);
        fflush(stdout);
        if (got == SIGWINCH) {
            struct winsize w = {0};
            if (ioctl(0, TIOCGWINSZ, &w) == 0)
                printf("size %d %d\n", w.ws_row, w.ws_col);
            fflush(stdout);
        } else if (code >= 0) {
            return (int)code;
        }
    }
}

/* say ready, then wait until killed */
static int do_wait(char **argv)
{
    puts(arg(argv, 1, "ready"));
    fflush(stdout);
    for (;;)
        pause();
    return 0;
}

/* N processes that continue each other for ever */
static int do_continue(char **argv)
{
    for (long n = num(argv, 1, 1); n > 1 && fork() != 0; n--)
        ;
    puts("ready");
    fflush(stdout);
    for (;;)
        kill(-1, SIGCONT);
    return 0;
}

/* tick for ever; with "job" in a child, whose stops and continuations are told as a shell would */
static int do_tick(char **argv)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    pid_t pid = strcmp(arg(argv, 1, ""), "job") == 0 ? fork() : 0;
    int status;
    if (pid > 0) {
        while (waitpid(pid, &status, WUNTRACED | WCONTINUED) > 0 && !WIFEXITED(status) &&
               !WIFSIGNALED(status))
            ;
        return 9;
    }
    for (;;) {
        puts("tick");
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int do_fds(char **argv)
{
    (void)argv;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return errno;
    for (struct dirent *e; (e = readdir(d));) {
        char target[4096];
        if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d))
            continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = 0;
        printf("%s %s\n", e->d_name, target);
    }
    return 0;
}

static int do_openmany(char **argv)
{
    long opened = 0, want = num(argv, 1, 100000);
    while (opened < want && open("/dev/null", O_RDONLY) >= 0)
        opened++;
    printf("opened %ld errno %d\n", opened, errno);
    return 0;
}

/* leave a process behind in a session of its own that holds the output */
static int do_leave(char **argv)
{
    (void)argv;
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            for (;;)
                pause();
        _exit(0);
    }
    wait(NULL);
    puts("left");
    return 0;
}

static int do_tty(char **argv)
{
    (void)argv;
    int fd = open("/dev/tty", O_RDWR);
    printf("%d %d %d tty %d\n", isatty(0), isatty(1), isatty(2), fd < 0 ? errno : 0);
    return 0;
}

static int do_net(char **argv)
{
    struct ifreq r = {.ifr_name = "lo"};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(80)};
    socklen_t len = sizeof(a);
    (void)argv;
    int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0),
        o = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || ioctl(s, SIOCGIFFLAGS, &r))
        return errno;
    printf("lo %s\n", r.ifr_flags & IFF_UP ? "up" : "down");
    if (bind(s, (struct sockaddr *)&a, len) || listen(s, 1) ||
        getsockname(s, (struct sockaddr *)&a, &len))
        return errno;
    printf("connect %d\n", connect(c, (struct sockaddr *)&a, len) ? errno : 0);
    inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);
    printf("far %d\n", connect(o, (struct sockaddr *)&far, sizeof(far)) ? errno : 0);
    return 0;
}

/* make DIR and tell how it went */
static int do_mkdir(char **argv)
{
    printf("errno %d\n", mkdir(arg(argv, 1, "/tmp/d"), 0755) ? errno : 0);
    return 0;
}

static int do_create(char **argv)
{
    int fd = open(arg(argv, 1, "/tmp/f"), O_WRONLY | O_CREAT, (mode_t)num(argv, 2, 0644));
    printf("errno %d\n", fd < 0 ? errno : 0);
    return 0;
}

static int do_nothing(char **argv)
{
    (void)argv;
    return 0;
}

static const struct {
    const char *word;
    int (*run)(char **);
} table[] = {
    {"args", do_args},         {"env", do_env},           {"hog", do_hog},
    {"childhog", do_childhog}, {"spin", do_spin},         {"forks", do_forks},
    {"bomb", do_bomb},         {"write", do_write},       {"inodes", do_inodes},
    {"flood", do_flood},       {"signal", do_signal},     {"trap", do_trap},
    {"wait", do_wait},         {"fds", do_fds},           {"openmany", do_openmany},
    {"tick", do_tick},         {"continue", do_continue}, {"leave", do_leave},
    {"tty", do_tty},           {"net", do_net},           {"mkdir", do_mkdir},
    {"create", do_create},     {"nothing", do_nothing},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(table) / sizeof(table[0]); i++)
        if (!strcmp(argv[1], table[i].word))
            return table[i].run(argv + 1);
    fprintf(stderr, "probe: no such word\n");
    return 99;
}
