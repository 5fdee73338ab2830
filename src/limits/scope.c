#include "limits/scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/helper.h"

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

int cl_scope_enter(const char *id, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf answer = CL_BUF_INIT(CL_ERROR_MSG_SIZE);
    const int is_root = geteuid() == 0;
    char directory[VARIABLE_SIZE];
    char address[VARIABLE_SIZE];
    char pid[16];
    char *environment[3] = {NULL, NULL, NULL};
    size_t count = 0;
    const struct cl_helper_call call = {
        .args = {"scope", id, is_root ? "system" : "user", pid},
        .subject = "systemd",
        .timeout_ns = SCOPE_S * CL_NS_PER_S,
        .environment = environment,
    };
    struct cl_helper helper;

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    if (!is_root && take_variable("XDG_RUNTIME_DIR", directory))
        environment[count++] = directory;
    if (!is_root && take_variable("DBUS_SESSION_BUS_ADDRESS", address))
        environment[count] = address;
    int r = cl_helper_find(NULL, "cloister-systemd", &helper, err);
    if (r == 0)
        r = cl_helper_run(&helper, &call, &answer, err);
    return r < 0 ? cl_hint(err, "--cgroup-manager cgroupfs asks no systemd") : 0;
}
