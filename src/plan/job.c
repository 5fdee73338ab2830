/* The job as an instance of base/flat.h (little-endian):
 *   steps    u64 timeout, u32 allow_failure, u32 words, u32 variables; name, run and workdir as
 * texts paths    from and to as texts
 */
#include "plan/job.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/follow.h"
#include "base/utf8.h"
#include "plan/ask.h"
#include "plan/compile.h"
#include "plan/format.h"

enum { MAX_PATH = 4095, MAX_WORDS = 65536, MAX_ENV = 65536 };

/* --- items ------------------------------------------------------------------------------- */

static int put_step(struct cl_buf *buf, const void *item)
{
    const struct cl_job_step *step = item;
    int r = cl_flat_put_u64(buf, step->timeout_ns);

    if (r == 0)
        r = cl_flat_put_u32(buf, step->allow_failure);
    if (r == 0)
        r = cl_flat_put_u32(buf, (uint32_t)step->command.count);
    if (r == 0)
        r = cl_flat_put_u32(buf, (uint32_t)step->env.count);
    if (r == 0)
        r = cl_flat_put_text(buf, step->name);
    if (r == 0)
        r = cl_flat_put_text(buf, step->run);
    return r < 0 ? r : cl_flat_put_text(buf, step->workdir);
}

static int take_step(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_job_step *step = item;
    uint32_t words;
    uint32_t variables;

    if (cl_flat_take_u64(cursor, &step->timeout_ns) < 0 ||
        cl_flat_take_u32(cursor, &step->allow_failure) < 0 ||
        cl_flat_take_u32(cursor, &words) < 0 || cl_flat_take_u32(cursor, &variables) < 0 ||
        cl_flat_take_text(cursor, &step->name) < 0 || cl_flat_take_text(cursor, &step->run) < 0 ||
        cl_flat_take_text(cursor, &step->workdir) < 0)
        return -EBADMSG;
    step->command.count = words;
    step->env.count = variables;
    return 0;
}

static int put_path(struct cl_buf *buf, const void *item)
{
    const struct cl_job_path *path = item;
    int r = cl_flat_put_text(buf, path->from);

    return r < 0 ? r : cl_flat_put_text(buf, path->to);
}

static int take_path(struct cl_flat_cursor *cursor, void *item)
{
    struct cl_job_path *path = item;

    return cl_flat_take_text(cursor, &path->from) < 0 || cl_flat_take_text(cursor, &path->to) < 0
               ? -EBADMSG
               : 0;
}

static const struct cl_flat_item step_item = {
    .size = sizeof(struct cl_job_step), .least_size = 23, .put = put_step, .take = take_step};
static const struct cl_flat_item path_item = {
    .size = sizeof(struct cl_job_path), .least_size = 2, .put = put_path, .take = take_path};

/* --- the shape --------------------------------------------------------------------------- */

#define ROW(index, id, type, member, min, max, item)                                               \
    [CL_JOB_##                                                                                     \
        index] = {id, CL_FLAT_##type, offsetof(struct cl_job, member), min, max, #member, item}

static const struct cl_flat_field fields[CL_JOB_FIELD_COUNT] = {
    ROW(NAME, 1, TEXT, name, 1, 128, NULL),
    ROW(TENANT, 2, TEXT, tenant, 1, 128, NULL),
    ROW(IMAGE, 3, TEXT, image, 1, 4200, NULL),
    ROW(POLICY, 4, BYTES, policy, 8, CL_PLAN_MAX_SIZE, NULL),
    ROW(ENV, 5, TEXTS, env, 0, MAX_ENV, NULL),
    ROW(WORKDIR, 6, TEXT, workdir, 1, MAX_PATH, NULL),
    ROW(COPY_IN, 7, LIST, copy_in, 0, CL_JOB_MAX_PATHS, &path_item),
    ROW(STEPS, 8, LIST, steps, 1, CL_JOB_MAX_STEPS, &step_item),
    ROW(ARTIFACTS, 9, LIST, artifacts, 0, CL_JOB_MAX_PATHS, &path_item),
    ROW(SHELL, 10, TEXTS, shell, 1, CL_JOB_MAX_WORDS, NULL),
    ROW(WORDS, 11, TEXTS, words, 0, MAX_WORDS, NULL),
    ROW(STEP_ENV, 12, TEXTS, step_env, 0, MAX_ENV, NULL),
};

static const struct cl_flat_shape shape = {
    .name = "job's record",
    .magic = {'c', 'l', 'j', 'o', 'b', ' ', '\r', '\n'},
    .version = 1,
    .max_size = CL_JOB_MAX_SIZE,
    .set_offset = offsetof(struct cl_job, set),
    .count = CL_JOB_FIELD_COUNT,
    .fields = fields,
};

int cl_job_write(const struct cl_job *job, struct cl_buf *buf, struct cl_error *err)
{
    return cl_flat_write(&shape, job, buf, err);
}

/* --- what has to hold ---------------------------------------------------------------------- */

int cl_job_check_step_name(const char *text, struct cl_error *err)
{
    const size_t size = strlen(text);

    if (size == 0)
        return cl_refuse(err, EINVAL, "must not be empty");
    if (size > CL_JOB_MAX_STEP_NAME)
        return cl_refuse(err, EINVAL, "longer than %d bytes", CL_JOB_MAX_STEP_NAME);
    for (size_t at = 0; at < size;) {
        const unsigned char *next = (const unsigned char *)text + at;
        const size_t length = cl_utf8_sequence(next);

        if (length == 0 || cl_utf8_steers(next, length))
            return cl_refuse(err, EINVAL, "has a character that can't be shown on a terminal");
        at += length;
    }
    return 0;
}

int cl_job_check_below(const char *text, struct cl_error *err)
{
    const char *name = text;

    if (strlen(text) > MAX_PATH)
        return cl_refuse(err, EINVAL, "longer than %d bytes", MAX_PATH);
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return cl_refuse(err, EINVAL, "has a control character in it");
    }
    for (;;) {
        const size_t size = strcspn(name, "/");

        if (size == 0 || (size == 1 && name[0] == '.') ||
            (size == 2 && name[0] == '.' && name[1] == '.'))
            return cl_refuse(err, EINVAL,
                             "expected a relative path without . and .., got \"%.100s\"", text);
        if (name[size] == '\0')
            return 0;
        name += size + 1;
    }
}

/* Gives each step its words and variables. */
static int share_out(struct cl_job *job, struct cl_job_step *steps)
{
    size_t words = 0;
    size_t variables = 0;

    for (size_t i = 0; i < job->steps.count; i++) {
        struct cl_job_step *step = &steps[i];

        *step = job->steps.items[i];
        if (step->command.count > job->words.count - words ||
            step->env.count > job->step_env.count - variables)
            return -EBADMSG;
        /* Where there are none the list may have no address to be added to. */
        if (step->command.count > 0)
            step->command.items = job->words.items + words;
        if (step->env.count > 0)
            step->env.items = job->step_env.items + variables;
        words += step->command.count;
        variables += step->env.count;
    }
    job->steps.items = steps;
    return words == job->words.count && variables == job->step_env.count ? 0 : -EBADMSG;
}

static int check_env(const struct cl_strlist *env)
{
    for (size_t i = 0; i < env->count; i++) {
        if (strchr(env->items[i], '=') == NULL)
            return -EBADMSG;
    }
    return 0;
}

static int check_steps(const struct cl_job *job)
{
    struct cl_error ignored;

    for (size_t i = 0; i < job->steps.count; i++) {
        const struct cl_job_step *step = &job->steps.items[i];

        if (cl_job_check_step_name(step->name, &ignored) < 0 || step->allow_failure > 1 ||
            step->timeout_ns > CL_MAX_NS || (step->run[0] == '\0') != (step->command.count > 0) ||
            (step->workdir[0] != '\0' && step->workdir[0] != '/') || check_env(&step->env) < 0)
            return -EBADMSG;
    }
    return 0;
}

static int check_paths(const struct cl_job *job)
{
    struct cl_error ignored;

    for (size_t i = 0; i < job->copy_in.count; i++) {
        if (job->copy_in.items[i].from[0] == '\0' || job->copy_in.items[i].to[0] != '/')
            return -EBADMSG;
    }
    for (size_t i = 0; i < job->artifacts.count; i++) {
        if (job->artifacts.items[i].from[0] != '/' ||
            cl_job_check_below(job->artifacts.items[i].to, &ignored) < 0)
            return -EBADMSG;
    }
    return 0;
}

static int check_job(const struct cl_job *job)
{
    const uint64_t needed =
        CL_JOB_BIT(CL_JOB_IMAGE) | CL_JOB_BIT(CL_JOB_STEPS) | CL_JOB_BIT(CL_JOB_SHELL);

    if ((job->set & needed) != needed || check_env(&job->env) < 0 || check_steps(job) < 0)
        return -EBADMSG;
    return check_paths(job);
}

int cl_job_read(const struct cl_bytes *bytes, struct cl_arena *arena, struct cl_job *ret,
                struct cl_error *err)
{
    struct cl_job job = {.set = 0};
    int r = cl_flat_read(&shape, bytes, arena, &job, err);

    if (r < 0)
        return r;
    struct cl_job_step *steps = cl_arena_array(arena, job.steps.count, sizeof(*steps));
    if (steps == NULL)
        return cl_fail_memory(err);
    if (share_out(&job, steps) < 0 || check_job(&job) < 0)
        return cl_refuse(err, EBADMSG, "cloister-plan answers with what is no job");
    *ret = job;
    return 0;
}

/* --- from a file --------------------------------------------------------------------------- */

static int ask_helper(const char *path, const struct cl_buf *text, struct cl_arena *arena,
                      struct cl_bytes *ret, struct cl_error *err)
{
    const struct cl_helper_call call = {
        .args = {"job", path},
        .subject = path,
        .inputs = {text},
        .timeout_ns = CL_ASK_SECONDS * CL_NS_PER_S,
    };
    struct cl_answer answer = {.arena = arena, .max_size = CL_JOB_MAX_SIZE};
    struct cl_helper helper;
    int r = cl_helper_find(NULL, "cloister-plan", &helper, err);

    if (r == 0)
        r = cl_ask(&helper, &call, &answer, err);
    if (r == 0)
        *ret = answer.bytes;
    return r;
}

int cl_job_load(const char *path, struct cl_arena *arena, struct cl_job *ret, struct cl_error *err)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(CL_COMPILE_MAX_INPUT);
    struct cl_bytes bytes = {0};

    if (path[0] == '\0' || strlen(path) > MAX_PATH)
        return cl_refuse(err, EINVAL, "a job's file needs a name of 1 to %d bytes", MAX_PATH);
    CL_CLEANUP_FD int fd = cl_follow_regular(path, CL_COMPILE_MAX_INPUT, err);
    if (fd < 0)
        return fd;
    int r = cl_read_all(fd, path, &text, err);
    if (r == 0)
        r = ask_helper(path, &text, arena, &bytes, err);
    return r < 0 ? r : cl_job_read(&bytes, arena, ret, err);
}

int cl_job_policy(const struct cl_job *job, struct cl_arena *arena, struct cl_plan *ret,
                  struct cl_error *err)
{
    if (cl_job_has(job, CL_JOB_POLICY))
        return cl_compile_read(CL_COMPILE_POLICY, &job->policy, arena, ret, err);
    *ret = (struct cl_plan){.set = 0};
    return 0;
}
