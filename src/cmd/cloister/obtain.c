#include "cmd/cloister/obtain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/follow.h"
#include "base/sys.h"
#include "cmd/cloister/budget.h"
#include "cmd/cloister/image_name.h"
#include "cmd/cloister/image_user.h"
#include "cmd/cloister/spool.h"
#include "cmd/cloister/unpack_range.h"
#include "image/config.h"
#include "image/endpoints.h"
#include "image/images.h"
#include "image/layers.h"
#include "image/local.h"
#include "image/registry.h"
#include "image/rootfs_tar.h"
#include "plan/decide.h"

#define MAX_FILE (1ULL << 50)

static const char *const prefixes[] = {
    [CL_LOCAL_DIRECTORY] = "oci:",
    [CL_LOCAL_OCI_ARCHIVE] = "oci-archive:",
    [CL_LOCAL_DOCKER_ARCHIVE] = "docker-archive:",
};

/* The platform of this machine, as images call it. */
static const char *own_platform(void)
{
#if defined(__aarch64__)
    return "linux/arm64";
#else
    return "linux/amd64";
#endif
}

struct job {
    const struct cl_store *store;
    const struct cl_obtain *how;
    struct cl_arena *arena;
    struct cl_registries_record config;
    const char *fallback; /* the default registry */
    const char *platform;
    const char *source;               /* where it is from, for messages */
    const char *called;               /* what people call it */
    struct cl_strlist names;          /* whole ones, to give it */
    char digest[CL_DIGEST_TEXT_SIZE]; /* that it must have; "": any */
    struct cl_progress *progress;     /* large: in the arena */
};

/* --- the pull itself ----------------------------------------------------------- */

static void keep_budget(const struct job *job, const struct cl_pulled *pulled, uint32_t uid_base)
{
    const struct cl_budget budget = {
        .store = job->store,
        .bytes = job->config.budget_bytes,
        .uid_base = uid_base,
        .image = pulled,
        .called = job->called,
        .fallback = job->fallback,
        .is_quiet = job->how->progress != CL_PROGRESS_AUTO,
    };

    if ((job->config.set & CL_RECORD_BIT(CL_REGISTRIES_BUDGET)) != 0 && !pulled->was_there)
        cl_budget_keep(&budget);
}

/* What the names that the image is to get name by now. */
static int find_names(const struct job *job, struct cl_image_names *ret, struct cl_error *err)
{
    struct cl_image_name *items = cl_arena_array(job->arena, job->names.count, sizeof(*items));
    size_t count = 0;

    if (items == NULL)
        return cl_fail_memory(err);
    for (size_t i = 0; i < job->names.count; i++) {
        items[count].text = job->names.items[i];
        int r = cl_name_find(job->store, items[count].text, &items[count].digest, err);

        if (r < 0 && r != -ENOENT)
            return r;
        count += r == 0;
    }
    *ret = (struct cl_image_names){items, count};
    return 0;
}

static enum cl_progress_name judge_name(const struct cl_image_names *names, const char *name,
                                        const struct cl_digest *digest)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].text, name) == 0)
            return cl_digest_equal(&names->items[i].digest, digest) ? CL_NAME_ITS
                                                                    : CL_NAME_ANOTHERS;
    }
    return CL_NAME_NEW;
}

/* What the image PULLED was called in BEFORE. Of several new names one stands for all. */
static enum cl_progress_name judge_names(const struct job *job, const struct cl_image_names *before,
                                         const struct cl_pulled *pulled)
{
    enum cl_progress_name found = CL_NAME_ITS;

    for (size_t i = 0; i < job->names.count; i++) {
        const enum cl_progress_name one = judge_name(before, job->names.items[i], &pulled->digest);

        found = one > found ? one : found;
    }
    return found;
}

static int pull(struct job *job, struct cl_origin *origin, struct cl_pulled *ret,
                struct cl_error *err)
{
    CL_CLEANUP_UNPACK_RANGE struct cl_unpack_range range = CL_UNPACK_RANGE_INIT;
    struct cl_pull_how how = {
        .origin = origin,
        .names = job->names,
        .digest = job->digest[0] == '\0' ? NULL : job->digest,
        .platform = job->platform,
        .max_bytes = job->how->max_bytes,
        .max_entries = job->how->max_entries,
        .show = job->how->progress == CL_PROGRESS_NONE ? NULL : cl_progress_show,
        .show_context = job->progress,
        .find_user = cl_image_user_find,
        .user_context = job->arena,
    };
    struct cl_image_names before = {0};
    int r = cl_unpack_range_take(&range, err);

    if (r == 0 && job->names.count > 0)
        r = find_names(job, &before, err);
    if (r < 0)
        return r;
    how.uid_base = range.base;
    job->progress->name = job->called;
    r = cl_pull(job->store, &how, ret, err);
    if (r < 0) {
        if ((job->config.set & CL_RECORD_BIT(CL_REGISTRIES_BUDGET)) != 0)
            cl_budget_keep_after_failure(job->store, job->config.budget_bytes, range.base);
        return cl_prefix(err, "image %.200s", job->source);
    }
    job->progress->before = judge_names(job, &before, ret);
    cl_progress_end(job->progress, ret);
    keep_budget(job, ret, range.base);
    return 0;
}

/* --- names --------------------------------------------------------------------- */

/* The image gets the name REFERENCE, and is called by it. */
static int take_name(struct job *job, const struct cl_reference *reference, struct cl_error *err)
{
    const char **name = cl_arena_alloc(job->arena, sizeof(*name));

    if (name == NULL)
        return cl_fail_memory(err);
    *name = cl_reference_text(reference, job->arena);
    job->called = cl_reference_familiar(reference, job->fallback, job->arena);
    if (*name == NULL || job->called == NULL)
        return cl_fail_memory(err);
    job->names = (struct cl_strlist){name, 1};
    return 0;
}

static int take_given_name(struct job *job, struct cl_error *err)
{
    struct cl_reference reference = {0};
    int r = cl_image_check_name(job->how->name, err);

    if (r == 0)
        r = cl_reference_parse(job->how->name, job->fallback, job->arena, &reference, err);
    if (r < 0)
        return r;
    if (reference.has_digest)
        return cl_refuse(err, EINVAL,
                         "%.200s: an image that is imported has a digest of its own; give a name "
                         "and a tag",
                         job->how->name);
    return take_name(job, &reference, err);
}

static int take_own_names(struct job *job, const struct cl_local_origin *local,
                          struct cl_error *err)
{
    int r = cl_local_names(local, job->arena, &job->names, err);

    if (r < 0 || job->names.count == 0)
        return r;
    job->called = cl_image_name_familiar(job->names.items[0], job->fallback, job->arena);
    return job->called == NULL ? cl_fail_memory(err) : 0;
}

/* --- origins ------------------------------------------------------------------- */

static int from_registry(struct job *job, const char *text, struct cl_pulled *ret,
                         struct cl_error *err)
{
    CL_CLEANUP(cl_registry_done) struct cl_registry_origin registry = {.fetcher = CL_FETCHER_INIT};
    struct cl_fetch_endpoints endpoints = {0};
    struct cl_reference reference = {0};
    struct cl_parser parser;
    const char *scheme = strstr(text, "://");

    if (scheme != NULL)
        return cl_refuse(err, EINVAL, "%.200s: images are named without %.*s://, as in debian:12",
                         text, (int)cl_min_u64((uint64_t)(scheme - text), 32), text);
    int r = cl_image_check_name(text, err);
    if (r == 0)
        r = cl_reference_parse(text, job->fallback, job->arena, &reference, err);
    if (r == 0)
        r = cl_parser_init(job->arena, &parser, err);
    if (r == 0)
        r = cl_endpoints_find(&parser, &job->config, &reference, &endpoints, err);
    if (r == 0)
        r = take_name(job, &reference, err);
    if (r < 0)
        return r;
    if (reference.has_digest)
        (void)cl_digest_format(&reference.digest, job->digest);
    job->source = job->called;
    r = cl_registry_open(&reference, &endpoints, job->how->without_landlock, &registry, err);
    registry.slow = cl_progress_asking;
    registry.slow_context = job->progress;
    return r < 0 ? r : pull(job, &registry.origin, ret, err);
}

static int spool(struct job *job, struct cl_error *err)
{
    return cl_spool_input(job->store, job->how->max_bytes, cl_progress_read, job->progress, err);
}

static int from_local(struct job *job, enum cl_local_kind kind, const char *text,
                      struct cl_pulled *ret, struct cl_error *err)
{
    CL_CLEANUP(cl_local_done) struct cl_local_origin local = {.root = -1};
    struct cl_local_how how = {
        .kind = kind, .text = text, .platform = job->platform, .archive = -1};
    const int is_input =
        kind != CL_LOCAL_DIRECTORY && text[0] == '-' && (text[1] == '\0' || text[1] == ':');
    int r = job->how->name != NULL ? take_given_name(job, err) : 0;

    if (r == 0 && is_input)
        r = how.archive = spool(job, err);
    if (r >= 0)
        r = cl_local_open(&how, job->arena, &local, err);
    if (r == 0 && job->how->name == NULL && job->how->own_names)
        r = take_own_names(job, &local, err);
    return r < 0 ? r : pull(job, &local.origin, ret, err);
}

/* The archive TEXT as a regular file. */
static int open_archive(struct job *job, const char *text, struct cl_error *err)
{
    if (strcmp(text, "-") == 0)
        return spool(job, err);
    if (strstr(text, "://") != NULL)
        return cl_refuse(err, EINVAL, "%.200s: fetch it first; import reads files", text);
    int fd = cl_follow_regular(text, MAX_FILE, err);
    return fd == -EINVAL
               ? cl_hint(err, "a directory can be run as it is (rootfs:DIR), a pipe be given as -")
               : fd;
}

/* Zeros are an archive too, by tar's own rule: an image of it can be had, but hardly was meant. */
static void hint_at_nothing(struct job *job, const struct cl_pulled *pulled)
{
    struct cl_image_record record = {0};
    struct cl_layer_record layer = {0};
    struct cl_error ignored = {0};

    if (cl_image_read(job->store, &pulled->digest, job->arena, &record, &ignored) < 0 ||
        record.layers.count != 1 ||
        cl_layer_read(job->store, record.layers.items[0], job->arena, &layer, &ignored) < 0)
        return;             /* somebody has removed it */
    if (layer.entries == 0) /* a closed stderr is the caller's wish */
        (void)fprintf(stderr, "cloister: %s holds nothing: no file is in the archive\n",
                      job->source);
}

static int from_rootfs(struct job *job, const char *text, struct cl_pulled *ret,
                       struct cl_error *err)
{
    CL_CLEANUP_ROOTFS_TAR struct cl_rootfs_tar tar = CL_ROOTFS_TAR_INIT;

    if (strcmp(text, "-") == 0)
        job->source = job->called = job->progress->name = "standard input";
    int r = job->how->name != NULL ? take_given_name(job, err) : 0;
    if (r < 0)
        return r;
    CL_CLEANUP_FD int file = open_archive(job, text, err);
    if (file < 0)
        return file;
    const struct cl_rootfs_tar_how how = {
        .name = job->source,
        .file = file,
        .platform = job->platform,
        .config = job->how->rootfs,
        .max_bytes = job->how->max_bytes,
        .max_entries = job->how->max_entries,
        .show = job->how->progress == CL_PROGRESS_NONE ? NULL : cl_progress_read,
        .context = job->progress,
    };
    r = cl_rootfs_tar_open(&how, &tar, err);
    if (r == 0)
        r = pull(job, &tar.origin, ret, err);
    if (r == 0)
        hint_at_nothing(job, ret);
    return r == -EBADMSG ? cl_hint(err, "was %.100s changed meanwhile?", job->source) : r;
}

/* --- all of them ----------------------------------------------------------------- */

/* 1 + its kind, or 0. */
static unsigned int local_kind(const char *text)
{
    for (unsigned int i = 0; i < CL_ARRAY_SIZE(prefixes); i++) {
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return 1 + i;
    }
    return 0;
}

int cl_obtain(const struct cl_obtain *how, struct cl_pulled *ret, struct cl_error *err)
{
    const char *text = how->text;
    const unsigned int kind = local_kind(text);
    struct job job = {
        .store = how->store,
        .how = how,
        .arena = how->arena,
        .platform = how->platform != NULL ? how->platform : own_platform(),
        .source = text,
        .called = text,
        .progress = cl_arena_alloc(how->arena, sizeof(struct cl_progress)),
    };
    int r = job.progress == NULL ? cl_fail_memory(err)
                                 : cl_image_config_load(how->arena, &job.config, err);

    if (r < 0)
        return r;
    job.fallback = cl_image_config_default(&job.config);
    cl_progress_init(job.progress, text, how->progress);
    job.progress->only_news = how->only_news;
    if (how->rootfs != NULL)
        return from_rootfs(&job, text, ret, err);
    if (kind == 0)
        return from_registry(&job, text, ret, err);
    return from_local(&job, (enum cl_local_kind)(kind - 1), text + strlen(prefixes[kind - 1]), ret,
                      err);
}

int cl_print_pulled(const struct cl_obtain *how, const struct cl_pulled *pulled,
                    struct cl_error *err)
{
    char line[CL_DIGEST_TEXT_SIZE + 1];

    if (how->progress == CL_PROGRESS_JSON)
        return 0;
    (void)snprintf(line, sizeof(line), "sha256:%s\n", pulled->digest.hex);
    int r = cl_write_all(STDOUT_FILENO, line, strlen(line));
    return r < 0 ? cl_fail(err, r, "write to standard output") : 0;
}
