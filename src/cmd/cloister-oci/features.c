/* features: what this runtime can do, as the runtime specification's features.md has it. */
#include <errno.h>

#include "base/json.h"
#include "cmd/cloister-oci/command.h"
#include "plan/capability.h"

enum { OUTPUT_MOST = 1 << 20 };

static const struct cl_option options[] = {CL_OCI_HELP};

static const char *const mount_options[] = {
    "async",          "atime",       "bind",         "defaults",    "dev",
    "diratime",       "dirsync",     "exec",         "idmap",       "iversion",
    "lazytime",       "loud",        "noatime",      "nodev",       "nodiratime",
    "noexec",         "noiversion",  "nolazytime",   "norelatime",  "nostrictatime",
    "nosuid",         "nosymfollow", "private",      "ratime",      "rbind",
    "rdev",           "rdiratime",   "relatime",     "rexec",       "ridmap",
    "rnoatime",       "rnodev",      "rnodiratime",  "rnoexec",     "rnorelatime",
    "rnostrictatime", "rnosuid",     "rnosymfollow", "ro",          "rprivate",
    "rrelatime",      "rro",         "rrw",          "rshared",     "rslave",
    "rstrictatime",   "rsuid",       "rsymfollow",   "runbindable", "rw",
    "shared",         "silent",      "slave",        "strictatime", "suid",
    "symfollow",      "sync",        "tmpcopyup",    "unbindable",
};

static const char *const namespaces[] = {"cgroup", "ipc",  "mount", "network",
                                         "pid",    "time", "user",  "uts"};

static const char *const actions[] = {
    "SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",       "SCMP_ACT_TRACE",       "SCMP_ACT_TRAP",
};

static const char *const operators[] = {
    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",        "SCMP_CMP_LE",
    "SCMP_CMP_LT", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ",
};

static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                    "SECCOMP_FILTER_FLAG_TSYNC"};

static const char *const archs[] = {"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32",
                                    "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64"};

#define ADD_LIST(json, key, items) cl_json_strings(json, key, items, CL_ARRAY_SIZE(items))

static void add_switch(struct cl_json *json, const char *key, int is_on)
{
    cl_json_object(json, key);
    cl_json_bool(json, "enabled", is_on);
    cl_json_close(json, '}');
}

static void add_linux(struct cl_json *json)
{
    cl_json_object(json, "linux");
    ADD_LIST(json, "namespaces", namespaces);
    cl_json_array(json, "capabilities");
    for (int i = 0; i < CL_CAPABILITY_COUNT; i++)
        cl_json_string(json, NULL, cl_capability_name(i));
    cl_json_close(json, ']');
    cl_json_object(json, "cgroup");
    cl_json_bool(json, "v1", 1);
    cl_json_bool(json, "v2", 1);
    cl_json_bool(json, "systemd", 1);
    cl_json_bool(json, "systemdUser", 1);
    cl_json_bool(json, "rdma", 1);
    cl_json_close(json, '}');
    cl_json_object(json, "seccomp");
    cl_json_bool(json, "enabled", 1);
    ADD_LIST(json, "actions", actions);
    ADD_LIST(json, "operators", operators);
    ADD_LIST(json, "archs", archs);
    ADD_LIST(json, "knownFlags", flags);
    ADD_LIST(json, "supportedFlags", flags);
    cl_json_close(json, '}');
    add_switch(json, "apparmor", 1);
    add_switch(json, "selinux", 1);
    add_switch(json, "intelRdt", 1);
    cl_json_object(json, "mountExtensions");
    add_switch(json, "idmap", 1);
    cl_json_close(json, '}');
    cl_json_close(json, '}');
}

static int run(CL_UNUSED struct cl_oci *oci, const struct cl_oci_command *self, int argc,
               char *argv[], struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf out = CL_BUF_INIT(OUTPUT_MOST);
    struct cl_json json;
    int first = cl_oci_parse(self, argc, argv, oci, err);

    if (first < 0)
        return first;
    if (first < argc)
        return cl_refuse(err, EINVAL, "features: takes no operands");
    cl_json_begin(&json, &out, 1);
    cl_json_object(&json, NULL);
    cl_json_string(&json, "ociVersionMin", "1.0.0");
    cl_json_string(&json, "ociVersionMax", CL_SPEC_OURS);
    cl_json_array(&json, "hooks");
    for (unsigned int i = 0; i < CL_HOOK_COUNT; i++)
        cl_json_string(&json, NULL, cl_hook_name(i));
    cl_json_close(&json, ']');
    ADD_LIST(&json, "mountOptions", mount_options);
    add_linux(&json);
    cl_json_object(&json, "annotations");
    cl_json_string(&json, "run.cloister.version", CL_VERSION);
    cl_json_close(&json, '}');
    cl_json_close(&json, '}');
    int r = cl_json_end(&json);
    return r < 0 ? cl_fail(err, r, "write the features") : cl_oci_print(&out, err);
}

const struct cl_oci_command cl_oci_features = {
    .name = "features",
    .usage = "",
    .help = "Show what this runtime can do, as JSON",
    .run = run,
    .options = options,
    .option_count = CL_ARRAY_SIZE(options),
};
