/* ps: the processes of a container. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

enum { OUTPUT_MOST = 16 << 20, NAME_SIZE = 64 };

struct context {
    const char *format;
};

static const struct cl_option options[] = {
    CL_OCI_TEXT(context, "format", 'f', "FORMAT", "table (the default) or json", format),
    CL_OCI_HELP,
};

struct listing {
    struct cl_buf out;
    struct cl_json json;
    int is_json;
};

/* What the program calls itself, which may be anything: nothing of it steers a terminal. "?" where
 * that can't be read: it may have ended. */
static void read_name(pid_t pid, char ret[NAME_SIZE])
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    CL_CLEANUP_FD int fd = cl_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
    ssize_t size = fd < 0 ? fd : cl_sys_read(fd, ret, NAME_SIZE - 1);
    if (size <= 0) {
        (void)snprintf(ret, NAME_SIZE, "?");
        return;
    }
    ret[size] = '\0';
    for (char *at = ret; *at != '\0'; at++) {
        if (*at == '\n')
            *at = '\0';
        else if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
            *at = '?';
        if (*at == '\0')
            break;
    }
}

static int add(void *context, pid_t pid)
{
    struct listing *listing = context;
    char name[NAME_SIZE];

    if (listing->is_json) {
        cl_json_u64(&listing->json, NULL, (uint64_t)pid);
        return 0;
    }
    read_name(pid, name);
    return cl_buf_printf(&listing->out, "%-9d %s\n", (int)pid, name);
}

static int list(const struct cl_oci_container *container, struct listing *listing,
                struct cl_error *err)
{
    CL_CLEANUP_GROUP struct cl_group group = {.count = 0};
    int r = cl_container_group(container, &group, err);

    if (r < 0)
        return r;
    if (listing->is_json) {
        cl_json_begin(&listing->json, &listing->out, 0);
        cl_json_array(&listing->json, NULL);
    } else {
        r = cl_buf_printf(&listing->out, "%-9s %s\n", "PID", "NAME");
    }
    if (r == 0)
        r = cl_group_pids(&group, add, listing, err);
    if (r == 0 && listing->is_json) {
        cl_json_close(&listing->json, ']');
        r = cl_json_end(&listing->json);
    }
    if (r < 0)
        return err->code == 0 ? cl_fail(err, r, "list the container's processes") : r;
    return cl_oci_print(&listing->out, err);
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct context context = {.format = "table"};
    struct listing listing = {.out = CL_BUF_INIT(OUTPUT_MOST)};
    int r = cl_oci_parse_id(self, argc, argv, &context, err);

    if (r < 0)
        return r;
    const char *id = argv[r];
    listing.is_json = strcmp(context.format, "json") == 0;
    if (!listing.is_json && strcmp(context.format, "table") != 0)
        return cl_refuse(err, EINVAL, "ps: --format: expected table or json, got \"%.40s\"",
                         context.format);
    r = cl_oci_find(oci, id, 0, &container, err);
    if (r == 0)
        r = list(&container, &listing, err);
    cl_buf_done(&listing.out);
    return r;
}

const struct cl_oci_command cl_oci_ps = {
    .name = "ps",
    .usage = "[--format FORMAT] ID",
    .help = "List a container's processes",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
