/* What the commands share: arguments, the log, pid files, console sockets. */
#include "cmd/cloister-oci/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "base/sys.h"
#include "plan/capability.h"

enum { LINE_MOST = 4096, PATH_SIZE = 4096 };

/* --- arguments ------------------------------------------------------------------------------- */

int cl_oci_set_text(void *context, const struct cl_option *option, const char *value,
                    CL_UNUSED struct cl_error *err)
{
    *(const char **)(void *)((char *)context + option->tag) = value;
    return 0;
}

int cl_oci_set_flag(void *context, const struct cl_option *option, const char *value,
                    CL_UNUSED struct cl_error *err)
{
    *(int *)(void *)((char *)context + option->tag) = value == NULL || strcmp(value, "false") != 0;
    return 0;
}

int cl_oci_set_count(void *context, const struct cl_option *option, const char *value,
                     struct cl_error *err)
{
    uint64_t number = 0;

    if (cl_parse_u64(value, &number) < 0 || number > CL_BUNDLE_PRESERVED_MOST)
        return cl_refuse(err, EINVAL, "expected a number of at most %d, got \"%.40s\"",
                         CL_BUNDLE_PRESERVED_MOST, value);
    *(unsigned int *)(void *)((char *)context + option->tag) = (unsigned int)number;
    return 0;
}

int cl_oci_set_help(CL_UNUSED void *context, CL_UNUSED const struct cl_option *option,
                    CL_UNUSED const char *value, struct cl_error *err)
{
    return cl_refuse(err, ECANCELED, "help was asked for");
}

static int show_command(const struct cl_oci_command *self, struct cl_error *err)
{
    const struct cl_option_table table = {self->options, self->option_count, NULL};
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_OCI_HELP_MOST);
    int r = cl_buf_printf(&buf, "usage: cloister-oci [OPTIONS] %s %s\n\n%s\n\nOptions:\n",
                          self->name, self->usage, self->help);

    if (r == 0)
        r = cl_options_describe(table, &buf);
    return r < 0 ? cl_fail_memory(err) : cl_oci_print(&buf, err);
}

int cl_oci_parse(const struct cl_oci_command *self, int argc, char *argv[], void *context,
                 struct cl_error *err)
{
    const struct cl_option_table table = {self->options, self->option_count, NULL};
    int r = self->takes_words ? 0 : cl_options_order(table, argc, argv, err);

    if (r == 0)
        r = cl_options_parse(table, argc, argv, context, err);
    if (r == -ECANCELED) { /* only cl_oci_set_help gives that */
        r = show_command(self, err);
        return r < 0 ? r : CL_OCI_SHOWN;
    }
    return r < 0 ? cl_prefix(err, "%s", self->name) : r;
}

int cl_oci_parse_id(const struct cl_oci_command *self, int argc, char *argv[], void *context,
                    struct cl_error *err)
{
    int first = cl_oci_parse(self, argc, argv, context, err);

    if (first < 0)
        return first;
    if (argc - first != 1)
        return cl_refuse(err, EINVAL, "%s: expected one container's id: cloister-oci %s %s",
                         self->name, self->name, self->usage);
    return first;
}

int cl_oci_root(struct cl_oci *oci, struct cl_error *err)
{
    if (oci->root < 0)
        oci->root = cl_runtime_open(oci->root_path, err);
    return oci->root;
}

int cl_oci_find(struct cl_oci *oci, const char *id, int locked, struct cl_oci_container *ret,
                struct cl_error *err)
{
    const int root = cl_oci_root(oci, err);

    return root < 0 ? root : cl_container_open(root, id, locked, ret, err);
}

/* --- saying ------------------------------------------------------------------------------------
 */

/* A log that can't be written is no reason to fail. */
void cl_oci_say(const struct cl_oci *oci, const char *level, const char *text)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(LINE_MOST);
    struct cl_json json;
    char when[CL_RFC3339_SIZE];
    int r = 0;

    if (oci->log < 0 || (strcmp(level, "debug") == 0 && !oci->debug))
        return;
    cl_clock_rfc3339(cl_clock_wall_ns(), when);
    (void)snprintf(strchr(when, '.'), sizeof("Z"), "Z"); /* whole seconds */
    cl_json_begin(&json, &buf, 0);
    if (oci->log_format != NULL && strcmp(oci->log_format, "plain") == 0) {
        (void)cl_write_all(oci->log, text, strlen(text)); /* as below */
        (void)cl_write_all(oci->log, "\n", 1);
        return;
    }
    if (oci->log_format == NULL || strcmp(oci->log_format, "json") != 0) {
        r = cl_buf_printf(&buf, "time=\"%s\" level=%s msg=", when, level);
        cl_json_string(&json, NULL, text);
    } else {
        cl_json_object(&json, NULL);
        cl_json_string(&json, "level", level);
        cl_json_string(&json, "msg", text);
        cl_json_string(&json, "time", when);
        cl_json_close(&json, '}');
    }
    if (r == 0)
        r = cl_json_end(&json);
    if (r == 0)
        (void)cl_write_all(oci->log, buf.data, buf.size);
}

int cl_oci_trim(const struct cl_oci *oci, const struct cl_spec *spec, struct cl_spec *process,
                struct cl_error *err)
{
    uint64_t lacking;
    char text[128];
    int r = cl_bundle_lacking(spec, process, &lacking, err);

    if (r < 0)
        return r;
    for (int i = 0; i < CL_CAPABILITY_COUNT; i++) {
        if ((lacking & 1ULL << i) == 0)
            continue;
        (void)snprintf(text, sizeof(text), "process.capabilities: the runtime itself lacks %s",
                       cl_capability_name(i));
        cl_oci_say(oci, "warning", text);
    }
    process->bounding &= ~lacking;
    process->effective &= ~lacking;
    process->inheritable &= ~lacking;
    process->permitted &= ~lacking;
    process->ambient &= ~lacking;
    return 0;
}

int cl_oci_print(const struct cl_buf *buf, struct cl_error *err)
{
    int r = cl_write_all(STDOUT_FILENO, buf->data, buf->size);

    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}

int cl_oci_check_preserved(unsigned int count, struct cl_error *err)
{
    for (unsigned int i = 0; i < count; i++) {
        int flags = cl_sys_fcntl((int)(3 + i), F_GETFD, 0);

        if (flags < 0)
            return cl_fail(err, flags, "--preserve-fds: descriptor %u", 3 + i);
        if ((flags & FD_CLOEXEC) != 0) /* one of ours has come there */
            return cl_refuse(err, EBADF, "--preserve-fds: descriptor %u is not open", 3 + i);
    }
    return 0;
}

/* --- files that engines name ---------------------------------------------------------------------
 */

int cl_oci_write_pid(const char *path, int pid, struct cl_error *err)
{
    char fresh[PATH_SIZE];
    char text[16];

    if (path == NULL || path[0] == '\0')
        return 0;
    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return cl_refuse(err, ENAMETOOLONG, "--pid-file: the path is too long");
    int size = snprintf(text, sizeof(text), "%d", pid);
    CL_CLEANUP_FD int fd =
        cl_sys_openat(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
    int r = fd < 0 ? fd : cl_write_all(fd, text, (size_t)size);
    if (r == 0)
        r = cl_sys_renameat(AT_FDCWD, fresh, AT_FDCWD, path);
    if (r < 0 && fd >= 0)
        (void)cl_sys_unlinkat(AT_FDCWD, fresh, 0); /* what failed first is told */
    return r < 0 ? cl_fail(err, r, "--pid-file: write %s", path) : 0;
}

int cl_oci_connect_console(const char *path, int *ret, struct cl_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *ret = -1;
    if (path == NULL || path[0] == '\0')
        return 0;
    if (strlen(path) >= sizeof(address.sun_path))
        return cl_refuse(err, ENAMETOOLONG,
                         "--console-socket: a socket's path has %zu bytes at most",
                         sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    CL_CLEANUP_FD int fd = cl_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    int r = fd < 0 ? fd : cl_sys_connect(fd, (const struct sockaddr *)&address, sizeof(address));
    if (r < 0)
        return cl_fail(err, r, "--console-socket: connect to %s", path);
    *ret = CL_TAKE_FD(fd);
    return 0;
}
