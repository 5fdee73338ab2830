/*
 * floor_inflate: the least that a layer of gzip costs: what inflate and SHA-256 take on one core.
 *
 *   floor_inflate CPU FILE
 *
 * Reads FILE, pins itself to CPU, and then, within the clock: SHA-256 of the compressed bytes,
 * inflation with ISA-L (which checks the CRC), SHA-256 of the plain bytes, in blocks that stay
 * in the processor's caches. No system call, no copy, no pipe.
 *
 * Output, one line, fields parted by tabs:
 *   COMPRESSED_BYTES PLAIN_BYTES WALL_NS CPU_NS BLOB_HASH_NS INFLATE_NS PLAIN_HASH_NS BLOB PLAIN
 * BLOB and PLAIN are the digests, by which the bench sees that the work was done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 128 << 10, OUT_SIZE = 256 << 10, DIGEST_SIZE = 32 };

/* A file in memory. */
struct file {
    unsigned char *data;
    size_t size;
};

/* What has been done so far. */
struct work {
    EVP_MD_CTX *blob;
    EVP_MD_CTX *plain;
    uint64_t plain_bytes;
    uint64_t blob_hash_ns;
    uint64_t inflate_ns;
    uint64_t plain_hash_ns;
    struct inflate_state inflate;
    unsigned char out[OUT_SIZE];
};

static struct work work;

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "floor_inflate: %s: %s\n", what, why);
    exit(125);
}

static uint64_t now_ns(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts); /* cannot fail for these clocks */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct file read_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        die(path, strerror(errno));
    }
    struct file file = {.data = malloc((size_t)st.st_size + 1), .size = (size_t)st.st_size};
    if (file.data == NULL) {
        die(path, "no memory");
    }
    for (size_t have = 0; have < file.size;) {
        ssize_t got = read(fd, file.data + have, file.size - have);
        if (got <= 0) {
            die(path, got < 0 ? strerror(errno) : "it has become shorter");
        }
        have += (size_t)got;
    }
    (void)close(fd);
    return file;
}

static void pin(const char *text)
{
    char *end = NULL;
    unsigned long cpu = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || cpu >= CPU_SETSIZE) {
        die(text, "expected the number of a processor");
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) {
        die("pin to a processor", strerror(errno));
    }
}

static EVP_MD_CTX *new_hash(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        die("SHA-256", "the library has none");
    }
    return hash;
}

/* Adds to *NS what it took. */
static void hash_part(EVP_MD_CTX *hash, const unsigned char *data, size_t size, uint64_t *ns)
{
    uint64_t before = now_ns(CLOCK_MONOTONIC);
    if (EVP_DigestUpdate(hash, data, size) != 1) {
        die("SHA-256", "it failed");
    }
    *ns += now_ns(CLOCK_MONOTONIC) - before;
}

/* Inflates what is in the state's input. */
static void inflate_part(void)
{
    struct inflate_state *state = &work.inflate;
    do {
        state->next_out = work.out;
        state->avail_out = OUT_SIZE;
        uint64_t before = now_ns(CLOCK_MONOTONIC);
        int status = isal_inflate(state);
        work.inflate_ns += now_ns(CLOCK_MONOTONIC) - before;
        if (status < 0 || status > ISAL_END_INPUT) {
            die("inflate", "not a gzip stream");
        }
        size_t size = OUT_SIZE - state->avail_out;
        work.plain_bytes += size;
        hash_part(work.plain, work.out, size, &work.plain_hash_ns);
    } while (state->block_state != ISAL_BLOCK_FINISH &&
             (state->avail_in > 0 || state->avail_out == 0));
}

static void run(const struct file *file)
{
    struct inflate_state *state = &work.inflate;
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    for (size_t at = 0; at < file->size;) {
        size_t size = file->size - at < IN_SIZE ? file->size - at : IN_SIZE;
        hash_part(work.blob, file->data + at, size, &work.blob_hash_ns);
        state->next_in = file->data + at;
        state->avail_in = (uint32_t)size;
        inflate_part();
        if (state->avail_in > 0) {
            die("inflate", "a second member, which this program doesn't read");
        }
        at += size;
    }
    if (state->block_state != ISAL_BLOCK_FINISH) {
        die("inflate", "the stream ends in its middle");
    }
}

static void print_digest(EVP_MD_CTX *hash)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(hash, digest, NULL) != 1) {
        die("SHA-256", "it failed");
    }
    (void)printf("\tsha256:");
    for (int i = 0; i < DIGEST_SIZE; i++) {
        (void)printf("%02x", digest[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        die("usage", "floor_inflate CPU FILE");
    }
    struct file file = read_file(argv[2]);
    pin(argv[1]);
    work.blob = new_hash();
    work.plain = new_hash();
    uint64_t wall = now_ns(CLOCK_MONOTONIC);
    uint64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    run(&file);
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = now_ns(CLOCK_MONOTONIC) - wall;
    (void)printf("%zu\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, file.size, work.plain_bytes, wall, cpu);
    (void)printf("\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, work.blob_hash_ns, work.inflate_ns,
                 work.plain_hash_ns);
    print_digest(work.blob);
    print_digest(work.plain);
    (void)printf("\n");
    return fflush(stdout) == 0 ? 0 : 125;
}
