/* Files between the host and a job's sandbox, as `cp` copies them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cmd/cloister/job_parts.h"
#include "cmd/cloister/left_out.h"
#include "sandbox/copy_apart.h"

enum { PATH_SIZE = 4096 };

/* --- a copy ------------------------------------------------------------------------------ */

/* 0 when the process at the other end of FROM has something to say, or -EINTR. */
static int wait_for_copy(struct cl_job_run *run, int from, struct cl_error *err)
{
    struct pollfd polled[] = {{.fd = from, .events = POLLIN},
                              {.fd = run->signals, .events = POLLIN}};

    for (;;) {
        int r = cl_sys_poll(polled, CL_ARRAY_SIZE(polled), -1);

        if (r < 0 && r != -EINTR)
            return cl_fail(err, r, "wait for a copy");
        if (cl_job_is_interrupted(run))
            return cl_refuse(err, EINTR, "the job was interrupted");
        if (r > 0 && polled[0].revents != 0)
            return 0;
    }
}

/* By a process of its own, which an interrupt ends. What it left out, which that process says
 * itself, LEFT counts. */
static int copy_apart(struct cl_job_run *run, const struct cl_copy_job *copy, enum cl_copy_way way,
                      struct cl_copy_done *ret, struct cl_error *err)
{
    CL_CLEANUP_COPY_APART struct cl_copy_apart apart = CL_COPY_APART_INIT;
    struct cl_left_out *left = copy->context;
    struct cl_copy_end end = {.left_out = 0};
    int r = cl_copy_apart_start(copy, way, &apart, err);

    if (r == 0)
        r = wait_for_copy(run, apart.from, err);
    if (r == 0)
        r = cl_copy_apart_hear(&apart, &end, err);
    left->count = end.left_out;
    *ret = end.done;
    return r;
}

/* --- in ---------------------------------------------------------------------------------- */

static int bring(struct cl_job_run *run, const struct cl_job_path *path, struct cl_error *err)
{
    const char *slash = strrchr(run->path, '/');
    struct cl_left_out left = {.is_quiet = run->request.quiet, .top = path->from};
    struct cl_copy_done done;
    struct cl_copy_job copy = {
        .found = &run->known.found,
        .source = path->from,
        .target = path->to,
        .left_out = cl_left_out_say,
        .context = &left,
    };

    if (path->from[0] != '/' && slash != NULL) /* it counts from the job's file */
        copy.source = cl_arena_printf(run->request.arena, "%.*s/%s", (int)(slash - run->path),
                                      run->path, path->from);
    if (copy.source == NULL)
        return cl_fail_memory(err);
    int r = copy_apart(run, &copy, CL_COPY_IN, &done, err);
    return r < 0 ? r : cl_left_out_end(&left, err);
}

int cl_job_copy_in(struct cl_job_run *run, struct cl_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < run->job.copy_in.count; i++) {
        r = bring(run, &run->job.copy_in.items[i], err);
        if (r < 0)
            (void)cl_prefix(err, "copy_in[%zu]", i);
    }
    return r;
}

/* --- out --------------------------------------------------------------------------------- */

/* Where ARTIFACT is put. */
static const char *place_of(const struct cl_job_run *run, const struct cl_job_path *artifact)
{
    return cl_arena_printf(run->request.arena, "%s/%s", run->artifacts, artifact->to);
}

int cl_job_check_artifacts(struct cl_job_run *run, struct cl_error *err)
{
    const char *dir = run->artifacts == NULL ? "artifacts" : run->artifacts;
    char here[PATH_SIZE] = "";
    struct stat st;

    if (run->job.artifacts.count == 0)
        return 0;
    if (dir[0] != '/' && getcwd(here, sizeof(here)) == NULL)
        return cl_fail(err, errno, "tell the current directory");
    run->artifacts =
        cl_arena_printf(run->request.arena, "%s%s%s", here, dir[0] == '/' ? "" : "/", dir);
    if (run->artifacts == NULL)
        return cl_fail_memory(err);
    int r = cl_dir_make_path(run->artifacts, 0755, 0755);
    if (r < 0)
        return cl_fail(err, r, "make the directory for artifacts, %s", run->artifacts);
    for (size_t i = 0; i < run->job.artifacts.count; i++) {
        const char *place = place_of(run, &run->job.artifacts.items[i]);

        if (place == NULL)
            return cl_fail_memory(err);
        r = cl_sys_fstatat(AT_FDCWD, place, &st, AT_SYMLINK_NOFOLLOW);
        if (r == 0)
            return cl_refuse(err, EEXIST,
                             "%s is there already; remove it, or say another --artifacts", place);
        if (r != -ENOENT)
            return cl_fail(err, r, "look at %s", place);
    }
    return 0;
}

static int make_parent(char *place, struct cl_error *err)
{
    char *slash = strrchr(place, '/');

    *slash = '\0';
    int r = cl_dir_make_path(place, 0755, 0755);
    if (r < 0)
        (void)cl_fail(err, r, "make the directory %s", place);
    *slash = '/';
    return r;
}

/* What all artifacts may have together: what the sandbox could write. */
static uint64_t room_left(const struct cl_job_run *run)
{
    uint64_t used = 0;

    for (size_t i = 0; i < run->job.artifacts.count; i++)
        used += run->artifact_ends[i].bytes;
    return run->plan.limits.disk_bytes - cl_min_u64(used, run->plan.limits.disk_bytes);
}

static int collect(struct cl_job_run *run, const struct cl_job_path *artifact,
                   struct cl_job_artifact_end *ret, struct cl_error *err)
{
    char *place = cl_unconst(place_of(run, artifact));
    struct cl_left_out left = {.is_quiet = run->request.quiet, .top = artifact->from};
    struct cl_copy_done done = {0};
    const struct cl_copy_job copy = {
        .found = &run->known.found,
        .source = artifact->from,
        .target = place,
        .most_bytes = room_left(run),
        .left_out = cl_left_out_say,
        .context = &left,
    };

    if (place == NULL)
        return cl_fail_memory(err);
    int r = make_parent(place, err);
    if (r == 0)
        r = copy_apart(run, &copy, CL_COPY_OUT, &done, err);
    if (r == -EMSGSIZE)
        return cl_hint(err, "artifacts have limits.disk together");
    if (r < 0)
        return r;
    ret->entries = done.entries;
    ret->bytes = done.bytes;
    return cl_left_out_end(&left, err);
}

/* A sandbox that has ended, or ends under the copy, has nothing to give. */
static int try_collect(struct cl_job_run *run, size_t index, struct cl_error *err)
{
    if (run->has_ended)
        return cl_refuse(err, ESRCH, "the sandbox has ended");
    if (run->interrupt != 0)
        return cl_refuse(err, EINTR, "the job was interrupted");
    return collect(run, &run->job.artifacts.items[index], &run->artifact_ends[index], err);
}

void cl_job_collect(struct cl_job_run *run)
{
    (void)cl_job_is_interrupted(run);
    for (size_t i = 0; i < run->job.artifacts.count; i++) {
        struct cl_job_artifact_end *end = &run->artifact_ends[i];
        struct cl_error err = {0};

        if (try_collect(run, i, &err) >= 0)
            continue;
        (void)snprintf(end->error, sizeof(end->error), "%.255s", err.msg);
        if (run->interrupt != 0)
            cl_job_fail(run, CL_JOB_INTERRUPTED, 128 + run->interrupt,
                        "the job was ended by signal %d while artifacts were copied",
                        run->interrupt);
        cl_job_fail(run, CL_JOB_ERROR, CL_EXIT_FAILED, "artifact %.200s: %s",
                    run->job.artifacts.items[i].from, end->error);
    }
}
