#include "limits/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/sys.h"

enum { SCOPE_S = 20, VARIABLE_SIZE = 512 };

/* Where an ordinary user's bus is: the helper's environment has nothing else. */
static int take_variable(const char *name, char ret[VARIABLE_SIZE])
{
    const char *value = getenv(name);

    if (value == NULL)
        return 0;
    const int size = snprintf(ret, VARIABLE_SIZE, "%s=%s", name, value);
    return size > 0 && size < VARIABLE_SIZE;
}

int cl_is_host_root(void)
{
    /* every id is itself: user_namespaces(7), "User and group ID mappings" */
    static const char whole[] = "         0          0 4294967295\n";
    char map[sizeof(whole) + 1];

    if (geteuid() != 0)
        return 0;
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, "/proc/self/uid_map", O_RDONLY, 0);
    const ssize_t got = fd < 0 ? fd : cl_sys_read(fd, map, sizeof(map));
    if (got < 0)
        return 1; /* a kernel without user namespaces, or unknown: what is refused is told */
    return (size_t)got == sizeof(whole) - 1 && memcmp(map, whole, sizeof(whole) - 1) == 0;
}

/* Asks the helper; CALL has the rest. */
static int ask(const struct cl_helper_call *call, int is_root, struct cl_error *err)
{
    struct cl_helper_call whole = *call;
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(CL_ERROR_MSG_SIZE);
    char directory[VARIABLE_SIZE];
    char address[VARIABLE_SIZE];
    char *environment[3] = {NULL, NULL, NULL};
    size_t count = 0;
    struct cl_helper helper;

    if (!is_root && take_variable("XDG_RUNTIME_DIR", directory))
        environment[count++] = directory;
    if (!is_root && take_variable("DBUS_SESSION_BUS_ADDRESS", address))
        environment[count] = address;
    whole.subject = "systemd";
    whole.timeout_ns = SCOPE_S * CL_NS_PER_S;
    whole.environment = environment;
    int r = cl_helper_find(NULL, "cloister-systemd", &helper, err);
    if (r == 0)
        r = cl_helper_run(&helper, &whole, &answer, err);
    return r < 0 ? cl_hint(err, "--cgroup-manager cgroupfs asks no systemd") : 0;
}

int cl_scope_enter(const char *id, struct cl_error *err)
{
    const int is_root = geteuid() == 0;
    char pid[16];
    const struct cl_helper_call call = {.args = {"scope", id, is_root ? "system" : "user", pid}};

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    return ask(&call, is_root, err);
}

int cl_unit_start(pid_t pid, const struct cl_buf *input, struct cl_error *err)
{
    const int is_root = cl_is_host_root();
    char text[16];
    const struct cl_helper_call call = {.args = {"unit", is_root ? "system" : "user", text},
                                        .inputs = {input}};

    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    return ask(&call, is_root, err);
}

int cl_unit_set(const struct cl_buf *input, struct cl_error *err)
{
    const int is_root = cl_is_host_root();
    const struct cl_helper_call call = {.args = {"set", is_root ? "system" : "user"},
                                        .inputs = {input}};

    return ask(&call, is_root, err);
}
