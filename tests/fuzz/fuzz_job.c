/* fuzz_job.c - a job's file: any bytes make a record that reads back as a job, or an error with the
 * file's name in front. */
#include "helpers/plan/job.h"
#include "image_input.h"
#include "plan/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was written is what is read, and what a core does with it can be done. */
static void check_job(const struct cl_job *job, struct cl_arena *arena)
{
    CL_CLEANUP_BUF struct cl_buf buf = CL_BUF_INIT(CL_JOB_MAX_SIZE);
    struct cl_error err = {0};
    struct cl_job back = {.set = 0};
    struct cl_plan policy = {.set = 0};

    CL_ASSERT(cl_job_write(job, &buf, &err) == 0);
    const struct cl_bytes bytes = {buf.data, buf.size};
    CL_ASSERT(cl_job_read(&bytes, arena, &back, &err) == 0);
    CL_ASSERT(back.set == job->set && back.steps.count == job->steps.count);
    for (size_t i = 0; i < back.steps.count; i++) {
        const struct cl_job_step *step = &back.steps.items[i];

        CL_ASSERT(strcmp(step->name, job->steps.items[i].name) == 0);
        CL_ASSERT((step->run[0] == '\0') == (step->command.count > 0));
        CL_ASSERT(step->env.count == job->steps.items[i].env.count);
    }
    CL_ASSERT(cl_job_policy(&back, arena, &policy, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    struct cl_job job = {.set = 0};
    struct cl_error err = {0};

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"d", cl_buf_text(&text), text.size};
    if (cl_job_parse(&document, &arena, &job, &err) == 0)
        check_job(&job, &arena);
    else
        check_error(&err);
    return 0;
}
