/* Containers that are modules: cloisterd has them, and containerd is told to speak with that. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/containerd-shim-cloister-v2/shim.h"
#include "containerd/wall.h"

/* Where it listens for tasks, unless the variable CLOISTERD_TASKS says else. */
static const char usual_place[] = "/run/cloisterd/tasks.sock";

enum { OPTIONS_MOST = 64 << 10, PATIENCE_MS = 200 };

/* The CRI's for runtimes that aren't runc: what its configuration has of options. */
struct options {
    const char *body;
};
static const struct cl_wire_field options_rows[] = {CL_WIRE_ROW(3, TEXT, options, body)};
static const struct cl_wire_shape options_shape = CL_WIRE_SHAPE("Options", options, options_rows);

/* containerd writes the runtime's options to standard input, a pipe, and closes it; anybody else's
 * pipe isn't waited for. */
static int read_options(struct cl_buf *ret)
{
    struct pollfd polled = {.fd = 0, .events = POLLIN};
    struct stat st;
    char bytes[4096];
    ssize_t size = 1;

    if (cl_sys_fstat(0, &st) < 0 || !S_ISFIFO(st.st_mode))
        return 0;
    while (size > 0 && cl_sys_poll(&polled, 1, PATIENCE_MS) > 0) {
        size = cl_sys_read(0, bytes, sizeof(bytes));
        if (size > 0 && cl_buf_add(ret, bytes, (size_t)size) < 0)
            return -E2BIG;
    }
    return 0;
}

/* What is no options of the CRI says nothing of walls. */
static int take_options(struct cl_arena *arena, enum cl_pod_wall *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf bytes = CL_BUF_INIT(OPTIONS_MOST);
    struct options options = {.body = ""};
    struct cl_msg_any any = {0};
    struct cl_error ignored;

    if (read_options(&bytes) < 0 || bytes.size == 0 ||
        cl_wire_read(&cl_msg_any_shape, &(struct cl_bytes){bytes.data, bytes.size}, arena, &any,
                     &ignored) < 0 ||
        strstr(any.type_url, "runtimeoptions.v1.Options") == NULL)
        return 0;
    int r = cl_wire_read(&options_shape, &any.value, arena, &options, err);
    return r < 0 ? r : cl_wall_of_options(options.body, ret, err);
}

static int choose(const struct cl_spec *spec, struct cl_arena *arena, enum cl_pod_wall *ret,
                  struct cl_error *err)
{
    const char *kind = cl_spec_annotation(spec, "io.kubernetes.cri.container-type");
    const struct cl_msg_pair wall = {"run.cloister.wall",
                                     cl_spec_annotation(spec, "run.cloister.wall")};

    *ret = CL_POD_CONTAINER;
    if (kind != NULL && strcmp(kind, "sandbox") == 0)
        return 0; /* what holds a pod is no module */
    int r = take_options(arena, ret, err);
    return r < 0 || wall.value == NULL ? r
                                       : cl_wall_of_pod(&(struct cl_wire_list){&wall, 1}, ret, err);
}

int cl_shim_find_daemon(const struct cl_spec *spec, struct cl_arena *arena,
                        char ret[CL_SHIM_SOCKET], struct cl_error *err)
{
    const char *place = getenv("CLOISTERD_TASKS"); // NOLINT(concurrency-mt-unsafe): one thread
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    enum cl_pod_wall wall;
    int r = choose(spec, arena, &wall, err);

    if (r < 0 || wall != CL_POD_WASM)
        return r;
    if (place == NULL)
        place = usual_place;
    if (snprintf(ret, CL_SHIM_SOCKET, "%s", place) >= CL_SHIM_SOCKET)
        return cl_refuse(err, ENAMETOOLONG, "CLOISTERD_TASKS: %.120s is too long", place);
    memcpy(address.sun_path, ret, strlen(ret) + 1);
    if (!cl_shim_can_connect(&address))
        return cl_refuse(err, ECONNREFUSED,
                         "the wall wasm: cloisterd, who has modules, doesn't answer at %s", place);
    return 1;
}
