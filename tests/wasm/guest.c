/* What tests have a WebAssembly guest do: guest WORD [ARGUMENT...]. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

static int args(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("[%s]\n", argv[i]);
    return 0;
}

static int env(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (char **e = environ; e != NULL && *e != NULL; e++)
        puts(*e);
    return 0;
}

static int cat(int argc, char **argv)
{
    char buffer[65536];
    ssize_t size;
    int from = argc > 0 ? open(argv[0], O_RDONLY) : 0;

    if (from < 0)
        return fail(argv[0]);
    while ((size = read(from, buffer, sizeof(buffer))) > 0)
        for (ssize_t at = 0, n; at < size; at += n)
            if ((n = write(1, buffer + at, (size_t)(size - at))) < 0)
                return fail("write");
    return size < 0 ? fail("read") : 0;
}

static int put(int argc, char **argv)
{
    int to = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (argc < 2 || to < 0)
        return fail(argv[0]);
    return write(to, argv[1], strlen(argv[1])) < 0 || close(to) < 0 ? fail("write") : 0;
}

static int fill(int argc, char **argv)
{
    static char block[65536];
    int to = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);

    (void)argc;
    if (to < 0)
        return fail(argv[0]);
    for (long n = 0;; n++)
        if (write(to, block, sizeof(block)) < 0)
            return fail("write");
}

static int list(int argc, char **argv)
{
    DIR *dir = opendir(argv[0]);
    struct dirent *entry;

    (void)argc;
    if (dir == NULL)
        return fail(argv[0]);
    while ((entry = readdir(dir)) != NULL)
        puts(entry->d_name);
    return closedir(dir) < 0;
}

static int leave(int argc, char **argv)
{
    (void)argc;
    exit(atoi(argv[0]));
}

static int flood(int argc, char **argv)
{
    static char block[65536];

    (void)argc, (void)argv;
    memset(block, 'x', sizeof(block));
    for (;;)
        if (write(1, block, sizeof(block)) < 0)
            return fail("write");
}

static int spin(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (volatile unsigned long n = 0;; n++)
        ;
}

static int rest(int argc, char **argv)
{
    (void)argc;
    puts("resting");
    fflush(stdout);
    usleep((unsigned int)atoi(argv[0]) * 1000u);
    puts("rested");
    return 0;
}

/* As much memory as there is, in MiB; all of it is written. */
static int grow(int argc, char **argv)
{
    int megabytes = 0;

    (void)argc, (void)argv;
    while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) {
        memset((char *)((__builtin_wasm_memory_size(0) - 16) << 16), 1, 16 << 16);
        megabytes++;
    }
    printf("%d\n", megabytes);
    return 0;
}

/* On the engine's stack alone: what has an address would be on the other, which ends sooner. */
static int deeper(int n);
static int (*volatile again)(int) = deeper;

static int deeper(int n)
{
    return n < 0 ? 0 : again(n + 1) + n;
}

static __attribute__((noinline)) int divide(volatile int *a, volatile int *b)
{
    return *a / *b;
}

static int trap(int argc, char **argv)
{
    volatile int one = 1, zero = 0;

    (void)argc;
    switch (argv[0][0]) {
    case 'u':
        __builtin_trap();
    case 'd':
        return divide(&one, &zero);
    case 'm':
        return *(volatile int *)0x7ffffff0;
    case 's':
        return deeper(0);
    case 'c':
        return ((int (*)(int))(uintptr_t)(unsigned int)atoi("7654321"))(1);
    case 'a':
        abort();
    default:
        return 2;
    }
}

static int clocks(int argc, char **argv)
{
    struct timespec real, mono;

    (void)argc, (void)argv;
    if (clock_gettime(CLOCK_REALTIME, &real) < 0 || clock_gettime(CLOCK_MONOTONIC, &mono) < 0)
        return fail("clock");
    printf("%lld %lld\n", (long long)real.tv_sec, (long long)mono.tv_sec);
    return 0;
}

static int chance(int argc, char **argv)
{
    unsigned char bytes[16];

    (void)argc, (void)argv;
    if (getentropy(bytes, sizeof(bytes)) < 0)
        return fail("getentropy");
    for (size_t i = 0; i < sizeof(bytes); i++)
        printf("%02x", bytes[i]);
    puts("");
    return 0;
}

static int link_to(int argc, char **argv)
{
    (void)argc;
    return symlink(argv[0], argv[1]) < 0 ? fail(argv[1]) : 0;
}

static const struct {
    const char *word;
    int (*run)(int argc, char **argv);
    int least;
} words[] = {
    {"args", args, 0},     {"env", env, 0},       {"cat", cat, 0},      {"put", put, 2},
    {"fill", fill, 1},     {"list", list, 1},     {"exit", leave, 1},   {"flood", flood, 0},
    {"spin", spin, 0},     {"rest", rest, 1},     {"grow", grow, 0},    {"trap", trap, 1},
    {"clocks", clocks, 0}, {"chance", chance, 0}, {"link", link_to, 2},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].word, argv[1]) == 0 && argc - 2 >= words[i].least)
            return words[i].run(argc - 2, argv + 2);
    puts("hello");
    return 0;
}
