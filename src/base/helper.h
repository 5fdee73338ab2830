/* helper.h - the helper programs: where they are, and one call of one of them.
 *
 * A helper gets an empty environment, its bytes in files of memory, two pipes for the answer
 * and the complaint, and nothing else; what it sends is capped, and it is killed when its
 * time is up. Its own jail is its own affair (src/helpers): nothing here believes what it
 * says.
 *
 * Context: any process of the core with descriptors 0 to 2 open.
 */
#ifndef CL_BASE_HELPER_H
#define CL_BASE_HELPER_H

#include "base/buf.h"
#include "base/error.h"

enum { CL_HELPER_PATH_SIZE = 4200, CL_HELPER_MAX_INPUTS = 4, CL_HELPER_MAX_ARGS = 4 };

struct cl_helper {
    const char *name; /* "cloister-plan" */
    char path[CL_HELPER_PATH_SIZE];
    /* Which build it is: a new one makes cached plans stale. */
    uint64_t size;
    int64_t mtime_s;
    int64_t mtime_ns;
};

struct cl_helper_call {
    const char *args[CL_HELPER_MAX_ARGS]; /* "policy", "job.yaml"; the rest NULL */
    const char *subject;                  /* what messages begin with: "job.yaml" */
    /* On descriptors 0, 3, 4, ...; the rest NULL. */
    const struct cl_buf *inputs[CL_HELPER_MAX_INPUTS];
    int file; /* in place of the first input: a regular file, when it is above 2 */
    /* What it writes on its descriptor 3, when it is above 2: for an answer that is too large to
     * go through us. There is no second input then. */
    int result;
    uint64_t timeout_ns;
    char *const *environment; /* NULL: an empty one */
    const char *work;         /* what may take too long; NULL: "parse" */
    int is_foreign; /* no parser of ours: it answers SUBJECT, and isn't ended by its own limits */
};

/* Finds the helper NAME (which must outlive RET): DIR/../libexec/cloister/NAME or DIR/NAME.
 * DIR is the directory of cloister's executable; NULL asks /proc/self/exe, which is right as
 * long as cloister runs from its file. */
int cl_helper_find(const char *dir, const char *name, struct cl_helper *ret, struct cl_error *err);

/* Runs it to its end and adds its answer to OUTPUT, whose cap bounds it; also what one said that
 * failed then. Its complaint becomes the error. */
int cl_helper_run(const struct cl_helper *helper, const struct cl_helper_call *call,
                  struct cl_buf *output, struct cl_error *err);

/* BYTES as a file of memory, at its start: a descriptor. */
int cl_helper_memory_file(const struct cl_buf *bytes, struct cl_error *err);

#endif
