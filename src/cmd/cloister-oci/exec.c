/* exec: one more command in a running container. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/seal.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"
#include "plan/capability.h"

enum { LIST_MOST = 4096 };

/* What the command line says of the process; lists in the order of their options. */
struct exec_context {
    const char *process;
    const char *pid_file;
    const char *console;
    const char *user;
    const char *cwd;
    const char *apparmor;
    const char *label;
    unsigned int preserved;
    int detach;
    int tty;
    int no_new_privileges;
    int ignore_paused;
    uint64_t capabilities;
    size_t env_count;
    size_t group_count;
    const char *env[LIST_MOST];
    uint32_t groups[LIST_MOST];
};

static int add_env(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                   struct cl_error *err)
{
    struct exec_context *context = data;

    if (strchr(value, '=') == NULL)
        return cl_refuse(err, EINVAL, "expected NAME=VALUE, got \"%.100s\"", value);
    if (context->env_count == LIST_MOST)
        return cl_refuse(err, E2BIG, "more than %d of them", LIST_MOST);
    context->env[context->env_count++] = value;
    return 0;
}

static int add_capability(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                          struct cl_error *err)
{
    struct exec_context *context = data;
    int number = cl_capability_by_name(value);

    if (number < 0)
        return cl_refuse(err, EINVAL, "\"%.40s\" is no capability", value);
    context->capabilities |= 1ULL << number;
    return 0;
}

static int add_group(void *data, CL_UNUSED const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    struct exec_context *context = data;
    uint64_t number = 0;

    if (cl_parse_u64(value, &number) < 0 || number >= UINT32_MAX)
        return cl_refuse(err, EINVAL, "expected a group's number, got \"%.40s\"", value);
    if (context->group_count == LIST_MOST)
        return cl_refuse(err, E2BIG, "more than %d of them", LIST_MOST);
    context->groups[context->group_count++] = (uint32_t)number;
    return 0;
}

static const struct cl_option options[] = {
    CL_OCI_TEXT(exec_context, "process", 'p', "FILE", "the process as JSON, in place of words",
                process),
    CL_OCI_FLAG(exec_context, "detach", 'd', "return when it has started", detach),
    CL_OCI_FLAG(exec_context, "tty", 't', "with a terminal of the container's", tty),
    CL_OCI_TEXT(exec_context, "pid-file", 0, "FILE", "gets the process's number", pid_file),
    CL_OCI_TEXT(exec_context, "console-socket", 0, "PATH", "gets the master of its terminal",
                console),
    CL_OCI_TEXT(exec_context, "user", 'u', "UID[:GID]", "as whom, by number", user),
    CL_OCI_TEXT(exec_context, "cwd", 0, "DIR", "its working directory", cwd),
    {"env", 'e', "NAME=VALUE", "one more variable", add_env, 0, NULL},
    {"cap", 'c', "CAPABILITY", "one more capability", add_capability, 0, NULL},
    {"additional-gids", 'g', "GID", "one more group", add_group, 0, NULL},
    CL_OCI_COUNT(exec_context, "preserve-fds", "descriptors from 3 on that are passed on",
                 preserved),
    CL_OCI_TEXT(exec_context, "apparmor", 0, "PROFILE", "its AppArmor profile", apparmor),
    CL_OCI_TEXT(exec_context, "process-label", 0, "LABEL", "its SELinux label", label),
    CL_OCI_FLAG(exec_context, "no-new-privs", 0, "it can gain no privilege", no_new_privileges),
    CL_OCI_FLAG(exec_context, "ignore-paused", 0, "in a paused container it waits", ignore_paused),
    CL_OCI_HELP,
};

/* --- the process -------------------------------------------------------------------------------
 */

static int set_user(struct cl_spec *process, const char *text, struct cl_error *err)
{
    char uid[16];
    const size_t size = strcspn(text, ":");
    uint64_t numbers[2] = {0, process->gid};

    if (size < sizeof(uid)) {
        memcpy(uid, text, size);
        uid[size] = '\0';
    }
    if (size >= sizeof(uid) || cl_parse_u64(uid, &numbers[0]) < 0 || numbers[0] >= UINT32_MAX ||
        (text[size] == ':' &&
         (cl_parse_u64(text + size + 1, &numbers[1]) < 0 || numbers[1] >= UINT32_MAX)))
        return cl_refuse(err, EINVAL, "exec: --user: expected UID[:GID] by number, got \"%.60s\"",
                         text);
    process->uid = numbers[0];
    process->gid = numbers[1];
    return 0;
}

static int append_env(struct cl_spec *process, const struct exec_context *context,
                      struct cl_arena *arena)
{
    const size_t count = process->env.count + context->env_count;
    const char **items = cl_arena_array(arena, count + 1, sizeof(*items));

    if (items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < process->env.count; i++)
        items[i] = process->env.items[i];
    for (size_t i = 0; i < context->env_count; i++)
        items[process->env.count + i] = context->env[i];
    process->env = (struct cl_strlist){items, count};
    return 0;
}

/* The container's own process, with what the command line has in place of it. Its first
 * capabilities are what root has; another user gets none but those that are named. */
static int compose(const struct exec_context *context, const struct cl_strlist *words,
                   struct cl_oci_container *container, struct cl_spec *ret, struct cl_error *err)
{
    struct cl_spec process = container->spec;
    int r = 0;

    process.args = *words;
    process.terminal = (uint64_t)context->tty;
    process.rows = 0;
    process.columns = 0;
    process.set &= ~(CL_SPEC_BIT(CL_SPEC_ROWS) | CL_SPEC_BIT(CL_SPEC_COLUMNS));
    if (context->user != NULL)
        r = set_user(&process, context->user, err);
    if (r < 0)
        return r;
    if (context->cwd != NULL) {
        process.cwd = context->cwd;
        cl_spec_mark(&process, CL_SPEC_CWD);
    }
    if (process.cwd == NULL || process.cwd[0] != '/')
        return cl_refuse(err, EINVAL, "exec: --cwd: expected an absolute path");
    if (context->no_new_privileges)
        process.no_new_privileges = 1;
    if (context->apparmor != NULL) {
        process.apparmor = context->apparmor;
        cl_spec_mark(&process, CL_SPEC_APPARMOR);
    }
    if (context->label != NULL) {
        process.selinux = context->label;
        cl_spec_mark(&process, CL_SPEC_SELINUX);
    }
    process.bounding |= context->capabilities;
    process.effective |= context->capabilities;
    process.permitted |= context->capabilities;
    if (context->group_count > 0)
        process.groups = (struct cl_numbers){context->groups, context->group_count};
    if (append_env(&process, context, &container->arena) < 0)
        return cl_fail_memory(err);
    *ret = process;
    return 0;
}

static int load(const struct exec_context *context, struct cl_oci_container *container,
                struct cl_spec *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, context->process, O_RDONLY | O_NOCTTY, 0);
    const struct cl_spec_document document = {
        .kind = CL_SPEC_PROCESS, .fd = fd, .name = context->process};
    struct cl_bytes unused;

    if (fd < 0)
        return cl_fail(err, fd, "exec: --process: open %s", context->process);
    int r = cl_spec_load(&document, &container->arena, ret, &unused, err);
    if (r == 0 && !cl_spec_has(ret, CL_SPEC_ARGS))
        return cl_refuse(err, EINVAL, "%s: args: missing", context->process);
    if (r == 0 && context->tty)
        ret->terminal = 1;
    return r;
}

/* --- running it ----------------------------------------------------------------------------------
 */

static int check_status(const struct exec_context *context,
                        const struct cl_oci_container *container, struct cl_error *err)
{
    const int status = cl_container_status(container, err);

    if (status < 0)
        return status;
    if (status == CL_CONTAINER_PAUSED && !context->ignore_paused)
        return cl_refuse(err, EBUSY,
                         "cannot exec in a paused container; resume it, or say "
                         "--ignore-paused");
    if (status == CL_CONTAINER_STOPPED || status == CL_CONTAINER_CREATING)
        return cl_refuse(err, ESRCH, "cannot exec in a container that is %s",
                         cl_container_status_name(status));
    return 0;
}

/* What is started: the container, its new process, and who gets that one's terminal. */
struct birth {
    struct cl_oci_container *container;
    const struct cl_spec *process;
    int console;
};

__attribute__((noinline)) /* its cgroup must not lie in its caller's frame */
static int
start(const struct exec_context *context, const struct birth *birth, struct cl_bundle_process *ret,
      struct cl_error *err)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    CL_CLEANUP_FD int init = cl_container_pidfd(birth->container);
    const int has_group = birth->container->record.manager != CL_GROUP_NONE;

    if (init < 0)
        return cl_fail(err, init, "open the container's first process");
    int r = has_group ? cl_container_group(birth->container, &group, err) : 0;
    if (r < 0)
        return r;
    const struct cl_bundle_start how = {
        .spec = &birth->container->spec,
        .id = birth->container->id,
        .path = birth->container->record.bundle,
        .bundle = -1,
        .group = has_group ? &group : NULL,
        .console = birth->console,
        .listener = -1,
        .preserved = context->preserved,
    };
    const struct cl_bundle_join join = {&how, birth->process, init,
                                        (int)birth->container->record.pid};
    r = cl_bundle_exec(&join, ret, err);
    if (r == 0)
        r = cl_oci_write_pid(context->pid_file, ret->pid, err);
    if (r < 0 && ret->pid > 0) {
        int status;

        (void)cl_sys_pidfd_send_signal(ret->pidfd, SIGKILL); /* nobody would know of it */
        (void)cl_sys_wait_for(ret->pid, &status);
    }
    return r;
}

/* The pty's master that we carry, or -1; RET runs. */
static int begin(const struct exec_context *context, struct cl_oci_container *container,
                 const struct cl_spec *process, struct cl_bundle_process *ret, struct cl_error *err)
{
    CL_CLEANUP_FD int ours = -1;
    CL_CLEANUP_FD int console = -1;
    int r = 0;

    if (process->terminal && context->console != NULL)
        r = cl_oci_connect_console(context->console, &console, err);
    else if (process->terminal && context->detach)
        r = cl_refuse(err, EINVAL, "exec: a detached terminal takes --console-socket");
    else if (process->terminal)
        r = console = cl_oci_make_console(&ours, err);
    if (r < 0)
        return r;
    const struct birth birth = {container, process, console};
    r = start(context, &birth, ret, err);
    if (r < 0)
        return r;
    return ours >= 0 ? cl_oci_take_master(ours, err) : -1;
}

static int prepare(struct exec_context *context, const struct cl_strlist *words,
                   struct cl_oci_container *container, struct cl_spec *ret, struct cl_error *err)
{
    int r = check_status(context, container, err);

    if (r < 0)
        return r;
    if (context->process != NULL && words->count > 0)
        return cl_refuse(err, EINVAL, "exec: --process and words of a command exclude each other");
    if (context->process != NULL)
        return load(context, container, ret, err);
    if (words->count == 0)
        return cl_refuse(err, EINVAL, "exec: no command: cloister-oci exec ID COMMAND [ARG...]");
    return compose(context, words, container, ret, err);
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    static struct exec_context context; /* its lists are large */
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct cl_bundle_process process = CL_BUNDLE_PROCESS_INIT;
    struct cl_spec spec = {.set = 0};
    int first = cl_oci_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first >= argc)
        return cl_refuse(err, EINVAL, "exec: expected a container's id: cloister-oci exec %s",
                         self->usage);
    int r = cl_seal_mount(oci->argv, err);
    if (r == 0)
        r = cl_oci_check_preserved(context.preserved, err);
    if (r < 0)
        return r;
    const struct cl_strlist words = {(const char *const *)argv + first + 1,
                                     (size_t)(argc - first - 1)};
    r = cl_oci_find(oci, argv[first], 0, &container, err);
    if (r == 0)
        r = prepare(&context, &words, &container, &spec, err);
    if (r == 0)
        r = cl_oci_trim(oci, &container.spec, &spec, err);
    if (r < 0)
        return r;
    if (!context.detach && context.console == NULL)
        cl_oci_take_size(&spec);
    r = context.detach ? 0 : cl_oci_hold_signals(err);
    if (r < 0)
        return r;
    err->code = 0;
    int master = begin(&context, &container, &spec, &process, err);
    CL_CLEANUP_FD int pidfd = process.pidfd;
    if (err->code != 0)
        return -err->code;
    return context.detach ? 0 : cl_oci_wait(&process, master, err);
}

const struct cl_oci_command cl_oci_exec = {
    .name = "exec",
    .usage = "[OPTIONS] ID COMMAND [ARG...]",
    .help = "Run one more command in a container",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
    .takes_words = 1,
};
