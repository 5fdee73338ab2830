/* What a C program does with files, in the directory it is told; ends at the first thing that is
 * not so.
 *
 *   files all|read|refused DIRECTORY
 *
 * all: everything that can be done where everything may be. read: of what the test has put there.
 * refused: the same places are read-only. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int checks;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #condition, strerror(errno));  \
            exit(1);                                                                               \
        }                                                                                          \
        checks++;                                                                                  \
    } while (0)
#define FAILS(call, why)                                                                           \
    do {                                                                                           \
        errno = 0;                                                                                 \
        CHECK((call) < 0 && errno == (why));                                                       \
    } while (0)

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(close(fd) == 0);
}

static void expect_file(const char *path, const char *text)
{
    char buffer[256] = {0};
    int fd = open(path, O_RDONLY);

    CHECK(fd >= 0);
    CHECK(read(fd, buffer, sizeof(buffer) - 1) == (ssize_t)strlen(text));
    CHECK(strcmp(buffer, text) == 0);
    CHECK(close(fd) == 0);
}

static void places(void)
{
    char buffer[32] = {0};
    int fd = open("places", O_RDWR | O_CREAT | O_EXCL, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, "0123456789", 10) == 10);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10 && lseek(fd, -3, SEEK_END) == 7 &&
          lseek(fd, 2, SEEK_SET) == 2);
    CHECK(read(fd, buffer, 3) == 3 && memcmp(buffer, "234", 3) == 0);
    CHECK(pread(fd, buffer, 2, 8) == 2 && memcmp(buffer, "89", 2) == 0);
    CHECK(pwrite(fd, "AB", 2, 4) == 2 && lseek(fd, 0, SEEK_CUR) == 5);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    const struct iovec parts[3] = {{"xy", 2}, {NULL, 0}, {"z", 1}};
    CHECK(writev(fd, parts, 3) == 3);
    CHECK(ftruncate(fd, 20) == 0 && lseek(fd, 0, SEEK_END) == 20);
    CHECK(ftruncate(fd, 10) == 0 && posix_fallocate(fd, 0, 64) == 0);
    CHECK(lseek(fd, 0, SEEK_END) == 64);
    CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
    CHECK(pread(fd, buffer, 11, 0) == 11 && memcmp(buffer, "0123Axyz89", 11) == 0);
    CHECK(pread(fd, buffer, 1, 1000) == 0);
    CHECK(close(fd) == 0);
    FAILS(close(fd), EBADF);
    FAILS(open("places", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    fd = open("places", O_WRONLY | O_APPEND);
    CHECK(fd >= 0 && write(fd, "end", 3) == 3 && lseek(fd, 0, SEEK_CUR) == 67);
    FAILS(read(fd, buffer, 1), EBADF);
    CHECK(close(fd) == 0);
}

static void names(void)
{
    struct stat st, other;
    char target[32] = {0};

    write_file("one", "1");
    CHECK(stat("one", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 1 && st.st_nlink == 1);
    CHECK(link("one", "two") == 0);
    CHECK(stat("two", &other) == 0 && other.st_ino == st.st_ino && other.st_nlink == 2);
    CHECK(rename("two", "three") == 0);
    FAILS(stat("two", &other), ENOENT);
    write_file("over", "o");
    CHECK(rename("three", "over") == 0);
    expect_file("over", "1");
    CHECK(symlink("one", "soft") == 0);
    CHECK(readlink("soft", target, sizeof(target)) == 3 && strcmp(target, "one") == 0);
    CHECK(lstat("soft", &other) == 0 && S_ISLNK(other.st_mode));
    CHECK(stat("soft", &other) == 0 && other.st_ino == st.st_ino);
    expect_file("soft", "1");
    FAILS(open("soft", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(symlink("round", "round") == 0);
    FAILS(open("round", O_RDONLY), ELOOP);
    CHECK(symlink("nothing", "dangling") == 0);
    FAILS(open("dangling", O_RDONLY), ENOENT);
    CHECK(unlink("soft") == 0 && unlink("round") == 0 && unlink("dangling") == 0 &&
          unlink("over") == 0);
    CHECK(access("one", R_OK | W_OK) == 0);
    FAILS(access("none", F_OK), ENOENT);
    FAILS(unlink("none"), ENOENT);
    FAILS(open("one/below", O_RDONLY), ENOTDIR);
    const struct timespec times[2] = {{1000000000, 5}, {1234567890, 123456789}};
    CHECK(utimensat(AT_FDCWD, "one", times, 0) == 0);
    CHECK(stat("one", &st) == 0 && st.st_mtim.tv_sec == 1234567890 &&
          st.st_mtim.tv_nsec == 123456789);
    CHECK(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 5);
}

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;

    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.' && entry->d_type == DT_REG;
    CHECK(closedir(dir) == 0);
    return count;
}

enum { MANY = 2000 };

static void directories(void)
{
    char name[64];
    struct stat st;

    CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0 && mkdir("d/e/f", 0755) == 0);
    FAILS(mkdir("d", 0755), EEXIST);
    FAILS(mkdir("no/way", 0755), ENOENT);
    CHECK(stat("d/e/../e/./f", &st) == 0 && S_ISDIR(st.st_mode));
    FAILS(rmdir("d"), ENOTEMPTY);
    FAILS(unlink("d"), EISDIR);
    FAILS(rmdir("one"), ENOTDIR);
    CHECK(rename("d/e", "moved") == 0 && rmdir("moved/f") == 0 && rmdir("moved") == 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "d/a name of some length, number %d", i);
        write_file(name, "");
    }
    CHECK(count_entries("d") == MANY);
    DIR *dir = opendir("d");
    CHECK(dir != NULL && readdir(dir) != NULL);
    rewinddir(dir); /* not seekdir(): a long here is too short for what ext4 calls a place */
    CHECK(readdir(dir) != NULL);
    int fd = openat(dirfd(dir), "inside", O_WRONLY | O_CREAT, 0644);
    CHECK(fd >= 0 && close(fd) == 0 && unlinkat(dirfd(dir), "inside", 0) == 0);
    CHECK(closedir(dir) == 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "d/a name of some length, number %d", i);
        CHECK(unlink(name) == 0);
    }
    CHECK(rmdir("d") == 0);
}

/* stdio in the ways that make it seek and buffer. */
static void streams(void)
{
    char line[64];
    FILE *file = fopen("stream", "w+");

    CHECK(file != NULL);
    for (int i = 0; i < 10000; i++)
        CHECK(fprintf(file, "line %d\n", i) > 0);
    rewind(file);
    for (int i = 0; i < 10000; i++)
        CHECK(fgets(line, sizeof(line), file) != NULL && atoi(line + 5) == i);
    CHECK(fgets(line, sizeof(line), file) == NULL && feof(file));
    CHECK(fseek(file, 5, SEEK_SET) == 0 && fgetc(file) == '0' && ungetc('x', file) == 'x' &&
          fgetc(file) == 'x');
    CHECK(fclose(file) == 0);
    file = fopen("stream", "a");
    CHECK(file != NULL && fputs("more", file) >= 0 && fclose(file) == 0);
    CHECK(fopen("stream", "wx") == NULL && errno == EEXIST);
    CHECK(remove("stream") == 0);
}

/* One more than there are is an error, and nothing breaks. */
static void descriptors(void)
{
    static int open_ones[100000];
    int count = 0;

    while (count < 100000 && (open_ones[count] = open("one", O_RDONLY)) >= 0)
        count++;
    CHECK(count >= 250 && count < 100000 && (errno == ENFILE || errno == EMFILE));
    while (count > 0)
        CHECK(close(open_ones[--count]) == 0);
    CHECK((open_ones[0] = open("one", O_RDONLY)) >= 0 && close(open_ones[0]) == 0);
}

static void all(void)
{
    places();
    names();
    directories();
    streams();
    descriptors();
    CHECK(unlink("one") == 0 && unlink("places") == 0);
    CHECK(count_entries(".") == 0);
    write_file("left", "behind\n");
}

static void only_read(void)
{
    struct stat st;

    expect_file("in", "from outside\n");
    expect_file("below/in", "deeper\n");
    CHECK(stat("in", &st) == 0 && st.st_size == 13);
    CHECK(count_entries(".") == 1);
    FAILS(open("link", O_RDONLY), ENOTCAPABLE); /* it leads out */
}

static void refused(void)
{
    FAILS(open("in", O_WRONLY), EROFS);
    FAILS(open("new", O_WRONLY | O_CREAT, 0644), EROFS);
    FAILS(open("in", O_RDONLY | O_TRUNC), EROFS);
    FAILS(mkdir("new", 0755), EROFS);
    FAILS(unlink("in"), EROFS);
    FAILS(rename("in", "out"), EROFS);
    FAILS(link("in", "out"), EROFS);
    FAILS(symlink("in", "out"), EROFS);
    FAILS(rmdir("below"), EROFS);
    FAILS(utimensat(AT_FDCWD, "in", NULL, 0), EROFS);
    FAILS(truncate("in", 0), EROFS);
    expect_file("in", "from outside\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *word;
        void (*run)(void);
    } words[] = {{"all", all}, {"read", only_read}, {"refused", refused}};

    CHECK(argc == 3 && chdir(argv[2]) == 0);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(argv[1], words[i].word) != 0)
            continue;
        words[i].run();
        printf("%d checks\n", checks);
        return 0;
    }
    return 2;
}
