/* unpack_scene.h - layers that are unpacked into a directory of their own, as root of a user
 * namespace: where that is somebody else's root as well, and where it is an ordinary user.
 */
#ifndef CL_TESTS_UNIT_UNPACK_SCENE_H
#define CL_TESTS_UNIT_UNPACK_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "helpers/image/unpack.h"
#include "tar_writer.h"

struct scene {
    char path[64]; /* of the layer's directory; beside it nothing may appear */
    int root;
    uint64_t max_bytes, max_entries;
    struct cl_unpack_report report;
    struct cl_error err;
};

static int scene_is_root; /* of a user namespace */

/* Root of a user namespace with one id, for the rest of the process. A disk: not every kernel's
 * tmpfs has extended attributes of users. */
static inline void scene_enter(void)
{
    char map[32];
    const uid_t uid = geteuid();
    const gid_t gid = getegid();

    if (cl_sys_unshare(CLONE_NEWUSER) < 0)
        return;
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)uid);
    if (cl_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") < 0 ||
        cl_write_file(AT_FDCWD, "/proc/self/uid_map", map) < 0)
        return;
    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned int)gid);
    scene_is_root = cl_write_file(AT_FDCWD, "/proc/self/gid_map", map) == 0;
}

#define NEEDS_ROOM()                                                                               \
    do {                                                                                           \
        if (!scene_is_root)                                                                        \
            SKIP_TEST("this host lets us make no user namespace");                                 \
    } while (0)

/* By rm, which can remove what is too deep for a path. */
static inline void scene_done(struct scene *scene)
{
    char outer[64];
    int status = -1;

    cl_fd_close(&scene->root);
    (void)snprintf(outer, sizeof(outer), "%.*s", (int)strlen(scene->path) - 6, scene->path);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", outer, (char *)NULL);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}
#define CLEANUP_SCENE CL_CLEANUP(scene_done)

static inline struct scene scene_make(void)
{
    struct scene scene = {.root = -1, .max_bytes = 1ULL << 30, .max_entries = 100000};
    char outer[] = "/var/tmp/cloister-test-unpack-XXXXXX";

    CHECK(mkdtemp(outer) != NULL);
    (void)snprintf(scene.path, sizeof(scene.path), "%s/layer", outer);
    CHECK(mkdir(scene.path, 0755) == 0);
    scene.root = open(scene.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK(scene.root >= 0);
    return scene;
}

static inline int scene_memory(const void *data, size_t size)
{
    int fd = cl_sys_memfd_create("layer", 1 /* MFD_CLOEXEC */);

    CHECK(fd >= 0 && cl_write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

/* Unpacks TAR as it is. */
static inline int scene_unpack_raw(struct scene *scene, const struct cl_buf *tar)
{
    CL_CLEANUP_FD int stream = scene_memory(tar->data, tar->size);
    const struct cl_unpack unpack = {.stream = stream,
                                     .root = scene->root,
                                     .report = -1,
                                     .max_bytes = scene->max_bytes,
                                     .max_entries = scene->max_entries};

    scene->err = (struct cl_error){0};
    int r = cl_unpack_run(&unpack, &scene->report, &scene->err);
    CHECK((r < 0) == (scene->err.code != 0) && (r == 0 || r == -scene->err.code));
    CHECK(r < 0 || lseek(stream, 0, SEEK_CUR) == (off_t)tar->size); /* to its very end */
    return r;
}

/* The same, with the end that archives have. TAR is emptied. */
static inline int scene_unpack(struct scene *scene, struct cl_buf *tar)
{
    tar_end(tar);
    int r = scene_unpack_raw(scene, tar);
    tar->size = 0;
    return r;
}

/* It has to work. */
static inline void scene_ok(struct scene *scene, struct cl_buf *tar)
{
    int r = scene_unpack(scene, tar);

    if (r < 0)
        printf("# %s\n", scene->err.msg);
    CHECK(r == 0);
}

/* It has to be refused with CODE, in words that have NEEDLE. */
static inline void scene_refused(struct scene *scene, struct cl_buf *tar, int code,
                                 const char *needle)
{
    int r = scene_unpack(scene, tar);

    CHECK(r == -code);
    if (r != -code)
        printf("# %d: %s\n", r, scene->err.msg);
    CHECK_HAS(scene->err.msg, needle);
}

/* --- what came of it -------------------------------------------------------------- */

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

static inline mode_t scene_type(const struct scene *scene, const char *name)
{
    return scene_stat(scene, name).st_mode & S_IFMT;
}

static inline unsigned int scene_mode(const struct scene *scene, const char *name)
{
    return scene_stat(scene, name).st_mode & 07777;
}

static inline int scene_is_whiteout(const struct scene *scene, const char *name)
{
    const struct stat status = scene_stat(scene, name);

    return S_ISCHR(status.st_mode) && status.st_rdev == 0;
}

/* The size of NAME's extended attribute, or -1; its value in TEXT. */
static inline ssize_t scene_xattr(const struct scene *scene, const char *name, const char *xattr,
                                  char *text, size_t size)
{
    CL_CLEANUP_FD int fd =
        openat(scene->root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    memset(text, 0, size);
    return fd < 0 ? -1 : fgetxattr(fd, xattr, text, size);
}

static inline int scene_is_opaque(const struct scene *scene, const char *name)
{
    char value[4];

    return scene_xattr(scene, name, "user.overlay.opaque", value, sizeof(value)) == 1 &&
           value[0] == 'y';
}

/* The file NAME is CONTENT. */
static inline void scene_holds(const struct scene *scene, const char *name, const char *content)
{
    CL_CLEANUP_FD int fd =
        openat(scene->root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char text[256] = "";

    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
    CHECK_TEXT(text, content);
}

/* The symbolic link NAME leads to TARGET. */
static inline void scene_links(const struct scene *scene, const char *name, const char *target)
{
    char text[256] = "";

    CHECK(readlinkat(scene->root, name, text, sizeof(text) - 1) >= 0);
    CHECK_TEXT(text, target);
}

/* Nothing but the layer lies where the layer lies. */
static inline int scene_is_contained(const struct scene *scene)
{
    char outer[64];

    (void)snprintf(outer, sizeof(outer), "%.*s", (int)strlen(scene->path) - 6, scene->path);
    return check_count_entries(outer) == 1;
}

#endif
