/* fuzz_policy.c - policy files: any bytes make a plan that reads back, or an error with
 * the file's name in front. */
#include <string.h>

#include "base/buf.h"
#include "helpers/plan/policy.h"
#include "plan/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plan(const struct cl_plan *plan, struct cl_arena *arena)
{
    CL_CLEANUP_BUF struct cl_buf flat = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan back;
    struct cl_error err = {0};

    CL_ASSERT(cl_plan_write(plan, &flat, &err) == 0);
    CL_ASSERT(cl_plan_read(flat.data, flat.size, arena, &back, &err) == 0);
    CL_ASSERT(back.set == plan->set);
    for (unsigned int f = 0; f < CL_FIELD_COUNT; f++)
        CL_ASSERT(!cl_plan_has(plan, (enum cl_field)f) ||
                  cl_field_info((enum cl_field)f)->scope == CL_SCOPE_POLICY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(1 << 20);
    struct cl_plan plan = {0};
    struct cl_error err = {0};

    if (cl_buf_add(&text, data, size) < 0)
        return 0;
    const struct cl_document document = {"p.yaml", cl_buf_text(&text), text.size};
    if (cl_policy_parse(&document, &arena, &plan, &err) == 0)
        check_plan(&plan, &arena);
    else
        CL_ASSERT(strncmp(err.msg, "p.yaml:", 7) == 0);
    return 0;
}
