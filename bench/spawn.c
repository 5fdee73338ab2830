/*
 * spawn: the bench's stopwatch.
 *
 * Runs commands and reports what each one took, so that no interpreter stands
 * between the clock and the command. Two modes:
 *
 *   spawn rounds N FILE          all commands of FILE once a round, N rounds, in
 *                                another order each round: whatever disturbs the
 *                                machine, and what a neighbour leaves behind (a
 *                                network namespace dies late), falls on all alike.
 *   spawn loops SECONDS P FILE   for each command of FILE in turn: P processes
 *                                start it again and again for SECONDS.
 *
 * A line of FILE is made of fields parted by tabs:
 *   LABEL  EVERY  VIEW  ARGV0  ARG...
 * EVERY k runs the command in every k-th round only (slow competitors); VIEW is
 * `-` or the path of a mount namespace (/proc/PID/ns/mnt) to enter before the
 * clock starts, for competitors that need another view of the cgroup tree.
 *
 * Output, one line a run, fields parted by tabs:
 *   rounds: LABEL ROUND WALL_NS STATUS MAXRSS_KIB USER_US SYSTEM_US
 *   loops:  LABEL STARTS FAILURES WALL_NS
 * STATUS is the exit status, or 128 + the signal.
 *
 * Children get /dev/null three times and an otherwise unchanged environment.
 * posix_spawn is a vfork in musl, so the size of this process costs nothing;
 * the kernel counts its resident set into a child's MAXRSS, which is therefore
 * never below this program's own (about 0.3 MiB).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMANDS = 128, MAX_ARGS = 64, MAX_FILE_BYTES = 256 * 1024, MAX_LOOPS = 64 };

struct command {
    const char *label;
    unsigned every;
    int view_fd; /* -1: the view this process was born with */
    char *argv[MAX_ARGS + 1];
};

struct run {
    uint64_t wall_ns;
    int status;
    struct rusage usage;
};

struct tally {
    uint64_t starts;
    uint64_t failures;
};

extern char **environ;

static char file_text[MAX_FILE_BYTES];
static struct command commands[MAX_COMMANDS];

static void die(const char *what, int errnum)
{
    (void)fprintf(stderr, "spawn: %s: %s\n", what, strerror(errnum));
    exit(125);
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned long parse_number(const char *text, unsigned long max)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value == 0 || value > max) {
        die(text, EINVAL);
    }
    return value;
}

static char *next_field(char **cursor)
{
    char *start = *cursor;
    if (start == NULL) {
        return NULL;
    }
    char *tab = strchr(start, '\t');
    if (tab != NULL) {
        *tab = '\0';
    }
    *cursor = tab != NULL ? tab + 1 : NULL;
    return start;
}

static void parse_command(char *line, struct command *command)
{
    char *cursor = line;
    command->label = next_field(&cursor);
    char *every = next_field(&cursor);
    char *view = next_field(&cursor);
    if (every == NULL || view == NULL || cursor == NULL) {
        die(line, EINVAL);
    }
    command->every = (unsigned)parse_number(every, 1000000);
    command->view_fd = -1;
    if (strcmp(view, "-") != 0) {
        command->view_fd = open(view, O_RDONLY | O_CLOEXEC);
        if (command->view_fd < 0) {
            die(view, errno);
        }
    }
    size_t args = 0;
    while (cursor != NULL) {
        if (args == MAX_ARGS) {
            die(command->label, E2BIG);
        }
        command->argv[args++] = next_field(&cursor);
    }
    command->argv[args] = NULL;
}

static size_t read_commands(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        die(path, errno);
    }
    ssize_t size = read(fd, file_text, sizeof(file_text) - 1);
    if (size < 0 || (size_t)size == sizeof(file_text) - 1) {
        die(path, size < 0 ? errno : EFBIG);
    }
    (void)close(fd);
    file_text[size] = '\0';
    size_t count = 0;
    for (char *line = file_text; *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        if (*line != '\0') {
            if (count == MAX_COMMANDS) {
                die(path, E2BIG);
            }
            parse_command(line, &commands[count++]);
        }
        if (end == NULL) {
            break;
        }
        line = end + 1;
    }
    return count;
}

static void enter_view(const struct command *command, int home_fd)
{
    static int current_fd = -1;
    int wanted_fd = command->view_fd >= 0 ? command->view_fd : home_fd;
    if (current_fd < 0) {
        current_fd = home_fd;
    }
    if (wanted_fd == current_fd) {
        return;
    }
    if (setns(wanted_fd, CLONE_NEWNS) != 0) {
        die("enter the command's mount namespace", errno);
    }
    current_fd = wanted_fd;
}

static void run_once(const struct command *command, const posix_spawn_file_actions_t *actions,
                     struct run *ret_run)
{
    pid_t pid = -1;
    int raw = 0;
    uint64_t start_ns = now_ns();
    int rc = posix_spawn(&pid, command->argv[0], actions, NULL, command->argv, environ);
    if (rc != 0) {
        die(command->argv[0], rc);
    }
    while (wait4(pid, &raw, 0, &ret_run->usage) < 0) {
        if (errno != EINTR) {
            die("wait4", errno);
        }
    }
    ret_run->wall_ns = now_ns() - start_ns;
    ret_run->status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

static int64_t timeval_us(const struct timeval *tv)
{
    return (int64_t)tv->tv_sec * 1000000 + tv->tv_usec;
}

/* Puts ORDER into another order each round, so that nobody always follows the same neighbour. */
static void shuffle(size_t *order, size_t count)
{
    static uint64_t state = 88172645463325252u; /* the same orders in every run of the bench */
    for (size_t i = count; i > 1; i--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        size_t other = (size_t)(state % i);
        size_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

static void run_rounds(size_t count, unsigned long rounds, int home_fd,
                       const posix_spawn_file_actions_t *actions)
{
    size_t order[MAX_COMMANDS];
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (unsigned long round = 0; round < rounds; round++) {
        shuffle(order, count);
        for (size_t i = 0; i < count; i++) {
            const struct command *command = &commands[order[i]];
            struct run run;
            if (round % command->every != 0) {
                continue;
            }
            enter_view(command, home_fd);
            run_once(command, actions, &run);
            (void)printf("%s\t%lu\t%" PRIu64 "\t%d\t%ld\t%" PRId64 "\t%" PRId64 "\n",
                         command->label, round, run.wall_ns, run.status, run.usage.ru_maxrss,
                         timeval_us(&run.usage.ru_utime), timeval_us(&run.usage.ru_stime));
        }
    }
}

static void loop_worker(const struct command *command, uint64_t end_ns,
                        const posix_spawn_file_actions_t *actions, struct tally *ret_tally)
{
    while (now_ns() < end_ns) {
        struct run run;
        run_once(command, actions, &run);
        ret_tally->starts++;
        ret_tally->failures += run.status != 0;
    }
    _exit(0);
}

static void run_loops(const struct command *command, unsigned long seconds, unsigned long loops,
                      const posix_spawn_file_actions_t *actions)
{
    struct tally *tallies = mmap(NULL, sizeof(*tallies) * MAX_LOOPS, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED) {
        die("mmap", errno);
    }
    uint64_t start_ns = now_ns();
    uint64_t end_ns = start_ns + seconds * 1000000000u;
    for (unsigned long i = 0; i < loops; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            die("fork", errno);
        }
        if (pid == 0) {
            loop_worker(command, end_ns, actions, &tallies[i]);
        }
    }
    bool failed = false;
    for (int raw = 0; wait(&raw) > 0 || errno == EINTR;) {
        failed = failed || raw != 0;
    }
    uint64_t wall_ns = now_ns() - start_ns;
    struct tally sum = {0, 0};
    for (unsigned long i = 0; i < loops; i++) {
        sum.starts += tallies[i].starts;
        sum.failures += tallies[i].failures;
    }
    (void)printf("%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", command->label, sum.starts,
                 sum.failures + failed, wall_ns);
    (void)munmap(tallies, sizeof(*tallies) * MAX_LOOPS);
}

int main(int argc, char **argv)
{
    bool rounds = argc == 4 && strcmp(argv[1], "rounds") == 0;
    bool loops = argc == 5 && strcmp(argv[1], "loops") == 0;
    if (!rounds && !loops) {
        (void)fprintf(stderr, "usage: spawn rounds N FILE | spawn loops SECONDS P FILE\n");
        return 125;
    }
    int home_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (home_fd < 0) {
        die("/proc/self/ns/mnt", errno);
    }
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions); /* musl's cannot fail */
    for (int fd = 0; fd < 3; fd++) {
        int rc = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
        if (rc != 0) {
            die("posix_spawn_file_actions_addopen", rc);
        }
    }
    size_t count = read_commands(argv[argc - 1]);
    if (rounds) {
        run_rounds(count, parse_number(argv[2], 1000000), home_fd, &actions);
    }
    for (size_t i = 0; loops && i < count; i++) {
        enter_view(&commands[i], home_fd);
        (void)fflush(stdout);
        run_loops(&commands[i], parse_number(argv[2], 3600), parse_number(argv[3], MAX_LOOPS),
                  &actions);
    }
    return fflush(stdout) == 0 ? 0 : 125;
}
