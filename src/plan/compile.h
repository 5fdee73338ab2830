/* compile.h - foreign files as plans: the core's side of cloister-plan.
 *
 * The core parses no YAML and no JSON. It hashes the file's bytes and takes the plan
 * from the cache; on a miss it hands those same bytes (a copy in memory, so that what
 * was hashed is what is parsed) to the jailed helper, checks the answer and keeps it.
 * A hit starts no process.
 *
 * Context: any process of the core with descriptors 0 to 2 open; blocks for at most
 * 10 s. Privilege: none needed. The cache lies in /var/cache/cloister/plans for root
 * and in $XDG_CACHE_HOME (or ~/.cache)/cloister/plans for others; a cache that can't
 * be used is done without.
 */
#ifndef CL_PLAN_COMPILE_H
#define CL_PLAN_COMPILE_H

#include "plan/plan.h"

enum { CL_COMPILE_MAX_INPUT = 1 << 20 };

enum cl_compile_kind {
    CL_COMPILE_POLICY,  /* a policy file: fields of scope POLICY */
    CL_COMPILE_SECCOMP, /* a Docker/OCI profile: seccomp and its name */
    CL_COMPILE_USER,    /* /etc/passwd and /etc/group of an image: uid; gid and home if known */
    CL_COMPILE_KIND_COUNT,
};

struct cl_compile_context {
    /* The directory of cloister's executable; the helper is DIR/../libexec/cloister/
     * cloister-plan or DIR/cloister-plan. NULL: asks /proc/self/exe, which is right
     * as long as cloister runs from its file. */
    const char *helper_dir;
    const char *cache_dir;  /* as in cl_plan_cache_open; "": no cache */
    struct cl_arena *arena; /* for the plan; needs room for its flat form, 4 MiB at most */
};

/* What is compiled; all borrowed. Descriptors must be of regular files
 * (cl_follow_regular, so that a FIFO in their place can't hold us up) and stay open. */
struct cl_compile_input {
    enum cl_compile_kind kind;
    int fd;           /* the file; for USER passwd's, -1 when the image has none */
    int group_fd;     /* USER: group's, or -1; else ignored */
    const char *name; /* the file as the user wrote it; USER: "user" or "user:group" */
};

/* Relative host paths in a policy stay as they are written. Errors of the file's content
 * are -EINVAL with NAME:LINE:COLUMN or NAME: PATH in front. */
int cl_plan_compile(const struct cl_compile_context *context, const struct cl_compile_input *input,
                    struct cl_plan *ret, struct cl_error *err);

/* The plan in BYTES, which a helper wrote of a file of KIND: -EBADMSG for one that says what such a
 * file can't. It points into BYTES. */
int cl_compile_read(enum cl_compile_kind kind, const struct cl_bytes *bytes, struct cl_arena *arena,
                    struct cl_plan *ret, struct cl_error *err);

/* The same as cl_plan_compile for the file at PATH, with the usual cache and the helper of the
 * installation; a profile sets seccomp and its name. */
int cl_compile_policy(const char *path, struct cl_arena *arena, struct cl_plan *ret,
                      struct cl_error *err);
int cl_compile_seccomp(const char *path, struct cl_arena *arena, struct cl_plan *ret,
                       struct cl_error *err);

#endif
