/* fuzz_wasi.c - a guest that calls what it likes: bytes drive a sequence of calls of WASI's
 * functions on a small memory, in a directory that has links out of it. Whatever they are, every
 * call has an answer that its row of the table allows, nothing outside of the directory changes,
 * and no descriptor stays open. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "wasi/abi.h"
#include "wasi/memory.h"
#include "wasi/wasi.h"
#include "empty_dir.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MAX_INPUT = 4096,
    MAX_FILE = 4 << 20, /* bytes; or sparse files could become full ones */
    MEMORY = 1 << 14,
    MOST = 16,
    /* the first byte of a step: a function, or one of these */
    STEP_STORE = 0xf0, /* where, how many, bytes */
    STEP_FEED = 0xf1,  /* how many: the host writes to the guest's standard input */
    STEP_DRAIN = 0xf2, /* and reads what it has written */
    STEP_HANG_UP = 0xf3,
};

/* What is beside the guest's directory: "secret" and nothing more. */
static char outer_path[] = "/dev/shm/cloister-fuzz-wasi-XXXXXX";
static int outer = -1;
static const char secret[] = "outside";

static void remove_outer(void)
{
    (void)unlinkat(outer, "secret", 0);
    (void)rmdir(outer_path); /* not empty after a crash, when it is of use */
}

int LLVMFuzzerInitialize(CL_UNUSED int *argc, CL_UNUSED char ***argv)
{
    const struct rlimit limit = {MAX_FILE, MAX_FILE};

    CL_ASSERT(mkdtemp(outer_path) != NULL && atexit(remove_outer) == 0);
    outer = open(outer_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CL_ASSERT(outer >= 0);
    CL_CLEANUP_FD int fd = openat(outer, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CL_ASSERT(fd >= 0 && cl_write_all(fd, secret, sizeof(secret)) == 0);
    CL_ASSERT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    return 0;
}

/* --- the scene ----------------------------------------------------------------------------- */

struct scene {
    struct cl_wasi *wasi;
    struct cl_wasi_memory memory;
    int in, out, socket; /* the host's ends */
    const uint8_t *data;
    size_t size;
};

static int make_directory(void)
{
    CL_ASSERT(mkdirat(outer, "in", 0755) == 0);
    int root = openat(outer, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CL_ASSERT(root >= 0 && mkdirat(root, "d", 0755) == 0);
    CL_ASSERT(symlinkat("..", root, "up") == 0 && symlinkat("../secret", root, "s") == 0);
    CL_ASSERT(symlinkat(outer_path, root, "absolute") == 0 && symlinkat("d", root, "l") == 0);
    CL_CLEANUP_FD int fd = openat(root, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CL_ASSERT(fd >= 0 && cl_write_all(fd, "data", 4) == 0);
    return root;
}

static void start(struct scene *scene)
{
    static const char *const strings[] = {"one", "two=2", NULL};
    struct cl_error err = {0};
    int in[2];
    int out[2];
    int pair[2];

    /* as the worker does (wasi.h); libFuzzer takes them after its initialization */
    CL_ASSERT(signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CL_ASSERT(pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    CL_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const struct cl_wasi_preopen preopens[2] = {
        {.name = "/", .directory = make_directory()},
        {.name = "/d", .directory = openat(outer, "in/d", O_PATH | O_CLOEXEC), .is_read_only = 1},
    };
    const struct cl_wasi_setup setup = {
        .argv = strings,
        .envp = strings,
        .streams = {in[0], out[1], pair[0]},
        .preopens = preopens,
        .preopen_count = 2,
        .max_descriptors = MOST,
    };
    scene->in = in[1];
    scene->out = out[0];
    scene->socket = pair[1];
    scene->memory = (struct cl_wasi_memory){.base = calloc(1, MEMORY), .size_bytes = MEMORY};
    CL_ASSERT(scene->memory.base != NULL && cl_wasi_new(&setup, &scene->wasi, &err) == 0);
}

static void finish(struct scene *scene)
{
    CL_CLEANUP_FD int root = openat(outer, "in", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    cl_wasi_free(scene->wasi);
    free(scene->memory.base);
    cl_fd_close(&scene->in);
    cl_fd_close(&scene->out);
    cl_fd_close(&scene->socket);
    CL_ASSERT(root >= 0);
    empty_dir(root);
    CL_ASSERT(unlinkat(outer, "in", AT_REMOVEDIR) == 0);
}

static void check_outside(void)
{
    CL_CLEANUP_FD int fd = openat(outer, "secret", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct cl_dir entries;
    char text[sizeof(secret) + 1];
    const char *name;

    CL_ASSERT(fd >= 0 && read(fd, text, sizeof(text)) == sizeof(secret));
    CL_ASSERT(memcmp(text, secret, sizeof(secret)) == 0);
    CL_ASSERT(lseek(outer, 0, SEEK_SET) == 0);
    cl_dir_start(&entries, outer);
    while (cl_dir_next(&entries, &name, NULL) > 0)
        CL_ASSERT(strcmp(name, "secret") == 0);
}

/* --- steps --------------------------------------------------------------------------------- */

static uint64_t take(struct scene *scene, size_t bytes)
{
    uint64_t value = 0;

    for (; bytes > 0 && scene->size > 0; bytes--, scene->size--)
        value = value << 8 | *scene->data++;
    return value;
}

/* A small number, one that is near an end, or any. */
static uint64_t take_value(struct scene *scene)
{
    static const uint64_t ends[] = {
        MEMORY - 8, MEMORY - 1, MEMORY, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX,
    };
    const uint64_t what = take(scene, 1);

    if (what < 0xc0)
        return what;
    if (what < 0xe0)
        return ends[what % CL_ARRAY_SIZE(ends)];
    if (what < 0xf0)
        return take(scene, 2) % MEMORY;
    return take(scene, what < 0xf8 ? 4 : 8);
}

static void store(struct scene *scene)
{
    const uint64_t where = take(scene, 2) % MEMORY;
    const uint64_t count = cl_min_u64(take(scene, 1), MEMORY - where);

    for (uint64_t i = 0; i < count && scene->size > 0; i++)
        scene->memory.base[where + i] = (uint8_t)take(scene, 1);
}

/* That it is full or closed is no matter. */
static void feed(struct scene *scene)
{
    static const char bytes[256];
    const size_t count = take(scene, 1);

    if (scene->in >= 0)
        (void)!write(scene->in, bytes, count);
    if (scene->socket >= 0)
        (void)!write(scene->socket, bytes, count);
}

static void drain(const struct scene *scene)
{
    static char bytes[1 << 16];

    (void)!read(scene->out, bytes, sizeof(bytes));
    if (scene->socket >= 0)
        (void)!read(scene->socket, bytes, sizeof(bytes));
}

static int is_answer(const struct cl_wasi_function *function, uint32_t r)
{
    switch (r) {
    case CL_WASI_WAITS:
        return function->may_wait;
    case CL_WASI_ENDS:
        return strcmp(function->name, "proc_exit") == 0;
    case CL_WASI_TRAPS:
        return strcmp(function->name, "proc_raise") == 0;
    default:
        return r <= CL_WASI_NOTCAPABLE && function->has_result;
    }
}

static void check_wait(const struct cl_wasi *wasi)
{
    const struct cl_wasi_wait *wait = cl_wasi_waits_for(wasi);

    CL_ASSERT(wait->count <= MOST && (wait->count == 0 || wait->fds != NULL));
    CL_ASSERT(poll(wait->fds, wait->count, 0) >= 0);
    for (nfds_t i = 0; i < wait->count; i++)
        CL_ASSERT((wait->fds[i].revents & POLLNVAL) == 0);
}

/* A call that waits is made again once, as if what it waits for had come. */
static void call(struct scene *scene, const struct cl_wasi_function *function)
{
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS] = {0};
    uint32_t r = CL_WASI_WAITS;

    for (size_t i = 0; function->parameters[i] != '\0'; i++) {
        const uint64_t value = take_value(scene);

        arguments[i] = function->parameters[i] == 'i' ? (uint32_t)value : value;
    }
    for (int i = 0; i < 2 && r == CL_WASI_WAITS; i++) {
        r = function->call(scene->wasi, &scene->memory, arguments);
        CL_ASSERT(is_answer(function, r));
        if (r == CL_WASI_WAITS)
            check_wait(scene->wasi);
    }
}

static void step(struct scene *scene)
{
    const uint64_t what = take(scene, 1);

    switch (what) {
    case STEP_STORE:
        store(scene);
        break;
    case STEP_FEED:
        feed(scene);
        break;
    case STEP_DRAIN:
        drain(scene);
        break;
    case STEP_HANG_UP:
        cl_fd_close(&scene->in);
        cl_fd_close(&scene->socket);
        break;
    default:
        call(scene, &cl_wasi_functions[what % CL_WASI_FUNCTION_COUNT]);
    }
}

/* Which descriptor would be the next: the same as before, when none was left open. */
static int next_fd(void)
{
    CL_CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scene scene = {.data = data, .size = size};
    const int next = next_fd();

    if (size > MAX_INPUT)
        return -1;
    start(&scene);
    while (scene.size > 0)
        step(&scene);
    finish(&scene);
    check_outside();
    CL_ASSERT(next_fd() == next);
    return 0;
}
