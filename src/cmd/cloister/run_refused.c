/* run_refused.c - words of `docker run` that mean nothing here, and what is not built
 * yet. Who types one learns why, and what to say in its place. */
#include "cmd/cloister/run_options.h"

#define LATER "not built yet"
#define NETWORK                                                                                    \
    "a sandbox with --network outbound has the host's resolver and addresses of its own, which "   \
    "are always the same"
#define NAMESPACE "each sandbox has namespaces of its own, always"
#define DEVICE "devices of the host stay outside: a driver is too large a door"
#define DISK_RATE "not built yet: reading and writing have no rate limit; see --disk"
#define CPU_WEIGHT "processors have one limit, not weights and periods; see --cpus"
#define MEMORY_ONE "memory has one hard limit, and going over it ends the run; see --memory"
#define HEALTH "there are no health checks: a sandbox runs one command to its end"
#define LOG "there is one kind of log; see --detach and cloister logs"

const struct cl_refused_option cl_run_refused[] = {
    {"detach-keys", 0, LATER},
    {"cpuset-cpus", 0, "not built yet; see --cpus"},
    {"cpuset-mems", 0, "not built yet; see --memory"},
    {"cidfile", 0, "not built yet; --result holds the id, and --name makes it findable"},
    {"label-file", 0, "not built yet; see --label"},
    {"blkio-weight", 0, DISK_RATE},
    {"blkio-weight-device", 0, DISK_RATE},
    {"device-read-bps", 0, DISK_RATE},
    {"device-read-iops", 0, DISK_RATE},
    {"device-write-bps", 0, DISK_RATE},
    {"device-write-iops", 0, DISK_RATE},

    {"privileged", 0, "a sandbox with the host's privileges is none; see --profile build"},
    {"device", 0, DEVICE},
    {"device-cgroup-rule", 0, DEVICE},
    {"gpus", 0, DEVICE},
    {"cap-add", 0, "capabilities come with the profile alone; see --profile build"},
    {"cap-drop", 0, "all but the profile's are dropped already; strict has none"},
    {"security-opt", 0, "every layer is on already; see --seccomp and --without"},
    {"sysctl", 0, "settings of the kernel can't be changed for a sandbox"},
    {"group-add", 0,
     "groups can't be added: --user UID:GID says the one (beside it an ordinary user's strict "
     "sandbox keeps the caller's)"},
    {"pid", 0, NAMESPACE},
    {"ipc", 0, NAMESPACE},
    {"uts", 0, NAMESPACE},
    {"userns", 0, NAMESPACE},
    {"cgroupns", 0, NAMESPACE},
    {"cgroup-parent", 0,
     "a sandbox's cgroup is made below the caller's own; start the run in another"},
    {"runtime", 0, "what stands around the code is said by --wall"},
    {"isolation", 0, "what stands around the code is said by --wall"},
    {"platform", 0, "programs run natively, on this machine's own kind of processor"},

    {"publish", 'p', "there are no ports: a sandbox has no network that others can reach"},
    {"publish-all", 'P', "there are no ports: a sandbox has no network that others can reach"},
    {"expose", 0, "there are no ports: a sandbox has no network that others can reach"},
    {"dns", 0, NETWORK},
    {"dns-opt", 0, NETWORK},
    {"dns-option", 0, NETWORK},
    {"dns-search", 0, NETWORK},
    {"add-host", 0, NETWORK},
    {"ip", 0, NETWORK},
    {"ip6", 0, NETWORK},
    {"mac-address", 0, NETWORK},
    {"network-alias", 0, NETWORK},
    {"net-alias", 0, NETWORK},
    {"link", 0, "sandboxes can't reach one another"},
    {"link-local-ip", 0, NETWORK},
    {"domainname", 0, "the host name may have a domain; say --hostname NAME.DOMAIN"},

    {"cpu-shares", 'c', CPU_WEIGHT},
    {"cpu-period", 0, CPU_WEIGHT},
    {"cpu-quota", 0, CPU_WEIGHT},
    {"cpu-rt-period", 0, CPU_WEIGHT},
    {"cpu-rt-runtime", 0, CPU_WEIGHT},
    {"memory-reservation", 0, MEMORY_ONE},
    {"memory-swappiness", 0, MEMORY_ONE},
    {"kernel-memory", 0, MEMORY_ONE},
    {"oom-kill-disable", 0, MEMORY_ONE},
    {"oom-score-adj", 0, MEMORY_ONE},
    {"storage-opt", 0, "say --disk for everything that is written"},

    {"restart", 0, "there is none: a sandbox that ended is gone; run it again"},
    {"stop-timeout", 0, "say --stop-grace, with --timeout"},
    {"sig-proxy", 0, "signals are always passed on"},
    {"attach", 'a', "the three streams are always connected; standard input see --interactive"},
    {"log-driver", 0, LOG},
    {"log-opt", 0, LOG},
    {"health-cmd", 0, HEALTH},
    {"health-interval", 0, HEALTH},
    {"health-retries", 0, HEALTH},
    {"health-start-interval", 0, HEALTH},
    {"health-start-period", 0, HEALTH},
    {"health-timeout", 0, HEALTH},
    {"no-healthcheck", 0, HEALTH},
    {"annotation", 0, "say --label"},
    {"volumes-from", 0, "there are no named volumes; use --volume with a host path"},
    {"volume-driver", 0, "there are no named volumes; use --volume with a host path"},

    /* Words of policy files. */
    {"tasks", 0, "it is called --pids-limit on the command line"},
    {"time", 0, "it is called --timeout on the command line"},
    {"output", 0, "it is called --output-limit on the command line"},
    {"files", 0, "it is called --volume, --mount and --tmpfs on the command line"},
    {"root", 0, "it is called --read-only and --writable on the command line"},
    {NULL, 0, NULL},
};
