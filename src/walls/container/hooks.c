/* Hooks: programs of the engine's that run at points of a container's life, with its state on their
 * standard input (OCI runtime specification, config.md, "POSIX-platform Hooks"). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/sys.h"
#include "walls/container/bundle.h"

enum { SAID_MOST = 300 }; /* bytes of what a hook says that stand in a message */

void cl_bundle_add_state(const struct cl_bundle_state *state, const char *key, struct cl_json *json)
{
    const struct cl_strlist *annotations = &state->spec->annotations;

    cl_json_object(json, key);
    cl_json_string(json, "ociVersion", CL_SPEC_OURS);
    cl_json_string(json, "id", state->id);
    cl_json_string(json, "status", state->status);
    if (state->pid > 0)
        cl_json_u64(json, "pid", (uint64_t)state->pid);
    cl_json_string(json, "bundle", state->path);
    if (annotations->count > 0) {
        cl_json_object(json, "annotations");
        for (size_t i = 0; i + 1 < annotations->count; i += 2)
            cl_json_string(json, annotations->items[i], annotations->items[i + 1]);
        cl_json_close(json, '}');
    }
    cl_json_close(json, '}');
}

int cl_bundle_write_state(const struct cl_bundle_state *state, struct cl_buf *ret,
                          struct cl_error *err)
{
    struct cl_json json;

    cl_json_begin(&json, ret, 0);
    cl_bundle_add_state(state, NULL, &json);
    int r = cl_json_end(&json);
    return r < 0 ? cl_fail(err, r, "write the container's state") : 0;
}

/* Until HOOK has ended: 0, or -ETIMEDOUT when its time was over and it has been killed. */
static int wait_for(struct cl_child *child, const struct cl_spec_hook *hook, siginfo_t *ret,
                    struct cl_error *err)
{
    const uint64_t until_ns = cl_clock_boot_ns() + (uint64_t)hook->timeout_s * CL_NS_PER_S;
    struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
    int r = hook->timeout_s == 0;

    while (r == 0) {
        const uint64_t now_ns = cl_clock_boot_ns();
        const uint64_t left_ms = now_ns < until_ns ? (until_ns - now_ns) / 1000000 + 1 : 0;

        r = cl_sys_poll(&ended, 1, (int)cl_min_u64(left_ms, 1000000));
        if (r == -EINTR)
            r = 0;
        if (r == 0 && cl_clock_boot_ns() >= until_ns)
            r = -ETIMEDOUT;
    }
    if (r == -ETIMEDOUT)
        return cl_refuse(err, ETIMEDOUT, "didn't end in its time, %u s, and was killed",
                         hook->timeout_s);
    return r < 0 ? cl_fail(err, r, "wait for it") : cl_child_wait(child, ret, err);
}

/* Its first line, for a message. */
static void add_said(int said, struct cl_error *err)
{
    char text[SAID_MOST + 1];
    ssize_t size = cl_sys_pread(said, text, SAID_MOST, 0);

    if (size <= 0)
        return;
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    (void)cl_hint(err, "it says: %s", text);
    (void)cl_error_check(err); /* nothing that steers a terminal */
}

static int judge(const siginfo_t *ended, struct cl_error *err)
{
    if (ended->si_code == CLD_EXITED && ended->si_status == 0)
        return 0;
    if (ended->si_code == CLD_EXITED)
        return cl_refuse(err, ECANCELED, "ended with status %d", ended->si_status);
    return cl_refuse(err, ECANCELED, "was ended by signal %d", ended->si_status);
}

static int run(const struct cl_spec_hook *hook, const struct cl_buf *state, struct cl_error *err)
{
    const size_t count = hook->args.count + hook->env.count + 3;
    CL_CLEANUP_FREE char **argv = cl_calloc(count, sizeof(*argv));
    CL_CLEANUP_FD int input = cl_helper_memory_file(state, err);
    CL_CLEANUP_FD int said = cl_sys_memfd_create("hook", 1 /* MFD_CLOEXEC */);
    CL_CLEANUP_FD int null = cl_sys_openat(AT_FDCWD, "/dev/null", O_WRONLY, 0);
    CL_CLEANUP_CHILD struct cl_child child = CL_CHILD_INIT;
    siginfo_t ended = {0};

    if (argv == NULL)
        return cl_fail_memory(err);
    if (input < 0)
        return input;
    if (said < 0)
        return cl_fail(err, said, "make a file for what it says");
    char **envp = cl_vector_fill(argv, &hook->args);
    if (hook->args.count == 0) {
        argv[0] = cl_unconst(hook->path);
        envp = argv + 2;
    }
    (void)cl_vector_fill(envp, &hook->env);
    const int fds[] = {input, null, said};
    const struct cl_child_start start = {
        .path = hook->path, .argv = argv, .envp = envp, .fds = fds, .fd_count = 3, .cwd = -1};
    int r = cl_child_start(&start, &child, err);
    if (r == 0)
        r = wait_for(&child, hook, &ended, err);
    if (r == 0)
        r = judge(&ended, err);
    if (r < 0)
        add_said(said, err);
    return r;
}

int cl_bundle_hooks(const struct cl_spec *spec, enum cl_hook_kind kind, const struct cl_buf *state,
                    struct cl_error *err)
{
    size_t number = 0;
    int r = 0;

    for (size_t i = 0; i < spec->hooks.count; i++) {
        const struct cl_spec_hook *hook = &spec->hooks.items[i];

        if (hook->kind != kind)
            continue;
        if (run(hook, state, err) < 0)
            r = cl_prefix(err, "hooks.%s[%zu] (%s)", cl_hook_name(kind), number, hook->path);
        if (r < 0 && kind != CL_HOOK_POSTSTOP)
            break;
        number++;
    }
    return r;
}
