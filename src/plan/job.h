/* job.h - a job file as a record: what `cloister job run` does in one sandbox, step by step.
 *
 * The file is read by cloister-plan in its jail (helpers/plan/job.c); this is what comes of it,
 * checked when it is read: a helper that a file took over can say nothing here that another file
 * couldn't.
 *
 * Ownership: the record owns nothing; what was read lives in the arena.
 */
#ifndef CL_PLAN_JOB_H
#define CL_PLAN_JOB_H

#include "plan/plan.h"

enum {
    CL_JOB_MAX_STEPS = 256,
    CL_JOB_MAX_PATHS = 64,     /* of copy_in, and of artifacts */
    CL_JOB_MAX_WORDS = 4096,   /* of one command */
    CL_JOB_MAX_WORD = 131071,  /* bytes: MAX_ARG_STRLEN less its NUL (execve(2)) */
    CL_JOB_MAX_STEP_NAME = 64, /* bytes */
    CL_JOB_MAX_SIZE = 4 << 20, /* of the flat form; a file has 1 MiB at most */
};

struct cl_job_step {
    const char *name;          /* no two are called the same */
    const char *run;           /* for the job's shell; "": COMMAND is executed */
    const char *workdir;       /* "": the sandbox's */
    uint64_t timeout_ns;       /* 0: the job's alone */
    uint32_t allow_failure;    /* 0 or 1 */
    struct cl_strlist command; /* empty where there is a text to run */
    struct cl_strlist env;
};

struct cl_job_steps {
    const struct cl_job_step *items;
    size_t count;
};

/* From where to where: of copy_in a path of the host and one of the sandbox; of an artifact a path
 * of the sandbox, and one below the directory of the artifacts. */
struct cl_job_path {
    const char *from;
    const char *to;
};

struct cl_job_paths {
    const struct cl_job_path *items;
    size_t count;
};

enum cl_job_field {
    CL_JOB_NAME,
    CL_JOB_TENANT,
    CL_JOB_IMAGE,
    CL_JOB_POLICY,
    CL_JOB_ENV,
    CL_JOB_WORKDIR,
    CL_JOB_COPY_IN,
    CL_JOB_STEPS,
    CL_JOB_ARTIFACTS,
    CL_JOB_SHELL,
    CL_JOB_WORDS,
    CL_JOB_STEP_ENV,
    CL_JOB_FIELD_COUNT
};
#define CL_JOB_BIT(field) (1ULL << (field))

/* A list's item holds no list in the flat form: the words and variables of all steps lie one after
 * the other in WORDS and STEP_ENV, and a step's count says how many are its own. */
struct cl_job {
    uint64_t set;
    const char *name;
    const char *tenant;
    const char *image;
    struct cl_bytes policy; /* a plan's flat form, fields of scope POLICY */
    struct cl_strlist env;
    const char *workdir;
    struct cl_job_paths copy_in;
    struct cl_job_steps steps;
    struct cl_job_paths artifacts;
    struct cl_strlist shell; /* what a text to run is appended to */
    struct cl_strlist words;
    struct cl_strlist step_env;
};

static inline int cl_job_has(const struct cl_job *job, enum cl_job_field field)
{
    return (job->set & CL_JOB_BIT(field)) != 0;
}

/* Appends JOB's flat form to BUF; of its steps' commands and env the counts alone matter. */
int cl_job_write(const struct cl_job *job, struct cl_buf *buf, struct cl_error *err);

/* Reads one and looks whether it is a job: it has an image and steps, each with either a text or
 * words, and its paths are what they have to be. -EBADMSG for what is none. */
int cl_job_read(const struct cl_bytes *bytes, struct cl_arena *arena, struct cl_job *ret,
                struct cl_error *err);

/* The job that the file at PATH says, by the helper; it is not kept: a job's file is seldom run
 * twice. -EINVAL with NAME:LINE:COLUMN: PATH: in front for what is wrong in it. */
int cl_job_load(const char *path, struct cl_arena *arena, struct cl_job *ret, struct cl_error *err);

/* JOB's policy as a plan; all unset where it has none. */
int cl_job_policy(const struct cl_job *job, struct cl_arena *arena, struct cl_plan *ret,
                  struct cl_error *err);

/* What a name of a step may be: text that can be shown on a terminal. */
int cl_job_check_step_name(const char *text, struct cl_error *err);
/* A relative path that stays below where it begins: no "..", ".", "//" or slash at an end. */
int cl_job_check_below(const char *text, struct cl_error *err);

#endif
