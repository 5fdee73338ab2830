#include "cmd/cloister/obtain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/image_user.h"
#include "image/config.h"
#include "image/endpoints.h"
#include "image/local.h"
#include "image/registry.h"
#include "sandbox/ids.h"

/* Who unpacks, as root: a range of uids of its own, as long as it is held. */
struct range {
    struct cl_state state;
    int lock;
    uint32_t base;
};

static void range_done(struct range *range)
{
    cl_fd_close(&range->lock);
    cl_state_done(&range->state);
}

static int take_range(struct range *range, struct cl_error *err)
{
    struct cl_ids_range whole;

    if (geteuid() != 0)
        return 0;
    int r = cl_state_open(&range->state, err);
    if (r == 0)
        r = cl_ids_range_read(&whole, err);
    return r < 0 ? r : cl_ids_take(&range->state, &whole, &range->base, &range->lock, err);
}

/* The platform of this machine, as images call it. */
static const char *own_platform(void)
{
#if defined(__aarch64__)
    return "linux/arm64";
#else
    return "linux/amd64";
#endif
}

static int find_user(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                     struct cl_error *err)
{
    return cl_image_user_find(context, plan, ret, err);
}

struct job {
    const struct cl_store *store;
    const struct cl_obtain *how;
    struct cl_arena *arena;
    const char *name;   /* what people call it */
    const char *whole;  /* its name in the store; NULL: none */
    const char *digest; /* that it must have, or NULL */
    struct cl_origin *origin;
};

static void show(void *context, const struct cl_pull_view *view)
{
    cl_progress_show(context, view);
}

/* cl_pull has one context for both. */
struct contexts {
    struct cl_progress progress; /* first: show's */
    struct cl_arena *arena;
};

static void show_progress(void *context, const struct cl_pull_view *view)
{
    struct contexts *contexts = context;

    show(&contexts->progress, view);
}

static int find_user_of(void *context, const struct cl_plan *plan, struct cl_plan *ret,
                        struct cl_error *err)
{
    struct contexts *contexts = context;

    return find_user(contexts->arena, plan, ret, err);
}

static int pull(const struct job *job, struct cl_pulled *ret, struct cl_error *err)
{
    CL_CLEANUP(range_done) struct range range = {.state = CL_STATE_INIT, .lock = -1};
    struct contexts contexts = {.arena = job->arena};
    struct cl_pull_how how = {
        .origin = job->origin,
        .name = job->whole,
        .digest = job->digest,
        .platform = job->how->platform != NULL ? job->how->platform : own_platform(),
        .max_bytes = job->how->max_bytes,
        .max_entries = job->how->max_entries,
        .show = job->how->progress == CL_PROGRESS_NONE ? NULL : show_progress,
        .find_user = find_user_of,
        .context = &contexts,
    };
    int r = take_range(&range, err);

    if (r < 0)
        return r;
    how.uid_base = range.base;
    cl_progress_init(&contexts.progress, job->name, job->how->progress);
    r = cl_pull(job->store, &how, ret, err);
    if (r < 0)
        return cl_prefix(err, "image %.200s", job->name);
    cl_progress_end(&contexts.progress, ret);
    return 0;
}

/* --- origins ------------------------------------------------------------------- */

static int from_registry(struct job *job, const char *text, struct cl_pulled *ret,
                         struct cl_error *err)
{
    CL_CLEANUP(cl_registry_done) struct cl_registry_origin registry = {.fetcher = CL_FETCHER_INIT};
    struct cl_fetch_endpoints endpoints = {0};
    struct cl_registries_record config = {0};
    struct cl_reference reference;
    struct cl_parser parser;
    char digest[CL_DIGEST_TEXT_SIZE];
    int r = cl_image_config_load(job->arena, &config, err);
    const char *fallback = cl_image_config_default(&config);

    if (r == 0)
        r = cl_reference_parse(text, fallback, job->arena, &reference, err);
    if (r == 0)
        r = cl_parser_init(job->arena, &parser, err);
    if (r == 0)
        r = cl_endpoints_find(&parser, &config, &reference, &endpoints, err);
    if (r < 0)
        return r;
    job->whole = cl_reference_text(&reference, job->arena);
    job->name = cl_reference_familiar(&reference, fallback, job->arena);
    if (job->whole == NULL || job->name == NULL)
        return cl_fail_memory(err);
    if (reference.has_digest)
        job->digest = cl_digest_format(&reference.digest, digest);
    r = cl_registry_open(&reference, &endpoints, job->how->without_landlock, &registry, err);
    job->origin = &registry.origin;
    return r < 0 ? r : pull(job, ret, err);
}

static int from_local(struct job *job, enum cl_local_kind kind, const char *text,
                      struct cl_pulled *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_local_done) struct cl_local_origin local = {.root = -1};
    const char *platform = job->how->platform != NULL ? job->how->platform : own_platform();
    int r = cl_local_open(kind, text, platform, job->arena, &local, err);

    job->origin = &local.origin;
    return r < 0 ? r : pull(job, ret, err);
}

int cl_obtain(const struct cl_store *store, const char *text, const struct cl_obtain *how,
              struct cl_arena *arena, struct cl_pulled *ret, const char **ret_name,
              struct cl_error *err)
{
    static const char *const prefixes[] = {
        [CL_LOCAL_DIRECTORY] = "oci:",
        [CL_LOCAL_OCI_ARCHIVE] = "oci-archive:",
        [CL_LOCAL_DOCKER_ARCHIVE] = "docker-archive:",
    };
    struct job job = {.store = store, .how = how, .arena = arena, .name = text};
    int r = 1;

    for (unsigned int i = 0; r > 0 && i < CL_ARRAY_SIZE(prefixes); i++) {
        const size_t size = strlen(prefixes[i]);

        if (strncmp(text, prefixes[i], size) == 0)
            r = from_local(&job, (enum cl_local_kind)i, text + size, ret, err);
    }
    if (r > 0)
        r = from_registry(&job, text, ret, err);
    if (r == 0 && ret_name != NULL)
        *ret_name = job.whole;
    return r;
}
