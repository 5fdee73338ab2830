/* plan.h - the plan: policy, image and command, decided and flattened; the one
 * record from which a sandbox is made.
 *
 * A struct cl_plan holds any subset of the fields of fields.def; `set` says which.
 * A policy file, the flags and a profile's defaults are each such a subset, laid
 * over one another with cl_plan_overlay; cl_plan_decide (decide.h) makes the whole
 * one. Its flat form (format.h) is what helpers write, caches and the state
 * directory keep, and workers read.
 *
 * Ownership: the struct owns nothing. Strings and arrays live in the arena or in
 * the buffer that it was read from, which must outlive it.
 */
#ifndef CL_PLAN_PLAN_H
#define CL_PLAN_PLAN_H

#include "base/flat.h"

enum cl_wall_kind {
    CL_WALL_CONTAINER,
    CL_WALL_WASM,
    CL_WALL_VM,
    CL_WALL_KERNEL,
    CL_WALL_AUTO,
    CL_WALL_COUNT
};
enum cl_profile { CL_PROFILE_STRICT, CL_PROFILE_BUILD, CL_PROFILE_COUNT };
enum cl_network { CL_NETWORK_NONE, CL_NETWORK_OUTBOUND, CL_NETWORK_COUNT };
/* The root file system: as the profile says, read-only, or all of it copy-on-write. */
enum cl_cgroup_manager { CL_CGROUPS_BY_US, CL_CGROUPS_BY_SYSTEMD, CL_CGROUPS_COUNT };
/* How a module runs: as one of many in its tenant's worker, or in a worker of its own. */
enum cl_wasm_model { CL_WASM_COROUTINE, CL_WASM_PROCESS, CL_WASM_COUNT };
/* What runs it: ours, from compiled code; or a library that a user has installed. */
enum cl_wasm_engine { CL_WASM_WASMTIME, CL_WASM_WASMEDGE, CL_WASM_ENGINE_COUNT };
enum cl_root_mode { CL_ROOT_PROFILE, CL_ROOT_READ_ONLY, CL_ROOT_WRITABLE, CL_ROOT_COUNT };
/* Where the root file system comes from. STORE: image_layers, directories below image_path, which
 * is the store's `layers` (src/image); what an image's launch record sets. MODULE: it is empty, and
 * the image is a WebAssembly module: a file, or a layer of the store, if there are image_layers. A
 * module's compiled form goes beside the plan (src/module). MODULES: the same, but modules come
 * from clients, while it runs. */
enum cl_image_kind {
    CL_IMAGE_HOST,
    CL_IMAGE_ROOTFS,
    CL_IMAGE_STORE,
    CL_IMAGE_MODULE,
    CL_IMAGE_MODULES,
    CL_IMAGE_COUNT
};
/* Places of an image that a wall looks for: mount points, and the name of localhost. */
enum cl_place { CL_PLACE_PROC, CL_PLACE_DEV, CL_PLACE_TMP, CL_PLACE_HOSTS, CL_PLACE_COUNT };
#define CL_PLACE_BIT(place) (1ULL << (place))
#define CL_PLACE_MASK ((1ULL << CL_PLACE_COUNT) - 1)
/* What holds all that is written: a tmpfs, or a file system in a file of the host. */
enum cl_scratch { CL_SCRATCH_MEMORY, CL_SCRATCH_DISK, CL_SCRATCH_COUNT };

enum cl_layer {
#define CL_LAYER(name, text, acceptable, why) CL_LAYER_##name,
#include "policy/layers.def"
#undef CL_LAYER
    CL_LAYER_COUNT
};
#define CL_LAYER_BIT(layer) (1ULL << (layer))
#define CL_LAYER_MASK ((1ULL << CL_LAYER_COUNT) - 1)

#define CL_CAP_MASK ((1ULL << 41) - 1) /* CAP_CHOWN (0) to CAP_CHECKPOINT_RESTORE (40) */
#define CL_MAX_BYTES (1ULL << 50)
#define CL_MAX_NS (366ULL * 86400 * 1000000000)
/* Of struct sock_filter: BPF_MAXINSNS less what lies under a user's profile. */
enum { CL_MAX_FILTER_INSNS = 4096 - 256 };
#define CL_MAX_FILTER_BYTES (CL_MAX_FILTER_INSNS * 8UL)

enum cl_file_kind { CL_FILE_BIND, CL_FILE_TMPFS, CL_FILE_KIND_COUNT };
enum cl_file_mode { CL_FILE_RO, CL_FILE_RW, CL_FILE_COPY, CL_FILE_MODE_COUNT };

/* One entry of `files`: a host path, or an own tmpfs, at a path of the sandbox. */
struct cl_plan_file {
    enum cl_file_kind kind;
    enum cl_file_mode mode;
    const char *source;   /* host path; "" for a tmpfs */
    const char *target;   /* absolute path in the sandbox */
    uint64_t size_bytes;  /* tmpfs: its own limit, 0 for that of all scratch */
    uint32_t permissions; /* tmpfs: mode bits, 0 for 1777 */
};

struct cl_files {
    const struct cl_plan_file *items;
    size_t count;
};

enum { CL_PLAN_RLIMITS = 16 }; /* setrlimit's resources are 0 to 15 */

struct cl_plan_rlimit {
    uint32_t resource; /* RLIMIT_* */
    uint64_t soft;
    uint64_t hard;
};

struct cl_rlimits {
    const struct cl_plan_rlimit *items;
    size_t count;
};

/* Only fields that are set limit anything. */
struct cl_plan_limits {
    uint64_t memory_bytes;
    uint64_t swap_bytes;
    uint64_t millicpus;
    uint64_t cpu_time_ns;
    uint64_t time_ns;
    uint64_t grace_ns;
    uint64_t tasks;
    uint64_t disk_bytes;
    uint64_t output_bytes;
    uint64_t open_files;
    uint64_t file_size_bytes;
    uint64_t shm_bytes;
};

enum cl_field {
#define CL_FIELD(id, name, path, type, member, scope, min, max) CL_FIELD_##name,
#include "plan/fields.def"
#undef CL_FIELD
    CL_FIELD_COUNT
};

struct cl_plan {
    uint64_t set; /* bit f: field f is set */
    /* ENUM and COUNT members are uint64_t so that one row type serves them all. */
    uint64_t wall;
    uint64_t profile;
    uint64_t network;
    struct cl_strlist network_reach; /* OUTBOUND: what is open although it is closed; CIDRs */
    uint64_t root_mode;
    uint64_t cgroup_manager; /* the caller's: no file takes a sandbox out of his cgroup */
    uint64_t image_kind;
    uint64_t scratch; /* as decided */
    const char *image;
    const char *image_path;
    const char *image_digest;       /* STORE: of the manifest, MODULE: of its bytes, "sha256:..." */
    struct cl_strlist image_layers; /* STORE: names below image_path, lowest first */
    uint64_t image_places;          /* STORE: those it has; unset: not looked for yet */
    uint64_t image_module;          /* of a tree: the command's file is a WebAssembly module */
    uint64_t image_component;       /* the module, wherever it comes from, is one of WASI 0.2 */
    struct cl_strlist entrypoint;   /* goes before the command */
    uint64_t stop_signal;           /* unset: SIGTERM */
    const char *name;
    const char *tenant;
    const char *user; /* as written: "1000", "1000:1000" or a name */
    uint64_t uid;     /* as decided */
    uint64_t gid;
    const char *home; /* of the user, as the image's /etc/passwd has it; decided, it is in env */
    const char *workdir;
    const char *hostname;
    struct cl_strlist command;
    struct cl_strlist env; /* "KEY=value" */
    struct cl_strlist labels;
    struct cl_files files;
    struct cl_rlimits rlimits;
    struct cl_plan_limits limits;
    uint64_t tty;
    uint64_t interactive;
    uint64_t die_with_parent;
    uint64_t detach; /* its supervisor is a process of its own, and its end is recorded */
    uint64_t remove; /* with DETACH: nothing is kept after the end */
    uint64_t waits;  /* the main process begins when the sandbox's supervisor says so */
    uint64_t stays;  /* after its end the sandbox stands on until that says so */
    uint64_t keep;   /* it does until the sandbox is removed; its end is recorded */
    uint64_t wasm_model;
    uint64_t wasm_engine;
    uint64_t
        shares_worker; /* MODULE: it asks for nothing that a tenant's worker couldn't give it */
    uint64_t guests;   /* MODULES: that run at a time */
    uint64_t without;  /* CL_LAYER_BITs */
    uint64_t capabilities;
    struct cl_bytes seccomp; /* struct sock_filter[]; unset: the profile's own */
    const char *seccomp_name;
};

enum cl_field_type {
    CL_TYPE_BOOL,
    CL_TYPE_ENUM,
    CL_TYPE_COUNT,
    CL_TYPE_SIZE,
    CL_TYPE_DURATION,
    CL_TYPE_MILLICPU,
    CL_TYPE_MASK,
    CL_TYPE_STR,
    CL_TYPE_STRLIST,
    CL_TYPE_BYTES,
    CL_TYPE_FILES,
    CL_TYPE_RLIMITS,
};

enum cl_field_scope { CL_SCOPE_POLICY, CL_SCOPE_RUN };

struct cl_field_info {
    uint16_t id;
    enum cl_field_type type;
    enum cl_field_scope scope;
    const char *path;
    size_t offset; /* in struct cl_plan */
    uint64_t min;
    uint64_t max;
};

/* The table; FIELD < CL_FIELD_COUNT. */
const struct cl_field_info *cl_field_info(enum cl_field field);
/* The names of an ENUM's or MASK's values in order, NULL-ended; NULL for others. */
const char *const *cl_field_words(enum cl_field field);
/* "/proc" for CL_PLACE_PROC. */
const char *cl_place_path(enum cl_place place);
/* The field whose path is PATH, or CL_FIELD_COUNT. */
enum cl_field cl_field_by_path(const char *path);

static inline int cl_plan_has(const struct cl_plan *plan, enum cl_field field)
{
    return (plan->set & (1ULL << field)) != 0;
}

static inline void cl_plan_mark(struct cl_plan *plan, enum cl_field field)
{
    plan->set |= 1ULL << field;
}

static inline void cl_plan_unmark(struct cl_plan *plan, enum cl_field field)
{
    plan->set &= ~(1ULL << field);
}

/* True when the image is a tree of files, to be opened. */
static inline int cl_plan_has_tree(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_ROOTFS || plan->image_kind == CL_IMAGE_STORE;
}

/* True when the image is code for an engine, and the root file system nothing but scratch. */
static inline int cl_plan_is_module(const struct cl_plan *plan)
{
    return plan->image_kind == CL_IMAGE_MODULE || plan->image_kind == CL_IMAGE_MODULES;
}

/* True when what is run is code for an engine: such an image, or a file of a tree. */
static inline int cl_plan_has_module(const struct cl_plan *plan)
{
    return cl_plan_is_module(plan) || plan->image_module != 0;
}

/* Whether its end is recorded, and its supervisor outlives who started it. */
static inline int cl_plan_is_recorded(const struct cl_plan *plan)
{
    return plan->detach != 0 || plan->keep != 0;
}

/* The value of the variable NAME in ENV, entries "NAME=VALUE"; NULL: there is none. */
const char *cl_env_find(const struct cl_strlist *env, const char *name);

/* True when the plan leaves LAYER out. */
static inline int cl_plan_without(const struct cl_plan *plan, enum cl_layer layer)
{
    return (plan->without & CL_LAYER_BIT(layer)) != 0;
}

/* True when a directory of the host can be written from the sandbox. */
/* The --ulimit of RESOURCE, or NULL. */
const struct cl_plan_rlimit *cl_plan_find_rlimit(const struct cl_plan *plan, uint32_t resource);

int cl_plan_has_rw_volume(const struct cl_plan *plan);

/* Sets a scalar FIELD (bool to str) from TEXT, checking form and bounds. TEXT is
 * copied into ARENA. -EINVAL with a message that says what was expected; the caller
 * puts the option's or key's name before it. */
int cl_plan_set_text(struct cl_plan *plan, enum cl_field field, const char *text,
                     struct cl_arena *arena, struct cl_error *err);

/* Appends TEXT to a string list field; FILE to files; LIMIT to ulimits, or puts it in the place
 * of the one of its resource. */
int cl_plan_add_str(struct cl_plan *plan, enum cl_field field, const char *text,
                    struct cl_arena *arena, struct cl_error *err);
int cl_plan_add_file(struct cl_plan *plan, const struct cl_plan_file *file, struct cl_arena *arena,
                     struct cl_error *err);
int cl_plan_add_rlimit(struct cl_plan *plan, const struct cl_plan_rlimit *limit,
                       struct cl_arena *arena, struct cl_error *err);

/* The parts of an entry of files as users write them; a target is for
 * cl_target_normalise (decide.h). A size is that of a tmpfs. */
int cl_file_set_source(struct cl_plan_file *file, const char *text, size_t size,
                       struct cl_arena *arena, struct cl_error *err);
int cl_file_set_mode(struct cl_plan_file *file, const char *text, struct cl_error *err);
int cl_file_set_size(struct cl_plan_file *file, const char *text, struct cl_error *err);
const char *cl_file_mode_name(enum cl_file_mode mode);

/* Lays OVER on BASE: what OVER sets replaces what BASE had; env is merged by key,
 * files by target, labels by key, and `without` adds up. OVER's memory must outlive
 * BASE; merged lists are made in ARENA. */
int cl_plan_overlay(struct cl_plan *base, const struct cl_plan *over, struct cl_arena *arena,
                    struct cl_error *err);

/* Checks one numeric value or length against the field's row. */
int cl_field_check_bounds(enum cl_field field, uint64_t value, struct cl_error *err);

const char *cl_layer_name(enum cl_layer layer);
/* The layer called NAME, or CL_LAYER_COUNT. */
enum cl_layer cl_layer_by_name(const char *name);
/* Whether a user may accept that LAYER is missing. */
int cl_layer_acceptable(enum cl_layer layer);
/* The layers that users may do without, as a mask. */
uint64_t cl_layers_acceptable(void);

#endif
