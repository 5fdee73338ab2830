/*
 * The module whose running is measured: wasm_work WORD NUMBER... does one of the works below and
 * prints what came of it, which has to be the same wherever it runs, and the nanoseconds that it
 * took.
 */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define READ_MAX ((size_t)65536)

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *room(size_t size)
{
    void *made = malloc(size);

    if (made == NULL)
        fail("memory");
    return made;
}

/* The product of two matrices of doubles, SIDE * SIDE, TIMES times; the sum of its elements. */
static uint64_t matrix(char **argv)
{
    const size_t side = (size_t)atoi(argv[0]);
    double *a = room(side * side * sizeof(*a)), *b = room(side * side * sizeof(*b));
    double sum = 0;

    for (size_t i = 0; i < side * side; i++) {
        a[i] = (double)(i % 7);
        b[i] = (double)(i % 11);
    }
    for (int times = atoi(argv[1]); times > 0; times--)
        for (size_t i = 0; i < side; i++)
            for (size_t j = 0; j < side; j++) {
                double cell = 0;

                for (size_t k = 0; k < side; k++)
                    cell += a[i * side + k] * b[k * side + j];
                sum += cell;
            }
    return (uint64_t)sum;
}

/* How many primes are below LIMIT, counted TIMES times by crossing out. */
static uint64_t sieve(char **argv)
{
    const size_t limit = (size_t)atoi(argv[0]);
    unsigned char *crossed = room(limit);
    uint64_t count = 0;

    for (int times = atoi(argv[1]); times > 0; times--) {
        memset(crossed, 0, limit);
        for (size_t n = 2; n < limit; n++) {
            if (crossed[n])
                continue;
            count++;
            for (uint64_t m = (uint64_t)n * n; m < limit; m += n)
                crossed[m] = 1;
        }
    }
    return count;
}

/* ---- SHA-256 (FIPS 180-4) ---- */

struct sha256 {
    uint32_t k[64], h[8];
};

static uint32_t fraction(double x)
{
    return (uint32_t)((x - floor(x)) * 4294967296.0);
}

/* Its constants are the fractions of roots of the first primes (4.2.2, 5.3.3). */
static void sha256_begin(struct sha256 *s)
{
    for (unsigned int n = 2, found = 0; found < 64; n++) {
        unsigned int d = 2;

        while (n % d != 0)
            d++;
        if (d < n)
            continue;
        if (found < 8)
            s->h[found] = fraction(sqrt(n));
        s->k[found++] = fraction(cbrt(n));
    }
}

static uint32_t turn(uint32_t x, int by)
{
    return (x >> by) | (x << (32 - by));
}

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void sha256_block(struct sha256 *s, const unsigned char *block)
{
    uint32_t w[64], v[8];

    for (int t = 0; t < 16; t++)
        w[t] = big_endian(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        const uint32_t low = w[t - 15], high = w[t - 2];

        w[t] = w[t - 16] + (turn(low, 7) ^ turn(low, 18) ^ low >> 3) + w[t - 7] +
               (turn(high, 17) ^ turn(high, 19) ^ high >> 10);
    }
    memcpy(v, s->h, sizeof(v));
    for (int t = 0; t < 64; t++) {
        const uint32_t a = v[0], e = v[4];
        const uint32_t one = v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                             ((e & v[5]) ^ (~e & v[6])) + s->k[t] + w[t];
        const uint32_t two =
            (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

        for (int i = 7; i > 0; i--)
            v[i] = v[i - 1];
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        s->h[i] += v[i];
}

/* Of SIZE MiB of zeroes, as the digest's first half. */
static uint64_t sha256(char **argv)
{
    const size_t size = (size_t)atoi(argv[0]) * MIB;
    unsigned char *data = room(size), last[64] = {0x80};
    struct sha256 s;

    memset(data, 0, size);
    sha256_begin(&s);
    for (size_t at = 0; at < size; at += 64)
        sha256_block(&s, data + at);
    for (int i = 0; i < 8; i++)
        last[63 - i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    sha256_block(&s, last);
    return (uint64_t)s.h[0] << 32 | s.h[1];
}

/* ---- files ---- */

/* A file in pieces of SIZE bytes, TIMES times; the bytes that came. */
static uint64_t read_file(char **argv)
{
    static char buffer[READ_MAX];
    const size_t size = (size_t)atoi(argv[1]);
    uint64_t total = 0;

    if (size > sizeof(buffer))
        fail(argv[1]);
    for (int times = atoi(argv[2]); times > 0; times--) {
        const int file = open(argv[0], O_RDONLY);
        ssize_t got;

        if (file < 0)
            fail(argv[0]);
        while ((got = read(file, buffer, size)) > 0)
            total += (uint64_t)got;
        if (got < 0 || close(file) < 0)
            fail(argv[0]);
    }
    return total;
}

/* The files 0 to COUNT - 1 of a directory, TIMES times: opened, read and closed. */
static uint64_t small_files(char **argv)
{
    static char buffer[READ_MAX];
    uint64_t total = 0;

    for (int times = atoi(argv[2]); times > 0; times--)
        for (int i = 0; i < atoi(argv[1]); i++) {
            char path[256];
            int file;
            ssize_t got;

            snprintf(path, sizeof(path), "%s/%d", argv[0], i);
            file = open(path, O_RDONLY);
            if (file < 0 || (got = read(file, buffer, sizeof(buffer))) < 0 || close(file) < 0)
                fail(path);
            total += (uint64_t)got;
        }
    return total;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        fail("clock");
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const struct {
    const char *word;
    uint64_t (*run)(char **argv);
    int arguments;
} works[] = {
    {"matrix", matrix, 2},  {"sieve", sieve, 2},       {"sha256", sha256, 1},
    {"read", read_file, 3}, {"small", small_files, 3},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(works) / sizeof(works[0]); i++) {
        if (strcmp(works[i].word, argv[1]) != 0 || argc - 2 != works[i].arguments)
            continue;
        const uint64_t began = now_ns();
        const uint64_t result = works[i].run(argv + 2);

        printf("%llu %llu\n", (unsigned long long)result, (unsigned long long)(now_ns() - began));
        return 0;
    }
    fprintf(stderr, "usage: wasm_work WORD ARGUMENT...\n");
    return 2;
}
