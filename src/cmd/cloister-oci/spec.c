/* spec: a config.json to begin with: a shell in a container with the usual mounts and few
 * capabilities. */
#include <errno.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/sys.h"
#include "cmd/cloister-oci/command.h"

enum { OUTPUT_MOST = 1 << 20, OPTIONS_MOST = 9 };

struct context {
    const char *bundle;
    int rootless;
};

static const struct cl_option options[] = {
    CL_OCI_TEXT(context, "bundle", 'b', "DIR", "where it goes (the working directory)", bundle),
    CL_OCI_FLAG(context, "rootless", 0, "for an ordinary user, whose id is the container's root",
                rootless),
    CL_OCI_HELP,
};

static const char *const capabilities[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
static const char *const capability_sets[] = {"bounding", "effective", "permitted"};

/* DEEP_ONLY rows are left out, or changed, for who has no root. */
static const struct mount {
    const char *target;
    const char *type;
    const char *source;
    const char *options[OPTIONS_MOST];
} mounts[] = {
    {"/proc", "proc", "proc", {NULL}},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k", NULL}},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k", NULL}},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev", NULL}},
};

static const struct mount for_root[] = {
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL}},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro", NULL}},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro", NULL}},
};

/* No group 5 to map, and sysfs belongs to the host's network namespace. */
static const struct mount for_others[] = {
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", NULL}},
    {"/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro", NULL}},
};

static const char *const masked[] = {
    "/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/sys/firmware",       "/proc/scsi",
};
static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                       "/proc/sysrq-trigger"};

#define ADD_LIST(json, key, items) cl_json_strings(json, key, items, CL_ARRAY_SIZE(items))

static void add_process(struct cl_json *json)
{
    static const char *const args[] = {"sh"};
    static const char *const env[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};

    cl_json_object(json, "process");
    cl_json_bool(json, "terminal", 1);
    cl_json_object(json, "user");
    cl_json_u64(json, "uid", 0);
    cl_json_u64(json, "gid", 0);
    cl_json_close(json, '}');
    ADD_LIST(json, "args", args);
    ADD_LIST(json, "env", env);
    cl_json_string(json, "cwd", "/");
    cl_json_object(json, "capabilities");
    for (size_t i = 0; i < CL_ARRAY_SIZE(capability_sets); i++)
        ADD_LIST(json, capability_sets[i], capabilities);
    cl_json_close(json, '}');
    cl_json_array(json, "rlimits");
    cl_json_object(json, NULL);
    cl_json_string(json, "type", "RLIMIT_NOFILE");
    cl_json_u64(json, "hard", 1024);
    cl_json_u64(json, "soft", 1024);
    cl_json_close(json, '}');
    cl_json_close(json, ']');
    cl_json_bool(json, "noNewPrivileges", 1);
    cl_json_close(json, '}');
}

static void add_mounts(struct cl_json *json, const struct mount *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t number = 0;

        while (rows[i].options[number] != NULL)
            number++;
        cl_json_object(json, NULL);
        cl_json_string(json, "destination", rows[i].target);
        cl_json_string(json, "type", rows[i].type);
        cl_json_string(json, "source", rows[i].source);
        if (number > 0)
            cl_json_strings(json, "options", rows[i].options, number);
        cl_json_close(json, '}');
    }
}

static void add_map(struct cl_json *json, const char *key, uint32_t outside)
{
    cl_json_array(json, key);
    cl_json_object(json, NULL);
    cl_json_u64(json, "containerID", 0);
    cl_json_u64(json, "hostID", outside);
    cl_json_u64(json, "size", 1);
    cl_json_close(json, '}');
    cl_json_close(json, ']');
}

static void add_devices(struct cl_json *json)
{
    cl_json_object(json, "resources");
    cl_json_array(json, "devices");
    cl_json_object(json, NULL);
    cl_json_bool(json, "allow", 0);
    cl_json_string(json, "access", "rwm");
    cl_json_close(json, '}');
    cl_json_close(json, ']');
    cl_json_close(json, '}');
}

static void add_linux(struct cl_json *json, int rootless)
{
    static const char *const kinds[] = {"pid", "ipc", "uts", "mount", "cgroup", "network", "user"};
    /* An ordinary user's container is in the host's network, and in a user namespace. */
    static const struct {
        size_t skipped;
    } none_of[] = {{6}, {5}};

    cl_json_object(json, "linux");
    if (rootless) {
        add_map(json, "uidMappings", geteuid());
        add_map(json, "gidMappings", getegid());
    } else {
        add_devices(json);
    }
    cl_json_array(json, "namespaces");
    for (size_t i = 0; i < CL_ARRAY_SIZE(kinds); i++) {
        if (i == none_of[rootless != 0].skipped)
            continue;
        cl_json_object(json, NULL);
        cl_json_string(json, "type", kinds[i]);
        cl_json_close(json, '}');
    }
    cl_json_close(json, ']');
    ADD_LIST(json, "maskedPaths", masked);
    ADD_LIST(json, "readonlyPaths", readonly);
    cl_json_close(json, '}');
}

static int write_config(struct cl_buf *out, int rootless, struct cl_error *err)
{
    struct cl_json json;

    cl_json_begin(&json, out, 1);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "ociVersion", CL_SPEC_OURS);
    add_process(&json);
    cl_json_object(&json, "root");
    cl_json_string(&json, "path", "rootfs");
    cl_json_bool(&json, "readonly", 1);
    cl_json_close(&json, '}');
    cl_json_string(&json, "hostname", "cloister");
    cl_json_array(&json, "mounts");
    add_mounts(&json, mounts, CL_ARRAY_SIZE(mounts));
    if (rootless)
        add_mounts(&json, for_others, CL_ARRAY_SIZE(for_others));
    else
        add_mounts(&json, for_root, CL_ARRAY_SIZE(for_root));
    cl_json_close(&json, ']');
    add_linux(&json, rootless);
    cl_json_close(&json, '}');
    int r = cl_json_end(&json);
    return r < 0 ? cl_fail(err, r, "write the configuration") : 0;
}

static int run(CL_UNUSED struct cl_oci *oci, const struct cl_oci_command *self, int argc,
               char *argv[], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(OUTPUT_MOST);
    struct context context = {.bundle = "."};
    int first = cl_oci_parse(self, argc, argv, &context, err);

    if (first < 0)
        return first;
    if (first < argc)
        return cl_refuse(err, EINVAL, "spec: takes no operands");
    int r = write_config(&out, context.rootless, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int dir = cl_sys_openat(AT_FDCWD, context.bundle, O_PATH | O_DIRECTORY, 0);
    if (dir < 0)
        return cl_fail(err, dir, "spec: --bundle: open %s", context.bundle);
    return cl_make_file(dir, "config.json", cl_buf_text(&out), "config.json", err);
}

const struct cl_oci_command cl_oci_spec = {
    .name = "spec",
    .usage = "[OPTIONS]",
    .help = "Write a config.json to begin with",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
