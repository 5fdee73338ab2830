/* A job's paths: what is copied into its sandbox, and what of it is kept. */
#include <errno.h>
#include <string.h>

#include "helpers/plan/job_walk.h"
#include "plan/decide.h"

enum { MAX_PATH = 4095 };

/* An absolute path of the sandbox. */
static int take_inside(struct cl_job_walk *walk, const struct cl_yaml_node *value, const char *path,
                       const char **ret, struct cl_error *err)
{
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (value->text[0] != '/')
        r = cl_refuse(err, EINVAL, "expected an absolute path of the sandbox, got \"%.100s\"",
                      value->text);
    else if (strlen(value->text) > MAX_PATH)
        r = cl_refuse(err, EINVAL, "longer than %d bytes", MAX_PATH);
    else
        r = cl_path_normalise(value->text, 0, walk->arena, ret, err);
    if (r == -ENOMEM)
        return r;
    return r < 0 ? cl_job_locate(walk, value, path, err) : 0;
}

static int take_host(void *context, const struct cl_yaml_node *value, const char *path,
                     struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    struct cl_plan_file file = {.source = NULL};
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    r = cl_file_set_source(&file, value->text, strlen(value->text), walk->arena, err);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return cl_job_locate(walk, value, path, err);
    walk->path->from = file.source;
    return 0;
}

static int take_copy_target(void *context, const struct cl_yaml_node *value, const char *path,
                            struct cl_error *err)
{
    struct cl_job_walk *walk = context;

    return take_inside(walk, value, path, &walk->path->to, err);
}

static const struct cl_yaml_key copy_rows[] = {{"from", take_host}, {"to", take_copy_target}};
static const struct cl_yaml_keys copy_keys = {copy_rows, CL_ARRAY_SIZE(copy_rows)};

static int take_copy(void *context, const struct cl_yaml_node *value, const char *path,
                     struct cl_error *err)
{
    struct cl_job_walk *walk = context;

    walk->path = &walk->copies[walk->job.copy_in.count];
    int r = cl_job_take_map(walk, value, path, &copy_keys, err);
    if (r < 0)
        return r;
    if (walk->path->from == NULL || walk->path->to == NULL) {
        (void)cl_refuse(err, EINVAL, "needs from, a path of the host, and to, one of the sandbox");
        return cl_job_locate(walk, value, path, err);
    }
    walk->job.copy_in.count++;
    return 0;
}

int cl_job_take_copies(void *context, const struct cl_yaml_node *value, const char *path,
                       struct cl_error *err)
{
    static const struct cl_yaml_items copies = {take_copy, CL_JOB_MAX_PATHS, "entries"};
    struct cl_job_walk *walk = context;

    walk->copies = cl_arena_array(walk->arena, CL_JOB_MAX_PATHS, sizeof(*walk->copies));
    if (walk->copies == NULL)
        return cl_fail_memory(err);
    walk->job.copy_in.items = walk->copies;
    walk->job.set |= CL_JOB_BIT(CL_JOB_COPY_IN);
    return cl_job_take_list(walk, value, path, &copies, err);
}

static int take_artifact_path(void *context, const struct cl_yaml_node *value, const char *path,
                              struct cl_error *err)
{
    struct cl_job_walk *walk = context;

    return take_inside(walk, value, path, &walk->path->from, err);
}

static int take_artifact_target(void *context, const struct cl_yaml_node *value, const char *path,
                                struct cl_error *err)
{
    struct cl_job_walk *walk = context;
    int r = cl_yaml_want_text(&walk->yaml, value, path, err);

    if (r < 0)
        return r;
    if (cl_job_check_below(value->text, err) < 0)
        return cl_job_locate(walk, value, path, err);
    return cl_job_copy_text(walk, value->text, &walk->path->to, err);
}

static const struct cl_yaml_key artifact_rows[] = {{"path", take_artifact_path},
                                                   {"to", take_artifact_target}};
static const struct cl_yaml_keys artifact_keys = {artifact_rows, CL_ARRAY_SIZE(artifact_rows)};

/* Whether one of A and B is the other or lies in it. */
static int overlap(const char *a, const char *b)
{
    const size_t size = cl_min_u64(strlen(a), strlen(b));

    return strncmp(a, b, size) == 0 && (a[size] == '\0' || a[size] == '/') &&
           (b[size] == '\0' || b[size] == '/');
}

/* An artifact without a place has its last name. */
static int settle_artifact(const struct cl_job_walk *walk, struct cl_error *err)
{
    struct cl_job_path *artifact = walk->path;

    if (artifact->from == NULL)
        return cl_refuse(err, EINVAL, "needs path, a path of the sandbox");
    if (artifact->to == NULL)
        artifact->to = strrchr(artifact->from, '/') + 1;
    if (artifact->to[0] == '\0')
        return cl_refuse(err, EINVAL, "the whole sandbox needs a place: {path: /, to: NAME}");
    for (const struct cl_job_path *other = walk->artifacts; other < artifact; other++) {
        if (overlap(other->to, artifact->to))
            return cl_refuse(err, EINVAL,
                             "its place \"%.80s\" is another's; say {path: ..., to: NAME}",
                             artifact->to);
    }
    return 0;
}

static int take_artifact(void *context, const struct cl_yaml_node *value, const char *path,
                         struct cl_error *err)
{
    struct cl_job_walk *walk = context;

    walk->path = &walk->artifacts[walk->job.artifacts.count];
    int r = value->kind == CL_YAML_TEXT ? take_artifact_path(walk, value, path, err)
                                        : cl_job_take_map(walk, value, path, &artifact_keys, err);
    if (r < 0)
        return r;
    if (settle_artifact(walk, err) < 0)
        return cl_job_locate(walk, value, path, err);
    walk->job.artifacts.count++;
    return 0;
}

int cl_job_take_artifacts(void *context, const struct cl_yaml_node *value, const char *path,
                          struct cl_error *err)
{
    static const struct cl_yaml_items artifacts = {take_artifact, CL_JOB_MAX_PATHS, "artifacts"};
    struct cl_job_walk *walk = context;

    walk->artifacts = cl_arena_array(walk->arena, CL_JOB_MAX_PATHS, sizeof(*walk->artifacts));
    if (walk->artifacts == NULL)
        return cl_fail_memory(err);
    walk->job.artifacts.items = walk->artifacts;
    walk->job.set |= CL_JOB_BIT(CL_JOB_ARTIFACTS);
    return cl_job_take_list(walk, value, path, &artifacts, err);
}
