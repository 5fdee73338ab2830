#include "runtime/container.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>

#include "base/boot.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "limits/scope.h"
#include "runtime/process.h"
#include "runtime/record.h"

enum { PATH_SIZE = 4096, LOCK_TRIES = 1000, LOCK_PAUSE_MS = 10 };

static const char *const files[] = {"made", "record", "spec", "start"};

/* --- the root -------------------------------------------------------------------------------- */

static int usual_root(char ret[PATH_SIZE], struct cl_error *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"); // NOLINT(concurrency-mt-unsafe): one thread
    int used = 0;

    if (runtime == NULL ? geteuid() == 0 : cl_is_host_root())
        used = snprintf(ret, PATH_SIZE, "/run/cloister-oci");
    else if (runtime != NULL && runtime[0] == '/')
        used = snprintf(ret, PATH_SIZE, "%s/cloister-oci", runtime);
    else
        used = snprintf(ret, PATH_SIZE, "/tmp/cloister-oci-%u", (unsigned int)geteuid());
    if (used < 0 || used >= PATH_SIZE)
        return cl_refuse(err, ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
    return 0;
}

/* All directories of PATH that are missing, for us alone. */
static int make_directories(char *path)
{
    for (char *at = path + 1;; at++) {
        const char end = *at;

        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        int r = cl_sys_mkdirat(AT_FDCWD, path, 0700);
        *at = end;
        if (r < 0 && r != -EEXIST)
            return r;
        if (end == '\0')
            return 0;
    }
}

int cl_runtime_open(const char *path, struct cl_error *err)
{
    char place[PATH_SIZE];
    struct stat st;
    int r = 0;

    if (path == NULL)
        r = usual_root(place, err);
    else if (snprintf(place, sizeof(place), "%s", path) >= (int)sizeof(place) || path[0] == '\0')
        r = cl_refuse(err, EINVAL, "--root: \"%.100s\" is no path", path);
    if (r < 0)
        return r;
    /* the usual place may be in /tmp, where anybody may have put a link */
    const int flags = O_RDONLY | O_DIRECTORY | (path == NULL ? O_NOFOLLOW : 0);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, place, flags, 0);
    if (fd == -ENOENT) {
        r = make_directories(place);
        fd = r < 0 ? r : cl_sys_openat(AT_FDCWD, place, flags, 0);
    }
    if (fd < 0)
        return cl_fail(err, fd, "open the runtime's root %s", place);
    r = cl_sys_fstat(fd, &st);
    if (r < 0)
        return cl_fail(err, r, "stat %s", place);
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return cl_refuse(err, EPERM,
                         "the runtime's root %s belongs to somebody else, or others may write it; "
                         "name another with --root",
                         place);
    return CL_TAKE_FD(fd);
}

/* --- ids -----------------------------------------------------------------------------------------
 */

static int check_id(const char *id, struct cl_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const size_t size = strlen(id);

    if (size == 0)
        return cl_refuse(err, EINVAL, "a container's id must not be empty");
    if (size > CL_CONTAINER_ID || size > NAME_MAX)
        return cl_refuse(err, ENAMETOOLONG, "a container's id has %d characters at most", NAME_MAX);
    for (size_t i = 0; i < size; i++) {
        if (strchr(letters, id[i]) == NULL && strchr("_+-.", id[i]) == NULL)
            return cl_refuse(err, EINVAL,
                             "invalid container id \"%.100s\": letters, digits and _ + - . are "
                             "allowed",
                             id);
    }
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return cl_refuse(err, EINVAL, "invalid container id \"%s\"", id);
    return 0;
}

/* --- one container
 * --------------------------------------------------------------------------------- */

/* The lock goes now, and not with the last descriptor of whoever was born meanwhile. */
void cl_container_close(struct cl_oci_container *container)
{
    if (container->dir >= 0)
        (void)cl_sys_flock(container->dir, LOCK_UN); /* or it had none */
    cl_fd_close(&container->dir);
    cl_arena_done(&container->arena);
}

static int read_boot(struct cl_oci_container *container, const char **ret, struct cl_error *err)
{
    char text[CL_BOOT_ID_SIZE];
    int r = cl_boot_id(text, err);

    if (r < 0)
        return r;
    *ret = cl_arena_strdup(&container->arena, text);
    return *ret == NULL ? cl_fail_memory(err) : 0;
}

int cl_container_make(int root, const char *id, struct cl_oci_container *ret, struct cl_error *err)
{
    int r = check_id(id, err);

    if (r < 0)
        return r;
    r = cl_sys_mkdirat(root, id, 0700);
    if (r == -EEXIST)
        return cl_refuse(err, EEXIST, "container with id exists: %s", id);
    if (r < 0)
        return cl_fail(err, r, "make the directory of container %s", id);
    ret->root = root;
    (void)snprintf(ret->id, sizeof(ret->id), "%s", id); /* check_id has seen that it fits */
    ret->dir = cl_sys_openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    r = ret->dir < 0 ? ret->dir : cl_sys_flock(ret->dir, LOCK_EX);
    if (r < 0) {
        (void)cl_sys_unlinkat(root, id, AT_REMOVEDIR);
        return cl_fail(err, r, "lock the directory of container %s", id);
    }
    ret->record = (struct cl_container_record){
        .set = cl_container_all,
        .created_ns = cl_clock_wall_ns(),
        .group = "",
        .bases = "",
        .slice = "",
        .unit = "",
        .manager = CL_GROUP_NONE,
        .owner = geteuid(),
    };
    r = read_boot(ret, &ret->record.boot, err);
    if (r < 0)
        (void)cl_sys_unlinkat(root, id, AT_REMOVEDIR); /* what failed first is told */
    return r;
}

/* There is no event of a lock that comes free: asked again, so that there can be an end. */
static int take_lock(int dir, const char *id, struct cl_error *err)
{
    int r = cl_sys_flock(dir, LOCK_EX | LOCK_NB);

    for (int i = 0; r == -EWOULDBLOCK && i < LOCK_TRIES; i++) {
        (void)cl_sys_poll(NULL, 0, LOCK_PAUSE_MS);
        r = cl_sys_flock(dir, LOCK_EX | LOCK_NB);
    }
    if (r == -EWOULDBLOCK)
        return cl_refuse(err, EBUSY, "another call is at work on container %s", id);
    return r < 0 ? cl_fail(err, r, "lock container %s", id) : 0;
}

static int read_file(const struct cl_oci_container *container, const char *name, struct cl_buf *ret)
{
    struct cl_error unused;
    CL_CLEANUP_FD int fd = cl_sys_openat(container->dir, name, O_RDONLY | O_NOFOLLOW, 0);

    return fd < 0 ? fd : cl_read_all(fd, name, ret, &unused);
}

/* Into the arena, where what was read points. */
static int load(struct cl_oci_container *container, const char *name, size_t most,
                struct cl_bytes *ret)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(most);
    int r = read_file(container, name, &buf);

    if (r < 0)
        return r;
    char *copy = cl_arena_strndup(&container->arena, cl_buf_text(&buf), buf.size);
    if (copy == NULL)
        return -ENOMEM;
    *ret = (struct cl_bytes){copy, buf.size};
    return 0;
}

/* The record in the file NAME; -ENOENT when there is none, or it is being written just now. */
static int load_record(struct cl_oci_container *container, const char *name, struct cl_error *err)
{
    struct cl_container_record record = {.set = 0};
    struct cl_bytes bytes = {0};
    int r = load(container, name, CL_CONTAINER_RECORD_MAX, &bytes);

    if (r == -ENOENT || (r == 0 && bytes.size == 0))
        return -ENOENT;
    if (r == 0)
        r = cl_flat_read(&cl_container_shape, &bytes, &container->arena, &record, err);
    else
        (void)cl_fail(err, r, "read the record of container %s", container->id);
    if (r == 0 && record.set != cl_container_all)
        r = cl_refuse(err, EBADMSG, "the record of container %s is another version's",
                      container->id);
    if (r == 0)
        container->record = record;
    return r;
}

/* What isn't there was never written: a create that is under way, or was killed. */
static int load_all(struct cl_oci_container *container, struct cl_error *err)
{
    struct cl_bytes bytes = {0};
    int r = load_record(container, "made", err);

    if (r == -ENOENT)
        r = load_record(container, "record", err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    r = load(container, "spec", CL_SPEC_MAX_SIZE, &bytes);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return cl_fail(err, r, "read the configuration of container %s", container->id);
    return cl_spec_read(&bytes, &container->arena, &container->spec, err);
}

/* Whoever waited for the lock may hold that of a directory which was removed meanwhile: -ENOENT. */
static int check_there(const struct cl_oci_container *container)
{
    struct stat st;
    int r = cl_sys_fstat(container->dir, &st);

    return r == 0 && st.st_nlink == 0 ? -ENOENT : r;
}

int cl_container_open(int root, const char *id, int locked, struct cl_oci_container *ret,
                      struct cl_error *err)
{
    int r = check_id(id, err);

    if (r < 0)
        return r;
    ret->root = root;
    (void)snprintf(ret->id, sizeof(ret->id), "%s", id);
    ret->dir = cl_sys_openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (ret->dir >= 0 && locked)
        r = take_lock(ret->dir, id, err);
    if (r < 0)
        return r;
    r = ret->dir < 0 ? ret->dir : check_there(ret);
    if (r == -ENOENT)
        return cl_refuse(err, ENOENT, "container \"%s\" does not exist", id);
    if (r < 0)
        return cl_fail(err, r, "open the directory of container %s", id);
    return load_all(ret, err);
}

static int write_file(const struct cl_oci_container *container, const char *name,
                      const struct cl_bytes *bytes)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(container->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);

    return fd < 0 ? fd : cl_write_all(fd, bytes->data, bytes->size);
}

int cl_container_save(struct cl_oci_container *container, const struct cl_bytes *spec,
                      struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_CONTAINER_RECORD_MAX);
    int r = cl_flat_write(&cl_container_shape, &container->record, &buf, err);

    if (r < 0)
        return r;
    const struct cl_bytes record = {buf.data, buf.size};
    if (spec != NULL)
        r = write_file(container, "spec", spec);
    if (r == 0)
        r = write_file(container, container->record.pid == 0 ? "record" : "made", &record);
    return r < 0 ? cl_fail(err, r, "write the record of container %s", container->id) : 0;
}

int cl_container_remove(struct cl_oci_container *container, struct cl_error *err)
{
    int first = 0;

    for (size_t i = 0; i < CL_ARRAY_SIZE(files); i++) {
        int r = cl_sys_unlinkat(container->dir, files[i], 0);

        if (r < 0 && r != -ENOENT && first == 0)
            first = r;
    }
    int r = cl_sys_unlinkat(container->root, container->id, AT_REMOVEDIR);
    cl_fd_close(&container->dir);
    if (r == 0 || r == -ENOENT)
        return 0;
    return cl_fail(err, first < 0 ? first : r, "remove the directory of container %s",
                   container->id);
}

/* --- its process and cgroup
 * -------------------------------------------------------------------------- */

int cl_container_set_process(struct cl_oci_container *container, int pid, struct cl_error *err)
{
    struct cl_process_stat stat = {0};
    int r = cl_process_look(pid, &stat);

    if (r < 0)
        return cl_fail(err, r, "look at the container's first process");
    container->record.pid = (uint64_t)pid;
    container->record.start_ticks = stat.start_ticks;
    return 0;
}

/* 1, 0 or -errno. */
static int is_this_boot(const struct cl_oci_container *container)
{
    struct cl_error unused;
    char text[CL_BOOT_ID_SIZE];
    int r = cl_boot_id(text, &unused);

    return r < 0 ? r : strcmp(text, container->record.boot) == 0;
}

/* All of its threads: a process whose first one alone has ended is shown as a zombie, and lives.
 * 1, 0 or -errno. */
static int has_ended(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = cl_sys_poll(&ended, 1, 0);
    while (r == -EINTR);
    return r;
}

int cl_container_pidfd(const struct cl_oci_container *container)
{
    const struct cl_container_record *record = &container->record;
    struct cl_process_stat stat = {0};

    if (record->set == 0 || record->pid == 0)
        return -ESRCH;
    int r = is_this_boot(container);
    if (r <= 0)
        return r < 0 ? r : -ESRCH;
    CL_CLEANUP_FD int pidfd = cl_sys_pidfd_open((pid_t)record->pid);
    if (pidfd < 0)
        return pidfd == -EINVAL ? -ESRCH : pidfd;
    /* After the pidfd: what it has then is what the pidfd is of. */
    r = cl_process_look((int)record->pid, &stat);
    if (r == -ENOENT)
        r = -ESRCH;
    if (r == 0 && stat.start_ticks != record->start_ticks)
        r = -ESRCH;
    if (r == 0)
        r = has_ended(pidfd);
    if (r > 0)
        r = -ESRCH;
    return r < 0 ? r : CL_TAKE_FD(pidfd);
}

/* 1, 0 or -errno. */
static int has_begun(const struct cl_oci_container *container)
{
    struct stat st;
    int r = cl_sys_fstatat(container->dir, "start", &st, AT_SYMLINK_NOFOLLOW);

    return r < 0 && r != -ENOENT ? r : r == -ENOENT;
}

__attribute__((noinline)) /* its cgroup must not lie in its caller's frame */
static int
is_frozen(const struct cl_oci_container *container, struct cl_error *err)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct cl_error refusal;
    int r = cl_container_group(container, &group, &refusal);

    if (r == -ENOENT)
        return 0;
    if (r < 0) {
        *err = refusal;
        return r;
    }
    r = cl_group_is_frozen(&group);
    if (r == -ENOENT || r == -ENODEV) /* removed meanwhile */
        return 0;
    return r < 0 ? cl_fail(err, r, "see whether container %s is frozen", container->id) : r;
}

int cl_container_status(const struct cl_oci_container *container, struct cl_error *err)
{
    CL_CLEANUP_FD int pidfd = cl_container_pidfd(container);

    if (container->record.set == 0 || container->record.pid == 0) {
        int r = cl_sys_flock(container->dir, LOCK_EX | LOCK_NB);

        if (r < 0 && r != -EWOULDBLOCK)
            return cl_fail(err, r, "see whether container %s is being made", container->id);
        return r < 0 ? CL_CONTAINER_CREATING : CL_CONTAINER_STOPPED; /* who made it was killed */
    }
    if (pidfd == -ESRCH)
        return CL_CONTAINER_STOPPED;
    if (pidfd < 0)
        return cl_fail(err, pidfd, "look at the first process of container %s", container->id);
    int r = has_begun(container);
    if (r < 0)
        return cl_fail(err, r, "see whether container %s was started", container->id);
    if (r == 0)
        return CL_CONTAINER_CREATED;
    r = is_frozen(container, err);
    if (r < 0)
        return r;
    return r > 0 ? CL_CONTAINER_PAUSED : CL_CONTAINER_RUNNING;
}

const char *cl_container_status_name(int status)
{
    static const char *const names[] = {
        [CL_CONTAINER_CREATING] = "creating", [CL_CONTAINER_CREATED] = "created",
        [CL_CONTAINER_RUNNING] = "running",   [CL_CONTAINER_PAUSED] = "paused",
        [CL_CONTAINER_STOPPED] = "stopped",
    };

    return names[status];
}

void cl_container_place(const struct cl_oci_container *container, struct cl_group_place *ret)
{
    const struct cl_container_record *record = &container->record;

    *ret = (struct cl_group_place){.manager = CL_GROUP_NONE};
    if (record->set == 0)
        return;
    ret->manager = (enum cl_group_manager)record->manager;
    ret->layout = (enum cl_cgroup_layout)record->layout;
    ret->made = (uint32_t)record->made;
    (void)snprintf(ret->bases, sizeof(ret->bases), "%s", record->bases);
    (void)snprintf(ret->path, sizeof(ret->path), "%s", record->group); /* the shape bounds them */
    (void)snprintf(ret->slice, sizeof(ret->slice), "%s", record->slice);
    (void)snprintf(ret->unit, sizeof(ret->unit), "%s", record->unit);
}

void cl_container_set_place(struct cl_oci_container *container, const struct cl_group_place *place)
{
    struct cl_container_record *record = &container->record;

    record->manager = place->manager;
    record->layout = place->layout;
    record->made = place->made;
    record->group = place->path;
    record->bases = place->bases;
    record->slice = place->slice;
    record->unit = place->unit;
}

__attribute__((noinline)) /* its place must not lie in its caller's frame */
int cl_container_group(const struct cl_oci_container *container, struct cl_group *ret,
                       struct cl_error *err)
{
    struct cl_group_place place;

    cl_container_place(container, &place);
    if (place.manager == CL_GROUP_NONE)
        return cl_refuse(err, ENOENT, "container %s has no cgroup", container->id);
    return cl_group_open(&place, ret, err);
}

/* --- its beginning
 * --------------------------------------------------------------------------------------- */

/* A socket's name is short; the directory's descriptor stands for its path. */
static void name_socket(const struct cl_oci_container *container, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/start", container->dir);
}

int cl_container_listen(const struct cl_oci_container *container, struct cl_error *err)
{
    struct sockaddr_un address;
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_SEQPACKET, 0);

    if (fd < 0)
        return cl_fail(err, fd, "socket");
    name_socket(container, &address);
    int r = cl_sys_bind(fd, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = cl_sys_listen(fd, 4);
    return r < 0 ? cl_fail(err, r, "make the socket that start connects to") : CL_TAKE_FD(fd);
}

int cl_container_connect(const struct cl_oci_container *container, struct cl_error *err)
{
    struct sockaddr_un address;
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_SEQPACKET, 0);

    if (fd < 0)
        return cl_fail(err, fd, "socket");
    name_socket(container, &address);
    int r = cl_sys_connect(fd, (const struct sockaddr *)&address, sizeof(address));
    return r < 0 ? cl_fail(err, r, "connect to the first process of container %s", container->id)
                 : CL_TAKE_FD(fd);
}

int cl_container_forget_start(const struct cl_oci_container *container, struct cl_error *err)
{
    int r = cl_sys_unlinkat(container->dir, "start", 0);

    return r < 0 && r != -ENOENT
               ? cl_fail(err, r, "note that container %s has begun", container->id)
               : 0;
}

/* --- all of them
 * -------------------------------------------------------------------------------------------- */

int cl_runtime_walk(int root, int (*each)(void *context, const char *id, struct cl_error *err),
                    void *context, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(root, ".", O_RDONLY | O_DIRECTORY, 0);
    struct cl_dir entries;
    struct cl_error unused;
    const char *name;
    int r = 0;

    if (fd < 0)
        return cl_fail(err, fd, "open the runtime's root");
    cl_dir_start(&entries, fd);
    while ((r = cl_dir_next(&entries, &name, NULL)) > 0) {
        r = check_id(name, &unused) < 0 ? 0 : each(context, name, err);
        if (r != 0)
            return r;
    }
    return r < 0 ? cl_fail(err, r, "read the runtime's root") : 0;
}
