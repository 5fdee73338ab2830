/* start and delete: what containerd runs a shim's program for, besides the shim itself. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/num.h"
#include "base/sha256.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/calls.h"
#include "cmd/containerd-shim-cloister-v2/pod.h"
#include "plan/spec.h"

enum {
    ANSWER_MOST = 2048,
    NAME_CHARS = 32,
    BACKLOG = 128,
    SOCKET_PATH = CL_SHIM_SOCKET,
};

static const char *variable(const char *name)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): one thread

    return value == NULL ? "" : value;
}

/* --- places -------------------------------------------------------------------------------- */

/* Ours alone: mode 0700. */
static int runtime_dir(const char *name, char ret[CL_SHIM_PATH], struct cl_error *err)
{
    const char *own = variable("XDG_RUNTIME_DIR");
    const char *parent = geteuid() == 0 ? "/run" : own;

    if (parent[0] != '/')
        return cl_refuse(err, EINVAL, "XDG_RUNTIME_DIR names no directory of this user's");
    if (snprintf(ret, CL_SHIM_PATH, "%s/cloister-shim/%s", parent, name) >= CL_SHIM_PATH)
        return cl_refuse(err, ENAMETOOLONG, "the name of a place of the shim's is too long");
    int r = cl_dir_make_path(ret, 0700, 0700);
    return r < 0 ? cl_fail(err, r, "make %s", ret) : 0;
}

int cl_shim_state_path(const char *space, char ret[CL_SHIM_PATH], struct cl_error *err)
{
    char name[CL_SHIM_ID_MOST + 16];

    (void)snprintf(name, sizeof(name), "runtime/%s", space);
    return runtime_dir(name, ret, err);
}

void cl_shim_forget_state(const char *path)
{
    (void)cl_sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR); /* others may have theirs there */
}

/* Of a group in a namespace of one containerd: the same for all who ask. */
static int socket_path(const struct cl_shim_options *options, const char *group,
                       char ret[SOCKET_PATH], struct cl_error *err)
{
    const char *const words[] = {options->address == NULL ? "" : options->address, options->space,
                                 group};
    char hex[CL_SHA256_HEX_SIZE];
    char dir[CL_SHIM_PATH];
    struct cl_sha256 hash;
    int r = runtime_dir("s", dir, err);

    if (r < 0)
        return r;
    cl_sha256_init(&hash);
    for (size_t i = 0; i < CL_ARRAY_SIZE(words); i++)
        cl_sha256_add(&hash, words[i], strlen(words[i]) + 1);
    cl_sha256_final_hex(&hash, hex);
    if (snprintf(ret, SOCKET_PATH, "%s/%.*s", dir, NAME_CHARS, hex) >= SOCKET_PATH)
        return cl_refuse(err, ENAMETOOLONG, "%s is too long for a socket's name", dir);
    return 0;
}

/* --- which group --------------------------------------------------------------------------- */

/* The pod's, where the container is in one. */
static int find_group(const struct cl_shim_options *options, const struct cl_spec *spec,
                      const char **ret, struct cl_error *err)
{
    const char *pod = cl_spec_annotation(spec, "io.kubernetes.cri.sandbox-id");

    *ret = pod == NULL ? options->id : pod;
    return pod == NULL ? 0 : cl_containerd_check_id(pod, "io.kubernetes.cri.sandbox-id", err);
}

/* config.json, which the helper reads: of a sandbox there may be none. */
static int read_config(struct cl_arena *arena, struct cl_spec *ret, struct cl_error *err)
{
    struct cl_bytes bytes;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "config.json", O_RDONLY | O_NOCTTY, 0);
    const struct cl_spec_document document = {
        .kind = CL_SPEC_CONFIG, .fd = fd, .name = "config.json"};

    if (fd == -ENOENT)
        return 0;
    return fd < 0 ? cl_fail(err, fd, "open the bundle's config.json")
                  : cl_spec_load(&document, arena, ret, &bytes, err);
}

/* --- the shim's socket --------------------------------------------------------------------- */

int cl_shim_can_connect(const struct sockaddr_un *address)
{
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && cl_sys_connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

/* One that listens, or -EADDRINUSE: somebody does already. */
static int listen_at(const char *path, struct cl_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (cl_shim_can_connect(&address))
        return -EADDRINUSE;
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return cl_fail(err, fd, "make a socket");
    (void)cl_sys_unlinkat(AT_FDCWD, path, 0); /* of one that is dead */
    int r = cl_sys_bind(fd, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = cl_sys_listen(fd, BACKLOG);
    return r < 0 ? cl_fail(err, r, "listen at %s", path) : CL_TAKE_FD(fd);
}

/* Who starts the shim of a group holds this while he looks for one. */
static int lock_sockets(const char *path, struct cl_error *err)
{
    char name[SOCKET_PATH + 8];

    (void)snprintf(name, sizeof(name), "%.*s/lock", (int)(strrchr(path, '/') - path), path);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    int r = fd < 0 ? fd : cl_sys_flock(fd, LOCK_EX);
    return r < 0 ? cl_fail(err, r, "lock %s", name) : CL_TAKE_FD(fd);
}

/* What it says goes to containerd, where that listens. */
static int open_log(void)
{
    int fd = cl_sys_openat(AT_FDCWD, "log", O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);

    return fd >= 0 ? fd : cl_sys_openat(AT_FDCWD, "/dev/null", O_WRONLY, 0);
}

static int start_shim(int socket, char *const argv[], struct cl_error *err)
{
    enum { WORDS = 32 };
    char *words[WORDS];
    size_t count = 0;
    struct cl_child child = CL_CHILD_INIT;
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    CL_CLEANUP_FD int log = open_log();
    const int fds[] = {null, null, log, socket};
    const struct cl_child_start start = {.path = "/proc/self/exe",
                                         .argv = words,
                                         .envp = environ,
                                         .fds = fds,
                                         .fd_count = CL_ARRAY_SIZE(fds),
                                         .cwd = -1};

    if (null < 0 || log < 0)
        return cl_fail(err, null < 0 ? null : log, "open /dev/null");
    while (argv[count] != NULL && count < WORDS - 1) {
        words[count] = argv[count];
        count++;
    }
    words[count] = NULL;
    words[count - 1] = cl_unconst("serve"); /* was "start" */
    int r = cl_child_start(&start, &child, err);
    if (r == 0)
        cl_fd_close(&child.pidfd); /* it lives on */
    return r;
}

/* --- what containerd is told --------------------------------------------------------------- */

/* By a file, too, which those before 1.7 read when they come back. */
static int write_address(const char *address, struct cl_error *err)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, ".address", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? fd : cl_write_all(fd, address, strlen(address));

    if (r == 0)
        r = cl_sys_renameat(AT_FDCWD, ".address", AT_FDCWD, "address");
    return r < 0 ? cl_fail(err, r, "write the bundle's address") : 0;
}

static int print_address(const char *address, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(ANSWER_MOST);
    struct cl_json json;
    uint64_t version = 0;
    int r;

    if (cl_parse_u64(variable("MAX_SHIM_VERSION"), &version) < 0 || version < 2) {
        r = cl_buf_add_str(&out, address);
    } else {
        cl_json_begin(&json, &out, 0);
        cl_json_object(&json, NULL);
        cl_json_u64(&json, "version", cl_min_u64(version, 3));
        cl_json_string(&json, "address", address);
        cl_json_string(&json, "protocol", "ttrpc");
        cl_json_close(&json, '}');
        r = cl_json_end(&json);
    }
    if (r == 0)
        r = cl_write_all(1, out.data, out.size);
    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}

static int tell_address(const char *path, struct cl_error *err)
{
    char address[SOCKET_PATH + 8];

    (void)snprintf(address, sizeof(address), "unix://%s", path);
    int r = write_address(address, err);
    return r < 0 ? r : print_address(address, err);
}

int cl_shim_start(const struct cl_shim_options *options, char *const argv[], struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4UL * CL_SPEC_MAX_SIZE);
    struct cl_spec spec = {0};
    const char *group;
    char path[SOCKET_PATH];
    int r = read_config(&arena, &spec, err);

    if (r == 0)
        r = cl_shim_find_daemon(&spec, &arena, path, err);
    if (r != 0)
        return r < 0 ? r : tell_address(path, err); /* it is cloisterd's */
    r = find_group(options, &spec, &group, err);
    if (r == 0)
        r = socket_path(options, group, path, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int lock = lock_sockets(path, err);
    if (lock < 0)
        return lock;
    CL_CLEANUP_FD int socket = listen_at(path, err);
    if (socket < 0 && socket != -EADDRINUSE)
        return socket;
    if (socket >= 0)
        r = start_shim(socket, argv, err);
    return r < 0 ? r : tell_address(path, err);
}

/* --- delete -------------------------------------------------------------------------------- */

/* What is left of a container whose shim is dead. */
static int remove_container(const struct cl_shim_options *options, char *state,
                            struct cl_error *err)
{
    struct cl_helper runtime;
    siginfo_t info;
    int r = cl_helper_find(NULL, "cloister-oci", &runtime, err);

    if (r < 0)
        return r;
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
    char *words[] = {
        cl_unconst("cloister-oci"), cl_unconst("--root"),    state, cl_unconst("delete"),
        cl_unconst("--force"),      cl_unconst(options->id), NULL};
    const int fds[] = {null, null, STDERR_FILENO};
    const struct cl_child_start start = {.path = runtime.path,
                                         .argv = words,
                                         .envp = environ,
                                         .fds = fds,
                                         .fd_count = CL_ARRAY_SIZE(fds),
                                         .cwd = -1};
    r = cl_child_start(&start, &child, err);
    if (r == 0)
        r = cl_child_wait(&child, &info, err);
    if (r == 0 && (info.si_code != CLD_EXITED || info.si_status != 0))
        return cl_refuse(err, EIO, "cloister-oci could not delete %s", options->id);
    return r;
}

/* That of a group, which has its first container's name. */
static void remove_socket(const struct cl_shim_options *options)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[SOCKET_PATH];
    struct cl_error ignored;

    if (socket_path(options, options->id, path, &ignored) < 0)
        return;
    CL_CLEANUP_FD int lock = lock_sockets(path, &ignored);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (lock >= 0 && !cl_shim_can_connect(&address))
        (void)cl_sys_unlinkat(AT_FDCWD, path, 0); /* gone is fine */
}

int cl_shim_delete(const struct cl_shim_options *options, struct cl_error *err)
{
    const struct cl_msg_time now = cl_msg_time_of(cl_clock_wall_ns());
    struct cl_msg_deleted deleted = {.exit_status = 128 + SIGKILL, .exited_at = &now};
    char state[CL_SHIM_PATH];
    struct cl_error ignored;
    pid_t pid = 0;
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(ANSWER_MOST);

    if (options->bundle != NULL && options->bundle[0] != '\0' && chdir(options->bundle) < 0)
        return cl_fail(err, -errno, "enter the bundle %.200s", options->bundle);
    (void)cl_shim_read_pid(".", "init", &pid, &ignored); /* maybe it never came so far */
    deleted.pid = (uint32_t)pid;
    int r = cl_shim_state_path(options->space, state, err);
    if (r == 0)
        r = remove_container(options, state, err);
    cl_bundle_unmount(".");
    cl_pod_remove_files(".");
    if (r < 0)
        return r;
    remove_socket(options);
    cl_shim_forget_state(state);
    r = cl_wire_write(&cl_msg_deleted_shape, &deleted, &out);
    if (r == 0)
        r = cl_write_all(1, cl_buf_text(&out), out.size);
    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}
