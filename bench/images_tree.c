/*
 * images_tree: walks trees, and says how long it took and what of them the page cache holds.
 *
 *   images_tree stat PATH...     looks at every entry
 *   images_tree read PATH...     reads every file, once however many links it has
 *   images_tree cached PATH...   asks cachestat(2) for the resident bytes of every file, likewise
 *
 * A PATH may be a file or a block device too. Files of an overlay whose layers are several file
 * systems are on several devices, so mounts below a PATH are entered.
 *
 * Output, one line, fields parted by tabs: ENTRIES BYTES WALL_NS; BYTES is 0, what was read, or
 * what is resident. A file of an overlay has no pages of its own: ask for those of its layers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

enum { MAX_OPEN = 64, BLOCK_SIZE = 128 << 10, LINKS_FIRST = 1024 };

/* linux/mman.h, since 6.5 */
struct cache_range {
    uint64_t offset;
    uint64_t size; /* 0: to the end */
};
struct cache_pages {
    uint64_t resident;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

struct link {
    dev_t device;
    ino_t inode; /* 0: a free place */
};

/* Files with several links that were met: an open hash table. */
struct links {
    struct link *places;
    size_t room; /* a power of two */
    size_t count;
};

static enum { DO_STAT, DO_READ, DO_CACHED } todo;
static struct links links;
static uint64_t entries;
static uint64_t bytes;
static char block[BLOCK_SIZE];

static void die(const char *what, int errnum)
{
    (void)fprintf(stderr, "images_tree: %s: %s\n", what, strerror(errnum));
    exit(125);
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The place of LINK, or the free one where it belongs. */
static struct link *find_link(const struct link *link)
{
    uint64_t mixed = (link->inode ^ (uint64_t)link->device << 40) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t at = (size_t)(mixed >> 20);; at++) {
        struct link *place = &links.places[at & (links.room - 1)];
        if (place->inode == 0 || (place->inode == link->inode && place->device == link->device)) {
            return place;
        }
    }
}

static void grow_links(void)
{
    struct links old = links;
    links.room = old.room == 0 ? LINKS_FIRST : old.room * 2;
    links.places = calloc(links.room, sizeof(*links.places));
    if (links.places == NULL) {
        die("links", ENOMEM);
    }
    for (size_t i = 0; i < old.room; i++) {
        if (old.places[i].inode != 0) {
            *find_link(&old.places[i]) = old.places[i];
        }
    }
    free(old.places);
}

/* True the first time. */
static bool is_new_link(const struct stat *st)
{
    const struct link link = {st->st_dev, st->st_ino};
    if (links.count * 2 >= links.room) {
        grow_links();
    }
    struct link *place = find_link(&link);
    if (place->inode != 0) {
        return false;
    }
    *place = link;
    links.count++;
    return true;
}

static uint64_t read_all(int fd, const char *path)
{
    uint64_t size = 0;
    ssize_t got;
    while ((got = read(fd, block, sizeof(block))) > 0) {
        size += (uint64_t)got;
    }
    if (got < 0) {
        die(path, errno);
    }
    return size;
}

static uint64_t resident(int fd, const char *path)
{
    struct cache_range whole = {0, 0};
    struct cache_pages pages = {0};
    if (syscall(SYS_cachestat, fd, &whole, &pages, 0) < 0) {
        die(path, errno);
    }
    return pages.resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int visit(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    entries++;
    if (kind == FTW_NS || kind == FTW_DNR) {
        die(path, errno);
    }
    if (todo == DO_STAT || (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))) {
        return 0;
    }
    if (st->st_nlink > 1 && S_ISREG(st->st_mode) && !is_new_link(st)) {
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        die(path, errno);
    }
    bytes += todo == DO_READ ? read_all(fd, path) : resident(fd, path);
    (void)close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"stat", "read", "cached"};
    size_t i = 0;
    while (argc > 2 && i < 3 && strcmp(argv[1], words[i]) != 0) {
        i++;
    }
    if (argc < 3 || i == 3) {
        die("usage: images_tree stat|read|cached PATH...", EINVAL);
    }
    todo = i == 0 ? DO_STAT : i == 1 ? DO_READ : DO_CACHED;
    uint64_t before = now_ns();
    for (int arg = 2; arg < argc; arg++) {
        if (nftw(argv[arg], visit, MAX_OPEN, FTW_PHYS) != 0) {
            die(argv[arg], errno);
        }
    }
    (void)printf("%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", entries, bytes, now_ns() - before);
    return fflush(stdout) == 0 ? 0 : 125;
}
