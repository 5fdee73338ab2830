/* events: a container's numbers, once or at intervals, and its kills for memory. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/num.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

enum { DATA_MOST = 1 << 20 };

struct context {
    int stats;
    const char *interval;
};

static const struct cl_option options[] = {
    CL_OCI_FLAG(context, "stats", 0, "show the numbers once, and end", stats),
    CL_OCI_TEXT(context, "interval", 0, "TIME", "between two showings (5s)", interval),
    CL_OCI_HELP,
};

static int show(const struct cl_oci_container *container, const struct cl_group *group,
                struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(DATA_MOST);
    struct cl_json json;

    cl_json_begin(&json, &out, 0);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "type", "stats");
    cl_json_string(&json, "id", container->id);
    cl_group_stats(group, &json, "data");
    cl_json_close(&json, '}');
    int r = cl_json_end(&json);
    return r < 0 ? cl_fail(err, r, "write the numbers") : cl_oci_print(&out, err);
}

static int tell_of_oom(const struct cl_oci_container *container, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(DATA_MOST);
    int r = cl_buf_printf(&out, "{\"type\":\"oom\",\"id\":\"%s\"}\n", container->id);

    return r < 0 ? cl_fail_memory(err) : cl_oci_print(&out, err);
}

static int follow(const struct cl_oci_container *container, const struct cl_group *group,
                  uint64_t interval_ns, struct cl_error *err)
{
    CL_CLEANUP_FD int pidfd = cl_container_pidfd(container);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    uint64_t kills = cl_group_oom_kills(group);
    int r = 0;

    while (r == 0 && pidfd >= 0) {
        r = show(container, group, err);
        if (r < 0)
            return r;
        r = cl_sys_poll(&ended, 1, (int)cl_min_u64(interval_ns / 1000000, 1000000));
        if (r == -EINTR)
            r = 0;
        const uint64_t now = cl_group_oom_kills(group);
        if (now > kills && tell_of_oom(container, err) < 0)
            return -err->code;
        kills = now;
    }
    return r < 0 ? cl_fail(err, r, "wait for the container") : 0;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    struct context context = {.interval = "5s"};
    uint64_t interval_ns = 0;
    int r = cl_oci_parse_id(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    if (cl_parse_duration(context.interval, &interval_ns) < 0 || interval_ns == 0)
        return cl_refuse(err, EINVAL, "events: --interval: expected a time like 5s, got \"%.40s\"",
                         context.interval);
    r = cl_oci_find(oci, id, 0, &container, err);
    if (r < 0)
        return r;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    if (status == CL_CONTAINER_STOPPED)
        return cl_refuse(err, ESRCH, "container %s is not running", id);
    r = cl_container_group(&container, &group, err);
    if (r < 0)
        return r;
    return context.stats ? show(&container, &group, err)
                         : follow(&container, &group, interval_ns, err);
}

const struct cl_oci_command cl_oci_events = {
    .name = "events",
    .usage = "[OPTIONS] ID",
    .help = "Show a container's numbers as JSON",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
