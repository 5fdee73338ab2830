/* fuzz_plan.c - the plan's reader: any bytes read or are refused, and what reads writes as
 * the same bytes. */
#include <string.h>

#include "plan/format.h"
#include "plan/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct cl_plan *plan)
{
    CL_CLEANUP_BUF struct cl_buf text = CL_BUF_INIT(64 << 20);
    struct cl_json json;

    cl_json_begin(&json, &text, 1);
    cl_json_object(&json, NULL);
    cl_plan_print(plan, &json);
    cl_plan_print_limits(plan, &json);
    cl_json_close(&json, '}');
    CL_ASSERT(cl_json_end(&json) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CL_CLEANUP_ARENA struct cl_arena arena = CL_ARENA_INIT(64 << 20);
    CL_CLEANUP_BUF struct cl_buf again = CL_BUF_INIT(CL_PLAN_MAX_SIZE);
    struct cl_plan plan;
    struct cl_plan base = {0};
    struct cl_error err = {0};

    if (cl_plan_read(data, size, &arena, &plan, &err) < 0) {
        CL_ASSERT(err.msg[0] != '\0');
        return 0;
    }
    CL_ASSERT(cl_plan_write(&plan, &again, &err) == 0);
    CL_ASSERT(again.size == size && memcmp(again.data, data, size) == 0);
    print(&plan);
    CL_ASSERT(cl_plan_overlay(&base, &plan, &arena, &err) == 0);
    CL_ASSERT(cl_plan_overlay(&base, &plan, &arena, &err) == 0);
    CL_ASSERT(base.set == plan.set);
    return 0;
}
