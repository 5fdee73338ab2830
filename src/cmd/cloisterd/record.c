/* Pods as they are written down: a file each, STATE/pods/SPACE,ID, in protocol buffers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloisterd/daemon.h"

enum { RECORD_MOST = 2 << 20, NAME_SIZE = 2 * CL_CONTAINERD_ID_MOST + 2 };

struct record {
    const char *space;
    const char *id;
    const char *tenant;
    uint64_t created_ns;
    uint64_t exited_ns;
    uint32_t is_started;
    uint32_t wall; /* enum cl_pod_wall */
    const char *shim;
    struct cl_bytes plan;
};
static const struct cl_wire_field rows[] = {
    CL_WIRE_ROW(1, TEXT, record, space),    CL_WIRE_ROW(2, TEXT, record, id),
    CL_WIRE_ROW(3, TEXT, record, tenant),   CL_WIRE_ROW(4, U64, record, created_ns),
    CL_WIRE_ROW(5, U64, record, exited_ns), CL_WIRE_ROW(6, U32, record, is_started),
    CL_WIRE_ROW(7, U32, record, wall),      CL_WIRE_ROW(8, TEXT, record, shim),
    CL_WIRE_ROW(9, BYTES, record, plan),
};
static const struct cl_wire_shape shape = CL_WIRE_SHAPE("a pod's record", record, rows);

static int open_pods(const struct cl_daemon *daemon)
{
    char path[CL_BUNDLE_PATH];

    (void)snprintf(path, sizeof(path), "%s/pods", daemon->options->state);
    int r = cl_dir_make_path(path, 0700, 0700);
    return r < 0 ? r : cl_sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

static void name_of(const struct cl_pod *pod, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "%s,%s", pod->space, pod->id);
}

static int write_file(int dir, const char *name, const struct cl_buf *bytes)
{
    CL_CLEANUP_FD int fd =
        cl_sys_openat(dir, ",new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? fd : cl_write_all(fd, bytes->data, bytes->size);

    if (r == 0)
        r = cl_sys_renameat(dir, ",new", dir, name);
    if (r < 0 && fd >= 0)
        (void)cl_sys_unlinkat(dir, ",new", 0); /* nobody reads it, but it takes room */
    return r;
}

int cl_pod_record(const struct cl_pod *pod, struct cl_error *err)
{
    const struct record record = {
        pod->space,          pod->id,        pod->tenant,
        pod->created_ns,     pod->exited_ns, (uint32_t)pod->is_started,
        (uint32_t)pod->wall, pod->shim,      {pod->plan.data, pod->plan.size}};
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(RECORD_MOST);
    CL_CLEANUP_FD int dir = open_pods(pod->daemon);
    char name[NAME_SIZE];
    int r = dir < 0 ? dir : cl_wire_write(&shape, &record, &bytes);

    name_of(pod, name);
    if (r == 0)
        r = write_file(dir, name, &bytes);
    return r < 0 ? cl_fail(err, r, "write down the pod %s", pod->id) : 0;
}

void cl_pod_unrecord(const struct cl_pod *pod)
{
    CL_CLEANUP_FD int dir = open_pods(pod->daemon);
    char name[NAME_SIZE];

    name_of(pod, name);
    if (dir >= 0)
        (void)cl_sys_unlinkat(dir, name, 0); /* gone is fine */
}

static int take_record(struct cl_daemon *daemon, const struct cl_bytes *bytes, struct cl_error *err)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(4UL * RECORD_MOST);
    struct record record = {0};
    int r = cl_wire_read(&shape, bytes, &arena, &record, err);

    if (r == 0)
        r = cl_containerd_check_id(record.space, "its namespace", err);
    if (r == 0)
        r = cl_containerd_check_id(record.id, "its id", err);
    if (r < 0)
        return r;
    struct cl_pod *pod = cl_pod_new(daemon, record.space, record.id, err);
    if (pod == NULL)
        return -ENOMEM;
    (void)snprintf(pod->tenant, sizeof(pod->tenant), "%s", record.tenant);
    pod->created_ns = record.created_ns;
    pod->exited_ns = record.exited_ns;
    pod->is_started = record.is_started != 0;
    pod->wall = record.wall == CL_POD_WASM ? CL_POD_WASM : CL_POD_CONTAINER;
    (void)snprintf(pod->shim, sizeof(pod->shim), "%s", record.shim);
    pod->plan = CL_BUF_INIT(RECORD_MOST);
    r = cl_buf_add(&pod->plan, record.plan.data, record.plan.size);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int load_one(struct cl_daemon *daemon, int dir, const char *name, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(RECORD_MOST);

    if (fd < 0)
        return cl_fail(err, fd, "open it");
    int r = cl_read_all(fd, name, &bytes, err);
    return r < 0 ? r
                 : take_record(daemon, &(struct cl_bytes){cl_buf_text(&bytes), bytes.size}, err);
}

int cl_daemon_load_pods(struct cl_daemon *daemon, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = open_pods(daemon);
    struct cl_dir dir;
    const char *name;
    int r;

    if (fd < 0)
        return cl_fail(err, fd, "open %s/pods", daemon->options->state);
    cl_dir_start(&dir, fd);
    while ((r = cl_dir_next(&dir, &name, NULL)) == 1) {
        struct cl_error why = {0};

        if (name[0] != ',' && load_one(daemon, fd, name, &why) < 0)
            cl_daemon_say(name, &why); /* the others are there all the same */
    }
    return r < 0 ? cl_fail(err, r, "list %s/pods", daemon->options->state) : 0;
}
