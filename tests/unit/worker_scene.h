/* worker_scene.h - a worker for many guests in a process of its own, with an engine of the test's:
 * a guest does what its first argument says. The test is the supervisor, and the clients. */
#ifndef CL_TESTS_UNIT_WORKER_SCENE_H
#define CL_TESTS_UNIT_WORKER_SCENE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/queue.h> /* glibc's: worker.h needs it, and musl has none */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "wasi/abi.h"
#include "wasi/memory.h"
#include "wasi/state.h"
#include "worker/order.h"
#include "worker/worker.h"

/* --- the engine ---------------------------------------------------------------------------- */

enum { GUEST_MEMORY = 65536, GUEST_LIST = 64, GUEST_DATA = 1024, PROGRAM_SIZE = 5 };
static const char program_text[PROGRAM_SIZE] = "code"; /* what a compiled module consists of */

struct cl_engine {
    volatile unsigned int ticks;
};

struct cl_program {
    struct cl_engine *engine;
};

struct cl_guest {
    struct cl_wasi *wasi;
    struct cl_program *program;
    struct cl_guest_limits limits;
    uint8_t memory[GUEST_MEMORY];
    int turns;
};

int cl_engine_new(const struct cl_engine_pool *pool, struct cl_engine **ret_engine,
                  struct cl_error *err)
{
    CHECK(pool->guests > 0 && pool->memory_bytes > 0 && pool->table_elements > 0);
    *ret_engine = cl_calloc(1, sizeof(**ret_engine));
    return *ret_engine == NULL ? cl_fail_memory(err) : 0;
}

int cl_engine_new_alone(int in_turns, struct cl_engine **ret_engine, struct cl_error *err)
{
    CHECK(!in_turns);
    *ret_engine = cl_calloc(1, sizeof(**ret_engine));
    return *ret_engine == NULL ? cl_fail_memory(err) : 0;
}

void cl_engine_free(struct cl_engine *engine)
{
    free(engine);
}

void cl_engine_tick(struct cl_engine *engine)
{
    engine->ticks++;
}

int cl_program_new(struct cl_engine *engine, int module, struct cl_program **ret_program,
                   struct cl_error *err)
{
    char text[PROGRAM_SIZE] = "";

    if (cl_sys_pread(module, text, sizeof(text), 0) != sizeof(text) ||
        memcmp(text, program_text, sizeof(text)) != 0)
        return cl_refuse(err, ENOEXEC, "this is no program");
    struct cl_program *program = cl_calloc(1, sizeof(*program));
    if (program == NULL)
        return cl_fail_memory(err);
    program->engine = engine;
    *ret_program = program;
    return 0;
}

int cl_program_file(CL_UNUSED const struct cl_program *program)
{
    return -1;
}

void cl_program_free(struct cl_program *program)
{
    free(program);
}

int cl_guest_new(struct cl_program *program, struct cl_wasi *wasi,
                 const struct cl_guest_limits *limits, struct cl_guest **ret_guest,
                 struct cl_error *err)
{
    struct cl_guest *guest = cl_calloc(1, sizeof(*guest));

    if (guest == NULL) {
        cl_wasi_free(wasi);
        return cl_fail_memory(err);
    }
    guest->wasi = wasi;
    guest->program = program;
    guest->limits = *limits;
    *ret_guest = guest;
    return 0;
}

void cl_guest_free(struct cl_guest *guest)
{
    cl_wasi_free(guest->wasi);
    free(guest);
}

uint64_t cl_guest_memory_bytes(const struct cl_guest *guest)
{
    return guest->limits.memory_bytes;
}

/* --- a guest ------------------------------------------------------------------------------- */

static inline uint32_t guest_call(struct cl_guest *guest, const char *name,
                                  const uint64_t *arguments)
{
    const struct cl_wasi_memory memory = {guest->memory, GUEST_MEMORY};

    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++)
        if (strcmp(cl_wasi_functions[i].name, name) == 0)
            return cl_wasi_functions[i].call(guest->wasi, &memory, arguments);
    abort();
}

/* fd_read or fd_write of SIZE bytes: how many is at 0. */
static inline uint32_t guest_move(struct cl_guest *guest, const char *name, uint32_t fd,
                                  uint32_t size)
{
    cl_wasi_store32(guest->memory + GUEST_LIST, GUEST_DATA);
    cl_wasi_store32(guest->memory + GUEST_LIST + 4, size);
    return guest_call(guest, name, (const uint64_t[]){fd, GUEST_LIST, 1, 0});
}

static inline int guest_exit(struct cl_guest_end *ret_end, uint32_t code)
{
    *ret_end = (struct cl_guest_end){.kind = CL_GUEST_END_EXITED, .exit_code = code};
    return CL_TURN_ENDED;
}

/* Writes what it was given, all of it. */
static inline int guest_say(struct cl_guest *guest, const char *text, struct cl_guest_end *ret_end)
{
    uint32_t r = CL_WASI_SUCCESS;

    while (*text != '\0' && r == CL_WASI_SUCCESS) {
        memcpy(guest->memory + GUEST_DATA, text, strlen(text));
        r = guest_move(guest, "fd_write", 1, (uint32_t)strlen(text));
        text += r == CL_WASI_SUCCESS ? cl_wasi_load32(guest->memory) : 0;
    }
    if (r != CL_WASI_EXCEEDS)
        return guest_exit(ret_end, r);
    *ret_end = (struct cl_guest_end){.kind = CL_GUEST_END_EXCEEDED};
    return CL_TURN_ENDED;
}

/* Input to output, until the end of it. */
static inline int guest_copy(struct cl_guest *guest, struct cl_guest_end *ret_end)
{
    uint32_t r = guest_move(guest, "fd_read", 0, 4096);
    const uint32_t size = cl_wasi_load32(guest->memory);

    if (r == CL_WASI_WAITS)
        return CL_TURN_WAITS;
    if (r != CL_WASI_SUCCESS || size == 0)
        return guest_exit(ret_end, r);
    r = guest_move(guest, "fd_write", 1, size);
    return r == CL_WASI_SUCCESS ? CL_TURN_OVER : guest_exit(ret_end, r);
}

static inline int guest_trap(struct cl_guest_end *ret_end)
{
    *ret_end = (struct cl_guest_end){.kind = CL_GUEST_END_TRAPPED, .trap = "it trapped"};
    ret_end->backtrace = strdup("where it was\n");
    return CL_TURN_ENDED;
}

/* Makes the directory "mine": 20 (EXIST) when a guest before it left one. */
static inline int guest_make_directory(struct cl_guest *guest, struct cl_guest_end *ret_end)
{
    memcpy(guest->memory + GUEST_DATA, "mine", 4);
    return guest_exit(
        ret_end, guest_call(guest, "path_create_directory", (const uint64_t[]){3, GUEST_DATA, 4}));
}

/* How many this process has, as its guest's exit status. */
static inline int guest_count_descriptors(struct cl_guest_end *ret_end)
{
    DIR *all = opendir("/proc/self/fd");
    uint32_t count = 0;

    CL_ASSERT(all != NULL);
    for (const struct dirent *one; (one = readdir(all)) != NULL;)
        count += one->d_name[0] != '.';
    (void)closedir(all);
    return guest_exit(ret_end, count - 1); /* without the directory's */
}

int cl_guest_go_on(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    const char *what = guest->wasi->arguments.data;
    const char *word = what + strlen(what) + 1; /* there are two */

    guest->turns++;
    if (strcmp(what, "exit") == 0)
        return guest_exit(ret_end, (uint32_t)*word);
    if (strcmp(what, "say") == 0)
        return guest_say(guest, word, ret_end);
    if (strcmp(what, "copy") == 0)
        return guest_copy(guest, ret_end);
    if (strcmp(what, "trap") == 0)
        return guest_trap(ret_end);
    if (strcmp(what, "make") == 0)
        return guest_make_directory(guest, ret_end);
    if (strcmp(what, "fail") == 0)
        return cl_refuse(err, EINVAL, "it can't begin");
    if (strcmp(what, "spin") == 0)
        return CL_TURN_OVER;
    if (strcmp(what, "open") == 0) { /* as a guest does that has broken its engine */
        CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, word, O_RDONLY, 0);
        return guest_exit(ret_end, fd < 0 ? (uint32_t)-fd : 0);
    }
    if (strcmp(what, "signal") == 0)
        (void)syscall(SYS_kill, getppid(), SIGKILL);
    if (strcmp(what, "abort") == 0) /* which the filter lets through */
        return guest_exit(ret_end, kill(atoi(word), SIGABRT) < 0 ? (uint32_t)errno : 0);
    if (strcmp(what, "attach") == 0)
        (void)syscall(SYS_ptrace, PTRACE_SEIZE, getppid(), 0, 0);
    if (strcmp(what, "fork") == 0)
        (void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (strcmp(what, "code") == 0)
        (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (strcmp(what, "descriptors") == 0)
        return guest_count_descriptors(ret_end);
    if (strcmp(what, "die") == 0)
        (void)kill(getpid(), SIGABRT); /* what the filter of a worker lets through */
    if (strcmp(what, "leave") == 0)
        _exit(7);
    guest->wasi->wait = (struct cl_wasi_wait){.deadline_ns = UINT64_MAX}; /* "rest" */
    return CL_TURN_WAITS;
}

/* Alone, it waits where it waits. */
int cl_guest_run(struct cl_guest *guest, struct cl_guest_end *ret_end, struct cl_error *err)
{
    int r;

    while ((r = cl_guest_go_on(guest, ret_end, err)) >= 0 && r != CL_TURN_ENDED) {
        const struct cl_wasi_wait *wait = cl_wasi_waits_for(guest->wasi);

        if (r == CL_TURN_WAITS)
            (void)poll(wait->fds, wait->count, -1);
    }
    return r < 0 ? r : 0;
}

/* --- the worker ---------------------------------------------------------------------------- */

enum { FIRST_USER = 50000, GUESTS = 40, STRUCK = 3, FAILED = 4, CHECKS_FAILED = 5 };

/* Guests take turns; have processes; that have Landlock domains; or are users (root's worker). */
enum scene_kind { IN_TURNS, PROCESSES, CONFINED, USERS };

struct scene {
    char path[64];
    pid_t pid;
    int line;
    int module;
};

static inline int make_module(const struct scene *scene, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", scene->path, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, program_text, PROGRAM_SIZE) == PROGRAM_SIZE);
    return fd;
}

/* As main() does, with FAULT from the beginning. */
static inline int scene_worker(int line, const char *root_path,
                               const struct cl_worker_orders *orders, const char *fault)
{
    struct cl_worker *worker = NULL;
    struct cl_error err = {0};
    CL_CLEANUP_FD int root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0); /* as the wall has set it */
    if (orders->first_user != 0) /* root loses nothing by a change, as others don't */
        CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0);
    cl_fault_set(fault);
    int r = cl_worker_new(orders, line, root, &worker, &err);
    if (r == 0) {
        r = cl_worker_run(worker, &err);
        cl_worker_free(worker);
    }
    const int struck = cl_fault_struck();
    cl_fault_set(NULL);
    CHECK(r == 0 || r == -err.code);
    cl_fd_close(&line);
    if (check_failures > 0)
        return CHECKS_FAILED;
    return struck ? STRUCK : r < 0 ? FAILED : 0;
}

static inline struct scene scene_begin_as(enum scene_kind kind, uint32_t guests, const char *fault)
{
    struct scene scene = {.path = "/var/tmp/cloister-test-worker-XXXXXX", .line = -1};
    const struct cl_worker_orders orders = {
        .version = CL_WORKER_VERSION,
        .max_descriptors = 20,
        .memory_bytes = 1 << 20,
        .table_elements = 1000,
        .guests = guests,
        .in_turns = kind == IN_TURNS,
        .has_domains = kind == CONFINED,
        .first_user = kind == USERS ? FIRST_USER : 0,
    };
    int line[2] = {-1, -1};

    (void)signal(SIGPIPE, SIG_IGN);
    CL_ASSERT(mkdtemp(scene.path) != NULL);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) == 0);
    scene.module = make_module(&scene, "module");
    (void)fflush(stdout);
    scene.pid = fork();
    if (scene.pid == 0) {
        cl_fd_close(&line[0]);
        cl_fd_close(&scene.module);
        exit(scene_worker(line[1], scene.path, &orders, fault)); /* by which leaks are seen */
    }
    cl_fd_close(&line[1]);
    scene.line = line[0];
    return scene;
}

/* One whose guests take turns. */
static inline struct scene scene_begin(uint32_t guests, const char *fault)
{
    return scene_begin_as(IN_TURNS, guests, fault);
}

static inline int remove_one(const char *path, CL_UNUSED const struct stat *st, CL_UNUSED int type,
                             CL_UNUSED struct FTW *where)
{
    return remove(path);
}

/* The worker's end: its exit status. */
static inline int scene_end(struct scene *scene)
{
    int status = -1;

    cl_fd_close(&scene->line);
    cl_fd_close(&scene->module);
    CHECK(waitpid(scene->pid, &status, 0) == scene->pid && WIFEXITED(status));
    CHECK(nftw(scene->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    return WEXITSTATUS(status);
}

/* --- a client ------------------------------------------------------------------------------ */

/* One, whose socket takes a few answers at a time when it IS_SLOW. */
static inline int scene_client(const struct scene *scene, int is_slow)
{
    int pair[2] = {-1, -1};
    const int size = 1; /* the least that there is */
    char word = 0;

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    if (is_slow)
        CHECK(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    const struct cl_packet packet = {.data = &word, .size = 1, .fds = {pair[1]}, .fd_count = 1};
    (void)cl_channel_send(scene->line, &packet, 0); /* or it is gone, as is seen at once */
    cl_fd_close(&pair[1]);
    return pair[0];
}

static inline int wait_until(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    const int count = poll(&one, 1, 20000);

    CHECK(count == 1); /* or it hangs */
    return count == 1 && (one.revents & events) != 0;
}

/* Whether it could be told. */
static inline int client_send(int client, const struct cl_packet *packet)
{
    int r;

    while ((r = cl_channel_send(client, packet, MSG_NOSIGNAL)) == -EAGAIN &&
           wait_until(client, POLLOUT))
        ;
    return r == 0;
}

static inline int client_order(int client, uint32_t kind, uint64_t guest)
{
    struct cl_order order = {CL_WORKER_VERSION, kind, guest};
    const struct cl_packet packet = {.data = &order, .size = sizeof(order)};

    return client_send(client, &packet);
}

/* What is to run: WORDS are two. */
struct run {
    uint64_t number;
    const char *what, *word;
    int module;
    int streams[3]; /* 0: none, as these are nobody's here */
    int groups[2];  /* as many as the limits say */
    struct cl_order_run limits;
};

static inline int client_run(int client, const struct run *run)
{
    char message[4096];
    struct cl_order_run order = run->limits;
    struct cl_packet packet = {.data = message, .fds = {run->module}, .fd_count = 1};
    const char *word = run->word == NULL ? "" : run->word;

    order.order = (struct cl_order){CL_WORKER_VERSION, CL_ORDER_RUN, run->number};
    order.arguments = 2;
    for (int i = 0; i < 3; i++)
        if (run->streams[i] != 0) {
            order.streams |= 1U << i;
            packet.fds[packet.fd_count++] = run->streams[i];
        }
    for (uint32_t i = 0; i < order.groups; i++)
        packet.fds[packet.fd_count++] = run->groups[i];
    packet.size = sizeof(order) + strlen(run->what) + strlen(word) + 2;
    memcpy(message, &order, sizeof(order));
    (void)snprintf(message + sizeof(order), sizeof(message) - sizeof(order), "%s%c%s", run->what, 0,
                   word);
    return client_send(client, &packet);
}

/* The scene's module, with no streams and no limits. */
static inline int client_run_plain(const struct scene *scene, int client, uint64_t number,
                                   const char *what, const char *word)
{
    const struct run run = {.number = number, .what = what, .word = word, .module = scene->module};

    return client_run(client, &run);
}

/* The next answer: 1; 0: the worker has let the client go. */
static inline int client_answer(int client, struct cl_answer *ret)
{
    struct cl_packet packet = {.data = ret, .size = sizeof(*ret)};
    int r = -EAGAIN;

    memset(ret, 0, sizeof(*ret));
    while (r == -EAGAIN && wait_until(client, POLLIN))
        r = cl_channel_receive(client, &packet, 0);
    if (r == 0) {
        CHECK(packet.size == sizeof(*ret) && ret->version == CL_WORKER_VERSION);
        CHECK(memchr(ret->message, '\0', sizeof(ret->message)) != NULL);
    }
    return r == 0;
}

#endif
