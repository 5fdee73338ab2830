/* Read the bytes, name them by their digest, look into the cache, ask the helper,
 * check, keep. The check is the same for an answer from the cache and from the helper:
 * it must read as a plan, and may set only what its kind of file can say. A helper
 * that was taken over by the file it parsed can't switch a layer off, nor name an
 * image or a command. */
#include "plan/compile.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/follow.h"
#include "plan/ask.h"
#include "plan/compile_cache.h"
#include "plan/format.h"

enum { MAX_PATH = 4095 };

static const char *const verbs[CL_COMPILE_KIND_COUNT] = {
    [CL_COMPILE_POLICY] = "policy",
    [CL_COMPILE_SECCOMP] = "seccomp",
    [CL_COMPILE_USER] = "user",
};

/* The bytes of both files; the second is empty but for USER. */
struct source {
    struct cl_buf file;
    struct cl_buf group;
};

static void source_done(struct source *source)
{
    cl_buf_done(&source->file);
    cl_buf_done(&source->group);
}

/* One file on its way to a plan. */
struct job {
    const struct cl_compile_context *context;
    const struct cl_compile_input *input;
    struct source source;
    struct cl_helper helper;
    char key[CL_SHA256_HEX_SIZE]; /* the outcome's name in the cache */
};

static void job_done(struct job *job)
{
    source_done(&job->source);
}
#define CL_CLEANUP_JOB CL_CLEANUP(job_done)

/* --- reading ------------------------------------------------------------ */

static int read_source(const struct cl_compile_input *input, struct source *ret,
                       struct cl_error *err)
{
    int is_user = input->kind == CL_COMPILE_USER;
    const char *name = is_user ? "the image's /etc/passwd" : input->name;
    int r = 0;

    if (!is_user || input->fd >= 0)
        r = cl_check_regular(input->fd, name, CL_COMPILE_MAX_INPUT, err);
    if (r == 0 && input->fd >= 0)
        r = cl_read_all(input->fd, name, &ret->file, err);
    if (r < 0 || !is_user || input->group_fd < 0)
        return r;
    r = cl_check_regular(input->group_fd, "the image's /etc/group", CL_COMPILE_MAX_INPUT, err);
    return r < 0 ? r : cl_read_all(input->group_fd, "the image's /etc/group", &ret->group, err);
}

/* --- the key ------------------------------------------------------------ */

/* Everything that the plan depends on. A profile's conditions ask for the kernel and
 * the machine; messages and paths are not in the plan, so a name counts for USER only. */
static int make_key(struct job *job, struct cl_error *err)
{
    const struct cl_compile_input *input = job->input;
    struct cl_sha256 hash;

    cl_ask_name(&hash, CL_ASK_PLAN(CL_PLAN_VERSION), input->kind, &job->helper);
    if (input->kind == CL_COMPILE_SECCOMP && cl_ask_add_machine(&hash, err) < 0)
        return -err->code;
    if (input->kind == CL_COMPILE_USER) {
        cl_ask_add(&hash, input->name, strlen(input->name));
        cl_ask_add(&hash, cl_buf_text(&job->source.group), job->source.group.size);
    }
    cl_ask_add(&hash, cl_buf_text(&job->source.file), job->source.file.size);
    cl_sha256_final_hex(&hash, job->key);
    return 0;
}

/* --- checking ----------------------------------------------------------- */

#define BIT(field) (1ULL << (field))

static uint64_t policy_fields(void)
{
    uint64_t mask = 0;

    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++) {
        if (cl_field_info((enum cl_field)f)->scope == CL_SCOPE_POLICY)
            mask |= BIT(f);
    }
    return mask;
}

static int check_lists(const struct cl_plan *plan)
{
    for (size_t i = 0; i < plan->env.count; i++) {
        if (strchr(plan->env.items[i], '=') == NULL)
            return -EBADMSG;
    }
    for (size_t i = 0; i < plan->files.count; i++) {
        const struct cl_plan_file *file = &plan->files.items[i];

        if (file->target[0] != '/' || strlen(file->target) > MAX_PATH ||
            strlen(file->source) > MAX_PATH ||
            (file->kind == CL_FILE_BIND) != (file->source[0] != '\0'))
            return -EBADMSG;
    }
    return 0;
}

/* What a file of KIND may set, and what it must. */
static int check_fields(enum cl_compile_kind kind, const struct cl_plan *plan)
{
    uint64_t allowed = 0;
    uint64_t needed = 0;

    switch (kind) {
    case CL_COMPILE_POLICY:
        allowed = policy_fields();
        break;
    case CL_COMPILE_SECCOMP:
        needed = BIT(CL_FIELD_SECCOMP);
        allowed = needed | BIT(CL_FIELD_SECCOMP_NAME);
        break;
    case CL_COMPILE_USER:
        needed = BIT(CL_FIELD_UID);
        allowed = needed | BIT(CL_FIELD_GID) | BIT(CL_FIELD_HOME);
        break;
    case CL_COMPILE_KIND_COUNT:
        break;
    }
    if ((plan->set & ~allowed) != 0 || (plan->set & needed) != needed)
        return -EBADMSG;
    return check_lists(plan);
}

int cl_compile_read(enum cl_compile_kind kind, const struct cl_bytes *bytes, struct cl_arena *arena,
                    struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan plan;

    CL_ASSERT(kind < CL_COMPILE_KIND_COUNT);
    int r = cl_plan_read(bytes->data, bytes->size, arena, &plan, err);

    if (r < 0)
        return r;
    if (check_fields(kind, &plan) < 0)
        return cl_refuse(err, EBADMSG, "cloister-plan answers with what a %s can't say",
                         verbs[kind]);
    *ret = plan;
    return 0;
}

/* --- getting ------------------------------------------------------------ */

/* A plan from the cache; an entry that does not read is as good as none. */
static int try_cache(const struct job *job, int cache, struct cl_plan *ret)
{
    struct cl_bytes bytes = {0};
    struct cl_error ignored;

    if (cache < 0)
        return cache;
    int r = cl_plan_cache_load(cache, job->key, job->context->arena, &bytes);
    return r < 0 ? r
                 : cl_compile_read(job->input->kind, &bytes, job->context->arena, ret, &ignored);
}

static int ask_helper(const struct job *job, struct cl_bytes *ret, struct cl_error *err)
{
    const struct cl_helper_call call = {
        .args = {verbs[job->input->kind], job->input->name},
        .subject = job->input->name,
        .inputs = {&job->source.file,
                   job->input->kind == CL_COMPILE_USER ? &job->source.group : NULL},
        .timeout_ns = CL_ASK_SECONDS * CL_NS_PER_S,
    };
    struct cl_answer answer = {.arena = job->context->arena, .max_size = CL_PLAN_MAX_SIZE};
    int r = cl_ask(&job->helper, &call, &answer, err);

    if (r == 0)
        *ret = answer.bytes;
    return r;
}

static int compile(const struct cl_compile_context *context, const struct cl_compile_input *input,
                   struct cl_plan *ret, struct cl_error *err)
{
    CL_CLEANUP_JOB struct job job = {
        .context = context,
        .input = input,
        .source = {CL_BUF_INIT(CL_COMPILE_MAX_INPUT), CL_BUF_INIT(CL_COMPILE_MAX_INPUT)},
    };
    struct cl_bytes bytes = {0};
    int r = read_source(input, &job.source, err);

    if (r == 0)
        r = cl_helper_find(context->helper_dir, "cloister-plan", &job.helper, err);
    if (r == 0)
        r = make_key(&job, err);
    if (r < 0)
        return r;
    CL_CLEANUP_FD int cache = cl_plan_cache_open(context->cache_dir, CL_CACHE_PLANS);
    if (try_cache(&job, cache, ret) == 0)
        return 0;
    r = ask_helper(&job, &bytes, err);
    if (r == 0)
        r = cl_compile_read(input->kind, &bytes, context->arena, ret, err);
    if (r == 0 && cache >= 0)
        (void)cl_plan_cache_store(cache, job.key, &bytes,
                                  CL_CACHE_LASTING); /* the plan is here; the cache can wait */
    return r;
}

/* A profile that came from the cache may have had another name when it was compiled. */
int cl_plan_compile(const struct cl_compile_context *context, const struct cl_compile_input *input,
                    struct cl_plan *ret, struct cl_error *err)
{
    struct cl_plan plan;

    CL_ASSERT(input->kind < CL_COMPILE_KIND_COUNT);
    if (input->name[0] == '\0' || strlen(input->name) > MAX_PATH)
        return cl_refuse(err, EINVAL, "a %s needs a name of 1 to %d bytes", verbs[input->kind],
                         MAX_PATH);
    int r = compile(context, input, &plan, err);
    if (r == 0 && input->kind == CL_COMPILE_SECCOMP)
        r = cl_plan_set_text(&plan, CL_FIELD_SECCOMP_NAME, input->name, context->arena, err);
    if (r == 0)
        *ret = plan;
    return r;
}

static int compile_path(enum cl_compile_kind kind, const char *path, struct cl_arena *arena,
                        struct cl_plan *ret, struct cl_error *err)
{
    struct cl_compile_context context = {.arena = arena};
    CL_CLEANUP_FD int fd = cl_follow_regular(path, CL_COMPILE_MAX_INPUT, err);
    struct cl_compile_input input = {.kind = kind, .fd = fd, .group_fd = -1, .name = path};

    if (fd < 0)
        return cl_prefix(err, "--%s", verbs[kind]);
    return cl_plan_compile(&context, &input, ret, err);
}

int cl_compile_policy(const char *path, struct cl_arena *arena, struct cl_plan *ret,
                      struct cl_error *err)
{
    return compile_path(CL_COMPILE_POLICY, path, arena, ret, err);
}

int cl_compile_seccomp(const char *path, struct cl_arena *arena, struct cl_plan *ret,
                       struct cl_error *err)
{
    return compile_path(CL_COMPILE_SECCOMP, path, arena, ret, err);
}
