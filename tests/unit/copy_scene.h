/* copy_scene.h - copies (copy/stream.h) from one directory into another that is the test's own,
 * by way of memory; and streams that no sender of ours would make. */
#ifndef CL_TESTS_UNIT_COPY_SCENE_H
#define CL_TESTS_UNIT_COPY_SCENE_H

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"
#include "copy/send.h"
#include "copy/take.h"

enum { SCENE_STREAM_MAX = 64 << 20, RESOLVE_BENEATH_ = 0x08 };

struct scene {
    char path[64];
    int root;              /* of it; has `from` and `to`, and nothing else may appear */
    uint64_t most_bytes;   /* that a taker may take */
    uint64_t most_entries; /* likewise */
    int any_links;
    unsigned int left; /* how many were left out, and the last of them: */
    int why;
    char what[CL_COPY_PATH_MAX];
    uint64_t bytes, entries; /* that were taken */
    struct cl_error err;
};

static inline struct scene scene_make(void)
{
    struct scene scene = {.root = -1, .most_bytes = 1ULL << 40, .most_entries = 100000};

    (void)snprintf(scene.path, sizeof(scene.path), "/var/tmp/cloister-test-copy-XXXXXX");
    CHECK(mkdtemp(scene.path) != NULL);
    scene.root = open(scene.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(scene.root >= 0);
    CHECK(mkdirat(scene.root, "from", 0755) == 0 && mkdirat(scene.root, "to", 0755) == 0);
    return scene;
}

/* By rm, which can remove what is too deep for a path. */
static inline void scene_done(struct scene *scene)
{
    int status = -1;

    cl_fd_close(&scene->root);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", scene->path, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}
#define CLEANUP_SCENE CL_CLEANUP(scene_done)

/* The path of NAME in the scene, until the next call but three. */
static inline const char *scene_path(const struct scene *scene, const char *name)
{
    static char paths[4][2 * CL_COPY_PATH_MAX];
    static unsigned int next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", scene->path, name);
    return path;
}

/* --- what is copied ---------------------------------------------------------------------- */

static inline void scene_dir(const struct scene *scene, const char *name, mode_t mode)
{
    CHECK(mkdirat(scene->root, name, 0700) == 0);
    CHECK(fchmodat(scene->root, name, mode, 0) == 0);
}

static inline void scene_file(const struct scene *scene, const char *name, const char *content)
{
    CL_CLEANUP_FD int fd =
        openat(scene->root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && cl_write_all(fd, content, strlen(content)) == 0);
}

static inline void scene_link(const struct scene *scene, const char *name, const char *target)
{
    CHECK(symlinkat(target, scene->root, name) == 0);
}

/* --- what came of it --------------------------------------------------------------------- */

static inline struct stat scene_stat(const struct scene *scene, const char *name)
{
    struct stat status = {0};

    if (fstatat(scene->root, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        memset(&status, 0, sizeof(status));
    return status;
}

static inline int scene_has(const struct scene *scene, const char *name)
{
    return scene_stat(scene, name).st_nlink > 0;
}

static inline unsigned int scene_mode(const struct scene *scene, const char *name)
{
    return scene_stat(scene, name).st_mode & 07777;
}

static inline void scene_holds(const struct scene *scene, const char *name, const char *content)
{
    CL_CLEANUP_FD int fd =
        openat(scene->root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char text[256] = "";

    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
    CHECK_TEXT(text, content);
}

static inline void scene_links(const struct scene *scene, const char *name, const char *target)
{
    char text[256] = "";

    CHECK(readlinkat(scene->root, name, text, sizeof(text) - 1) >= 0);
    CHECK_TEXT(text, target);
}

/* Looks at what lies at WAY below TOP: nothing that is no file, directory or link, or has more
 * than permission bits; no link that leads out of TOP by the kernel's own judgement. */
static inline void scene_check_below(int top, const char *way, int any_links)
{
    const struct cl_open_how beneath = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH_};
    CL_CLEANUP_FD int dir = openat(top, way, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct cl_dir entries;
    const char *name;

    if (dir < 0)
        return; /* of mode 0, say */
    cl_dir_start(&entries, dir);
    while (cl_dir_next(&entries, &name, NULL) > 0) {
        struct stat st = {0};
        char below[4096];

        (void)snprintf(below, sizeof(below), "%s/%s", way, name);
        CHECK(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        CHECK(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
        CHECK(S_ISLNK(st.st_mode) || (st.st_mode & 07000) == 0);
        if (S_ISDIR(st.st_mode))
            scene_check_below(top, below, any_links);
        if (S_ISLNK(st.st_mode) && !any_links) {
            CL_CLEANUP_FD int fd = cl_sys_openat2(top, below, &beneath);
            CHECK(fd != -EXDEV);
        }
    }
}

/* Nothing but `from` and `to` is there; each entry of `to` is a tree that a copy may make. */
static inline void scene_check(const struct scene *scene)
{
    CL_CLEANUP_FD int to = openat(scene->root, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cl_dir entries;
    const char *name;

    CHECK(check_count_entries(scene->path) == 2);
    CHECK(to >= 0);
    cl_dir_start(&entries, to);
    while (cl_dir_next(&entries, &name, NULL) > 0) {
        CL_CLEANUP_FD int top = openat(to, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st = {0};

        CHECK(top >= 0 && fstat(top, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)));
        if (S_ISDIR(st.st_mode))
            scene_check_below(top, ".", scene->any_links);
    }
}

/* --- the copy ---------------------------------------------------------------------------- */

static inline int scene_memory(const void *data, size_t size)
{
    int fd = cl_sys_memfd_create("stream", 1 /* MFD_CLOEXEC */);

    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static inline void scene_left_out(void *context, const char *path, int why)
{
    struct scene *scene = context;

    scene->left++;
    scene->why = why;
    (void)snprintf(scene->what, sizeof(scene->what), "%s", path);
}

/* Sends PATH of the scene to the end of STREAM. */
static inline int scene_send(struct scene *scene, const char *path, int stream)
{
    static struct cl_copy_out out;
    const struct cl_copy_sender sender = {
        .out = &out, .left_out = scene_left_out, .context = scene};

    out.fd = stream;
    out.used = 0;
    scene->err = (struct cl_error){0};
    int r = cl_copy_send(&sender, scene_path(scene, path), &scene->err);
    CHECK((r < 0) == (scene->err.code != 0) && (r == 0 || r == -scene->err.code));
    return r;
}

/* Takes what STREAM has from where it stands, as NAME, to PATH of the scene. */
static inline int scene_take(struct scene *scene, int stream, const char *path, const char *name)
{
    static struct cl_copy_in in;
    CL_CLEANUP(cl_copy_place_done) struct cl_copy_place place = CL_COPY_PLACE_INIT;
    struct cl_copy_taker taker = {
        .in = &in,
        .any_links = scene->any_links,
        .most_bytes = scene->most_bytes,
        .most_entries = scene->most_entries,
        .left_out = scene_left_out,
        .context = scene,
    };

    in.fd = stream;
    in.at = 0;
    in.end = 0;
    scene->err = (struct cl_error){0};
    int r = cl_copy_place_open(scene_path(scene, path), name, &place, &scene->err);
    if (r == 0)
        r = cl_copy_take(&taker, &place, &scene->err);
    CHECK((r < 0) == (scene->err.code != 0) && (r == 0 || r == -scene->err.code));
    scene->bytes = taker.bytes;
    scene->entries = taker.entries;
    return r;
}

/* All the way: what lies at SOURCE, as cp would. */
static inline int scene_copy(struct scene *scene, const char *source, const char *target)
{
    CL_CLEANUP_FD int stream = scene_memory("", 0);
    char name[CL_COPY_NAME_MAX + 1];

    CHECK(cl_copy_name(source, name, &scene->err) == 0);
    int r = scene_send(scene, source, stream);
    CHECK(lseek(stream, 0, SEEK_SET) == 0);
    return r < 0 ? r : scene_take(scene, stream, target, name);
}

/* It has to work. */
static inline void scene_ok(struct scene *scene, const char *source, const char *target)
{
    int r = scene_copy(scene, source, target);

    if (r < 0)
        printf("# %s\n", scene->err.msg);
    CHECK(r == 0);
}

/* --- streams by hand --------------------------------------------------------------------- */

#define STREAM_INIT CL_BUF_INIT(SCENE_STREAM_MAX)

static inline void stream_bytes(struct cl_buf *stream, const void *data, size_t size)
{
    CHECK(cl_buf_add(stream, data, size) == 0);
}

static inline void stream_entry(struct cl_buf *stream, struct cl_copy_entry entry, const char *name)
{
    entry.name_size = (uint16_t)strlen(name);
    stream_bytes(stream, &entry, sizeof(entry));
    stream_bytes(stream, name, strlen(name));
}

static inline void stream_dir(struct cl_buf *stream, const char *name)
{
    stream_entry(stream, (struct cl_copy_entry){.kind = CL_COPY_DIR, .mode = 0755}, name);
}

static inline void stream_up(struct cl_buf *stream)
{
    stream_entry(stream, (struct cl_copy_entry){.kind = CL_COPY_UP}, "");
}

static inline void stream_end(struct cl_buf *stream)
{
    stream_entry(stream, (struct cl_copy_entry){.kind = CL_COPY_END}, "");
}

static inline void stream_link(struct cl_buf *stream, const char *name, const char *target)
{
    stream_entry(stream,
                 (struct cl_copy_entry){.kind = CL_COPY_LINK, .value = (uint32_t)strlen(target)},
                 name);
    stream_bytes(stream, target, strlen(target));
}

static inline void stream_number(struct cl_buf *stream, uint64_t number)
{
    stream_bytes(stream, &number, sizeof(number));
}

static inline void stream_file(struct cl_buf *stream, const char *name, const char *content)
{
    stream_entry(stream, (struct cl_copy_entry){.kind = CL_COPY_FILE, .mode = 0644}, name);
    if (content[0] != '\0') {
        stream_number(stream, strlen(content));
        stream_bytes(stream, content, strlen(content));
    }
    stream_number(stream, 0);
}

/* Takes STREAM as the directory or file `to/NAME`. */
static inline int stream_take(struct scene *scene, const struct cl_buf *stream, const char *name)
{
    CL_CLEANUP_FD int fd = scene_memory(stream->data, stream->size);

    return scene_take(scene, fd, "to", name);
}

/* It has to be refused with CODE, in words that have NEEDLE. */
static inline void stream_refused(struct scene *scene, const struct cl_buf *stream, int code,
                                  const char *needle)
{
    int r = stream_take(scene, stream, "it");

    CHECK(r == -code);
    if (r != -code)
        printf("# %d: %s\n", r, scene->err.msg);
    CHECK_HAS(scene->err.msg, needle);
    scene_check(scene);
}

#endif
