/* run_table.c - the flags of `cloister run`, one row each. Help, completions and
 * parsing come from here. What is refused by name stands in run_refused.c. */
#include "cmd/cloister/command.h"
#include "cmd/cloister/run_options.h"

#define FIELD(name, letter, value, help, field, choices)                                           \
    {                                                                                              \
        name, letter, value, help, cl_run_set_field, CL_FIELD_##field, choices                     \
    }
#define STRING(name, value, help, member, choices)                                                 \
    {                                                                                              \
        name, 0, value, help, cl_run_set_string, (int)offsetof(struct cl_run_request, member),     \
            choices                                                                                \
    }
#define TRUE(name, letter, help, field)                                                            \
    {                                                                                              \
        name, letter, NULL, help, cl_run_set_true, CL_FIELD_##field, NULL                          \
    }
#define ADD(name, letter, value, help, what, choices)                                              \
    {                                                                                              \
        name, letter, value, help, cl_run_add_##what, 0, choices                                   \
    }
#ifdef CL_WEAK
#define LAYERS NULL
#else
#define LAYERS "landlock apparmor selinux limits disk-limit core-limit"
#endif

const struct cl_option cl_run_options[] = {
    FIELD("wall", 0, "WALL", "what stands around the code: container or auto", WALL,
          "container auto"),
    FIELD("profile", 0, "PROFILE", "strict (the default) or build (root inside)", PROFILE,
          "strict build"),
    STRING("policy", "FILE", "a policy file; flags override it", policy_path, "@file"),
    STRING("seccomp", "FILE", "a Docker or OCI system call profile in place of our own",
           seccomp_path, "@file"),
    {"pull", 0, "WHEN", "missing (the default): when the image isn't here; always; never",
     cl_run_set_pull, 0, "missing always never"},
    {"quiet", 'q', NULL, "say nothing of a pull", cl_set_flag,
     (int)offsetof(struct cl_run_request, quiet), NULL},
    FIELD("wasm-model", 0, "MODEL",
          "coroutine: a module runs in its tenant's worker; process: in its own", WASM_MODEL,
          "coroutine process"),
    FIELD("tenant", 0, "NAME", "whose code it is; nothing is shared between tenants", TENANT, NULL),
    FIELD("name", 0, "NAME", "a name for ps, inspect and kill", NAME, NULL),
    ADD("label", 'l', "KEY=VALUE", "a note that is kept with the sandbox", label, NULL),

    TRUE("detach", 'd', "run on when cloister has printed the sandbox's id", DETACH),
    TRUE("interactive", 'i', "pass standard input on also when it is a terminal", INTERACTIVE),
    TRUE("tty", 't', "give the command a terminal of its own", TTY),
    ADD("env", 'e', "NAME[=VALUE]", "set a variable; without a value take the caller's", env, NULL),
    ADD("env-file", 0, "FILE", "set variables from lines NAME[=VALUE]", env_file, "@file"),
    FIELD("workdir", 'w', "DIR", "the directory to start in", WORKDIR, NULL),
    FIELD("user", 'u', "UID[:GID]", "whom to run as inside: numbers or names of the image", USER,
          NULL),
    {"entrypoint", 0, "COMMAND", "run this in place of the image's, with the command as arguments",
     cl_run_set_entrypoint, 0, NULL},
    FIELD("hostname", 'h', "NAME", "the host name inside", HOSTNAME, NULL),

    ADD("volume", 'v', "SRC:DST[:MODE]", "show a host path inside: ro (the default), rw or copy",
        volume, "@file"),
    ADD("mount", 0, "LIST", "type=bind,source=SRC,target=DST[,mode=MODE] or type=tmpfs,...", mount,
        NULL),
    ADD("tmpfs", 0, "DST[:LIST]", "an empty writable directory; size=SIZE,mode=OCTAL", tmpfs, NULL),
    FIELD("shm-size", 0, "SIZE", "size of /dev/shm (a part of --disk)", SHM_SIZE, NULL),
    {"read-only", 0, NULL, "the image can't be written, in any profile", cl_run_set_root,
     CL_ROOT_READ_ONLY, NULL},
    {"writable", 0, NULL, "the whole image is copy-on-write", cl_run_set_root, CL_ROOT_WRITABLE,
     NULL},
    {"network", 0, "KIND", "none (the default) or outbound: outside, but not the host",
     cl_run_set_network, 0, "none outbound"},
    ADD("network-reach", 0, "CIDR", "open an address that outbound closes", network_reach, NULL),

    FIELD("memory", 'm', "SIZE", "memory of all processes together (512MiB)", MEMORY, NULL),
    FIELD("swap", 0, "SIZE", "swap beside the memory (0)", SWAP, NULL),
    {"memory-swap", 0, "SIZE", "memory and swap together; needs --memory", cl_run_set_memory_swap,
     0, NULL},
    FIELD("cpus", 0, "NUMBER", "share of processors, like 1.5", CPUS, NULL),
    FIELD("cpu-time", 0, "TIME", "processor time until the end, like 60s", CPU_TIME, NULL),
    FIELD("timeout", 0, "TIME", "time until the end (10m)", TIME, NULL),
    FIELD("stop-grace", 0, "TIME", "from the stop signal to SIGKILL at the end of --timeout (10s)",
          GRACE, NULL),
    {"stop-signal", 0, "SIGNAL",
     "what comes first at the end of --timeout (the image's or SIGTERM)", cl_run_set_stop_signal, 0,
     NULL},
    FIELD("cgroup-manager", 0, "MANAGER",
          "who gives it its cgroup: cgroupfs (the default), or systemd, in a scope", CGROUP_MANAGER,
          "cgroupfs systemd"),
    FIELD("pids-limit", 0, "NUMBER", "processes and threads together (256)", TASKS, NULL),
    FIELD("disk", 0, "SIZE", "everything that is written, together (256MiB)", DISK, NULL),
    FIELD("output-limit", 0, "SIZE", "standard output and error until the end", OUTPUT, NULL),
    FIELD("open-files", 0, "NUMBER", "open files of each process (1024)", OPEN_FILES, NULL),
    FIELD("file-size", 0, "SIZE", "size of each file", FILE_SIZE, NULL),
    ADD("ulimit", 0, "NAME=SOFT[:HARD]", "a resource limit of each process", ulimit, NULL),

    ADD("copy-in", 0, "SRC:DST", "copy a file or directory in before the command begins", copy_in,
        "@file"),
    ADD("copy-out", 0, "SRC:DST", "copy a file or directory out when the command has ended",
        copy_out, NULL),
    STRING("stdin", "FILE", "standard input comes from a file", stdin_path, "@file"),
    STRING("stdout", "FILE", "standard output goes to a file", stdout_path, "@file"),
    STRING("stderr", "FILE", "standard error goes to a file", stderr_path, "@file"),
    STRING("result", "FILE", "write how it ended and what it used, as JSON", result_path, "@file"),
    {"format", 0, "FORMAT", "how the line about the end is written: table or json", cl_set_format,
     (int)offsetof(struct cl_run_request, format_json), "table json"},
    TRUE("die-with-parent", 0, "end when the process that started cloister ends", DIE_WITH_PARENT),
    ADD("without", 0, "LAYER", "accept that a layer is missing on this host", without, LAYERS),
    {"keep", 0, NULL, "keep the sandbox's files after the end: for inspect and cp, until rm",
     cl_run_set_keep, 0, NULL},
    TRUE("rm", 0, "keep nothing after the end (always so without --detach)", REMOVE),
    {"init", 0, NULL, "have an init inside (always so)", cl_run_set_nothing, 0, NULL},
    CL_OPTION_HELP,

    {"net", 0, "KIND", NULL, cl_run_set_network, 0, NULL}, /* Docker's other word for it */
};
const size_t cl_run_option_count = CL_ARRAY_SIZE(cl_run_options);

const struct cl_command cl_command_run = {
    .name = "run",
    .usage = "[OPTIONS] IMAGE [--] [COMMAND [ARG...]]",
    .help = "Run a command in a sandbox of its own",
    .run = cl_run_command,
    .options = cl_run_options,
    .option_count = CL_ARRAY_SIZE(cl_run_options),
    .refused = cl_run_refused,
    .operands = "@image",
    .runs_words = 1,
};
