/* cloister-oci: the container wall as an OCI runtime, by the words that engines use. Each command
 * is a file of its own; this one has the global options, the log and the table. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/guess.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

static const struct cl_oci_command *const commands[] = {
    &cl_oci_create, &cl_oci_start,  &cl_oci_run,    &cl_oci_state, &cl_oci_list,
    &cl_oci_kill,   &cl_oci_delete, &cl_oci_exec,   &cl_oci_pause, &cl_oci_resume,
    &cl_oci_ps,     &cl_oci_update, &cl_oci_events, &cl_oci_spec,  &cl_oci_features,
};

static const struct {
    const char *name;
    const char *reason;
} refused[] = {
    {"checkpoint", "it is not there yet: no container can be saved"},
    {"restore", "it is not there yet: no container was saved"},
};

static const struct cl_option options[] = {
    CL_OCI_TEXT(cl_oci, "root", 0, "DIR", "where the containers' state is kept", root_path),
    CL_OCI_TEXT(cl_oci, "log", 0, "FILE", "where errors go, besides standard error", log_path),
    CL_OCI_TEXT(cl_oci, "log-format", 0, "FORMAT",
                "text (the default), json, or plain: no more than the message", log_format),
    CL_OCI_FLAG(cl_oci, "debug", 0, "log more", debug),
    CL_OCI_SWITCH(cl_oci, "systemd-cgroup", "the same as --cgroup-manager systemd", systemd),
    CL_OCI_TEXT(cl_oci, "cgroup-manager", 0, "WHO",
                "cgroupfs (the default), systemd, or disabled: no cgroup", manager_name),
    CL_OCI_TEXT(cl_oci, "rootless", 0, "WHETHER",
                "auto (the default), true or false; what is possible decides", rootless),
    CL_OCI_TEXT(cl_oci, "parent", 0, "PID", "be killed when that process ends, whose child this is",
                parent),
    CL_OCI_FLAG(cl_oci, "version", 'v', "show the version", version),
    CL_OCI_HELP,
};

static const struct cl_option_table table = {options, CL_ARRAY_SIZE(options), NULL};

static int show_help(struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OCI_HELP_MOST);
    int r = cl_buf_add_str(&buf, "usage: cloister-oci [OPTIONS] COMMAND [ARGUMENTS]\n\n"
                                 "The container wall as an OCI runtime, for engines to call.\n\n"
                                 "Commands:\n");

    for (size_t i = 0; r == 0 && i < CL_ARRAY_SIZE(commands); i++)
        r = cl_buf_printf(&buf, "  %-10s%s\n", commands[i]->name, commands[i]->help);
    if (r == 0)
        r = cl_buf_add_str(&buf, "\nOptions:\n");
    if (r == 0)
        r = cl_options_describe(table, &buf);
    if (r == 0)
        r = cl_buf_add_str(&buf, "\nMore: man cloister-oci\n");
    return r < 0 ? cl_fail_memory(err) : cl_oci_print(&buf, err);
}

static int find_command(const char *name, const struct cl_oci_command **ret, struct cl_error *err)
{
    struct cl_guess guess = {0};

    for (size_t i = 0; i < CL_ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            *ret = commands[i];
            return 0;
        }
        cl_guess_try_start(&guess, name, commands[i]->name);
    }
    for (size_t i = 0; i < CL_ARRAY_SIZE(refused); i++) {
        if (strcmp(refused[i].name, name) == 0)
            return cl_refuse(err, ENOSYS, "%s: %s", name, refused[i].reason);
    }
    if (guess.best != NULL)
        return cl_refuse(err, EINVAL, "unknown command \"%.100s\"; did you mean %s?", name,
                         guess.best);
    return cl_refuse(err, EINVAL, "unknown command \"%.100s\"; see cloister-oci --help", name);
}

/* --- the global options --------------------------------------------------------------------------
 */

static int open_log(struct cl_oci *oci, struct cl_error *err)
{
    if (oci->log_format != NULL && strcmp(oci->log_format, "text") != 0 &&
        strcmp(oci->log_format, "json") != 0 && strcmp(oci->log_format, "plain") != 0)
        return cl_refuse(err, EINVAL, "--log-format: expected text, json or plain, got \"%.40s\"",
                         oci->log_format);
    if (oci->log_path == NULL || oci->log_path[0] == '\0')
        return 0;
    oci->log =
        cl_sys_openat(AT_FDCWD, oci->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0644);
    return oci->log < 0 ? cl_fail(err, oci->log, "--log: open %.200s", oci->log_path) : 0;
}

static int choose_manager(struct cl_oci *oci, struct cl_error *err)
{
    static const char *const names[] = {
        [CL_GROUP_FS] = "cgroupfs", [CL_GROUP_SYSTEMD] = "systemd", [CL_GROUP_NONE] = "disabled"};

    oci->manager = oci->systemd ? CL_GROUP_SYSTEMD : CL_GROUP_FS;
    if (oci->manager_name == NULL)
        return 0;
    for (size_t i = 0; i < CL_ARRAY_SIZE(names); i++) {
        if (strcmp(oci->manager_name, names[i]) == 0) {
            oci->manager = (enum cl_group_manager)i;
            return 0;
        }
    }
    return cl_refuse(err, EINVAL,
                     "--cgroup-manager: expected cgroupfs, systemd or disabled, got \"%.40s\"",
                     oci->manager_name);
}

static int check_rootless(const struct cl_oci *oci, struct cl_error *err)
{
    const char *text = oci->rootless;

    if (text == NULL || strcmp(text, "auto") == 0 || strcmp(text, "true") == 0 ||
        strcmp(text, "false") == 0)
        return 0;
    return cl_refuse(err, EINVAL, "--rootless: expected auto, true or false, got \"%.40s\"", text);
}

/* Whoever removes what a killed caller has left finds no call of its that still makes something.
 * What had been made of a container by then is on record. */
static int follow_parent(const struct cl_oci *oci, struct cl_error *err)
{
    uint64_t parent = 0;

    if (oci->parent == NULL)
        return 0;
    if (cl_parse_u64(oci->parent, &parent) < 0 || parent == 0 || parent > INT32_MAX)
        return cl_refuse(err, EINVAL, "--parent: expected a process's number, got \"%.40s\"",
                         oci->parent);
    int r = cl_sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (r < 0)
        return cl_fail(err, r, "--parent: ask for its end");
    if (getppid() != (pid_t)parent) /* it ended before that */
        return cl_refuse(err, ESRCH, "--parent: this is no child of process %s", oci->parent);
    return 0;
}

static void show_version(void)
{
    (void)printf("cloister-oci version " CL_VERSION "\nspec: " CL_SPEC_OURS "\n");
}

/* --- main ---------------------------------------------------------------------------------------
 */

static int dispatch(struct cl_oci *oci, int argc, char *argv[], struct cl_error *err)
{
    const struct cl_oci_command *command = NULL;
    int first = cl_options_parse(table, argc, argv, oci, err);

    if (first == -ECANCELED) /* only cl_oci_set_help gives that */
        return show_help(err);
    if (first < 0)
        return first;
    int r = open_log(oci, err);
    if (r == 0)
        r = choose_manager(oci, err);
    if (r == 0)
        r = check_rootless(oci, err);
    if (r == 0)
        r = follow_parent(oci, err);
    if (r < 0)
        return r;
    if (oci->version) {
        show_version();
        return 0;
    }
    if (first >= argc || strcmp(argv[first], "help") == 0)
        return show_help(err);
    r = find_command(argv[first], &command, err);
    if (r < 0)
        return r;
    oci->argv = argv;
    return command->run(oci, command, argc - first, argv + first, err);
}

/* Who is told to ignore its children's ends can't wait for them. */
static int reset_child_signal(struct cl_error *err)
{
    int r = cl_sys_signal_default(SIGCHLD);

    return r < 0 ? cl_fail(err, r, "reset SIGCHLD") : 0;
}

int main(int argc, char *argv[])
{
    struct cl_oci oci = {.root = -1, .log = -1};
    struct cl_error err = {0};
    int r = cl_fd_guard_standard(&err);

    (void)cl_sys_prctl(PR_SET_NAME, (unsigned long)(uintptr_t) "cloister-oci", 0, 0, 0);
    if (r == 0)
        r = reset_child_signal(&err);
    if (r == 0)
        r = dispatch(&oci, argc, argv, &err);
    if (r == CL_OCI_SHOWN)
        return 0;
    if (r < 0) {
        cl_oci_say(&oci, "error", err.msg);
        (void)fprintf(stderr, "cloister-oci: %s\n", err.msg); /* there is nowhere else to say it */
        return CL_OCI_FAILED;
    }
    return r;
}
