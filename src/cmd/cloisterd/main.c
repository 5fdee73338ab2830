/* cloisterd: containerd's sandbox controller, for the pods of a node. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/options.h"
#include "cmd/cloisterd/daemon.h"

enum { HELP_MOST = 4096 };

static int set_text(void *context, const struct cl_option *option, const char *value,
                    CL_UNUSED struct cl_error *err)
{
    void *member = (char *)context + option->tag;

    *(const char **)member = value;
    return 0;
}

static int set_patience(void *context, CL_UNUSED const struct cl_option *option, const char *value,
                        struct cl_error *err)
{
    uint64_t ns;

    if (cl_parse_duration(value, &ns) < 0 || ns == 0 || ns > INT32_MAX * CL_NS_PER_S)
        return cl_refuse(err, EINVAL, "--patience %.40s: not a time such as 30s", value);
    ((struct cl_daemon_options *)context)->patience_ns = ns;
    return 0;
}

static int set_help(void *context, CL_UNUSED const struct cl_option *option,
                    CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    ((struct cl_daemon_options *)context)->asks = 'h';
    return 0;
}

static int set_version(void *context, CL_UNUSED const struct cl_option *option,
                       CL_UNUSED const char *value, CL_UNUSED struct cl_error *err)
{
    ((struct cl_daemon_options *)context)->asks = 'v';
    return 0;
}

#define TEXT(name, value, member, help)                                                            \
    {                                                                                              \
        (name), 0, (value), (help), set_text, (int)offsetof(struct cl_daemon_options, member),     \
            "@file"                                                                                \
    }

static const struct cl_option rows[] = {
    TEXT("address", "SOCKET", address, "where containerd's gRPC finds it"),
    TEXT("tasks", "SOCKET", tasks, "where containerd's ttrpc finds the pods' containers"),
    TEXT("events", "SOCKET", events, "containerd's own ttrpc socket, for events; '': none"),
    TEXT("state", "DIR", state, "what is known of pods; ours alone"),
    TEXT("guests", "NUMBER", guests, "modules of a tenant that run at a time"),
    TEXT("memory", "SIZE", memory, "memory of all modules of a tenant together"),
    {"patience", 0, "TIME", "a tenant's worker may take to begin, or to end a module", set_patience,
     0, NULL},
    {"help", 'h', NULL, "show this help", set_help, 0, NULL},
    {"version", 'v', NULL, "show the version", set_version, 0, NULL},
};
static const struct cl_option_table table = {rows, CL_ARRAY_SIZE(rows), NULL};

static int print_help(struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(HELP_MOST);
    int r = cl_buf_add_str(&text, "Usage: cloisterd [OPTIONS]\n\ncontainerd's sandbox controller: "
                                  "pods of WebAssembly modules, without a process for each\n\n"
                                  "Options:\n");

    if (r == 0)
        r = cl_options_describe(table, &text);
    if (r == 0)
        r = cl_buf_add_str(&text, "\nMore: man cloisterd\n");
    if (r == 0)
        r = cl_write_all(1, text.data, text.size);
    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}

static int run(int argc, char *argv[], struct cl_error *err)
{
    static struct cl_daemon_options options = {
        .address = "/run/cloisterd/cloisterd.sock",
        .tasks = "/run/cloisterd/tasks.sock",
        .events = "/run/containerd/containerd.sock.ttrpc",
        .state = "/run/cloisterd",
        .guests = "1000",
        .memory = "512m",
        .patience_ns = 30 * CL_NS_PER_S,
    };
    int first = cl_options_parse(table, argc, argv, &options, err);

    if (first < 0)
        return first;
    if (first < argc)
        return cl_refuse(err, EINVAL, "\"%.100s\" is one word too many; see --help", argv[first]);
    if (options.asks == 'h')
        return print_help(err);
    if (options.asks == 'v')
        return printf("cloisterd version " CL_VERSION "\n") < 0 ? -EIO : 0;
    return cl_daemon_serve(&options, err);
}

int main(int argc, char *argv[])
{
    struct cl_error err = {0};
    int r = cl_fd_guard_standard(&err);

    if (r == 0)
        r = run(argc, argv, &err);
    if (r < 0)
        (void)fprintf(stderr, "cloisterd: %s\n", err.msg); /* nowhere else */
    return r < 0;
}
