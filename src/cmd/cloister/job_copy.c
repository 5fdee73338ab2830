/* Files between the host and a job's sandbox. */
#include <errno.h>
#include <stdio.h>

#include "cmd/cloister/job_parts.h"

int cl_job_copy_in(struct cl_job_run *run, struct cl_error *err)
{
    if (run->job.copy_in.count == 0)
        return 0;
    return cl_refuse(err, ENOSYS, "copy_in: not built yet; policy.files has the mode copy");
}

static int collect(CL_UNUSED struct cl_job_run *run, CL_UNUSED const struct cl_job_path *artifact,
                   CL_UNUSED struct cl_job_artifact_end *ret, struct cl_error *err)
{
    return cl_refuse(err, ENOSYS, "artifacts: not built yet");
}

void cl_job_collect(struct cl_job_run *run)
{
    for (size_t i = 0; i < run->job.artifacts.count; i++) {
        const struct cl_job_path *artifact = &run->job.artifacts.items[i];
        struct cl_job_artifact_end *end = &run->artifact_ends[i];
        struct cl_error err = {0};
        int r = 0;

        if (run->has_ended)
            r = cl_refuse(&err, ESRCH, "the sandbox has ended");
        else if (run->interrupt != 0)
            r = cl_refuse(&err, EINTR, "the job was interrupted");
        else
            r = collect(run, artifact, end, &err);
        if (r == 0)
            continue;
        (void)snprintf(end->error, sizeof(end->error), "%.255s", err.msg);
        cl_job_fail(run, CL_JOB_ERROR, CL_EXIT_FAILED, "artifact %.200s: %s", artifact->from,
                    end->error);
    }
}
