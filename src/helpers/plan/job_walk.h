/* job_walk.h - what the files that read a job's file share: the job as far as it is read. */
#ifndef CL_HELPERS_PLAN_JOB_WALK_H
#define CL_HELPERS_PLAN_JOB_WALK_H

#include "helpers/plan/yaml_walk.h"
#include "plan/job.h"

/* Texts that are added one by one. */
struct cl_job_texts {
    const char **items;
    size_t count;
    size_t max;
};

struct cl_job_walk {
    struct cl_yaml yaml;
    struct cl_arena *arena;
    struct cl_job job;
    struct cl_plan fields; /* name, tenant, image, workdir and env, by the plan's own setters */
    struct cl_buf policy;
    struct cl_job_step *steps;
    struct cl_job_step *step; /* whose keys are read */
    struct cl_job_path *path; /* the same of copy_in and artifacts */
    struct cl_job_path *copies;
    struct cl_job_path *artifacts;
    struct cl_job_texts shell;
    struct cl_job_texts words;
    struct cl_job_texts step_env;
    unsigned int step_keys; /* 1 << enum step_key */
};

/* cl_yaml_locate_node, cl_yaml_take_map and cl_yaml_take_list in the job's file. */
int cl_job_locate(const struct cl_job_walk *walk, const struct cl_yaml_node *node, const char *path,
                  struct cl_error *err);
int cl_job_take_map(struct cl_job_walk *walk, const struct cl_yaml_node *node, const char *path,
                    const struct cl_yaml_keys *keys, struct cl_error *err);
int cl_job_take_list(struct cl_job_walk *walk, const struct cl_yaml_node *node, const char *path,
                     const struct cl_yaml_items *items, struct cl_error *err);
int cl_job_copy_text(struct cl_job_walk *walk, const char *text, const char **ret,
                     struct cl_error *err);

/* The keys copy_in and artifacts (job_paths.c). */
cl_yaml_take cl_job_take_copies;
cl_yaml_take cl_job_take_artifacts;

#endif
