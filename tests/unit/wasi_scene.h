/* wasi_scene.h - a guest (wasi/wasi.h) with a memory, a directory of the test's own as its
 * descriptor 3 ("/"), and pipes as its streams, whose other ends the test has. */
#ifndef CL_TESTS_UNIT_WASI_SCENE_H
#define CL_TESTS_UNIT_WASI_SCENE_H

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "wasi/abi.h"
#include "wasi/memory.h"
#include "wasi/wasi.h"

enum {
    MEMORY = 1 << 17,
    /* where things are in it */
    RET = 0x10,
    RET2 = 0x20,
    LIST = 0x100,
    PATH = 0x4000,
    PATH2 = 0x8000,
    DATA = 0x10000,
    ROOT = 3, /* the guest's descriptor */
    MOST = 32,
};

#define ALL_RIGHTS UINT64_MAX
#define READS (CL_WASI_RIGHT_FD_READ | CL_WASI_RIGHT_FD_SEEK | CL_WASI_RIGHT_FD_READDIR)

struct scene {
    char path[72];
    int root; /* of it; what is outside is in the directory that has it */
    int streams[3];
    struct cl_wasi_memory memory;
    struct cl_wasi *wasi;
    struct cl_error err;
};

static inline const struct cl_wasi_function *scene_function(const char *name)
{
    for (size_t i = 0; i < CL_WASI_FUNCTION_COUNT; i++)
        if (strcmp(cl_wasi_functions[i].name, name) == 0)
            return &cl_wasi_functions[i];
    CL_ASSERT(!"there is such a function");
    return NULL;
}

/* ARGUMENTS as an engine has them: an i32's upper half is zero. */
static inline uint32_t scene_call(struct scene *scene, const char *name, const uint64_t *given)
{
    const struct cl_wasi_function *function = scene_function(name);
    uint64_t arguments[CL_WASI_MAX_ARGUMENTS] = {0};

    for (size_t i = 0; i < strlen(function->parameters); i++)
        arguments[i] = function->parameters[i] == 'i' ? (uint32_t)given[i] : given[i];
    return function->call(scene->wasi, &scene->memory, arguments);
}
#define CALL(scene, name, ...)                                                                     \
    scene_call(scene, name, (const uint64_t[CL_WASI_MAX_ARGUMENTS]){__VA_ARGS__})

/* --- its memory ---------------------------------------------------------------------------- */

static inline uint32_t scene_text(struct scene *scene, uint32_t at, const char *text)
{
    memcpy(scene->memory.base + at, text, strlen(text));
    return (uint32_t)strlen(text);
}

static inline uint32_t scene_ret(const struct scene *scene)
{
    return cl_wasi_load32(scene->memory.base + RET);
}

static inline uint64_t scene_ret64(const struct scene *scene, uint32_t at)
{
    return cl_wasi_load64(scene->memory.base + at);
}

/* A list of one buffer of SIZE bytes at AT. */
static inline void scene_list(struct scene *scene, uint32_t index, uint32_t at, uint32_t size)
{
    cl_wasi_store32(scene->memory.base + LIST + (size_t)index * 8, at);
    cl_wasi_store32(scene->memory.base + LIST + (size_t)index * 8 + 4, size);
}

/* --- calls that most tests make ------------------------------------------------------------ */

static inline uint32_t scene_try_open(struct scene *scene, uint32_t fd, const char *path,
                                      uint32_t oflags, uint64_t rights)
{
    return CALL(scene, "path_open", fd, CL_WASI_SYMLINK_FOLLOW, PATH, scene_text(scene, PATH, path),
                oflags, rights, ALL_RIGHTS, 0, RET);
}

static inline uint32_t scene_open(struct scene *scene, const char *path, uint32_t oflags,
                                  uint64_t rights)
{
    CHECK(scene_try_open(scene, ROOT, path, oflags, rights) == CL_WASI_SUCCESS);
    return scene_ret(scene);
}

/* Its errno; how many bytes is scene_ret(). */
static inline uint32_t scene_write(struct scene *scene, uint32_t fd, const char *text)
{
    scene_list(scene, 0, DATA, scene_text(scene, DATA, text));
    return CALL(scene, "fd_write", fd, LIST, 1, RET);
}

static inline uint32_t scene_read(struct scene *scene, uint32_t fd, uint32_t size)
{
    memset(scene->memory.base + DATA, 0, size + 1);
    scene_list(scene, 0, DATA, size);
    return CALL(scene, "fd_read", fd, LIST, 1, RET);
}

static inline const char *scene_data(const struct scene *scene)
{
    return (const char *)scene->memory.base + DATA;
}

/* NAME, a function of fd, path and length. */
static inline uint32_t scene_at(struct scene *scene, const char *name, const char *path)
{
    return CALL(scene, name, ROOT, PATH, scene_text(scene, PATH, path));
}

/* --- the host's side ----------------------------------------------------------------------- */

static inline void scene_file(const struct scene *scene, const char *path, const char *text)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(scene->root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    CHECK(fd >= 0 && cl_write_all(fd, text, strlen(text)) == 0);
}

static inline int scene_there(const struct scene *scene, const char *path)
{
    struct stat st;

    return fstatat(scene->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int scene_holds(const struct scene *scene, const char *path, const char *text)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(scene->root, path, O_RDONLY, 0);
    char data[256] = "";

    return fd >= 0 && cl_sys_read(fd, data, sizeof(data) - 1) >= 0 && strcmp(data, text) == 0;
}

/* --- beginning and end --------------------------------------------------------------------- */

/* What a guest of a worker for many may do at most: 0 is no limit. */
struct scene_bounds {
    uint64_t output_bytes;
    uint32_t transfer_bytes;
};

/* STREAMS are the guest's ends. */
static inline void scene_start_bounded(struct scene *scene, const int streams[3], int is_read_only,
                                       struct scene_bounds bounds)
{
    static const char *const argv[] = {"program", "an argument", "", NULL};
    static const char *const envp[] = {"A=1", "B=", NULL};
    const struct cl_wasi_preopen preopen = {
        .name = "/",
        .directory = open(scene->path, O_PATH | O_DIRECTORY | O_CLOEXEC),
        .is_read_only = is_read_only,
    };
    const struct cl_wasi_setup setup = {
        .argv = argv,
        .envp = envp,
        .streams = {streams[0], streams[1], streams[2]},
        .preopens = &preopen,
        .preopen_count = 1,
        .max_descriptors = MOST,
        .max_output_bytes = bounds.output_bytes,
        .max_transfer_bytes = bounds.transfer_bytes,
    };

    CHECK(preopen.directory >= 0);
    CL_ASSERT(cl_wasi_new(&setup, &scene->wasi, &scene->err) == 0);
}

static inline void scene_start(struct scene *scene, const int streams[3], int is_read_only)
{
    scene_start_bounded(scene, streams, is_read_only, (struct scene_bounds){0});
}

/* OUTER/in is the guest's; what the guest must not reach is in OUTER. */
static inline struct scene scene_bare(void)
{
    struct scene scene = {.root = -1, .streams = {-1, -1, -1}};
    char outer[64] = "/var/tmp/cloister-test-wasi-XXXXXX";

    CL_ASSERT(mkdtemp(outer) != NULL);
    (void)snprintf(scene.path, sizeof(scene.path), "%s/in", outer);
    CHECK(mkdir(scene.path, 0755) == 0);
    scene.root = open(scene.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(scene.root >= 0);
    scene_file(&scene, "../secret", "outside");
    scene.memory = (struct cl_wasi_memory){.base = calloc(1, MEMORY), .size_bytes = MEMORY};
    CL_ASSERT(scene.memory.base != NULL);
    return scene;
}

static inline struct scene scene_make_bounded(int is_read_only, struct scene_bounds bounds)
{
    struct scene scene = scene_bare();
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    int error[2] = {-1, -1};

    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0);
    scene.streams[0] = in[1];
    scene.streams[1] = out[0];
    scene.streams[2] = error[0];
    scene_start_bounded(&scene, (const int[3]){in[0], out[1], error[1]}, is_read_only, bounds);
    return scene;
}

static inline struct scene scene_make_as(int is_read_only)
{
    return scene_make_bounded(is_read_only, (struct scene_bounds){0});
}

static inline struct scene scene_make(void)
{
    return scene_make_as(0);
}

static inline void scene_done(struct scene *scene)
{
    int status = -1;

    cl_wasi_free(scene->wasi);
    free(scene->memory.base);
    cl_fd_close(&scene->root);
    for (size_t i = 0; i < 3; i++)
        cl_fd_close(&scene->streams[i]);
    (void)fflush(stdout);
    *strrchr(scene->path, '/') = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", scene->path, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}
#define CLEANUP_SCENE CL_CLEANUP(scene_done)

#endif
