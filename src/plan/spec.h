/* spec.h - an OCI runtime configuration as a record: what config.json, a process for `exec` or
 * resources for `update` say, decoded and flattened (OCI runtime specification 1.2: config.md,
 * config-linux.md).
 *
 * The document is read by cloister-plan in its jail (helpers/plan/spec*.c); this is what comes of
 * it. A bundle is obeyed, not judged: unlike a plan nothing here is decided. What is checked when a
 * record is read is its shape: paths that have to be absolute are, numbers lie in the bounds of
 * their rows, counts add up. A helper that a document took over can say nothing that another
 * document couldn't.
 *
 * Words of the kernel's are numbers here: mount attributes (mount_setattr(2)), namespaces
 * (clone(2)), capabilities, resources of setrlimit(2).
 *
 * Ownership: the record owns nothing; what was read lives in the arena or in the bytes.
 */
#ifndef CL_PLAN_SPEC_H
#define CL_PLAN_SPEC_H

#include "plan/plan.h"

enum {
    CL_SPEC_MAX_INPUT = 4 << 20,
    CL_SPEC_MAX_SIZE = 8 << 20, /* of the flat form */
    CL_SPEC_MAX_MOUNTS = 1024,
    CL_SPEC_MAX_WARNINGS = 32,
    CL_SPEC_MAX_FILTER = 4096 * 8, /* bytes: BPF_MAXINSNS */
    CL_SPEC_RECORD_VERSION = 1,
    CL_SPEC_OOM_BIAS = 1000, /* oom_score_adj is kept with this added */
};

struct cl_numbers {
    const uint32_t *items;
    size_t count;
};

/* --- mounts --------------------------------------------------------------------------------- */

enum {
    CL_SPEC_BIND = 1,
    CL_SPEC_RECURSIVE = 2,   /* BIND: the mounts below the source too (rbind) */
    CL_SPEC_TMPCOPYUP = 4,   /* a tmpfs begins with what is at its place in the root */
    CL_SPEC_IDMAP = 8,       /* by the mount's own maps, or the container's */
    CL_SPEC_IDMAP_DEEP = 16, /* ridmap: the mounts below too */
};

/* SET and CLEAR are MOUNT_ATTR_ masks, CLEAR first (mount_setattr(2)); DEEP those of all mounts
 * below, too (rro, rnosuid, ...). */
struct cl_spec_mount {
    const char *target;   /* absolute */
    const char *type;     /* "" for a bind mount */
    const char *source;   /* "" for none */
    const char *options;  /* what the file system itself is told: "size=64k,mode=755" */
    uint32_t flags;       /* CL_SPEC_ */
    uint32_t propagation; /* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, with MS_REC; 0: none */
    uint64_t set;
    uint64_t clear;
    uint64_t deep_set;
    uint64_t deep_clear;
    uint32_t uid_maps; /* how many of the record's mount_maps are this one's, in order: first */
    uint32_t gid_maps; /* those of uids, then those of gids */
};

struct cl_spec_mounts {
    const struct cl_spec_mount *items;
    size_t count;
};

/* --- namespaces ------------------------------------------------------------------------------ */

struct cl_spec_namespace {
    uint32_t kind;    /* CLONE_NEW */
    const char *path; /* "": a new one */
};

struct cl_spec_namespaces {
    const struct cl_spec_namespace *items;
    size_t count;
};

/* SIZE ids from INSIDE on stand for those from OUTSIDE on. */
struct cl_spec_map {
    uint32_t inside;
    uint32_t outside;
    uint32_t size;
};

struct cl_spec_maps {
    const struct cl_spec_map *items;
    size_t count;
};

struct cl_spec_offset {
    uint32_t clock; /* CLOCK_MONOTONIC, CLOCK_BOOTTIME */
    uint32_t nanoseconds;
    int64_t seconds;
};

struct cl_spec_offsets {
    const struct cl_spec_offset *items;
    size_t count;
};

/* --- devices --------------------------------------------------------------------------------- */

struct cl_spec_device {
    const char *path;
    uint32_t kind; /* S_IFCHR, S_IFBLK, S_IFIFO */
    uint32_t major;
    uint32_t minor;
    uint32_t mode; /* permission bits */
    uint32_t uid;
    uint32_t gid;
};

struct cl_spec_devices {
    const struct cl_spec_device *items;
    size_t count;
};

enum { CL_SPEC_READ = 1, CL_SPEC_WRITE = 2, CL_SPEC_MKNOD = 4, CL_SPEC_ANY = -1 };

struct cl_spec_rule {
    uint32_t allow;
    uint32_t kind;   /* 'a', 'b', 'c' */
    uint32_t access; /* CL_SPEC_READ ... */
    int64_t major;   /* CL_SPEC_ANY */
    int64_t minor;
};

struct cl_spec_rules {
    const struct cl_spec_rule *items;
    size_t count;
};

/* --- resources ------------------------------------------------------------------------------- */

/* What of a cgroup is set; policy/resources.def says by which files. */
enum cl_resource {
#define CL_RESOURCE(id, name, path, v1_controller, v1_file, v2_file, form, why) CL_RESOURCE_##name,
#include "policy/resources.def"
#undef CL_RESOURCE
    CL_RESOURCE_COUNT
};

/* One setting; which members count is its row's affair. */
struct cl_spec_resource {
    uint32_t what; /* enum cl_resource */
    uint32_t major;
    uint32_t minor;
    int64_t value;
    const char *name; /* a page size, an interface, a device, a file's name */
    const char *text; /* a list of processors, a file's content */
};

struct cl_spec_resources {
    const struct cl_spec_resource *items;
    size_t count;
};

/* --- processes and hooks ---------------------------------------------------------------------- */

struct cl_spec_scheduler {
    uint32_t policy; /* SCHED_ */
    uint32_t priority;
    int32_t nice;
    uint64_t flags; /* SCHED_FLAG_ */
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
};

struct cl_spec_schedulers {
    const struct cl_spec_scheduler *items;
    size_t count;
};

enum cl_hook_kind {
    CL_HOOK_PRESTART,
    CL_HOOK_CREATE_RUNTIME,
    CL_HOOK_CREATE_CONTAINER,
    CL_HOOK_START_CONTAINER,
    CL_HOOK_POSTSTART,
    CL_HOOK_POSTSTOP,
    CL_HOOK_COUNT
};

/* ARGS (argv[0] too) and ENV lie in the record's hook_words, one hook after the other. */
struct cl_spec_hook {
    uint32_t kind;      /* enum cl_hook_kind */
    uint32_t timeout_s; /* 0: none */
    const char *path;   /* absolute */
    struct cl_strlist args;
    struct cl_strlist env;
};

struct cl_spec_hooks {
    const struct cl_spec_hook *items;
    size_t count;
};

/* --- the record ------------------------------------------------------------------------------- */

enum cl_spec_field {
    CL_SPEC_VERSION,
    CL_SPEC_HOSTNAME,
    CL_SPEC_DOMAINNAME,
    CL_SPEC_ARGS,
    CL_SPEC_ENV,
    CL_SPEC_CWD,
    CL_SPEC_UID,
    CL_SPEC_GID,
    CL_SPEC_GROUPS,
    CL_SPEC_UMASK,
    CL_SPEC_TERMINAL,
    CL_SPEC_ROWS,
    CL_SPEC_COLUMNS,
    CL_SPEC_NO_NEW_PRIVILEGES,
    CL_SPEC_BOUNDING,
    CL_SPEC_EFFECTIVE,
    CL_SPEC_INHERITABLE,
    CL_SPEC_PERMITTED,
    CL_SPEC_AMBIENT,
    CL_SPEC_RLIMITS,
    CL_SPEC_APPARMOR,
    CL_SPEC_SELINUX,
    CL_SPEC_MOUNT_LABEL,
    CL_SPEC_OOM_SCORE,
    CL_SPEC_IO_PRIORITY,
    CL_SPEC_SCHEDULER,
    CL_SPEC_AFFINITY_INITIAL,
    CL_SPEC_AFFINITY_FINAL,
    CL_SPEC_PERSONALITY,
    CL_SPEC_ROOT,
    CL_SPEC_ROOT_READONLY,
    CL_SPEC_MOUNTS,
    CL_SPEC_MOUNT_MAPS,
    CL_SPEC_NAMESPACES,
    CL_SPEC_UID_MAPS,
    CL_SPEC_GID_MAPS,
    CL_SPEC_TIME_OFFSETS,
    CL_SPEC_DEVICES,
    CL_SPEC_DEVICE_RULES,
    CL_SPEC_CGROUPS_PATH,
    CL_SPEC_RESOURCES,
    CL_SPEC_SECCOMP_PROFILE,
    CL_SPEC_SECCOMP,
    CL_SPEC_SECCOMP_FLAGS,
    CL_SPEC_SECCOMP_LISTENER,
    CL_SPEC_SECCOMP_METADATA,
    CL_SPEC_SYSCTLS,
    CL_SPEC_MASKED,
    CL_SPEC_READONLY,
    CL_SPEC_PROPAGATION,
    CL_SPEC_INTEL_RDT,
    CL_SPEC_HOOKS,
    CL_SPEC_HOOK_WORDS,
    CL_SPEC_ANNOTATIONS,
    CL_SPEC_WARNINGS,
    CL_SPEC_FIELD_COUNT
};
#define CL_SPEC_BIT(field) (1ULL << (field))

/* Of a process for `exec` the fields ARGS to AFFINITY_FINAL alone are set, of resources for
 * `update` RESOURCES alone; WARNINGS in each. */
struct cl_spec {
    uint64_t set;
    const char *version; /* ociVersion, as written */
    const char *hostname;
    const char *domainname;
    struct cl_strlist args; /* of `start`: may be absent */
    struct cl_strlist env;  /* "KEY=value" */
    const char *cwd;        /* absolute */
    uint64_t uid;
    uint64_t gid;
    struct cl_numbers groups;
    uint64_t umask;
    uint64_t terminal;
    uint64_t rows;
    uint64_t columns;
    uint64_t no_new_privileges;
    uint64_t bounding; /* capabilities: bit n is capability n; unset: none */
    uint64_t effective;
    uint64_t inheritable;
    uint64_t permitted;
    uint64_t ambient;
    struct cl_rlimits rlimits; /* each resource once */
    const char *apparmor;
    const char *selinux;
    const char *mount_label;
    uint64_t oom_score;                  /* + CL_SPEC_OOM_BIAS: 0 to 2000 */
    uint64_t io_priority;                /* as ioprio_set(2) takes it */
    struct cl_spec_schedulers scheduler; /* one */
    const char *affinity_initial;        /* a list of processors: "0-3,7" */
    const char *affinity_final;
    uint64_t personality; /* as personality(2) takes it */
    const char *root;     /* as written: relative to the bundle, or absolute */
    uint64_t root_readonly;
    struct cl_spec_mounts mounts; /* in the order in which they are made */
    struct cl_spec_maps mount_maps;
    struct cl_spec_namespaces namespaces; /* each kind once */
    struct cl_spec_maps uid_maps;
    struct cl_spec_maps gid_maps;
    struct cl_spec_offsets time_offsets;
    struct cl_spec_devices devices;
    struct cl_spec_rules device_rules; /* in order: the last that fits counts */
    const char *cgroups_path;          /* as written */
    struct cl_spec_resources resources;
    struct cl_bytes profile; /* of seccomp, as JSON; in a helper's answer alone: see cl_spec_load */
    struct cl_bytes seccomp; /* struct sock_filter[] */
    uint64_t seccomp_flags;  /* SECCOMP_FILTER_FLAG_ */
    const char *seccomp_listener; /* a socket's path */
    const char *seccomp_metadata;
    struct cl_strlist sysctls; /* "net.ipv4.ip_forward", "1", ... */
    struct cl_strlist masked;  /* absolute paths */
    struct cl_strlist readonly;
    uint64_t propagation;        /* rootfsPropagation: MS_PRIVATE ... with MS_REC */
    struct cl_strlist intel_rdt; /* "closID", "x", ... */
    struct cl_spec_hooks hooks;  /* of a kind in the order in which they run */
    struct cl_strlist hook_words;
    struct cl_strlist annotations; /* "key", "value", ... */
    struct cl_strlist warnings;    /* what the document has that means nothing here */
};

static inline int cl_spec_has(const struct cl_spec *spec, enum cl_spec_field field)
{
    return (spec->set & CL_SPEC_BIT(field)) != 0;
}

static inline void cl_spec_mark(struct cl_spec *spec, enum cl_spec_field field)
{
    spec->set |= CL_SPEC_BIT(field);
}

/* Its namespace of that CLONE_NEW kind, or NULL: the runtime's own. */
const struct cl_spec_namespace *cl_spec_namespace(const struct cl_spec *spec, uint32_t kind);
/* The annotation's value, or NULL. */
const char *cl_spec_annotation(const struct cl_spec *spec, const char *key);
/* Whether it has a hook of that kind. */
int cl_spec_has_hook(const struct cl_spec *spec, enum cl_hook_kind kind);
/* "createRuntime" */
const char *cl_hook_name(enum cl_hook_kind kind);
/* "linux.resources.memory.limit" */
const char *cl_resource_path(enum cl_resource what);

/* Appends SPEC's flat form to BUF; of hooks the counts of args and env alone matter. */
int cl_spec_write(const struct cl_spec *spec, struct cl_buf *buf, struct cl_error *err);
/* Reads one; -EBADMSG for what is none. */
int cl_spec_read(const struct cl_bytes *bytes, struct cl_arena *arena, struct cl_spec *ret,
                 struct cl_error *err);

/* Which document: each its own verb of cloister-plan. */
enum cl_spec_kind {
    CL_SPEC_CONFIG,       /* "spec": config.json */
    CL_SPEC_PROCESS,      /* "process": exec --process */
    CL_SPEC_RESOURCES_OF, /* "resources": update --resources */
    CL_SPEC_KIND_COUNT
};

struct cl_spec_document {
    enum cl_spec_kind kind;
    int fd;           /* a regular file or a pipe; read to its end, at most CL_SPEC_MAX_INPUT */
    const char *name; /* for messages */
    /* As in cl_compile_context (plan/compile.h); NULL: the usual ones. */
    const char *helper_dir;
    const char *cache_dir;
};

/* The record of DOCUMENT, by the cache or the helper. RET_BYTES is its flat form, in ARENA, which
 * needs room for that a few times over. A seccomp profile is a program in it, which has a place of
 * its own in the cache: who has seen a profile compiles it in no other document again. Errors of
 * the document's content are -EINVAL with NAME: and the field's path in front. Blocks until the
 * pipe ends, and for at most 20 s more. */
int cl_spec_load(const struct cl_spec_document *document, struct cl_arena *arena,
                 struct cl_spec *ret, struct cl_bytes *ret_bytes, struct cl_error *err);

#endif
