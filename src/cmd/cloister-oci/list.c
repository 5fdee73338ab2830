/* list: the containers below the runtime's root. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "cmd/cloister-oci/command.h"

enum { OUTPUT_MOST = 64 << 20 };

struct context {
    const char *format;
    int quiet;
};

static const struct cl_option options[] = {
    CL_OCI_TEXT(context, "format", 'f', "FORMAT", "table (the default) or json", format),
    CL_OCI_FLAG(context, "quiet", 'q', "ids alone", quiet),
    CL_OCI_HELP,
};

struct listing {
    const struct context *context;
    int root;
    int is_json;
    struct cl_buf out;
    struct cl_json json;
};

static void add_json(struct cl_json *json, const struct cl_oci_container *container, int status,
                     const char *when)
{
    const struct cl_strlist *annotations = &container->spec.annotations;

    cl_json_object(json, NULL);
    cl_json_string(json, "ociVersion", CL_SPEC_OURS);
    cl_json_string(json, "id", container->id);
    cl_json_u64(json, "pid", status == CL_CONTAINER_STOPPED ? 0 : container->record.pid);
    cl_json_string(json, "status", cl_container_status_name(status));
    cl_json_string(json, "bundle", container->record.set == 0 ? "" : container->record.bundle);
    cl_json_string(json, "created", when);
    if (annotations->count > 0) {
        cl_json_object(json, "annotations");
        for (size_t i = 0; i + 1 < annotations->count; i += 2)
            cl_json_string(json, annotations->items[i], annotations->items[i + 1]);
        cl_json_close(json, '}');
    }
    cl_json_u64(json, "owner", container->record.owner);
    cl_json_close(json, '}');
}

static int add(void *context, const char *id, struct cl_error *err)
{
    CL_CLEANUP_OCI_CONTAINER struct cl_oci_container container = CL_OCI_CONTAINER_INIT;
    struct listing *listing = context;
    char when[CL_RFC3339_SIZE];
    int r = cl_container_open(listing->root, id, 0, &container, err);

    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EBADMSG) {
        *err = (struct cl_error){0}; /* removed meanwhile, or not ours */
        return 0;
    }
    if (r < 0)
        return r;
    if (listing->context->quiet)
        return cl_buf_printf(&listing->out, "%s\n", id) < 0 ? cl_fail_memory(err) : 0;
    const int status = cl_container_status(&container, err);
    if (status < 0)
        return status;
    cl_clock_rfc3339(container.record.created_ns, when);
    if (listing->is_json)
        add_json(&listing->json, &container, status, when);
    else
        r = cl_buf_printf(&listing->out, "%-24s %-8d %-9s %-40s %-32s %llu\n", id,
                          status == CL_CONTAINER_STOPPED ? 0 : (int)container.record.pid,
                          cl_container_status_name(status),
                          container.record.set == 0 ? "" : container.record.bundle, when,
                          (unsigned long long)container.record.owner);
    return r < 0 ? cl_fail_memory(err) : 0;
}

static int run(struct cl_oci *oci, const struct cl_oci_command *self, int argc, char *argv[],
               struct cl_error *err)
{
    struct context context = {0};
    struct listing listing = {.context = &context, .out = CL_BUF_INIT(OUTPUT_MOST)};
    int first = cl_oci_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first < argc)
        return cl_refuse(err, EINVAL, "list: takes no operands");
    listing.is_json = context.format != NULL && strcmp(context.format, "json") == 0;
    if (context.format != NULL && !listing.is_json && strcmp(context.format, "table") != 0)
        return cl_refuse(err, EINVAL, "list: --format: expected table or json, got \"%.40s\"",
                         context.format);
    listing.root = cl_oci_root(oci, err);
    if (listing.root < 0)
        return listing.root;
    int r = 0;
    if (listing.is_json && !context.quiet) {
        cl_json_begin(&listing.json, &listing.out, 0);
        cl_json_array(&listing.json, NULL);
    } else if (!context.quiet) {
        r = cl_buf_printf(&listing.out, "%-24s %-8s %-9s %-40s %-32s %s\n", "ID", "PID", "STATUS",
                          "BUNDLE", "CREATED", "OWNER");
        if (r < 0)
            (void)cl_fail_memory(err);
    }
    if (r == 0)
        r = cl_runtime_walk(listing.root, add, &listing, err);
    if (r == 0 && listing.is_json && !context.quiet) {
        cl_json_close(&listing.json, ']');
        r = cl_json_end(&listing.json);
        if (r < 0)
            (void)cl_fail(err, r, "write the list");
    }
    if (r == 0)
        r = cl_oci_print(&listing.out, err);
    cl_buf_done(&listing.out);
    return r;
}

const struct cl_oci_command cl_oci_list = {
    .name = "list",
    .usage = "[OPTIONS]",
    .help = "List containers",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
