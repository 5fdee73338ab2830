/* store_scene.h - an image store of the test's own, what is put into it, and who holds its locks.
 */
#ifndef CL_TESTS_UNIT_STORE_SCENE_H
#define CL_TESTS_UNIT_STORE_SCENE_H

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "image/store.h"
#include "check.h"

struct scene {
    char dir[32];
    char root[64]; /* the store: DIR/store */
    struct cl_store store;
    struct cl_arena arena;
    struct cl_error err;
    int before; /* descriptors that were open */
};

enum { SCENE_ARENA_CAP = 16 << 20, SCENE_PATH_SIZE = 512 };

/* A directory without a store in it, where CLOISTER_STORE says that it is. */
static inline void scene_init_bare(struct scene *scene)
{
    *scene = (struct scene){.dir = "/tmp/cl-test-store-XXXXXX",
                            .store = CL_STORE_INIT,
                            .arena = CL_ARENA_INIT(SCENE_ARENA_CAP)};
    scene->before = check_count_fds();
    CHECK(mkdtemp(scene->dir) != NULL);
    (void)snprintf(scene->root, sizeof(scene->root), "%s/store", scene->dir);
    CHECK(setenv("CLOISTER_STORE", scene->root, 1) == 0);
}

static inline void scene_init(struct scene *scene)
{
    scene_init_bare(scene);
    CHECK(cl_store_open(1, &scene->store, &scene->err) == 0);
    CHECK_TEXT(scene->err.msg, "");
}

/* Runs the shell's line; returns its exit status. */
__attribute__((format(printf, 1, 2))) static inline int scene_shell(const char *fmt, ...)
{
    char command[1024];
    va_list args;

    va_start(args, fmt);
    int size = vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    CHECK(size > 0 && (size_t)size < sizeof(command));
    int status = system(command); // NOLINT(cert-env33-c): in a directory of our own
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* No test leaves a descriptor. */
static inline void scene_done(struct scene *scene)
{
    cl_store_done(&scene->store);
    cl_arena_done(&scene->arena);
    CHECK(scene_shell("chmod -R u+rwx %s && rm -rf %s", scene->dir, scene->dir) == 0);
    CHECK(check_count_fds() == scene->before);
}
#define CL_CLEANUP_SCENE CL_CLEANUP(scene_done)

/* "<store>/<path>", in a place of its own each time, of four. */
__attribute__((format(printf, 2, 3))) static inline const char *
scene_path(const struct scene *scene, const char *fmt, ...)
{
    static char paths[4][SCENE_PATH_SIZE];
    static size_t next;
    char *path = paths[next++ % 4];
    va_list args;
    int size = snprintf(path, SCENE_PATH_SIZE, "%s/", scene->root);

    va_start(args, fmt);
    (void)vsnprintf(path + size, SCENE_PATH_SIZE - (size_t)size, fmt, args);
    va_end(args);
    return path;
}

static inline int scene_has(const struct scene *scene, const char *path)
{
    struct stat status;

    return lstat(scene_path(scene, "%s", path), &status) == 0;
}

/* How many files, directories and links lie in the whole store. */
static inline int scene_count(const struct scene *scene, const char *below)
{
    int status = scene_shell("exit $(find %s/%s | wc -l)", scene->root, below);

    CHECK(status > 0 && status < 255);
    return status;
}

/* Puts TEXT into the file PATH of the store. */
static inline void scene_write(const struct scene *scene, const char *path, const void *data,
                               size_t size)
{
    CL_CLEANUP_FD int fd =
        open(scene_path(scene, "%s", path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size); /* no call that a fault counts */
}

/* The text of the file PATH, in the scene's arena. */
static inline const char *scene_read(struct scene *scene, const char *path)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(1 << 20);
    CL_CLEANUP_FD int fd = open(scene_path(scene, "%s", path), O_RDONLY | O_CLOEXEC);
    struct cl_error err = {0};

    CHECK(fd >= 0);
    if (fd < 0 || cl_read_all(fd, path, &buf, &err) < 0)
        return "(unreadable)";
    return cl_arena_strndup(&scene->arena, cl_buf_text(&buf), buf.size);
}

/* A digest of 64 times C, which is a hexadecimal digit. */
static inline struct cl_digest digest_of(char c)
{
    struct cl_digest digest = {{0}};

    memset(digest.hex, c, sizeof(digest.hex) - 1);
    return digest;
}

/* "sha256:cccc...", of one of sixteen places. */
static inline const char *digest_text(char c)
{
    static char texts[16][CL_DIGEST_TEXT_SIZE];
    static size_t next;
    const struct cl_digest digest = digest_of(c);

    return cl_digest_format(&digest, texts[next++ % 16]);
}

/* --- another process --------------------------------------------------------------------- */

struct other {
    pid_t pid;
    int said; /* the end of a pipe, closed by the other's end or word */
};

/* Forks. In the child returns 1; in the parent 0, with the child's pipe in RET. */
static inline int other_start(struct other *ret)
{
    int ends[2];

    (void)fflush(stdout);
    CHECK(cl_sys_pipe2(ends, 0) == 0);
    ret->pid = fork();
    if (ret->pid == 0) {
        check_failures = 0;
        cl_fd_close(&ends[0]);
        ret->said = ends[1];
        (void)alarm(60);
        return 1;
    }
    cl_fd_close(&ends[1]);
    ret->said = ends[0];
    return 0;
}

/* In the child: says that it is there. */
static inline void other_say(const struct other *other, char word)
{
    CHECK(cl_write_all(other->said, &word, 1) == 0);
}

/* In the parent: waits for a word; '\0' when the other ended instead. */
static inline char other_hear(const struct other *other)
{
    char word = '\0';

    (void)cl_sys_read(other->said, &word, 1);
    return word;
}

/* In the child: its end, with what its checks came to. */
CL_NORETURN static inline void other_exit(void)
{
    (void)fflush(stdout);
    _exit(check_failures > 0);
}

/* As `kill -9` does. */
static inline void other_kill(struct other *other)
{
    CHECK(kill(other->pid, SIGKILL) == 0);
    CHECK(waitpid(other->pid, NULL, 0) == other->pid);
    cl_fd_close(&other->said);
}

/* Waits for its end; its checks are ours. */
static inline void other_join(struct other *other)
{
    int status = -1;

    CHECK(waitpid(other->pid, &status, 0) == other->pid && status == 0);
    cl_fd_close(&other->said);
}

static inline void pause_ms(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&time, NULL);
}

/* Whether the process sleeps in the system call NR: it waits. Gives it two seconds. */
static inline int other_waits_in(const struct other *other, long nr)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/syscall", (int)other->pid);
    for (int i = 0; i < 200; i++) {
        char text[32] = "";
        CL_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strtol(text, NULL, 10) == nr &&
            text[0] != 'r')
            return 1;
        pause_ms(10);
    }
    return 0;
}

/* --- faults ------------------------------------------------------------------------------- */

/* For (FAULT_EACH(n)) { fault_begin(n); r = ...; fault_end(&n); }: the Nth system call of the
 * process fails, from the first to the one that isn't made. */
struct faults {
    int nth;
    int struck;
};
#define FAULTS_INIT ((struct faults){1, 1})

static inline void fault_begin(const struct faults *faults)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "self:syscall:%d", faults->nth);
    cl_fault_set(text);
}

static inline void fault_end(struct faults *faults)
{
    faults->struck = cl_fault_struck();
    faults->nth++;
    cl_fault_set(NULL);
}

/* Each call of NR, or its Nth alone, answers ERRNUM from now on. */
static inline void fault_call(long nr, int nth, int errnum)
{
    char text[64];

    if (nth == 0)
        (void)snprintf(text, sizeof(text), "self:lacks:%ld=%d", nr, errnum);
    else
        (void)snprintf(text, sizeof(text), "self:lacks:%ld#%d=%d", nr, nth, errnum);
    cl_fault_set(text);
}

#endif
